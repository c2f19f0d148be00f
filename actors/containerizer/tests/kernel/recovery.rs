//! A second agent in the place of a first one: what runs goes on, what ended is told, what nobody
//! knows is destroyed.

use crate::Test;
use crate::host::{Host, Place, fifo, shell};

pub(crate) const TESTS: &[Test] = &[
    ("containers_outlive_the_containerizer", outlive),
    ("what_ended_meanwhile_is_told_with_its_status", ended),
    ("want_of_memory_in_the_meantime_is_told", out_of_memory),
    ("orphans_are_destroyed", orphans),
    ("a_torn_runtime_directory_is_no_obstacle", torn),
];

fn outlive() {
    let place = Place::new();
    let ready = fifo(&place.sandbox("c"));
    let host = Host::start(&place);
    let pid = host.launch_well(shell(
        &place,
        "c",
        "echo > ready; read line < ready; exit 7",
    ));
    std::fs::read(&ready).unwrap();
    host.stop();
    let host = Host::start(&place);
    let recovered = host.recover(&place, &["c"]);
    assert_eq!((recovered.error, recovered.orphans.len()), (None, 0));
    assert_eq!(recovered.alive.len(), 1);
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    std::fs::write(&ready, "go\n").unwrap();
    assert_eq!(host.status(), 7 << 8);
    host.stop();
    assert_eq!(place.remains(), Vec::<std::path::PathBuf>::new());
}

fn ended() {
    let place = Place::new();
    let ready = fifo(&place.sandbox("c"));
    let host = Host::start(&place);
    let script = "echo > ready; read line < ready; exit 7";
    let init = host.launch_well(shell(&place, "c", script));
    std::fs::read(&ready).unwrap();
    host.stop();
    std::fs::write(&ready, "go\n").unwrap();
    // Dead: its status is written before.
    let init = i32::try_from(init).unwrap();
    let runs = || {
        let stat = procfs::process::Process::new(init).and_then(|process| process.stat());
        stat.is_ok_and(|stat| stat.state != 'Z')
    };
    while runs() {
        std::thread::yield_now();
    }
    let host = Host::start(&place);
    let recovered = host.recover(&place, &["c", "unheard-of"]);
    assert_eq!(
        (
            recovered.error,
            recovered.alive.len(),
            recovered.orphans.len()
        ),
        (None, 0, 0)
    );
    let (first, second) = (host.terminated(), host.terminated());
    let mut ends = [first, second].map(|end| (end.container_id.value, end.status.unwrap()));
    ends.sort();
    assert_eq!(
        ends,
        [("c".to_owned(), 7 << 8), ("unheard-of".to_owned(), 9)]
    );
    host.stop();
    assert_eq!(place.remains(), Vec::<std::path::PathBuf>::new());
}

fn out_of_memory() {
    let place = Place::new();
    let ready = fifo(&place.sandbox("c"));
    let host = Host::start(&place);
    let script = "echo > ready; read line < ready; tail -n 1 /dev/zero
                  echo > ready; exec sleep 1000";
    host.launch_well(shell(&place, "c", script));
    std::fs::read(&ready).unwrap();
    host.stop();
    std::fs::write(&ready, "go\n").unwrap();
    // Its child is dead when it goes on.
    std::fs::read(&ready).unwrap();
    let host = Host::start(&place);
    let recovered = host.recover(&place, &["c"]);
    assert_eq!(recovered.alive.len(), 1);
    let terminated = host.terminated();
    let expected = tepui_protocol::mesos::v1::task_status::Reason::ContainerLimitationMemory;
    assert_eq!(terminated.reason(), expected);
    host.stop();
    assert_eq!(place.remains(), Vec::<std::path::PathBuf>::new());
}

fn orphans() {
    let place = Place::new();
    let (kept, lost) = (fifo(&place.sandbox("kept")), fifo(&place.sandbox("lost")));
    let host = Host::start(&place);
    for (id, ready) in [("kept", &kept), ("lost", &lost)] {
        host.launch_well(shell(&place, id, "echo > ready; exec sleep 1000"));
        std::fs::read(ready).unwrap();
    }
    host.stop();
    // A cgroup of ours without anything else: its agent was killed as it made it.
    std::fs::create_dir(place.cgroup("memory", "half", "")).unwrap();
    let host = Host::start(&place);
    let recovered = host.recover(&place, &["kept"]);
    let mut orphans: Vec<String> = recovered.orphans.into_iter().map(|id| id.value).collect();
    orphans.sort();
    assert_eq!(orphans, ["half", "lost"]);
    assert!(!place.cgroup("memory", "half", "").exists());
    assert!(!place.cgroup("memory", "lost", "").exists());
    assert!(place.cgroup("memory", "kept", "").exists());
    host.destroy("kept");
    assert_eq!(host.status(), 9);
    host.stop();
    assert_eq!(place.remains(), Vec::<std::path::PathBuf>::new());
}

fn torn() {
    let place = Place::new();
    let ready = fifo(&place.sandbox("c"));
    let host = Host::start(&place);
    host.launch_well(shell(&place, "c", "echo > ready; exec sleep 1000"));
    std::fs::read(ready).unwrap();
    host.stop();
    for file in ["config", "init"] {
        std::fs::write(place.runtime("c").join(file), "{\"pi").unwrap();
    }
    let host = Host::start(&place);
    let recovered = host.recover(&place, &["c"]);
    assert_eq!((recovered.error, recovered.alive.len()), (None, 0));
    assert_eq!(host.status(), 9, "its cgroups lead to its processes");
    host.stop();
    assert_eq!(place.remains(), Vec::<std::path::PathBuf>::new());
}
