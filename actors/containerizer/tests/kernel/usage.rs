//! What a container is told to use is what it uses.

use tepui_containerizer::linux::LauncherKind;
use tepui_protocol::mesos::v1::value;
use tepui_protocol::tepui::containerizer::Update;

use crate::Test;
use crate::host::{Host, Place, fifo, scalar, shell};

pub(crate) const TESTS: &[Test] = &[
    ("usage_is_told_from_cgroups", cgroups),
    ("usage_is_told_from_processes", processes),
    (
        "limits_that_change_at_once_are_set_one_after_another",
        updates_at_once,
    ),
    ("only_what_runs_can_be_inspected", unknown),
];

/// Burns cpu until a tenth of a second of it is counted, and holds ten megabytes in two processes.
const SCRIPT: &str = "held=$(head -c 10000000 /dev/zero | tr '\\0' x)
    while read -r a b c d e f g h i j k l m user rest < /proc/self/stat; [ $user -lt 20 ]; do :; done
    sleep 1000 & echo > ready; wait";

fn cgroups() {
    let place = Place {
        adjust: |options| options.cgroups_cpu_enable_pids_and_tids_count = true,
        ..Place::new()
    };
    let host = Host::start(&place);
    let ready = fifo(&place.sandbox("c"));
    let mut launch = shell(&place, "c", SCRIPT);
    let scalar_of = |value| value::Scalar { value };
    launch.limits = [
        ("cpus".to_owned(), scalar_of(2.0)),
        ("mem".to_owned(), scalar_of(f64::INFINITY)),
    ]
    .into();
    let pid = host.launch_well(launch);
    std::fs::read(ready).unwrap();
    let container = host.inspect("c");
    let status = container.status.unwrap();
    assert_eq!(status.executor_pid, Some(pid));
    assert_eq!(status.container_id, Some(container.container_id));
    let statistics = container.statistics.unwrap();
    assert!(statistics.timestamp > 1e9);
    let time = statistics.cpus_user_time_secs.unwrap() + statistics.cpus_system_time_secs.unwrap();
    assert!((0.1..60.0).contains(&time), "{time}");
    assert_eq!(statistics.cpus_soft_limit, Some(0.5));
    assert_eq!(statistics.cpus_limit, Some(2.0));
    assert!(statistics.cpus_nr_periods.is_some(), "a quota is in force");
    let anon = statistics.mem_rss_bytes.unwrap();
    assert!((10_000_000..64 << 20).contains(&anon), "{anon}");
    assert_eq!(statistics.mem_anon_bytes, Some(anon));
    assert!(statistics.mem_total_bytes.unwrap() >= anon);
    assert_eq!(statistics.mem_file_bytes, statistics.mem_cache_bytes);
    assert_eq!(statistics.mem_soft_limit_bytes, Some(64 << 20));
    let all = statistics.mem_limit_bytes.unwrap();
    assert!(all > 64 << 20, "no limit is all that the host has: {all}");
    // The init, the shell and its child.
    assert_eq!(
        (statistics.processes, statistics.threads),
        (Some(3), Some(3))
    );
    // What is updated is told, also by the next agent.
    host.update(Update {
        container_id: tepui_protocol::mesos::v1::ContainerId::top("c"),
        resources: vec![scalar("cpus", 1.5), scalar("mem", 32.0)],
        limits: [("mem".to_owned(), scalar_of(f64::INFINITY))].into(),
    });
    host.stop();
    let host = Host::start(&place);
    host.recover(&place, &["c"]);
    let again = host.inspect("c").statistics.unwrap();
    assert_eq!((again.cpus_soft_limit, again.cpus_limit), (Some(1.5), None));
    assert_eq!(again.mem_soft_limit_bytes, Some(32 << 20));
    assert_eq!(again.mem_limit_bytes, Some(all));
    host.destroy("c");
    assert_eq!(host.status(), 9);
    host.stop();
}

fn updates_at_once() {
    let place = Place::new();
    let host = Host::start(&place);
    host.launch_well(shell(&place, "c", "exec sleep 1000"));
    let update = |number: u32| Update {
        container_id: tepui_protocol::mesos::v1::ContainerId::top("c"),
        resources: vec![
            scalar("cpus", 0.1 + f64::from(number) / 1000.0),
            scalar("mem", 64.0),
        ],
        ..Update::default()
    };
    host.update_all((1..=400).map(update).collect());
    // The last of them is in force, and is what the next agent reads.
    host.stop();
    let host = Host::start(&place);
    host.recover(&place, &["c"]);
    let statistics = host.inspect("c").statistics.unwrap();
    assert_eq!(statistics.cpus_soft_limit, Some(0.5));
    host.destroy("c");
    assert_eq!(host.status(), 9);
    host.stop();
}

fn processes() {
    let place = Place {
        launcher: LauncherKind::Posix,
        ..Place::new()
    };
    let host = Host::start(&place);
    let ready = fifo(&place.sandbox("c"));
    host.launch_well(shell(&place, "c", SCRIPT));
    std::fs::read(ready).unwrap();
    let statistics = host.inspect("c").statistics.unwrap();
    let time = statistics.cpus_user_time_secs.unwrap() + statistics.cpus_system_time_secs.unwrap();
    assert!((0.1..60.0).contains(&time), "{time}");
    assert!(statistics.mem_rss_bytes.unwrap() > 10_000_000);
    assert_eq!(statistics.mem_limit_bytes, Some(64 << 20));
    assert_eq!((statistics.processes, statistics.cpus_limit), (None, None));
    host.destroy("c");
    assert_eq!(host.status(), 9);
    host.stop();
}

fn unknown() {
    let place = Place::new();
    let host = Host::start(&place);
    let container = host.inspect("never-there");
    assert_eq!(container.error(), "Unknown container");
    assert_eq!((container.statistics, container.status), (None, None));
    host.stop();
}
