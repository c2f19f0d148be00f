//! The walk of an offer through a real master, allocator and registrar, in the simulated world:
//! the agent and the scheduler are on nodes of their own, so that every message is encoded.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tepui_protocol::mesos::internal::{
    AgentRegistered, PingAgent, PongAgent, RegisterAgent, ReregisterAgent, RunTask, Shutdown,
    StatusUpdate, StatusUpdateAcknowledgement, StatusUpdateMessage,
};
use tepui_protocol::mesos::v1::scheduler::{Call, Event, call, event};
use tepui_protocol::mesos::v1::{
    AgentId, AgentInfo, CommandInfo, FrameworkId, FrameworkInfo, Task, TaskId, TaskInfo, TaskState,
    TaskStatus, offer,
};
use tepui_protocol::resources::parse_text;
use tepui_protocol::tepui::operator::Operated;
use tepui_runtime::{
    Context, Declaration, Handle, Id, Node, NodeOptions, Pid, Process, SimOptions, Simulation,
    World,
};

use crate::{Master, MasterOptions};

type Heard = Arc<Mutex<Vec<String>>>;

/// An agent that runs each task for no time at all.
struct FakeAgent {
    master: Pid,
    id: Option<AgentId>,
    tasks: Vec<Task>,
}

impl FakeAgent {
    fn update(&mut self, task: &str, state: TaskState, ctx: &mut Context<'_, Self>) {
        let Some(known) = self
            .tasks
            .iter_mut()
            .find(|known| known.task_id.value == task)
        else {
            return;
        };
        known.state = state as i32;
        let uuid = ctx.uuid().as_bytes().to_vec();
        let status = TaskStatus {
            task_id: known.task_id.clone(),
            state: state as i32,
            uuid: Some(uuid.clone().into()),
            ..TaskStatus::default()
        };
        let update = StatusUpdate {
            framework_id: known.framework_id.clone(),
            executor_id: None,
            agent_id: self.id.clone(),
            status,
            timestamp: ctx.now().as_secs_f64(),
            uuid: Some(uuid.into()),
            latest_state: Some(state as i32),
        };
        ctx.send(&self.master, StatusUpdateMessage { update, pid: None });
    }
}

impl Process for FakeAgent {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration
            .message::<AgentRegistered>()
            .message::<PingAgent>()
            .message::<RunTask>()
            .message::<StatusUpdateAcknowledgement>();
    }

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        let message = RegisterAgent {
            agent: AgentInfo {
                hostname: "host".into(),
                resources: parse_text("cpus:4;mem:4096", "*").unwrap().to_proto(),
                ..AgentInfo::default()
            },
            version: Some("1.12.0".into()),
            ..RegisterAgent::default()
        };
        ctx.send(&self.master, message);
    }
}

impl Handle<AgentRegistered> for FakeAgent {
    fn handle(&mut self, message: AgentRegistered, _ctx: &mut Context<'_, Self>) {
        self.id = Some(message.agent_id);
    }
}

impl Handle<PingAgent> for FakeAgent {
    fn handle(&mut self, _message: PingAgent, ctx: &mut Context<'_, Self>) {
        ctx.reply(PongAgent {});
    }
}

impl Handle<RunTask> for FakeAgent {
    fn handle(&mut self, message: RunTask, ctx: &mut Context<'_, Self>) {
        let task = message.task.task_id.value.clone();
        self.tasks.push(Task {
            task_id: message.task.task_id,
            framework_id: message.framework.id.unwrap(),
            ..Task::default()
        });
        self.update(&task, TaskState::TaskRunning, ctx);
    }
}

impl Handle<StatusUpdateAcknowledgement> for FakeAgent {
    fn handle(&mut self, message: StatusUpdateAcknowledgement, ctx: &mut Context<'_, Self>) {
        let task = message.task_id.value;
        let running =
            |known: &Task| known.task_id.value == task && known.state() == TaskState::TaskRunning;
        if self.tasks.iter().any(running) {
            self.update(&task, TaskState::TaskFinished, ctx);
        }
    }
}

/// A scheduler that launches one task on the first offer and declines the others.
struct FakeScheduler {
    master: Pid,
    id: Option<FrameworkId>,
    launched: bool,
    heard: Heard,
}

impl FakeScheduler {
    fn call(&self, kind: call::Type) -> Call {
        Call {
            framework_id: self.id.clone(),
            r#type: Some(kind as i32),
            ..Call::default()
        }
    }

