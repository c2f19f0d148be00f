//! Why a framework is not offered an agent, in random simulated clusters: for each agent of which
//! it has no offer there is exactly one reason, and taking that cause away, again and again where
//! another lay behind it, brings the offer. And why a task is not running.

#[path = "why_cluster/cluster.rs"]
mod cluster;
#[path = "why_cluster/taker.rs"]
mod taker;

use std::collections::{BTreeMap, BTreeSet};

use cluster::Cluster;
use serde_json::Value;

/// How many clusters.
const SEEDS: u64 = 40;

/// No agent is kept from a framework by more causes than these, one behind the other.
const MOST_CAUSES: usize = 12;

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_default()
}

/// What is said of each agent, by id. Each has offers or a reason, and never both.
fn by_agent(answer: &Value) -> BTreeMap<String, Value> {
    let agents = answer["agents"].as_array().unwrap();
    let mut all = BTreeMap::new();
    for agent in agents {
        let offered = agent.get("offers").is_some();
        let reasons = agent.get("reason").is_some();
        assert!(offered != reasons, "{agent}");
        assert!(offered || !text(agent, "why").is_empty(), "{agent}");
        let id = text(agent, "agent_id").to_owned();
        assert!(all.insert(id, agent.clone()).is_none(), "twice: {agent}");
    }
    all
}

/// Takes away what keeps an agent from a framework until it is offered; the causes, in order.
fn pursue(cluster: &mut Cluster, framework: usize, agent: &str) -> Vec<String> {
    let mut causes = Vec::new();
    let mut before = BTreeSet::new();
    while causes.len() < MOST_CAUSES {
        let answer = cluster.why_framework(framework);
        let said = by_agent(&answer).remove(agent).unwrap();
        if said.get("offers").is_some() {
            return causes;
        }
        let reason = text(&said, "reason").to_owned();
        let waits = ["waiting", "just_refused"].contains(&reason.as_str());
        let cause = format!("{reason} in {} {}", text(&said, "role"), said["details"]);
        assert!(
            waits || before.insert(cause.clone()),
            "{agent}: still {cause}, after {causes:?}"
        );
        causes.push(reason.clone());
        cluster.take_away(framework, agent, &said);
    }
    panic!("{agent}: no offer after {causes:?}");
}

#[test]
fn there_is_one_reason_for_each_agent_and_without_it_there_is_the_offer() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..SEEDS {
        let mut cluster = Cluster::random(seed);
        let ids = cluster.agent_ids();
        let mut withheld = Vec::new();
        for framework in 0..cluster.frameworks() {
            let said = by_agent(&cluster.why_framework(framework));
            assert_eq!(said.keys().cloned().collect::<BTreeSet<_>>(), ids);
            let without = said
                .into_iter()
                .filter(|(_, said)| said.get("reason").is_some());
            withheld.extend(without.map(|(agent, said)| (framework, agent, said)));
        }
        for (_, _, said) in &withheld {
            *seen.entry(text(said, "reason").to_owned()).or_default() += 1;
        }
        if withheld.is_empty() {
            continue;
        }
        let (framework, agent, _) = cluster.pick(&withheld).clone();
        let causes = pursue(&mut cluster, framework, &agent);
        println!("seed {seed}: {causes:?}");
    }
    println!("{seen:?}");
    for reason in [
        "suppressed",
        "refused",
        "held",
        "below_minimum",
        "gpu_agent",
        "constrained",
        "agent_inactive",
        "framework_inactive",
    ] {
        assert!(
            seen.contains_key(reason),
            "no cluster had {reason}: {seen:?}"
        );
    }
}

#[test]
fn who_is_not_known_is_said_to_be_so() {
    let mut cluster = Cluster::random(0);
    let (status, body) = cluster.get(&[("framework_id", "nobody")]);
    assert_eq!(
        (status, body.as_str()),
        (404, "There is no framework 'nobody'.\n")
    );
    let (status, body) = cluster.get(&[("task_id", "none")]);
    assert_eq!(status, 404);
    assert!(body.starts_with("There is no task 'none': "), "{body}");
    let (status, body) = cluster.get(&[]);
    assert_eq!(status, 400);
    assert_eq!(
        body,
        "Expecting 'framework_id' or 'task_id' in the query.\n"
    );
}

/// The one task of that id.
fn task(cluster: &mut Cluster, id: &str) -> Value {
    let (status, body) = cluster.get(&[("task_id", id)]);
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    let tasks = answer["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 1, "{answer}");
    tasks[0].clone()
}

#[test]
fn a_task_that_is_not_running_is_explained() {
    let mut cluster = Cluster::plain(1);
    let holder = cluster.add_framework("tasks", taker::Greed::Keeps);
    cluster.run_for(5);

    cluster.launch(holder, "slow", "start 20; sleep 30; exit 3");
    cluster.run_for(3);
    let slow = task(&mut cluster, "slow");
    assert_eq!(
        (text(&slow, "state"), &slow["running"]),
        ("TASK_STARTING", &Value::Bool(false))
    );
    assert!(
        text(&slow, "why").starts_with("its executor has begun it"),
        "{slow}"
    );

    cluster.run_for(25);
    let slow = task(&mut cluster, "slow");
    assert_eq!(
        (text(&slow, "state"), &slow["running"]),
        ("TASK_RUNNING", &Value::Bool(true))
    );

    cluster.cut_agent_off(0);
    cluster.run_for(15);
    let slow = task(&mut cluster, "slow");
    assert_eq!(slow["running"], false, "{slow}");
    assert!(text(&slow, "why").contains("is disconnected"), "{slow}");

    cluster.run_for(200);
    let slow = task(&mut cluster, "slow");
    assert!(
        text(&slow, "why").contains("is unreachable since "),
        "{slow}"
    );

    cluster.heal();
    cluster.run_for(300);
    let slow = task(&mut cluster, "slow");
    assert_eq!(
        (text(&slow, "state"), &slow["running"]),
        ("TASK_FAILED", &Value::Bool(false))
    );
    assert!(
        text(&slow, "why").starts_with("it ended as TASK_FAILED: "),
        "{slow}"
    );
    assert!(
        text(&slow, "message").contains("exited with status 3"),
        "{slow}"
    );
}
