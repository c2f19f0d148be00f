//! An agent's OS process, as far as containers go: a node with a containerizer, which is told by
//! lines on standard input what to launch and destroy, and tells by lines what became of it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use tepui_containerizer::linux::{self, LinuxOptions};
use tepui_protocol::mesos::v1::{CommandInfo, ContainerId, Resource, value};
use tepui_protocol::tepui::containerizer::{
    Destroy, Launch, Launched, Recover, Recovered, Terminated,
};
use tepui_runtime::{
    Context, Declaration, Handle, Id, Node, NodeOptions, Pid, Process, RealOptions, World,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// The agent's side of the containerizer.
struct Agent;

impl Process for Agent {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Terminated>();
    }
}

impl Handle<Terminated> for Agent {
    fn handle(&mut self, terminated: Terminated, _ctx: &mut Context<'_, Self>) {
        let status = terminated.status.unwrap_or(-1);
        let error = terminated.error.unwrap_or_else(|| "-".to_owned());
        say(&format!(
            "terminated {} {status} {error}",
            terminated.container_id.value
        ));
    }
}

fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .expect("the test reads");
}

/// Runs an agent: arguments are its folder and its cgroups root.
pub(crate) fn main_agent(arguments: &[OsString]) -> ExitCode {
    let [folder, root] = arguments else {
        return ExitCode::FAILURE;
    };
    let world = World::real(RealOptions::default()).expect("a world");
    let node = Node::start(&world, NodeOptions::default()).expect("a node");
    let options = LinuxOptions {
        runtime_dir: Path::new(folder).join("runtime"),
        cgroups_root: root.into(),
        pids_max: Some(100),
        ..LinuxOptions::default()
    };
    let containerizer = linux::spawn(&node, options).expect("a containerizer");
    let agent = node.spawn(Id::chosen("slave(1)"), Agent).expect("an agent");
    let observer = Some(agent.pid().to_string());
    let recover = Recover {
        containers: Vec::new(),
        observer,
    };
    let recovered = node.ask::<Recover, Recovered>(&containerizer, recover, DEADLINE);
    let recovered = world.block_on(recovered).expect("an answer");
    assert_eq!(recovered.error, None);
    say(&format!("recovered {}", recovered.orphans.len()));
    for line in std::io::stdin().lock().lines() {
        obey(
            &line.expect("a line"),
            &world,
            &node,
            &containerizer,
            agent.pid(),
        );
    }
    world.block_on(node.shutdown());
    ExitCode::SUCCESS
}

fn obey(line: &str, world: &World, node: &Node, containerizer: &Pid, agent: &Pid) {
    let words: Vec<&str> = line.splitn(4, ' ').collect();
    match words.as_slice() {
        ["launch", id, sandbox, script] => {
            let script: String = serde_json::from_str(script).expect("a text");
            let launch = launch(id, sandbox, script);
            let launched = node.ask::<Launch, Launched>(containerizer, launch, DEADLINE);
            let id = (*id).to_owned();
            world.spawn(async move {
                let launched = launched.await.expect("an answer");
                assert_eq!(launched.error, None, "launch of {id}");
            });
        }
        ["destroy", id] => {
            node.send(
                agent,
                containerizer,
                Destroy {
                    container_id: ContainerId::top(*id),
                },
            );
        }
        _ => panic!("what is '{line}'?"),
    }
}

fn launch(id: &str, sandbox: &str, script: String) -> Launch {
    let scalar = |name: &str, value: f64| Resource {
        name: name.to_owned(),
        r#type: value::Type::Scalar as i32,
        scalar: Some(value::Scalar { value }),
        ..Resource::default()
    };
    Launch {
        container_id: ContainerId::top(id),
        command: CommandInfo {
            value: Some(script),
            ..CommandInfo::default()
        },
        resources: vec![scalar("cpus", 0.1), scalar("mem", 64.0)],
        directory: sandbox.to_owned(),
        ..Launch::default()
    }
}

/// The test's side of such a process.
pub(crate) struct Helper {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Lines that were read while another was waited for.
    lines: Vec<String>,
}

impl Helper {
    /// Starts one and waits until it has recovered; gives the number of orphans it destroyed.
    pub(crate) fn start(folder: &Path, root: &str) -> (Helper, usize) {
        let mut child = Command::new("/proc/self/exe")
            .args([OsString::from("agent"), folder.into(), root.into()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program again");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut helper = Helper {
            child,
            input,
            output,
            lines: Vec::new(),
        };
        let orphans = helper.wait_for("recovered ").parse().expect("a number");
        (helper, orphans)
    }

    pub(crate) fn say(&mut self, line: &str) {
        // It may have been told to die.
        writeln!(self.input, "{line}").expect("the agent reads");
    }

    /// Waits for the end of a container: its raw wait status and the error, `-` without one.
    pub(crate) fn terminated(&mut self, id: &str) -> String {
        self.wait_for(&format!("terminated {id} "))
    }

    fn wait_for(&mut self, start: &str) -> String {
        loop {
            if let Some(at) = self.lines.iter().position(|line| line.starts_with(start)) {
                return self.lines.remove(at)[start.len()..].to_owned();
            }
            let mut line = String::new();
            let count = self.output.read_line(&mut line).expect("a line");
            assert!(count > 0, "the agent ended while '{start}' was waited for");
            self.lines.push(line.trim_end().to_owned());
        }
    }

    /// Lets it end by itself.
    pub(crate) fn end(self) {
        let Helper {
            mut child, input, ..
        } = self;
        drop(input);
        crate::check_exit(child.wait().expect("our child"), None);
    }

    /// Kills it.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("our child");
        crate::check_exit(self.child.wait().expect("our child"), Some(9));
    }
}
