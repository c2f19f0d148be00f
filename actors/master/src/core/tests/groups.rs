//! LAUNCH_GROUP: what a group must be, in the words of Mesos 1.11, and what becomes of one.

mod default;
mod order;

use tepui_protocol::mesos::internal::RunTaskGroup;
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::offer::operation::{LaunchGroup, Type as OperationType};
use tepui_protocol::mesos::v1::task_status::{Reason, Source};
use tepui_protocol::mesos::v1::{
    CommandInfo, ContainerInfo, ExecutorId, ExecutorInfo, FrameworkId, HealthCheck, LinuxInfo,
    NetworkInfo, OperationId, TaskGroupInfo, TaskInfo, TaskState, container_info, executor_info,
    health_check, offer, value,
};

use super::bench::{Bench, command_task, framework_info, protos};
use crate::MasterOptions;
use crate::core::ToAgent;

const TOTAL: &str = "cpus:4;mem:1024;disk:100;ports:[1-9]";

/// An executor that may run groups.
fn executor(framework: &str) -> ExecutorInfo {
    ExecutorInfo {
        r#type: Some(executor_info::Type::Custom as i32),
        executor_id: ExecutorId { value: "e".into() },
        framework_id: Some(FrameworkId {
            value: framework.into(),
        }),
        command: Some(CommandInfo {
            value: Some("run".into()),
            ..CommandInfo::default()
        }),
        resources: protos("cpus:0.1;mem:32;disk:10"),
        ..ExecutorInfo::default()
    }
}

fn group(executor: ExecutorInfo, tasks: Vec<TaskInfo>) -> offer::Operation {
    offer::Operation {
        r#type: Some(OperationType::LaunchGroup as i32),
        launch_group: Some(LaunchGroup {
            executor,
            task_group: TaskGroupInfo { tasks },
        }),
        ..offer::Operation::default()
    }
}

struct Stage {
    bench: Bench,
    id: String,
    agent: String,
}

impl Stage {
    fn new() -> Stage {
        let mut bench = Bench::new();
        let id = bench.subscribe("a", framework_info(&[Capability::PartitionAware]));
        let agent = bench.agent("s", TOTAL);
        bench.take_agent_messages("s");
        Stage { bench, id, agent }
    }

    /// Accepts a new offer of this with the operation; the rest may be offered again.
    fn accept(&mut self, amount: &str, operation: offer::Operation) {
        let offers = self.bench.offer(&self.id, &self.agent, amount);
        self.bench.take_recovered();
        let operations = vec![operation];
        let offers: Vec<&str> = offers.iter().map(String::as_str).collect();
        self.bench
            .accept("a", &self.id, &offers, operations, Some(0.0));
    }

    fn task(&self, id: &str) -> TaskInfo {
        command_task(id, &self.agent, "cpus:1;mem:64")
    }

    /// Why a group is refused, which must be the same for each of its tasks.
    fn refusal(&mut self, executor: ExecutorInfo, tasks: Vec<TaskInfo>) -> String {
        let count = tasks.len();
        self.accept(TOTAL, group(executor, tasks));
        let statuses = self.bench.take_statuses("a");
        assert_eq!(statuses.len(), count);
        for status in &statuses {
            assert_eq!(status.state(), TaskState::TaskError);
            assert_eq!(status.reason(), Reason::TaskGroupInvalid);
            assert_eq!(status.source(), Source::Master);
            assert!(status.uuid.is_none());
            assert_eq!(status.message(), statuses[0].message());
        }
        assert!(self.bench.take_agent_messages("s").is_empty());
        let snapshot = self.bench.core.snapshot();
        assert!(snapshot.framework(&self.id).unwrap().used.is_empty());
        statuses[0].message().to_owned()
    }

    fn sent(&mut self) -> RunTaskGroup {
        let mut messages = self.bench.take_agent_messages("s");
        match (messages.pop(), messages.pop()) {
            (Some(ToAgent::RunGroup(message)), None) => message,
            other => panic!("{other:?}"),
        }
    }

