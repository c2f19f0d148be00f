//! What a container sees, what it is limited to, and how its end is told.

use tepui_containerizer::linux::{ContainerizerError, LauncherKind};
use tepui_protocol::mesos::v1::{CommandInfo, ContainerId, value};
use tepui_protocol::tepui::containerizer::Update;

use crate::Test;
use crate::host::{Host, Place, fifo, scalar, shell};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_container_has_its_own_view_and_its_status_is_told",
        own_view,
    ),
    ("a_container_runs_as_its_user", user),
    ("output_is_appended", output),
    ("limits_are_in_the_cgroups_and_follow_updates", limits),
    (
        "a_request_for_cpus_is_a_quota_where_that_is_asked_for",
        quota,
    ),
    ("resource_limits_are_set", rlimits),
    ("too_many_processes_are_refused_to_it", pids),
    ("a_fork_bomb_is_contained_and_can_be_destroyed", fork_bomb),
    ("what_cannot_be_launched_leaves_nothing", failures),
    ("a_command_that_is_not_there_ends_with_1", no_command),
    ("a_destroyed_container_is_told_of_once", destroy),
    (
        "a_destroy_that_takes_too_long_is_given_up_and_said_so",
        destroy_in_vain,
    ),
    ("a_cgroups_root_has_one_owner", one_owner),
    ("containers_survive_the_role_that_makes_them", role_killed),
    ("the_posix_launcher_kills_a_whole_tree", posix),
];

fn own_view() {
    let place = Place::new();
    let host = Host::start(&place);
    let script = "echo $GREETING $$; pwd; readlink /proc/1/exe >&2; echo $PATH; exit 3";
    host.launch_well(shell(&place, "c", script));
    assert_eq!(host.status(), 3 << 8);
    let sandbox = place.sandbox("c");
    let expected = format!(
        "hello 2\n{}\n/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
        sandbox.display()
    );
    assert_eq!(
        std::fs::read_to_string(sandbox.join("stdout")).unwrap(),
        expected
    );
    let init = std::fs::read_to_string(sandbox.join("stderr")).unwrap();
    let this = std::fs::read_link("/proc/self/exe").unwrap();
    assert_eq!(init.trim_end(), this.display().to_string());
    host.stop();
    assert_eq!(place.remains(), Vec::<std::path::PathBuf>::new());
}

fn user() {
    let place = Place::new();
    let host = Host::start(&place);
    let sandbox = place.sandbox("c");
    let mut launch = shell(&place, "c", "id -un; id -gn; id -Gn; echo mine > stdout");
    launch.user = Some("nobody".to_owned());
    host.launch_well(launch);
    assert_eq!(host.status(), 0, "stdout is its own");
    let owner =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(sandbox.join("stdout")).unwrap());
    assert_eq!(
        owner,
        nix::unistd::User::from_name("nobody")
            .unwrap()
            .unwrap()
            .uid
            .as_raw()
    );
    assert_eq!(
        std::fs::read_to_string(sandbox.join("stdout")).unwrap(),
        "mine\n"
    );
    host.stop();
}

fn output() {
    let place = Place::new();
    let host = Host::start(&place);
    let stdout = place.sandbox("c").join("stdout");
    std::fs::write(&stdout, "before\n").unwrap();
    host.launch_well(shell(&place, "c", "echo after"));
    assert_eq!(host.status(), 0);
    assert_eq!(std::fs::read_to_string(stdout).unwrap(), "before\nafter\n");
    // A link of the sandbox's owner leads nowhere.
    let target = place.folder.path().join("target");
    std::os::unix::fs::symlink(&target, place.sandbox("d").join("stdout")).unwrap();
    let error = host.launch(shell(&place, "d", "echo")).error.unwrap();
    assert!(error.contains("failed to open"), "{error}");
    assert!(!target.exists());
    host.stop();
}

