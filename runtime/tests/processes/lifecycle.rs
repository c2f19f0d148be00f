//! From spawn to end: ids, termination, panics, links, waiting, shutdown.

use tepui_runtime::{Id, Pid, ProcessRef, SpawnError, Terminate};

use crate::in_both_worlds;
use crate::support::{Log, Scribe, Stage, Trip, note, scribe};

in_both_worlds! {
    ids_count_from_one_per_prefix
    an_id_is_free_once_its_process_is_gone
    injected_termination_drops_what_was_queued_ahead
    queued_termination_serves_what_was_queued_ahead
    a_process_ends_itself_after_the_event
    a_panic_ends_one_process_alone
    linkers_are_told_once
    a_link_to_no_process_is_told_at_once
    a_link_dies_with_its_linker
    waiting_for_nobody_is_over_at_once
    shutdown_ends_the_youngest_first
    a_state_that_panics_in_its_drop_hurts_nobody_else
}

fn ids_count_from_one_per_prefix(stage: &mut impl Stage) {
    let node = stage.node();
    let spawn = |id: Id| {
        let spawned = node
            .spawn(
                id,
                Scribe {
                    log: Log::default(),
                },
            )
            .unwrap();
        spawned.pid().to_string()
    };
    let at = |id: &str| node.pid_of(id).to_string();
    assert_eq!(spawn(Id::prefix("a")), at("a(1)"));
    assert_eq!(spawn(Id::prefix("a")), at("a(2)"));
    assert_eq!(spawn(Id::prefix("b")), at("b(1)"));
    assert_eq!(spawn(Id::prefix("")), at("(1)"));
    let other = stage.node();
    let first = other
        .spawn(
            Id::prefix("a"),
            Scribe {
                log: Log::default(),
            },
        )
        .unwrap();
    assert_eq!(first.pid().id(), "a(1)");
}

fn an_id_is_free_once_its_process_is_gone(stage: &mut impl Stage) {
    let node = stage.node();
    let (first, log) = scribe(&node, "master");
    let again = node.spawn(
        Id::chosen("master"),
        Scribe {
            log: Log::default(),
        },
    );
    assert_eq!(
        again.unwrap_err(),
        SpawnError::Duplicate {
            id: "master".into()
        }
    );
    let pid = first.pid().clone();
    node.send(&Pid::nobody(), &pid, note("first"));
    node.terminate(&pid, Terminate::Queued);
    stage.block_on(node.wait(&pid));
    let (_, second) = scribe(&node, "master");
    // The PID led to the first process; now it leads to the second.
    node.send(&Pid::nobody(), &pid, note("second"));
    stage.block_on(node.settle());
    assert_eq!(
        log.all(),
        ["initialize master", "first", "finalize master", "dropped"]
    );
    assert_eq!(second.all(), ["initialize master", "second"]);
}

/// Has a process queue two notes for itself, terminate itself, and queue one more.
fn terminate_amid_notes(stage: &mut impl Stage, how: Terminate) -> (Vec<String>, f64) {
    let node = stage.node();
    let (process, log) = scribe(&node, "a");
    process.dispatch(move |_, ctx| {
        ctx.send(ctx.pid(), note("one"));
        ctx.send(ctx.pid(), note("two"));
        ctx.node().terminate(ctx.pid(), how);
        ctx.send(ctx.pid(), note("three"));
    });
    stage.block_on(node.wait(process.pid()));
    node.send(&Pid::nobody(), process.pid(), note("four"));
    (
        log.all(),
        node.metrics().snapshot()["runtime/messages_dropped/no_process"],
    )
}

fn injected_termination_drops_what_was_queued_ahead(stage: &mut impl Stage) {
    let (log, dropped) = terminate_amid_notes(stage, Terminate::Now);
    assert_eq!(log, ["initialize a", "finalize a", "dropped"]);
    assert_eq!(dropped, 4.0);
}

fn queued_termination_serves_what_was_queued_ahead(stage: &mut impl Stage) {
    let (log, dropped) = terminate_amid_notes(stage, Terminate::Queued);
    assert_eq!(log, ["initialize a", "one", "two", "finalize a", "dropped"]);
    assert_eq!(dropped, 2.0);
}

fn a_process_ends_itself_after_the_event(stage: &mut impl Stage) {
    let node = stage.node();
    let (process, log) = scribe(&node, "a");
    process.dispatch(|scribe, ctx| {
        ctx.terminate();
        scribe.log.add("still here");
        ctx.send(ctx.pid(), note("never served"));
    });
    stage.block_on(node.wait(process.pid()));
    assert_eq!(
        log.all(),
        ["initialize a", "still here", "finalize a", "dropped"]
    );
    assert!(node.processes().is_empty());
}

