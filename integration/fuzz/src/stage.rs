//! A small simulated cluster that input is given to: a master, two agents, a framework on the
//! scheduler API that runs a task, and one that speaks messages.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};
use tepui_protocol::mesos::v1::{executor, scheduler};
use tepui_protocol::recordio::Decoder;
use tepui_runtime::{
    Address, Body, BodyReader, Encoding, Message, Node, Pid, Request, Response, SimOptions,
};
use tepui_simulation::{Cluster, ClusterOptions};

use super::listener::Listener;

/// So much time passes behind each input.
const MOMENT: Duration = Duration::from_millis(20);
/// So many of them an agent has for an answer.
const MOMENTS: usize = 5;
const PATH: &str = "/api/v1/scheduler";

/// The cluster, and what of it input may name.
pub struct Stage {
    cluster: Cluster,
    host: Node,
    listener: Listener,
    stream: BodyReader,
    decoder: Decoder,
    stream_id: String,
    open: bool,
    framework: String,
    agent: String,
    offer: String,
    task: String,
}

impl Stage {
    /// A new one.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn new(seed: u64) -> Stage {
        let options = ClusterOptions {
            world: SimOptions {
                seed,
                ..SimOptions::default()
            },
            agents: 2,
            ..ClusterOptions::default()
        };
        let mut cluster = Cluster::new(options).expect("a cluster");
        let host = cluster.framework_host().expect("a host");
        cluster.simulation.run_for(Duration::from_secs(10));
        let info = json!({"user": "root", "name": "on stage", "roles": ["r"], "checkpoint": true,
            "failover_timeout": 60.0, "capabilities": [{"type": "MULTI_ROLE"}]});
        let subscribe = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}});
        let request = post(PATH, subscribe.to_string().into_bytes(), Encoding::Json);
        let master = cluster.master_pid().address();
        let response = answer(&mut cluster, &host, master, request).expect("an answer");
        let stream_id = response
            .header("Mesos-Stream-Id")
            .expect("subscribed")
            .to_owned();
        let Body::Stream(stream) = response.body else {
            panic!("no stream");
        };
        let listener = Listener::new(&host, cluster.master_pid());
        let mut stage = Stage {
            cluster,
            host,
            listener,
            stream,
            decoder: Decoder::new(1 << 24),
            stream_id,
            open: true,
            framework: String::new(),
            agent: String::new(),
            offer: String::new(),
            task: "task".to_owned(),
        };
        stage.pass(Duration::from_secs(3));
        let task = json!({"name": "t", "task_id": {"value": "task"},
            "agent_id": {"value": stage.agent}, "command": {"value": "start 3; sleep 100000"},
            "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}}]});
        let launch = json!({"type": "LAUNCH", "launch": {"task_infos": [task]}});
        let accept = json!({"offer_ids": [{"value": stage.offer}], "operations": [launch],
            "filters": {"refuse_seconds": 0}});
        let call = json!({"type": "ACCEPT", "framework_id": {"value": stage.framework},
            "accept": accept});
        assert!(stage.call(call.to_string().into_bytes(), Encoding::Json, false));
        stage.pass(Duration::from_secs(5));
        stage
    }

    /// Whether all that input is given to and that it comes from is still there.
    pub fn stands(&self) -> bool {
        let agent = self
            .cluster
            .agents()
            .first()
            .and_then(|host| host.up.as_ref());
        self.open
            && self.host.has_process(self.listener.pid().id())
            && agent.is_some_and(|(node, _)| node.has_process("slave(1)"))
    }

    /// A text with the names that are valid now in place of the seeds' words for them; those of the
    /// framework that speaks messages where it is a call of that name.
    pub fn filled_in(&self, text: &str, message: &str) -> String {
        let given = self.listener.given();
        let (framework, offer) = match message == <scheduler::Call as Message>::NAME {
            true => (&given.framework, &given.offer),
            false => (&self.framework, &self.offer),
        };
        let names = [
            ("$framework", framework),
            ("$agent", &self.agent),
            ("$offer", offer),
            ("$task", &self.task),
            ("$container", &self.container()),
        ];
        let filled = names
            .into_iter()
            .fold(text.to_owned(), |text, (word, name)| {
                text.replace(word, name)
            });
        filled.replace("$executor", "task")
    }

    /// The container of the first executor that the first agent has.
    fn container(&self) -> String {
        let up = self
            .cluster
            .agents()
            .first()
            .and_then(|host| host.up.as_ref());
        let shown = up.map(|(_, agent)| agent.snapshot.load());
        let executors = shown.iter().flat_map(|shown| shown.executors.values());
        let mut containers = executors.map(|executor| executor.container.clone());
        containers.next().unwrap_or_default()
    }

    /// Makes a call of the scheduler API; whether it got past the decoder.
    pub fn call(&mut self, body: Vec<u8>, encoding: Encoding, subscribes: bool) -> bool {
        let mut request = post(PATH, body, encoding);
        if !subscribes {
            request
                .headers
                .append("Mesos-Stream-Id", self.stream_id.clone());
        }
        let master = self.cluster.master_pid().address();
        let response = answer(&mut self.cluster, &self.host, master, request);
        self.pass(MOMENT);
        response.is_some_and(|response| is_past_the_decoder(&response))
    }

    /// Makes a call of one of the first agent's APIs. It is hung up on one that does not answer
    /// soon, as it may where it is asked to wait for something.
    pub fn agent_call(&mut self, path: &str, body: Vec<u8>, encoding: Encoding) -> bool {
        let request = post(path, body, encoding);
        let Some(agent) = self.cluster.agents().first().map(|agent| agent.address) else {
            return false;
        };
        let network = self.cluster.simulation.network();
        let mut answer = Box::pin(network.request(&self.host, agent, request));
        for _ in 0..MOMENTS {
            let response = (&mut answer).now_or_never();
            self.pass(MOMENT);
            if let Some(response) = response {
                return response.is_ok_and(|response| is_past_the_decoder(&response));
            }
        }
        true
    }

    /// Sends a message to the master as from the first agent, or to that one as from the master;
    /// a call as from the scheduler or the executor; or any as from a stranger.
    pub fn message(
        &mut self,
        to: &str,
        name: &str,
        body: &[u8],
        encoding: Encoding,
        strange: bool,
    ) -> bool {
        let agent = self
            .cluster
            .agents()
            .first()
            .and_then(|host| host.up.as_ref());
        let (Some((agent, shown)), Some((master, _))) = (agent, self.cluster.master()) else {
            return false;
        };
        let is = |other: &str| name == other;
        let stranger = Pid::new("stranger", self.host.address());
        let (node, from) = match to {
            "master" if is(<scheduler::Call as Message>::NAME) => {
                (master, self.listener.pid().clone())
            }
            "master" => (master, agent.pid_of("slave(1)")),
            _ if is(<executor::Call as Message>::NAME) => {
                let snapshot = shown.snapshot.load();
                let executor = snapshot.executors.values().find_map(|it| it.pid.clone());
                (agent, executor.unwrap_or_else(|| stranger.clone()))
            }
            _ => (agent, master.pid_of("master")),
        };
        let from = if strange { stranger } else { from };
        let taken = node.deliver_encoded(to, name, encoding, body, &from);
        self.pass(MOMENT);
        taken.is_ok()
    }

    /// Time passes; what the framework is told is read.
    fn pass(&mut self, time: Duration) {
        self.cluster.simulation.run_for(time);
        while let Some(next) = self.stream.next().now_or_never() {
            let Some(Ok(piece)) = next else {
                self.open = false;
                break;
            };
            for record in self.decoder.push(&piece).expect("records are well framed") {
                let event: Value = serde_json::from_slice(&record).expect("events are JSON");
                self.event(&event);
            }
        }
        let master = self.cluster.master().expect("the master is up");
        assert!(master.0.has_process("master"), "the master has ended");
    }

    fn event(&mut self, event: &Value) {
        let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
        if event["type"] == "SUBSCRIBED" {
            self.framework = text(&event["subscribed"]["framework_id"]);
        }
        for offer in event["offers"]["offers"].as_array().into_iter().flatten() {
            self.offer = text(&offer["id"]);
            self.agent = text(&offer["agent_id"]);
        }
    }
}

fn post(path: &str, body: Vec<u8>, encoding: Encoding) -> Request {
    let mut request = Request::new("POST", path);
    let of_type = encoding.content_type();
    request.headers.append("Content-Type", of_type);
    // The stage reads JSON; what others subscribe to is not read.
    request.headers.append("Accept", "application/json");
    request.body = body.into();
    request
}

fn answer(cluster: &mut Cluster, host: &Node, to: Address, request: Request) -> Option<Response> {
    let answer = cluster.simulation.network().request(host, to, request);
    cluster.simulation.block_on(answer).ok()
}

/// Whether an answer is not the decoder's.
fn is_past_the_decoder(response: &Response) -> bool {
    let Body::Bytes(body) = &response.body else {
        return true;
    };
    let said = String::from_utf8_lossy(body);
    let words = ["Failed to parse body", "Failed to convert JSON"];
    response.status != 400 || !words.iter().any(|words| said.starts_with(words))
}
