//! Offers that are not the framework's, not any more, or not enough. The refusal is a status of
//! each task, and what was offered is not lost.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tepui_integration::raw::Request;
use tepui_integration::{Cluster, Subscription, command_task, scalar};

use super::{PATIENCE, Rule, Stage, info};

/// How long a refusal lasts that says nothing that can be.
const DEFAULT: Duration = Duration::from_secs(5);
/// What its end may take longer: batches, and a busy machine.
const LATE: Duration = Duration::from_secs(4);

/// The rules of this file.
pub const RULES: &[Rule] = &[
    Rule {
        id: "OFFER-1",
        sent: "ACCEPT of another framework's offer",
        answer: "TASK_DROPPED, REASON_INVALID_OFFERS; the offer stays whose it is",
        check: |stage| {
            let mut thief = stage.subscribe("the thief");
            let offer = stage.framework.offer(|_| true);
            let stolen = stage.task();
            dropped(&mut thief, &[&offer["id"]], &offer["agent_id"], stolen);
            let own = stage.task();
            finishes(stage, &offer, own);
            thief.teardown();
        },
    },
    Rule {
        id: "OFFER-2",
        sent: "ACCEPT of an offer that was used already, or declined",
        answer: "TASK_DROPPED, REASON_INVALID_OFFERS",
        check: |stage| {
            let offer = stage.framework.offer(|_| true);
            let first = stage.task();
            finishes(stage, &offer, first);
            let second = stage.task();
            let (id, agent) = (&offer["id"], &offer["agent_id"]);
            dropped(&mut stage.framework, &[id], agent, second);
            let offer = stage.framework.offer(|_| true);
            stage.framework.decline(&offer);
            let third = stage.task();
            dropped(&mut stage.framework, &[&offer["id"]], agent, third);
        },
    },
    Rule {
        id: "OFFER-3",
        sent: "ACCEPT that names an offer twice",
        answer: "TASK_DROPPED, REASON_INVALID_OFFERS; the offer comes again",
        check: |stage| {
            let offer = stage.framework.offer(whole);
            let task = stage.task();
            let id = &offer["id"];
            dropped(&mut stage.framework, &[id, id], &offer["agent_id"], task);
            comes_again(&mut stage.framework, &offer);
        },
    },
    Rule {
        id: "OFFER-4",
        sent: "ACCEPT of an invented offer, alone or beside a valid one, or of none",
        answer: "TASK_DROPPED, REASON_INVALID_OFFERS; the valid one comes again",
        check: |stage| {
            let invented = json!({"value": "invented/../O1"});
            for valid in [true, false] {
                let offer = stage.framework.offer(whole);
                let mut offers = vec![&invented];
                if valid {
                    offers.insert(0, &offer["id"]);
                }
                let task = stage.task();
                dropped(&mut stage.framework, &offers, &offer["agent_id"], task);
                if valid {
                    comes_again(&mut stage.framework, &offer);
                }
            }
            let offer = stage.framework.offer(whole);
            let task = stage.task();
            dropped(&mut stage.framework, &[], &offer["agent_id"], task);
        },
    },
    Rule {
        id: "OFFER-5",
        sent: "DECLINE, KILL, RECONCILE and ACKNOWLEDGE of what does not exist",
        answer: "202; a kill and a reconciliation are answered by TASK_UNKNOWN",
        check: |stage| {
            let uuid = "AAAAAAAAQACAAAAAAAAAAA==";
            let task = json!({"value": "nobody"});
            let agent = json!({"value": "nowhere"});
            let acknowledge = json!({"agent_id": agent, "task_id": task, "uuid": uuid});
            let both = json!([{"task_id": task}]);
            for call in [
                json!({"type": "DECLINE", "decline": {"offer_ids": [{"value": "nothing"}]}}),
                json!({"type": "ACKNOWLEDGE", "acknowledge": acknowledge}),
                json!({"type": "KILL", "kill": {"task_id": task}}),
                json!({"type": "RECONCILE", "reconcile": {"tasks": both}}),
            ] {
                assert_eq!(stage.framework.call(call), 202);
            }
            for _ in 0..2 {
                let status = stage.framework.status("nobody", |_| true);
                assert_eq!(status["state"], "TASK_UNKNOWN", "{status:#}");
            }
        },
    },
    Rule {
        id: "OFFER-6",
        sent: "ACCEPT and DECLINE whose filter is negative, no number, 1e300 or a hundred years",
        answer: "5 s for what is negative or no number; the others hold on until a REVIVE",
        check: |_| filters_that_cannot_be(),
    },
];

/// Accepts offers for a task and sees it dropped.
fn dropped(framework: &mut Subscription, offers: &[&Value], agent: &Value, mut task: Value) {
    task["agent_id"] = agent.clone();
    let name = task["name"].as_str().expect("a name").to_owned();
    let launch = json!({"type": "LAUNCH", "launch": {"task_infos": [task]}});
    let filters = json!({"refuse_seconds": 0});
    let accept = json!({"offer_ids": offers, "operations": [launch], "filters": filters});
    assert_eq!(
        framework.call(json!({"type": "ACCEPT", "accept": accept})),
        202
    );
    let status = framework.status(&name, |_| true);
    assert_eq!(status["state"], "TASK_DROPPED", "{status:#}");
    assert_eq!(status["reason"], "REASON_INVALID_OFFERS", "{status:#}");
    assert_eq!(status["source"], "SOURCE_MASTER", "{status:#}");
    assert_eq!(status.get("uuid"), None, "{status:#}");
}