    fn offers(&mut self, offers: event::Offers, ctx: &mut Context<'_, Self>) {
        for offer in offers.offers {
            let mut accept = self.call(call::Type::Accept);
            let task = TaskInfo {
                name: "t".into(),
                task_id: TaskId { value: "t".into() },
                agent_id: offer.agent_id,
                resources: parse_text("cpus:1;mem:64", "*").unwrap().to_proto(),
                command: Some(CommandInfo {
                    value: Some("true".into()),
                    ..Default::default()
                }),
                ..TaskInfo::default()
            };
            let launch = offer::Operation {
                r#type: Some(offer::operation::Type::Launch as i32),
                launch: Some(offer::operation::Launch {
                    task_infos: vec![task],
                }),
                ..offer::Operation::default()
            };
            let operations = if self.launched { vec![] } else { vec![launch] };
            self.launched = true;
            accept.accept = Some(call::Accept {
                offer_ids: vec![offer.id],
                operations,
                filters: None,
            });
            ctx.send(&self.master, accept);
        }
    }

    fn update(&mut self, status: TaskStatus, ctx: &mut Context<'_, Self>) {
        self.heard
            .lock()
            .unwrap()
            .push(status.state().as_str_name().to_owned());
        if let (Some(uuid), Some(agent_id)) = (status.uuid, status.agent_id) {
            let mut acknowledge = self.call(call::Type::Acknowledge);
            let task_id = status.task_id;
            acknowledge.acknowledge = Some(call::Acknowledge {
                agent_id,
                task_id,
                uuid,
            });
            ctx.send(&self.master, acknowledge);
        }
    }
}

impl Process for FakeScheduler {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Event>();
    }

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        let mut subscribe = self.call(call::Type::Subscribe);
        subscribe.subscribe = Some(call::Subscribe {
            framework_info: FrameworkInfo {
                user: "u".into(),
                name: "f".into(),
                checkpoint: Some(true),
                ..FrameworkInfo::default()
            },
            ..call::Subscribe::default()
        });
        ctx.send(&self.master, subscribe);
    }
}

impl Handle<Event> for FakeScheduler {
    fn handle(&mut self, event: Event, ctx: &mut Context<'_, Self>) {
        let kind = event.r#type();
        if kind != event::Type::Update {
            self.heard
                .lock()
                .unwrap()
                .push(kind.as_str_name().to_owned());
        }
        match kind {
            event::Type::Subscribed => {
                self.id = event.subscribed.map(|subscribed| subscribed.framework_id);
            }
            event::Type::Offers => self.offers(event.offers.unwrap(), ctx),
            event::Type::Update => self.update(event.update.unwrap().status, ctx),
            _ => {}
        }
    }
}

struct Cluster {
    simulation: Simulation,
    master_node: Node,
    agent_node: Node,
    scheduler_node: Node,
    master: Master,
    heard: Heard,
}

fn node(world: &World, name: &str) -> Node {
    let options = NodeOptions {
        name: name.to_owned(),
        ..NodeOptions::default()
    };
    Node::start(world, options).unwrap()
}

fn start(seed: u64) -> Cluster {
    let mut simulation = World::simulated(SimOptions {
        seed,
        ..SimOptions::default()
    });
    let world = simulation.world().clone();
    let master_node = node(&world, "master");
    let agent_node = node(&world, "agent");
    let scheduler_node = node(&world, "scheduler");
    let master = crate::spawn(&master_node, MasterOptions::default()).unwrap();
    // The registry is read before anybody comes, who would be dropped and has no retries here.
    simulation.run_for(Duration::from_millis(10));
    let pid = master.pid().clone();
    let agent = FakeAgent {
        master: pid.clone(),
        id: None,
        tasks: Vec::new(),
    };
    agent_node.spawn(Id::prefix("slave"), agent).unwrap();
    let heard = Heard::default();
    let scheduler = FakeScheduler {
        master: pid,
        id: None,
        launched: false,
        heard: Arc::clone(&heard),
    };
    scheduler_node
        .spawn(Id::prefix("scheduler"), scheduler)
        .unwrap();
    Cluster {
        simulation,
        master_node,
        agent_node,
        scheduler_node,
        master,
        heard,
    }
}

