//! Containers in containers: what they share with the one around them, and how they end with it.

use std::path::{Path, PathBuf};

use nix::libc;
use tepui_containerizer::linux::LauncherKind;
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::tepui::containerizer::Launch;

use crate::Test;
use crate::host::{Host, Place, fifo, scalar, shell};
use crate::isolation::{left_in, linux_info, output};

pub(crate) const TESTS: &[Test] = &[
    ("a_nested_container_runs_inside_its_parent", inside),
    ("a_nested_container_sees_its_parent_where_asked", shared_pid),
    (
        "a_nested_container_has_ipc_of_its_own_where_asked",
        private_ipc,
    ),
    ("a_container_is_nested_in_a_nested_one", deeper),
    (
        "a_signal_reaches_the_command_of_a_nested_container",
        signaled,
    ),
    ("a_nested_container_ends_alone", alone),
    ("nested_containers_end_with_their_parent", with_parent),
    (
        "a_parent_that_dies_while_others_are_nested_in_it_ends",
        dies_meanwhile,
    ),
    (
        "no_link_leads_out_of_the_outermost_sandbox",
        hostile_sandbox,
    ),
    ("shared_memory_that_is_used_up_ends_all", shared_memory),
    (
        "a_nested_container_has_cgroups_of_its_own_where_asked",
        own_cgroups,
    ),
    ("what_cannot_be_nested_is_refused", refused),
    ("the_posix_launcher_nests_without_namespaces", posix),
];

const SHARE_PID: &str = r#""share_pid_namespace":true"#;

/// A container that says that it runs, and goes on.
pub(crate) const WAITS: &str = "echo > ready; exec sleep 1000";

pub(crate) fn run(host: &Host, place: &Place, id: &str, script: &str) -> u32 {
    let ready = fifo(&place.sandbox(id));
    let init = host.launch_well(shell(place, id, script));
    std::fs::read(ready).unwrap();
    init
}

fn with(launch: Launch, info: &str) -> Launch {
    Launch {
        container: linux_info(info),
        ..launch
    }
}

fn namespace(pid: u32, name: &str) -> String {
    let path = std::fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap();
    path.display().to_string()
}

pub(crate) fn end(host: &Host, id: &str, status: i32) {
    assert_eq!(host.end(), (id.to_owned(), status));
}

/// The parent is destroyed, and with it nothing is left.
pub(crate) fn finish(host: Host, place: &Place) {
    host.destroy("p");
    end(&host, "p", 9);
    host.stop();
    nothing_left(place);
}

pub(crate) fn nothing_left(place: &Place) {
    assert_eq!(place.remains(), Vec::<PathBuf>::new());
    assert_eq!(left_in(place), 0);
}

fn inside() {
    let place = Place::new();
    let host = Host::start(&place);
    std::fs::create_dir(place.sandbox("p").join("mnt")).unwrap();
    let script = "echo shared > /dev/shm/of-p; mount -t tmpfs none mnt; echo mounted > mnt/file
                  echo > ready; exec sleep 1000";
    let parent = run(&host, &place, "p", script);
    let file = place.sandbox("p").join("mnt/file");
    let script = format!(
        "cat /dev/shm/of-p {}; readlink /proc/self/ns/ipc; echo $GREETING $$; pwd
         ls -d /proc/[0-9]* | wc -l; echo > ready; read line < ready; exit 3",
        file.display()
    );
    let nested = run(&host, &place, "p.c", &script);
    let expected = format!(
        "shared\nmounted\n{}\nhello 2\n{}\n",
        namespace(parent, "ipc"),
        place.sandbox("p.c").display()
    );
    let told = output(&place, "p.c");
    let (told, processes) = told.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(format!("{told}\n"), expected);
    // Its init, its shell, and what counts them.
    assert!(processes.parse::<u32>().unwrap() <= 5, "{processes}");
    assert_eq!(
        parent_of(nested),
        parent,
        "it is the parent's init that reaps it"
    );
    for name in ["pid", "mnt"] {
        assert_ne!(namespace(nested, name), namespace(parent, name), "{name}");
    }
    // What it uses is its parent's, but it can be told apart.
    let processes = |controller: &str, id: &str| {
        let leaf = if Place::is_unified() { "leaf/" } else { "" };
        let file = place.cgroup(controller, id, &format!("{leaf}cgroup.procs"));
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| line == nested.to_string())
    };
    assert!(processes("freezer", "p.c"));
    if !Place::is_unified() {
        for controller in ["cpu", "memory", "pids"] {
            assert!(processes(controller, "p"), "{controller}");
            assert!(
                !place.cgroup(controller, "p.c", "").exists(),
                "{controller}"
            );
        }
    }
    let inspected = host.inspect("p.c");
    assert_eq!(inspected.container_id.to_string(), "p.c");
    let status = inspected.status.unwrap();
    assert_eq!(status.executor_pid, Some(nested));
    assert_eq!(status.container_id.unwrap().to_string(), "p.c");
    std::fs::write(place.sandbox("p.c").join("ready"), "go\n").unwrap();
    end(&host, "p.c", 3 << 8);
    assert!(!place.cgroup("freezer", "p.c", "").exists());
    finish(host, &place);
}

