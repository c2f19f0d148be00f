//! Executors of type DEFAULT, and the containers in an executor's.

mod bounds;
mod default;
mod refusals;

use tepui_protocol::mesos::internal::RunTaskGroup;
use tepui_protocol::mesos::v1::agent::{self, response};
use tepui_protocol::mesos::v1::{
    CommandInfo, ContainerInfo, TaskGroupInfo, Volume, container_info, executor_info,
};
use tepui_protocol::tepui::operator::AgentOperated;

use super::*;

use agent::call::Type;

/// A group for an executor of type DEFAULT.
fn group(ids: &[&str]) -> RunTaskGroup {
    let tasks = ids.iter().map(|id| task(id)).collect();
    RunTaskGroup {
        framework: FrameworkInfo {
            user: "somebody".to_owned(),
            ..framework(true)
        },
        executor: ExecutorInfo {
            r#type: Some(executor_info::Type::Default as i32),
            executor_id: executor_id("e"),
            resources: vec![scalar("cpus", 0.1), scalar("mem", 32.0)],
            ..ExecutorInfo::default()
        },
        task_group: TaskGroupInfo { tasks },
        launch_executor: Some(true),
        ..RunTaskGroup::default()
    }
}

fn launch_of(effects: &[Effect]) -> Launch {
    let mut launches = effects.iter().filter_map(|effect| match effect {
        Effect::Launch(launch) => Some(launch),
        _ => None,
    });
    (**launches.next().expect("a launch")).clone()
}

/// An agent whose executor `e` of type DEFAULT runs in the container that is named, too.
fn running() -> (Rig, String) {
    let mut rig = Rig::registered();
    let effects = rig.master(FromMaster::RunTaskGroup(Box::new(group(&["a", "b"]))));
    let root = launch_of(&effects).container_id.value;
    rig.launched(&root);
    rig.subscribe_as("e");
    (rig, root)
}

pub(super) fn nested(root: &str, name: &str) -> ContainerId {
    ContainerId {
        value: name.to_owned(),
        parent: Some(Box::new(container_id(root))),
    }
}

pub(super) fn asker(number: usize) -> Pid {
    pid(&format!("agent-call({number})@10.0.0.2:5051"))
}

impl Rig {
    pub(super) fn ask(&mut self, call: agent::Call) -> Vec<Effect> {
        self.asks(asker(1), call)
    }

    pub(super) fn asks(&mut self, asker: Pid, call: agent::Call) -> Vec<Effect> {
        self.input(Input::Operate(asker, Box::new(call)))
    }

    /// Launches a nested container that runs from now on.
    pub(super) fn nest(&mut self, id: &ContainerId) {
        self.ask(launch(id));
        let effects = self.nested_launched(id, None);
        assert_eq!(short(&effects), ["to agent-call(1): 200"], "{id}");
    }

    fn nested_launched(&mut self, id: &ContainerId, error: Option<&str>) -> Vec<Effect> {
        let launched = Launched {
            container_id: id.clone(),
            pid: Some(17),
            error: error.map(str::to_owned),
        };
        self.input(Input::Launched(id.clone(), Ok(launched)))
    }

    pub(super) fn nested_ends(&mut self, id: &ContainerId, status: i32) -> Vec<Effect> {
        self.input(Input::Terminated(Terminated {
            container_id: id.clone(),
            status: Some(status),
            ..Terminated::default()
        }))
    }
}

fn agent_call(kind: Type) -> agent::Call {
    agent::Call {
        r#type: Some(kind as i32),
        ..agent::Call::default()
    }
}

pub(super) fn launch_with(
    id: &ContainerId,
    change: impl FnOnce(&mut agent::call::LaunchContainer),
) -> agent::Call {
    let mut part = agent::call::LaunchContainer {
        container_id: id.clone(),
        command: Some(CommandInfo {
            value: Some("sleep 9".to_owned()),
            ..CommandInfo::default()
        }),
        ..agent::call::LaunchContainer::default()
    };
    change(&mut part);
    agent::Call {
        launch_container: Some(part),
        ..agent_call(Type::LaunchContainer)
    }
}

pub(super) fn launch(id: &ContainerId) -> agent::Call {
    launch_with(id, |_| {})
}

pub(super) fn wait(id: &ContainerId) -> agent::Call {
    agent::Call {
        wait_container: Some(agent::call::WaitContainer {
            container_id: id.clone(),
        }),
        ..agent_call(Type::WaitContainer)
    }
}

pub(super) fn kill(id: &ContainerId, signal: Option<i32>) -> agent::Call {
    agent::Call {
        kill_container: Some(agent::call::KillContainer {
            container_id: id.clone(),
            signal,
        }),
        ..agent_call(Type::KillContainer)
    }
}