    fn used(&self) -> String {
        let snapshot = self.bench.core.snapshot();
        let used = &snapshot.framework(&self.id).unwrap().used;
        used.unallocate().to_text().unwrap()
    }
}

#[test]
fn a_group_is_sent_as_one_and_its_executor_is_charged_once() {
    let mut stage = Stage::new();
    let own = executor(&stage.id);
    let tasks = vec![stage.task("t1"), stage.task("t2")];
    stage.accept(TOTAL, group(own.clone(), tasks));
    assert!(stage.bench.take_statuses("a").is_empty());
    let sent = stage.sent();
    assert_eq!(sent.launch_executor, Some(true));
    assert_eq!(sent.framework.id.as_ref().unwrap().value, stage.id);
    assert_eq!(sent.executor.executor_id, own.executor_id);
    let ids: Vec<&str> = sent
        .task_group
        .tasks
        .iter()
        .map(|t| &*t.task_id.value)
        .collect();
    assert_eq!(ids, ["t1", "t2"]);
    for task in &sent.task_group.tasks {
        assert_eq!(task.executor.as_ref(), Some(&sent.executor));
        assert_eq!(
            task.resources[0].allocation_info.as_ref().unwrap().role(),
            "*"
        );
    }
    assert_eq!(stage.used(), "cpus:2.1;mem:160;disk:10");
    assert_eq!(
        stage.bench.state_of(&stage.id, "t2"),
        Some(TaskState::TaskStaging)
    );
    assert_eq!(
        stage.bench.take_recovered(),
        [("cpus:1.9;mem:864;disk:90;ports:[1-9]".to_owned(), None)]
    );
    let snapshot = stage.bench.core.snapshot();
    let task = &snapshot
        .framework(&stage.id)
        .unwrap()
        .tasks
        .get("t1")
        .unwrap();
    assert_eq!(task.executor_id, Some(own.executor_id.clone()));

    // Another group of the executor.
    let tasks = vec![stage.task("t3")];
    stage.accept("cpus:1.9;mem:864;disk:90", group(own, tasks));
    assert_eq!(stage.sent().launch_executor, Some(false));
    assert_eq!(stage.used(), "cpus:3.1;mem:224;disk:10");
}

