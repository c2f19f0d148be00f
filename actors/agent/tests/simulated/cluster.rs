//! A master that only keeps the books, and an agent beside the containerizer that runs executors
//! as actors.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tepui_agent::{Agent, AgentOptions, spawn};
use tepui_containerizer::simulated::{self, SimulatedOptions};
use tepui_protocol::mesos::internal::{
    AgentRegistered, AgentReregistered, ExecutorToFramework, ExitedExecutor, PongAgent,
    ReconcileTasks, RegisterAgent, ReregisterAgent, RunTask, RunTaskGroup,
    StatusUpdateAcknowledgement, StatusUpdateMessage, UpdateAgent,
};
use tepui_protocol::mesos::v1::value::{self, Scalar};
use tepui_protocol::mesos::v1::{
    AgentId, CommandInfo, FrameworkId, FrameworkInfo, Resource, TaskGroupInfo, TaskId, TaskInfo,
    TaskState, TaskStatus,
};
use tepui_runtime::{
    Context, Declaration, Handle, Id, Node, NodeOptions, Pid, Process, SimOptions, Simulation,
    World,
};

/// What the master knows, for tests to look at.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) agent: Option<Pid>,
    pub(crate) agents: u32,
    /// What came, in order.
    pub(crate) log: Vec<String>,
    /// Last forwarded state of each task that was launched.
    pub(crate) tasks: BTreeMap<String, TaskState>,
    /// Updates are not acknowledged.
    pub(crate) deaf: bool,
    /// What would acknowledge the updates that were not.
    pub(crate) withheld: Vec<StatusUpdateAcknowledgement>,
    /// Given to the agent as soon as it is registered.
    pub(crate) launch: Option<(FrameworkInfo, TaskInfo)>,
}

pub(crate) type Shared = Arc<Mutex<Books>>;

struct Master {
    books: Shared,
}

impl Process for Master {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration
            .message::<RegisterAgent>()
            .message::<ReregisterAgent>()
            .message::<UpdateAgent>()
            .message::<StatusUpdateMessage>()
            .message::<ExecutorToFramework>()
            .message::<ExitedExecutor>()
            .message::<PongAgent>();
    }
}

impl Handle<RegisterAgent> for Master {
    fn handle(&mut self, _message: RegisterAgent, ctx: &mut Context<'_, Self>) {
        let mut books = self.books.lock().unwrap();
        books.log.push("register".to_owned());
        // An agent that comes as a new one has lost what it ran.
        for state in books.tasks.values_mut() {
            if !is_terminal(*state) {
                *state = TaskState::TaskLost;
            }
        }
        books.agent = Some(ctx.sender().clone());
        let agent_id = AgentId {
            value: format!("S{}", books.agents),
        };
        books.agents += 1;
        ctx.reply(AgentRegistered {
            agent_id: agent_id.clone(),
            ..AgentRegistered::default()
        });
        if let Some((framework, mut task)) = books.launch.take() {
            task.agent_id = agent_id;
            books
                .tasks
                .insert(task.task_id.value.clone(), TaskState::TaskStaging);
            let pid = Some(String::new());
            ctx.reply(RunTask {
                framework,
                task,
                pid,
                ..RunTask::default()
            });
        }
    }
}

impl Handle<ReregisterAgent> for Master {
    fn handle(&mut self, message: ReregisterAgent, ctx: &mut Context<'_, Self>) {
        let mut books = self.books.lock().unwrap();
        let id = message.agent.id.expect("its id");
        books.log.push(format!(
            "reregister {} with {} tasks",
            id.value,
            message.tasks.len()
        ));
        books.agent = Some(ctx.sender().clone());
        let unlisted = books
            .tasks
            .iter()
            .filter(|(_, state)| !is_terminal(**state))
            .filter(|(task, _)| {
                !message
                    .tasks
                    .iter()
                    .any(|known| known.task_id.value == **task)
            })
            .map(|(task, state)| TaskStatus {
                task_id: TaskId {
                    value: task.clone(),
                },
                state: *state as i32,
                ..TaskStatus::default()
            })
            .collect();
        let reconciliations = vec![ReconcileTasks {
            framework_id: framework_id(),
            statuses: unlisted,
            framework: Some(framework(true)),
        }];
        ctx.reply(AgentReregistered {
            agent_id: id,
            reconciliations,
            connection: None,
        });
    }
}