fn limits() {
    let place = Place::new();
    let host = Host::start(&place);
    let ready = fifo(&place.sandbox("c"));
    host.launch_well(shell(&place, "c", "echo > ready; exec sleep 1000"));
    std::fs::read(ready).unwrap();
    let read = |controller: &str, file: &str| {
        let text = std::fs::read_to_string(place.cgroup(controller, "c", file)).unwrap();
        text.trim().to_owned()
    };
    let mem = |megabytes: u64| (megabytes << 20).to_string();
    // Shares, quota, soft and hard limit of memory.
    let all = || {
        if Place::is_unified() {
            let names = ["cpu.weight", "cpu.max", "memory.low", "memory.max"];
            names.map(|file| read("", file))
        } else {
            [
                read("cpu", "cpu.shares"),
                read("cpu", "cpu.cfs_quota_us"),
                read("memory", "memory.soft_limit_in_bytes"),
                read("memory", "memory.limit_in_bytes"),
            ]
        }
    };
    let cpu = |version1: [&str; 2], version2: [&str; 2]| {
        if Place::is_unified() {
            version2.map(str::to_owned)
        } else {
            version1.map(str::to_owned)
        }
    };
    let [shares, quota] = cpu(["512", "-1"], ["50", "max 100000"]);
    assert_eq!(all(), [shares, quota, mem(64), mem(64)]);
    assert_eq!(read("pids", "pids.max"), "4096");
    for controller in ["cpu", "cpuacct", "memory", "pids", "freezer"] {
        let leaf = if Place::is_unified() { "leaf/" } else { "" };
        let processes = read(controller, &format!("{leaf}cgroup.procs"));
        assert_eq!(processes.lines().count(), 2, "{controller}");
    }
    let update = |cpus: f64, mem: f64| Update {
        container_id: ContainerId::top("c"),
        resources: vec![scalar("cpus", cpus), scalar("mem", mem)],
        limits: [("cpus".to_owned(), value::Scalar { value: 2.0 })].into(),
    };
    host.update(update(1.0, 128.0));
    let [shares, quota] = cpu(["1024", "200000"], ["100", "200000 100000"]);
    assert_eq!(all(), [shares.clone(), quota.clone(), mem(128), mem(128)]);
    host.update(update(1.0, 64.0));
    assert_eq!(
        all(),
        [shares, quota, mem(64), mem(128)],
        "a hard limit is never lowered"
    );
    host.destroy("c");
    assert_eq!(host.status(), 9);
    host.stop();
}

fn quota() {
    let place = Place {
        adjust: |options| options.cgroups_enable_cfs = true,
        ..Place::new()
    };
    let host = Host::start(&place);
    let ready = fifo(&place.sandbox("c"));
    host.launch_well(shell(&place, "c", "echo > ready; exec sleep 1000"));
    std::fs::read(ready).unwrap();
    let (file, expected) = if Place::is_unified() {
        ("cpu.max", "50000 100000\n")
    } else {
        ("cpu.cfs_quota_us", "50000\n")
    };
    let quota = std::fs::read_to_string(place.cgroup("cpu", "c", file)).unwrap();
    assert_eq!(quota, expected);
    host.destroy("c");
    assert_eq!(host.status(), 9);
    host.stop();
}

