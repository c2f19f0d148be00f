//! `agent_removal_rate_limit`: agents are given up one after the other, and may be back meanwhile.

use std::time::Duration;

use tepui_protocol::mesos::internal::ReregisterAgent;

use super::bench::{Bench, agent_info, pid, registry_of};
use crate::MasterOptions;
use crate::core::{FromAgent, Input};

fn options() -> MasterOptions {
    MasterOptions {
        agent_removal_rate_limit: Some(Duration::from_secs(600)),
        ..MasterOptions::default()
    }
}

fn unreachable(bench: &Bench) -> usize {
    bench.core.snapshot().unreachable_agents.size()
}

/// Three agents that answered no ping for 75 seconds.
fn silent() -> (Bench, Vec<String>) {
    let mut bench = Bench::with(options());
    let ids = ["s", "t", "u"].map(|at| {
        bench.silent.insert(pid(at));
        bench.agent(at, "cpus:4")
    });
    bench.pass(Duration::from_secs(75));
    (bench, ids.to_vec())
}

#[test]
fn they_go_one_after_the_other() {
    let (mut bench, ids) = silent();
    assert_eq!(unreachable(&bench), 1);
    assert!(bench.core.snapshot().agent(&ids[0]).is_none());
    bench.pass(Duration::from_millis(599_999));
    assert_eq!(unreachable(&bench), 1);
    bench.pass(Duration::from_millis(1));
    assert_eq!(unreachable(&bench), 2);
    bench.pass(Duration::from_secs(600));
    assert_eq!(unreachable(&bench), 3);
    // Each was said to be given up once, however often its pings were missed meanwhile.
    assert_eq!(bench.count("master/slave_unreachable_scheduled"), 3);
    assert_eq!(bench.count("master/slave_unreachable_completed"), 3);
    assert_eq!(bench.count("master/slave_unreachable_canceled"), 0);
}

#[test]
fn a_pong_or_a_return_is_in_time_until_then() {
    let (mut bench, ids) = silent();
    bench.silent.clear();
    bench.give(Input::Agent(pid("t"), FromAgent::Pong));
    bench.exited("u");
    bench.reregister(
        "u",
        ReregisterAgent {
            agent: agent_info(Some(&ids[2]), "cpus:4"),
            ..ReregisterAgent::default()
        },
    );
    bench.pass(Duration::from_secs(3600));
    assert_eq!(unreachable(&bench), 1);
    assert_eq!(bench.count("master/slave_unreachable_canceled"), 2);
}

#[test]
fn the_next_one_does_not_wait_for_what_is_long_past() {
    let mut bench = Bench::with(options());
    for at in ["s", "t"] {
        bench.silent.insert(pid(at));
    }
    bench.agent("s", "cpus:4");
    bench.pass(Duration::from_secs(75));
    bench.agent("t", "cpus:4");
    bench.pass(Duration::from_secs(599));
    assert_eq!(unreachable(&bench), 1);
    bench.pass(Duration::from_secs(1));
    assert_eq!(unreachable(&bench), 2);
    bench.pass(Duration::from_secs(3600));
    bench.silent.insert(pid("u"));
    bench.agent("u", "cpus:4");
    bench.pass(Duration::from_secs(75));
    assert_eq!(unreachable(&bench), 3);
}

#[test]
fn agents_of_the_registry_are_given_up_as_slowly() {
    let mut bench = Bench::recovering(options(), registry_of(&["m-S7", "m-S8"]));
    bench.pass(Duration::from_secs(600));
    assert_eq!(unreachable(&bench), 1);
    bench.reregister(
        "t",
        ReregisterAgent {
            agent: agent_info(Some("m-S8"), "cpus:4"),
            ..ReregisterAgent::default()
        },
    );
    bench.pass(Duration::from_secs(600));
    assert_eq!(unreachable(&bench), 1);
    assert!(bench.core.snapshot().agent("m-S8").is_some());
}
