//! Against a master and an agent that only write down what they are told.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tepui_framework::{
    Constraint, Driver, Executor, ExecutorDriver, ExecutorOptions, Framework, Options, Scheduler,
    Selector, Task, offer_constraints, spawn, spawn_executor, spawn_executor_with, spawn_with,
};
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::{Call, Event, call, event};
use tepui_protocol::mesos::v1::{
    AgentId, ExecutorId, FrameworkId, FrameworkInfo, KillPolicy, Offer, OfferId, TaskId, TaskInfo,
    TaskState, TaskStatus,
};
use tepui_protocol::mesos::v1::{executor, framework_info};
use tepui_runtime::{
    Bytes, Context, Declaration, Handle, Id, Node, NodeOptions, Pid, Process, SimOptions,
    Simulation, World,
};

type Log = Arc<Mutex<Vec<String>>>;
/// The calls themselves.
type Calls = Arc<Mutex<Vec<Call>>>;

fn write(log: &Log, line: impl Into<String>) {
    log.lock().unwrap().push(line.into());
}

/// Takes the log so far.
fn read(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().unwrap())
}

fn start(simulation: &Simulation, name: &str, last: u8) -> Node {
    let ip = IpAddr::from([10, 0, 0, last]);
    let options = NodeOptions {
        name: name.to_owned(),
        ip,
        port: 5050,
        ..Default::default()
    };
    Node::start(simulation.world(), options).unwrap()
}

/// A master that answers SUBSCRIBE with the id F, and that again with an offer.
struct Master {
    log: Log,
    calls: Calls,
    silent: bool,
}

impl Process for Master {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Call>();
    }
}

impl Handle<Call> for Master {
    fn handle(&mut self, call: Call, ctx: &mut Context<'_, Self>) {
        let id = call
            .framework_id
            .as_ref()
            .map_or("no id", |id| id.value.as_str());
        write(&self.log, format!("{} {id}", call.r#type().as_str_name()));
        self.calls.lock().unwrap().push(call.clone());
        if call.r#type() == call::Type::Subscribe && !self.silent {
            let framework_id = FrameworkId {
                value: "F".to_owned(),
            };
            ctx.reply(Event {
                r#type: Some(event::Type::Subscribed as i32),
                subscribed: Some(event::Subscribed {
                    framework_id,
                    ..Default::default()
                }),
                ..Event::default()
            });
            let offer = Offer {
                id: OfferId {
                    value: "O1".to_owned(),
                },
                agent_id: AgentId {
                    value: "S0".to_owned(),
                },
                ..Offer::default()
            };
            ctx.reply(Event {
                r#type: Some(event::Type::Offers as i32),
                offers: Some(event::Offers {
                    offers: vec![offer],
                }),
                ..Event::default()
            });
        }
    }
}

fn an_update(state: TaskState) -> Event {
    let status = TaskStatus {
        task_id: TaskId {
            value: "t".to_owned(),
        },
        state: state as i32,
        uuid: Some(Bytes::from_static(&[7; 16])),
        agent_id: Some(AgentId {
            value: "S0".to_owned(),
        }),
        ..TaskStatus::default()
    };
    Event {
        r#type: Some(event::Type::Update as i32),
        update: Some(event::Update { status }),
        ..Event::default()
    }
}

/// A scheduler that runs `t` on the first offer and ends with it.
struct One {
    log: Log,
    launched: bool,
}

impl Scheduler for One {
    fn subscribed(
        &mut self,
        _driver: &mut Driver<'_>,
        framework_id: &FrameworkId,
        _master: Option<&tepui_protocol::mesos::v1::MasterInfo>,
    ) {
        write(&self.log, format!("subscribed as {}", framework_id.value));
    }

    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        for offer in &offers {
            if std::mem::replace(&mut self.launched, true) {
                driver.decline(offer);
            } else {
                driver.launch(offer, [Task::command("t", "true").cpus(1.0).on(offer)]);
            }
        }
    }

    fn update(&mut self, driver: &mut Driver<'_>, status: TaskStatus) {
        write(&self.log, status.state().as_str_name());
        if status.state() == TaskState::TaskFinished {
            driver.teardown();
        }
    }

    fn disconnected(&mut self, _driver: &mut Driver<'_>) {
        write(&self.log, "disconnected");
    }

    fn error(&mut self, _driver: &mut Driver<'_>, message: String) {
        write(&self.log, format!("error {message}"));
    }
}

struct Bench {
    simulation: Simulation,
    master: Pid,
    master_node: Node,
    node: Node,
    log: Log,
    calls: Calls,
}

