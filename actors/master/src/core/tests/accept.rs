//! ACCEPT: which offers are valid, what LAUNCH does, and how everything else is dropped.

use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::offer::operation::Type as OperationType;
use tepui_protocol::mesos::v1::task_status::{Reason, Source};
use tepui_protocol::mesos::v1::{OperationId, OperationState, TaskState, offer};
use tepui_protocol::resources::Resources;

use super::bench::{Bench, command_task, framework_info, launch};
use crate::core::ToAgent;

fn operation(kind: OperationType, id: Option<&str>) -> offer::Operation {
    offer::Operation {
        r#type: Some(kind as i32),
        id: id.map(|id| OperationId { value: id.into() }),
        ..offer::Operation::default()
    }
}

#[test]
fn what_is_launched_is_sent_and_what_is_left_is_declined() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    let offers = bench.offer(&id, &agent, "cpus:4;mem:1024");
    bench.take_recovered();
    let tasks = vec![
        command_task("t1", &agent, "cpus:2;mem:100"),
        command_task("t2", &agent, "cpus:1;mem:200"),
    ];
    bench.accept("a", &id, &[&offers[0]], vec![launch(tasks)], Some(60.0));

    let runs: Vec<_> = bench
        .take_agent_messages("s")
        .into_iter()
        .map(|message| match message {
            ToAgent::Run(run) => run,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        runs.iter()
            .map(|r| r.task.name.as_str())
            .collect::<Vec<_>>(),
        ["t1", "t2"]
    );
    assert_eq!(runs[0].framework.id.as_ref().unwrap().value, id);
    assert_eq!(runs[0].launch_executor, Some(true));
    let sent = Resources::from_proto(&runs[0].task.resources).unwrap();
    assert_eq!(sent.allocations().into_keys().collect::<Vec<_>>(), ["*"]);
    assert_eq!(
        bench.take_recovered(),
        [("cpus:1;mem:724".to_owned(), Some(60.0))]
    );
    let snapshot = bench.core.snapshot();
    assert_eq!(snapshot.framework(&id).unwrap().tasks.size(), 2);
    let used = snapshot
        .agent(&agent)
        .unwrap()
        .used
        .get(&id)
        .unwrap()
        .unallocate();
    assert_eq!(used.to_text().unwrap(), "cpus:3;mem:300");
    assert_eq!(bench.count("master/messages_launch_tasks"), 1);
    assert!(
        bench
            .take_events("a")
            .iter()
            .all(|event| event.update.is_none())
    );
}

#[test]
fn offers_of_one_agent_and_role_are_one() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    let first = bench.offer(&id, &agent, "cpus:2;mem:512");
    let second = bench.offer(&id, &agent, "cpus:2;mem:512");
    bench.take_recovered();
    let task = command_task("t", &agent, "cpus:4;mem:1024");
    bench.accept(
        "a",
        &id,
        &[&first[0], &second[0]],
        vec![launch(vec![task])],
        None,
    );
    assert_eq!(bench.state_of(&id, "t"), Some(TaskState::TaskStaging));
    assert!(bench.take_recovered().is_empty());
}

#[test]
fn a_call_with_a_bad_offer_fails_as_a_whole_and_good_offers_return_unfiltered() {
    for (capabilities, expected) in [
        (&[][..], TaskState::TaskLost),
        (&[Capability::PartitionAware], TaskState::TaskDropped),
    ] {
        let mut bench = Bench::new();
        let id = bench.subscribe("a", framework_info(capabilities));
        let agent = bench.agent("s", "cpus:4;mem:1024");
        let offers = bench.offer(&id, &agent, "cpus:4;mem:1024");
        bench.take_recovered();
        let operations = vec![launch(vec![command_task("t", &agent, "cpus:1")]), {
            operation(OperationType::Reserve, Some("o"))
        }];
        bench.accept("a", &id, &[&offers[0], "m-O99"], operations, Some(60.0));
        assert_eq!(
            bench.take_recovered(),
            [("cpus:4;mem:1024".to_owned(), None)]
        );
        let events = bench.take_events("a");
        let status = events[0].update.as_ref().unwrap().status.clone();
        assert_eq!(status.state(), expected);
        assert_eq!(status.source(), Source::Master);
        assert_eq!(status.reason(), Reason::InvalidOffers);
        assert!(status.uuid.is_none());
        assert_eq!(
            status.message(),
            "Task launched with invalid offers: Offer m-O99 is no longer valid"
        );
        let dropped = events[1].update_operation_status.as_ref().unwrap();
        assert_eq!(dropped.status.state(), OperationState::OperationError);
        assert_eq!(
            dropped.status.message(),
            "Operation attempted with invalid offers: Offer m-O99 is no longer valid"
        );
        assert!(bench.take_agent_messages("s").is_empty());
    }
}

