//! Launch and destroy of containers, a thousand in all and one after another, beside `unshare
//! --mount --pid --fork true` and, where it is installed, `runc run`. Ours has namespaces for
//! mounts, processes and IPC, and cgroups for cpu, memory and processes; its command is already
//! waiting when it is destroyed. That of runc has what `runc spec` gives it, with the host's
//! programs mounted. Needs root, and the `tepui` binary of the same profile.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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
const CONTAINERS: u32 = 200;

/// The same of the peers, of which fewer tell as much.
const OF_PEERS: u32 = 40;

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
    let bundle = folder.path().join("bundle");
    let mut contenders = vec![
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
                one_by_one(|_| {
                    let mut unshare = Command::new("unshare");
                    unshare.args(["--mount", "--pid", "--fork", "true"]);
                    unshare
                })
            }),
        },
    ];
    if is_installed("runc") {
        make_bundle(&bundle);
        contenders.push(Contender {
            name: "runc run",
            unit: "ms",
            run: Box::new(|| {
                one_by_one(|number| {
                    let mut runc = Command::new("runc");
                    let id = format!("tepui-bench-{}-{number}", std::process::id());
                    runc.arg("run").arg("--bundle").arg(&bundle).arg(id);
                    runc
                })
            }),
        });
    } else {
        println!("  (runc is not installed: without it)");
    }
    compare("launch and destroy of one container", &mut contenders);
    drop(contenders);
    world.block_on(node.shutdown());
}

/// How long a peer's container takes, from start to end.
fn one_by_one(command: impl Fn(u32) -> Command) -> f64 {
    let all = milliseconds(|| {
        for number in 0..OF_PEERS {
            let mut command = command(number);
            let status = command
                .stdin(Stdio::null())
                .status()
                .expect("it is installed");
            assert!(status.success(), "{command:?}: {status}");
        }
    });
    all / f64::from(OF_PEERS)
}

fn is_installed(program: &str) -> bool {
    let mut asked = Command::new(program);
    asked.arg("--version").stdout(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

/// A bundle as `runc spec` makes it, whose root has the host's programs, and that runs `true`.
fn make_bundle(bundle: &Path) {
    std::fs::create_dir_all(bundle.join("rootfs")).expect("a folder");
    let mut spec = Command::new("runc");
    let made = spec
        .arg("spec")
        .current_dir(bundle)
        .status()
        .expect("runc starts");
    assert!(made.success(), "{made}");
    let path = bundle.join("config.json");
    let text = std::fs::read(&path).expect("runc wrote it");
    let mut spec: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = ["true"].as_slice().into();
    spec["root"]["readonly"] = false.into();
    let mounts = spec["mounts"].as_array_mut().expect("mounts");
    for folder in ["/bin", "/lib", "/lib64", "/usr"] {
        mounts.push(serde_json::json!({
            "destination": folder, "source": folder, "type": "bind", "options": ["rbind", "ro"],
        }));
    }
    std::fs::write(&path, spec.to_string()).expect("the folder is ours");
}