fn remove(id: &ContainerId) -> agent::Call {
    agent::Call {
        remove_container: Some(agent::call::RemoveContainer {
            container_id: id.clone(),
        }),
        ..agent_call(Type::RemoveContainer)
    }
}

/// The only answer among effects.
pub(super) fn answered(effects: &[Effect]) -> AgentOperated {
    let mut answers = effects.iter().filter_map(|effect| match effect {
        Effect::Send(_, Outbound::Operated(answer)) => Some(answer),
        _ => None,
    });
    let answer = answers.next().expect("an answer");
    assert_eq!(answers.next(), None, "one answer only");
    (**answer).clone()
}

pub(super) fn refusal(effects: &[Effect]) -> (u32, String) {
    let answer = answered(effects);
    (answer.status, answer.problem.unwrap_or_default())
}

fn with_volume() -> ContainerInfo {
    ContainerInfo {
        r#type: container_info::Type::Mesos as i32,
        volumes: vec![Volume::default()],
        ..ContainerInfo::default()
    }
}

#[test]
fn a_nested_container_is_launched_in_a_sandbox_of_its_own() {
    let (mut rig, root) = running();
    let id = nested(&root, "n");
    let mut call = launch(&id);
    let part = call.launch_container.as_mut().unwrap();
    let variable = tepui_protocol::mesos::v1::environment::Variable {
        name: "A".to_owned(),
        value: Some("b".to_owned()),
        ..Default::default()
    };
    part.command.as_mut().unwrap().environment = Some(tepui_protocol::mesos::v1::Environment {
        variables: vec![variable],
    });
    part.resources = vec![scalar("cpus", 1.0)];
    let effects = rig.ask(call);
    assert_eq!(short(&effects), ["sandbox containers/n", "launch"]);
    let sandbox = rig.core.frameworks()["F"].executors["e"]
        .directory
        .join("containers/n");
    let wanted = launch_of(&effects);
    assert_eq!(wanted.container_id, id);
    assert_eq!(wanted.directory, sandbox.display().to_string());
    assert_eq!(wanted.user(), "somebody", "the executor's");
    assert_eq!(wanted.resources, [scalar("cpus", 1.0)]);
    assert!(!wanted.builtin_executor());
    let variables = &wanted.command.environment.as_ref().unwrap().variables;
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|variable| (variable.name.as_str(), variable.value()))
        .collect();
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let expected = [
        ("MESOS_SANDBOX", wanted.directory.as_str()),
        ("PATH", path),
        ("A", "b"),
    ];
    assert_eq!(variables, expected);

    // Once more, while it is launched and when it runs: Mesos' 202.
    assert_eq!(short(&rig.ask(launch(&id))), ["to agent-call(1): 202"]);
    let effects = rig.nested_launched(&id, None);
    assert_eq!(short(&effects), ["to agent-call(1): 200"]);
    assert_eq!(short(&rig.ask(launch(&id))), ["to agent-call(1): 202"]);

    // One in it, for which another user is named; and one in that, which has its parent's.
    let deep = ContainerId {
        value: "d".to_owned(),
        parent: Some(Box::new(id)),
    };
    let effects = rig.ask(launch_with(&deep, |part| {
        part.command.as_mut().unwrap().user = Some("other".to_owned());
    }));
    assert_eq!(short(&effects), ["sandbox containers/d", "launch"]);
    let launched = launch_of(&effects);
    assert_eq!(launched.user(), "other");
    let inner = sandbox.join("containers/d");
    assert_eq!(launched.directory, inner.display().to_string());
    rig.nested_launched(&deep, None);
    let deeper = ContainerId {
        value: "e".to_owned(),
        parent: Some(Box::new(deep)),
    };
    let effects = rig.ask(launch(&deeper));
    assert_eq!(launch_of(&effects).user(), "other");
}

#[test]
fn without_switch_user_nested_containers_are_the_agents_own_users() {
    let mut options = options();
    options.switch_user = false;
    let mut rig = Rig::registered_with(options);
    let effects = rig.master(FromMaster::RunTaskGroup(Box::new(group(&["a"]))));
    let root = launch_of(&effects).container_id.value;
    rig.launched(&root);
    let effects = rig.ask(launch_with(&nested(&root, "n"), |part| {
        part.command.as_mut().unwrap().user = Some("other".to_owned());
    }));
    assert_eq!(launch_of(&effects).user, None);
}

