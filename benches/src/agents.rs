//! Agents of which there is no more than a master sees: they register, answer pings, and say of
//! each task what a real one would, all from one node of this program. So a master can be measured
//! alone, with as many agents and tasks as are wanted. They speak to a real Mesos as well.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use tepui_protocol::mesos::internal::{
    AgentRegistered, PingAgent, PongAgent, RegisterAgent, RunTask, StatusUpdate,
    StatusUpdateAcknowledgement, StatusUpdateMessage, UnregisterAgent,
};
use tepui_protocol::mesos::v1::agent_info::{Capability, capability};
use tepui_protocol::mesos::v1::{
    AgentId, AgentInfo, FrameworkId, TaskId, TaskState, TaskStatus, Uuid, task_status,
};
use tepui_protocol::resources::parse_text;
use tepui_runtime::{
    Bytes, CodecError, Context, Declaration, Encoding, Handle, Id, Message, Node, NodeOptions, Pid,
    Process, ProcessRef, RealOptions, World,
};

use crate::masters::Master;

/// A master answers sooner, or the measurement has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What becomes of a task that is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It runs at once, and has finished once the framework knows that.
    Finish,
    /// It runs until its framework goes.
    Run,
}

/// Agents that are registered with one master.
#[derive(Debug)]
pub struct Agents {
    world: World,
    node: Node,
    agents: Vec<ProcessRef<Agent>>,
    registered: Receiver<Duration>,
    finished: Receiver<Instant>,
}

impl Agents {
    /// Registers so many agents, each with these resources (as `--resources` says it).
    ///
    /// # Panics
    ///
    /// When the master does not take them.
    pub fn register(master: &Master, count: usize, resources: &str, manner: Manner) -> Agents {
        let world = World::real(RealOptions::default()).expect("threads can be started");
        let node = Node::start(&world, NodeOptions::default()).expect("a port is free");
        let (registered, registrations) = channel();
        let (finished, endings) = channel();
        let agent = |number: usize| {
            let agent = Agent {
                master: master.pid(),
                foreign: master.daemon.is_none(),
                info: info(number, resources),
                id: AgentId::default(),
                manner,
                asked: Instant::now(),
                again: None,
                tasks: BTreeMap::new(),
                registered: registered.clone(),
                finished: finished.clone(),
            };
            node.spawn(Id::Chosen(format!("slave({number})")), agent)
                .expect("no other has this id")
        };
        let agents = Agents {
            agents: (1..=count).map(agent).collect(),
            world,
            node,
            registered: registrations,
            finished: endings,
        };
        for _ in 0..count {
            agents.next_answer();
        }
        agents
    }

    /// How long the master's own process takes to answer a message, for so long and with a pause
    /// between an answer and the next: an agent that is registered wants to be so again.
    pub fn answer_times(&self, time: Duration, pause: Duration) -> Vec<Duration> {
        let (sender, times) = channel();
        let again = Again {
            until: Instant::now() + time,
            pause,
            times: sender,
        };
        self.agents[0].dispatch(move |agent, ctx| {
            agent.again = Some(again);
            agent.ask(ctx);
        });
        times.iter().collect()
    }

    fn next_answer(&self) -> Duration {
        let answer = self.registered.recv_timeout(PATIENCE);
        answer.expect("the master registers its agents")
    }

    /// Waits until the frameworks have acknowledged the last updates of so many tasks; when it was.
    pub fn wait_finished(&self, tasks: usize) -> Instant {
        let next = || self.finished.recv_timeout(PATIENCE);
        let times = (0..tasks).map(|_| next().expect("the last updates are acknowledged"));
        times.max().expect("there are tasks")
    }

    /// Each agent says so often of each of its tasks that it runs, with `data` bytes at it, where
    /// `times` wants that of a framework's tasks.
    pub fn say_again(&self, data: usize, times: impl Fn(&str) -> usize + Clone + Send + 'static) {
        for agent in &self.agents {
            let times = times.clone();
            agent.dispatch(move |agent, ctx| agent.say_again(data, &times, ctx));
        }
    }

    /// The agents leave their master.
    pub fn leave(self) {
        for agent in &self.agents {
            agent.dispatch(|agent, ctx| {
                let agent_id = agent.id.clone();
                ctx.send(&agent.master, UnregisterAgent { agent_id });
            });
        }
        self.world.block_on(self.node.settle());
        self.world.block_on(self.node.shutdown());
    }
}

fn info(number: usize, resources: &str) -> AgentInfo {
    AgentInfo {
        hostname: format!("stand-in-{number}"),
        port: Some(5051),
        resources: parse_text(resources, "*").expect("resources").to_proto(),
        ..AgentInfo::default()
    }
}

/// An agent that is registered wants to be so again and again.
#[derive(Debug)]
struct Again {
    until: Instant,
    /// Between an answer and the next question.
    pause: Duration,
    /// How long each answer took.
    times: Sender<Duration>,
}

