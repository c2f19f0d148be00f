//! `/state` of a master with 2,000 agents and 20,000 running tasks, asked by one and by twenty
//! readers without a pause, and how long the master's own process takes to answer a message
//! meanwhile. Master and readers are OS processes of their own, the agents are stand-ins in this
//! program.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tepui_benches::agents::{Agents, Manner};
use tepui_benches::http::{Arrived, Framework, get, next};
use tepui_benches::masters::{Master, alone};
use tepui_benches::{Figures, RUNS, machine, median, milliseconds, percentile};

const AGENTS: usize = 2_000;
const RESOURCES: &str = "cpus:16;mem:16384;disk:1000;ports:[31000-32000]";
/// Tasks of each agent, and what each takes.
const EACH: usize = 10;
const CPUS: f64 = 1.5;
const MEM_MB: f64 = 1600.0;
/// For so long messages are sent in one run, with a pause behind each answer.
const TIME: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(1);
/// Says that this process is readers.
const READERS: &str = "readers";

/// Launches all tasks, and acknowledges that they run.
fn fill(master: &Master) -> (Framework, Receiver<Arrived>) {
    let (sender, events) = channel();
    let (mut framework, _) = Framework::subscribe(&master.address, 0, &sender);
    let mut agents = 0;
    let mut running = 0;
    while running < AGENTS * EACH {
        if agents < AGENTS {
            let arrived = next(&events, "OFFERS");
            let offers = arrived.event["offers"]["offers"].as_array().cloned();
            for offer in offers.unwrap_or_default() {
                launch(&mut framework, &offer);
                agents += 1;
            }
        } else {
            let arrived = next(&events, "UPDATE");
            framework.acknowledge(&arrived.event["update"]["status"]);
            running += 1;
        }
    }
    (framework, events)
}

fn launch(framework: &mut Framework, offer: &Value) {
    let id = offer["id"]["value"].as_str().unwrap_or_default();
    let task = |number| {
        json!({
            "name": format!("task-{number}"),
            "task_id": {"value": format!("{id}-{number}")},
            "agent_id": offer["agent_id"],
            "command": {"value": "sleep 1000"},
            "labels": {"labels": [{"key": "owner", "value": "bench"}]},
            "resources": [
                {"name": "cpus", "type": "SCALAR", "scalar": {"value": CPUS}},
                {"name": "mem", "type": "SCALAR", "scalar": {"value": MEM_MB}},
            ],
        })
    };
    let tasks: Vec<Value> = (0..EACH).map(task).collect();
    framework.call(
        "ACCEPT",
        json!({
            "offer_ids": [offer["id"]],
            "operations": [{"type": "LAUNCH", "launch": {"task_infos": tasks}}],
            "filters": {"refuse_seconds": 10_000.0},
        }),
    );
}

/// What the readers are: each asks again and again, and says how long that took.
fn read(address: &str, readers: usize) {
    let reader = || {
        let address = address.to_owned();
        std::thread::spawn(move || {
            loop {
                let time = milliseconds(|| {
                    get(&address, "/master/state");
                });
                println!("{time}");
            }
        })
    };
    let threads: Vec<_> = (0..readers).map(|_| reader()).collect();
    for thread in threads {
        let _ = thread.join();
    }
}

/// How long replies and messages took, in milliseconds.
struct Times {
    replies: Vec<f64>,
    messages: Vec<f64>,
}

fn measure(master: &Master, agents: &Agents, readers: usize) -> Times {
    let this = std::env::current_exe().expect("this program");
    let mut child = Command::new(this)
        .args([READERS, &master.address, &readers.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("readers");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut next_reply = || {
        let line = lines.next()?.ok()?;
        line.parse().ok()
    };
    // From when all of them are at it.
    for _ in 0..readers {
        next_reply().expect("a reply");
    }
    let messages = answers(agents);
    child.kill().expect("a child of ours");
    child.wait().expect("a child of ours");
    // Those that came while the messages were answered.
    let replies: Vec<f64> = std::iter::from_fn(next_reply).collect();
    Times { replies, messages }
}

fn answers(agents: &Agents) -> Vec<f64> {
    let times = agents.answer_times(TIME, PAUSE).into_iter();
    times.map(|time| time.as_secs_f64() * 1000.0).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, address, readers] = arguments.as_slice()
        && word == READERS
    {
        return read(address, readers.parse().expect("a number"));
    }
    println!(
        "/state with {AGENTS} agents and {} tasks\n  on {}",
        AGENTS * EACH,
        machine()
    );
    for master in alone(&[]) {
        let start = Instant::now();
        let agents = Agents::register(&master, AGENTS, RESOURCES, Manner::Run);
        let (framework, _events) = fill(&master);
        let bytes = get(&master.address, "/master/state").len();
        let name = master.name;
        println!("  {name}: {bytes} bytes, filled in {:?}", start.elapsed());
        let mut figures: Vec<Figures> = Vec::new();
        for run in 0..RUNS {
            let quiet = answers(&agents);
            let one = measure(&master, &agents, 1);
            let twenty = measure(&master, &agents, 20);
            let rows = [
                ("/state, one reader", median(&one.replies)),
                ("/state, each of twenty readers", median(&twenty.replies)),
                ("a message, nobody reads, median", median(&quiet)),
                ("a message, nobody reads, p99", percentile(&quiet, 99.0)),
                ("a message, one reader, median", median(&one.messages)),
                (
                    "a message, one reader, p99",
                    percentile(&one.messages, 99.0),
                ),
                (
                    "a message, twenty readers, median",
                    median(&twenty.messages),
                ),
                (
                    "a message, twenty readers, p99",
                    percentile(&twenty.messages, 99.0),
                ),
            ];
            for (number, (what, value)) in rows.into_iter().enumerate() {
                if run == 0 {
                    figures.push(Figures {
                        name: format!("{name}: {what}"),
                        unit: "ms",
                        runs: Vec::new(),
                    });
                }
                figures[number].runs.push(value);
            }
        }
        for figures in &figures {
            println!("  {figures}");
        }
        framework.teardown();
        agents.leave();
    }
}