impl Bench {
    fn new(silent: bool) -> Bench {
        let simulation = World::simulated(SimOptions::default());
        let (log, calls) = (Log::default(), Calls::default());
        let master_node = start(&simulation, "master", 1);
        let master = spawn_master(&master_node, &log, &calls, silent);
        let node = start(&simulation, "framework", 2);
        Bench {
            simulation,
            master,
            master_node,
            node,
            log,
            calls,
        }
    }

    fn scheduler(&self, options: Options) -> Framework<One> {
        let info = FrameworkInfo {
            user: "root".to_owned(),
            ..FrameworkInfo::default()
        };
        let one = One {
            log: Arc::clone(&self.log),
            launched: false,
        };
        spawn_with(&self.node, self.master.clone(), info, one, options).unwrap()
    }

    fn run(&mut self, seconds: u64) -> Vec<String> {
        self.simulation.run_for(Duration::from_secs(seconds));
        read(&self.log)
    }

    fn send(&self, event: Event, to: &Pid) {
        self.master_node.send(&self.master, to, event);
    }
}

fn spawn_master(node: &Node, log: &Log, calls: &Calls, silent: bool) -> Pid {
    let master = Master {
        log: Arc::clone(log),
        calls: Arc::clone(calls),
        silent,
    };
    node.spawn(Id::chosen("master"), master)
        .unwrap()
        .pid()
        .clone()
}

#[test]
fn a_scheduler_subscribes_launches_acknowledges_and_ends() {
    let mut bench = Bench::new(false);
    let framework = bench.scheduler(Options::default());
    assert_eq!(
        bench.run(1),
        ["SUBSCRIBE no id", "subscribed as F", "ACCEPT F"]
    );
    bench.send(an_update(TaskState::TaskRunning), framework.pid());
    assert_eq!(bench.run(1), ["TASK_RUNNING", "ACKNOWLEDGE F"]);
    bench.send(an_update(TaskState::TaskFinished), framework.pid());
    assert_eq!(
        bench.run(1),
        ["TASK_FINISHED", "ACKNOWLEDGE F", "TEARDOWN F"]
    );
    assert!(
        !bench.node.has_process(framework.pid().id()),
        "the actor is over"
    );
}

#[test]
fn a_scheduler_that_acknowledges_by_itself_is_left_to_it() {
    let mut bench = Bench::new(false);
    let framework = bench.scheduler(Options {
        acknowledge: false,
        ..Options::default()
    });
    bench.run(1);
    bench.send(an_update(TaskState::TaskRunning), framework.pid());
    assert_eq!(bench.run(1), ["TASK_RUNNING"]);
    framework.call(|_, driver| {
        let event = an_update(TaskState::TaskRunning);
        driver.acknowledge(&event.update.unwrap().status);
    });
    assert_eq!(bench.run(1), ["ACKNOWLEDGE F"]);
}

#[test]
fn a_lost_master_is_subscribed_to_again_under_the_same_id() {
    let mut bench = Bench::new(false);
    let framework = bench.scheduler(Options::default());
    bench.run(1);
    bench.master_node.crash();
    // A crash without a word is noticed by its silence, after 15 seconds.
    assert_eq!(bench.run(20), ["disconnected"]);
    framework.call(|_, driver| driver.revive(vec![]));
    assert_eq!(bench.run(1), [""; 0], "dropped: there is no master");
    bench.master_node = start(&bench.simulation, "master", 1);
    spawn_master(&bench.master_node, &bench.log, &bench.calls, false);
    assert_eq!(
        bench.run(70),
        ["SUBSCRIBE F", "subscribed as F", "DECLINE F"]
    );
}