fn rlimits() {
    let place = Place::new();
    let before = std::fs::read_to_string("/proc/self/limits").unwrap();
    let host = Host::start(&place);
    // An agent that raised its own limit of open files does not hand that down.
    host.launch_well(shell(&place, "d", "exec cat /proc/self/limits"));
    assert_eq!(host.status(), 0);
    let output = std::fs::read_to_string(place.sandbox("d").join("stdout")).unwrap();
    let files = "Max open files";
    assert_eq!(numbers_of(&output, files), numbers_of(&before, files));
    // Every kind there is, with what the kernel calls it.
    let kinds = [
        ("AS", "Max address space", 1 << 30),
        ("CORE", "Max core file size", 4096),
        ("CPU", "Max cpu time", 100),
        ("DATA", "Max data size", 1 << 30),
        ("FSIZE", "Max file size", 1 << 20),
        ("LOCKS", "Max file locks", 17),
        ("MEMLOCK", "Max locked memory", 8192),
        ("MSGQUEUE", "Max msgqueue size", 8192),
        ("NICE", "Max nice priority", 3),
        ("NOFILE", "Max open files", 17),
        ("NPROC", "Max processes", 1000),
        ("RSS", "Max resident set", 1 << 20),
        ("RTPRIO", "Max realtime priority", 3),
        ("RTTIME", "Max realtime timeout", 1000),
        ("SIGPENDING", "Max pending signals", 100),
        ("STACK", "Max stack size", 1 << 20),
    ];
    // Root itself may not raise limits on every host.
    let own = std::fs::read_to_string("/proc/self/limits").unwrap();
    let kinds = kinds.map(|(kind, name, soft): (&str, &str, u64)| {
        let hard = numbers_of(&own, name)[1].parse().unwrap_or(u64::MAX);
        let hard = hard.min(soft + 4096);
        (kind, name, [soft.min(hard), hard])
    });
    let rlimits: Vec<String> = kinds
        .iter()
        .map(|(kind, _, [soft, hard])| {
            format!("{{\"type\":\"RLMT_{kind}\",\"soft\":{soft},\"hard\":{hard}}}")
        })
        .collect();
    let container = format!(
        "{{\"type\":\"MESOS\",\"rlimit_info\":{{\"rlimits\":[{}]}}}}",
        rlimits.join(",")
    );
    let mut launch = shell(&place, "c", "exec cat /proc/self/limits");
    launch.container = Some(tepui_protocol::json::from_slice(container.as_bytes()).unwrap());
    host.launch_well(launch);
    let status = host.status();
    let stderr = std::fs::read_to_string(place.sandbox("c").join("stderr")).unwrap();
    assert_eq!((status, stderr.as_str()), (0, ""));
    let output = std::fs::read_to_string(place.sandbox("c").join("stdout")).unwrap();
    for (kind, name, limits) in kinds {
        let expected = limits.map(|limit| limit.to_string());
        assert_eq!(numbers_of(&output, name), expected, "{kind}");
    }
    host.stop();
}

/// Soft and hard limit from `/proc/<pid>/limits`.
fn numbers_of<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line[name.len()..].split_whitespace().take(2).collect()
}

fn pids() {
    let place = Place::new();
    let options = place.options();
    assert_eq!(options.pids_max, Some(4096));
    let host = Host::start(&place);
    let ready = fifo(&place.sandbox("c"));
    let script = "echo 20 > $CGROUP/pids.max; (for n in $(seq 50); do sleep 1000 & done)
                  echo > ready; exec sleep 1000";
    let cgroup = place.cgroup("pids", "c", "").display().to_string();
    let mut launch = shell(&place, "c", script);
    launch.command.environment = Some(crate::host::environment(&[("CGROUP", &cgroup)]));
    host.launch_well(launch);
    std::fs::read(ready).unwrap();
    let count = std::fs::read_to_string(place.cgroup("pids", "c", "pids.current")).unwrap();
    assert!(count.trim().parse::<u32>().unwrap() <= 20, "{count}");
    host.destroy("c");
    assert_eq!(host.status(), 9);
    host.stop();
}

fn fork_bomb() {
    let place = Place {
        adjust: |options| options.pids_max = Some(200),
        ..Place::new()
    };
    let host = Host::start(&place);
    // Its first shell forks but once, so that it is not the one that cannot any more.
    let mut launch = shell(
        &place,
        "c",
        "bomb() { bomb | bomb & }; (bomb) & exec sleep 1000",
    );
    launch.resources = vec![scalar("cpus", 0.5), scalar("mem", 512.0)];
    host.launch_well(launch);
    let refused = place.cgroup("pids", "c", "pids.events");
    while !std::fs::read_to_string(&refused)
        .unwrap()
        .lines()
        .any(|line| {
            let count = line.strip_prefix("max ");
            count.is_some_and(|count| count != "0")
        })
    {
        std::thread::yield_now();
    }
    let count = std::fs::read_to_string(place.cgroup("pids", "c", "pids.current")).unwrap();
    assert!(count.trim().parse::<u32>().unwrap() <= 200, "{count}");
    host.destroy("c");
    assert_eq!(host.status(), 9);
    host.stop();
    assert_eq!(place.remains(), Vec::<std::path::PathBuf>::new());
}

