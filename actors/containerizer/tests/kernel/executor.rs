//! The role `executor` in a container, speaking HTTP to an agent that this test plays.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tepui_protocol::tepui::containerizer::Launch;

use crate::Test;
use crate::host::{Host, Place, environment, fifo, shell};

pub(crate) const TESTS: &[Test] = &[
    ("a_task_runs_and_the_executor_ends_when_told", runs),
    (
        "a_task_that_ignores_sigterm_is_killed_after_its_grace",
        killed,
    ),
    ("a_task_out_of_memory_says_so_every_time", out_of_memory),
    ("a_shell_that_waits_runs_its_trap", trap),
    ("an_executor_is_as_if_it_were_executed_anew", as_if_executed),
    ("an_executor_with_checkpoint_comes_back", comes_back),
];

const WAIT: Duration = Duration::from_secs(30);

/// The path of an agent's executor API.
const EXECUTOR_API: &str = "/slave(1)/api/v1/executor";

/// One call of the executor, and where to answer it.
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) call: Value,
    pub(crate) stream: TcpStream,
}

/// An agent's APIs. What is asked of any but the executor API is left to the test.
pub(crate) struct FakeAgent {
    pub(crate) address: String,
    pub(crate) received: Receiver<Received>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test plays a server that is not Tepui's"
)]
fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

impl FakeAgent {
    pub(crate) fn start() -> FakeAgent {
        let listener = listen();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, sender) = (stream.unwrap(), sender.clone());
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some((path, call)) = read_call(&mut reader) {
                        let mut answer = stream.try_clone().unwrap();
                        let text = if path != EXECUTOR_API {
                            ""
                        } else if call["type"] == "SUBSCRIBE" {
                            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                             Transfer-Encoding: chunked\r\n\r\n"
                        } else {
                            "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
                        };
                        answer.write_all(text.as_bytes()).unwrap();
                        let _ = sender.send(Received {
                            path,
                            call,
                            stream: answer,
                        });
                    }
                });
            }
        });
        FakeAgent { address, received }
    }

    pub(crate) fn next(&self) -> Received {
        self.received.recv_timeout(WAIT).expect("a call")
    }

    /// Waits for SUBSCRIBE, answers it, and gives the call and the stream of events.
    pub(crate) fn subscribed(&self) -> (Value, Events) {
        let Received { path, call, stream } = self.next();
        assert_eq!(path, EXECUTOR_API);
        assert_eq!(call["type"], "SUBSCRIBE");
        assert_eq!(call["framework_id"]["value"], "f");
        assert_eq!(call["executor_id"]["value"], "e");
        let mut events = Events(stream);
        let named = |name: &str| json!({"name": name, "user": "root"});
        events.send(&json!({"type": "SUBSCRIBED", "subscribed": {
            "executor_info": {"executor_id": {"value": "e"}},
            "framework_info": named("f"),
            "agent_info": {"hostname": "h"},
            "container_id": {"value": "c"},
        }}));
        (call, events)
    }

    /// Waits for an update and gives its status.
    pub(crate) fn update(&self, state: &str) -> Value {
        let call = self.next().call;
        assert_eq!(call["type"], "UPDATE");
        let status = call["update"]["status"].clone();
        assert_eq!(status["state"], state, "{status}");
        assert_eq!(status["source"], "SOURCE_EXECUTOR");
        status
    }
}

fn read_call(reader: &mut impl BufRead) -> Option<(String, Value)> {
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(target) = line.strip_prefix("POST ") {
            path = target.trim_end().strip_suffix(" HTTP/1.1")?.to_owned();
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, serde_json::from_slice(&body).unwrap()))
}

pub(crate) struct Events(pub(crate) TcpStream);

impl Events {
    /// One record, in two chunks: their borders mean nothing.
    pub(crate) fn send(&mut self, event: &Value) {
        let text = event.to_string();
        let record = format!("{}\n{text}", text.len());
        let (first, second) = record.split_at(record.len() / 2);
        for chunk in [first, second] {
            write!(self.0, "{:x}\r\n{chunk}\r\n", chunk.len()).unwrap();
        }
    }

    fn launch(&mut self, script: &str) {
        self.send(&json!({"type": "LAUNCH", "launch": {"task": {
            "name": "t", "task_id": {"value": "t"}, "agent_id": {"value": "a"},
            "command": {"value": script, "environment": {"variables": [
                {"name": "OWN", "value": "task"},
            ]}},
        }}}));
    }