#[test]
fn what_a_framework_changed_is_what_it_subscribes_with_again() {
    let mut bench = Bench::new(false);
    let role = |name: &str| name.to_owned();
    let capability = |kind: Capability| framework_info::Capability {
        r#type: Some(kind as i32),
    };
    let info = FrameworkInfo {
        user: "root".to_owned(),
        name: "changed".to_owned(),
        roles: vec![role("a"), role("b"), role("c")],
        capabilities: vec![capability(Capability::MultiRole)],
        ..FrameworkInfo::default()
    };
    let wanted = [Constraint::Has(Selector::Attribute(role("rack")))];
    let constraints = offer_constraints("a", &wanted);
    let framework = bench.scheduler(Options::default());
    bench.run(1);
    framework.call({
        let (info, constraints) = (info.clone(), constraints.clone());
        let suppressed = vec![role("a"), role("b")];
        move |_, driver| driver.update_framework(info, suppressed, Some(constraints))
    });
    framework.call(move |_, driver| driver.suppress(vec![role("c")]));
    framework.call(move |_, driver| driver.revive(vec![role("a")]));
    assert_eq!(
        bench.run(1),
        ["UPDATE_FRAMEWORK F", "SUPPRESS F", "REVIVE F"]
    );
    bench.master_node.crash();
    assert_eq!(bench.run(20), ["disconnected"]);
    // Said while there is nobody to hear it.
    framework.call(move |_, driver| driver.revive(vec![role("b")]));
    bench.run(1);
    bench.calls.lock().unwrap().clear();
    bench.master_node = start(&bench.simulation, "master", 1);
    spawn_master(&bench.master_node, &bench.log, &bench.calls, false);
    bench.run(70);
    let first = bench.calls.lock().unwrap().first().cloned();
    let id = Some(FrameworkId {
        value: "F".to_owned(),
    });
    let expected = Call {
        framework_id: id.clone(),
        r#type: Some(call::Type::Subscribe as i32),
        subscribe: Some(call::Subscribe {
            framework_info: FrameworkInfo { id, ..info },
            suppressed_roles: vec![role("c")],
            offer_constraints: Some(constraints),
        }),
        ..Call::default()
    };
    assert_eq!(first, Some(expected));
}

#[test]
fn a_master_whose_heartbeats_stay_away_is_lost() {
    let mut bench = Bench::new(false);
    let framework = bench.scheduler(Options::default());
    bench.run(1);
    let subscribed = event::Subscribed {
        framework_id: FrameworkId {
            value: "F".to_owned(),
        },
        heartbeat_interval_seconds: Some(15.0),
        ..Default::default()
    };
    let promise = Event {
        r#type: Some(event::Type::Subscribed as i32),
        subscribed: Some(subscribed),
        ..Event::default()
    };
    bench.send(promise, framework.pid());
    assert_eq!(bench.run(70), [""; 0]);
    let heartbeat = Event {
        r#type: Some(event::Type::Heartbeat as i32),
        ..Event::default()
    };
    bench.send(heartbeat, framework.pid());
    assert_eq!(bench.run(74), [""; 0], "five times 15 seconds are not over");
    let again = [
        "disconnected",
        "SUBSCRIBE F",
        "subscribed as F",
        "DECLINE F",
    ];
    assert_eq!(bench.run(5), again);
    // This time it promised none.
    assert_eq!(bench.run(300), [""; 0]);
}

#[test]
fn a_silent_master_is_asked_again_with_growing_pauses() {
    let mut bench = Bench::new(true);
    let _framework = bench.scheduler(Options::default());
    let asked = bench.run(31).len();
    assert!(
        (6..=7).contains(&asked),
        "{asked} times: pauses of up to 1, 2, 4, 8 and 16 seconds"
    );
}

#[test]
fn an_error_ends_the_actor_and_strangers_are_not_heard() {
    let mut bench = Bench::new(false);
    let framework = bench.scheduler(Options::default());
    bench.run(1);
    let stranger = start(&bench.simulation, "stranger", 9);
    let error = Event {
        r#type: Some(event::Type::Error as i32),
        error: Some(event::Error {
            message: "Framework failed over".to_owned(),
        }),
        ..Event::default()
    };
    stranger.send(&stranger.pid_of("master"), framework.pid(), error.clone());
    assert_eq!(bench.run(1), [""; 0]);
    bench.send(error, framework.pid());
    assert_eq!(bench.run(1), ["error Framework failed over"]);
    assert!(!bench.node.has_process(framework.pid().id()));
}

/// An agent that answers SUBSCRIBE, and acknowledges only when it is told to.
struct Agent {
    log: Log,
}

impl Process for Agent {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<executor::Call>();
    }
}

impl Handle<executor::Call> for Agent {
    fn handle(&mut self, call: executor::Call, ctx: &mut Context<'_, Self>) {
        let kept = call.subscribe.as_ref().map_or(String::new(), |kept| {
            let (tasks, updates) = (
                kept.unacknowledged_tasks.len(),
                kept.unacknowledged_updates.len(),
            );
            format!(" with {tasks} tasks, {updates} updates")
        });
        let state = call
            .update
            .as_ref()
            .map_or("", |update| update.status.state().as_str_name());
        write(
            &self.log,
            format!("{}{kept} {state}", call.r#type().as_str_name()),
        );
        if call.subscribe.is_some() {
            ctx.reply(executor::Event {
                r#type: Some(executor::event::Type::Subscribed as i32),
                subscribed: Some(executor::event::Subscribed::default()),
                ..Default::default()
            });
        }
    }
}

struct Runs;

impl Executor for Runs {
    fn launch(&mut self, driver: &mut ExecutorDriver, task: TaskInfo) {
        driver.update(TaskStatus {
            task_id: task.task_id,
            state: TaskState::TaskRunning as i32,
            ..TaskStatus::default()
        });
    }

