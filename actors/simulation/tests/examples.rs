//! The examples of `tepui-framework`, unchanged, in the simulated world, with agents that crash.

#[path = "../../framework/examples/batch/batch.rs"]
mod batch;
#[path = "../../framework/examples/keeper/keeper.rs"]
mod keeper;

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tepui_framework::{Framework, Info, Options, Patience};
use tepui_protocol::mesos::v1::FrameworkId;
use tepui_runtime::Node;
use tepui_simulation::ClusterError;
use tepui_simulation::kit::Lab;

use self::batch::{Batch, Job, Told};
use self::keeper::{Keeper, Service};

fn job(number: usize, command: &str, hosts: &[&str]) -> Job {
    Job {
        name: format!("job-{number}"),
        command: command.to_owned(),
        hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
    }
}

fn options() -> batch::Options {
    batch::Options {
        cpus: 1.0,
        mem: 64.0,
        tries: 3,
        patience: Patience::default(),
    }
}

/// What a batch said, of which the last is its end.
fn said(heard: &Receiver<Told>) -> (Vec<String>, Option<(usize, usize)>) {
    let mut over = None;
    let line = |told| match told {
        Told::Line(line) => Some(line),
        Told::Over { finished, failed } => {
            over = Some((finished, failed));
            None
        }
    };
    (heard.try_iter().filter_map(line).collect(), over)
}

#[test]
fn a_batch_ends_whatever_becomes_of_its_agents() {
    for seed in 0..5 {
        let mut lab = Lab::new(seed, 2).unwrap();
        let (told, heard) = channel();
        let jobs = (1..=20).map(|number| job(number, "start 1; sleep 20", &[]));
        let jobs = jobs.chain([job(21, "exit 3", &[])]).collect();
        lab.start("batch", Batch::new(jobs, options(), told))
            .unwrap();
        lab.run_for(Duration::from_secs(10));
        assert_eq!(
            lab.tasks_running(),
            8,
            "as many at once as there is room for"
        );
        lab.crash_agent(0);
        lab.run_for(Duration::from_secs(200));
        lab.start_agent(0).unwrap();
        lab.run_for(Duration::from_secs(600));
        let (lines, over) = said(&heard);
        assert_eq!(over, Some((20, 1)), "seed {seed}: {lines:?}");
        let tries = lines
            .iter()
            .filter(|line| line.starts_with("job-21 failed"))
            .count();
        assert_eq!(tries, 3, "seed {seed}: {lines:?}");
        assert_eq!(lab.tasks_running(), 0);
        lab.assert_in_order();
    }
}

#[test]
fn a_job_waits_for_the_host_that_it_prefers_but_not_for_ever() {
    let mut lab = Lab::new(3, 2).unwrap();
    let hosts = lab.hostnames();
    let (told, heard) = channel();
    let jobs = vec![
        job(1, "sleep 1", &[&hosts[1]]),
        job(2, "sleep 1", &["elsewhere"]),
    ];
    let begun = lab.now();
    lab.start("batch", Batch::new(jobs, options(), told))
        .unwrap();
    lab.run_for(Duration::from_secs(6));
    let (lines, over) = said(&heard);
    assert_eq!(
        (lines.as_slice(), over),
        (["job-1 finished".to_owned()].as_slice(), None)
    );
    lab.run_until(Duration::from_secs(120), |lab| {
        lab.frameworks_registered() == 0
    });
    let (lines, over) = said(&heard);
    assert_eq!(lines, ["job-2 finished"]);
    assert_eq!(over, Some((2, 0)));
    let waited = lab.now().since(begun);
    let patience = Patience::default().near + Patience::default().rack;
    assert!(
        waited >= patience,
        "the second waited for its host: {waited:?}"
    );
}

/// A keeper's service, with an instance a second in a version of this name.
fn service(version: &str, instances: usize) -> Service {
    Service {
        name: "web".to_owned(),
        version: version.to_owned(),
        command: "start 1; sleep 100000".to_owned(),
        instances,
        per_host: Some(2),
        settle: Duration::from_secs(2),
        cpus: 0.5,
        mem: 32.0,
    }
}

/// Starts a keeper that remembers the framework's id in `kept`; also gives its host.
fn keep(
    lab: &mut Lab,
    service: Service,
    kept: &Arc<Mutex<Option<String>>>,
) -> Result<(Framework<Keeper>, Node), ClusterError> {
    let mut info = Info::new("web")
        .failover_timeout(Duration::from_secs(3600))
        .checkpoint()
        .partition_aware();
    let known = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(id) = known {
        info = info.id(id);
    }
    let remembered = Arc::clone(kept);
    let remember = move |id: &FrameworkId| {
        let mut kept = remembered.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(id.value.clone());
    };
    let (told, _) = channel();
    let options = Options {
        suppressed_roles: vec!["*".to_owned()],
        ..Options::default()
    };
    let keeper = Keeper::new(service, Box::new(remember), told);
    lab.start_with(info.build(), keeper, options)
}

