//! An agent on a file system that fills up, of the kernel's own: what cannot be kept is neither
//! acknowledged nor told, it is said in the log, and told once there is room. Needs root.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use tepui_integration::{Cluster, Subscription, command_task};

/// A small file system in memory; unmounted when it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn at(path: PathBuf) -> Mounted {
        fs::create_dir_all(&path).expect("a folder to mount at");
        let (source, options) = (Some("tepui-test"), Some("size=8m"));
        mount(source, &path, Some("tmpfs"), MsFlags::empty(), options)
            .unwrap_or_else(|error| panic!("a tmpfs at {}: {error}", path.display()));
        Mounted(path)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// The file of a task, wherever its sandbox is below the work_dir.
fn in_sandbox(work_dir: &Path, task: &str, name: &str) -> PathBuf {
    let agents = work_dir.join("slaves/latest/frameworks");
    let frameworks = fs::read_dir(&agents).expect("frameworks");
    let mut runs = frameworks.flatten().map(|framework| {
        let executor = framework.path().join("executors").join(task);
        executor.join("runs/latest").join(name)
    });
    let found = runs.find(|path| path.exists());
    found.unwrap_or_else(|| panic!("no {name} of {task} below {}", agents.display()))
}

fn state_of(cluster: &Cluster, task: &str) -> Value {
    let raw = tepui_integration::raw::Request::new("GET", "/tasks");
    let answer = raw.send(cluster.address());
    let tasks: Value = serde_json::from_str(&answer.body).expect("JSON");
    let tasks = tasks["tasks"].as_array().expect("tasks").iter();
    let mut found = tasks.filter(|found| found["id"] == task);
    found.next().expect("the task")["state"].clone()
}

#[test]
fn an_update_that_a_full_disk_does_not_keep_is_said_and_told_later() {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms"]);
    let work_dir = cluster.work_dir(0);
    let mounted = Mounted::at(work_dir.clone());
    cluster.add_agent(&["--resources=cpus:4;mem:4096;disk:0;ports:[]"]);
    let info = json!({
        "user": "root", "name": "full", "checkpoint": true,
        "capabilities": [{"type": "TASK_KILLING_STATE"}],
    });
    let mut framework = Subscription::open(cluster.address(), &info);
    let outside = tempfile::tempdir().expect("a folder");
    let (go, full) = (outside.path().join("go"), outside.path().join("full"));
    for fifo in [&go, &full] {
        mkfifo(fifo, Mode::from_bits_truncate(0o600)).expect("a fifo");
    }

    // With its long name the updates of this one outgrow the last page that its file has.
    let victim = "v".repeat(250);
    let filler = format!(
        "cat {}; cat /dev/zero > fill; echo > {}; sleep 1000",
        go.display(),
        full.display()
    );
    for (name, command) in [(victim.as_str(), "sleep 1000"), ("filler", &filler)] {
        let offer = framework.offer(|_| true);
        framework.launch(&offer, vec![command_task(name, command, 0.1, 32.0)]);
        framework.state(name, "TASK_RUNNING");
    }
    // Not before all that was told so far is kept.
    fs::write(&go, "go").expect("the filler listens");
    fs::read(&full).expect("the disk fills up");
    framework.kill(&victim);
    let said = cluster.agents[0].wait_for("that the disk is full", |line| {
        line.contains("the disk is full") && line.contains(&format!("updates of {victim}"))
    });
    assert!(
        said.contains("ERROR") && said.contains("No space left on device"),
        "{said}"
    );
    assert_ne!(state_of(&cluster, &victim), "TASK_KILLED");
    fs::remove_file(in_sandbox(&work_dir, "filler", "fill")).expect("room is made");
    let status = framework.state(&victim, "TASK_KILLED");
    assert_eq!(status["source"], "SOURCE_EXECUTOR", "{status:#}");
    // It goes on as if nothing had been.
    let offer = framework.offer(|_| true);
    framework.launch(&offer, vec![command_task("next", "exit 0", 0.1, 32.0)]);
    framework.state("next", "TASK_FINISHED");

    framework.teardown();
    framework.wait_for_end();
    cluster.wait_until_empty();
    let agent = cluster.agents.remove(0);
    agent.signal(Signal::SIGTERM);
    let (status, lines) = agent.finish();
    assert!(status.success(), "{status}: {lines:#?}");
    drop(mounted);
    cluster.stop();
}