#[test]
fn an_offer_walks_all_the_way_and_comes_back() {
    let mut cluster = start(7);
    cluster.simulation.run_for(Duration::from_secs(10));
    let heard = cluster.heard.lock().unwrap().clone();
    let without_offers: Vec<&str> = heard
        .iter()
        .map(String::as_str)
        .filter(|heard| *heard != "OFFERS")
        .collect();
    assert_eq!(
        without_offers,
        ["SUBSCRIBED", "TASK_RUNNING", "TASK_FINISHED"]
    );
    let snapshot = cluster.master.snapshot();
    let framework = snapshot.frameworks.values().next().unwrap();
    assert!(framework.tasks.is_empty() && framework.used.is_empty());
    assert_eq!(framework.completed_tasks.len(), 1);
    assert!(
        heard.iter().filter(|heard| *heard == "OFFERS").count() >= 2,
        "{heard:?}"
    );

    let metrics = cluster.master_node.metrics().snapshot();
    for (key, value) in [
        ("master/elected", 1.0),
        ("master/slaves_connected", 1.0),
        ("master/frameworks_active", 1.0),
        ("master/tasks_finished", 1.0),
        ("master/cpus_total", 4.0),
        ("master/cpus_used", 0.0),
        ("master/slave_registrations", 1.0),
        ("registrar/queued_operations", 0.0),
    ] {
        assert_eq!(metrics.get(key), Some(&value), "{key}");
    }
}

#[test]
fn an_agent_that_crashes_is_disconnected_then_unreachable() {
    let mut cluster = start(7);
    cluster.simulation.run_for(Duration::from_secs(5));
    cluster.agent_node.crash();
    // A connection to a node that is silent breaks after 15 s.
    cluster.simulation.run_for(Duration::from_secs(20));
    let snapshot = cluster.master.snapshot();
    let agent = snapshot.agents.values().next().unwrap();
    assert!(!agent.connected && !agent.active);
    cluster.simulation.run_for(Duration::from_secs(90));
    let snapshot = cluster.master.snapshot();
    assert!(snapshot.agents.is_empty());
    assert_eq!(snapshot.unreachable_agents.size(), 1);
    let heard = cluster.heard.lock().unwrap();
    let last = heard.iter().rfind(|event| *event != "HEARTBEAT");
    assert_eq!(last.map(String::as_str), Some("FAILURE"));
}

/// Says what it is given to say, and hears that it is to end.
struct Stranger {
    master: Pid,
    says: Option<ReregisterAgent>,
    told: Heard,
}

impl Process for Stranger {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Shutdown>();
    }

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        if let Some(message) = self.says.take() {
            ctx.send(&self.master, message);
        }
    }
}

impl Handle<Shutdown> for Stranger {
    fn handle(&mut self, message: Shutdown, _ctx: &mut Context<'_, Self>) {
        self.told.lock().unwrap().push(message.message().to_owned());
    }
}

#[test]
fn a_return_made_by_hand_from_another_address_harms_nobody() {
    let mut cluster = start(7);
    cluster.simulation.run_for(Duration::from_secs(5));
    let agent = cluster.master.snapshot();
    let agent = agent.agents.values().next().unwrap().clone();
    let elsewhere = NodeOptions {
        name: "elsewhere".to_owned(),
        ip: "127.0.0.9".parse().unwrap(),
        ..NodeOptions::default()
    };
    let elsewhere = Node::start(cluster.simulation.world(), elsewhere).unwrap();
    let told = Heard::default();
    let stranger = Stranger {
        master: cluster.master.pid().clone(),
        says: Some(ReregisterAgent {
            agent: (*agent.info).clone(),
            version: Some("1.12.0".into()),
            ..ReregisterAgent::default()
        }),
        told: Arc::clone(&told),
    };
    elsewhere.spawn(Id::prefix("slave"), stranger).unwrap();
    cluster.simulation.run_for(Duration::from_secs(60));
    assert_eq!(
        *told.lock().unwrap(),
        ["Agent attempted to reregister with different IP / hostname"]
    );
    let after = cluster.master.snapshot();
    let after = after.agent(&agent.id).unwrap();
    assert_eq!(after.pid, agent.pid);
    assert!(after.connected && after.active);
}

#[test]
fn a_scheduler_that_crashes_without_failover_timeout_is_removed() {
    let mut cluster = start(7);
    cluster.simulation.run_for(Duration::from_secs(5));
    cluster.scheduler_node.crash();
    cluster.simulation.run_for(Duration::from_secs(20));
    let snapshot = cluster.master.snapshot();
    assert!(snapshot.frameworks.is_empty());
    assert_eq!(snapshot.completed_frameworks.len(), 1);
    assert!(snapshot.offers.is_empty());
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let mut cluster = start(seed);
        cluster.simulation.run_for(Duration::from_secs(10));
        cluster.agent_node.crash();
        cluster.simulation.run_for(Duration::from_secs(100));
        cluster.simulation.trace_hash()
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}

