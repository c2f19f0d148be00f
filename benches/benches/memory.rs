//! What idle daemons take of memory: master, agent, the executor of a running task, and a master
//! with 100 and with 300 agents in one OS process. RSS counts shared pages whole, as tools show
//! it; PSS counts the part of each that falls to the process.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::json;
use tepui_benches::http::{Framework, next};
use tepui_benches::masters::{listener, mesos, ours};
use tepui_benches::{Figures, RUNS, machine};
use tepui_integration::Cluster;

/// A daemon that came up so long ago is idle.
const SETTLED: Duration = Duration::from_secs(2);

/// RSS and PSS of a process in MB.
#[derive(Clone, Copy)]
struct Memory {
    rss: f64,
    pss: f64,
}

fn memory(pid: i32) -> Memory {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(path).expect("the process is ours to look at");
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
        kilobytes.unwrap_or(f64::NAN) * 1024.0 / 1e6
    };
    Memory {
        rss: field("Rss:"),
        pss: field("Pss:"),
    }
}

fn idle_master() -> Memory {
    let cluster = Cluster::start(&[]);
    std::thread::sleep(SETTLED);
    let memory = memory(cluster.master.pid().as_raw());
    cluster.stop();
    memory
}

fn idle_agent() -> Memory {
    let mut cluster = Cluster::start(&[]);
    cluster.add_agent(&["--resources=cpus:4;mem:4096;disk:0"]);
    std::thread::sleep(SETTLED);
    let memory = memory(cluster.agents[0].pid().as_raw());
    cluster.stop();
    memory
}

/// The executors that run on this host.
fn executors() -> BTreeSet<i32> {
    let processes = std::fs::read_dir("/proc").expect("/proc is there");
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(b"executor")
    })
    .collect()
}

fn executor() -> Memory {
    let before = executors();
    let mut cluster = Cluster::start(&[]);
    cluster.add_agent(&["--resources=cpus:4;mem:4096;disk:0"]);
    let (sender, events) = channel();
    let (mut framework, _) = Framework::subscribe(cluster.address(), 0, &sender);
    let offer = next(&events, "OFFERS").event["offers"]["offers"][0].clone();
    let task = json!({
        "name": "sleep", "task_id": {"value": "sleep"}, "agent_id": offer["agent_id"],
        "command": {"value": "exec sleep 1000"},
        "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 64.0}},
        ],
    });
    let launch = json!({"type": "LAUNCH", "launch": {"task_infos": [task]}});
    let accept = json!({"offer_ids": [offer["id"]], "operations": [launch]});
    framework.call("ACCEPT", accept);
    loop {
        let update = next(&events, "UPDATE").event["update"]["status"].clone();
        framework.acknowledge(&update);
        if update["state"] == "TASK_RUNNING" {
            break;
        }
    }
    std::thread::sleep(SETTLED);
    let ours = executors();
    let pid = ours.difference(&before).next().expect("an executor runs");
    let memory = memory(*pid);
    framework.teardown();
    cluster.stop();
    memory
}

fn master_with(agents: usize) -> Memory {
    let master = ours(agents, &["--resources=cpus:4;mem:4096;disk:1000"]);
    std::thread::sleep(SETTLED);
    let daemon = master.daemon.as_ref().expect("started here");
    memory(daemon.pid().as_raw())
}

fn report(name: &str, measure: &dyn Fn() -> Memory) {
    let (mut rss, mut pss) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let memory = measure();
        rss.push(memory.rss);
        pss.push(memory.pss);
    }
    for (unit, runs) in [("MB RSS", rss), ("MB PSS", pss)] {
        let name = name.to_owned();
        println!("  {}", Figures { name, unit, runs });
    }
}

fn main() {
    println!("memory of idle daemons\n  on {}", machine());
    report("tepui master", &idle_master);
    report("tepui agent", &idle_agent);
    report("tepui executor of a running task", &executor);
    for agents in [100, 300] {
        let name = format!("tepui master with {agents} agents, one process");
        report(&name, &|| master_with(agents));
        match mesos(agents).and_then(|address| listener(&address)) {
            Some(pid) => {
                let name = format!("Apache Mesos 1.11 with {agents} agents, one process");
                report(&name, &|| memory(pid));
            }
            None => println!("  (no Mesos with {agents} agents on this host is named)"),
        }
    }
}
