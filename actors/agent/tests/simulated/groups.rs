//! Groups of an executor of type DEFAULT: it is an actor beside the agent, each of its tasks a
//! container in its own.

use std::path::Path;
use std::time::Duration;

use tepui_agent::Agent;
use tepui_protocol::mesos::internal::{KillTask, ShutdownExecutor};
use tepui_protocol::mesos::v1::agent::{Call, call};
use tepui_protocol::mesos::v1::{
    ContainerId, ExecutorId, ExecutorInfo, HealthCheck, TaskId, TaskInfo, executor_info,
    health_check,
};
use tepui_protocol::tepui::operator::{AgentOperated, OperateAgent};
use tepui_runtime::{AskError, Context, Declaration, Handle, Id, Node, Pid, Process};

use crate::cluster::{Cluster, framework, framework_id, task};

fn executor_id() -> ExecutorId {
    ExecutorId {
        value: "e".to_owned(),
    }
}

/// A task for executor `e` of type DEFAULT.
fn own(id: &str, command: &str) -> TaskInfo {
    TaskInfo {
        name: id.to_owned(),
        task_id: TaskId {
            value: id.to_owned(),
        },
        executor: Some(ExecutorInfo {
            r#type: Some(executor_info::Type::Default as i32),
            executor_id: executor_id(),
            ..ExecutorInfo::default()
        }),
        ..task(command)
    }
}

/// A cluster whose agent was given this group.
fn given(group: &[(&str, &str)]) -> (Cluster, Node, Agent) {
    let mut cluster = Cluster::new();
    let (node, agent) = cluster.agent();
    cluster.run_until_logged("register");
    cluster.simulation.run_for(Duration::from_secs(1));
    give(&cluster, group);
    (cluster, node, agent)
}

fn give(cluster: &Cluster, group: &[(&str, &str)]) {
    let tasks = group.iter().map(|(id, command)| own(id, command));
    cluster.give_group(framework(false), tasks.collect());
}

/// The lines of the log that end so.
fn logged(cluster: &Cluster, end: &str) -> Vec<String> {
    let mut log = cluster.log();
    log.retain(|line| line.ends_with(end));
    log
}

fn sandbox(agent: &Agent) -> std::path::PathBuf {
    let snapshot = agent.snapshot.load_full();
    let key = ("F".to_owned(), "e".to_owned());
    snapshot.executors[&key].directory.clone()
}

fn list(node: &Node, path: &Path) -> usize {
    node.disk().list(path).unwrap_or_default().len()
}

#[test]
fn each_task_of_a_group_is_a_container_in_its_executors() {
    let (mut cluster, node, agent) = given(&[("a", "sleep 3"), ("b", "sleep 1000")]);
    cluster.run_until_logged("b TASK_RUNNING");
    cluster.run_until_logged("a TASK_RUNNING");
    let directory = sandbox(&agent);
    assert_eq!(list(&node, &directory.join("containers")), 2);
    cluster.run_until_logged("a TASK_FINISHED");
    // That one has finished ends no other.
    cluster.simulation.run_for(Duration::from_secs(60));
    assert_eq!(cluster.log().last().unwrap(), "a TASK_FINISHED");
    // One more group for the same executor.
    give(&cluster, &[("c", "sleep 1000"), ("d", "sleep 1000")]);
    cluster.run_until_logged("c TASK_RUNNING");
    cluster.run_until_logged("d TASK_RUNNING");
    assert_eq!(sandbox(&agent), directory);
    assert_eq!(list(&node, &directory.join("containers")), 4);
    // A kill ends the rest of the group, and no other group.
    let kill = |task: &str| KillTask {
        framework_id: framework_id(),
        task_id: TaskId {
            value: task.to_owned(),
        },
        kill_policy: None,
    };
    node.send(&cluster.master, &node.pid_of("slave(1)"), kill("c"));
    cluster.run_until_logged("d TASK_KILLED");
    cluster.simulation.run_for(Duration::from_secs(60));
    let killed = logged(&cluster, "TASK_KILLED");
    assert_eq!(killed, ["c TASK_KILLED", "d TASK_KILLED"]);
    // With its last container the executor ends.
    node.send(&cluster.master, &node.pid_of("slave(1)"), kill("b"));
    cluster.run_until_logged("b TASK_KILLED");
    cluster.run_until_logged("e exited 0");
    cluster.simulation.run_for(Duration::from_secs(1));
    assert!(agent.snapshot.load().executors.is_empty());
}

