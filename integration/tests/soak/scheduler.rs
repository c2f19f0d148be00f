//! A scheduler that this program is when the test starts it so, to be killed at any time. It
//! launches tasks of all kinds under five roles, kills those that stay, and reconciles what it
//! knows. What it does it says first, a line each, so that nothing is lost with it:
//!
//! ```text
//!   id FRAMEWORK       launch TASK AGENT KIND       update TASK STATE acknowledged|told MESSAGE
//!   executor AGENT ROLE     at rest
//! ```
//!
//! It is told, a line each: what the one before it knew (`id`, `task TASK AGENT KIND`,
//! `executor AGENT ROLE`, ended by `go`), `hurry` to launch in haste and `calm` to end that, `rest` to
//! launch no more and end what runs, `leave` to be torn down.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tepui_integration::Dice;

use crate::client::Client;
use crate::kind::{KINDS, Kind};
use crate::ledger;

/// Roles of a framework.
const ROLES: usize = 5;
/// Tasks of a framework at a time.
const OPEN_MAX: usize = 5;
/// Between two launches of a framework, in milliseconds: such that two cores bear it.
const PACE: std::ops::Range<u64> = 2_000..6_000;
/// In haste.
const HASTE: std::ops::Range<u64> = 500..1_500;
/// For so many seconds what is not wanted is refused, drawn each time: long enough that a hundred
/// roles do not spend their time on offers.
const REFUSE: std::ops::Range<u64> = 5..20;
/// How often what is open is asked for.
const RECONCILE: Duration = Duration::from_secs(3);

enum Told {
    Event(Box<Value>),
    Line(String),
    /// The stream or the standard input has ended.
    End(&'static str),
}

struct Task {
    kind: &'static Kind,
    agent_id: Value,
    /// Its executor's id, if it has one that was not made for it alone; of those that an earlier
    /// life launched it is not known.
    executor: Option<String>,
    /// When it is killed.
    kill: Option<Instant>,
}

struct Scheduler {
    client: Client,
    dice: Dice,
    /// Distinguishes the tasks of one life from those of another.
    life: String,
    roles: Vec<String>,
    launched: u64,
    next_launch: Instant,
    pace: std::ops::Range<u64>,
    open: BTreeMap<String, Task>,
    /// Executors of this framework that were there at some time: the agent and the role.
    executors: BTreeSet<(String, String)>,
    suppressed: Option<String>,
    resting: bool,
    at_rest: bool,
}

/// Runs until it is told to leave. The arguments are the master's address, the framework's name,
/// the seed of this life, and whether it is aware of partitions.
pub fn main(arguments: &[String]) {
    let [address, name, seed, aware] = arguments else {
        panic!("four arguments: {arguments:?}");
    };
    let (sender, inbox) = channel();
    read_input(sender.clone());
    let mut known = BTreeMap::new();
    let mut executors = BTreeSet::new();
    let mut id = None;
    loop {
        let line = match inbox.recv() {
            Ok(Told::Line(line)) => line,
            _ => return,
        };
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["id", framework] => id = Some(framework.to_owned()),
            ["task", task, agent, kind] => {
                let (kind, agent_id) = (Kind::of(kind), json!({"value": agent}));
                let kill = kind.stays.then(Instant::now);
                let known_task = Task {
                    kind,
                    agent_id,
                    executor: None,
                    kill,
                };
                known.insert(task.to_owned(), known_task);
            }
            ["executor", agent, role] => {
                executors.insert((agent.to_owned(), role.to_owned()));
            }
            ["go"] => break,
            _ => panic!("told {line}"),
        }
    }
    let roles: Vec<String> = (0..ROLES).map(|role| format!("{name}-{role}")).collect();
    let mut info = json!({
        "user": "root",
        "name": name,
        "roles": roles,
        "checkpoint": true,
        "failover_timeout": 3600.0,
        "capabilities": [{"type": "MULTI_ROLE"}],
    });
    if aware == "aware" {
        info["capabilities"] = json!([{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}]);
    }
    if let Some(id) = id {
        info["id"] = json!({"value": id});
    }
    let client = Client::subscribe(address, &info, move |event| {
        let told = event.map_or(Told::End("stream"), |event| Told::Event(Box::new(event)));
        let _ = sender.send(told);
    });
    println!("id {}", client.framework_id);
    let mut scheduler = Scheduler {
        client,
        dice: Dice::new(seed.parse().expect("a seed")),
        life: format!("{name}.{seed}"),
        roles,
        launched: 0,
        next_launch: Instant::now(),
        pace: PACE,
        open: known,
        executors,
        suppressed: None,
        resting: false,
        at_rest: false,
    };
    scheduler.run(&inbox);
}

