//! Delayed and periodic calls, and the clock that can be paused and moved.

use std::time::Duration;

use tepui_runtime::{ProcessRef, Terminate};

use crate::in_both_worlds;
use crate::support::{Log, SOON, Scribe, Stage, scribe, simulated};

in_both_worlds! {
    a_paused_clock_fires_only_what_is_passed
    a_delay_of_nothing_needs_no_running_clock
    a_cancelled_call_is_not_made_even_if_it_was_due
    time_never_goes_back
    timers_end_with_their_process
    a_delay_fires_by_itself
    a_clock_is_its_nodes_own
}

const SECOND: Duration = Duration::from_secs(1);

fn delay(process: &ProcessRef<Scribe>, seconds: u32, text: &'static str) {
    process.dispatch(move |_, ctx| {
        ctx.delay(SECOND * seconds, move |scribe, _| scribe.log.add(text));
    });
}

fn a_paused_clock_fires_only_what_is_passed(stage: &mut impl Stage) {
    let node = stage.node();
    node.clock().pause();
    let (process, log) = scribe(&node, "a");
    delay(&process, 2, "two");
    delay(&process, 1, "one");
    delay(&process, 1, "one again");
    delay(&process, 3600, "an hour");
    stage.block_on(node.settle());
    assert_eq!(log.all().len(), 1);
    let before = node.clock().now();
    node.clock().advance(SECOND);
    assert_eq!(node.clock().now() - before, SECOND);
    stage.block_on(node.settle());
    assert_eq!(log.all()[1..], ["one", "one again"]);
    node.clock().advance(SECOND * 5);
    stage.block_on(node.settle());
    assert_eq!(log.all()[1..], ["one", "one again", "two"]);
    node.clock().advance(SECOND * 3600);
    node.clock().resume();
    stage.block_on(node.settle());
    assert_eq!(log.all()[4..], ["an hour"]);
}

fn a_cancelled_call_is_not_made_even_if_it_was_due(stage: &mut impl Stage) {
    let node = stage.node();
    node.clock().pause();
    let (process, log) = scribe(&node, "a");
    process.dispatch(|_, ctx| {
        let timer = ctx.delay(SECOND, |scribe, _| scribe.log.add("called"));
        // Due now: its event waits in the mailbox behind this one.
        ctx.node().clock().advance(SECOND);
        ctx.cancel(timer);
        let timer = ctx.every(SECOND, |scribe, _| scribe.log.add("called"));
        ctx.cancel(timer);
    });
    stage.block_on(node.settle());
    node.clock().advance(SECOND * 10);
    stage.block_on(node.settle());
    assert_eq!(log.all(), ["initialize a"]);
    assert_eq!(node.clock().timers(), 0);
}

fn a_delay_of_nothing_needs_no_running_clock(stage: &mut impl Stage) {
    let node = stage.node();
    node.clock().pause();
    let (process, log) = scribe(&node, "a");
    delay(&process, 0, "at once");
    stage.block_on(node.settle());
    assert_eq!(log.all(), ["initialize a", "at once"]);
}

fn time_never_goes_back(stage: &mut impl Stage) {
    let node = stage.node();
    let clock = node.clock();
    let begin = clock.now();
    clock.pause();
    clock.advance(SECOND * 100);
    let paused = clock.now();
    assert!(clock.is_paused() && paused - begin >= SECOND * 100);
    clock.resume();
    assert!(!clock.is_paused());
    assert!(clock.now() >= paused && clock.now() - paused < SECOND * 50);
    clock.advance(SECOND * 100);
    assert!(clock.now() - paused >= SECOND * 100);
}

fn timers_end_with_their_process(stage: &mut impl Stage) {
    let node = stage.node();
    node.clock().pause();
    let (process, _) = scribe(&node, "a");
    process.dispatch(|_, ctx| {
        ctx.delay(SECOND, |_, _| {});
        ctx.every(SECOND, |_, _| {});
    });
    stage.block_on(node.settle());
    assert_eq!(node.clock().timers(), 2);
    node.terminate(process.pid(), Terminate::Now);
    stage.block_on(node.wait(process.pid()));
    assert_eq!(node.clock().timers(), 0);
}

fn a_delay_fires_by_itself(stage: &mut impl Stage) {
    let node = stage.node();
    let (process, log) = scribe(&node, "a");
    process.dispatch(|_, ctx| {
        ctx.delay(SOON, |scribe, _| scribe.log.add("too late"));
        ctx.delay(Duration::from_millis(20), |scribe, ctx| {
            scribe.log.add("now");
            ctx.terminate();
        });
    });
    let before = node.clock().now();
    stage.block_on(node.wait(process.pid()));
    assert!(node.clock().now() - before >= Duration::from_millis(20));
    assert_eq!(log.all(), ["initialize a", "now", "finalize a", "dropped"]);
}

fn a_clock_is_its_nodes_own(stage: &mut impl Stage) {
    let (one, other) = (stage.node(), stage.node());
    one.clock().pause();
    one.clock().advance(SECOND * 1000);
    assert!(one.clock().now() - other.clock().now() > SECOND * 900);
    assert!(!other.clock().is_paused());
}

#[test]
fn a_period_keeps_its_beat() {
    let mut simulation = simulated();
    let node = simulation.node();
    let (process, log) = scribe(&node, "a");
    let begin = simulation.now();
    process.dispatch(move |_, ctx| {
        let mut left = 3;
        ctx.every(SECOND, move |scribe, ctx| {
            scribe.log.add(format!("{:?}", ctx.now() - begin));
            left -= 1;
            if left == 0 {
                ctx.terminate();
            }
        });
    });
    simulation.run_for(SECOND * 10);
    assert_eq!(
        log.all(),
        ["initialize a", "1s", "2s", "3s", "finalize a", "dropped"]
    );
}

#[test]
fn periods_that_passed_at_one_stroke_are_one_call() {
    let mut simulation = simulated();
    let node = simulation.node();
    let (process, log): (_, Log) = scribe(&node, "a");
    process.dispatch(|_, ctx| {
        ctx.every(SECOND, |scribe, _| scribe.log.add("beat"));
    });
    simulation.block_on(node.settle());
    node.clock().advance(SECOND * 10 + SECOND / 2);
    simulation.block_on(node.settle());
    assert_eq!(log.all(), ["initialize a", "beat"]);
    simulation.run_for(SECOND);
    assert_eq!(log.all(), ["initialize a", "beat", "beat"]);
}