    fn kill(&mut self, _driver: &mut ExecutorDriver, _task: TaskId, _policy: Option<KillPolicy>) {}
}

#[test]
fn an_executor_tells_again_what_was_not_acknowledged() {
    let mut simulation = World::simulated(SimOptions::default());
    let log = Log::default();
    let agent_node = start(&simulation, "agent", 1);
    let spawn_agent = |node: &Node| {
        let agent = Agent {
            log: Arc::clone(&log),
        };
        node.spawn(Id::chosen("slave(1)"), agent)
            .unwrap()
            .pid()
            .clone()
    };
    let agent = spawn_agent(&agent_node);
    let node = start(&simulation, "executor", 2);
    let ids = (
        FrameworkId {
            value: "F".to_owned(),
        },
        ExecutorId {
            value: "e".to_owned(),
        },
    );
    let executor = spawn_executor(&node, agent.clone(), ids.0, ids.1, Runs).unwrap();
    simulation.run_for(Duration::from_secs(1));
    let task = TaskInfo {
        task_id: TaskId {
            value: "t".to_owned(),
        },
        ..TaskInfo::default()
    };
    let launch = executor::Event {
        r#type: Some(executor::event::Type::Launch as i32),
        launch: Some(executor::event::Launch { task }),
        ..Default::default()
    };
    agent_node.send(&agent, &executor, launch);
    simulation.run_for(Duration::from_secs(1));
    assert_eq!(
        read(&log),
        ["SUBSCRIBE with 0 tasks, 0 updates ", "UPDATE TASK_RUNNING"]
    );

    agent_node.crash();
    simulation.run_for(Duration::from_secs(20));
    let agent_node = start(&simulation, "agent", 1);
    spawn_agent(&agent_node);
    simulation.run_for(Duration::from_secs(20));
    let mut told = read(&log);
    // What waited for the connection may come more than once.
    told.dedup();
    assert_eq!(told, ["SUBSCRIBE with 1 tasks, 1 updates "]);

    let shutdown = executor::Event {
        r#type: Some(executor::event::Type::Shutdown as i32),
        ..Default::default()
    };
    agent_node.send(&agent, &executor, shutdown);
    simulation.run_for(Duration::from_secs(1));
    assert!(!node.has_process(executor.id()));
}

#[test]
fn an_executor_waits_for_its_agent_no_longer_than_it_may() {
    for (recovery, there_after, gone_after) in [
        // The loss is noticed by silence, after 15 seconds.
        (None, 5, 20),
        (Some(Duration::from_secs(60)), 60, 80),
    ] {
        let mut simulation = World::simulated(SimOptions::default());
        let agent_node = start(&simulation, "agent", 1);
        let log = Log::default();
        let agent = agent_node.spawn(Id::chosen("slave(1)"), Agent { log });
        let agent = agent.unwrap().pid().clone();
        let node = start(&simulation, "executor", 2);
        let options = ExecutorOptions {
            recovery,
            ..ExecutorOptions::new(agent, FrameworkId::default(), ExecutorId::default())
        };
        let executor = spawn_executor_with(&node, options, Runs).unwrap();
        simulation.run_for(Duration::from_secs(1));
        agent_node.crash();
        simulation.run_for(Duration::from_secs(there_after));
        assert!(node.has_process(executor.id()), "{recovery:?}");
        simulation.run_for(Duration::from_secs(gone_after - there_after));
        assert!(!node.has_process(executor.id()), "{recovery:?}");
    }
}

#[test]
fn spawning_takes_the_next_id_of_its_prefix() {
    let bench = Bench::new(true);
    let info = FrameworkInfo {
        user: "root".to_owned(),
        ..FrameworkInfo::default()
    };
    let one = |log: &Log| One {
        log: Arc::clone(log),
        launched: false,
    };
    let first = spawn(
        &bench.node,
        bench.master.clone(),
        info.clone(),
        one(&bench.log),
    )
    .unwrap();
    let second = spawn(&bench.node, bench.master.clone(), info, one(&bench.log)).unwrap();
    assert_eq!(
        (first.pid().id(), second.pid().id()),
        ("scheduler(1)", "scheduler(2)")
    );
}