#[test]
fn who_waits_is_told_the_end_in_the_form_of_the_question() {
    let (mut rig, root) = running();
    let id = nested(&root, "n");
    rig.nest(&id);
    assert_eq!(
        short(&rig.asks(asker(2), wait(&id))),
        ["link agent-call(2)"]
    );
    let nested_form = agent::Call {
        wait_nested_container: Some(agent::call::WaitNestedContainer {
            container_id: id.clone(),
        }),
        ..agent_call(Type::WaitNestedContainer)
    };
    // A question of a process has no end of its own that could be told.
    let question = pid("__ask__(7)@10.0.0.2:5051");
    assert_eq!(
        rig.asks(question.clone(), nested_form.clone()),
        [],
        "not yet"
    );
    let effects = rig.input(Input::Terminated(Terminated {
        container_id: id.clone(),
        status: Some(768),
        state: Some(TaskState::TaskFailed as i32),
        reason: Some(task_status::Reason::ContainerLimitationMemory as i32),
        message: Some("too much".to_owned()),
        limited_resources: vec![scalar("mem", 32.0)],
        ..Terminated::default()
    }));
    let told: Vec<(Pid, agent::Response)> = effects
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Send(to, Outbound::Operated(answer)) => {
                assert_eq!(answer.status, 200);
                Some((to, answer.response.unwrap()))
            }
            _ => None,
        })
        .collect();
    let [(first, plain), (second, older)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!((first, second), (&asker(2), &question));
    assert_eq!(plain.r#type(), response::Type::WaitContainer);
    let end = plain.wait_container.clone().unwrap();
    assert_eq!(end.exit_status, Some(768));
    assert_eq!(end.state(), TaskState::TaskFailed);
    assert_eq!(end.reason(), task_status::Reason::ContainerLimitationMemory);
    assert_eq!(end.message(), "too much");
    assert_eq!(end.limitation.unwrap().resources, [scalar("mem", 32.0)]);
    assert_eq!(older.r#type(), response::Type::WaitNestedContainer);
    let end = older.wait_nested_container.clone().unwrap();
    assert_eq!((end.exit_status, end.message()), (Some(768), "too much"));

    // It is remembered, and told to whoever asks later.
    let answer = answered(&rig.ask(wait(&id)));
    let end = answer.response.unwrap().wait_container.unwrap();
    assert_eq!(end.exit_status, Some(768));
    assert_eq!(
        short(&rig.ask(remove(&id))),
        ["remove container n", "to agent-call(1): 200"]
    );
    let gone = (404, format!("Container {root}.n cannot be found"));
    assert_eq!(refusal(&rig.ask(wait(&id))), gone);
}

#[test]
fn a_launch_that_fails_leaves_nothing_and_says_why() {
    let (mut rig, root) = running();
    let id = nested(&root, "n");
    rig.ask(launch(&id));
    rig.asks(asker(2), wait(&id));
    let effects = rig.nested_launched(&id, Some("no such user"));
    assert_eq!(
        short(&effects),
        [
            "to agent-call(1): 400 no such user",
            "to agent-call(2): 200"
        ]
    );
    let told = effects.iter().find_map(|effect| match effect {
        Effect::Send(_, Outbound::Operated(answer)) => answer.response.clone(),
        _ => None,
    });
    let end = told.unwrap().wait_container.unwrap();
    assert_eq!(end.exit_status, None);
    assert_eq!(end.message(), "Failed to launch container: no such user");
    let gone = (404, format!("Container {root}.n cannot be found"));
    assert_eq!(refusal(&rig.ask(wait(&id))), gone);
    assert!(
        effects.contains(&Effect::Note(Note::LaunchFailed {
            container: id.to_string(),
            error: "no such user".to_owned(),
        })),
        "{effects:?}"
    );
    // It may be tried again; and where nobody knows what is there, it is killed.
    assert_eq!(
        short(&rig.ask(launch(&id))),
        ["sandbox containers/n", "launch"]
    );
    let effects = rig.input(Input::Launched(id, Err("no answer".to_owned())));
    assert_eq!(
        short(&effects),
        ["kill n with 9", "to agent-call(1): 400 no answer"]
    );
}

/// The executor may run, and ask, before the word of its launch has come.
#[test]
fn what_is_in_a_container_waits_until_that_is_launched() {
    let mut rig = Rig::registered();
    let effects = rig.master(FromMaster::RunTaskGroup(Box::new(group(&["a"]))));
    let root = launch_of(&effects).container_id.value;
    rig.subscribe_as("e");
    let [a, b, c] = ["a", "b", "c"].map(|name| nested(&root, name));
    for id in [&a, &b, &c] {
        assert_eq!(short(&rig.ask(launch(id))), [""; 0], "{id}");
    }
    assert_eq!(refusal(&rig.ask(kill(&b, Some(-1)))).0, 500);
    assert_eq!(
        short(&rig.ask(kill(&b, Some(0)))),
        ["to agent-call(1): 200"]
    );
    assert_eq!(
        short(&rig.asks(asker(2), kill(&b, Some(15)))),
        [
            format!("to agent-call(1): 400 Container {root}.b was killed"),
            "to agent-call(2): 200".to_owned()
        ]
    );
    assert_eq!(refusal(&rig.ask(kill(&b, None))).0, 404);
    assert_eq!(
        short(&rig.launched(&root)),
        [
            "file pids/forked.pid",
            "sandbox containers/a",
            "launch",
            "sandbox containers/c",
            "launch"
        ]
    );
    assert_eq!(
        short(&rig.nested_launched(&a, None)),
        ["to agent-call(1): 200"]
    );
}

#[test]
fn kills_are_passed_on_and_9_ends_what_has_no_process_yet() {
    let (mut rig, root) = running();
    let id = nested(&root, "n");
    rig.ask(launch(&id));
    let done = "to agent-call(1): 200".to_owned();
    let killed = |signal: i32| [format!("kill n with {signal}"), done.clone()];
    let invalid = || {
        let why = "Unable to send signal to container: Invalid argument";
        (500, why.to_owned())
    };
    assert_eq!(refusal(&rig.ask(kill(&id, Some(999)))), invalid());
    assert_eq!(
        short(&rig.ask(kill(&id, Some(0)))),
        std::slice::from_ref(&done),
        "it is there"
    );
    assert_eq!(short(&rig.ask(kill(&id, Some(15)))), killed(9));
    rig.nested_launched(&id, None);
    assert_eq!(short(&rig.ask(kill(&id, Some(15)))), killed(15));
    assert_eq!(short(&rig.ask(kill(&id, None))), killed(9));
    assert_eq!(
        short(&rig.ask(kill(&id, Some(0)))),
        std::slice::from_ref(&done)
    );
    for wrong in [-1, 65] {
        assert_eq!(refusal(&rig.ask(kill(&id, Some(wrong)))), invalid());
    }
    let older = agent::Call {
        kill_nested_container: Some(agent::call::KillNestedContainer {
            container_id: id.clone(),
            signal: Some(2),
        }),
        ..agent_call(Type::KillNestedContainer)
    };
    assert_eq!(short(&rig.ask(older)), killed(2));
    rig.nested_ends(&id, 15);
    let gone = format!("Container '{root}.n' cannot be found (or is already killed)");
    assert_eq!(refusal(&rig.ask(kill(&id, None))), (404, gone));
}

#[test]
fn what_has_ended_can_be_removed_and_launched_anew() {
    let (mut rig, root) = running();
    let id = nested(&root, "n");
    rig.nest(&id);
    let deep = ContainerId {
        value: "d".to_owned(),
        parent: Some(Box::new(id.clone())),
    };
    rig.nest(&deep);
    let alive = (500, "Nested container has not terminated yet".to_owned());
    assert_eq!(refusal(&rig.ask(remove(&id))), alive);
    rig.nested_ends(&deep, 0);
    rig.nested_ends(&id, 0);
    let effects = rig.ask(launch(&id));
    assert_eq!(
        short(&effects),
        [
            "remove container d",
            "remove container n",
            "sandbox containers/n",
            "launch"
        ],
        "what is remembered of it and of what was in it goes first"
    );
    rig.nested_launched(&id, None);
    rig.nested_ends(&id, 0);
    let effects = rig.ask(remove(&id));
    assert_eq!(
        short(&effects),
        ["remove container n", "to agent-call(1): 200"]
    );
    let root_sandbox = rig.core.frameworks()["F"].executors["e"].directory.clone();
    let removed = Effect::RemoveSandbox(root_sandbox, "containers/n".into());
    assert!(effects.contains(&removed), "{effects:?}");
    // As in Mesos: one that nobody knows is as good as removed.
    assert_eq!(
        short(&rig.ask(remove(&nested(&root, "zzz")))),
        ["to agent-call(1): 200"]
    );
    let unknown = (500, "Unknown root container".to_owned());
    assert_eq!(refusal(&rig.ask(remove(&nested("other", "n")))), unknown);
}

#[test]
fn a_container_that_has_ended_has_no_more_containers_in_it() {
    let (mut rig, root) = running();
    let id = nested(&root, "n");
    let deep = ContainerId {
        value: "d".to_owned(),
        parent: Some(Box::new(id.clone())),
    };
    let none = (400, format!("Parent container {root}.n does not exist"));
    assert_eq!(refusal(&rig.ask(launch(&deep))), none);
    rig.nest(&id);
    rig.nested_ends(&id, 0);
    assert_eq!(refusal(&rig.ask(launch(&deep))), none);
}