/// Whether an offer is of all that the stage's agent has.
fn whole(offer: &Value) -> bool {
    scalar(offer, "cpus") == 4.0 && scalar(offer, "mem") == 4096.0
}

/// Sees what an offer held in another one.
fn comes_again(framework: &mut Subscription, offer: &Value) {
    let again = framework.offer(whole);
    assert_ne!(again["id"], offer["id"]);
    assert_eq!(again["resources"], offer["resources"]);
}

/// Launches a task on an offer and sees it finish.
fn finishes(stage: &mut Stage, offer: &Value, task: Value) {
    let name = task["name"].as_str().expect("a name").to_owned();
    stage.framework.launch(offer, vec![task]);
    stage.framework.state(&name, "TASK_FINISHED");
}

/// A task for the rules about tasks: it would run long.
pub fn long_task(name: &str) -> Value {
    command_task(name, "exec sleep 1000", 0.1, 32.0)
}

/// A framework that refuses what it is offered for a time that cannot be.
struct Refuser {
    framework: Subscription,
    seconds: Value,
    /// Whether it refuses what a task leaves over, or all.
    accepts: bool,
    /// Whether its refusal is to hold on.
    lasts: bool,
    /// When it refused.
    since: Option<Instant>,
    /// Whether it was offered the same again.
    again: bool,
}

impl Refuser {
    /// Looks whether it was offered something, and refuses that: the first time as it does, and
    /// then for long.
    fn look(&mut self) {
        self.framework.look(Duration::from_millis(20));
        let offers = self.framework.offers();
        let Some(offer) = offers.first() else {
            return;
        };
        if let Some(since) = self.since {
            let (after, seconds) = (since.elapsed(), &self.seconds);
            assert!(!self.again && !self.lasts, "{seconds}: after {after:?}");
            let on_time = (DEFAULT..DEFAULT + LATE).contains(&after);
            assert!(on_time, "{seconds}: after {after:?}");
            self.again = true;
            refuse(&self.framework, offer, &json!(3600), None);
        } else {
            self.since = Some(Instant::now());
            let task = self.accepts.then_some("task");
            refuse(&self.framework, offer, &self.seconds, task);
        }
    }
}

/// Frameworks refuse the same resources one after the other, each for another time that cannot be:
/// those whose refusals are to hold on hear nothing while the others are offered all of it again.
fn filters_that_cannot_be() {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms"]);
    cluster.add_agent(&["--resources=cpus:4;mem:4096;disk:0;ports:[]"]);
    let start = Instant::now();
    let mut all: Vec<Refuser> = Vec::new();
    for (seconds, lasts) in [
        (json!(1e300), true),
        (json!(3.2e9), true),
        (json!(-1), false),
        (json!("NaN"), false),
    ] {
        for accepts in [true, false] {
            let name = format!("{seconds} {accepts}");
            all.push(Refuser {
                framework: Subscription::open(cluster.address(), &info(&name)),
                seconds: seconds.clone(),
                accepts,
                lasts,
                since: None,
                again: false,
            });
            while all.iter().any(|refuser| refuser.since.is_none()) {
                assert!(start.elapsed() < PATIENCE, "no offer for {name}");
                all.iter_mut().for_each(Refuser::look);
            }
        }
    }
    while !all.iter().all(|refuser| refuser.lasts || refuser.again) {
        assert!(start.elapsed() < PATIENCE, "no offers again");
        all.iter_mut().for_each(Refuser::look);
    }
    // Two batches with nobody but those to offer to; one may have begun before.
    let runs = || {
        let answer = Request::new("GET", "/metrics/snapshot").send(cluster.address());
        let metrics: Value = serde_json::from_str(&answer.body).expect("JSON");
        let runs = &metrics["allocator/mesos/allocation_runs"];
        runs.as_f64().expect("a count")
    };
    let before = runs();
    while runs() < before + 3.0 {
        assert!(start.elapsed() < PATIENCE, "no batches");
    }
    for refuser in all.iter_mut().filter(|refuser| refuser.lasts) {
        // What was offered to it would be on its stream before this answer.
        let tasks = json!([{"task_id": {"value": "nobody"}}]);
        let call = json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}});
        assert_eq!(refuser.framework.call(call), 202);
        refuser.framework.status("nobody", |_| true);
        assert_eq!(refuser.framework.offers(), [] as [Value; 0]);
    }
    for refuser in all.iter_mut().filter(|refuser| refuser.lasts) {
        let framework = &mut refuser.framework;
        assert_eq!(framework.call(json!({"type": "REVIVE"})), 202);
        // All but what the four tasks have.
        let offer = framework.offer(|offer| (scalar(offer, "cpus") - 3.6).abs() < 0.0005);
        refuse(framework, &offer, &json!(3600), None);
    }
    for mut refuser in all {
        refuser.framework.teardown();
        refuser.framework.wait_for_end();
    }
    cluster.stop();
}

/// Refuses all of an offer, or what a task leaves over.
fn refuse(framework: &Subscription, offer: &Value, seconds: &Value, task: Option<&str>) {
    let ids = json!([offer["id"]]);
    let filters = json!({"refuse_seconds": seconds});
    let call = if let Some(name) = task {
        let mut task = long_task(name);
        task["agent_id"] = offer["agent_id"].clone();
        let launch = json!({"type": "LAUNCH", "launch": {"task_infos": [task]}});
        let accept = json!({"offer_ids": ids, "operations": [launch], "filters": filters});
        json!({"type": "ACCEPT", "accept": accept})
    } else {
        json!({"type": "DECLINE", "decline": {"offer_ids": ids, "filters": filters}})
    };
    assert_eq!(framework.call(call), 202);
}