fn read_input(sender: Sender<Told>) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = sender.send(Told::Line(line));
        }
        let _ = sender.send(Told::End("input"));
    });
}

impl Scheduler {
    fn run(&mut self, inbox: &Receiver<Told>) {
        let mut reconcile = Instant::now();
        loop {
            if Instant::now() >= reconcile {
                reconcile = Instant::now() + RECONCILE;
                self.ask();
            }
            self.kill_those_whose_time_has_come();
            match inbox.recv_timeout(Duration::from_millis(100)) {
                Ok(Told::Event(event)) => self.event(&event),
                Ok(Told::Line(line)) if line == "rest" => self.rest(),
                Ok(Told::Line(line)) if line == "hurry" => self.pace = HASTE,
                Ok(Told::Line(line)) if line == "calm" => self.pace = PACE,
                Ok(Told::Line(line)) if line == "leave" => {
                    self.client.call(json!({"type": "TEARDOWN"}));
                    return;
                }
                Ok(Told::Line(line)) => panic!("told {line}"),
                // The test has ended.
                Ok(Told::End("input")) => return,
                Ok(Told::End(what)) => panic!("the end of the {what}"),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.resting && self.open.is_empty() && !std::mem::replace(&mut self.at_rest, true) {
                println!("at rest");
            }
        }
    }

    fn event(&mut self, event: &Value) {
        match event["type"].as_str().unwrap_or_default() {
            "OFFERS" => {
                for offer in event["offers"]["offers"].as_array().into_iter().flatten() {
                    self.offer(offer);
                }
            }
            "UPDATE" => self.update(&event["update"]["status"]),
            "ERROR" => panic!("{event}"),
            _ => {}
        }
    }

    fn offer(&mut self, offer: &Value) {
        let amount = |name: &str| tepui_integration::scalar(offer, name);
        let wanted = !self.resting
            && self.open.len() < OPEN_MAX
            && Instant::now() >= self.next_launch
            && amount("cpus") >= 0.75
            && amount("mem") >= 192.0
            // The executors', and not in an offer of what came back while all of it was on offer.
            && amount("disk") >= 1.0;
        let refuse = if self.resting {
            3600
        } else {
            self.dice.between(REFUSE.start, REFUSE.end)
        };
        if !wanted {
            let filters = json!({"refuse_seconds": refuse});
            let decline = json!({"offer_ids": [offer["id"]], "filters": filters});
            return self
                .client
                .call(json!({"type": "DECLINE", "decline": decline}));
        }
        let wait = self.dice.between(self.pace.start, self.pace.end);
        self.next_launch = Instant::now() + Duration::from_millis(wait);
        let launch = self.launch(offer);
        self.client.launch(offer, launch, refuse);
    }

    /// The launch of a task of some kind, or a pair, which are said before they are launched.
    fn launch(&mut self, offer: &Value) -> Value {
        let mut drawn = self
            .dice
            .between(0, KINDS.iter().map(|kind| kind.share).sum());
        let kind = KINDS.iter().find(|kind| {
            let found = drawn < kind.share;
            drawn = drawn.saturating_sub(kind.share);
            found
        });
        let kind = kind.expect("less than the sum of the shares");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let agent = text(&offer["agent_id"]["value"]);
        let role = text(&offer["allocation_info"]["role"]);
        let stays = Duration::from_millis(self.dice.between(500, 15_000));
        let mut ids: Vec<String> = Vec::new();
        for _ in 0..kind.together() {
            let id = format!("{}.{}", self.life, self.launched);
            self.launched += 1;
            println!("launch {id} {agent} {}", kind.name);
            let executor = match kind.is_in_group() {
                true => Some(ids.first().unwrap_or(&id).clone()),
                false => kind.is_on_executor().then(|| role.clone()),
            };
            let task = Task {
                kind,
                agent_id: offer["agent_id"].clone(),
                executor,
                kill: kind.stays.then(|| Instant::now() + stays),
            };
            self.open.insert(id.clone(), task);
            ids.push(id);
        }
        if kind.is_on_executor() {
            println!("executor {agent} {role}");
            self.executors.insert((agent, role));
        }
        let cpus = self.dice.between(50, 300) as f64 / 1000.0;
        let mem = self.dice.between(32, 64);
        let framework = &self.client.framework_id;
        kind.launch(framework, &ids, offer, cpus, mem)
    }

    fn update(&mut self, status: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (id, state) = (text(&status["task_id"]["value"]), text(&status["state"]));
        let how = if status.get("uuid").is_some() {
            "acknowledged"
        } else {
            "told"
        };
        let message = text(&status["message"]).replace('\n', " ");
        println!("update {id} {state} {how} {message}");
        self.client.acknowledge(status);
        if ledger::is_over(&state) {
            self.open.remove(&id);
        } else {
            // One that was lost with its agent and is back: it has waited long enough.
            let back = || Task {
                kind: Kind::of("stays"),
                agent_id: status["agent_id"].clone(),
                executor: None,
                kill: Some(Instant::now()),
            };
            self.open.entry(id).or_insert_with(back);
        }
    }

    /// Kills what has stayed long enough. Now and then it is the executor that dies, and all that
    /// runs on it.
    fn kill_those_whose_time_has_come(&mut self) {
        let now = Instant::now();
        let due = |task: &Task| task.kill.is_some_and(|kill| kill <= now);
        let due: Vec<String> = self
            .open
            .iter()
            .filter(|(_, task)| due(task))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            let Some(task) = self.open.get_mut(&id) else {
                continue;
            };
            // It is asked for again until it is over.
            task.kill = Some(now + RECONCILE);
            let (agent_id, executor) = (task.agent_id.clone(), task.executor.clone());
            let executor = executor.filter(|_| self.dice.percent(25));
            match executor {
                Some(executor) if task.kind.is_in_group() => {
                    let executor_id = json!({"value": executor});
                    let shutdown = json!({"agent_id": agent_id, "executor_id": executor_id});
                    let call = json!({"type": "SHUTDOWN", "shutdown": shutdown});
                    self.client.call(call);
                }
                Some(executor) => {
                    let executor_id = json!({"value": executor});
                    let data = "ZGll";
                    let message =
                        json!({"agent_id": agent_id, "executor_id": executor_id, "data": data});
                    let call = json!({"type": "MESSAGE", "message": message});
                    self.client.call(call);
                }
                None => {
                    let kill = json!({"task_id": {"value": id}, "agent_id": agent_id});
                    self.client.call(json!({"type": "KILL", "kill": kill}));
                }
            }
        }
    }

