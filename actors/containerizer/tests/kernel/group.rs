//! The role `default-executor` in a container, speaking HTTP to an agent that this test plays: its
//! words, its connections, and what it does in its sandbox. What runs in the containers that it
//! asks for is not played here.

use std::io::Write;

use serde_json::{Value, json};
use tepui_protocol::tepui::containerizer::Launch;

use crate::Test;
use crate::executor::{Events, FakeAgent, Received, executor};
use crate::host::{Host, Place};

pub(crate) const TESTS: &[Test] = &[
    ("a_group_is_asked_for_container_by_container", runs),
    ("a_default_executor_with_checkpoint_comes_back", comes_back),
    ("what_a_check_says_is_said_by_the_executor", says),
    ("a_default_executor_is_as_if_it_were_executed_anew", as_if),
];

/// A question about a container, and where to answer it.
struct Question(Received);

impl Question {
    /// Waits for one of this type; gives its part of the call.
    fn of(agent: &FakeAgent, kind: &str) -> (Question, Value) {
        let received = agent.next();
        assert_eq!(received.path, "/slave(1)/api/v1");
        assert_eq!(received.call["type"], kind, "{}", received.call);
        let part = received.call[kind.to_ascii_lowercase()].clone();
        (Question(received), part)
    }

    fn answer(mut self, status: u16, body: &str) {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
        let answer = self.0.stream.write_all((head + body).as_bytes());
        answer.unwrap();
    }

    /// Answers a wait with this raw status.
    fn ended(self, status: i32) {
        let wait = json!({"exit_status": status});
        let answer = json!({"type": "WAIT_CONTAINER", "wait_container": wait});
        self.answer(200, &answer.to_string());
    }
}

fn group_executor(place: &Place, agent: &FakeAgent, checkpoint: &str) -> Launch {
    let mut launch = executor(place, agent, checkpoint);
    launch.command.arguments = ["tepui", "default-executor"].map(str::to_owned).to_vec();
    launch
}

fn launch_group(events: &mut Events, tasks: &[(&str, Value)]) {
    let task = |(id, more): &(&str, Value)| {
        let mut task = json!({
            "name": id, "task_id": {"value": id}, "agent_id": {"value": "a"},
            "command": {"value": "true"},
        });
        let fields = task.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        task
    };
    let tasks: Vec<Value> = tasks.iter().map(task).collect();
    let launch_group = json!({"task_group": {"tasks": tasks}});
    events.send(&json!({"type": "LAUNCH_GROUP", "launch_group": launch_group}));
}

/// The id of a container that is nested in the executor's.
fn nested(part: &Value) -> String {
    let id = &part["container_id"];
    assert_eq!(id["parent"], json!({"value": "c"}));
    id["value"].as_str().unwrap().to_owned()
}

fn runs() {
    let (place, agent) = (Place::new(), FakeAgent::start());
    let host = Host::start(&place);
    host.launch_well(group_executor(&place, &agent, "0"));
    let (_, mut events) = agent.subscribed();
    launch_group(&mut events, &[("t", json!({}))]);
    // The update and the question travel each on its own connection.
    let (update, question) = (agent.next(), agent.next());
    let (update, question) = match update.path.as_str() {
        "/slave(1)/api/v1" => (question, update),
        _ => (update, question),
    };
    let starting = update.call["update"]["status"].clone();
    assert_eq!(starting["state"], "TASK_STARTING");
    let part = &question.call["launch_container"];
    let id = nested(part);
    assert_eq!(part["command"]["value"], "true");
    let sandbox = place.sandbox("c");
    assert!(!sandbox.join("tasks").exists());
    Question(question).answer(200, "");
    // The link is there before anyone is told that the task runs.
    let (mut running, mut wait) = (None, None);
    for _ in 0..2 {
        let received = agent.next();
        if received.path == "/slave(1)/api/v1" {
            wait = Some(received);
        } else {
            let target = std::fs::read_link(sandbox.join("tasks/t")).unwrap();
            assert_eq!(target, sandbox.join("containers").join(&id));
            running = Some(received.call["update"]["status"].clone());
        }
    }
    let (running, wait) = (running.unwrap(), wait.unwrap());
    assert_eq!(running["state"], "TASK_RUNNING");
    assert_eq!(nested(&wait.call["wait_container"]), id);
    Question(wait).ended(3 << 8);
    let failed = agent.update("TASK_FAILED");
    assert_eq!(failed["message"], "Command exited with status 3");
    assert_eq!(nested(&failed["container_status"]), id);
    for status in [starting, running, failed] {
        events.acknowledge(&status);
    }
    assert_eq!(host.status(), 0, "the executor itself ended well");
    host.stop();
}

/// The task `t` that runs.
struct Running {
    /// That of its container.
    id: String,
    /// What was told of it, and is not acknowledged yet.
    statuses: Vec<Value>,
    wait: Question,
    /// The launch of its check's container: it may come before the rest is told.
    check: Option<Question>,
}

