//! A disk that is full, and one on which something is left over.

use std::path::Path;
use std::time::Duration;

use tepui_agent::AgentOptions;
use tepui_protocol::mesos::internal::KillTask;
use tepui_protocol::mesos::v1::TaskId;
use tepui_runtime::Node;

use crate::cluster::{Cluster, framework, framework_id, is_terminal, task};

const HOUR: Duration = Duration::from_secs(3600);

fn named(id: &str, command: &str) -> tepui_protocol::mesos::v1::TaskInfo {
    let mut task = task(command);
    task.task_id.value = id.to_owned();
    task
}

fn kill(cluster: &Cluster, node: &Node, id: &str) {
    let kill = KillTask {
        framework_id: framework_id(),
        task_id: TaskId {
            value: id.to_owned(),
        },
        kill_policy: None,
    };
    node.send(&cluster.master, &node.pid_of("slave(1)"), kill);
}

#[test]
fn an_update_that_cannot_be_kept_waits_and_is_told_once_there_is_room() {
    let mut cluster = Cluster::new();
    cluster.launch(framework(true), "sleep 5");
    let (_node, agent) = cluster.agent();
    cluster.run_until_logged("t TASK_RUNNING");
    cluster.simulation.set_disk_usage("agent", 1.0);
    cluster.simulation.run_for(Duration::from_secs(120));
    assert_eq!(
        cluster.log(),
        [
            "register",
            "t TASK_STARTING",
            "t TASK_RUNNING",
            "reregister S0 with 1 tasks"
        ],
        "nobody hears what is not on the disk, not even again"
    );
    assert_eq!(agent.ended(), None);
    assert!(agent.snapshot.load().is_registered());

    cluster.simulation.set_disk_usage("agent", 0.5);
    cluster.run_until_logged("t TASK_FINISHED");
    cluster.simulation.run_for(Duration::from_secs(60));
    assert!(agent.snapshot.load().executors.is_empty(), "acknowledged");
    let mut told = cluster.log();
    told.retain(|line| line.starts_with("t "));
    // The re-registration has it sent once more; it is the same update.
    told.dedup();
    assert_eq!(
        told,
        ["t TASK_STARTING", "t TASK_RUNNING", "t TASK_FINISHED"]
    );
}

#[test]
fn what_needs_no_disk_goes_on_while_it_is_full() {
    let mut cluster = Cluster::new();
    cluster.launch(framework(true), "sleep 5");
    let (node, _agent) = cluster.agent();
    cluster.run_until_logged("t TASK_RUNNING");
    cluster.give(framework(true), named("u", "sleep 1000"));
    cluster.run_until_logged("u TASK_RUNNING");
    cluster.simulation.set_disk_usage("agent", 1.0);
    cluster.simulation.run_for(Duration::from_secs(20));
    kill(&cluster, &node, "u");
    cluster.simulation.run_for(Duration::from_secs(20));
    let snapshot = _agent.snapshot.load_full();
    let key = ("F".to_owned(), "u".to_owned());
    let tasks = &snapshot.executors.get(&key).unwrap().tasks;
    let task = &tasks.values().next().unwrap().task;
    assert_eq!(
        task.state().as_str_name(),
        "TASK_KILLED",
        "the kill arrived"
    );
    cluster.simulation.set_disk_usage("agent", 0.5);
    cluster.run_until_logged("u TASK_KILLED");
    cluster.run_until_logged("t TASK_FINISHED");
}

#[test]
fn a_task_that_finds_no_room_fails_and_that_is_told_later() {
    let mut cluster = Cluster::new();
    let (_node, _agent) = cluster.agent();
    cluster.run_until_logged("register");
    cluster.simulation.run_for(Duration::from_secs(1));
    cluster.simulation.set_disk_usage("agent", 1.0);
    cluster.give(framework(true), named("u", "sleep 1"));
    cluster.simulation.run_for(Duration::from_secs(30));
    assert_eq!(cluster.log(), ["register"]);
    cluster.simulation.set_disk_usage("agent", 0.5);
    cluster.run_until_logged("u TASK_FAILED");
    // The next one finds its place.
    cluster.give(framework(true), named("v", "sleep 1"));
    cluster.run_until_logged("v TASK_FINISHED");
}

