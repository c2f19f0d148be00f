//! What happens to an agent from its start to its end.

use std::path::Path;
use std::time::Duration;

use tepui_agent::{AgentError, spawn};
use tepui_protocol::mesos::internal::KillTask;
use tepui_protocol::mesos::v1::TaskId;

use crate::cluster::{Cluster, framework, framework_id, is_terminal, start};

#[test]
fn a_task_runs_to_its_end_and_leaves_its_sandbox() {
    let mut cluster = Cluster::new();
    cluster.launch(framework(false), "sleep 3");
    let (node, agent) = cluster.agent();
    cluster.run_until_logged("t TASK_RUNNING");
    assert_eq!(node.metrics().snapshot()["slave/tasks_running"], 1.0);
    assert_eq!(node.metrics().snapshot()["slave/registered"], 1.0);
    let snapshot = agent.snapshot.load_full();
    let executor = &snapshot.executors[&("F".to_owned(), "t".to_owned())];
    assert!(node.disk().metadata(&executor.directory).unwrap().is_dir);

    cluster.run_until_logged("t TASK_FINISHED");
    cluster.simulation.run_for(Duration::from_secs(60));
    assert_eq!(
        cluster.log(),
        [
            "register",
            "t TASK_STARTING",
            "t TASK_RUNNING",
            "t TASK_FINISHED"
        ]
    );
    assert!(agent.snapshot.load().executors.is_empty());
    assert_eq!(node.metrics().snapshot()["slave/tasks_finished"], 1.0);
    assert_eq!(node.metrics().snapshot()["slave/tasks_running"], 0.0);
    let latest = executor.directory.parent().unwrap().join("latest");
    assert_eq!(node.disk().read_link(&latest).unwrap(), executor.directory);
}

#[test]
fn a_kill_ends_a_running_task() {
    let mut cluster = Cluster::new();
    cluster.launch(framework(false), "sleep 1000");
    let (node, _agent) = cluster.agent();
    cluster.run_until_logged("t TASK_RUNNING");
    let kill = KillTask {
        framework_id: framework_id(),
        task_id: TaskId {
            value: "t".to_owned(),
        },
        kill_policy: None,
    };
    node.send(&cluster.master, &node.pid_of("slave(1)"), kill);
    cluster.run_until_logged("t TASK_KILLED");
}

#[test]
fn what_nobody_acknowledged_survives_a_crash_of_the_node() {
    let mut cluster = Cluster::new();
    cluster.books.lock().unwrap().deaf = true;
    cluster.launch(framework(true), "sleep 1000");
    let (node, agent) = cluster.agent();
    cluster.run_until_logged("t TASK_STARTING");
    cluster.simulation.run_for(Duration::from_secs(5));
    drop(agent);
    node.crash();
    cluster.simulation.run_for(Duration::from_secs(1));
    cluster.books.lock().unwrap().deaf = false;

    let (_node, _agent) = cluster.agent();
    cluster.run_until_logged("t TASK_FAILED");
    let mut log = cluster.log();
    // A short pause by chance may repeat a re-registration before it was answered.
    log.dedup();
    assert_eq!(
        log,
        [
            "register",
            "t TASK_STARTING",
            "reregister S0 with 1 tasks",
            "t TASK_STARTING",
            "t TASK_RUNNING",
            "t TASK_FAILED",
        ]
    );
}

#[test]
fn a_second_agent_on_one_work_dir_is_refused_and_told_of_the_first() {
    let mut cluster = Cluster::new();
    let (node, first) = cluster.agent();
    cluster.simulation.run_for(Duration::from_secs(5));
    let error = spawn(&node, cluster.options(&node)).unwrap_err();
    assert!(matches!(error, AgentError::InUse { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("/w") && text.contains(&first.pid.to_string()),
        "{text}"
    );
}

#[test]
fn a_foreign_checkpoint_ends_the_agent_and_is_named() {
    let mut cluster = Cluster::new();
    let (node, agent) = cluster.agent();
    cluster.run_until_logged("register");
    cluster.simulation.run_for(Duration::from_secs(1));
    node.crash();
    drop(agent);
    let path = Path::new("/w/meta/slaves/S0/slave.info");
    cluster
        .simulation
        .disk("agent")
        .write_atomic(path, b"{}")
        .unwrap();
    let (_node, agent) = cluster.agent();
    cluster.simulation.run_for(Duration::from_secs(1));
    let why = agent.ended().expect("an end").unwrap_err();
    assert_eq!(
        why,
        "checkpoint '/w/meta/slaves/S0/slave.info': not a checkpoint of this agent: it does not \
         begin with a record of version 1"
    );
}

#[test]
fn wherever_the_disk_breaks_off_the_task_comes_to_a_told_end() {
    let mut broken = 0;
    for calls in 0..80 {
        let mut cluster = Cluster::new();
        cluster.launch(framework(true), "sleep 3");
        cluster.simulation.break_disk("agent", calls);
        let node = start(&cluster.simulation, "agent", [10, 0, 0, 2], 5051);
        let agent = spawn(&node, cluster.options(&node));
        cluster.simulation.run_for(Duration::from_secs(30));
        if agent.is_err() || agent.is_ok_and(|agent| agent.ended().is_some()) {
            broken += 1;
        }
        node.crash();
        cluster.simulation.run_for(Duration::from_secs(1));

        let (_node, agent) = cluster.agent();
        cluster.simulation.run_for(Duration::from_secs(60));
        assert_eq!(agent.ended(), None, "after {calls} calls");
        assert!(agent.snapshot.load().is_registered(), "after {calls} calls");
        let books = cluster.books.lock().unwrap();
        let state = books.tasks.get("t").copied();
        assert!(
            state.is_none_or(is_terminal),
            "{state:?} after {calls} calls: {:?}",
            books.log
        );
        assert!(
            books.launch.is_none(),
            "it was launched at last, after {calls} calls"
        );
    }
    assert!(broken > 10, "only {broken} breaks hit the agent");
}
