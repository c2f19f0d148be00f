//! A simulated node with a containerizer, and an agent that plays its part.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tepui_containerizer::simulated::{self, SimulatedOptions, Trouble};
use tepui_protocol::mesos::v1::environment::Variable;
use tepui_protocol::mesos::v1::executor::{Call, Event, call, event};
use tepui_protocol::mesos::v1::value::Scalar;
use tepui_protocol::mesos::v1::{
    CommandInfo, ContainerId, Environment, FrameworkInfo, HealthCheck, Resource, TaskId, TaskInfo,
};
use tepui_protocol::resources::parse_text;
use tepui_protocol::tepui::containerizer::{
    Inspect, Inspected, Launch, Launched, Terminated, Update, Updated, inspected,
};
use tepui_runtime::{
    Context, Declaration, Handle, Id, Message, Node, NodeOptions, Pid, Process, SimOptions,
    Simulation, World,
};

/// An agent that gives its one task to every executor and acknowledges what it is told.
struct Agent {
    script: &'static str,
    log: Arc<Mutex<Vec<String>>>,
    /// Seconds after which the task is killed.
    kill: Option<u64>,
    health_check: Option<HealthCheck>,
}

impl Agent {
    fn note(&self, line: String) {
        self.log.lock().unwrap().push(line);
    }
}

impl Process for Agent {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Call>().message::<Terminated>();
    }
}

fn amounts(text: &str) -> Vec<Resource> {
    parse_text(text, "*").unwrap().to_proto()
}

fn event(kind: event::Type) -> Event {
    Event {
        r#type: Some(kind as i32),
        ..Event::default()
    }
}

impl Handle<Call> for Agent {
    fn handle(&mut self, call: Call, ctx: &mut Context<'_, Self>) {
        if call.r#type() == call::Type::Subscribe {
            let subscribed = event::Subscribed {
                framework_info: FrameworkInfo::default(),
                ..event::Subscribed::default()
            };
            let subscribed = Some(subscribed);
            ctx.reply(Event {
                subscribed,
                ..event(event::Type::Subscribed)
            });
            let command = CommandInfo {
                value: Some(self.script.into()),
                ..CommandInfo::default()
            };
            let task_id = TaskId { value: "t".into() };
            let task = TaskInfo {
                task_id,
                command: Some(command),
                health_check: self.health_check.clone(),
                ..TaskInfo::default()
            };
            let launch = Some(event::Launch { task });
            ctx.reply(Event {
                launch,
                ..event(event::Type::Launch)
            });
            if let Some(seconds) = self.kill {
                let executor = ctx.sender().clone();
                ctx.delay(Duration::from_secs(seconds), move |_, ctx| {
                    let task_id = TaskId { value: "t".into() };
                    let kill = Some(event::Kill {
                        task_id,
                        kill_policy: None,
                    });
                    ctx.send(
                        &executor,
                        Event {
                            kill,
                            ..event(event::Type::Kill)
                        },
                    );
                });
            }
        } else if let Some(update) = call.update {
            let status = update.status;
            let at = ctx.now().as_nanos() / 1_000_000_000 % 1000;
            let healthy = status.healthy.map(|healthy| format!(" {healthy}"));
            self.note(format!(
                "{at} {} {}{}",
                status.state().as_str_name(),
                status.message(),
                healthy.unwrap_or_default()
            ));
            let uuid = status.uuid.unwrap_or_default();
            let acknowledged = Some(event::Acknowledged {
                task_id: status.task_id,
                uuid,
            });
            ctx.reply(Event {
                acknowledged,
                ..event(event::Type::Acknowledged)
            });
        }
    }
}

impl Handle<Terminated> for Agent {
    fn handle(&mut self, terminated: Terminated, ctx: &mut Context<'_, Self>) {
        let id = &terminated.container_id;
        if id.parent.is_some() {
            let at = ctx.now().as_nanos() / 1_000_000_000 % 1000;
            let reason = terminated.reason.map(|_| terminated.reason().as_str_name());
            let status = terminated.status();
            self.note(format!("{at} {id} {status} {}", reason.unwrap_or("-")));
            return;
        }
        self.note(format!(
            "terminated {:?} {:?}",
            terminated.status, terminated.error
        ));
    }
}

pub(crate) struct Cluster {
    simulation: Simulation,
    pub(crate) node: Node,
    pub(crate) containerizer: Pid,
    pub(crate) agent: Pid,
    log: Arc<Mutex<Vec<String>>>,
}

impl Cluster {
    pub(crate) fn start(script: &'static str, kill: Option<u64>) -> Cluster {
        Cluster::troubled(script, kill, Trouble::default())
    }

    pub(crate) fn troubled(script: &'static str, kill: Option<u64>, trouble: Trouble) -> Cluster {
        Cluster::of(script, kill, trouble, None)
    }