#[test]
fn whenever_the_disk_fills_up_the_task_comes_to_a_told_end() {
    for moment in 0..40 {
        let mut cluster = Cluster::new();
        cluster.launch(framework(true), "sleep 1");
        let (_node, agent) = cluster.agent();
        cluster
            .simulation
            .run_for(Duration::from_millis(moment * 50));
        cluster.simulation.set_disk_usage("agent", 1.0);
        cluster.simulation.run_for(Duration::from_secs(30));
        cluster.simulation.set_disk_usage("agent", 0.5);
        cluster.simulation.run_for(Duration::from_secs(120));
        assert_eq!(agent.ended(), None, "at {moment}");
        let state = cluster.books.lock().unwrap().tasks["t"];
        assert!(
            is_terminal(state),
            "{state:?} at {moment}: {:?}",
            cluster.log()
        );
        assert!(agent.snapshot.load().executors.is_empty(), "at {moment}");
    }
}

#[test]
fn an_agent_that_dies_on_a_full_disk_leaves_checkpoints_that_are_whole() {
    for crash_after in 0..12 {
        let mut cluster = Cluster::new();
        cluster.launch(framework(true), "sleep 5");
        let (node, agent) = cluster.agent();
        cluster.run_until_logged("t TASK_STARTING");
        cluster.simulation.set_disk_usage("agent", 1.0);
        cluster.simulation.run_for(Duration::from_secs(crash_after));
        node.crash();
        drop(agent);
        cluster.simulation.set_disk_usage("agent", 0.5);
        cluster.simulation.run_for(Duration::from_secs(1));
        let (_node, agent) = cluster.agent();
        cluster.run_until_logged("t TASK_FAILED");
        assert_eq!(agent.ended(), None);
    }
}

#[test]
fn sandboxes_go_at_their_time_over_restarts_and_earlier_on_a_full_disk() {
    let mut cluster = Cluster::new();
    cluster.launch(framework(false), "sleep 1");
    let keep = |options: &mut AgentOptions| options.gc_delay = HOUR * 7;
    let (node, agent) = cluster.agent_with(keep);
    cluster.run_until_logged("t TASK_FINISHED");
    cluster.simulation.run_for(Duration::from_secs(60));
    let sandbox = Path::new("/w/slaves/S0/frameworks/F/executors/t");
    assert!(node.disk().exists(sandbox));
    assert_eq!(agent.snapshot.load().scheduled_removals, 3);
    cluster.simulation.run_for(HOUR * 3);
    node.crash();
    drop(agent);

    let (node, agent) = cluster.agent_with(keep);
    cluster.simulation.run_for(HOUR * 3);
    assert!(node.disk().exists(sandbox), "six hours old");
    cluster.simulation.run_for(HOUR);
    assert!(!node.disk().exists(sandbox), "seven hours old");
    assert!(!node.disk().exists(Path::new("/w/slaves/S0/frameworks/F")));
    assert!(node.disk().exists(Path::new("/w/slaves/S0")));
    assert_eq!(agent.snapshot.load().scheduled_removals, 0);
    assert_eq!(node.disk().list(Path::new("/w/removed")).unwrap(), [""; 0]);

    cluster.give(framework(false), named("u", "sleep 1"));
    cluster.run_until_logged("u TASK_FINISHED");
    let sandbox = Path::new("/w/slaves/S0/frameworks/F/executors/u");
    cluster.simulation.run_for(Duration::from_secs(90));
    assert!(node.disk().exists(sandbox));
    cluster.simulation.set_disk_usage("agent", 0.95);
    cluster.simulation.run_for(Duration::from_secs(61));
    assert!(!node.disk().exists(sandbox), "there is no room to keep it");
}

#[test]
fn a_link_is_not_followed_out_of_the_work_dir() {
    let mut cluster = Cluster::new();
    let (node, _agent) = cluster.agent_with(|options| options.gc_delay = Duration::from_secs(1));
    cluster.run_until_logged("register");
    cluster.simulation.run_for(Duration::from_secs(1));
    let disk = node.disk();
    let precious = Path::new("/precious/executors/t/runs");
    disk.create_dir_all(precious).unwrap();
    let link = Path::new("/w/slaves/S0/frameworks/F");
    disk.create_dir_all(link.parent().unwrap()).unwrap();
    disk.symlink(Path::new("/precious"), link).unwrap();
    cluster.give(framework(false), named("t", "sleep 1"));
    cluster.run_until_logged("t TASK_FINISHED");
    cluster.simulation.run_for(Duration::from_secs(300));
    assert!(disk.exists(precious) && disk.exists(link));
}