#[test]
fn of_a_group_of_which_one_fails_the_rest_is_killed() {
    let (mut cluster, _node, _agent) = given(&[("a", "sleep 3; exit 1"), ("b", "sleep 1000")]);
    cluster.run_until_logged("e exited 0");
    let log = cluster.log();
    let place = |line: &str| log.iter().position(|known| known == line);
    let (failed, killed) = (place("a TASK_FAILED"), place("b TASK_KILLED"));
    assert!(failed.is_some() && failed < killed, "{log:?}");
}

#[test]
fn a_check_by_command_runs_in_a_container_in_that_of_its_task() {
    let mut cluster = Cluster::new();
    let (node, agent) = cluster.agent();
    cluster.run_until_logged("register");
    cluster.simulation.run_for(Duration::from_secs(1));
    let health_check = HealthCheck {
        r#type: Some(health_check::Type::Command as i32),
        command: task("sleep 1; exit 1").command,
        delay_seconds: Some(1.0),
        interval_seconds: Some(2.0),
        grace_period_seconds: Some(0.0),
        consecutive_failures: Some(3),
        ..HealthCheck::default()
    };
    let ill = TaskInfo {
        health_check: Some(health_check),
        ..own("a", "sleep 1000")
    };
    cluster.give_group(framework(false), vec![ill, own("b", "sleep 1000")]);
    cluster.run_until_logged("a TASK_RUNNING");
    let containers = sandbox(&agent).join("containers");
    let nested = |node: &Node| {
        let tasks = node.disk().list(&containers).unwrap();
        let checks = tasks
            .iter()
            .map(|task| containers.join(task).join("containers"));
        checks.map(|checks| list(node, &checks)).sum::<usize>()
    };
    cluster.simulation.run_for(Duration::from_millis(1500));
    assert_eq!(nested(&node), 1, "it runs");
    cluster.simulation.run_for(Duration::from_secs(1));
    assert_eq!(nested(&node), 0, "it is removed");
    cluster.run_until_logged("b TASK_KILLED");
    cluster.run_until_logged("e exited 0");
    // One when it ran, and one for each of its failures.
    assert_eq!(logged(&cluster, "a TASK_RUNNING").len(), 4);
    assert_eq!(logged(&cluster, "a TASK_KILLED").len(), 1);
}

#[test]
fn an_executor_that_is_shut_down_takes_its_containers_along() {
    let (mut cluster, node, agent) = given(&[("a", "sleep 1000"), ("b", "sleep 1000")]);
    cluster.run_until_logged("a TASK_RUNNING");
    cluster.run_until_logged("b TASK_RUNNING");
    let shutdown = ShutdownExecutor {
        framework_id: Some(framework_id()),
        executor_id: Some(executor_id()),
    };
    node.send(&cluster.master, &node.pid_of("slave(1)"), shutdown);
    cluster.run_until_logged("a TASK_KILLED");
    cluster.run_until_logged("b TASK_KILLED");
    cluster.run_until_logged("e exited 0");
    cluster.simulation.run_for(Duration::from_secs(1));
    assert!(agent.snapshot.load().executors.is_empty());
}

/// Asks the agent, and keeps what it is answered.
struct Operator {
    agent: Pid,
    answers: Vec<AgentOperated>,
}

impl Process for Operator {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.inward::<AgentOperated>();
    }
}

impl Handle<AgentOperated> for Operator {
    fn handle(&mut self, answer: AgentOperated, _ctx: &mut Context<'_, Self>) {
        self.answers.push(answer);
    }
}