#[test]
fn why_offers_are_not_valid() {
    let mut bench = Bench::new();
    let id = bench.subscribe("a", {
        let mut info = framework_info(&[Capability::MultiRole]);
        info.roles = vec!["x".into(), "y".into()];
        info
    });
    let other = bench.framework("b");
    let agent = bench.agent("s", "cpus:8;mem:1024");
    let second = bench.agent("t", "cpus:8;mem:1024");
    let mut offer = |framework: &str, agent: &str, role: &str| {
        bench.offer_in(framework, agent, role, "cpus:1").remove(0)
    };
    let (twice, foreign) = (offer(&id, &agent, "x"), offer(&other, &agent, "*"));
    let (x, y) = (offer(&id, &agent, "x"), offer(&id, &agent, "y"));
    let (here, there) = (offer(&id, &agent, "x"), offer(&id, &second, "x"));
    let cases = [
        (vec![], "No offers specified".to_owned()),
        (
            vec![&twice, &twice],
            format!("Duplicate offer {twice} in offer list"),
        ),
        (vec![&twice], format!("Offer {twice} is no longer valid")),
        (
            vec![&foreign],
            format!(
                "Offer {foreign} has invalid framework {other} while framework {id} is expected"
            ),
        ),
        (
            vec![&x, &y],
            format!(
                "Aggregated offers must be allocated to the same role. Offer {y} uses role y but \
                 another is using role x"
            ),
        ),
        (
            vec![&here, &there],
            format!(
                "Aggregated offers must belong to one single agent. Offer {there} uses agent \
                 {second} and agent {agent}"
            ),
        ),
    ];
    for (offers, problem) in cases {
        bench.take_events("a");
        let ids: Vec<&str> = offers.iter().map(|offer| offer.as_str()).collect();
        let tasks = vec![command_task("t", &agent, "cpus:1")];
        bench.accept("a", &id, &ids, vec![launch(tasks)], None);
        let statuses = bench.take_statuses("a");
        assert_eq!(
            statuses[0].message(),
            format!("Task launched with invalid offers: {problem}")
        );
    }
    // An offer of somebody else is not touched.
    assert!(bench.core.snapshot().offers.contains_key(&foreign));
    assert_eq!(bench.core.snapshot().offers.size(), 1);
}

#[test]
fn a_task_too_many_is_an_error_and_the_others_run() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    let offers = bench.offer(&id, &agent, "cpus:4;mem:1024");
    bench.take_recovered();
    let tasks = vec![
        command_task("t1", &agent, "cpus:3"),
        command_task("t2", &agent, "cpus:2"),
        command_task("t3", &agent, "cpus:1"),
    ];
    bench.accept("a", &id, &[&offers[0]], vec![launch(tasks)], None);
    let statuses = bench.take_statuses("a");
    assert_eq!(statuses.len(), 1);
    assert_eq!(statuses[0].task_id.value, "t2");
    assert_eq!(
        (statuses[0].state(), statuses[0].reason()),
        (TaskState::TaskError, Reason::TaskInvalid)
    );
    assert!(
        statuses[0]
            .message()
            .starts_with("Total resources cpus(allocated: *):2 required by task and its executor")
    );
    assert_eq!(bench.take_agent_messages("s").len(), 2);
    assert_eq!(bench.take_recovered(), [("mem:1024".to_owned(), Some(5.0))]);
    assert_eq!(
        bench.count("master/task_error/source_master/reason_task_invalid"),
        1
    );
}

