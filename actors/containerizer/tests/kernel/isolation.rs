//! What containers are isolated in follows the isolators that are named, and the launcher.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use tepui_containerizer::Isolation;
use tepui_containerizer::linux::LauncherKind;

use crate::Test;
use crate::host::{Host, Place, fifo, shell};

pub(crate) const TESTS: &[Test] = &[
    ("shared_memory_is_private_and_limited", shared_memory),
    ("namespaces_of_the_agent_are_shared_where_asked", shared),
    ("only_the_isolators_that_are_named_are_in_force", named_only),
    ("swap_is_limited_where_the_host_can", swap),
    ("the_posix_launcher_needs_no_root", without_root),
];

pub(crate) fn linux_info(text: &str) -> Option<tepui_protocol::mesos::v1::ContainerInfo> {
    let text = format!("{{\"type\":\"MESOS\",\"linux_info\":{{{text}}}}}");
    Some(tepui_protocol::json::from_slice(text.as_bytes()).unwrap())
}

pub(crate) fn output(place: &Place, id: &str) -> String {
    std::fs::read_to_string(place.sandbox(id).join("stdout")).unwrap()
}

fn shared_memory() {
    let place = Place::new();
    let host = Host::start(&place);
    let script = "ls -A /dev/shm | wc -l; stat -f -c '%b %S' /dev/shm; stat -c %a /dev/shm
                  echo x > /dev/shm/of-the-container";
    let mut launch = shell(&place, "c", script);
    launch.container = linux_info(r#""ipc_mode":"PRIVATE","shm_size":3"#);
    host.launch_well(launch);
    assert_eq!(host.status(), 0);
    assert_eq!(output(&place, "c"), "0\n768 4096\n1777\n");
    assert!(!std::path::Path::new("/dev/shm/of-the-container").exists());
    let mut launch = shell(&place, "d", "true");
    launch.container = linux_info(r#""shm_size":3"#);
    let error = host.launch(launch).error.unwrap();
    assert!(error.starts_with("Only support setting the size of shared memory"));
    host.stop();
}

/// Which namespaces the command is in, compared with ours.
const NAMESPACES: &str = "readlink /proc/self/ns/pid; readlink /proc/self/ns/ipc";

fn own_namespaces() -> String {
    let own = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
    format!("{}\n{}\n", own("pid").display(), own("ipc").display())
}

fn shared() {
    let place = Place::new();
    let host = Host::start(&place);
    let mut launch = shell(&place, "c", NAMESPACES);
    launch.container = linux_info(r#""ipc_mode":"SHARE_PARENT","share_pid_namespace":true"#);
    host.launch_well(launch);
    assert_eq!(host.status(), 0);
    assert_eq!(output(&place, "c"), own_namespaces());
    // Without a pid namespace its cgroup still leads to all of it.
    let ready = fifo(&place.sandbox("d"));
    let mut launch = shell(
        &place,
        "d",
        "(setsid sleep 1000 &); echo > ready; exec sleep 1000",
    );
    launch.container = linux_info(r#""share_pid_namespace":true"#);
    host.launch_well(launch);
    std::fs::read(ready).unwrap();
    host.destroy("d");
    assert_eq!(host.status(), 9);
    host.launch_well(shell(&place, "e", NAMESPACES));
    assert_eq!(host.status(), 0);
    let own = own_namespaces();
    assert!(
        own.lines()
            .zip(output(&place, "e").lines())
            .all(|(own, its)| own != its)
    );
    host.stop();
    assert_eq!(place.remains(), Vec::<PathBuf>::new());
    assert_eq!(left_in(&place), 0);
}

/// Processes whose working directory is a sandbox.
pub(crate) fn left_in(place: &Place) -> usize {
    let sandboxes = place.folder.path().join("sandboxes");
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let cwd = all.filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok());
    cwd.filter(|cwd| cwd.starts_with(&sandboxes)).count()
}

fn named_only() {
    let place = Place {
        adjust: |options| {
            let isolation = Isolation::parse("posix/cpu,posix/mem", LauncherKind::Linux);
            options.isolation = Some(isolation.unwrap());
        },
        ..Place::new()
    };
    let host = Host::start(&place);
    let ready = fifo(&place.sandbox("c"));
    let script = format!("{NAMESPACES}; echo > ready; exec sleep 1000");
    host.launch_well(shell(&place, "c", &script));
    std::fs::read(ready).unwrap();
    assert_eq!(output(&place, "c"), own_namespaces());
    let unified = Place::is_unified();
    for (controller, file, there) in [
        ("freezer", "", true),
        ("memory", if unified { "memory.max" } else { "" }, false),
        ("cpu", if unified { "cpu.max" } else { "" }, false),
    ] {
        let cgroup = place.cgroup(controller, "c", file);
        assert_eq!(cgroup.exists(), there, "{controller}");
    }
    let statistics = host.inspect("c").statistics.unwrap();
    assert!(statistics.mem_rss_bytes.unwrap() > 0);
    assert_eq!(
        statistics.mem_total_bytes, None,
        "that is told by cgroups only"
    );
    host.destroy("c");
    assert_eq!(host.status(), 9);
    host.stop();
    assert_eq!(place.remains(), Vec::<PathBuf>::new());
    assert_eq!(left_in(&place), 0);
}

fn swap() {
    let place = Place {
        adjust: |options| options.cgroups_limit_swap = true,
        ..Place::new()
    };
    let file = place.cgroup("memory", "c", "memory.memsw.limit_in_bytes");
    let root = file.parent().and_then(|id| id.parent()?.parent()).unwrap();
    if !root.join("memory.memsw.limit_in_bytes").exists() {
        let error = Host::try_start(&place)
            .err()
            .expect("it cannot")
            .to_string();
        assert!(error.contains("swap cannot be limited"), "{error}");
        return;
    }
    let host = Host::start(&place);
    let ready = fifo(&place.sandbox("c"));
    host.launch_well(shell(&place, "c", "echo > ready; exec sleep 1000"));
    std::fs::read(ready).unwrap();
    let limit = std::fs::read_to_string(&file).unwrap();
    assert_eq!(limit.trim(), (64 << 20).to_string());
    host.destroy("c");
    assert_eq!(host.status(), 9);
    host.stop();
}

/// This program again, as somebody who is not root.
fn without_root() {
    let place = Place::new();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let own = place.folder.path().join("own");
    std::fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(nobody.uid.as_raw()), None).unwrap();
    let status = Command::new("/proc/self/exe")
        .arg("without-root")
        .env("TMPDIR", &own)
        .current_dir(&own)
        .uid(nobody.uid.as_raw())
        .gid(nobody.gid.as_raw())
        .status();
    assert!(status.unwrap().success());
}

/// What is checked there.
pub(crate) fn main_without_root(_arguments: &[OsString]) -> ExitCode {
    let place = Place {
        launcher: LauncherKind::Posix,
        ..Place::new()
    };
    let host = Host::start(&place);
    let ready = fifo(&place.sandbox("c"));
    let script = "id -un; setsid sh -c 'sleep 1000 & kill -STOP $$' & (sleep 1000 &)
                  echo > ready; exec sleep 1000";
    host.launch_well(shell(&place, "c", script));
    std::fs::read(ready).unwrap();
    assert_eq!(output(&place, "c"), "nobody\n");
    let statistics = host.inspect("c").statistics.unwrap();
    assert!(statistics.mem_rss_bytes.unwrap() > 0);
    host.destroy("c");
    assert_eq!(host.status(), 9);
    let mut root = shell(&place, "d", "true");
    root.user = Some("root".to_owned());
    let error = host.launch(root).error.unwrap();
    assert!(
        error.starts_with("only root can run a container as user 'root'"),
        "{error}"
    );
    host.stop();
    assert_eq!(left_in(&place), 0);
    assert_eq!(place.remains(), Vec::<PathBuf>::new());
    ExitCode::SUCCESS
}