#[test]
fn what_an_executor_of_a_group_must_be() {
    use executor_info::Type;
    let mut stage = Stage::new();
    let id = stage.id.clone();
    type Change = Box<dyn Fn(&mut ExecutorInfo)>;
    let default = |executor: &mut ExecutorInfo| {
        executor.r#type = Some(Type::Default as i32);
        executor.command = None;
    };
    let with = |amount: &'static str| -> Change {
        Box::new(move |executor| executor.resources = protos(amount))
    };
    let cases: Vec<(Change, String)> = vec![
        (
            Box::new(|executor| executor.r#type = None),
            "'ExecutorInfo.type' must be set".to_owned(),
        ),
        (
            Box::new(|executor| executor.r#type = Some(Type::Unknown as i32)),
            "Unknown executor type".to_owned(),
        ),
        (
            Box::new(|executor| executor.r#type = Some(Type::Default as i32)),
            "'ExecutorInfo.command' must not be set for 'DEFAULT' executor".to_owned(),
        ),
        (
            Box::new(|executor| executor.command = None),
            "'ExecutorInfo.command' must be set for 'CUSTOM' executor".to_owned(),
        ),
        (
            Box::new(|executor| executor.framework_id = None),
            "'ExecutorInfo.framework_id' must be set".to_owned(),
        ),
        (
            Box::new(|executor| executor.framework_id.as_mut().unwrap().value = "z".into()),
            format!("ExecutorInfo has an invalid FrameworkID (Actual: z vs Expected: {id})"),
        ),
        (
            Box::new(|executor| executor.executor_id.value = "a/b".into()),
            "'a/b' contains invalid characters".to_owned(),
        ),
        (
            Box::new(move |executor| {
                default(executor);
                executor.container = container(|container| {
                    container.r#type = container_info::Type::Docker as i32;
                    container.docker = Some(container_info::DockerInfo::default());
                });
            }),
            "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor".to_owned(),
        ),
        (
            Box::new(move |executor| {
                default(executor);
                executor.container = container(|container| {
                    container.mesos = Some(container_info::MesosInfo {
                        image: Some(tepui_protocol::mesos::v1::Image::default()),
                    });
                });
            }),
            "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor"
                .to_owned(),
        ),
        (
            with("mem:32;disk:10"),
            "Executor 'e' uses less CPUs (None) than the minimum required (0.01)".to_owned(),
        ),
        (
            with("cpus:0.005;mem:32;disk:10"),
            "Executor 'e' uses less CPUs (0.005) than the minimum required (0.01)".to_owned(),
        ),
        (
            with("cpus:0.1;mem:16;disk:10"),
            "Executor 'e' uses less memory (16MB) than the minimum required (32MB)".to_owned(),
        ),
        (
            with("cpus:0.1;disk:10"),
            "Executor 'e' uses less memory (None) than the minimum required (32MB)".to_owned(),
        ),
        (
            with("cpus:0.1;mem:32"),
            "Executor 'e' uses no disk".to_owned(),
        ),
    ];
    for (change, words) in cases {
        let mut executor = executor(&id);
        change(&mut executor);
        let tasks = vec![stage.task("t1"), stage.task("t2")];
        assert_eq!(stage.refusal(executor, tasks), words);
    }
}

/// Asserts why a good task together with each of these is refused.
fn refused_for(stage: &mut Stage, cases: Vec<(TaskInfo, String)>) {
    let own = executor(&stage.id);
    for (bad, words) in cases {
        let tasks = vec![stage.task("t1"), bad];
        assert_eq!(stage.refusal(own.clone(), tasks), words);
    }
}

fn container(change: impl Fn(&mut ContainerInfo)) -> Option<ContainerInfo> {
    let mut container = ContainerInfo {
        r#type: container_info::Type::Mesos as i32,
        ..ContainerInfo::default()
    };
    change(&mut container);
    Some(container)
}

fn sharing(share: bool) -> Option<ContainerInfo> {
    container(|container| {
        container.linux_info = Some(LinuxInfo {
            share_cgroups: Some(share),
            ..LinuxInfo::default()
        });
    })
}

#[test]
fn what_the_tasks_of_a_group_must_be() {
    let mut stage = Stage::new();
    let own = executor(&stage.id);
    let agent = stage.agent.clone();
    let task = |id: &str, amount: &str| command_task(id, &agent, amount);
    let cases: Vec<(TaskInfo, String)> = vec![
        (
            task("a/b", "cpus:1"),
            "Task 'a/b' is invalid: 'a/b' contains invalid characters".to_owned(),
        ),
        (
            command_task("t2", "nope", "cpus:1"),
            format!(
                "Task 't2' is invalid: Task uses invalid agent nope while agent {agent} is expected"
            ),
        ),
        (
            task("t1", "cpus:1"),
            "Task 't1' is invalid: Task has duplicate ID: t1".to_owned(),
        ),
        (
            task("t2", ""),
            "Task 't2' is invalid: Task uses no resources".to_owned(),
        ),
        (
            TaskInfo {
                executor: Some(ExecutorInfo {
                    name: Some("other".into()),
                    ..own
                }),
                ..task("t2", "cpus:1")
            },
            "The `ExecutorInfo` of task 't2' is different from executor 'e'".to_owned(),
        ),
        (
            task("t2", "cpus:3.5"),
            "Total resources cpus(allocated: *):4.6; mem(allocated: *):96; \
             disk(allocated: *):10 required by task group and its executor are more than \
             available cpus(allocated: *):4; mem(allocated: *):1024; disk(allocated: *):100; \
             ports(allocated: *):[1-9]"
                .to_owned(),
        ),
    ];
    refused_for(&mut stage, cases);
}

#[test]
fn what_a_task_of_a_group_must_not_have() {
    let mut stage = Stage::new();
    let docker = container(|container| {
        container.r#type = container_info::Type::Docker as i32;
        container.docker = Some(container_info::DockerInfo::default());
    });
    let networked = container(|container| {
        container.network_infos = vec![NetworkInfo::default()];
    });
    let http = HealthCheck {
        http: Some(health_check::HttpCheckInfo {
            port: 80,
            ..health_check::HttpCheckInfo::default()
        }),
        ..HealthCheck::default()
    };
    let with = |container: Option<ContainerInfo>| TaskInfo {
        container,
        ..stage.task("t2")
    };
    let limited = |container: Option<ContainerInfo>| TaskInfo {
        limits: [("cpus".to_owned(), value::Scalar { value: 2.0 })].into(),
        ..with(container)
    };
    let limits = "Task 't2' is invalid: Resource limits may only be set for tasks within a task \
                  group when the 'share_cgroups' field is set to 'false'.";
    let cases = vec![
        (
            with(docker),
            "Task 't2' is invalid: Docker ContainerInfo is not supported on the task".to_owned(),
        ),
        (limited(None), limits.to_owned()),
        (limited(sharing(true)), limits.to_owned()),
        (
            with(sharing(false)),
            "If set, the value of 'share_cgroups' must be the same for all tasks in each task \
             group and under a single executor"
                .to_owned(),
        ),
        (
            TaskInfo {
                health_check: Some(http),
                ..with(networked)
            },
            "Task 't2' is invalid: HTTP and TCP health checks are not supported for nested \
             containers not joining parent's network"
                .to_owned(),
        ),
    ];
    refused_for(&mut stage, cases);
}

#[test]
fn the_checks_of_a_group_are_for_its_executor() {
    let mut stage = Stage::new();
    let own = executor(&stage.id);
    let http = HealthCheck {
        http: Some(health_check::HttpCheckInfo {
            port: 80,
            statuses: vec![204],
            ..health_check::HttpCheckInfo::default()
        }),
        ..HealthCheck::default()
    };
    let checked = |name: &str, executor: Option<ExecutorInfo>| TaskInfo {
        executor,
        health_check: Some(http.clone()),
        ..stage.task(name)
    };
    let tasks = vec![checked("t1", None), checked("t2", Some(own.clone()))];
    stage.accept(TOTAL, group(own, tasks));
    for task in stage.sent().task_group.tasks {
        let check = task.health_check.unwrap();
        assert_eq!(check.r#type(), health_check::Type::Http);
        assert_eq!(check.http.unwrap().statuses, [204]);
    }
}

#[test]
fn nothing_of_a_group_is_the_same_twice() {
    let mut stage = Stage::new();
    let own = executor(&stage.id);
    let ports =
        |id: &str, ports: &str| command_task(id, &stage.agent, &format!("cpus:1;ports:[{ports}]"));
    let tasks = vec![ports("t1", "1-2"), ports("t2", "2-3")];
    let with_ports = ExecutorInfo {
        resources: protos("cpus:0.1;mem:32;disk:10;ports:[1-1]"),
        ..own.clone()
    };
    let one = vec![ports("t1", "1-2")];
    let apart = vec![ports("t1", "2-3"), ports("t2", "4-5")];
    for (executor, tasks) in [(own, tasks), (with_ports.clone(), one)] {
        let words = stage.refusal(executor, tasks);
        let start = "There are overlapping resources in the task group's task resources [ ";
        assert!(words.starts_with(start), "{words}");
    }
    stage.accept(TOTAL, group(with_ports, apart));
    assert_eq!(stage.sent().task_group.tasks.len(), 2);
}

#[test]
fn tasks_with_cgroups_of_their_own_may_have_limits() {
    let mut stage = Stage::new();
    let mut own = executor(&stage.id);
    let apart = |task: TaskInfo| TaskInfo {
        limits: [("cpus".to_owned(), value::Scalar { value: 2.0 })].into(),
        container: sharing(false),
        ..task
    };
    let tasks = vec![apart(stage.task("t1")), apart(stage.task("t2"))];
    stage.accept(TOTAL, group(own.clone(), tasks));
    assert!(stage.bench.take_statuses("a").is_empty());
    stage.sent();
    // Another group of that executor has to be like it.
    let shared = vec![stage.task("t3")];
    stage.accept("cpus:1.9;mem:864", group(own.clone(), shared));
    let statuses = stage.bench.take_statuses("a");
    assert!(
        statuses[0]
            .message()
            .starts_with("If set, the value of 'share_cgroups'")
    );
    // And an executor of one id is one executor.
    own.name = Some("other".into());
    let tasks = vec![apart(stage.task("t4"))];
    stage.accept("cpus:1.9;mem:864", group(own, tasks));
    let statuses = stage.bench.take_statuses("a");
    assert!(
        statuses[0]
            .message()
            .starts_with("ExecutorInfo is not compatible")
    );
    assert_eq!(statuses[0].reason(), Reason::TaskGroupInvalid);
}

#[test]
fn a_group_goes_as_a_whole_when_its_offer_or_its_call_is_bad() {
    let mut stage = Stage::new();
    let own = executor(&stage.id);
    let tasks = vec![stage.task("t1"), stage.task("t2")];
    let offers = ["nowhere"];
    let operation = group(own.clone(), tasks.clone());
    let id = stage.id.clone();
    stage
        .bench
        .accept("a", &id, &offers, vec![operation.clone()], None);
    let statuses = stage.bench.take_statuses("a");
    assert_eq!(statuses.len(), 2);
    for status in statuses {
        assert_eq!(status.state(), TaskState::TaskDropped);
        assert_eq!(status.reason(), Reason::InvalidOffers);
    }
    let named = offer::Operation {
        id: Some(OperationId { value: "o".into() }),
        ..operation
    };
    stage.accept(TOTAL, named);
    let statuses = stage.bench.take_statuses("a");
    assert_eq!(statuses.len(), 2);
    for status in statuses {
        assert_eq!(status.reason(), Reason::TaskGroupInvalid);
        assert_eq!(
            status.message(),
            "The `id` field cannot be set on LAUNCH_GROUP operations"
        );
    }
    let bad = ExecutorInfo {
        resources: tepui_protocol::resources::parse_text("cpus:0.1;mem:32;disk:10", "*")
            .unwrap()
            .to_proto()
            .into_iter()
            .map(|mut resource| {
                resource.name = String::new();
                resource
            })
            .collect(),
        ..own
    };
    let words = stage.refusal(bad, tasks);
    assert_eq!(words, "Resource ':0.1' is invalid: Empty resource name");
}

#[test]
fn a_group_counts_whole_against_the_most_tasks_there_may_be() {
    let options = MasterOptions {
        max_tasks_per_framework: 3,
        ..MasterOptions::default()
    };
    let mut bench = Bench::with(options);
    let id = bench.subscribe("a", framework_info(&[Capability::PartitionAware]));
    let agent = bench.agent("s", TOTAL);
    let mut stage = Stage { bench, id, agent };
    let own = executor(&stage.id);
    let small = |id: &str| command_task(id, &stage.agent, "cpus:0.1");
    let four: Vec<TaskInfo> = ["t1", "t2", "t3", "t4"].map(small).into();
    let three = four[..3].to_vec();
    stage.bench.take_agent_messages("s");
    let words = stage.refusal(own.clone(), four);
    assert_eq!(
        words,
        "Framework has 0 tasks whose end it has not acknowledged, and no more than 3 may be"
    );
    stage.accept(TOTAL, group(own, three));
    assert_eq!(stage.sent().task_group.tasks.len(), 3);
}
