//! What strangers cannot grow: numbers of frameworks, agents and tasks, and sizes of what is kept.

use tepui_protocol::mesos::internal::ReregisterAgent;
use tepui_protocol::mesos::v1::resource::AllocationInfo;
use tepui_protocol::mesos::v1::{
    CommandInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Label, Labels, TaskInfo,
    TaskState,
};

use super::bench::{Bench, agent_info, command_task, framework_info, pid};
use crate::MasterOptions;
use crate::core::validation;

/// Labels of at least so many bytes.
fn labels(bytes: usize) -> Labels {
    let label = Label {
        key: "x".repeat(bytes),
        value: None,
    };
    Labels {
        labels: vec![label],
    }
}

fn heard(bench: &mut Bench, task: TaskInfo) -> Option<String> {
    let offer = bench.offer("m-0000", "m-S0", "cpus:1;mem:64").remove(0);
    bench.take_events("a");
    bench.launch("a", "m-0000", &offer, task);
    let statuses = bench.take_statuses("a");
    statuses.first().map(|status| status.message().to_owned())
}

fn bench(options: MasterOptions) -> Bench {
    let mut bench = Bench::with(options);
    bench.framework("a");
    bench.agent("s", "cpus:4;mem:1024");
    bench
}

#[test]
fn a_framework_that_acknowledges_nothing_cannot_launch_for_ever() {
    let mut bench = bench(MasterOptions {
        max_tasks_per_framework: 1,
        ..MasterOptions::default()
    });
    let task = |id: &str| command_task(id, "m-S0", "cpus:1;mem:64");
    assert_eq!(heard(&mut bench, task("t1")), None);
    let ended = (TaskState::TaskFinished, TaskState::TaskFinished);
    bench.status("s", "m-0000", "m-S0", "t1", ended, 1);
    let words = "Framework has 1 tasks whose end it has not acknowledged, and no more may be";
    assert_eq!(heard(&mut bench, task("t2")).as_deref(), Some(words));
    bench.acknowledge("a", "m-0000", "m-S0", "t1", 1);
    assert_eq!(heard(&mut bench, task("t2")), None);
}

#[test]
fn what_is_kept_of_a_task_is_small() {
    let mut bench = bench(MasterOptions::default());
    let task = |id: &str| command_task(id, "m-S0", "cpus:0.1;mem:32");
    let message = heard(
        &mut bench,
        TaskInfo {
            labels: Some(labels(validation::TASK)),
            ..task("large")
        },
    );
    let message = message.unwrap_or_default();
    assert!(
        message.starts_with("Task without its command and data has "),
        "{message}"
    );
    assert!(
        message.ends_with(" bytes, and no more than 65536 may be"),
        "{message}"
    );
    // Its data is the executor's and is not kept.
    let data = TaskInfo {
        data: Some(vec![0; validation::TASK].into()),
        ..task("data")
    };
    assert_eq!(heard(&mut bench, data), None);
    let executor = |data: usize| TaskInfo {
        command: None,
        executor: Some(ExecutorInfo {
            executor_id: ExecutorId { value: "e".into() },
            command: Some(CommandInfo {
                value: Some("true".into()),
                ..CommandInfo::default()
            }),
            data: Some(vec![0; data].into()),
            ..ExecutorInfo::default()
        }),
        ..task("executor")
    };
    let message = heard(&mut bench, executor(validation::EXECUTOR_INFO)).unwrap_or_default();
    assert!(message.starts_with("ExecutorInfo has "), "{message}");
    assert_eq!(heard(&mut bench, executor(1000)), None);
}

#[test]
fn a_framework_is_described_in_few_bytes() {
    let mut bench = Bench::new();
    let info = |bytes| FrameworkInfo {
        labels: Some(labels(bytes)),
        ..framework_info(&[])
    };
    bench.subscribe_with(
        "a",
        tepui_protocol::mesos::v1::scheduler::call::Subscribe {
            framework_info: info(validation::FRAMEWORK_INFO),
            ..Default::default()
        },
    );
    let events = bench.take_events("a");
    let message = &events[0].error.as_ref().unwrap().message;
    assert!(message.starts_with("FrameworkInfo has "), "{message}");
    bench.subscribe("a", info(validation::FRAMEWORK_INFO / 2));
}

