//! The default executor of the simulated world: the same core as an actor. It speaks
//! `mesos.v1.executor` as messages and asks the agent's process itself about containers; those that
//! are nested in its own are the containerizer's.

use std::collections::BTreeMap;
use std::time::Duration;

use tepui_invariants::Planted;
use tepui_protocol::mesos::v1::agent;
use tepui_protocol::mesos::v1::executor::Event;
use tepui_protocol::tepui::operator::{AgentOperated, OperateAgent};
use tepui_runtime::{Context, Declaration, Handle, Pid, Process};

use crate::executor::checks::{Outcome, Probe, Request};
use crate::executor::group::core::{Answer, Ask, Core, Effect, Input, Timer};
use crate::executor::post::Turn;
use crate::executor::settings::Settings;
use crate::executor::simulated::PROBE_TIME;

/// Id prefix of the process on its node.
pub(crate) const ID_PREFIX: &str = "default-executor";

/// How long an answer is waited for before it is asked for again: a container may live as long.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// One executor.
pub(crate) struct SimulatedGroupExecutor {
    core: Core,
    agent: Pid,
    timers: BTreeMap<Timer, tepui_runtime::Timer>,
}

type Ctx<'a> = Context<'a, SimulatedGroupExecutor>;

impl SimulatedGroupExecutor {
    /// Reads where its agent is.
    ///
    /// # Errors
    /// Names what is missing.
    pub(crate) fn new(
        environment: &BTreeMap<String, String>,
        planted: Planted,
    ) -> Result<Self, String> {
        let settings = Settings::from_environment(environment)?;
        let agent = settings.agent_pid.parse();
        let agent = agent.map_err(|error| format!("MESOS_SLAVE_PID: {error}"))?;
        let mut core = Core::new(settings)?;
        core.planted = planted;
        Ok(Self {
            core,
            agent,
            timers: BTreeMap::new(),
        })
    }

    fn feed(&mut self, input: Input, ctx: &mut Ctx<'_>) {
        let effects = {
            let mut uuid = || ctx.uuid().into_bytes();
            let now = Duration::from_nanos(ctx.now().as_nanos());
            let mut turn = Turn {
                now,
                uuid: &mut uuid,
            };
            self.core.handle(input, &mut turn)
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
            Effect::Ask(ask, call) => self.ask(ask, *call, ctx),
            Effect::Probe(task, probe) => Self::probe(task, &probe, ctx),
            // There are no sandboxes.
            Effect::Link(..) | Effect::Echo(_) => {}
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

    fn ask(&self, ask: Ask, call: agent::Call, ctx: &mut Ctx<'_>) {
        let operate = OperateAgent { call };
        ctx.ask(
            &self.agent,
            operate,
            PATIENCE,
            move |executor, answer, ctx| {
                let answer = match answer {
                    Ok(answered) => given(answered),
                    Err(error) => Answer::Broken(error.to_string()),
                };
                executor.feed(Input::Answered(ask, answer), ctx);
            },
        );
    }

    /// Whoever is asked by network is there.
    fn probe(task: u64, probe: &Probe, ctx: &mut Ctx<'_>) {
        let outcome = match &probe.request {
            Request::Http(_) => Outcome::Answered(200),
            Request::Tcp(_) => Outcome::Connected(true),
            Request::Command(_) => return,
        };
        let (kind, number) = (probe.kind, probe.number);
        ctx.delay(PROBE_TIME, move |executor, ctx| {
            let probed = Input::Probed {
                task,
                kind,
                number,
                outcome,
            };
            executor.feed(probed, ctx);
        });
    }
}

fn given(answered: AgentOperated) -> Answer {
    let response = answered.response;
    Answer::Given {
        status: u16::try_from(answered.status).unwrap_or(u16::MAX),
        problem: answered.problem.unwrap_or_default(),
        end: response.and_then(|response| response.wait_container.map(Box::new)),
    }
}

impl Process for SimulatedGroupExecutor {
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

impl Handle<Event> for SimulatedGroupExecutor {
    fn handle(&mut self, event: Event, ctx: &mut Ctx<'_>) {
        if *ctx.sender() == self.agent {
            self.feed(Input::Event(Box::new(event)), ctx);
        }
    }
}