/// As the host sees it.
fn parent_of(pid: u32) -> u32 {
    let process = procfs::process::Process::new(i32::try_from(pid).unwrap()).unwrap();
    u32::try_from(process.stat().unwrap().ppid).unwrap()
}

fn shared_pid() {
    let place = Place::new();
    let host = Host::start(&place);
    let parent = run(&host, &place, "p", WAITS);
    let script = "readlink /proc/self/ns/pid; cat /proc/[0-9]*/comm | grep -c sleep";
    host.launch_well(with(shell(&place, "p.c", script), SHARE_PID));
    end(&host, "p.c", 0);
    assert_eq!(
        output(&place, "p.c"),
        format!("{}\n1\n", namespace(parent, "pid"))
    );
    // Without a namespace of its own its cgroup still leads to all of it, and to nothing else.
    let ready = fifo(&place.sandbox("p.d"));
    let script = "(setsid sleep 1000 &); echo > ready; exec sleep 1000";
    host.launch_well(with(shell(&place, "p.d", script), SHARE_PID));
    std::fs::read(ready).unwrap();
    host.destroy("p.d");
    end(&host, "p.d", 9);
    assert!(Path::new(&format!("/proc/{parent}")).exists());
    assert_eq!(left_in(&place), 1, "the parent's command");
    finish(host, &place);
}

fn private_ipc() {
    let place = Place::new();
    let host = Host::start(&place);
    let script = "echo > /dev/shm/of-p; echo > ready; exec sleep 1000";
    let parent = run(&host, &place, "p", script);
    let script = "ls -A /dev/shm | wc -l; stat -f -c '%b %S' /dev/shm; readlink /proc/self/ns/ipc";
    let private = r#""ipc_mode":"PRIVATE","shm_size":3"#;
    host.launch_well(with(shell(&place, "p.c", script), private));
    end(&host, "p.c", 0);
    let told = output(&place, "p.c");
    let own = told
        .strip_prefix("0\n768 4096\n")
        .expect("a /dev/shm of its own");
    assert!(own.starts_with("ipc:"));
    assert_ne!(own.trim_end(), namespace(parent, "ipc"));
    assert_ne!(own.trim_end(), namespace(std::process::id(), "ipc"));
    finish(host, &place);
}

fn deeper() {
    let place = Place::new();
    let host = Host::start(&place);
    run(&host, &place, "p", WAITS);
    let task = run(&host, &place, "p.c", WAITS);
    // As a check of the task has it.
    let script = "readlink /proc/self/ns/pid; cat /proc/[0-9]*/comm | grep -c sleep";
    host.launch_well(with(shell(&place, "p.c.check", script), SHARE_PID));
    end(&host, "p.c.check", 0);
    let expected = format!("{}\n1\n", namespace(task, "pid"));
    assert_eq!(output(&place, "p.c.check"), expected);
    host.remove("p.c.check");
    let own = run(&host, &place, "p.c.own", WAITS);
    assert_ne!(namespace(own, "pid"), namespace(task, "pid"));
    // Known by four pids: here, in the root's namespace, in the task's, in its own.
    let status = std::fs::read_to_string(format!("/proc/{own}/status")).unwrap();
    let pids = status.lines().find(|line| line.starts_with("NSpid:"));
    assert_eq!(pids.unwrap().split_whitespace().skip(1).count(), 4);
    assert!(place.cgroup("freezer", "p.c.own", "").exists());
    host.destroy("p.c");
    end(&host, "p.c.own", 9);
    end(&host, "p.c", 9);
    finish(host, &place);
}

