//! Named hosts with a master and agents, made by the constructors that the daemons use.
//!
//! Not here: what runs on the cluster and what befalls it.

use std::net::IpAddr;
use std::path::PathBuf;

use tepui_agent::{Agent, AgentError, AgentOptions};
use tepui_api::ApiOptions;
use tepui_containerizer::simulated::{self, SimulatedOptions};
use tepui_invariants::Planted;
use tepui_master::{MASTER_ID, Master, MasterError, MasterOptions};
use tepui_protocol::resources::parse_text;
use tepui_runtime::{
    Address, Node, NodeError, NodeOptions, Pid, SimOptions, Simulation, SpawnError, World,
};

use crate::observer::Observer;

/// The name of the master's host.
pub(crate) const MASTER_HOST: &str = "master";

const MASTER_PORT: u16 = 5050;
const AGENT_PORT: u16 = 5051;
const FRAMEWORK_PORT: u16 = 5052;

/// The addresses of hosts: 10.kind.x.y, so that each kind has room for 65,536.
const MASTERS: u8 = 0;
const AGENTS: u8 = 1;
const FRAMEWORKS: u8 = 2;

/// Why a part of the cluster did not start.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Its node did not.
    #[error("node {name}: {source}")]
    Node {
        /// The host's name.
        name: String,
        /// Why.
        source: NodeError,
    },
    /// A process of its was not spawned.
    #[error("host {name}: {source}")]
    Spawn {
        /// The host's name.
        name: String,
        /// Why.
        source: SpawnError,
    },
    /// The master's process was not.
    #[error("master: {0}")]
    Master(#[from] MasterError),
    /// The agent's was not.
    #[error("agent: {0}")]
    Agent(#[from] AgentError),
    /// The resources are no text that an agent takes.
    #[error("agent_resources: {0}")]
    Resources(String),
}

/// How a cluster is made.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The world's.
    pub world: SimOptions,
    /// How many agents there are at first.
    pub agents: usize,
    /// What each has, as `--resources` says it.
    pub agent_resources: String,
    /// The master's.
    pub master: MasterOptions,
    /// How containers behave.
    pub containers: SimulatedOptions,
    /// A bug that master, allocator, agents and executors are to have, in a test build.
    pub planted: Planted,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            world: SimOptions::default(),
            agents: 3,
            agent_resources: "cpus:4;mem:4096;disk:4096;ports:[31000-31099]".to_owned(),
            master: MasterOptions::default(),
            containers: SimulatedOptions::default(),
            planted: Planted::NONE,
        }
    }
}

/// The host of an agent.
#[derive(Debug)]
pub struct AgentHost {
    /// Its name, which its disk goes by.
    pub name: String,
    /// Where it is, up or down.
    pub address: Address,
    /// Its node and its agent, while it is up.
    pub up: Option<(Node, Agent)>,
    /// How often it has booted: its kernel tells by the boot's id.
    boots: u32,
}

/// A simulated world with a master, agents, and hosts for frameworks.
#[derive(Debug)]
pub struct Cluster {
    /// The world, which the caller runs.
    pub simulation: Simulation,
    options: ClusterOptions,
    master: Option<(Node, Master)>,
    agents: Vec<AgentHost>,
    frameworks: Vec<Node>,
    observer: Option<Observer>,
}

fn address(kind: u8, number: usize, port: u16) -> Address {
    let [.., high, low] = number.to_be_bytes();
    Address::new(IpAddr::from([10, kind, high, low]), port)
}

