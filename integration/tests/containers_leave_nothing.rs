//! Two hundred containers that do what they can to stay, twenty of them with their agent killed
//! while it launches them: afterwards /proc, every cgroup hierarchy and the table of mounts are as
//! they were before.
//!
//! This program is also the agents and the inside of the containers: its first argument says which.
//! It needs root, and says so.

#[path = "containers/helper.rs"]
mod helper;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tepui_integration::{Remains, cgroup_mounts};

use crate::helper::Helper;

/// Containers that are destroyed by a living agent.
const DESTROYED: usize = 180;
/// Containers whose agent is killed while it launches them.
const CUT_SHORT: usize = 20;
/// Containers at a time.
const BATCH: usize = 9;

/// What the containers run. Each tells by `ready` that it has done its worst.
const SCRIPTS: [(&str, &str); 9] = [
    ("plain", "echo > ready; exec sleep 1000"),
    (
        "double fork",
        "(sleep 1000 & sleep 1000 &) ; echo > ready; exec sleep 1000",
    ),
    (
        "setsid",
        "setsid sh -c 'sleep 1000 & exec sleep 1000' & echo > ready; wait",
    ),
    (
        "ignores SIGTERM",
        "trap '' TERM INT HUP; echo > ready; while :; do sleep 1000; done",
    ),
    (
        "stops itself",
        "sh -c 'kill -STOP $$' & echo > ready; kill -STOP $$; sleep 1000",
    ),
    (
        "mounts tmpfs",
        "mkdir m; mount -t tmpfs none m; echo > m/a; mount -t tmpfs none /tmp
      echo > ready; exec sleep 1000",
    ),
    (
        "forks in a loop",
        "echo > ready; f() { while :; do sleep 1000 & done; }; f & f &
      exec sleep 1000",
    ),
    (
        "daemon outlives it",
        "setsid sh -c 'trap \"\" TERM; sleep 1000' & echo > ready; exit 3",
    ),
    (
        "own cgroup",
        "for c in memory pids freezer; do
      for d in $(grep :$c: /proc/self/cgroup | cut -d: -f3); do
        mkdir /sys/fs/cgroup/$c$d/own && echo 0 > /sys/fs/cgroup/$c$d/own/cgroup.procs
      done; done; sleep 1000 & echo > ready; wait",
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|first| first.to_str()) {
        Some("contain") => tepui_containerizer::main_contain(&arguments[1..]),
        Some("executor") => tepui_containerizer::main_executor(&arguments[1..]),
        Some("agent") => helper::main_agent(&arguments[1..]),
        // Asked by test runners.
        Some("--list") => {
            println!("containers_leave_nothing: test");
            ExitCode::SUCCESS
        }
        _ => {
            if !nix::unistd::geteuid().is_root() {
                eprintln!("containers_leave_nothing: needs root, to make namespaces and cgroups");
                return ExitCode::FAILURE;
            }
            containers_leave_nothing();
            println!("test containers_leave_nothing ... ok");
            ExitCode::SUCCESS
        }
    }
}

fn containers_leave_nothing() {
    // What hangs fails, instead of holding the tests up.
    let (_done, waited_for) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        let limit = Duration::from_secs(240);
        if waited_for.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            eprintln!("containers_leave_nothing: not done after four minutes");
            std::process::abort();
        }
    });
    let folder = tempfile::tempdir().expect("a folder for the test");
    let root = format!("tepui-test-{}", std::process::id());
    let program = std::env::current_exe().expect("this program");
    let before = Remains::look(&root, &program);

    let mut made = 0;
    let (mut agent, orphans) = Helper::start(folder.path(), &root);
    assert_eq!(orphans, 0);
    while made < DESTROYED {
        let batch: Vec<Container> = (made..(made + BATCH).min(DESTROYED))
            .map(|n| Container::new(folder.path(), n))
            .collect();
        made += batch.len();
        for container in &batch {
            agent.say(&container.launch());
        }
        batch.iter().for_each(Container::wait_until_ready);
        for container in &batch {
            agent.say(&format!("destroy {}", container.id));
        }
        for container in &batch {
            container.check_end(&agent.terminated(&container.id));
        }
    }
    agent.end();

    let mut orphans = 0;
    for n in 0..CUT_SHORT {
        let (mut agent, found) = Helper::start(folder.path(), &root);
        orphans += found;
        let container = Container::new(folder.path(), DESTROYED + n);
        agent.say(&container.launch());
        container.reach_stage(n % 5, &root);
        agent.kill();
    }
    // The last start destroys what the last killed agent left.
    let (agent, found) = Helper::start(folder.path(), &root);
    orphans += found;
    agent.end();
    assert!(
        orphans >= CUT_SHORT * 4 / 5,
        "only {orphans} launches were cut short"
    );

    let left = Remains::left_since(&root, &program, &before);
    assert!(left.is_empty(), "something is left: {}", left.join("\n"));
    let left = std::fs::read_dir(folder.path().join("runtime/containers")).expect("it was made");
    assert_eq!(
        left.count(),
        0,
        "something is left in the runtime directory"
    );
}

struct Container {
    id: String,
    name: &'static str,
    script: &'static str,
    sandbox: PathBuf,
    runtime: PathBuf,
}

impl Container {
    fn new(folder: &Path, number: usize) -> Container {
        let (name, script) = SCRIPTS[number % SCRIPTS.len()];
        let id = format!("c{number}");
        let sandbox = folder.join("sandboxes").join(&id);
        std::fs::create_dir_all(&sandbox).expect("a sandbox");
        let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
        nix::unistd::mkfifo(&sandbox.join("ready"), mode).expect("a fifo");
        let runtime = folder.join("runtime/containers").join(&id);
        Container {
            id,
            name,
            script,
            sandbox,
            runtime,
        }
    }

    fn launch(&self) -> String {
        let script = serde_json::to_string(self.script).expect("a text");
        format!("launch {} {} {script}", self.id, self.sandbox.display())
    }

    fn wait_until_ready(&self) {
        // Opening it waits for the one who writes.
        let told = std::fs::read(self.sandbox.join("ready")).expect("the fifo");
        assert_eq!(told, b"\n", "{}", self.name);
    }

    fn check_end(&self, end: &str) {
        // One ends by itself; whether that or the destroy came first is open.
        let expected = if self.name == "daemon outlives it" {
            ["768 -", "9 -"]
        } else {
            ["9 -"; 2]
        };
        assert!(
            expected.contains(&end),
            "{} ({}) ended as {end:?}",
            self.id,
            self.name
        );
    }

    /// Waits until the launch has come some way.
    fn reach_stage(&self, stage: usize, root: &str) {
        let cgroup = |file: &str| {
            let all = cgroup_mounts().into_iter();
            all.map(|mount| mount.join(root).join(&self.id).join(file))
                .find(|path| path.exists())
        };
        let reached = || match stage {
            0 => true,
            1 => self.runtime.exists(),
            2 => cgroup("").is_some(),
            3 => {
                let tasks = cgroup("tasks").or_else(|| cgroup("leaf/cgroup.procs"));
                tasks.is_some_and(|path| std::fs::read(path).is_ok_and(|text| !text.is_empty()))
            }
            _ => self.runtime.join("init").exists(),
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !reached() {
            assert!(
                Instant::now() < deadline,
                "stage {stage} of the launch is not reached"
            );
            std::thread::yield_now();
        }
    }
}

/// The exit of a helper, told where it is not as wanted.
fn check_exit(status: std::process::ExitStatus, signal: Option<i32>) {
    assert_eq!(
        (status.code(), status.signal()),
        (signal.is_none().then_some(0), signal)
    );
}