fn a_panic_ends_one_process_alone(stage: &mut impl Stage) {
    let node = stage.node();
    let (tripped, log) = scribe(&node, "tripped");
    let (witness, witnessed) = scribe(&node, "witness");
    let pid = tripped.pid().clone();
    witness.dispatch(move |_, ctx| {
        ctx.link(&pid);
        ctx.send(&pid, note("before"));
        ctx.send(&pid, Trip);
        ctx.send(&pid, note("after"));
    });
    stage.block_on(node.wait(tripped.pid()));
    stage.block_on(node.settle());
    assert_eq!(log.all(), ["initialize tripped", "before", "dropped"]);
    assert_eq!(witnessed.all(), ["initialize witness", "exited tripped"]);
    assert_eq!(node.metrics().snapshot()["runtime/processes_panicked"], 1.0);
    let (_, next) = scribe(&node, "tripped");
    node.send(&Pid::nobody(), tripped.pid(), note("the id is free"));
    stage.block_on(node.settle());
    assert_eq!(next.all(), ["initialize tripped", "the id is free"]);
}

fn linkers_are_told_once(stage: &mut impl Stage) {
    let node = stage.node();
    let (linkee, _) = scribe(&node, "linkee");
    let (linker, log) = scribe(&node, "linker");
    let pid = linkee.pid().clone();
    linker.dispatch(move |_, ctx| {
        ctx.link(&pid);
        ctx.link(&pid);
    });
    stage.block_on(node.settle());
    node.terminate(linkee.pid(), Terminate::Now);
    stage.block_on(node.wait(linkee.pid()));
    let (again, _) = scribe(&node, "linkee");
    node.terminate(again.pid(), Terminate::Now);
    stage.block_on(node.wait(again.pid()));
    stage.block_on(node.settle());
    assert_eq!(log.all(), ["initialize linker", "exited linkee"]);
}

fn a_link_to_no_process_is_told_at_once(stage: &mut impl Stage) {
    let node = stage.node();
    let (linker, log) = scribe(&node, "linker");
    let absent = node.pid_of("absent");
    linker.dispatch(move |_, ctx| {
        ctx.link(&absent);
        ctx.link(&Pid::nobody());
    });
    stage.block_on(node.settle());
    assert_eq!(log.all(), ["initialize linker", "exited absent", "exited "]);
}

fn a_link_dies_with_its_linker(stage: &mut impl Stage) {
    let node = stage.node();
    let (linkee, _) = scribe(&node, "linkee");
    let (linker, _) = scribe(&node, "linker");
    let pid = linkee.pid().clone();
    linker.dispatch(move |_, ctx| ctx.link(&pid));
    node.terminate(linker.pid(), Terminate::Queued);
    stage.block_on(node.wait(linker.pid()));
    let (_, log) = scribe(&node, "linker");
    node.terminate(linkee.pid(), Terminate::Now);
    stage.block_on(node.wait(linkee.pid()));
    stage.block_on(node.settle());
    assert_eq!(log.all(), ["initialize linker"]);
}

fn waiting_for_nobody_is_over_at_once(stage: &mut impl Stage) {
    let node = stage.node();
    stage.block_on(node.wait(&node.pid_of("absent")));
    stage.block_on(node.wait(&Pid::nobody()));
}

fn shutdown_ends_the_youngest_first(stage: &mut impl Stage) {
    let node = stage.node();
    let log = Log::default();
    for id in ["b", "a", "c"] {
        node.spawn(Id::chosen(id), Scribe { log: log.clone() })
            .unwrap();
    }
    stage.block_on(node.settle());
    stage.block_on(node.shutdown());
    let ends: Vec<String> = log
        .all()
        .into_iter()
        .filter(|line| line.starts_with("finalize"))
        .collect();
    assert_eq!(ends, ["finalize c", "finalize a", "finalize b"]);
    let late: Result<ProcessRef<Scribe>, SpawnError> = node.spawn(
        Id::chosen("d"),
        Scribe {
            log: Log::default(),
        },
    );
    assert_eq!(
        late.unwrap_err(),
        SpawnError::Down {
            node: node.name().to_owned()
        }
    );
}

fn a_state_that_panics_in_its_drop_hurts_nobody_else(stage: &mut impl Stage) {
    struct Spring;
    impl Drop for Spring {
        fn drop(&mut self) {
            panic!("sprung on purpose");
        }
    }
    let node = stage.node();
    let (process, log) = scribe(&node, "a");
    let spring = Spring;
    process.dispatch(move |_, ctx| {
        ctx.node().terminate(ctx.pid(), Terminate::Now);
        let spring = spring;
        ctx.myself().dispatch(move |_, _| drop(spring));
    });
    stage.block_on(node.wait(process.pid()));
    assert_eq!(log.all()[0], "initialize a");
    assert_eq!(node.metrics().snapshot()["runtime/processes_panicked"], 1.0);
    let (next, _) = scribe(&node, "a");
    assert_eq!(next.pid(), process.pid());
}