fn failures() {
    let place = Place::new();
    let host = Host::start(&place);
    let error = |launch| host.launch(launch).error.unwrap();
    let mut unknown = shell(&place, "c", "true");
    unknown.user = Some("nobody-of-this-name".to_owned());
    assert_eq!(error(unknown), "no such user 'nobody-of-this-name'");
    let mut nowhere = shell(&place, "c", "true");
    nowhere.directory = "/nowhere/at/all".to_owned();
    assert!(error(nowhere).contains("failed to open '/nowhere/at/all'"));
    let mut image = shell(&place, "c", "true");
    let container =
        b"{\"type\":\"MESOS\",\"volumes\":[{\"mode\":\"RW\",\"container_path\":\"a\"}]}";
    image.container = Some(tepui_protocol::json::from_slice(container).unwrap());
    assert_eq!(error(image), "not supported: container.volumes");
    let ready = fifo(&place.sandbox("c"));
    host.launch_well(shell(&place, "c", "echo > ready; exec sleep 1000"));
    std::fs::read(ready).unwrap();
    assert_eq!(
        error(shell(&place, "c", "true")),
        "Container already started"
    );
    host.destroy("c");
    assert_eq!(host.status(), 9, "it was not touched");
    host.stop();
    assert_eq!(place.remains(), Vec::<std::path::PathBuf>::new());
}

fn no_command() {
    let place = Place::new();
    let host = Host::start(&place);
    let mut launch = shell(&place, "c", "");
    launch.command = CommandInfo {
        shell: Some(false),
        value: Some("no-such-program".to_owned()),
        ..CommandInfo::default()
    };
    host.launch_well(launch);
    assert_eq!(host.status(), 1 << 8);
    let stderr = std::fs::read_to_string(place.sandbox("c").join("stderr")).unwrap();
    let expected = "Failed to start the command: failed to execute 'no-such-program': \
                    No such file or directory (os error 2)\n";
    assert_eq!(stderr, expected);
    host.stop();
}

fn destroy() {
    let place = Place::new();
    let host = Host::start(&place);
    host.destroy("never-there");
    let ready = fifo(&place.sandbox("c"));
    host.launch_well(shell(
        &place,
        "c",
        "trap '' TERM; echo > ready; while :; do sleep 1; done",
    ));
    std::fs::read(ready).unwrap();
    host.destroy("c");
    host.destroy("c");
    assert_eq!(host.status(), 9);
    // The same id may be used again, and the next to be told of is that one.
    host.launch_well(shell(&place, "c", "exit 5"));
    assert_eq!(host.status(), 5 << 8);
    host.stop();
}

fn one_owner() {
    let place = Place::new();
    let host = Host::start(&place);
    let error = Host::try_start(&place).err().expect("the root is taken");
    assert!(matches!(error, ContainerizerError::Launcher(_)));
    let expected = format!(
        "cgroups root '{}' cannot be taken: another agent runs with it (--cgroups_root names \
         another)",
        place.root
    );
    assert_eq!(error.to_string(), expected);
    // With the same runtime folder, but not with the same cgroups, it would destroy the first
    // one's containers as orphans.
    let mut elsewhere = place.options();
    elsewhere.launcher = Some(LauncherKind::Posix);
    let error = Host::with(elsewhere).err().expect("the folder is taken");
    assert!(
        error
            .to_string()
            .ends_with("cannot be taken: another agent runs with it (--runtime_dir names another)"),
        "{error}"
    );
    // Who does not come to run leaves no cgroup.
    let other = Place {
        root: format!("{}-other", place.root),
        ..Place::new()
    };
    let mut options = other.options();
    options.runtime_dir = place.options().runtime_dir;
    let error = Host::with(options).err().expect("the folder is taken");
    assert!(error.to_string().contains("--runtime_dir"), "{error}");
    assert!(!other.cgroup("freezer", "", "").exists());
    host.stop();
    Host::start(&place).stop();
    let above = Place {
        root: "../x".to_owned(),
        ..Place::new()
    };
    let error = Host::try_start(&above)
        .err()
        .expect("it is above the hierarchy");
    assert_eq!(
        error.to_string(),
        "cgroups root '../x' must be a relative path of plain names"
    );
}

