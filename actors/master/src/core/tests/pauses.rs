//! An agent on which a framework's tasks fail before they start pauses for that framework.

use std::time::Duration;

use tepui_protocol::mesos::v1::TaskState;
use tepui_protocol::resources::Resources;

use super::bench::Bench;
use crate::core::ToAllocator;

/// A task of the framework goes from STAGING to this.
fn starts(bench: &mut Bench, id: &str, agent: &str, number: u8, state: TaskState) {
    let task = format!("t{number}");
    bench.run("a", id, agent, &task);
    bench.status("s", id, agent, &task, (state, state), number);
    bench.acknowledge("a", id, agent, &task, number);
}

/// Whether what is allocated is offered, or else what the allocator is told of: how much, and for
/// how long the agent pauses.
fn offered(bench: &mut Bench, id: &str, agent: &str) -> Result<usize, Vec<(String, Duration)>> {
    bench.to_allocator.clear();
    let offers = bench.offer(id, agent, "cpus:1;mem:64");
    if !offers.is_empty() {
        return Ok(offers.len());
    }
    let told = bench.to_allocator.drain(..);
    let paused = told.filter_map(|message| match message {
        ToAllocator::Pause(message) => {
            let back = Resources::from_proto(&message.resources.resources).unwrap();
            Some((back.unallocate().to_text().unwrap(), message.pause))
        }
        ToAllocator::Recover(message) => panic!("{message:?}"),
        _ => None,
    });
    Err(paused.collect())
}

#[test]
fn after_more_than_three_false_starts_it_is_the_rest_of_the_interval() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let other = bench.framework("b");
    let (agent, second) = (
        bench.agent("s", "cpus:9;mem:900"),
        bench.agent("t", "cpus:4;mem:900"),
    );
    for number in 1..=3 {
        starts(&mut bench, &id, &agent, number, TaskState::TaskFailed);
    }
    assert_eq!(offered(&mut bench, &id, &agent), Ok(1), "three may fail");
    bench.pass(Duration::from_millis(300));
    starts(&mut bench, &id, &agent, 4, TaskState::TaskFailed);
    let rest = Duration::from_millis(700);
    let paused = vec![("cpus:1;mem:64".to_owned(), rest)];
    assert_eq!(offered(&mut bench, &id, &agent), Err(paused));
    assert_eq!(
        offered(&mut bench, &other, &agent),
        Ok(1),
        "not for another"
    );
    assert_eq!(offered(&mut bench, &id, &second), Ok(1), "not elsewhere");
    bench.pass(rest);
    assert_eq!(offered(&mut bench, &id, &agent), Ok(1), "it is over");
}
