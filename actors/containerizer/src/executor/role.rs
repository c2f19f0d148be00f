//! The role `executor`: the body of the command executor as a process of its own in a container.
//! Beside the threads of its line to the agent one feeds the core, one waits for the task, and each
//! check that is under way has one. Nothing is decided here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use tepui_protocol::mesos::v1::CommandInfo;

use crate::executor::checks::{Kind, Outcome, Probe, Request};
use crate::executor::core::{Core, Effect, Input, Timer};
use crate::executor::line::{self, Agent, Fed, Line, News, Timers, Woken, thread};
use crate::executor::post::Turn;
use crate::executor::probe::{self, Running};
use crate::executor::settings::Settings;
use crate::executor::task;

/// Runs the role `executor`, by the environment that Mesos gives executors. Takes no arguments.
/// The exit status is 0 where the agent was told of the task's end, or had none to give.
#[must_use]
pub fn main_executor(_arguments: &[OsString]) -> ExitCode {
    ExitCode::from(run(std::env::vars_os().collect()))
}

/// Runs the role with these variables instead of the process' own; gives the exit status.
pub(crate) fn run(environment: BTreeMap<OsString, OsString>) -> u8 {
    let started = Settings::from_process(&environment).and_then(|settings| {
        let (inputs, received) = channel();
        let role = Role::start(settings, environment, inputs);
        Ok((role.map_err(line::no_thread)?, received))
    });
    match started {
        Ok((role, received)) => {
            role.run(&received);
            0
        }
        Err(error) => {
            eprintln!("executor: {error}");
            1
        }
    }
}

impl From<News> for Input {
    fn from(news: News) -> Input {
        match news {
            News::Event(event) => Input::Event(event),
            News::Disconnected => Input::Disconnected,
        }
    }
}

struct Role {
    core: Core,
    /// What the task inherits.
    environment: BTreeMap<OsString, OsString>,
    inputs: Sender<Fed<Input>>,
    line: Line,
    timers: Timers<Timer>,
    task: Option<i32>,
    /// The commands of checks that are under way.
    probes: BTreeMap<Kind, Arc<Running>>,
}

impl Role {
    fn start(
        settings: Settings,
        environment: BTreeMap<OsString, OsString>,
        inputs: Sender<Fed<Input>>,
    ) -> std::io::Result<Role> {
        let line = Line::start(Agent::new("executor", &settings), &inputs)?;
        Ok(Role {
            core: Core::new(settings),
            environment,
            inputs,
            line,
            timers: Timers::default(),
            task: None,
            probes: BTreeMap::new(),
        })
    }

    fn run(mut self, received: &Receiver<Fed<Input>>) {
        let mut next = Some(Input::Start);
        loop {
            if let Some(input) = next.take() {
                if matches!(input, Input::Ended { .. }) {
                    self.task = None;
                }
                let mut turn = Turn {
                    now: line::since_epoch(),
                    uuid: &mut line::random_uuid,
                };
                for effect in self.core.handle(input, &mut turn) {
                    if effect == Effect::Exit {
                        return;
                    }
                    self.perform(effect);
                }
            }
            next = match self.timers.receive(received) {
                Woken::Due(timer) => Some(Input::Due(timer)),
                Woken::Fed(fed) => self.line.accept(fed),
                Woken::Idle => None,
            };
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Subscribe(call) => self.line.subscribe(*call),
            Effect::Send(call) => self.line.send(*call),
            Effect::StartTask(command) => self.start_task(&command),
            Effect::Signal(signal) => {
                if let Some(pid) = self.task {
                    task::signal(pid, signal);
                }
            }
            Effect::Probe(probe) => self.probe(*probe),
            Effect::Abandon(kind) => {
                if let Some(running) = self.probes.remove(&kind) {
                    running.kill();
                }
            }
            Effect::Arm(timer, after) => self.timers.arm(timer, after),
            Effect::ArmWithin(timer, most) => self.timers.arm(timer, line::random_part(most)),
            Effect::Cancel(timer) => self.timers.cancel(timer),
            Effect::Exit => {}
        }
    }

    fn start_task(&mut self, command: &CommandInfo) {
        let inputs = self.inputs.clone();
        let child = match task::start(command, &self.environment) {
            Ok(child) => child,
            Err(error) => {
                let _ = inputs.send((None, Input::NotStarted { error }));
                return;
            }
        };
        self.task = i32::try_from(child.id()).ok();
        let _ = inputs.send((None, Input::Started));
        let waiting = thread("task", move || {
            // Without a status it counts as killed.
            let status = task::wait(child).unwrap_or(crate::launch::STATUS_KILLED);
            let out_of_memory = task::out_of_memory();
            let _ = inputs.send((
                None,
                Input::Ended {
                    status,
                    out_of_memory,
                },
            ));
        });
        if let Err(error) = waiting {
            let error = line::no_thread(error);
            let _ = self.inputs.send((None, Input::NotStarted { error }));
        }
    }

    /// Carries out a check on a thread of its own.
    fn probe(&mut self, probe: Probe) {
        let Probe {
            kind,
            number,
            request,
            timeout,
        } = probe;
        let inputs = self.inputs.clone();
        let tell = move |outcome| {
            if let Outcome::Failed(problem) = &outcome {
                eprintln!("executor: {kind:?} {number} could not be carried out: {problem}");
            }
            let probed = Input::Probed {
                kind,
                number,
                outcome,
            };
            let _ = inputs.send((None, probed));
        };
        let told = tell.clone();
        let started = match request {
            Request::Command(command) => match Running::start(&command, &self.environment) {
                Ok((running, child)) => {
                    let running = Arc::new(running);
                    self.probes.insert(kind, Arc::clone(&running));
                    thread("check", move || tell(running.wait(child)))
                }
                Err(problem) => {
                    tell(Outcome::Failed(problem));
                    return;
                }
            },
            network => thread("check", move || tell(probe::by_network(&network, timeout))),
        };
        if let Err(error) = started {
            told(Outcome::Failed(line::no_thread(error)));
        }
    }
}
