//! Offers that are not the framework's, not any more, or not enough. The refusal is a status of
//! each task, and what was offered is not lost.

use serde_json::{Value, json};
use tepui_integration::{Subscription, command_task};

use super::{Rule, Stage};

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
            let offer = stage.framework.offer(|_| true);
            let task = stage.task();
            let id = &offer["id"];
            dropped(&mut stage.framework, &[id, id], &offer["agent_id"], task);
        },
    },
    Rule {
        id: "OFFER-4",
        sent: "ACCEPT of an invented offer, alone or beside a valid one, or of none",
        answer: "TASK_DROPPED, REASON_INVALID_OFFERS; the valid one comes again",
        check: |stage| {
            let offer = stage.framework.offer(|_| true);
            let invented = json!({"value": "invented/../O1"});
            for offers in [
                [&invented].as_slice(),
                [&offer["id"], &invented].as_slice(),
                &[],
            ] {
                let task = stage.task();
                dropped(&mut stage.framework, offers, &offer["agent_id"], task);
            }
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
        sent: "ACCEPT whose filter is negative, not finite, or a hundred years",
        answer: "the default, or Mesos' limit of a year; the framework goes on",
        check: |stage| {
            for seconds in [json!(-1), json!(1e300), json!(3.2e9), json!("NaN")] {
                let offer = stage.framework.offer(|_| true);
                let filters = json!({"refuse_seconds": seconds});
                let decline = json!({"offer_ids": [offer["id"]], "filters": filters});
                let status = stage
                    .framework
                    .call(json!({"type": "DECLINE", "decline": decline}));
                assert!(status == 202 || status == 400, "{seconds}: {status}");
                if status == 400 {
                    stage.framework.decline(&offer);
                }
                assert_eq!(stage.framework.call(json!({"type": "REVIVE"})), 202);
            }
        },
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