    pub(crate) fn acknowledge(&mut self, status: &Value) {
        let acknowledged = json!({"task_id": status["task_id"], "uuid": status["uuid"]});
        self.send(&json!({"type": "ACKNOWLEDGED", "acknowledged": acknowledged}));
    }
}

pub(crate) fn executor(place: &Place, agent: &FakeAgent, checkpoint: &str) -> Launch {
    let mut launch = shell(place, "c", "");
    launch.builtin_executor = Some(true);
    launch.command.shell = Some(false);
    launch.command.environment = Some(environment(&[
        ("MESOS_FRAMEWORK_ID", "f"),
        ("MESOS_EXECUTOR_ID", "e"),
        ("MESOS_SLAVE_PID", &format!("slave(1)@{}", agent.address)),
        ("MESOS_AGENT_ENDPOINT", &agent.address),
        ("MESOS_SANDBOX", &place.sandbox("c").display().to_string()),
        ("MESOS_CHECKPOINT", checkpoint),
        ("MESOS_RECOVERY_TIMEOUT", "15mins"),
        ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "10ms"),
        ("OWN", "executor"),
    ]));
    launch
}

fn runs() {
    let (place, agent) = (Place::new(), FakeAgent::start());
    let host = Host::start(&place);
    host.launch_well(executor(&place, &agent, "0"));
    let (_, mut events) = agent.subscribed();
    events.launch("echo $OWN $MESOS_EXECUTOR_ID; echo oops >&2; exit 3");
    let starting = agent.update("TASK_STARTING");
    agent.update("TASK_RUNNING");
    let failed = agent.update("TASK_FAILED");
    assert_eq!(failed["message"], "Command exited with status 3");
    assert_ne!(starting["uuid"], failed["uuid"]);
    events.acknowledge(&failed);
    assert_eq!(host.status(), 0, "the executor itself ended well");
    let sandbox = place.sandbox("c");
    assert_eq!(
        std::fs::read_to_string(sandbox.join("stdout")).unwrap(),
        "task e\n"
    );
    assert_eq!(
        std::fs::read_to_string(sandbox.join("stderr")).unwrap(),
        "oops\n"
    );
    host.stop();
}

fn killed() {
    let (place, agent) = (Place::new(), FakeAgent::start());
    let host = Host::start(&place);
    let ready = fifo(&place.sandbox("c"));
    host.launch_well(executor(&place, &agent, "0"));
    let (_, mut events) = agent.subscribed();
    // It notices SIGTERM, but does not die of it.
    events.launch("trap 'echo term' TERM; echo > ready; while :; do sleep 0.05; done");
    agent.update("TASK_STARTING");
    agent.update("TASK_RUNNING");
    std::fs::read(ready).unwrap();
    let grace = json!({"grace_period": {"nanoseconds": 3_000_000_000_u64}});
    let kill = json!({"task_id": {"value": "t"}, "kill_policy": grace});
    events.send(&json!({"type": "KILL", "kill": kill}));
    let killed = agent.update("TASK_KILLED");
    assert_eq!(killed["message"], "Command terminated with signal Killed");
    events.acknowledge(&killed);
    assert_eq!(host.status(), 0);
    let stdout = std::fs::read_to_string(place.sandbox("c").join("stdout")).unwrap();
    assert_eq!(stdout, "term\n");
    host.stop();
}

fn out_of_memory() {
    let place = Place::new();
    let host = Host::start(&place);
    for command in ["exec tail -n 1 /dev/zero", "tail -n 1 /dev/zero; exit 0"] {
        for _ in 0..20 {
            let agent = FakeAgent::start();
            host.launch_well(executor(&place, &agent, "0"));
            let (_, mut events) = agent.subscribed();
            events.launch(command);
            agent.update("TASK_STARTING");
            agent.update("TASK_RUNNING");
            // Who is first to tell does not matter: both say the same.
            let terminated = host.terminated();
            let reason = "REASON_CONTAINER_LIMITATION_MEMORY";
            assert_eq!(terminated.reason().as_str_name(), reason);
            while let Ok(Received { call, .. }) = agent.received.try_recv() {
                let status = &call["update"]["status"];
                assert_eq!(status["state"], "TASK_FAILED");
                assert_eq!(status["reason"], reason);
                assert_eq!(status["limitation"]["resources"][0]["name"], "mem");
            }
        }
    }
    host.stop();
}

