//! Soak: 20 frameworks of five roles each on 20 agent processes, with tasks of all kinds, while
//! schedulers are killed and agents are stopped and continued or cut off. Afterwards the accounts
//! balance, every task is accounted for, nothing is left on the machine, and memory has not grown.
//!
//! Two minutes; `TEPUI_SOAK_MINUTES=10` for longer, `TEPUI_SOAK_SEED` for the same draws again.
//! This program is also the schedulers and the executors: its first argument says which. It needs
//! root, and says so.

#[path = "soak/accounts.rs"]
mod accounts;
#[path = "soak/client.rs"]
mod client;
#[path = "soak/cluster.rs"]
mod cluster;
#[path = "soak/executor.rs"]
mod executor;
#[path = "soak/frameworks.rs"]
mod frameworks;
#[path = "soak/kind.rs"]
mod kind;
#[path = "soak/ledger.rs"]
mod ledger;
#[path = "soak/memory.rs"]
mod memory;
#[path = "soak/network.rs"]
mod network;
#[path = "soak/scheduler.rs"]
mod scheduler;
#[path = "soak/weather.rs"]
mod weather;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;
use tepui_integration::scalar;

use crate::cluster::{Cluster, MASTER, descriptors, further_arenas};
use crate::frameworks::Frameworks;
use crate::kind::Kind;
use crate::memory::Memory;
use crate::weather::Weather;

const AGENTS: usize = 20;
const FRAMEWORKS: usize = 20;
/// How often the master's books are looked at.
const AUDIT: Duration = Duration::from_secs(2);
/// How long everything may take to come to rest: agents come back, tasks are killed with their
/// grace periods, executors are shut down.
const REST: Duration = Duration::from_secs(120);

/// In a long soak frameworks launch in haste at first, so that before memory is looked at for the
/// first time each agent has had a task of almost every framework: what it keeps of the past, of one
/// executor of each, is filled by then.
const HURRY: Duration = Duration::from_secs(2 * 60);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("scheduler") => scheduler::main(&arguments[1..]),
        Some("executor") => executor::main(),
        // Asked by test runners.
        Some("--list") => println!("soak: test"),
        _ if !nix::unistd::geteuid().is_root() => {
            eprintln!("soak: needs root, to make namespaces and cgroups");
            return ExitCode::FAILURE;
        }
        _ => {
            soak();
            println!("test soak ... ok");
        }
    }
    ExitCode::SUCCESS
}

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

fn soak() {
    let minutes = number("TEPUI_SOAK_MINUTES", 2);
    let of_the_clock = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("after 1970");
    let seed = number("TEPUI_SOAK_SEED", of_the_clock.as_secs() % 100_000);
    println!("soak: {minutes} minutes, seed {seed}");
    let start = Instant::now();
    let mut cluster = Cluster::start(AGENTS);
    println!("soak: {AGENTS} agents after {:?}", start.elapsed());
    // For what a daemon opens for its first container and keeps open.
    offer_everything(1);
    until_nothing("the first tasks leave something", REST, || {
        cluster.leftovers()
    });
    let before: Vec<usize> = cluster
        .daemons()
        .map(|(_, it)| descriptors(it).len())
        .collect();

    let hurry = if minutes < 10 { Duration::ZERO } else { HURRY };
    let mut frameworks = Frameworks::start(MASTER, seed, FRAMEWORKS, hurry);
    let mut weather = Weather::new(seed);
    let mut memory = Memory::new(minutes);
    let start = Instant::now();
    let end = start + Duration::from_secs(minutes * 60);
    let (mut audit, mut slowest) = (start, Duration::ZERO);
    while Instant::now() < end {
        weather.pass(&cluster, &mut frameworks);
        frameworks.listen(Instant::now() + Duration::from_millis(100));
        memory.look(start.elapsed(), &cluster);
        if Instant::now() >= audit {
            let asked = Instant::now();
            let state = cluster.view("/state");
            slowest = slowest.max(asked.elapsed());
            let faults = accounts::faults(&state);
            assert!(
                faults.is_empty(),
                "after {:?}: {faults:#?}",
                start.elapsed()
            );
            audit = Instant::now() + AUDIT;
        }
    }
    println!("soak: the slowest answer of /state took {slowest:?}");
    weather.end(&cluster);
    come_to_rest(&mut cluster, &mut frameworks);
    tell(&frameworks, &weather, minutes);
    offer_everything(0);
    frameworks.leave();
    check_that_nothing_is_left(&cluster, &before);
    check_that_arenas_are_shared(&cluster);
    let growth = memory.growth();
    cluster.stop();
    assert!(growth.is_empty(), "{growth:#?}");
}

