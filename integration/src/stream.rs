//! A framework by hand: `curl` holds the subscription, its records are read as JSON.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tepui_protocol::recordio::Decoder;

const PATIENCE: Duration = Duration::from_secs(60);
const RECORD_MAX: usize = 16 << 20;

/// A subscription to the scheduler API, held by `curl`.
#[derive(Debug)]
pub struct Subscription {
    curl: Child,
    events: Receiver<Value>,
    url: String,
    stream_id: String,
    framework_id: String,
    /// What is on offer, by id: offers that came, while something else was waited for as well.
    offers: RefCell<BTreeMap<String, Value>>,
    /// Executors whose end was told, while something else was waited for as well.
    failures: Vec<Value>,
}

impl Subscription {
    /// Subscribes a framework at `master` (`ip:port`) and waits until it is subscribed. With an
    /// `id` in its info it is a framework that comes back.
    ///
    /// # Panics
    ///
    /// When the master does not answer as Mesos does.
    pub fn open(master: &str, framework_info: &Value) -> Subscription {
        let url = format!("http://{master}/api/v1/scheduler");
        let mut call =
            json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": framework_info}});
        if let Some(id) = framework_info.get("id") {
            call["framework_id"] = id.clone();
        }
        let mut curl = Command::new("curl")
            .args(["-sS", "-N", "-i", "-X", "POST"])
            .args(["-H", "Content-Type: application/json"])
            .args(["-H", "Accept: application/json"])
            .args(["-d", &call.to_string(), &url])
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl is installed");
        let mut stdout = curl.stdout.take().expect("stdout is a pipe");
        let head = read_head(&mut stdout);
        assert!(head.starts_with("HTTP/1.1 200"), "subscribed: {head}");
        let stream_id = head
            .lines()
            .find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("Mesos-Stream-Id")
                    .then(|| value.trim().to_owned())
            })
            .unwrap_or_else(|| panic!("no Mesos-Stream-Id in {head}"));
        let (sender, events) = channel();
        std::thread::spawn(move || {
            let mut decoder = Decoder::new(RECORD_MAX);
            let mut piece = [0; 65536];
            while let Ok(length @ 1..) = stdout.read(&mut piece) {
                for record in decoder
                    .push(&piece[..length])
                    .expect("records are well framed")
                {
                    let event = serde_json::from_slice(&record).expect("records are JSON");
                    let _ = sender.send(event);
                }
            }
        });
        let mut subscription = Subscription {
            curl,
            events,
            url,
            stream_id,
            framework_id: String::new(),
            offers: RefCell::default(),
            failures: Vec::new(),
        };
        let subscribed = subscription.wait_for("SUBSCRIBED", |_| true);
        let id = &subscribed["subscribed"]["framework_id"]["value"];
        subscription.framework_id = id.as_str().expect("an id").to_owned();
        subscription
    }

    /// The id that the master gave.
    pub fn framework_id(&self) -> &str {
        &self.framework_id
    }

    /// The id of the stream, which each call has to name.
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// The next event of whatever type.
    ///
    /// # Panics
    ///
    /// When none comes within a minute.
    pub fn next_event(&mut self) -> Value {
        let event = self.receive(Instant::now() + PATIENCE);
        event.expect("an event in time")
    }

    /// The next event until then; offers are kept and forgotten as events say.
    fn receive(&mut self, deadline: Instant) -> Result<Value, RecvTimeoutError> {
        // Heartbeats come all the time, so it is the whole wait that has to end.
        let left = deadline.saturating_duration_since(Instant::now());
        let event = self.events.recv_timeout(left)?;
        let offers = self.offers.get_mut();
        for offer in event["offers"]["offers"].as_array().into_iter().flatten() {
            offers.insert(id_of(&offer["id"]), offer.clone());
        }
        if event["failure"].get("executor_id").is_some() {
            self.failures.push(event["failure"].clone());
        }
        if event["type"] == "RESCIND" {
            offers.remove(&id_of(&event["rescind"]["offer_id"]));
        }
        Ok(event)
    }

    /// Waits for the first event of a type that `wanted` accepts; others are passed over.
    ///
    /// # Panics
    ///
    /// When none comes within a minute.
    pub fn wait_for(&mut self, kind: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let (mut passed, deadline) = (Vec::new(), Instant::now() + PATIENCE);
        loop {
            match self.receive(deadline) {
                Ok(event) if event["type"] == kind && wanted(&event) => return event,
                Ok(event) => passed.push(event),
                Err(error) => panic!("no {kind} ({error}) among {passed:#?}"),
            }
        }
    }

    /// What was told, or is told next, of the end of this executor, each of which is given once.
    ///
    /// # Panics
    ///
    /// When nothing is within a minute.
    pub fn failure(&mut self, executor: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let is_it = |failure: &Value| failure["executor_id"]["value"] == executor;
            if let Some(found) = self.failures.iter().position(is_it) {
                return self.failures.remove(found);
            }
            if let Err(error) = self.receive(deadline) {
                panic!("{executor} does not end ({error})");
            }
        }
    }

    /// Waits until the master closes the stream and gives what came before that.
    ///
    /// # Panics
    ///
    /// When it stays open for a minute.
    pub fn wait_for_end(&mut self) -> Vec<Value> {
        let (mut passed, deadline) = (Vec::new(), Instant::now() + PATIENCE);
        loop {
            match self.receive(deadline) {
                Ok(event) => passed.push(event),
                Err(RecvTimeoutError::Disconnected) => return passed,
                Err(error) => panic!("the stream does not end ({error}) after {passed:#?}"),
            }
        }
    }

    /// Takes in what has come, or comes in this time; other events than offers are passed over.
    pub fn look(&mut self, time: Duration) {
        let mut deadline = Instant::now() + time;
        while self.receive(deadline).is_ok() {
            deadline = Instant::now();
        }
    }

    /// The offers that came with the events so far, and are neither used, declined nor rescinded.
    pub fn offers(&self) -> Vec<Value> {
        self.offers.borrow().values().cloned().collect()
    }

    /// Gives an offer that `wanted` accepts, one that came already or the next that comes; others
    /// are declined without a filter.
    ///
    /// # Panics
    ///
    /// When none comes within a minute.
    pub fn offer(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let all = self.offers();
            let (mut good, bad): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| wanted(it));
            if let Some(offer) = good.pop() {
                return offer;
            }
            bad.iter().for_each(|offer| self.decline(offer));
            if let Err(error) = self.receive(deadline) {
                panic!("no such offer ({error})");
            }
        }
    }

    /// Declines an offer so that it may come again at once.
    ///
    /// # Panics
    ///
    /// When the master does not take it.
    pub fn decline(&self, offer: &Value) {
        let filters = json!({"refuse_seconds": 0});
        let decline = json!({"offer_ids": [offer["id"]], "filters": filters});
        assert_eq!(
            self.call(json!({"type": "DECLINE", "decline": decline})),
            202
        );
    }

    /// Launches tasks on an offer, each with its own resources; the agent is filled in. The rest
    /// may be offered again at once.
    ///
    /// # Panics
    ///
    /// When the master does not take it.
    pub fn launch(&self, offer: &Value, tasks: Vec<Value>) {
        self.launch_and_refuse(offer, tasks, 0);
    }

    /// As [`Subscription::launch`], but the rest is not offered again for so many seconds.
    ///
    /// # Panics
    ///
    /// When the master does not take it.
    pub fn launch_and_refuse(&self, offer: &Value, mut tasks: Vec<Value>, seconds: u32) {
        for task in &mut tasks {
            task["agent_id"] = offer["agent_id"].clone();
        }
        let launch = json!({"type": "LAUNCH", "launch": {"task_infos": tasks}});
        let accept = json!({
            "offer_ids": [offer["id"]],
            "operations": [launch],
            "filters": {"refuse_seconds": seconds},
        });
        assert_eq!(self.call(json!({"type": "ACCEPT", "accept": accept})), 202);
    }

    /// Waits for the first status of a task that `wanted` accepts. Every update that comes on the
    /// way and asks for it is acknowledged.
    ///
    /// # Panics
    ///
    /// When none comes within a minute.
    pub fn status(&mut self, task: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let (mut passed, deadline) = (Vec::new(), Instant::now() + PATIENCE);
        loop {
            let event = self.receive(deadline);
            let event = event.unwrap_or_else(|error| {
                panic!("no such status of {task} ({error}) among {passed:#?}")
            });
            let status = &event["update"]["status"];
            if event["type"] == "UPDATE" {
                self.acknowledge(status);
                if status["task_id"]["value"] == task && wanted(status) {
                    return status.clone();
                }
            }
            passed.push(event);
        }
    }

    /// Waits until a task is in this state; see [`Subscription::status`].
    ///
    /// # Panics
    ///
    /// When that takes more than a minute, or another terminal state comes before it.
    pub fn state(&mut self, task: &str, state: &str) -> Value {
        const TERMINAL: [&str; 10] = [
            "TASK_FINISHED",
            "TASK_FAILED",
            "TASK_KILLED",
            "TASK_LOST",
            "TASK_ERROR",
            "TASK_DROPPED",
            "TASK_GONE",
            "TASK_GONE_BY_OPERATOR",
            "TASK_UNREACHABLE",
            "TASK_UNKNOWN",
        ];
        let is_over = |status: &Value| {
            status["state"]
                .as_str()
                .is_some_and(|s| TERMINAL.contains(&s))
        };
        let status = self.status(task, |status| status["state"] == state || is_over(status));
        assert_eq!(status["state"], state, "{status:#}");
        status
    }

    /// Acknowledges a status if it asks for it.
    ///
    /// # Panics
    ///
    /// When the master does not take it.
    pub fn acknowledge(&self, status: &Value) {
        let Some(uuid) = status.get("uuid") else {
            return;
        };
        let acknowledge = json!({
            "agent_id": status["agent_id"],
            "task_id": status["task_id"],
            "uuid": uuid,
        });
        let call = json!({"type": "ACKNOWLEDGE", "acknowledge": acknowledge});
        assert_eq!(self.call(call), 202);
    }

    /// Asks for the death of a task.
    ///
    /// # Panics
    ///
    /// When the master does not take it.
    pub fn kill(&self, task: &str) {
        let kill = json!({"task_id": {"value": task}});
        assert_eq!(self.call(json!({"type": "KILL", "kill": kill})), 202);
    }

    /// Ends the framework.
    ///
    /// # Panics
    ///
    /// When the master does not take it.
    pub fn teardown(&self) {
        assert_eq!(self.call(json!({"type": "TEARDOWN"})), 202);
    }

    /// Makes a call of this framework and gives the status of its answer.
    ///
    /// # Panics
    ///
    /// When curl cannot be run.
    pub fn call(&self, mut call: Value) -> u16 {
        call["framework_id"] = json!({"value": self.framework_id});
        for part in ["accept", "decline"] {
            let used = call[part]["offer_ids"].as_array().into_iter().flatten();
            used.for_each(|id| drop(self.offers.borrow_mut().remove(&id_of(id))));
        }
        let output = Command::new("curl")
            .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST"])
            .args(["-H", "Content-Type: application/json"])
            .args(["-H", &format!("Mesos-Stream-Id: {}", self.stream_id)])
            .args(["-d", &call.to_string(), &self.url])
            .output()
            .expect("curl is installed");
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .expect("curl prints a status")
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}

/// A task of a command, with so many cpus and megabytes of memory.
pub fn command_task(id: &str, command: &str, cpus: f64, mem: f64) -> Value {
    json!({
        "name": id,
        "task_id": {"value": id},
        "resources": resources(cpus, mem),
        "command": {"value": command},
    })
}

/// So many cpus and megabytes of memory.
pub fn resources(cpus: f64, mem: f64) -> Value {
    json!([
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus}},
        {"name": "mem", "type": "SCALAR", "scalar": {"value": mem}},
    ])
}

/// How much of a resource an offer has.
pub fn scalar(offer: &Value, name: &str) -> f64 {
    let resources = offer["resources"].as_array().expect("resources");
    let of_name = resources.iter().filter(|resource| resource["name"] == name);
    of_name
        .filter_map(|resource| resource["scalar"]["value"].as_f64())
        .sum()
}

/// The text of an id.
fn id_of(id: &Value) -> String {
    id["value"].as_str().unwrap_or_default().to_owned()
}

/// Reads up to the empty line that ends the head of an answer.
fn read_head(stdout: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stdout.read_exact(&mut byte).expect("an answer has a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("a head is text")
}
