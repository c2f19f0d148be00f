//! Why a framework is not offered an agent, in random simulated clusters: for each agent of which
//! it has no offer there is exactly one reason, that is so, and taking that cause away, and then
//! what lay behind it, brings the offer. And why a task is not running.

#[path = "why_cluster/cluster.rs"]
mod cluster;
#[path = "why_cluster/cures.rs"]
mod cures;
#[path = "why_cluster/taker.rs"]
mod taker;

use std::collections::{BTreeMap, BTreeSet};

use cluster::Cluster;
use serde_json::Value;

/// How many clusters.
const SEEDS: u64 = 80;

/// What others have a part in, and so may come again with other details.
const BY_OTHERS: [&str; 2] = ["held", "below_minimum"];
/// What only time takes away.
const PASSING: [&str; 2] = ["waiting", "just_refused"];

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

/// Takes away what keeps an agent from a framework until it is offered; the causes, in order. What
/// was taken away is not said again.
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
        let mut cause = format!("{reason} in {}", text(&said, "role"));
        if BY_OTHERS.contains(&reason.as_str()) {
            cause = format!("{cause} {}", said["details"]);
        }
        assert!(
            PASSING.contains(&reason.as_str()) || before.insert(cause.clone()),
            "{agent}: still {cause}, after {causes:?}"
        );
        causes.push(reason.clone());
        cluster.take_away(framework, agent, &said);
    }
    panic!("{agent}: no offer after {causes:?}");
}

#[test]
fn there_is_one_reason_for_each_agent_and_without_it_there_is_the_offer() {
    // How often the end of a cause, and of no other behind it, brought the offer.
    let mut cured: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..SEEDS {
        let mut cluster = Cluster::random(seed);
        let ids = cluster.agent_ids();
        let mut withheld: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
        for framework in 0..cluster.frameworks() {
            let said = by_agent(&cluster.why_framework(framework));
            assert_eq!(said.keys().cloned().collect::<BTreeSet<_>>(), ids);
            for (agent, said) in said {
                if said.get("reason").is_some() {
                    let of_reason = withheld.entry(text(&said, "reason").to_owned());
                    of_reason.or_default().push((framework, agent));
                }
            }
        }
        for (reason, withheld) in withheld {
            let (framework, agent) = cluster.pick(&withheld).clone();
            let causes = pursue(&mut cluster, framework, &agent);
            println!("seed {seed}: {reason}: {causes:?}");
            let lasting = |cause: &String| !PASSING.contains(&cause.as_str());
            if let Some(cause) = causes.into_iter().rfind(lasting) {
                *cured.entry(cause).or_default() += 1;
            }
        }
    }
    println!("{cured:?}");
    for reason in [
        "suppressed",
        "refused",
        "held",
        "below_minimum",
        "gpu_agent",
        "constrained",
        "agent_inactive",
        "framework_inactive",
        "other_region",
        "reserved_for_others",
        "incapable",
    ] {
        assert!(
            cured.contains_key(reason),
            "the end of {reason} brought no offer: {cured:?}"
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

#[test]
fn where_tasks_fail_before_they_start_the_agent_pauses_and_that_is_what_is_said() {
    let mut cluster = Cluster::plain(0);
    cluster.add_broken_agent();
    cluster.run_for(10);
    let greedy = cluster.add_framework("greedy", taker::Greed::All);
    let agent = cluster.agent_ids().pop_first().unwrap();
    let tried = |cluster: &Cluster| -> u64 {
        let snapshot = cluster.master.snapshot();
        let frameworks = snapshot.frameworks.values();
        frameworks.map(|framework| framework.completed_count).sum()
    };
    let mut seen = BTreeSet::new();
    let mut tries = Vec::new();
    for _ in 0..20 {
        cluster.run_for(1);
        tries.push(tried(&cluster));
        let answer = cluster.why_framework(greedy);
        let said = by_agent(&answer).remove(&agent).unwrap();
        let reason = text(&said, "reason").to_owned();
        if reason == "paused" {
            let begin = "the agent pauses for the framework until ";
            assert!(text(&said, "why").contains(begin), "{said}");
        }
        seen.insert(reason);
    }
    assert!(seen.contains("paused"), "{seen:?}");
    assert!(
        !seen.contains("refused"),
        "it has refused nothing: {seen:?}"
    );
    // After each pause it is offered the agent again, and fails a few times more.
    let (first, last) = (tries[0], tries[19]);
    assert!(first >= 4 && last >= first + 20 && last <= 200, "{tries:?}");
}