/// Looks again and again until there is nothing to be found any more.
fn until_nothing(what: &str, patience: Duration, look: impl FnMut() -> Vec<String>) {
    let left = left_after(patience, look);
    assert!(left.is_empty(), "{what}: {left:#?}");
}

/// Looks again and again until there is nothing to be found any more, or the time is over; gives
/// what was found last.
fn left_after(patience: Duration, mut look: impl FnMut() -> Vec<String>) -> Vec<String> {
    let deadline = Instant::now() + patience;
    loop {
        let found = look();
        if found.is_empty() || Instant::now() >= deadline {
            return found;
        }
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

/// Has the schedulers end all that runs, once all agents are back.
fn come_to_rest(cluster: &mut Cluster, frameworks: &mut Frameworks) {
    let soon = || Instant::now() + Duration::from_millis(200);
    let start = Instant::now();
    until_nothing("agents and schedulers do not come back", REST, || {
        frameworks.listen(soon());
        let agents = cluster.view("/state")["slaves"].clone();
        let active = |agent: &&serde_json::Value| agent["active"] == true;
        let there = agents
            .as_array()
            .into_iter()
            .flatten()
            .filter(active)
            .count();
        match (there, frameworks.are_all_there()) {
            (AGENTS, true) => Vec::new(),
            _ => vec![format!("{there} agents are active: {agents}")],
        }
    });
    frameworks.tell_all("rest");
    let unrest = left_after(REST, || {
        frameworks.listen(soon());
        let mut unrest = accounts::unrest(&cluster.view("/state"), AGENTS);
        if !frameworks.are_at_rest() {
            unrest.extend(frameworks.restless());
        }
        unrest
    });
    if !unrest.is_empty() {
        tell_of_unrest(cluster, frameworks);
        panic!("something does not come to rest: {unrest:#?}");
    }
    println!("soak: at rest after {:?}", start.elapsed());
}

/// What everybody knows of the tasks and executors that the master still has: the ledger, their
/// agents, and the logs.
fn tell_of_unrest(cluster: &mut Cluster, frameworks: &Frameworks) {
    let state = cluster.view("/state");
    for (framework, part, entry) in accounts::running(&state) {
        let text = |name: &str| entry[name].as_str().unwrap_or_default();
        let (of_task, agent_id) = (part != "executors", text("slave_id"));
        let id = if of_task {
            text("id")
        } else {
            text("executor_id")
        };
        println!("soak: {part} of {framework}: {entry}");
        if of_task {
            println!("soak: the ledger: {}", frameworks.ledger.entry(id));
        }
        let agents = state["slaves"].as_array().into_iter().flatten();
        let hosts = agents.filter(|agent| agent["id"] == agent_id);
        let host = hosts.filter_map(|agent| agent["hostname"].as_str()).next();
        let number = host.and_then(|host| (0..AGENTS).find(|it| network::address(*it) == host));
        println!("soak: it is on agent {number:?}");
        if let Some(number) = number {
            let view = cluster.agent_view(number, "/state");
            for part in ["frameworks", "completed_frameworks"] {
                let known = view[part].as_array().into_iter().flatten();
                for known in known.filter(|known| known["name"] == *framework) {
                    println!("soak: the agent's {part}: {known}");
                }
            }
        }
        for (name, line) in cluster.lines_of(number, |line| {
            line.contains(id) || line.contains(agent_id) || line.contains("register")
        }) {
            println!("soak: {name}: {line}");
        }
    }
}

/// What happened, which has to be enough, and what became of the tasks.
fn tell(frameworks: &Frameworks, weather: &Weather, minutes: u64) {
    let ledger = &frameworks.ledger;
    println!(
        "soak: {} tasks; {} schedulers killed, agents stopped {} and cut off {} times",
        ledger.len(),
        frameworks.kills,
        weather.stops,
        weather.cuts
    );
    for ((kind, state), count) in ledger.ends() {
        println!("soak: {count:6} {kind}: {state}");
    }
    println!("soak: told {:?}", ledger.told);
    let faults = ledger.faults();
    assert!(faults.is_empty(), "{faults:#?}");
    let least = 5 * minutes as usize;
    for (what, count) in [
        ("kills", frameworks.kills),
        ("stops", weather.stops),
        ("cuts", weather.cuts),
        ("tasks", ledger.len() / 10),
    ] {
        assert!(count >= least, "only {count} {what}");
    }
    for state in ["TASK_UNREACHABLE", "TASK_LOST"] {
        assert!(ledger.told.contains_key(state), "nothing was ever {state}");
    }
}

/// A framework that comes now is offered every agent whole, so the allocator's books balance too.
/// It runs so many tasks on each, one after the other.
fn offer_everything(tasks: usize) {
    let (sender, events) = std::sync::mpsc::channel();
    let info = json!({"user": "root", "name": "auditor", "roles": ["auditor"],
        "capabilities": [{"type": "MULTI_ROLE"}]});
    let mut auditor = client::Client::subscribe(MASTER, &info, move |event| {
        let _ = sender.send(event);
    });
    let mut launched: BTreeMap<String, usize> = BTreeMap::new();
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    let mut finished = 0;
    let mut deadline = Instant::now() + REST;
    while launched.len() < AGENTS || finished < AGENTS * tasks {
        let left = deadline.saturating_duration_since(Instant::now());
        let event = events.recv_timeout(left);
        let event = event.unwrap_or_else(|error| panic!("{error}: {launched:#?}, {told:#?}"));
        let event = event.expect("the stream stays open");
        for offer in event["offers"]["offers"].as_array().into_iter().flatten() {
            let agent = offer["agent_id"]["value"].to_string();
            let of_agent = launched.entry(agent.clone()).or_default();
            if *of_agent == 0 {
                let amount = |name| (scalar(offer, name) * 1000.0).round() as u64;
                let whole = (cluster::CPUS, cluster::MEM * 1000);
                assert_eq!((amount("cpus"), amount("mem")), whole, "{offer:#}");
            }
            if *of_agent < tasks {
                *of_agent += 1;
                let id = format!("{agent}.{of_agent}").replace('"', "");
                let kind = Kind::of("finishes");
                let launch = kind.launch(&auditor.framework_id, &[id], offer, 0.1, 32);
                // The rest comes back with what the task has used.
                auditor.launch(offer, launch, 1);
            }
        }
        let status = &event["update"]["status"];
        if event["type"] == "UPDATE" {
            let how = format!("{}: {}", status["state"], status["message"]);
            told.insert(status["task_id"]["value"].to_string(), how);
            auditor.acknowledge(status);
            if status["state"] == "TASK_FINISHED" {
                finished += 1;
                deadline = Instant::now() + REST;
            }
        }
    }
    auditor.call(json!({"type": "TEARDOWN"}));
}

/// No process, cgroup, mount, stream or descriptor is left of what ran.
fn check_that_nothing_is_left(cluster: &Cluster, before: &[usize]) {
    until_nothing("left behind", REST, || cluster.leftovers());
    until_nothing("descriptors are left", REST, || {
        let now = cluster
            .daemons()
            .map(|(name, daemon)| (name, descriptors(daemon)));
        now.zip(before)
            .filter(|((_, now), before)| now.len() > **before)
            .map(|((name, now), before)| format!("{name}: {now:?}, before {before}"))
            .collect()
    });
}

/// The threads of a daemon share as many arenas as there are processors, and two at least.
fn check_that_arenas_are_shared(cluster: &Cluster) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    for (name, daemon) in cluster.daemons() {
        let further = further_arenas(daemon);
        assert!(
            further < processors.max(2),
            "{name}: {further} further arenas"
        );
    }
}