    /// Its task has this health check.
    pub(crate) fn checked(script: &'static str, health_check: HealthCheck) -> Cluster {
        Cluster::of(script, None, Trouble::default(), Some(health_check))
    }

    fn of(
        script: &'static str,
        kill: Option<u64>,
        trouble: Trouble,
        health_check: Option<HealthCheck>,
    ) -> Cluster {
        let simulation = World::simulated(SimOptions::default());
        let node = Node::start(simulation.world(), NodeOptions::default()).unwrap();
        let options = SimulatedOptions {
            trouble,
            ..SimulatedOptions::default()
        };
        let containerizer = simulated::spawn(&node, options).unwrap();
        let log = Arc::default();
        let agent = Agent {
            script,
            kill,
            health_check,
            log: Arc::clone(&log),
        };
        let agent = node
            .spawn(Id::chosen("slave(1)"), agent)
            .unwrap()
            .pid()
            .clone();
        Cluster {
            simulation,
            node,
            containerizer,
            agent,
            log,
        }
    }

    pub(crate) fn launch(&mut self, builtin: bool) -> Launched {
        let variable = |(name, value): (&str, String)| Variable {
            name: name.to_owned(),
            value: Some(value),
            ..Variable::default()
        };
        let variables = [
            ("MESOS_FRAMEWORK_ID", "f".to_owned()),
            ("MESOS_EXECUTOR_ID", "e".to_owned()),
            ("MESOS_SLAVE_PID", self.agent.to_string()),
            ("MESOS_AGENT_ENDPOINT", self.agent.address().to_string()),
        ];
        let environment = Environment {
            variables: variables.map(variable).to_vec(),
        };
        let launch = Launch {
            container_id: ContainerId::top("c"),
            command: CommandInfo {
                environment: Some(environment),
                value: (!builtin).then(|| "sleep 3; exit 2".to_owned()),
                ..CommandInfo::default()
            },
            directory: "/sandbox".to_owned(),
            resources: amounts("cpus:0.5;mem:64"),
            builtin_executor: Some(builtin),
            observer: Some(self.agent.to_string()),
            ..Launch::default()
        };
        let deadline = Duration::from_secs(60);
        let launched = self
            .node
            .ask::<Launch, Launched>(&self.containerizer, launch, deadline);
        self.simulation.block_on(launched).unwrap()
    }

    /// Launches a container that is nested in another.
    pub(crate) fn nest(&mut self, id: &str, script: &str) -> Launched {
        let launch = Launch {
            container_id: id.parse().unwrap(),
            command: CommandInfo {
                value: Some(script.to_owned()),
                ..CommandInfo::default()
            },
            directory: "/sandbox".to_owned(),
            observer: Some(self.agent.to_string()),
            ..Launch::default()
        };
        let deadline = Duration::from_secs(60);
        let launched = self
            .node
            .ask::<Launch, Launched>(&self.containerizer, launch, deadline);
        self.simulation.block_on(launched).unwrap()
    }

    pub(crate) fn send<M: Message>(&mut self, message: M) {
        self.node.send(&self.agent, &self.containerizer, message);
    }

    pub(crate) fn run_for(&mut self, seconds: u64) {
        self.simulation.run_for(Duration::from_secs(seconds));
    }

    /// Says what the container may use from now on.
    pub(crate) fn update(&mut self, resources: &str, limits: &[(&str, f64)]) {
        let limit = |(name, value): &(&str, f64)| ((*name).to_owned(), Scalar { value: *value });
        let update = Update {
            container_id: ContainerId::top("c"),
            resources: amounts(resources),
            limits: limits.iter().map(limit).collect(),
        };
        let deadline = Duration::from_secs(60);
        let updated = self
            .node
            .ask::<Update, Updated>(&self.containerizer, update, deadline);
        assert_eq!(self.simulation.block_on(updated).unwrap().error, None);
    }

    /// What is known of each container.
    pub(crate) fn inspect(&mut self) -> Vec<inspected::Container> {
        let deadline = Duration::from_secs(60);
        let all = Inspect::default();
        let inspected = self
            .node
            .ask::<Inspect, Inspected>(&self.containerizer, all, deadline);
        self.simulation.block_on(inspected).unwrap().containers
    }

    pub(crate) fn log(&mut self) -> Vec<String> {
        self.simulation.run_for(Duration::from_secs(120));
        self.log.lock().unwrap().clone()
    }
}

/// The seconds of each line, counted from the first line's.
pub(crate) fn relative(lines: Vec<String>) -> Vec<String> {
    let seconds = |line: &String| line.split(' ').next()?.parse::<u64>().ok();
    let first = lines.first().and_then(seconds).unwrap_or_default();
    let shift = |line: &String| match seconds(line) {
        Some(at) => format!(
            "{} {}",
            at - first,
            line.split_once(' ').unwrap_or_default().1
        ),
        None => line.clone(),
    };
    lines.iter().map(shift).collect()
}