fn ready(lab: &mut Lab, keeper: &Framework<Keeper>) -> Vec<(String, usize)> {
    let now = lab.now();
    let ready = lab.look(keeper, move |keeper| keeper.ready(now));
    ready.unwrap_or_default().into_iter().collect()
}

fn of(version: &str, count: usize) -> Vec<(String, usize)> {
    vec![(version.to_owned(), count)]
}

#[test]
fn a_keeper_holds_its_instances_when_agents_go_and_come_back() {
    for seed in 0..5 {
        let mut lab = Lab::new(seed, 3).unwrap();
        let kept = Arc::default();
        let (keeper, _) = keep(&mut lab, service("v1", 4), &kept).unwrap();
        lab.run_for(Duration::from_secs(30));
        assert_eq!(ready(&mut lab, &keeper), of("v1", 4), "seed {seed}");
        lab.cut_agent_off(0);
        lab.run_for(Duration::from_secs(200));
        assert_eq!(
            ready(&mut lab, &keeper),
            of("v1", 4),
            "seed {seed}: one agent is away"
        );
        lab.heal_agent(0);
        lab.run_for(Duration::from_secs(200));
        assert_eq!(
            ready(&mut lab, &keeper),
            of("v1", 4),
            "seed {seed}: it came back"
        );
        assert_eq!(
            lab.tasks_running(),
            4,
            "seed {seed}: what came back was too much"
        );
        lab.assert_in_order();
    }
}

#[test]
fn a_new_keeper_takes_the_instances_up_and_replaces_them_one_by_one() {
    let mut lab = Lab::new(11, 2).unwrap();
    let kept = Arc::default();
    let (first, _) = keep(&mut lab, service("v1", 3), &kept).unwrap();
    lab.run_for(Duration::from_secs(30));
    assert_eq!(ready(&mut lab, &first), of("v1", 3));
    let (second, _) = keep(&mut lab, service("v2", 3), &kept).unwrap();
    let mut least = usize::MAX;
    let mut most = 0;
    let done = lab.run_until(Duration::from_secs(300), |lab| {
        let running = lab.tasks_running();
        (least, most) = (least.min(running), most.max(running));
        ready(lab, &second) == of("v2", 3) && running == 3
    });
    assert!(done, "{:?}", ready(&mut lab, &second));
    assert!(least >= 3, "never fewer than wanted: {least}");
    assert!(most <= 4, "never more than one too many: {most}");
    let broken = Service {
        command: "exit 1".to_owned(),
        ..service("v3", 3)
    };
    let (third, _) = keep(&mut lab, broken, &kept).unwrap();
    lab.run_for(Duration::from_secs(120));
    assert_eq!(
        ready(&mut lab, &third),
        of("v2", 3),
        "a broken version replaces nothing"
    );
    let (none, _) = keep(&mut lab, service("v3", 0), &kept).unwrap();
    lab.run_for(Duration::from_secs(60));
    assert_eq!((lab.tasks_running(), lab.frameworks_registered()), (0, 0));
    drop(none);
    lab.assert_in_order();
}

#[test]
fn a_kill_that_is_lost_leaves_no_instance_too_many() {
    for (cut_off, seconds) in [("the keeper", 60), ("the agents", 10)] {
        let mut lab = Lab::new(5, 2).unwrap();
        let kept = Arc::default();
        let (first, _) = keep(&mut lab, service("v1", 3), &kept).unwrap();
        lab.run_for(Duration::from_secs(30));
        assert_eq!(ready(&mut lab, &first), of("v1", 3));
        let (second, host) = keep(&mut lab, service("v2", 3), &kept).unwrap();
        while lab.tasks_running() < 4 {
            lab.run_for(Duration::from_millis(100));
        }
        // The first of the new version runs, and is ready in two seconds: nothing is killed yet.
        lab.run_for(Duration::from_millis(200));
        let (master, _) = lab.cluster.master().unwrap();
        let network = lab.cluster.simulation.network();
        if cut_off == "the keeper" {
            network.partition(&[&host], &[master]);
            lab.run_for(Duration::from_secs(seconds));
            let (master, _) = lab.cluster.master().unwrap();
            lab.cluster.simulation.network().heal(&host, master);
        } else {
            (0..2).for_each(|number| lab.cut_agent_off(number));
            lab.run_for(Duration::from_secs(seconds));
            (0..2).for_each(|number| lab.heal_agent(number));
        }
        let done = lab.run_until(Duration::from_secs(600), |lab| {
            ready(lab, &second) == of("v2", 3) && lab.tasks_running() == 3
        });
        let running = lab.tasks_running();
        assert!(done, "cut off: {cut_off}; {running} run");
        lab.assert_in_order();
    }
}
