//! The books of a master, checked to the thousandth of a cpu: what it says is used on an agent is
//! what the tasks and executors there use, in one answer of `/state`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cluster::{CPUS, MEM};
use crate::ledger::is_over;

/// Thousandths of cpus, and thousandths of megabytes.
type Amounts = [i64; 2];

fn amounts(resources: &Value) -> Amounts {
    ["cpus", "mem"].map(|name| thousandths(&resources[name]))
}

fn thousandths(number: &Value) -> i64 {
    (number.as_f64().unwrap_or_default() * 1000.0).round() as i64
}

fn add(to: &mut Amounts, amounts: Amounts) {
    to.iter_mut()
        .zip(amounts)
        .for_each(|(to, amount)| *to += amount);
}

/// What disagrees in an answer of `/state`.
pub fn faults(state: &Value) -> Vec<String> {
    let mut used: BTreeMap<&str, Amounts> = BTreeMap::new();
    for framework in list(state, "frameworks") {
        let tasks = list(framework, "tasks");
        let tasks = tasks.filter(|task| !task["state"].as_str().is_some_and(is_over));
        for user in tasks.chain(list(framework, "executors")) {
            let agent = user["slave_id"].as_str().unwrap_or_default();
            add(used.entry(agent).or_default(), amounts(&user["resources"]));
        }
    }
    let mut faults = Vec::new();
    for agent in list(state, "slaves") {
        let id = agent["id"].as_str().unwrap_or_default();
        let (said, found) = (
            amounts(&agent["used_resources"]),
            used.remove(id).unwrap_or_default(),
        );
        if said != found {
            faults.push(format!("{id}: {said:?} is said to be used, {found:?} is"));
        }
        let mut taken = said;
        add(&mut taken, amounts(&agent["offered_resources"]));
        let total = amounts(&agent["resources"]);
        if total != whole() || taken.iter().zip(total).any(|(taken, total)| *taken > total) {
            faults.push(format!("{id}: {taken:?} of {total:?} is used and on offer"));
        }
    }
    let elsewhere = used
        .into_keys()
        .map(|id| format!("{id}: used, and there is no such agent"));
    faults.extend(elsewhere);
    faults
}

/// What an agent has.
fn whole() -> Amounts {
    [CPUS as i64, MEM as i64 * 1000]
}

/// Tasks and executors of any framework: its name, the part of its book, and the entry.
pub fn running(state: &Value) -> impl Iterator<Item = (&Value, &'static str, &Value)> {
    list(state, "frameworks").flat_map(|framework| {
        let parts = ["tasks", "executors", "unreachable_tasks"].into_iter();
        parts.flat_map(move |part| {
            list(framework, part).map(move |entry| (&framework["name"], part, entry))
        })
    })
}

/// What is still used, on offer, running or missing, where nothing may be.
pub fn unrest(state: &Value, agents: usize) -> Vec<String> {
    let mut found: Vec<String> = running(state)
        .map(|(framework, part, entry)| format!("{framework}: {part} {entry}"))
        .collect();
    let slaves: Vec<&Value> = list(state, "slaves").collect();
    if slaves.len() != agents || slaves.iter().any(|agent| agent["active"] != true) {
        found.push(format!(
            "{} of {agents} agents, or not all active",
            slaves.len()
        ));
    }
    for agent in slaves {
        for part in ["used_resources", "offered_resources"] {
            if amounts(&agent[part]) != [0, 0] {
                found.push(format!("{}: {part} {}", agent["id"], agent[part]));
            }
        }
    }
    found
}

fn list<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    of[name].as_array().into_iter().flatten()
}