/// All of a tree is told at once: a shell that saw its child die first would not run its trap.
fn trap() {
    let place = Place::new();
    let host = Host::start(&place);
    let ready = fifo(&place.sandbox("c"));
    for _ in 0..20 {
        let agent = FakeAgent::start();
        host.launch_well(executor(&place, &agent, "0"));
        let (_, mut events) = agent.subscribed();
        events.launch(
            "trap 'echo trapped; exit 7' TERM; sleep 1000 & echo > ready; wait; echo missed",
        );
        agent.update("TASK_STARTING");
        agent.update("TASK_RUNNING");
        std::fs::read(&ready).unwrap();
        events.send(&json!({"type": "KILL", "kill": {"task_id": {"value": "t"}}}));
        let killed = agent.update("TASK_KILLED");
        assert_eq!(killed["message"], "Command exited with status 7");
        events.acknowledge(&killed);
        assert_eq!(host.status(), 0);
        let stdout = place.sandbox("c").join("stdout");
        assert_eq!(std::fs::read_to_string(&stdout).unwrap(), "trapped\n");
        std::fs::remove_file(stdout).unwrap();
    }
    host.stop();
}

/// It shows its own name, has its user's rights over itself, holds nothing of the agent or of the
/// role that it was forked from, and its task has its variables and a PATH.
fn as_if_executed() {
    let (place, agent) = (Place::new(), FakeAgent::start());
    let host = Host::start(&place);
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let sandbox = place.sandbox("c");
    std::os::unix::fs::chown(&sandbox, Some(nobody.uid.as_raw()), None).unwrap();
    let mut launch = executor(&place, &agent, "0");
    launch.user = Some("nobody".to_owned());
    host.launch_well(launch);
    let (_, mut events) = agent.subscribed();
    events.launch(
        "tr '\\0' ' ' < /proc/$PPID/cmdline | sed 's/ *$//'; echo; cat /proc/$PPID/comm; \
         grep -E 'Uid|SigBlk' /proc/$PPID/status; \
         sed -n 's/^SigIgn.*\\(....\\)$/ignored \\1/p' /proc/$PPID/status; \
         readlink /proc/$PPID/fd/* | grep -v '^socket:' | sort; \
         env | grep -E '^(PATH|OWN|MESOS_CHECKPOINT)=' | sort",
    );
    agent.update("TASK_STARTING");
    agent.update("TASK_RUNNING");
    let finished = agent.update("TASK_FINISHED");
    events.acknowledge(&finished);
    assert_eq!(host.status(), 0);
    let uid = nobody.uid;
    let (out, err) = (sandbox.join("stdout"), sandbox.join("stderr"));
    let expected = format!(
        "tepui executor\ntepui\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n\
         SigBlk:\t0000000000000000\nignored 1000\n/dev/null\n{}\n{}\n\
         MESOS_CHECKPOINT=0\nOWN=task\n\
         PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
        err.display(),
        out.display()
    );
    let said = std::fs::read_to_string(&out).unwrap();
    assert_eq!(said, expected, "{}", std::fs::read_to_string(&err).unwrap());
    host.stop();
}

fn comes_back() {
    let (place, agent) = (Place::new(), FakeAgent::start());
    let host = Host::start(&place);
    let ready = fifo(&place.sandbox("c"));
    host.launch_well(executor(&place, &agent, "1"));
    let (_, mut events) = agent.subscribed();
    events.launch("echo > ready; read line < ready");
    let starting = agent.update("TASK_STARTING");
    let running = agent.update("TASK_RUNNING");
    std::fs::read(&ready).unwrap();
    events.acknowledge(&starting);
    events.0.shutdown(std::net::Shutdown::Both).unwrap();
    let (call, mut events) = agent.subscribed();
    let updates = call["subscribe"]["unacknowledged_updates"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(updates.len(), 1, "{call}");
    assert_eq!(updates[0]["status"]["uuid"], running["uuid"]);
    assert_eq!(call["subscribe"].get("unacknowledged_tasks"), None);
    std::fs::write(&ready, "go\n").unwrap();
    let finished = agent.update("TASK_FINISHED");
    events.acknowledge(&running);
    events.acknowledge(&finished);
    assert_eq!(host.status(), 0);
    host.stop();
}