#[test]
fn a_node_has_one_master() {
    let cluster = start(7);
    let error = crate::spawn(&cluster.master_node, MasterOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot start process 'master': process id 'master' is taken"
    );
}

#[test]
fn each_start_of_a_master_has_another_id() {
    let ids = |seed: u64| {
        let simulation = World::simulated(SimOptions {
            seed,
            ..SimOptions::default()
        });
        let world = simulation.world().clone();
        let of = |name: &str| {
            let master = crate::spawn(&node(&world, name), MasterOptions::default()).unwrap();
            master.snapshot().master_info.id.clone()
        };
        [of("one"), of("two")]
    };
    let [one, two] = ids(7);
    assert_ne!(one, two);
    assert_eq!(ids(7), [one.clone(), two]);
    assert_eq!(one.len(), 36, "{one}");
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_hexdigit());
    assert!(one.split('-').all(digits), "{one}");
}

#[test]
fn a_master_says_where_it_is_as_mesos_does() {
    let simulation = World::simulated(SimOptions::default());
    let options = NodeOptions {
        name: "master".to_owned(),
        ip: "1.2.3.4".parse().unwrap(),
        port: 5050,
        ..NodeOptions::default()
    };
    let node = Node::start(simulation.world(), options).unwrap();
    let options = MasterOptions {
        hostname: Some("host".to_owned()),
        ..MasterOptions::default()
    };
    let master = crate::spawn(&node, options).unwrap();
    let info = master.snapshot().master_info.clone();
    // The four bytes as they lie in memory, read as a number of a little-endian machine.
    assert_eq!((info.ip, info.port), (0x0403_0201, 5050));
    assert_eq!(info.pid(), "master@1.2.3.4:5050");
    assert_eq!(info.hostname(), "host");
    let address = info.address.as_ref().unwrap();
    assert_eq!(
        (address.hostname(), address.ip(), address.port),
        ("host", "1.2.3.4", 5050)
    );
    assert!(info.version().starts_with("1."), "{}", info.version());
}

/// Writes down each answer, and what is published when it comes.
struct Asker {
    master: Master,
    heard: Heard,
}

impl Process for Asker {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Operated>();
    }
}

impl Handle<Operated> for Asker {
    fn handle(&mut self, answer: Operated, _: &mut Context<'_, Self>) {
        let snapshot = self.master.snapshot();
        let framework = snapshot.frameworks.values().next().unwrap();
        let line = format!(
            "{} {} at {}",
            answer.status,
            answer.problem.unwrap_or_default(),
            framework.info.webui_url()
        );
        self.heard.lock().unwrap().push(line);
    }
}

#[test]
fn an_update_of_a_framework_is_answered_when_it_can_be_seen() {
    let mut cluster = start(7);
    cluster.simulation.run_for(Duration::from_secs(5));
    let heard = Heard::default();
    let asker = Asker {
        master: cluster.master.clone(),
        heard: Arc::clone(&heard),
    };
    let asker = cluster.master_node.spawn(Id::chosen("asker"), asker);
    let asker = asker.unwrap().pid().clone();
    let snapshot = cluster.master.snapshot();
    let framework = snapshot.frameworks.values().next().unwrap();
    let pid = framework.pid().unwrap().clone();
    let ask = |from: &Pid, user: &str, url: &str| {
        let info = FrameworkInfo {
            webui_url: Some(url.to_owned()),
            user: user.to_owned(),
            ..(*framework.info).clone()
        };
        let update = call::UpdateFramework {
            framework_info: info,
            ..call::UpdateFramework::default()
        };
        let call = Call {
            framework_id: framework.info.id.clone(),
            r#type: Some(call::Type::UpdateFramework as i32),
            update_framework: Some(update),
            ..Call::default()
        };
        let (from, asker) = (from.clone(), asker.clone());
        cluster.master.update_framework(from, call, asker);
    };
    let user = framework.info.user.clone();
    ask(&pid, &user, "http://one/");
    ask(&pid, "another", "http://two/");
    ask(&asker, &user, "http://three/");
    cluster.simulation.run_for(Duration::from_millis(10));
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert_eq!(heard[0], "200  at http://one/");
    let refused = |line: &String| line.ends_with(" at http://one/");
    assert!(heard.iter().all(refused), "{heard:?}");
    assert!(heard[1].starts_with("400 "), "{heard:?}");
    assert!(heard[2].starts_with("403 "), "{heard:?}");
}
