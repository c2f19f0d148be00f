//! Launch and destroy of a container, one after another, beside `unshare --mount --pid --fork
//! true`. The container has namespaces for mounts, processes and IPC, and cgroups for cpu, memory
//! and processes; its command is already waiting when it is destroyed. Needs root, and the
//! `tepui` binary of the same profile.

use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tepui_benches::{Contender, compare, milliseconds};
use tepui_containerizer::linux::{self, LinuxOptions};
use tepui_protocol::mesos::v1::{CommandInfo, ContainerId, ExecutorId, FrameworkId};
use tepui_protocol::resources::parse_text;
use tepui_protocol::tepui::containerizer::{Destroy, Launch, Launched, Terminated};
use tepui_runtime::{
    AskError, Context, Declaration, Handle, Id, Node, NodeOptions, Pid, Process, RealOptions,
    World, serde_message,
};

/// Containers of one run, one after another.
const CONTAINERS: u32 = 50;

/// Tells the driver to run its containers.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Begin {}
serde_message!(Begin, "bench.Begin");

struct Driver {
    containerizer: Pid,
    folder: PathBuf,
    number: u32,
    done: Sender<()>,
}

impl Driver {
    fn next(&mut self, ctx: &mut Context<'_, Self>) {
        self.number += 1;
        let container_id = ContainerId {
            value: format!("bench-{}", self.number),
            parent: None,
        };
        let resources = parse_text("cpus:0.1;mem:64", "*")
            .expect("resources")
            .to_proto();
        let launch = Launch {
            container_id,
            command: CommandInfo {
                shell: Some(false),
                value: Some("/bin/sleep".to_owned()),
                arguments: vec!["sleep".to_owned(), "1000".to_owned()],
                ..CommandInfo::default()
            },
            resources,
            directory: self.folder.display().to_string(),
            observer: Some(ctx.pid().to_string()),
            framework_id: FrameworkId {
                value: "bench".to_owned(),
            },
            executor_id: ExecutorId {
                value: "bench".to_owned(),
            },
            ..Launch::default()
        };
        ctx.ask(
            &self.containerizer,
            launch,
            Duration::from_secs(30),
            Self::launched,
        );
    }

    fn launched(&mut self, launched: Result<Launched, AskError>, ctx: &mut Context<'_, Self>) {
        let launched = launched.expect("the containerizer answers");
        assert_eq!(launched.error, None, "the container is launched");
        ctx.send(
            &self.containerizer,
            Destroy {
                container_id: launched.container_id,
            },
        );
    }
}

impl Process for Driver {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Begin>();
        declaration.message::<Terminated>();
    }
}

impl Handle<Begin> for Driver {
    fn handle(&mut self, _: Begin, ctx: &mut Context<'_, Self>) {
        self.next(ctx);
    }
}

impl Handle<Terminated> for Driver {
    fn handle(&mut self, terminated: Terminated, ctx: &mut Context<'_, Self>) {
        assert_eq!(terminated.error, None, "nothing is left of it");
        if self.number.is_multiple_of(CONTAINERS) {
            self.done.send(()).expect("the measurement waits");
        } else {
            self.next(ctx);
        }
    }
}

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let world = World::real(RealOptions::default()).expect("threads can be started");
    let node = Node::start(&world, NodeOptions::default()).expect("a port is free");
    let options = LinuxOptions {
        runtime_dir: folder.path().join("run"),
        cgroups_root: format!("tepui-bench-{}", std::process::id()).into(),
        binary: tepui_integration::tepui(),
        ..LinuxOptions::default()
    };
    let containerizer = linux::spawn(&node, options).expect("a containerizer");
    let (done, finished) = channel();
    let sandbox = folder.path().to_owned();
    let driver = Driver {
        containerizer,
        folder: sandbox,
        number: 0,
        done,
    };
    let driver = node.spawn(Id::chosen("driver"), driver).expect("a free id");
    compare(
        "launch and destroy of one container, fifty one after another",
        &mut [
            Contender {
                name: "tepui",
                unit: "ms",
                run: Box::new(|| {
                    let all = milliseconds(|| {
                        node.send(&Pid::nobody(), driver.pid(), Begin {});
                        finished.recv().expect("all containers end");
                    });
                    all / f64::from(CONTAINERS)
                }),
            },
            Contender {
                name: "unshare --mount --pid --fork true",
                unit: "ms",
                run: Box::new(|| {
                    let all = milliseconds(|| {
                        for _ in 0..CONTAINERS {
                            let status = Command::new("unshare")
                                .args(["--mount", "--pid", "--fork", "true"])
                                .status()
                                .expect("unshare is installed");
                            assert!(status.success(), "root may unshare");
                        }
                    });
                    all / f64::from(CONTAINERS)
                }),
            },
        ],
    );
    world.block_on(node.shutdown());
}
