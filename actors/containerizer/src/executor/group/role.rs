//! The role `default-executor`: the body of the default executor as a process of its own in a
//! container. Beside the threads of its line to the agent one feeds the core, and each question to
//! the agent and each check by network that is under way has one. Nothing is decided here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};

use nix::libc;
use tepui_protocol::json;
use tepui_protocol::mesos::v1::agent::{self, Response};
use tepui_protocol::mesos::v1::{ContainerId, TaskId};

use crate::executor::checks::{Outcome, Probe};
use crate::executor::group::core::calls;
use crate::executor::group::core::{Answer, Ask, Core, Effect, Errand, Input, Timer};
use crate::executor::line::{self, Agent, Fed, Line, News, Timers, Woken, thread};
use crate::executor::post::Turn;
use crate::executor::probe;
use crate::executor::settings::Settings;

/// The role's name, in what it says.
const NAME: &str = "default-executor";
/// So much of what a check's command said is said again.
const ECHO_MAX: u64 = 64 << 10;

/// Runs the role `default-executor`, by the environment that Mesos gives executors. Takes no
/// arguments. The exit status is 0 where the agent was told of all its tasks' ends, or had none to
/// give.
#[must_use]
pub fn main_default_executor(_arguments: &[OsString]) -> ExitCode {
    ExitCode::from(run(std::env::vars_os().collect()))
}

/// Runs the role with these variables instead of the process' own; gives the exit status.
pub(crate) fn run(environment: BTreeMap<OsString, OsString>) -> u8 {
    match Role::start(&environment) {
        Ok((role, received)) => {
            role.run(&received);
            0
        }
        Err(error) => {
            eprintln!("{NAME}: {error}");
            1
        }
    }
}

struct Role {
    core: Core,
    agent: Agent,
    sandbox: PathBuf,
    inputs: Sender<Fed<Input>>,
    line: Line,
    timers: Timers<Timer>,
}

impl From<News> for Input {
    fn from(news: News) -> Input {
        match news {
            News::Event(event) => Input::Event(event),
            News::Disconnected => Input::Disconnected,
        }
    }
}

impl Role {
    fn start(
        environment: &BTreeMap<OsString, OsString>,
    ) -> Result<(Role, Receiver<Fed<Input>>), String> {
        let settings = Settings::from_process(environment)?;
        let agent = Agent::new(NAME, &settings);
        let sandbox = PathBuf::from(settings.sandbox.clone().unwrap_or_default());
        let core = Core::new(settings)?;
        let (inputs, received) = channel();
        let line = Line::start(agent.clone(), &inputs).map_err(line::no_thread)?;
        let role = Role {
            core,
            agent,
            sandbox,
            inputs,
            line,
            timers: Timers::default(),
        };
        Ok((role, received))
    }

    fn run(mut self, received: &Receiver<Fed<Input>>) {
        let mut next = Some(Input::Start);
        loop {
            if let Some(input) = next.take() {
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
            Effect::Ask(ask, call) => self.ask(ask, *call),
            Effect::Probe(task, probe) => self.probe(task, *probe),
            Effect::Link(task, container) => {
                if let Err(error) = self.link(&task, &container) {
                    let TaskId { value } = task;
                    eprintln!("{NAME}: the sandbox of task '{value}' has no link: {error}");
                }
            }
            Effect::Echo(sandbox) => echo(Path::new(&sandbox)),
            Effect::Arm(timer, after) => self.timers.arm(timer, after),
            Effect::ArmWithin(timer, most) => self.timers.arm(timer, line::random_part(most)),
            Effect::Cancel(timer) => self.timers.cancel(timer),
            Effect::Exit => {}
        }
    }

    fn ask(&self, ask: Ask, call: agent::Call) {
        let (agent, inputs) = (self.agent.clone(), self.inputs.clone());
        let asked = thread("ask", move || {
            let answer = answer(ask, agent.ask(&call));
            if let Answer::Broken(problem)
            | Answer::Given {
                status: 300..,
                problem,
                ..
            } = &answer
            {
                let container = calls::container(&call);
                eprintln!(
                    "{NAME}: {:?} of container {container} was not done: {problem}",
                    ask.errand
                );
            }
            let _ = inputs.send((None, Input::Answered(ask, answer)));
        });
        if let Err(error) = asked {
            let answer = Answer::Broken(line::no_thread(error));
            let _ = self.inputs.send((None, Input::Answered(ask, answer)));
        }
    }

    fn probe(&self, task: u64, probe: Probe) {
        let Probe {
            kind,
            number,
            request,
            timeout,
        } = probe;
        let inputs = self.inputs.clone();
        let tell = move |outcome| {
            let probed = Input::Probed {
                task,
                kind,
                number,
                outcome,
            };
            let _ = inputs.send((None, probed));
        };
        let told = tell.clone();
        let started = thread("check", move || {
            tell(probe::by_network(&request, timeout));
        });
        if let Err(error) = started {
            told(Outcome::Failed(line::no_thread(error)));
        }
    }

    /// Lets `tasks/<task id>` lead to the task's sandbox, where people look for it.
    fn link(&self, task: &TaskId, container: &ContainerId) -> io::Result<()> {
        let folder = self.sandbox.join("tasks");
        std::fs::create_dir_all(&folder)?;
        let link = folder.join(&task.value);
        let target = self.sandbox.join("containers").join(&container.value);
        match std::fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::os::unix::fs::symlink(target, link)
    }
}

/// What an answer over HTTP says.
fn answer(ask: Ask, answered: Result<(u16, String), String>) -> Answer {
    let (status, body) = match answered {
        Ok(answered) => answered,
        Err(error) => return Answer::Broken(error),
    };
    if ask.errand != Errand::Wait || status != 200 {
        let end = None;
        return Answer::Given {
            status,
            problem: body,
            end,
        };
    }
    match json::from_slice::<Response>(body.as_bytes()) {
        Ok(response) => Answer::Given {
            status,
            problem: String::new(),
            end: response.wait_container.map(Box::new),
        },
        Err(error) => Answer::Broken(format!("the answer cannot be read: {error}")),
    }
}

/// Says what a check's command said, which is gone with its sandbox otherwise.
fn echo(sandbox: &Path) {
    for name in ["stdout", "stderr"] {
        if let Ok(file) = open(&sandbox.join(name)) {
            let _ = io::copy(&mut file.take(ECHO_MAX), &mut io::stderr());
        }
    }
}

/// Opens what a container wrote. Whoever owns the sandbox may have put something else there, which
/// would hold us up, or be for our eyes only.
fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.nlink() == 1 {
        Ok(file)
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_is_read_from_a_sandbox() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "said").unwrap();
        assert!(open(&path("file")).is_ok());
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        let all = nix::sys::stat::Mode::from_bits_truncate(0o666);
        nix::unistd::mkfifo(&path("fifo"), all).unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        for name in ["link", "fifo", "folder", "nothing"] {
            assert!(open(&path(name)).is_err(), "{name}");
        }
        std::fs::hard_link(path("file"), path("other")).unwrap();
        assert!(open(&path("other")).is_err());
    }
}