fn destroy_in_vain() {
    // With version 2 of the cgroups even what is frozen dies at once.
    if Place::is_unified() {
        println!("left out, with version 2 of the cgroups:");
        return;
    }
    let place = Place {
        adjust: |options| {
            options.cgroups_destroy_timeout = std::time::Duration::from_millis(100);
        },
        ..Place::new()
    };
    let host = Host::start(&place);
    let ready = fifo(&place.sandbox("c"));
    host.launch_well(shell(&place, "c", "echo > ready; exec sleep 1000"));
    std::fs::read(ready).unwrap();
    // What somebody froze from above does not die.
    let above = place.cgroup("freezer", "", "freezer.state");
    std::fs::write(&above, "FROZEN").unwrap();
    let began = std::time::Instant::now();
    host.destroy("c");
    let error = host.terminated_badly();
    assert!(
        error.starts_with("failed to kill all processes in the container: {"),
        "{error}"
    );
    assert!(began.elapsed() < std::time::Duration::from_secs(30));
    host.stop();
    std::fs::write(&above, "THAWED").unwrap();
    let host = Host::start(&place);
    assert_eq!(host.recover(&place, &[]).error, None);
    host.stop();
    assert_eq!(place.remains(), Vec::<std::path::PathBuf>::new());
}

fn role_killed() {
    let place = Place::new();
    let host = Host::start(&place);
    let ready = fifo(&place.sandbox("c"));
    let script = "echo > ready; read line < ready; exit 6";
    host.launch_well(shell(&place, "c", script));
    std::fs::read(&ready).unwrap();
    let roles: Vec<i32> = procfs::process::all_processes()
        .unwrap()
        .filter_map(|process| {
            let process = process.ok()?;
            let stat = process.stat().ok()?;
            let ours = stat.ppid == i32::try_from(std::process::id()).ok()?;
            let role = process.cmdline().ok()?.get(1)? == "contain";
            // The container's init is our child, too, and leads a session.
            (ours && role && stat.session != stat.pid).then_some(stat.pid)
        })
        .collect();
    assert_eq!(roles.len(), 1, "one for all containers");
    let killed = nix::unistd::Pid::from_raw(roles[0]);
    nix::sys::signal::kill(killed, nix::sys::signal::Signal::SIGKILL).unwrap();
    host.launch_well(shell(&place, "d", "exit 5"));
    assert_eq!(host.status(), 5 << 8);
    std::fs::write(&ready, "go\n").unwrap();
    assert_eq!(host.status(), 6 << 8);
    host.stop();
    assert_eq!(place.remains(), Vec::<std::path::PathBuf>::new());
}

fn posix() {
    let place = Place {
        launcher: LauncherKind::Posix,
        ..Place::new()
    };
    let host = Host::start(&place);
    let ready = fifo(&place.sandbox("c"));
    let script = "setsid sh -c 'sleep 1000 & kill -STOP $$' & (sleep 1000 &)
                  echo > ready; exec sleep 1000";
    let init = host.launch_well(shell(&place, "c", script));
    std::fs::read(ready).unwrap();
    host.destroy("c");
    assert_eq!(host.status(), 9);
    assert!(!std::path::Path::new(&format!("/proc/{init}")).exists());
    // What a command leaves behind ends with it.
    host.launch_well(shell(&place, "d", "(setsid sleep 1000 &); exit 4"));
    assert_eq!(host.status(), 4 << 8);
    host.stop();
    let sandboxes = place.folder.path().join("sandboxes");
    let inside = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            std::fs::read_link(entry.path().join("cwd"))
                .is_ok_and(|cwd| cwd.starts_with(&sandboxes))
        });
    assert_eq!(inside.count(), 0, "a process still has its sandbox");
}