#[test]
fn an_agent_is_described_in_few_bytes_and_cannot_bring_any_number_of_frameworks() {
    let mut bench = Bench::with(MasterOptions {
        max_frameworks: 2,
        ..MasterOptions::default()
    });
    let mut large = agent_info(None, "cpus:4");
    large.hostname = "h".repeat(validation::AGENT_INFO);
    bench.register("s", large);
    assert!(bench.core.snapshot().agents.is_empty());
    let framework = |id: &str, bytes: usize| FrameworkInfo {
        id: Some(FrameworkId { value: id.into() }),
        labels: Some(labels(bytes)),
        ..framework_info(&[])
    };
    let message = ReregisterAgent {
        agent: agent_info(Some("other-S0"), "cpus:4"),
        frameworks: vec![
            framework("large", validation::FRAMEWORK_INFO),
            framework("one", 1),
            framework("two", 1),
            framework("three", 1),
        ],
        ..ReregisterAgent::default()
    };
    bench.reregister("s", message);
    let snapshot = bench.core.snapshot();
    let known: Vec<&String> = snapshot.frameworks.keys().collect();
    assert_eq!(known, ["one", "two"]);
}

#[test]
fn ids_that_nobody_knows_are_no_way_around_the_number_of_agents() {
    let mut bench = Bench::with(MasterOptions {
        max_agents: 1,
        ..MasterOptions::default()
    });
    let id = bench.agent("s", "cpus:4");
    let back = |id: &str| ReregisterAgent {
        agent: agent_info(Some(id), "cpus:4"),
        ..ReregisterAgent::default()
    };
    bench.reregister("t", back("other-S0"));
    assert_eq!(bench.core.snapshot().agents.size(), 1);
    // One that is in may come back all the same.
    bench.exited("s");
    bench.reregister("s", back(&id));
    assert!(bench.core.snapshot().agent(&id).unwrap().connected);
}

#[test]
fn roles_are_few_and_short() {
    use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
    use tepui_protocol::mesos::v1::scheduler::call::Subscribe;

    let with = |roles: Vec<String>| FrameworkInfo {
        roles,
        ..framework_info(&[Capability::MultiRole])
    };
    let many = |count: usize| with((0..count).map(|number| format!("r{number}")).collect());
    let long = |bytes: usize| with(vec!["a/".repeat(bytes / 2) + "b"]);
    let mut bench = Bench::new();
    for (info, words) in [
        (
            many(validation::ROLES + 1),
            "'FrameworkInfo.roles' has 1001 roles, and no more than 1000 may be",
        ),
        (
            long(validation::ROLE),
            "'FrameworkInfo.roles' contains invalid role: Role 'a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/...' \
             has 1025 bytes, and no more than 1024 may be",
        ),
    ] {
        let subscribe = Subscribe {
            framework_info: info,
            ..Subscribe::default()
        };
        bench.subscribe_with("a", subscribe);
        let events = bench.take_events("a");
        assert_eq!(events[0].error.as_ref().unwrap().message, words);
    }
    bench.subscribe("a", many(validation::ROLES));
    bench.subscribe("b", long(validation::ROLE - 2));
}

#[test]
fn an_agent_cannot_make_up_roles_for_what_it_runs() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let long = "a/".repeat(validation::ROLE) + "b";
    for role in [Some("/x"), Some(long.as_str()), None] {
        let mut task = super::bench::listed(&id, "t", "other-S0", TaskState::TaskRunning);
        for resource in &mut task.resources {
            resource.allocation_info = role.map(|role| AllocationInfo {
                role: Some(role.to_owned()),
            });
        }
        let message = ReregisterAgent {
            agent: agent_info(Some("other-S0"), "cpus:4;mem:1024"),
            tasks: vec![task],
            ..ReregisterAgent::default()
        };
        bench.reregister("s", message);
        assert!(bench.core.snapshot().agents.is_empty(), "{role:?}");
    }
}

#[test]
fn only_so_many_unreachable_tasks_are_kept() {
    let mut bench = Bench::with(MasterOptions {
        max_unreachable_tasks_per_framework: 2,
        ..MasterOptions::default()
    });
    let id = bench.framework("a");
    bench.silent.insert(pid("s"));
    let agent = bench.agent("s", "cpus:4;mem:1024");
    for task in ["t1", "t2", "t3"] {
        bench.run("a", &id, &agent, task);
    }
    bench.pass(std::time::Duration::from_secs(75));
    let snapshot = bench.core.snapshot();
    let kept = &snapshot.framework(&id).unwrap().unreachable_tasks;
    let there = ["t1", "t2", "t3"].map(|task| kept.contains(task));
    assert_eq!((kept.len(), there), (2, [false, true, true]));
    // What each of them was told of is no less for it.
    let told = bench.take_statuses("a");
    let lost = told.iter().filter(|it| it.state() == TaskState::TaskLost);
    assert_eq!(lost.count(), 3);
}
