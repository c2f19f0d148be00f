//! A scheduler over the HTTP API of a simulated master: a whole life, and a stream that is cut.

use std::sync::{Arc, Mutex};

use tepui_framework::Task;
use tepui_protocol::mesos::v1::{
    FrameworkId, FrameworkInfo, MasterInfo, Offer, TaskState, TaskStatus,
};
use tepui_runtime::Body;

use super::*;
use crate::cluster::{Cluster, ClusterOptions};

/// Launches one long task on its first offer, and writes down what it is told.
struct Scribe {
    launched: bool,
    log: Arc<Mutex<Vec<String>>>,
}

impl Scribe {
    fn note(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }
}

impl Scheduler for Scribe {
    fn subscribed(&mut self, _: &mut Driver<'_>, _: &FrameworkId, _: Option<&MasterInfo>) {
        self.note("subscribed");
    }

    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        for offer in &offers {
            if std::mem::replace(&mut self.launched, true) {
                driver.decline(offer);
            } else {
                let task = Task::command("t", "sleep 100").cpus(1.0).mem(64.0);
                driver.launch(offer, [task.on(offer)]);
            }
        }
    }

    fn update(&mut self, driver: &mut Driver<'_>, status: TaskStatus) {
        self.note(status.state().as_str_name());
        if status.state() == TaskState::TaskFinished {
            driver.teardown();
        }
    }

    fn disconnected(&mut self, _: &mut Driver<'_>) {
        self.note("disconnected");
    }
}

#[test]
fn a_scheduler_on_the_http_api_runs_a_task_through_a_cut_of_its_stream() {
    let mut cluster = Cluster::new(ClusterOptions::default()).unwrap();
    let host = cluster.framework_host().unwrap();
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let scribe = Scribe {
        launched: false,
        log: Arc::clone(&log),
    };
    let info = FrameworkInfo {
        user: "root".to_owned(),
        name: "scribe".to_owned(),
        failover_timeout: Some(60.0),
        ..FrameworkInfo::default()
    };
    let network = cluster.simulation.network().clone();
    let (master_node, master) = cluster.master().unwrap().clone();
    let address = master_node.address();
    let client = {
        let words = Subscribe {
            framework_info: info,
            suppressed_roles: Vec::new(),
            offer_constraints: None,
        };
        spawn_http(&host, &network, address, words, scribe, true).unwrap()
    };
    cluster.simulation.run_for(Duration::from_secs(20));
    let seen = || std::mem::take(&mut *log.lock().unwrap());
    assert_eq!(seen(), ["subscribed", "TASK_STARTING", "TASK_RUNNING"]);
    let pid = |master: &tepui_master::Master| {
        let snapshot = master.snapshot();
        let framework = snapshot.frameworks.values().next().unwrap();
        framework.pid().map(|pid| pid.id().to_owned())
    };
    assert_eq!(pid(&master).as_deref(), Some("http-scheduler(1)"));

    let suppressed = |master: &tepui_master::Master| {
        let snapshot = master.snapshot();
        let framework = snapshot.frameworks.values().next().unwrap();
        framework
            .suppressed_roles
            .iter()
            .cloned()
            .collect::<Vec<String>>()
    };
    client.call(|_, driver| driver.suppress(Vec::new()));
    cluster.simulation.run_for(Duration::from_secs(1));
    assert_eq!(suppressed(&master), ["*"]);

    network.cut(&host, &master_node);
    cluster.simulation.run_for(Duration::from_millis(100));
    assert_eq!(
        pid(&master),
        None,
        "the master sees that the stream is gone"
    );
    cluster.simulation.run_for(Duration::from_secs(10));
    assert_eq!(seen(), ["disconnected", "subscribed"]);
    assert_eq!(pid(&master).as_deref(), Some("http-scheduler(2)"));
    assert_eq!(suppressed(&master), ["*"], "as it said it again");

    cluster.simulation.run_for(Duration::from_secs(200));
    assert_eq!(seen(), ["TASK_FINISHED"], "told once: it was acknowledged");
    assert!(!host.has_process(client.pid().id()), "over after TEARDOWN");
}

#[test]
fn the_state_is_served_in_the_simulated_world() {
    let mut cluster = Cluster::new(ClusterOptions::default()).unwrap();
    cluster.simulation.run_for(Duration::from_secs(5));
    let host = cluster.framework_host().unwrap();
    let network = cluster.simulation.network().clone();
    let master = cluster.master_pid().address();
    let answer = network.request(&host, master, Request::new("GET", "/state"));
    let answer = cluster.simulation.block_on(answer).unwrap();
    assert_eq!(answer.status, 200);
    let Body::Bytes(body) = answer.body else {
        panic!("a whole body")
    };
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.contains(r#""activated_slaves":3"#), "{text}");
}
