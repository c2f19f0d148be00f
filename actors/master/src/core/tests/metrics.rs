//! What is counted of frameworks, and when it is forgotten.

use tepui_protocol::mesos::v1::scheduler::call::Type;
use tepui_protocol::mesos::v1::{FrameworkId, FrameworkInfo};

use super::bench::{Bench, command_task, framework_info};
use crate::MasterOptions;

fn of_a_principal() -> FrameworkInfo {
    FrameworkInfo {
        principal: Some("p".into()),
        ..framework_info(&[])
    }
}

#[test]
fn a_refused_task_is_none_of_its_frameworks() {
    let mut bench = Bench::new();
    let framework = bench.framework("s");
    let agent = bench.agent("a", "cpus:4;mem:1024");
    let [offer] = &bench.offer(&framework, &agent, "cpus:4;mem:1024")[..] else {
        panic!("one offer");
    };
    let greedy = command_task("greedy", &agent, "cpus:5;mem:1");
    bench.launch("s", &framework, offer, greedy);
    let own = |key: &str| format!("master/frameworks/f/{framework}/{key}");
    assert_eq!(bench.count("master/tasks_error"), 1);
    assert_eq!(
        bench.count("master/task_error/source_master/reason_task_invalid"),
        1
    );
    assert_eq!(bench.count(&own("tasks/terminal/task_error")), 0);
    assert_eq!(bench.count(&own("operations/launch")), 0);
    bench.run("s", &framework, &agent, "modest");
    assert_eq!(bench.count(&own("operations/launch")), 1);
    assert_eq!(bench.count(&own("operations")), 1);
}

#[test]
fn what_a_principal_did_is_forgotten_with_its_last_framework() {
    let mut bench = Bench::with(MasterOptions {
        max_completed_frameworks: 1,
        ..MasterOptions::default()
    });
    let received = "frameworks/p/messages_received";
    let first = bench.subscribe("s", of_a_principal());
    let second = bench.subscribe("t", of_a_principal());
    assert_eq!(bench.count(received), 2);
    bench.call("s", Bench::of(&first, Type::Teardown));
    bench.call("t", Bench::of(&second, Type::Teardown));
    // Only one of them is remembered.
    let calls = |id: &str| format!("master/frameworks/f/{id}/calls");
    assert_eq!(bench.count(&calls(&first)), 0);
    assert_eq!(bench.count(&calls(&second)), 2);
    assert_eq!(bench.count(received), 4);
    assert_eq!(bench.count("frameworks/p/messages_processed"), 4);
    let other = bench.framework("u");
    bench.call("u", Bench::of(&other, Type::Teardown));
    assert_eq!(bench.count(&calls(&second)), 0);
    assert_eq!(bench.count(received), 0);
}

#[test]
fn a_framework_that_takes_another_name_leaves_no_metrics_under_the_old_one() {
    let mut bench = Bench::new();
    let framework = bench.framework("s");
    let calls = |name: &str| format!("master/frameworks/{name}/{framework}/calls");
    assert_eq!(bench.count(&calls("f")), 1);
    let renamed = FrameworkInfo {
        id: Some(FrameworkId {
            value: framework.clone(),
        }),
        name: "g".into(),
        ..framework_info(&[])
    };
    bench.subscribe("t", renamed);
    assert_eq!(bench.count(&calls("f")), 0);
    assert_eq!(bench.count(&calls("g")), 1);
}

#[test]
fn of_long_names_and_principals_the_beginning_is_in_the_keys() {
    let mut bench = Bench::new();
    let talkative = FrameworkInfo {
        name: "é".repeat(10_000),
        principal: Some("p".repeat(10_000)),
        ..framework_info(&[])
    };
    let framework = bench.subscribe("s", talkative);
    let name = format!("{}%C3", "%C3%A9".repeat(42));
    assert_eq!(
        bench.count(&format!("master/frameworks/{name}/{framework}/calls")),
        1
    );
    let principal = "p".repeat(256);
    assert_eq!(
        bench.count(&format!("frameworks/{principal}/messages_received")),
        1
    );
    bench.call("s", Bench::of(&framework, Type::Teardown));
    assert_eq!(
        bench.count(&format!("frameworks/{principal}/messages_received")),
        2
    );
}