fn signaled() {
    let place = Place::new();
    let host = Host::start(&place);
    run(&host, &place, "p", WAITS);
    for (id, info) in [("p.c", ""), ("p.d", SHARE_PID)] {
        let ready = fifo(&place.sandbox(id));
        let script = "trap 'exit 5' TERM; echo > ready; read line < ready";
        host.launch_well(with(shell(&place, id, script), info));
        std::fs::read(ready).unwrap();
        host.kill(id, libc::SIGTERM);
        end(&host, id, 5 << 8);
    }
    run(
        &host,
        &place,
        "p.e",
        "trap '' TERM; echo > ready; exec sleep 1000",
    );
    host.kill("p.e", libc::SIGTERM);
    host.kill("p.e", libc::SIGKILL);
    end(&host, "p.e", 9);
    // What an init cannot pass on is for the command, too.
    let init = run(
        &host,
        &place,
        "p.f",
        "echo > ready; read line < ready; exit 3",
    );
    let state = || {
        let all = procfs::process::all_processes().unwrap();
        let stats = all.filter_map(|process| process.ok()?.stat().ok());
        let command = stats.filter(|stat| u32::try_from(stat.ppid) == Ok(init));
        command.last().map(|stat| stat.state)
    };
    for (signal, expected) in [(libc::SIGSTOP, 'T'), (libc::SIGCONT, 'S')] {
        host.kill("p.f", signal);
        let began = std::time::Instant::now();
        while state() != Some(expected) {
            assert!(began.elapsed().as_secs() < 30, "{:?}", state());
            std::thread::yield_now();
        }
    }
    std::fs::write(place.sandbox("p.f").join("ready"), "go\n").unwrap();
    end(&host, "p.f", 3 << 8);
    // Nobody is there any more.
    host.kill("p.e", libc::SIGTERM);
    host.kill("p.unknown", libc::SIGTERM);
    finish(host, &place);
}

fn alone() {
    let place = Place::new();
    let host = Host::start(&place);
    let parent = run(&host, &place, "p", WAITS);
    run(
        &host,
        &place,
        "p.c",
        "(setsid sleep 1000 &); (setsid sleep 1000 &); echo > ready; exec sleep 1000",
    );
    run(&host, &place, "p.d", WAITS);
    host.destroy("p.c");
    end(&host, "p.c", 9);
    assert_eq!(left_in(&place), 2, "the two others");
    assert!(Path::new(&format!("/proc/{parent}")).exists());
    assert!(place.runtime("p.c").join("termination").exists());
    let again = host.launch(shell(&place, "p.c", "true")).error;
    assert_eq!(again.as_deref(), Some("Container already started"));
    // What cannot be launched is not remembered.
    let mut launch = shell(&place, "p.e", "true");
    launch.user = Some("nobody-of-that-name".to_owned());
    let error = host.launch(launch).error.unwrap();
    assert!(error.contains("no such user"), "{error}");
    assert!(!place.runtime("p.e").exists());
    host.destroy("p.d");
    end(&host, "p.d", 9);
    finish(host, &place);
}

fn with_parent() {
    let place = Place::new();
    let host = Host::start(&place);
    run(&host, &place, "p", WAITS);
    run(&host, &place, "p.c", WAITS);
    run(&host, &place, "p.c.a", WAITS);
    run(&host, &place, "p.d", WAITS);
    host.destroy("p");
    let mut ends = [host.end(), host.end(), host.end(), host.end()].map(|(id, status)| {
        assert_eq!(status, 9);
        id
    });
    assert_eq!(ends[3], "p", "itself comes last: {ends:?}");
    ends.sort();
    assert_eq!(ends, ["p", "p.c", "p.c.a", "p.d"]);
    assert_eq!(left_in(&place), 0);
    // With its command nested ones end, too.
    let ready = place.sandbox("q").join("ready");
    run(
        &host,
        &place,
        "q",
        "echo > ready; read line < ready; exit 4",
    );
    run(&host, &place, "q.c", WAITS);
    std::fs::write(ready, "go\n").unwrap();
    end(&host, "q.c", 9);
    end(&host, "q", 4 << 8);
    host.stop();
    nothing_left(&place);
}