/// Subscribes the executor, and gives it the task.
fn running(agent: &FakeAgent, more: Value) -> (Events, Running) {
    let (_, mut events) = agent.subscribed();
    let checked = more.get("check").is_some();
    launch_group(&mut events, &[("t", more)]);
    let (mut id, mut statuses, mut wait, mut check) = (String::new(), Vec::new(), None, None);
    while statuses.len() < 2 || wait.is_none() || (checked && check.is_none()) {
        let received = agent.next();
        match received.call["type"].as_str().unwrap() {
            "UPDATE" => statuses.push(received.call["update"]["status"].clone()),
            "LAUNCH_CONTAINER" if id.is_empty() => {
                id = nested(&received.call["launch_container"]);
                Question(received).answer(200, "");
            }
            "LAUNCH_CONTAINER" => check = Some(Question(received)),
            "WAIT_CONTAINER" => wait = Some(Question(received)),
            other => panic!("{other}"),
        }
    }
    let wait = wait.unwrap();
    let running = Running {
        id,
        statuses,
        wait,
        check,
    };
    (events, running)
}

fn comes_back() {
    let (place, agent) = (Place::new(), FakeAgent::start());
    let host = Host::start(&place);
    host.launch_well(group_executor(&place, &agent, "1"));
    let (mut events, running) = running(&agent, json!({}));
    let Running {
        id, statuses, wait, ..
    } = running;
    events.acknowledge(&statuses[0]);
    // The agent is gone, and with it every connection.
    for stream in [&events.0, &wait.0.stream] {
        stream.shutdown(std::net::Shutdown::Both).unwrap();
    }
    let (call, mut events) = agent.subscribed();
    let updates = call["subscribe"]["unacknowledged_updates"].clone();
    assert_eq!(updates.as_array().unwrap().len(), 1, "{call}");
    assert_eq!(updates[0]["status"]["uuid"], statuses[1]["uuid"]);
    assert_eq!(call["subscribe"].get("unacknowledged_tasks"), None);
    // An agent that is not ready is asked again.
    let (wait, part) = Question::of(&agent, "WAIT_CONTAINER");
    assert_eq!(nested(&part), id);
    wait.answer(503, "Agent has not finished recovery");
    let (wait, part) = Question::of(&agent, "WAIT_CONTAINER");
    assert_eq!(nested(&part), id);
    wait.ended(0);
    let finished = agent.update("TASK_FINISHED");
    events.acknowledge(&statuses[1]);
    events.acknowledge(&finished);
    assert_eq!(host.status(), 0);
    host.stop();
}

fn says() {
    let (place, agent) = (Place::new(), FakeAgent::start());
    let host = Host::start(&place);
    host.launch_well(group_executor(&place, &agent, "0"));
    let check = json!({"check": {
        "type": "COMMAND", "command": {"command": {"value": "echo checked"}}, "delay_seconds": 0,
    }});
    let (mut events, running) = running(&agent, check);
    let Running {
        id,
        mut statuses,
        wait,
        check,
    } = running;
    let launch = check.unwrap();
    let part = launch.0.call["launch_container"].clone();
    let check = part["container_id"]["value"].as_str().unwrap().to_owned();
    assert!(check.starts_with("check-"), "{check}");
    assert_eq!(
        nested(&json!({"container_id": part["container_id"]["parent"]})),
        id
    );
    let sandbox = place.sandbox("c");
    let own = sandbox.join(format!("containers/{id}/containers/{check}"));
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("stdout"), "out of a check\n").unwrap();
    std::fs::write(own.join("stderr"), "error of a check\n").unwrap();
    launch.answer(200, "");
    Question::of(&agent, "WAIT_CONTAINER").0.ended(7 << 8);
    let mut removed = false;
    while !removed || statuses.len() < 3 {
        let received = agent.next();
        if received.call["type"] == "UPDATE" {
            statuses.push(received.call["update"]["status"].clone());
        } else {
            assert_eq!(received.call["type"], "REMOVE_CONTAINER");
            let said = std::fs::read_to_string(sandbox.join("stderr")).unwrap();
            assert_eq!(said, "out of a check\nerror of a check\n");
            Question(received).answer(200, "");
            removed = true;
        }
    }
    assert_eq!(statuses[2]["check_status"]["command"]["exit_code"], 7);
    wait.ended(0);
    statuses.push(agent.update("TASK_FINISHED"));
    statuses
        .iter()
        .for_each(|status| events.acknowledge(status));
    assert_eq!(host.status(), 0);
    host.stop();
}

/// It shows its own name, and holds nothing of the agent or of the role that it was forked from.
fn as_if() {
    let (place, agent) = (Place::new(), FakeAgent::start());
    let host = Host::start(&place);
    let init = host.launch_well(group_executor(&place, &agent, "0"));
    let (_, mut events) = agent.subscribed();
    let children = format!("/proc/{init}/task/{init}/children");
    let children = std::fs::read_to_string(children).unwrap();
    let of = |file: &str| std::fs::read(format!("/proc/{}/{file}", children.trim())).unwrap();
    let shown = String::from_utf8(of("cmdline")).unwrap();
    assert_eq!(shown.trim_end_matches('\0'), "tepui\0default-executor");
    assert_eq!(of("comm"), b"tepui\n");
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", children.trim())).unwrap();
    let descriptors = descriptors.map(|it| std::fs::read_link(it.unwrap().path()).unwrap());
    let mut descriptors: Vec<String> = descriptors
        .map(|path| path.display().to_string())
        .filter(|path| !path.starts_with("socket:"))
        .collect();
    descriptors.sort();
    let sandbox = place.sandbox("c");
    let file = |name: &str| sandbox.join(name).display().to_string();
    assert_eq!(
        descriptors,
        ["/dev/null".to_owned(), file("stderr"), file("stdout")]
    );
    events.send(&json!({"type": "SHUTDOWN"}));
    assert_eq!(host.status(), 0);
    host.stop();
}