impl Cluster {
    /// A new world, with its master and agents started.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn new(options: ClusterOptions) -> Result<Cluster, ClusterError> {
        let mut cluster = Cluster {
            simulation: World::simulated(options.world.clone()),
            master: None,
            agents: Vec::new(),
            frameworks: Vec::new(),
            observer: None,
            options,
        };
        cluster.start_master()?;
        for _ in 0..cluster.options.agents {
            cluster.add_agent()?;
        }
        Ok(cluster)
    }

    fn node(&self, name: &str, address: Address) -> Result<Node, ClusterError> {
        let options = NodeOptions {
            name: name.to_owned(),
            ip: address.ip,
            port: address.port,
            ..NodeOptions::default()
        };
        Node::start(self.simulation.world(), options).map_err(|source| ClusterError::Node {
            name: name.to_owned(),
            source,
        })
    }

    /// Where the master is reached, whether it is up or not.
    #[must_use]
    pub fn master_pid(&self) -> Pid {
        Pid::new(MASTER_ID, address(MASTERS, 1, MASTER_PORT))
    }

    /// The master and its node, while it is up.
    #[must_use]
    pub fn master(&self) -> Option<&(Node, Master)> {
        self.master.as_ref()
    }

    /// Starts the master, if it is down.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn start_master(&mut self) -> Result<(), ClusterError> {
        if self.master.is_none() {
            let node = self.node(MASTER_HOST, self.master_pid().address())?;
            let mut options = self.options.master.clone();
            options.planted = self.options.planted;
            options.allocator.decisions.planted = self.options.planted;
            let master = tepui_master::spawn(&node, options)?;
            tepui_api::master_routes(&node, &master, ApiOptions::default());
            self.master = Some((node, master));
        }
        Ok(())
    }

    /// Has an observer told of every crash.
    pub(crate) fn watch(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    /// The master's host crashes. False where it was down.
    pub fn crash_master(&mut self) -> bool {
        let Some((node, _)) = self.master.take() else {
            return false;
        };
        node.crash();
        if let Some(observer) = &self.observer {
            observer.master_crashed(self.simulation.now());
        }
        true
    }

    /// The agents' hosts, by number from 0.
    #[must_use]
    pub fn agents(&self) -> &[AgentHost] {
        &self.agents
    }

    /// A new host with an agent; its number.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn add_agent(&mut self) -> Result<usize, ClusterError> {
        let number = self.agents.len();
        self.agents.push(AgentHost {
            name: format!("agent-{}", number + 1),
            address: address(AGENTS, number + 1, AGENT_PORT),
            up: None,
            boots: 1,
        });
        self.start_agent(number)?;
        Ok(number)
    }

    /// Starts the agent of a host, if it is down, on the disk that it left.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn start_agent(&mut self, number: usize) -> Result<(), ClusterError> {
        let Some(host) = self.agents.get(number).filter(|host| host.up.is_none()) else {
            return Ok(());
        };
        let name = host.name.clone();
        let boot_id = format!("{name}-boot-{}", host.boots);
        let node = self.node(&name, host.address)?;
        let mut containers = self.options.containers.clone();
        containers.planted = self.options.planted;
        let containerizer =
            simulated::spawn(&node, containers).map_err(|source| ClusterError::Spawn {
                name: name.clone(),
                source,
            })?;
        let work_dir = PathBuf::from("/var/lib/tepui");
        let mut options = AgentOptions::new(self.master_pid(), work_dir, containerizer);
        options.hostname = name;
        options.boot_id = Some(boot_id);
        options.planted = self.options.planted;
        options.resources = parse_text(&self.options.agent_resources, "*")
            .map_err(|problem| ClusterError::Resources(problem.to_string()))?
            .to_proto();
        let agent = match tepui_agent::spawn(&node, options) {
            Ok(agent) => agent,
            Err(problem) => {
                node.crash();
                return Err(problem.into());
            }
        };
        tepui_api::agent_routes(&node, &agent, ApiOptions::default());
        if let Some(host) = self.agents.get_mut(number) {
            host.up = Some((node, agent));
        }
        Ok(())
    }

    /// The host of an agent crashes: its containers end, and what was not synced is lost. It boots
    /// when the agent is started again. False where it was down.
    pub fn crash_agent(&mut self, number: usize) -> bool {
        if let Some(host) = self.agents.get_mut(number) {
            host.boots += u32::from(host.up.is_some());
        }
        self.end_agent(number, Node::crash)
    }

    /// The OS process of an agent is killed, and so are its containers, as by a service manager that
    /// leaves nothing of a service; its host goes on, with all that was written. False where it was
    /// down.
    pub fn kill_agent(&mut self, number: usize) -> bool {
        self.end_agent(number, Node::kill)
    }

    fn end_agent(&mut self, number: usize, end: fn(&Node)) -> bool {
        if let Some(host) = self.agents.get_mut(number)
            && let Some((node, agent)) = host.up.take()
        {
            end(&node);
            if let Some(observer) = &self.observer {
                let own = agent.snapshot.load_full();
                observer.agent_crashed(&agent.pid, own.agent_id(), self.simulation.now());
            }
            return true;
        }
        false
    }

    /// The disk of an agent's host is so full, from 0 to 1; at 1 nothing can be written.
    pub fn fill_disk(&mut self, number: usize, usage: f64) {
        let Some(host) = self.agents.get(number) else {
            return;
        };
        self.simulation.set_disk_usage(&host.name, usage);
        self.tell_writes(number, usage < 1.0);
    }

    /// The disk of an agent's host breaks off in the middle of a write, after so many writing calls
    /// that succeed, until the host crashes.
    pub fn break_disk(&mut self, number: usize, calls: u64) {
        let Some(host) = self.agents.get(number) else {
            return;
        };
        self.simulation.break_disk(&host.name, calls);
        self.tell_writes(number, false);
    }

    /// Whether what an agent has to write is written; with a new disk, it catches up.
    pub(crate) fn tell_writes(&self, number: usize, writes: bool) {
        if let (Some(host), Some(observer)) = (self.agents.get(number), &self.observer) {
            let pid = Pid::new(tepui_agent::AGENT_ID, host.address);
            observer.disk_is_full(pid, !writes, self.simulation.now());
        }
    }

    /// A host for a framework, of its own.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn framework_host(&mut self) -> Result<Node, ClusterError> {
        let number = self.frameworks.len() + 1;
        let name = format!("framework-{number}");
        let node = self.node(&name, address(FRAMEWORKS, number, FRAMEWORK_PORT))?;
        self.frameworks.push(node.clone());
        Ok(node)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn agents_register_crash_and_come_back() {
        let mut cluster = Cluster::new(ClusterOptions::default()).unwrap();
        cluster.simulation.run_for(Duration::from_secs(5));
        let (_, master) = cluster.master().unwrap();
        let master = master.clone();
        assert_eq!(master.snapshot().agents.size(), 3);
        cluster.crash_agent(1);
        // Past the silence after which a connection is given up, and the pings.
        cluster.simulation.run_for(Duration::from_secs(120));
        assert_eq!(master.snapshot().agents.size(), 2);
        cluster.start_agent(1).unwrap();
        cluster.simulation.run_for(Duration::from_secs(5));
        assert_eq!(master.snapshot().agents.size(), 3);
    }

    /// What an agent finds that is started again: the boot's id that its predecessor wrote down.
    #[test]
    fn a_host_boots_after_a_crash_and_not_after_a_kill_of_its_agent() {
        let mut cluster = Cluster::new(ClusterOptions::default()).unwrap();
        let path = "/var/lib/tepui/meta/boot_id";
        let boots = |cluster: &mut Cluster| {
            cluster.simulation.run_for(Duration::from_secs(5));
            let (node, _) = cluster.agents()[0].up.as_ref().unwrap();
            let written = node.disk().read(std::path::Path::new(path)).unwrap();
            String::from_utf8_lossy(&written).into_owned()
        };
        let first = boots(&mut cluster);
        assert!(cluster.kill_agent(0) && !cluster.kill_agent(0) && !cluster.crash_agent(0));
        cluster.start_agent(0).unwrap();
        assert_eq!(boots(&mut cluster), first);
        assert!(cluster.crash_agent(0) && !cluster.crash_agent(0));
        cluster.start_agent(0).unwrap();
        let second = boots(&mut cluster);
        assert_ne!(second, first);
        assert!(second.contains("agent-1-boot-2"), "{second}");
    }
}
