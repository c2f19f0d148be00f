//! The property that the books always balance, whatever comes in which order: random frameworks,
//! agents and failures around a core and a real allocator, with messages on their way in between.

mod allocator;
mod check;
mod cluster;

use proptest::prelude::*;

use self::cluster::{Action, Cluster};

fn action() -> impl Strategy<Value = Action> {
    let which = any::<u8>();
    prop_oneof![
        6 => which.prop_map(Action::Subscribe),
        1 => which.prop_map(Action::FrameworkExits),
        1 => which.prop_map(Action::Resubscribe),
        1 => which.prop_map(Action::Teardown),
        6 => which.prop_map(Action::Register),
        1 => which.prop_map(Action::AgentExits),
        2 => which.prop_map(Action::Reregister),
        1 => which.prop_map(Action::AgentSilent),
        1 => which.prop_map(Action::Unregister),
        1 => which.prop_map(Action::Gone),
        1 => which.prop_map(Action::Deactivate),
        2 => which.prop_map(Action::Reactivate),
        4 => Just(Action::AllocatorHears),
        4 => Just(Action::Allocate),
        4 => Just(Action::MasterHears),
        20 => Just(Action::AllThree),
        20 => (which, 1..4_u8).prop_map(|(which, cpus)| Action::Accept(which, cpus)),
        2 => which.prop_map(Action::AcceptStale),
        2 => which.prop_map(Action::Decline),
        20 => (which, any::<bool>()).prop_map(|(which, ends)| Action::Update(which, ends)),
        12 => which.prop_map(Action::Acknowledge),
        2 => which.prop_map(Action::Kill),
        4 => which.prop_map(Action::ExecutorExits),
        2 => which.prop_map(Action::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_is_twice(actions in prop::collection::vec(action(), 1..120)) {
        let mut cluster = Cluster::new();
        for action in actions {
            cluster.act(&action);
            cluster.check();
        }
        cluster.settle();
        cluster.check();
        cluster.check_allocator();
    }
}

/// What the property is about does happen in it: runs in which nothing is ever offered or
/// launched would prove nothing.
#[test]
fn the_property_reaches_tasks_failures_and_returns() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = prop::collection::vec(action(), 100..120);
    let mut totals = cluster::Seen::default();
    for _ in 0..50 {
        let mut cluster = Cluster::new();
        for action in strategy.new_tree(&mut runner).unwrap().current() {
            cluster.act(&action);
        }
        totals.add(&cluster.seen());
    }
    assert!(totals.offers > 100, "{totals:?}");
    assert!(totals.launched > 50, "{totals:?}");
    assert!(totals.ended > 10, "{totals:?}");
    assert!(totals.unreachable > 10, "{totals:?}");
    assert!(totals.returned > 10, "{totals:?}");
    assert!(totals.executors > 10, "{totals:?}");
    assert!(totals.gone > 10, "{totals:?}");
    assert!(totals.reactivated > 3, "{totals:?}");
}