fn hostile_sandbox() {
    let place = Place::new();
    let host = Host::start(&place);
    run(&host, &place, "p", WAITS);
    let elsewhere = place.folder.path().join("elsewhere");
    std::fs::create_dir_all(elsewhere.join("c")).unwrap();
    let sandbox = place.sandbox("p");
    let nested = sandbox.join("containers").join("c");
    let launch = || Launch {
        directory: nested.display().to_string(),
        user: Some("nobody".to_owned()),
        ..shell(&place, "p.c", "echo told")
    };
    let error = |what: &str| {
        let error = host.launch(launch()).error.unwrap();
        assert!(error.contains(what), "{error}");
    };
    // In place of the folder of them all.
    std::os::unix::fs::symlink(&elsewhere, sandbox.join("containers")).unwrap();
    error("Too many levels of symbolic links");
    std::fs::remove_file(sandbox.join("containers")).unwrap();
    // In place of its own.
    std::fs::create_dir(sandbox.join("containers")).unwrap();
    std::os::unix::fs::symlink(elsewhere.join("c"), &nested).unwrap();
    error("Too many levels of symbolic links");
    std::fs::remove_file(&nested).unwrap();
    // In place of its output: a pipe that nobody reads, and a file that is somebody else's.
    std::fs::create_dir(&nested).unwrap();
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
    nix::unistd::mkfifo(&nested.join("stdout"), mode).unwrap();
    error("No such device or address");
    std::fs::remove_file(nested.join("stdout")).unwrap();
    let secret = elsewhere.join("secret");
    std::fs::write(&secret, "secret\n").unwrap();
    std::fs::hard_link(&secret, nested.join("stderr")).unwrap();
    error("it is no file of this sandbox alone");
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&secret).unwrap());
    assert_eq!(owner, 0);
    std::fs::remove_file(nested.join("stderr")).unwrap();
    assert_eq!(std::fs::read_dir(elsewhere.join("c")).unwrap().count(), 0);
    host.launch_well(launch());
    end(&host, "p.c", 0);
    assert_eq!(
        std::fs::read_to_string(nested.join("stdout")).unwrap(),
        "told\n"
    );
    finish(host, &place);
}

fn dies_meanwhile() {
    let place = Place::new();
    let host = Host::start(&place);
    for round in 0..20_u64 {
        let parent = format!("p{round}");
        let init = run(&host, &place, &parent, WAITS);
        let nested: Vec<String> = (0..4).map(|number| format!("{parent}.c{number}")).collect();
        for id in &nested {
            host.launch_later(shell(&place, id, "sleep 1000"));
        }
        // Each time a little further on its way.
        let until = std::time::Instant::now() + std::time::Duration::from_micros(500 * round);
        while std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        let init = nix::unistd::Pid::from_raw(i32::try_from(init).unwrap());
        nix::sys::signal::kill(init, nix::sys::signal::Signal::SIGKILL).unwrap();
        // Every launch is answered; those that succeeded end, and itself does last.
        let launched = nested.iter().map(|_| host.launched());
        let ran = launched.filter(|launched| launched.error.is_none()).count();
        let ends: Vec<String> = (0..=ran).map(|_| host.end().0).collect();
        assert_eq!(ends.last(), Some(&parent), "{ends:?}");
    }
    host.stop();
    nothing_left(&place);
}

/// A command that takes more than its memory when it is told to.
const GREEDY: &str = "echo > ready; read line < ready; tail -n 1 /dev/zero; exec sleep 1000";

fn shared_memory() {
    let place = Place::new();
    let host = Host::start(&place);
    run(&host, &place, "p", WAITS);
    run(&host, &place, "p.c", GREEDY);
    run(&host, &place, "p.d", WAITS);
    std::fs::write(place.sandbox("p.c").join("ready"), "go\n").unwrap();
    let mut ended = Vec::new();
    for _ in 0..3 {
        let terminated = host.terminated();
        let id = terminated.container_id.to_string();
        assert_eq!(
            terminated.reason(),
            Reason::ContainerLimitationMemory,
            "{id}"
        );
        ended.push(id);
    }
    assert_eq!(ended[2], "p");
    host.stop();
    nothing_left(&place);
}

