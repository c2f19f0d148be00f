//! 100,000 updates to 100 schedulers on the HTTP API, one of which does not read: how fast the
//! others get theirs, what the master's memory grows by, and whether the stream that nobody reads
//! is closed and counted. Half of the updates are for that one, two kilobytes each: more than a
//! stream may hold. The agents are stand-ins in this program.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tepui_benches::agents::{Agents, Manner};
use tepui_benches::http::{Framework, Records, subscribed_as};
use tepui_benches::masters::{Master, alone};
use tepui_benches::{Figures, RUNS, machine};
use tepui_runtime::Bytes;

const FRAMEWORKS: usize = 100;
const RESOURCES: &str = "cpus:1;mem:128";
/// Each round has so many updates for each who reads, and so many for who does not.
const ROUNDS: usize = 100;
const FOR_A_READER: usize = 5;
const FOR_THE_OTHER: usize = 505;
/// What each update carries, before it is written in base64.
const DATA_BYTES: usize = 1_200;
const LONG_S: f64 = 10_000.0;
const PATIENCE: Duration = Duration::from_secs(60);
/// How the master says that it has cut a stream.
const STUCK: &str = "http/scheduler_streams_stuck";

/// Subscribes, and launches a task that takes all of an agent.
fn launch(master: &Master, number: usize) -> (Framework, Records) {
    let (mut framework, mut records, _) = Framework::open(&master.address, number);
    let mut next = || -> Value {
        let (_, record) = records.next().expect("the subscription goes on");
        serde_json::from_slice(&record).expect("records are JSON")
    };
    loop {
        let event = next();
        if let Some(id) = subscribed_as(&event) {
            id.clone_into(&mut framework.id);
        } else if event["type"] == "OFFERS" {
            let offers = event["offers"]["offers"].as_array().cloned();
            let offers = offers.unwrap_or_default();
            accept(&mut framework, &offers[0]);
            if offers.len() > 1 {
                framework.decline(&offers[1..], LONG_S);
            }
        } else if event["type"] == "UPDATE" {
            let status = &event["update"]["status"];
            assert_eq!(status["state"], "TASK_RUNNING", "{status}");
            framework.acknowledge(status);
            return (framework, records);
        }
    }
}

fn accept(framework: &mut Framework, offer: &Value) {
    let task = json!({
        "name": "none", "task_id": {"value": "task"}, "agent_id": offer["agent_id"],
        "command": {"value": "none"}, "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 1.0}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 128.0}},
        ],
    });
    let launch = json!({"type": "LAUNCH", "launch": {"task_infos": [task]}});
    let offers = [&offer["id"]];
    framework.call(
        "ACCEPT",
        json!({"offer_ids": offers, "operations": [launch]}),
    );
}

/// Says of each update that it came, until the subscription ends.
fn count(records: Records, came: &Sender<()>) {
    let update = b"\"type\":\"UPDATE\"";
    let is_update = |record: &Bytes| record.windows(update.len()).any(|part| part == update);
    for _ in records.filter(|(_, record)| is_update(record)) {
        let _ = came.send(());
    }
}

/// The resident memory of a process in MB.
fn resident(pid: i32) -> f64 {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(path).expect("the process is ours to look at");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
    kilobytes.unwrap_or(f64::NAN) * 1024.0 / 1e6
}

/// What one run shows.
struct Outcome {
    /// Updates a second that came to those who read.
    rate: f64,
    /// The most memory behind any round, in MB.
    peak: f64,
    /// Streams that were cut.
    cut: f64,
}

fn run(master: &Master, agents: &Agents, pid: i32) -> Outcome {
    let before = master.metric(STUCK);
    let mut clients: Vec<(Framework, Records)> = (0..FRAMEWORKS)
        .map(|number| launch(master, number))
        .collect();
    let (unread, other) = clients.pop().expect("there are some");
    let (came, updates): (_, Receiver<()>) = channel();
    let readers: Vec<(Framework, _)> = clients
        .into_iter()
        .map(|(framework, records)| {
            let came = came.clone();
            (framework, std::thread::spawn(move || count(records, &came)))
        })
        .collect();
    let wanted: Vec<String> = readers.iter().map(|(one, _)| one.id.clone()).collect();
    let other_id = unread.id.clone();
    let times = move |framework: &str| match framework {
        id if id == other_id => FOR_THE_OTHER,
        id if wanted.iter().any(|one| one == id) => FOR_A_READER,
        _ => 0,
    };
    let start = Instant::now();
    let mut peak = resident(pid);
    for _ in 0..ROUNDS {
        agents.say_again(DATA_BYTES, times.clone());
        for _ in 0..FOR_A_READER * readers.len() {
            updates.recv_timeout(PATIENCE).expect("who reads gets it");
        }
        peak = peak.max(resident(pid));
    }
    let total = ROUNDS * FOR_A_READER * readers.len();
    let rate = total as f64 / start.elapsed().as_secs_f64();
    let cut = master.metric(STUCK) - before;
    drop((unread, other));
    for (framework, reader) in readers {
        framework.teardown();
        reader.join().expect("the events are well formed");
    }
    Outcome { rate, peak, cut }
}

fn main() {
    println!(
        "100,000 updates to {FRAMEWORKS} schedulers, one of which does not read\n  on {}",
        machine()
    );
    for mut master in alone(&[]) {
        let agents = Agents::register(&master, FRAMEWORKS, RESOURCES, Manner::Run);
        let pid = master.os_pid().expect("it runs on this host");
        let base = resident(pid);
        let outcomes: Vec<Outcome> = (0..RUNS).map(|_| run(&master, &agents, pid)).collect();
        let name = master.name;
        let of = |what: &str, unit, pick: &dyn Fn(&Outcome) -> f64| Figures {
            name: format!("{name}: {what}"),
            unit,
            runs: outcomes.iter().map(pick).collect(),
        };
        println!("  {}", of("updates to the others", "/s", &|one| one.rate));
        println!("  {}", of("memory before", "MB RSS", &|_| base));
        println!("  {}", of("memory at most", "MB RSS", &|one| one.peak));
        println!("  {}", of("streams cut and counted", "", &|one| one.cut));
        if let Some(daemon) = &mut master.daemon {
            let reason = daemon.wait_for("the reason", |line| line.contains("cutting a"));
            println!("  {name} says: {reason}");
        }
        agents.leave();
    }
}
