//! What all rules about bad input share: how a rule is told and checked, and the cluster that is
//! attacked. The rules themselves are in the files beside this one.

pub mod executors;
pub mod http;
pub mod limits;
pub mod messages;
pub mod offers;
pub mod tasks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::{Value, json};
use tepui_integration::raw::{Answer, Request};
use tepui_integration::{Cluster, Subscription, command_task};

/// How long something that nobody is told of may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// What the master holds in memory.
pub const HELD: &str = "VmRSS:";
/// The most that it has ever held.
pub const MOST_HELD: &str = "VmHWM:";

/// One rule. `id`, `sent` and `answer` are a row of `HOSTILE.md`.
pub struct Rule {
    /// Stays the same for good.
    pub id: &'static str,
    /// What a stranger or a broken client sends.
    pub sent: &'static str,
    /// What becomes of it.
    pub answer: &'static str,
    /// Sends it, and panics where the answer is another.
    pub check: fn(&mut Stage),
}

/// All rules, in the order of the table.
pub fn rules() -> Vec<&'static Rule> {
    let groups = [
        http::RULES,
        offers::RULES,
        tasks::RULES,
        executors::RULES,
        messages::RULES,
        limits::RULES,
    ];
    groups.into_iter().flatten().collect()
}

/// A master, an agent and a framework.
pub struct Stage {
    pub cluster: Cluster,
    pub framework: Subscription,
    tasks: usize,
}

impl Stage {
    pub fn new() -> Stage {
        let mut cluster = Cluster::start(&["--allocation_interval=100ms"]);
        cluster.add_agent(&[
            "--resources=cpus:4;mem:4096;disk:1024;ports:[31000-31009];gadgets:{a,b}",
        ]);
        let framework = Subscription::open(cluster.address(), &info("the victim"));
        Stage {
            cluster,
            framework,
            tasks: 0,
        }
    }

    /// A name that no task had yet.
    pub fn name(&mut self) -> String {
        self.tasks += 1;
        format!("task-{}", self.tasks)
    }

    /// A task that ends at once, on the stage's framework.
    pub fn task(&mut self) -> Value {
        command_task(&self.name(), "exit 0", 0.1, 32.0)
    }

    /// Another framework.
    pub fn subscribe(&self, name: &str) -> Subscription {
        Subscription::open(self.cluster.address(), &info(name))
    }

    /// Sends a call of the stage's framework, its stream named, and gives the whole answer.
    pub fn call(&self, mut call: Value) -> Answer {
        call["framework_id"] = json!({"value": self.framework.framework_id()});
        let request = scheduler(call.to_string().into_bytes());
        let request = request.with("Mesos-Stream-Id", self.framework.stream_id());
        request.send(self.cluster.address())
    }

    /// Checks a request to the master that is refused with a status and words that hold `text`.
    pub fn refused(&self, request: &Request, status: u16, text: &str) {
        check_refused(&request.send(self.cluster.address()), status, text);
    }

    /// Runs a task to its end: offers, agent, container, updates and acknowledgements work.
    pub fn runs_a_task(&mut self) {
        let task = self.task();
        let name = task["name"].as_str().expect("a name").to_owned();
        let offer = self.framework.offer(|_| true);
        self.framework.launch(&offer, vec![task]);
        self.framework.state(&name, "TASK_FINISHED");
    }

    /// The names of frameworks in one of the lists of `/frameworks`.
    pub fn frameworks(&self, list: &str) -> Vec<String> {
        let answer = Request::new("GET", "/frameworks").send(self.cluster.address());
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        let all = body[list].as_array().expect("a list").iter();
        let names = all.map(|framework| framework["name"].as_str().expect("a name").to_owned());
        names.collect()
    }

    /// A figure of the master's memory, in bytes.
    pub fn memory(&self, what: &str) -> usize {
        let path = format!("/proc/{}/status", self.cluster.master.pid());
        let status = std::fs::read_to_string(path).expect("the master lives");
        let line = status.lines().find(|line| line.starts_with(what));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok());
        kilobytes.expect("a figure") << 10
    }

    /// Whether both daemons answer.
    fn still_serves(&self) {
        for address in [
            self.cluster.address().to_owned(),
            self.cluster.agent_address(0),
        ] {
            let answer = Request::new("GET", "/health").send(&address);
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }

    /// Checks rules one after the other, and after each that the daemons go on. Fails with all
    /// that do not hold.
    pub fn check(mut self, rules: &[Rule]) {
        let mut broken = Vec::new();
        for rule in rules {
            let start = std::time::Instant::now();
            let check = || {
                (rule.check)(&mut self);
                self.still_serves();
            };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(check)) {
                let said = panic.downcast_ref::<String>().map(String::as_str);
                let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
                broken.push(format!(
                    "{} ({}): {}",
                    rule.id,
                    rule.sent,
                    said.unwrap_or("a panic")
                ));
            }
            println!("{}: {:?}", rule.id, start.elapsed());
        }
        assert!(broken.is_empty(), "{}", broken.join("\n"));
        self.runs_a_task();
        self.framework.teardown();
        self.framework.wait_for_end();
        self.cluster.stop();
    }
}

/// Checks that an answer is a refusal with words that hold `text`.
pub fn check_refused(answer: &Answer, status: u16, text: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let held = answer.body.contains(text) || answer.head.contains(text);
    assert!(held, "no '{text}' in {answer:?}");
}

/// A call to the scheduler API in JSON.
pub fn scheduler(body: impl Into<Vec<u8>>) -> Request {
    Request::post("/api/v1/scheduler", "application/json", body)
}

/// A framework that is told of what becomes of its tasks.
pub fn info(name: &str) -> Value {
    json!({
        "user": "root",
        "name": name,
        "capabilities": [{"type": "PARTITION_AWARE"}],
    })
}

/// SUBSCRIBE with this FrameworkInfo.
pub fn subscribe(info: Value) -> Value {
    let mut call = json!({"type": "SUBSCRIBE"});
    if let Some(id) = info.get("id") {
        call["framework_id"] = id.clone();
    }
    call["subscribe"] = json!({"framework_info": info});
    call
}