impl Handle<UpdateAgent> for Master {
    fn handle(&mut self, _message: UpdateAgent, _ctx: &mut Context<'_, Self>) {}
}

impl Handle<PongAgent> for Master {
    fn handle(&mut self, _message: PongAgent, _ctx: &mut Context<'_, Self>) {}
}

impl Handle<ExecutorToFramework> for Master {
    fn handle(&mut self, message: ExecutorToFramework, _ctx: &mut Context<'_, Self>) {
        let data = String::from_utf8_lossy(&message.data).into_owned();
        let mut books = self.books.lock().unwrap();
        books.log.push(format!("message {data}"));
    }
}

impl Handle<ExitedExecutor> for Master {
    fn handle(&mut self, message: ExitedExecutor, _ctx: &mut Context<'_, Self>) {
        let ExitedExecutor {
            executor_id,
            status,
            ..
        } = message;
        let mut books = self.books.lock().unwrap();
        books
            .log
            .push(format!("{} exited {status}", executor_id.value));
    }
}

impl Handle<StatusUpdateMessage> for Master {
    fn handle(&mut self, message: StatusUpdateMessage, ctx: &mut Context<'_, Self>) {
        let mut books = self.books.lock().unwrap();
        let status = message.update.status;
        let task = status.task_id.value.clone();
        books
            .log
            .push(format!("{task} {}", status.state().as_str_name()));
        books.tasks.insert(task, status.state());
        let acknowledgement = StatusUpdateAcknowledgement {
            agent_id: status.agent_id.expect("the agent's id"),
            framework_id: message.update.framework_id,
            task_id: status.task_id,
            uuid: status.uuid.expect("a uuid"),
        };
        if books.deaf {
            books.withheld.push(acknowledgement);
        } else {
            ctx.reply(acknowledgement);
        }
    }
}

pub(crate) fn is_terminal(state: TaskState) -> bool {
    tepui_agent::updates::is_terminal(state)
}

pub(crate) fn framework_id() -> FrameworkId {
    FrameworkId {
        value: "F".to_owned(),
    }
}

pub(crate) fn framework(checkpoint: bool) -> FrameworkInfo {
    FrameworkInfo {
        user: "root".to_owned(),
        name: "test".to_owned(),
        id: Some(framework_id()),
        checkpoint: Some(checkpoint),
        ..FrameworkInfo::default()
    }
}

pub(crate) fn task(command: &str) -> TaskInfo {
    let scalar = |name: &str, amount: f64| Resource {
        name: name.to_owned(),
        r#type: value::Type::Scalar as i32,
        scalar: Some(Scalar { value: amount }),
        ..Resource::default()
    };
    TaskInfo {
        name: "t".to_owned(),
        task_id: TaskId {
            value: "t".to_owned(),
        },
        resources: vec![scalar("cpus", 1.0), scalar("mem", 64.0)],
        command: Some(CommandInfo {
            value: Some(command.to_owned()),
            ..CommandInfo::default()
        }),
        ..TaskInfo::default()
    }
}

/// A master and the place for an agent.
pub(crate) struct Cluster {
    pub(crate) simulation: Simulation,
    pub(crate) master: Pid,
    pub(crate) books: Shared,
    master_node: Node,
}

impl Cluster {
    pub(crate) fn new() -> Cluster {
        let simulation = World::simulated(SimOptions {
            seed: 7,
            ..SimOptions::default()
        });
        let node = start(&simulation, "master", [10, 0, 0, 1], 5050);
        let books = Shared::default();
        let process = Master {
            books: Arc::clone(&books),
        };
        let master = node
            .spawn(Id::chosen("master"), process)
            .unwrap()
            .pid()
            .clone();
        Cluster {
            simulation,
            master,
            books,
            master_node: node,
        }
    }

    pub(crate) fn agent(&self) -> (Node, Agent) {
        self.agent_with(|_| {})
    }

    pub(crate) fn agent_with(&self, change: impl FnOnce(&mut AgentOptions)) -> (Node, Agent) {
        let node = start(&self.simulation, "agent", [10, 0, 0, 2], 5051);
        let mut options = self.options(&node);
        change(&mut options);
        let agent = spawn(&node, options).unwrap();
        (node, agent)
    }

    pub(crate) fn options(&self, node: &Node) -> AgentOptions {
        let containerizer = simulated::spawn(node, SimulatedOptions::default()).unwrap();
        AgentOptions::new(self.master.clone(), PathBuf::from("/w"), containerizer)
    }

    pub(crate) fn launch(&self, framework: FrameworkInfo, command: &str) {
        self.books.lock().unwrap().launch = Some((framework, task(command)));
    }

    /// Has the master give the agent one more task.
    pub(crate) fn give(&self, framework: FrameworkInfo, mut task: TaskInfo) {
        let mut books = self.books.lock().unwrap();
        let agent = books.agent.clone().expect("an agent");
        let id = task.task_id.value.clone();
        books.tasks.insert(id, TaskState::TaskStaging);
        task.agent_id = AgentId {
            value: format!("S{}", books.agents - 1),
        };
        let message = RunTask {
            framework,
            task,
            pid: Some(String::new()),
            ..RunTask::default()
        };
        self.master_node.send(&self.master, &agent, message);
    }

    /// Has the master give the agent tasks that belong together, for one executor of their own.
    pub(crate) fn give_group(&self, framework: FrameworkInfo, tasks: Vec<TaskInfo>) {
        let mut books = self.books.lock().unwrap();
        let agent = books.agent.clone().expect("an agent");
        let agent_id = format!("S{}", books.agents - 1);
        let executor = tasks[0].executor.clone().expect("an executor");
        let tasks = tasks.into_iter().map(|task| TaskInfo {
            agent_id: AgentId {
                value: agent_id.clone(),
            },
            ..task
        });
        let tasks: Vec<TaskInfo> = tasks.collect();
        for task in &tasks {
            let id = task.task_id.value.clone();
            books.tasks.insert(id, TaskState::TaskStaging);
        }
        let message = RunTaskGroup {
            framework,
            executor,
            task_group: TaskGroupInfo { tasks },
            ..RunTaskGroup::default()
        };
        self.master_node.send(&self.master, &agent, message);
    }

    pub(crate) fn run_until_logged(&mut self, line: &str) {
        let books = Arc::clone(&self.books);
        let wanted = |books: &Shared| !books.lock().unwrap().log.iter().any(|l| l == line);
        let found = self.simulation.run_while(|| wanted(&books));
        assert!(found, "no '{line}' in {:?}", self.log());
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.books.lock().unwrap().log.clone()
    }
}

pub(crate) fn start(simulation: &Simulation, name: &str, ip: [u8; 4], port: u16) -> Node {
    let options = NodeOptions {
        name: name.to_owned(),
        ip: IpAddr::from(ip),
        port,
        ..Default::default()
    };
    Node::start(simulation.world(), options).unwrap()
}