#[derive(Debug)]
struct Agent {
    master: Pid,
    /// The master knows protobuf alone.
    foreign: bool,
    info: AgentInfo,
    id: AgentId,
    manner: Manner,
    /// When it last wanted to be registered.
    asked: Instant,
    again: Option<Again>,
    /// Those that run, and whose.
    tasks: BTreeMap<String, FrameworkId>,
    registered: Sender<Duration>,
    finished: Sender<Instant>,
}

impl Agent {
    fn ask(&mut self, ctx: &mut Context<'_, Self>) {
        use capability::Type::{HierarchicalRole, MultiRole, ReservationRefinement};
        let kinds = [MultiRole, HierarchicalRole, ReservationRefinement];
        let capability = |kind: capability::Type| Capability {
            r#type: Some(kind as i32),
        };
        let register = RegisterAgent {
            agent: self.info.clone(),
            version: Some("1.11.0".to_owned()),
            agent_capabilities: kinds.map(capability).to_vec(),
            resource_version_uuid: Some(Uuid {
                value: Bytes::from_static(&[7; 16]),
            }),
            ..RegisterAgent::default()
        };
        self.asked = Instant::now();
        if self.foreign {
            ctx.send(&self.master, InProtobuf(register));
        } else {
            ctx.send(&self.master, register);
        }
    }

    fn say(
        &self,
        task: &str,
        framework: &FrameworkId,
        state: TaskState,
        data: Option<Bytes>,
        ctx: &Context<'_, Self>,
    ) {
        let uuid = Bytes::copy_from_slice(ctx.uuid().as_bytes());
        let timestamp = ctx.now().as_secs_f64();
        let status = TaskStatus {
            task_id: TaskId {
                value: task.to_owned(),
            },
            state: state as i32,
            source: Some(task_status::Source::Executor as i32),
            agent_id: Some(self.id.clone()),
            timestamp: Some(timestamp),
            uuid: Some(uuid.clone()),
            data,
            ..TaskStatus::default()
        };
        let update = StatusUpdate {
            framework_id: framework.clone(),
            executor_id: None,
            agent_id: Some(self.id.clone()),
            status,
            timestamp,
            uuid: Some(uuid),
            latest_state: Some(state as i32),
        };
        let pid = Some(ctx.pid().to_string());
        ctx.send(&self.master, StatusUpdateMessage { update, pid });
    }

    fn say_again(
        &mut self,
        data: usize,
        times: &dyn Fn(&str) -> usize,
        ctx: &mut Context<'_, Self>,
    ) {
        let data = Bytes::from(vec![b'x'; data]);
        for (task, framework) in &self.tasks {
            for _ in 0..times(&framework.value) {
                let data = Some(data.clone());
                self.say(task, framework, TaskState::TaskRunning, data, ctx);
            }
        }
    }
}

impl Process for Agent {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration
            .message::<AgentRegistered>()
            .message::<PingAgent>()
            .message::<RunTask>()
            .message::<StatusUpdateAcknowledgement>();
    }

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        ctx.link(&self.master);
        self.ask(ctx);
    }
}

impl Handle<AgentRegistered> for Agent {
    fn handle(&mut self, message: AgentRegistered, ctx: &mut Context<'_, Self>) {
        let time = self.asked.elapsed();
        self.id = message.agent_id;
        let Some(again) = self.again.take() else {
            let _ = self.registered.send(time);
            return;
        };
        let _ = again.times.send(time);
        if Instant::now() < again.until {
            ctx.delay(again.pause, Agent::ask);
            self.again = Some(again);
        }
    }
}

impl Handle<PingAgent> for Agent {
    fn handle(&mut self, _: PingAgent, ctx: &mut Context<'_, Self>) {
        ctx.reply(PongAgent {});
    }
}

impl Handle<RunTask> for Agent {
    fn handle(&mut self, message: RunTask, ctx: &mut Context<'_, Self>) {
        let task = message.task.task_id.value;
        let framework = message.framework.id.unwrap_or_default();
        self.say(&task, &framework, TaskState::TaskRunning, None, ctx);
        self.tasks.insert(task, framework);
    }
}

impl Handle<StatusUpdateAcknowledgement> for Agent {
    fn handle(&mut self, message: StatusUpdateAcknowledgement, ctx: &mut Context<'_, Self>) {
        if self.manner == Manner::Run {
            return;
        }
        let task = message.task_id.value;
        if self.tasks.remove(&task).is_some() {
            let framework = message.framework_id;
            self.say(&task, &framework, TaskState::TaskFinished, None, ctx);
        } else {
            let _ = self.finished.send(Instant::now());
        }
    }
}

/// A first message to who knows protobuf alone; answers follow the encoding of what is answered.
#[derive(Clone, Debug)]
struct InProtobuf<M>(M);

impl<M: Message> Message for InProtobuf<M> {
    const NAME: &'static str = M::NAME;
    const ENCODINGS: &'static [Encoding] = &[Encoding::Protobuf];

    fn encode(&self, encoding: Encoding) -> Result<Bytes, CodecError> {
        self.0.encode(encoding)
    }

    fn decode(encoding: Encoding, body: &[u8]) -> Result<Self, CodecError> {
        M::decode(encoding, body).map(InProtobuf)
    }
}
