//! A container that exceeds its memory ends for that reason, every time, whoever of it is killed and
//! whatever its command makes of that.

use tepui_protocol::mesos::v1::TaskState;
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::tepui::containerizer::Terminated;

use crate::Test;
use crate::host::{Host, Place, scalar, shell};

pub(crate) const TESTS: &[Test] = &[
    ("want_of_memory_is_told_with_figures", figures),
    ("want_of_memory_is_told_every_time", every_time),
    (
        "a_limit_above_the_request_is_the_one_that_counts",
        above_the_request,
    ),
];

fn check(terminated: &Terminated) {
    assert_eq!(terminated.reason(), Reason::ContainerLimitationMemory);
    assert_eq!(terminated.state(), TaskState::TaskFailed);
    let start = "Memory limit exceeded: Requested: 64MB Maximum Used: 64MB\n\n\
                 MEMORY STATISTICS: \n";
    let message = terminated.message();
    let statistics = message.strip_prefix(start).expect(message);
    let first = if Place::is_unified() {
        "anon "
    } else {
        "cache "
    };
    assert!(statistics.starts_with(first), "{message}");
    assert_eq!(terminated.limited_resources, [scalar("mem", 64.0)]);
}

fn figures() {
    let place = Place::new();
    let host = Host::start(&place);
    // /dev/zero without a line end grows in memory.
    host.launch_well(shell(&place, "c", "exec tail -n 1 /dev/zero"));
    let terminated = host.terminated();
    check(&terminated);
    assert_eq!(terminated.status, Some(9));
    // A plain kill is none.
    host.launch_well(shell(&place, "d", "kill -9 $$"));
    let terminated = host.terminated();
    assert_eq!((terminated.status, terminated.reason), (Some(9), None));
    host.stop();
}

fn every_time() {
    let place = Place::new();
    let host = Host::start(&place);
    for script in [
        "exec tail -n 1 /dev/zero",
        // A shell that says it in its own way, one that hides it, and one that does not care.
        "tail -n 1 /dev/zero; exit $?",
        "tail -n 1 /dev/zero; exit 0",
        "tail -n 1 /dev/zero; exec sleep 1000",
        // A grandchild of which nobody waits.
        "(setsid tail -n 1 /dev/zero &); exec sleep 1000",
    ] {
        for _ in 0..20 {
            host.launch_well(shell(&place, "c", script));
            check(&host.terminated());
        }
    }
    host.stop();
    assert_eq!(place.remains(), Vec::<std::path::PathBuf>::new());
}

fn above_the_request() {
    let place = Place::new();
    let host = Host::start(&place);
    let mut launch = shell(
        &place,
        "c",
        "cat /proc/self/oom_score_adj; exec tail -n 1 /dev/zero",
    );
    launch.builtin_executor = Some(false);
    let limit = tepui_protocol::mesos::v1::value::Scalar { value: 96.0 };
    launch.limits = [("mem".to_owned(), limit)].into();
    host.launch_well(launch);
    let message = host.terminated().message.unwrap();
    let start = "Memory limit exceeded: Requested: 96MB Maximum Used: 96MB";
    assert!(message.starts_with(start), "{message}");
    host.stop();
}