#[test]
fn who_waits_when_the_executor_is_destroyed_is_told_the_end() {
    let (mut cluster, node, agent) = given(&[("a", "sleep 1000"), ("b", "sleep 1000")]);
    cluster.run_until_logged("a TASK_RUNNING");
    cluster.run_until_logged("b TASK_RUNNING");
    let operator = Operator {
        agent: agent.pid.clone(),
        answers: Vec::new(),
    };
    let operator = node.spawn(Id::chosen("operator"), operator).unwrap();
    let directory = sandbox(&agent);
    let root = directory
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    for child in node.disk().list(&directory.join("containers")).unwrap() {
        let container_id = ContainerId {
            value: child,
            parent: Some(Box::new(ContainerId::top(root.clone()))),
        };
        let call = Call {
            r#type: Some(call::Type::WaitContainer as i32),
            wait_container: Some(call::WaitContainer { container_id }),
            ..Call::default()
        };
        operator.dispatch(move |operator, ctx| ctx.send(&operator.agent, OperateAgent { call }));
    }
    // It is killed from outside, as by the kernel.
    let kill = tepui_protocol::tepui::containerizer::Destroy {
        container_id: ContainerId::top(root),
    };
    let containerizer = agent.snapshot.load().origin.containerizer.clone();
    cluster.simulation.run_for(Duration::from_secs(1));
    node.send(&agent.pid, &containerizer, kill);
    cluster.run_until_logged("a TASK_FAILED");
    cluster.run_until_logged("b TASK_FAILED");
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = std::sync::Arc::clone(&seen);
    operator.dispatch(move |operator, _| told.lock().unwrap().append(&mut operator.answers));
    cluster.simulation.run_for(Duration::from_secs(1));
    let ends: Vec<_> = seen
        .lock()
        .unwrap()
        .drain(..)
        .map(|answer| {
            let end = answer.response.and_then(|it| it.wait_container);
            (answer.status, end.and_then(|end| end.exit_status))
        })
        .collect();
    assert_eq!(ends, [(200, Some(9)); 2]);
}

#[test]
fn a_process_on_the_agents_node_may_ask_and_is_answered() {
    let (mut cluster, node, agent) = given(&[("a", "sleep 1000")]);
    cluster.run_until_logged("a TASK_RUNNING");
    let call = Call {
        r#type: Some(call::Type::KillContainer as i32),
        kill_container: Some(call::KillContainer {
            container_id: ContainerId {
                value: "nope".to_owned(),
                parent: Some(Box::new(ContainerId::top("nope"))),
            },
            signal: None,
        }),
        ..Call::default()
    };
    let operator = Operator {
        agent: agent.pid.clone(),
        answers: Vec::new(),
    };
    let operator = node.spawn(Id::chosen("operator"), operator).unwrap();
    let status = std::sync::Arc::new(std::sync::Mutex::new(None));
    let told = std::sync::Arc::clone(&status);
    operator.dispatch(move |operator, ctx| {
        let question = OperateAgent { call };
        let agent = operator.agent.clone();
        ctx.ask(
            &agent,
            question,
            Duration::from_secs(10),
            move |_, answer: Result<AgentOperated, AskError>, _| {
                *told.lock().unwrap() = answer.ok().map(|answer| answer.status);
            },
        );
    });
    cluster.simulation.run_for(Duration::from_secs(1));
    assert_eq!(*status.lock().unwrap(), Some(404));
}

/// The sandbox is the user's, who may put there what it likes, and the agent is root.
#[test]
fn a_link_in_the_executors_sandbox_leads_no_other_out_of_it() {
    let (mut cluster, node, agent) = given(&[("a", "sleep 1000")]);
    cluster.run_until_logged("a TASK_RUNNING");
    let (disk, directory) = (node.disk(), sandbox(&agent));
    let elsewhere = Path::new("/elsewhere");
    disk.create_dir_all(&elsewhere.join("mine")).unwrap();
    let containers = directory.join("containers");
    disk.rename(&containers, &directory.join("before")).unwrap();
    disk.symlink(elsewhere, &containers).unwrap();
    give(&cluster, &[("b", "sleep 1000")]);
    cluster.run_until_logged("b TASK_FAILED");
    assert_eq!(disk.list(elsewhere).unwrap(), ["mine"]);
    let root = directory
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let container_id = ContainerId {
        value: "mine".to_owned(),
        parent: Some(Box::new(ContainerId::top(root))),
    };
    let call = Call {
        r#type: Some(call::Type::RemoveContainer as i32),
        remove_container: Some(call::RemoveContainer { container_id }),
        ..Call::default()
    };
    let operator = Operator {
        agent: agent.pid.clone(),
        answers: Vec::new(),
    };
    let operator = node.spawn(Id::chosen("operator"), operator).unwrap();
    operator.dispatch(move |operator, ctx| ctx.send(&operator.agent, OperateAgent { call }));
    cluster.simulation.run_for(Duration::from_secs(1));
    assert_eq!(disk.list(elsewhere).unwrap(), ["mine"]);
}