    /// Asks how what is open stands, suppresses a role and revives another, and ends executors
    /// that have nothing to do.
    fn ask(&mut self) {
        let tasks: Vec<Value> = self
            .open
            .iter()
            .map(|(id, task)| json!({"task_id": {"value": id}, "agent_id": task.agent_id}))
            .collect();
        if !tasks.is_empty() {
            let call = json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}});
            self.client.call(call);
        }
        if self.resting {
            // What else runs: a task that came back with its agent when no scheduler was there.
            let all = json!({"type": "RECONCILE", "reconcile": {"tasks": []}});
            self.client.call(all);
            // An offer that came on the way may have been declined before.
            self.client.call(json!({"type": "SUPPRESS"}));
        } else {
            if let Some(role) = self.suppressed.take() {
                let roles = json!({"roles": [role]});
                self.client.call(json!({"type": "REVIVE", "revive": roles}));
            }
            if self.dice.percent(30) {
                let role = self.dice.pick(&self.roles).clone();
                let roles = json!({"roles": [role.clone()]});
                self.client
                    .call(json!({"type": "SUPPRESS", "suppress": roles}));
                self.suppressed = Some(role);
            }
        }
        let on_executors = self.open.values().any(|task| task.kind.is_on_executor());
        if !on_executors && (self.resting || self.dice.percent(30)) {
            for (agent, role) in self.executors.clone() {
                let (executor, agent) = (json!({"value": role}), json!({"value": agent}));
                let shutdown = json!({"executor_id": executor, "agent_id": agent});
                self.client
                    .call(json!({"type": "SHUTDOWN", "shutdown": shutdown}));
            }
        }
    }

    fn rest(&mut self) {
        self.resting = true;
        for task in self.open.values_mut() {
            task.kill = Some(Instant::now());
        }
        self.ask();
    }
}
