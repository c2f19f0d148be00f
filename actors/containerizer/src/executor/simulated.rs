//! The command executor of the simulated world: the same core as an actor, which speaks
//! `mesos.v1.executor` as messages and runs a script instead of a process.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::libc;
use tepui_protocol::mesos::v1::CommandInfo;
use tepui_protocol::mesos::v1::executor::Event;
use tepui_runtime::{Context, Declaration, Handle, Pid, Process};

use crate::core::Figures;
use crate::executor::checks::{Kind, Outcome, Probe, Request};
use crate::executor::core::{Core, Effect, Input, Timer};
use crate::executor::post::Turn;
use crate::executor::script::Script;
use crate::executor::settings::Settings;

/// Id prefix of the process on its node.
pub(crate) const ID_PREFIX: &str = "executor";

/// The least that a check takes.
pub(crate) const PROBE_TIME: Duration = Duration::from_millis(1);

/// One executor.
pub(crate) struct SimulatedExecutor {
    core: Core,
    agent: Pid,
    timers: BTreeMap<Timer, tepui_runtime::Timer>,
    /// The running script and its end.
    task: Option<(Script, tepui_runtime::Timer)>,
    /// The ends of checks that are under way.
    probes: BTreeMap<Kind, tepui_runtime::Timer>,
}

type Ctx<'a> = Context<'a, SimulatedExecutor>;

impl SimulatedExecutor {
    /// Reads where its agent is.
    ///
    /// # Errors
    /// Names what is missing.
    pub(crate) fn new(environment: &BTreeMap<String, String>) -> Result<Self, String> {
        let settings = Settings::from_environment(environment)?;
        let agent = settings.agent_pid.parse();
        let agent = agent.map_err(|error| format!("MESOS_SLAVE_PID: {error}"))?;
        Ok(Self {
            core: Core::new(settings),
            agent,
            timers: BTreeMap::new(),
            task: None,
            probes: BTreeMap::new(),
        })
    }

    fn feed(&mut self, input: Input, ctx: &mut Ctx<'_>) {
        let effects = {
            let mut uuid = || ctx.uuid().into_bytes();
            let now = Duration::from_nanos(ctx.now().as_nanos());
            self.core.handle(
                input,
                &mut Turn {
                    now,
                    uuid: &mut uuid,
                },
            )
        };
        for effect in effects {
            self.perform(effect, ctx);
        }
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Ctx<'_>) {
        match effect {
            Effect::Subscribe(call) => {
                ctx.link(&self.agent);
                ctx.send(&self.agent, *call);
            }
            Effect::Send(call) => ctx.send(&self.agent, *call),
            Effect::StartTask(command) => self.start_task(&command, ctx),
            Effect::Signal(signal) => self.signal(signal, ctx),
            Effect::Probe(probe) => self.probe(*probe, ctx),
            Effect::Abandon(kind) => {
                if let Some(end) = self.probes.remove(&kind) {
                    ctx.cancel(end);
                }
            }
            Effect::Arm(timer, after) => self.arm(timer, after, ctx),
            Effect::ArmWithin(timer, most) => {
                let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
                let after = Duration::from_nanos(ctx.random_below(most.saturating_add(1)));
                self.arm(timer, after, ctx);
            }
            Effect::Cancel(timer) => {
                if let Some(armed) = self.timers.remove(&timer) {
                    ctx.cancel(armed);
                }
            }
            Effect::Exit => ctx.terminate(),
        }
    }

    fn arm(&mut self, timer: Timer, after: Duration, ctx: &mut Ctx<'_>) {
        let armed = ctx.delay(after, move |executor, ctx| {
            executor.timers.remove(&timer);
            executor.feed(Input::Due(timer), ctx);
        });
        if let Some(former) = self.timers.insert(timer, armed) {
            ctx.cancel(former);
        }
    }

    /// A check's command is a script, too; whoever is asked by network is there.
    fn probe(&mut self, probe: Probe, ctx: &mut Ctx<'_>) {
        let Probe { kind, number, .. } = probe;
        let (took, outcome) = match probe.request {
            Request::Command(command) => {
                let script = read(&command);
                let took = script.start + script.duration;
                (took, Outcome::Ended(script.status))
            }
            Request::Http(_) => (Duration::ZERO, Outcome::Answered(200)),
            Request::Tcp(_) => (Duration::ZERO, Outcome::Connected(true)),
        };
        // It takes some time, so that time goes on where there is no interval.
        let end = ctx.delay(took.max(PROBE_TIME), move |executor, ctx| {
            executor.probes.remove(&kind);
            let probed = Input::Probed {
                kind,
                number,
                outcome,
            };
            executor.feed(probed, ctx);
        });
        self.probes.insert(kind, end);
    }

    fn start_task(&mut self, command: &CommandInfo, ctx: &mut Ctx<'_>) {
        let script = read(command);
        if script.start == Duration::ZERO {
            self.started(script, ctx);
        } else {
            ctx.delay(script.start, move |executor, ctx| {
                executor.started(script, ctx)
            });
        }
    }

    fn started(&mut self, script: Script, ctx: &mut Ctx<'_>) {
        // The task is there before its body is told: what is told may be a signal for it.
        self.end_after(script, script.duration, ctx);
        self.feed(Input::Started, ctx);
    }

    fn end_after(&mut self, script: Script, after: Duration, ctx: &mut Ctx<'_>) {
        let end = ctx.delay(after, move |executor, ctx| {
            executor.task = None;
            let ended = Input::Ended {
                status: script.status,
                out_of_memory: script.exceeds.map(exceeded),
            };
            executor.feed(ended, ctx);
        });
        self.task = Some((script, end));
    }

    fn signal(&mut self, signal: i32, ctx: &mut Ctx<'_>) {
        let Some((script, _)) = &self.task else {
            return;
        };
        if signal == libc::SIGTERM && script.ignores_sigterm {
            return;
        }
        let script = Script {
            status: signal,
            exceeds: None,
            ..*script
        };
        if let Some((_, end)) = self.task.take() {
            ctx.cancel(end);
        }
        self.end_after(script, Duration::ZERO, ctx);
    }
}

pub(crate) fn read(command: &CommandInfo) -> Script {
    let text = match command.shell {
        Some(false) => command.arguments.join(" "),
        _ => command.value().to_owned(),
    };
    Script::parse(&text)
}

/// What a kernel would say of a container that used up so many megabytes.
pub(crate) fn exceeded(megabytes: u64) -> Figures {
    let bytes = megabytes.saturating_mul(1 << 20);
    Figures {
        max_usage: Some(bytes),
        limit: Some(bytes),
        statistics: String::new(),
    }
}

impl Process for SimulatedExecutor {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Event>();
    }

    fn initialize(&mut self, ctx: &mut Ctx<'_>) {
        self.feed(Input::Start, ctx);
    }

    fn exited(&mut self, _pid: &Pid, ctx: &mut Ctx<'_>) {
        self.feed(Input::Disconnected, ctx);
    }
}

impl Handle<Event> for SimulatedExecutor {
    fn handle(&mut self, event: Event, ctx: &mut Ctx<'_>) {
        if *ctx.sender() == self.agent {
            self.feed(Input::Event(Box::new(event)), ctx);
        }
    }
}