#[test]
fn a_launch_of_nothing_is_a_decline() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4");
    let offers = bench.offer(&id, &agent, "cpus:4");
    bench.take_recovered();
    bench.accept("a", &id, &[&offers[0]], vec![launch(vec![])], Some(7.0));
    assert_eq!(bench.take_recovered(), [("cpus:4".to_owned(), Some(7.0))]);
    assert_eq!(bench.count("master/messages_decline_offers"), 1);
}

/// What was used is no refusal, unless a time was asked for; what was not used at all always is,
/// or who launches nothing would be offered the same again at once, without end.
#[test]
fn only_who_used_an_offer_can_have_the_rest_again_at_once() {
    let task = |id: &str, agent: &str, text: &str| vec![command_task(id, agent, text)];
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4");
    for (number, (text, seconds, expected)) in [
        ("cpus:1", Some(0.0), ("cpus:3", None)),
        ("cpus:1", None, ("cpus:2", Some(5.0))),
        ("cpus:1", Some(2.0), ("cpus:1", Some(2.0))),
        ("cpus:9", Some(0.0), ("cpus:1", Some(0.0))),
        ("cpus:9", Some(-1.0), ("cpus:1", Some(-1.0))),
    ]
    .into_iter()
    .enumerate()
    {
        let left = format!("cpus:{}", 4 - number.min(3));
        let offer = bench.offer(&id, &agent, &left).remove(0);
        bench.take_recovered();
        let operations = vec![launch(task(&format!("t{number}"), &agent, text))];
        bench.accept("a", &id, &[&offer], operations, seconds);
        let (amount, refused) = expected;
        assert_eq!(bench.take_recovered(), [(amount.to_owned(), refused)]);
    }
}

#[test]
fn every_other_operation_is_dropped_by_name() {
    use OperationType::{
        Create, CreateDisk, Destroy, DestroyDisk, GrowVolume, Reserve, ShrinkVolume, Unknown,
        Unreserve,
    };
    for kind in [
        Unknown,
        Reserve,
        Unreserve,
        Create,
        Destroy,
        GrowVolume,
        ShrinkVolume,
        CreateDisk,
        DestroyDisk,
    ] {
        let mut bench = Bench::new();
        let id = bench.framework("a");
        let agent = bench.agent("s", "cpus:4");
        let offers = bench.offer(&id, &agent, "cpus:4");
        bench.take_recovered();
        bench.take_events("a");
        let operations = vec![operation(kind, None), operation(kind, Some("o"))];
        bench.accept("a", &id, &[&offers[0]], operations, None);
        let events = bench.take_events("a");
        assert_eq!(events.len(), 1, "{kind:?}");
        let status = &events[0].update_operation_status.as_ref().unwrap().status;
        assert_eq!(status.operation_id.as_ref().unwrap().value, "o");
        assert_eq!(status.state(), OperationState::OperationError);
        assert_eq!(
            status.message(),
            format!("operation {} is not supported", kind.as_str_name())
        );
        assert!(status.uuid.is_none());
        assert_eq!(bench.take_recovered(), [("cpus:4".to_owned(), Some(5.0))]);
    }
}

#[test]
fn a_launch_with_an_id_is_an_error() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4");
    let offers = bench.offer(&id, &agent, "cpus:4");
    bench.take_events("a");
    let mut operation = launch(vec![command_task("t", &agent, "cpus:1")]);
    operation.id = Some(OperationId { value: "o".into() });
    bench.accept("a", &id, &[&offers[0]], vec![operation], None);
    let statuses = bench.take_statuses("a");
    assert_eq!(statuses[0].reason(), Reason::TaskInvalid);
    assert_eq!(
        statuses[0].message(),
        "The `id` field cannot be set on LAUNCH operations"
    );
}