fn own_cgroups() {
    let place = Place::new();
    let host = Host::start(&place);
    let mut parent = shell(&place, "p", WAITS);
    parent.resources = vec![scalar("cpus", 1.0), scalar("mem", 256.0)];
    let ready = fifo(&place.sandbox("p"));
    host.launch_well(parent);
    std::fs::read(ready).unwrap();
    let own = r#""share_cgroups":false"#;
    let ready = fifo(&place.sandbox("p.c"));
    host.launch_well(with(shell(&place, "p.c", GREEDY), own));
    std::fs::read(&ready).unwrap();
    let file = match Place::is_unified() {
        true => "memory.max",
        false => "memory.limit_in_bytes",
    };
    let limit = std::fs::read_to_string(place.cgroup("memory", "p.c", file)).unwrap();
    assert_eq!(limit.trim(), (64 << 20).to_string());
    let statistics = host.inspect("p.c").statistics.unwrap();
    assert!(statistics.mem_total_bytes.is_some());
    // What is nested in it shares with it, not with the outermost.
    let inner = run(&host, &place, "p.c.a", WAITS);
    let leaf = if Place::is_unified() { "leaf/" } else { "" };
    let procs = match Place::is_unified() {
        true => place.cgroup("memory", "p.c.a", &format!("{leaf}cgroup.procs")),
        false => place.cgroup("memory", "p.c", "cgroup.procs"),
    };
    let procs = std::fs::read_to_string(procs).unwrap();
    assert!(procs.lines().any(|line| line == inner.to_string()));
    std::fs::write(&ready, "go\n").unwrap();
    for id in ["p.c.a", "p.c"] {
        let terminated = host.terminated();
        assert_eq!(terminated.container_id.to_string(), id);
        assert_eq!(
            terminated.reason(),
            Reason::ContainerLimitationMemory,
            "{id}"
        );
    }
    host.stop();
    // That is remembered, too.
    let host = Host::start(&place);
    assert_eq!(host.recover(&place, &["p"]).alive.len(), 1);
    for _ in 0..2 {
        assert_eq!(
            host.terminated().reason(),
            Reason::ContainerLimitationMemory
        );
    }
    finish(host, &place);
}

fn refused() {
    let place = Place::new();
    let host = Host::start(&place);
    let error = |id: &str, info: &str| {
        host.launch(with(shell(&place, id, "true"), info))
            .error
            .unwrap()
    };
    assert_eq!(error("p.c", ""), "Parent container p does not exist");
    run(&host, &place, "p", WAITS);
    assert_eq!(error("p.c.a", ""), "Parent container p.c does not exist");
    host.launch_well(shell(&place, "p.c", "true"));
    end(&host, "p.c", 0);
    assert_eq!(error("p.c.a", ""), "Parent container p.c does not exist");
    assert_eq!(
        error("p.d.a", r#""share_cgroups":false"#),
        "2nd level or greater nested cgroups are not supported"
    );
    finish(host, &place);
}

fn posix() {
    let place = Place {
        launcher: LauncherKind::Posix,
        ..Place::new()
    };
    let host = Host::start(&place);
    let parent = run(&host, &place, "p", WAITS);
    let nested = run(
        &host,
        &place,
        "p.c",
        "(setsid sleep 1000 &); echo > ready; exec sleep 1000",
    );
    assert_eq!(namespace(nested, "pid"), namespace(parent, "pid"));
    run(
        &host,
        &place,
        "p.d",
        "trap 'exit 5' TERM; echo > ready; read line < ready",
    );
    host.kill("p.d", libc::SIGTERM);
    end(&host, "p.d", 5 << 8);
    let own = with(shell(&place, "p.e", "true"), r#""share_cgroups":false"#);
    let error = host.launch(own).error.unwrap();
    assert!(
        error.ends_with("share_cgroups=false needs the linux launcher"),
        "{error}"
    );
    host.stop();
    let host = Host::start(&place);
    let alive = host.recover(&place, &["p"]).alive.len();
    assert_eq!(alive, 2);
    end(&host, "p.d", 5 << 8);
    host.destroy("p");
    end(&host, "p.c", 9);
    end(&host, "p", 9);
    host.stop();
    // What this launcher kills beside the inits may take a moment to die.
    let began = std::time::Instant::now();
    while left_in(&place) > 0 && began.elapsed().as_secs() < 30 {
        std::thread::yield_now();
    }
    nothing_left(&place);
}
