//! A simulated cluster of agents and frameworks that are drawn from a seed, and what is known of them
//! because the test itself has made them so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tepui_agent::{Agent, AgentOptions};
use tepui_api::ApiOptions;
use tepui_containerizer::simulated::{self, SimulatedOptions};
use tepui_framework::{
    Constraint, Driver, Framework, Options, Selector, offer_constraints, spawn_with,
};
use tepui_master::{Master, MasterOptions};
use tepui_protocol::attributes;
use tepui_protocol::mesos::v1::domain_info::{
    FaultDomain,
    fault_domain::{RegionInfo, ZoneInfo},
};
use tepui_protocol::mesos::v1::framework_info::{Capability, capability};
use tepui_protocol::mesos::v1::offer_filters::{MinAllocatableResources, ResourceQuantities};
use tepui_protocol::mesos::v1::resource::RevocableInfo;
use tepui_protocol::mesos::v1::scheduler::{self, OfferConstraints, call};
use tepui_protocol::mesos::v1::{
    AgentId, DomainInfo, FrameworkInfo, OfferFilters, master, value::Scalar,
};
use tepui_protocol::resources::parse_text;
use tepui_protocol::tepui::operator::{Operate, Operated};
use tepui_runtime::{
    AskError, Body, Node, NodeOptions, Pid, Random, Request, Response, SimOptions, Simulation,
    World,
};

use crate::taker::{Greed, Taker};

/// What agents have. Of the last all is revocable.
const AGENTS: [&str; 6] = [
    "cpus:4;mem:4096",
    "cpus:2;mem:1024;gpus:1",
    "cpus:8;mem:512",
    "cpus:0.005;mem:16",
    "cpus(b):2;mem(b):512",
    "cpus:3;mem:256",
];
const REVOCABLE: usize = 5;
pub const ROLES: [&str; 3] = ["a", "b", "team/x"];
/// The role that has reservations.
pub const RESERVED: &str = ROLES[1];
/// Of frameworks with constraints agents have to be here.
pub const RACK: &str = "r1";
/// Where the master is not.
pub const ABROAD: &str = "abroad";

/// An agent and how it was started.
pub struct Host {
    node: Node,
    _agent: Agent,
    pub resources: &'static str,
    pub is_revocable: bool,
    pub rack: String,
    pub is_abroad: bool,
}

/// A framework and what it has said of itself.
pub struct Known {
    node: Node,
    framework: Framework<Taker>,
    greed: Greed,
    pub info: FrameworkInfo,
    pub suppressed: BTreeSet<String>,
    pub constraints: Option<OfferConstraints>,
    pub is_away: bool,
}

impl Known {
    pub fn can(&self, kind: capability::Type) -> bool {
        let mut all = self.info.capabilities.iter();
        all.any(|capability| capability.r#type() == kind)
    }

    pub fn learn(&mut self, kind: capability::Type) {
        self.info.capabilities.extend(capabilities(&[kind]));
    }
}

pub struct Cluster {
    simulation: Simulation,
    random: Random,
    node: Node,
    pub master: Master,
    agents: Vec<Host>,
    pub frameworks: Vec<Known>,
    /// Ids of agents that an operator has deactivated.
    pub deactivated: BTreeSet<String>,
}

impl Cluster {
    /// A master and so many agents of the first kind.
    pub fn plain(agents: usize) -> Cluster {
        let mut cluster = Cluster::new(0);
        for _ in 0..agents {
            cluster.add_agent(0, RACK, false);
        }
        cluster.run_for(10);
        cluster
    }

    /// Agents and frameworks from a seed, after half a minute.
    pub fn random(seed: u64) -> Cluster {
        let mut cluster = Cluster::new(seed);
        let agents = 2 + cluster.random.below(4);
        for number in 0..agents {
            let rack = format!("r{}", cluster.random.below(2));
            // The first is neither too small nor of no use to many.
            let kinds = if number == 0 { 3 } else { AGENTS.len() };
            let kind = usize::try_from(cluster.random.below(kinds as u64)).unwrap();
            let is_abroad = number > 0 && cluster.one_in(4);
            cluster.add_agent(kind, &rack, is_abroad);
        }
        cluster.run_for(5);
        let early = cluster.one_in(2);
        if early && cluster.one_in(4) {
            cluster.deactivate_one();
        }
        // One alone is not kept from agents by others.
        for number in 0..1 + cluster.random.below(4) {
            let random = &cluster.random;
            let all = [Greed::Keeps, Greed::Refuses, Greed::Half, Greed::All];
            let greed = all[usize::try_from(random.below(4)).unwrap()];
            cluster.draw_framework(&format!("f{number}"), greed);
            cluster.run_for(2);
        }
        cluster.run_for(10);
        if !early && cluster.one_in(4) {
            cluster.deactivate_one();
        }
        if cluster.one_in(3) {
            let last = cluster.frameworks.last_mut().unwrap();
            last.node.crash();
            last.is_away = true;
        }
        // Past the silence after which a connection is given up.
        cluster.run_for(120);
        cluster
    }

    fn new(seed: u64) -> Cluster {
        let simulation = World::simulated(SimOptions {
            seed,
            ..SimOptions::default()
        });
        let node = node(&simulation, "master", 1, 5050);
        let options = MasterOptions {
            domain: Some(domain("home")),
            ..MasterOptions::default()
        };
        let master = tepui_master::spawn(&node, options).unwrap();
        tepui_api::master_routes(&node, &master, ApiOptions::default());
        Cluster {
            simulation,
            random: Random::from_number(seed),
            node,
            master,
            agents: Vec::new(),
            frameworks: Vec::new(),
            deactivated: BTreeSet::new(),
        }
    }

    fn deactivate_one(&mut self) {
        let agents: Vec<String> = self.agent_ids().into_iter().collect();
        let agent = self.pick(&agents).clone();
        self.operate(&agent, master::call::Type::DeactivateAgent);
        self.deactivated.insert(agent);
    }

    fn one_in(&self, many: u64) -> bool {
        self.random.below(many) == 0
    }

    pub fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.random.below(of.len() as u64)).unwrap()]
    }

    fn add_agent(&mut self, kind: usize, rack: &str, is_abroad: bool) {
        self.add_agent_with(kind, rack, is_abroad, SimulatedOptions::default());
    }

    /// An agent of the first kind that can launch no container.
    pub fn add_broken_agent(&mut self) {
        let mut options = SimulatedOptions::default();
        options.trouble.fails = 1;
        self.add_agent_with(0, RACK, false, options);
    }

    fn add_agent_with(
        &mut self,
        kind: usize,
        rack: &str,
        is_abroad: bool,
        containers: SimulatedOptions,
    ) {
        let number = u8::try_from(self.agents.len()).unwrap();
        let name = format!("agent-{number}");
        let node = node(&self.simulation, &name, 10 + number, 5051);
        let containerizer = simulated::spawn(&node, containers).unwrap();
        let work_dir = "/var/lib/tepui".into();
        let mut options = AgentOptions::new(self.master.pid().clone(), work_dir, containerizer);
        options.hostname = name;
        options.resources = parse_text(AGENTS[kind], "*").unwrap().to_proto();
        let is_revocable = kind == REVOCABLE;
        for resource in &mut options.resources {
            resource.revocable = is_revocable.then(RevocableInfo::default);
        }
        options.attributes = attributes::parse(&format!("rack:{rack}")).unwrap();
        options.domain = is_abroad.then(|| domain(ABROAD));
        let agent = tepui_agent::spawn(&node, options).unwrap();
        self.agents.push(Host {
            node,
            _agent: agent,
            resources: AGENTS[kind],
            is_revocable,
            rack: rack.to_owned(),
            is_abroad,
        });
    }

    /// The agent of this id.
    pub fn host(&self, id: &str) -> &Host {
        let snapshot = self.master.snapshot();
        let name = &snapshot.agent(id).unwrap().info.hostname;
        let number: usize = name.strip_prefix("agent-").unwrap().parse().unwrap();
        &self.agents[number]
    }

    fn draw_framework(&mut self, name: &str, greed: Greed) {
        let mut roles: BTreeSet<String> = BTreeSet::new();
        roles.insert((*self.pick(&ROLES)).to_owned());
        if self.one_in(2) {
            roles.insert((*self.pick(&ROLES)).to_owned());
        }
        let mut kinds = vec![capability::Type::MultiRole];
        if self.one_in(3) {
            kinds.push(capability::Type::GpuResources);
        }
        let mut offer_filters = BTreeMap::new();
        if self.one_in(3) {
            let role = roles.first().unwrap().clone();
            offer_filters.insert(role, at_least(3.0));
        }
        let suppressed = match self.one_in(4) {
            true => roles.clone(),
            false => BTreeSet::new(),
        };
        let constraints = self.one_in(3).then(|| {
            let rack = Constraint::Is(Selector::Attribute("rack".to_owned()), RACK.to_owned());
            let mut all = OfferConstraints::default();
            for role in &roles {
                let of_role = offer_constraints(role, [&rack]);
                all.role_constraints.extend(of_role.role_constraints);
            }
            all
        });
        let info = FrameworkInfo {
            roles: roles.into_iter().collect(),
            capabilities: capabilities(&kinds),
            offer_filters,
            ..info(name)
        };
        self.start(greed, info, suppressed, constraints);
    }

    /// A framework of one role, without any wishes; its number.
    pub fn add_framework(&mut self, name: &str, greed: Greed) -> usize {
        let info = FrameworkInfo {
            roles: vec![ROLES[0].to_owned()],
            capabilities: capabilities(&[capability::Type::MultiRole]),
            ..info(name)
        };
        self.start(greed, info, BTreeSet::new(), None);
        self.frameworks.len() - 1
    }

    fn start(
        &mut self,
        greed: Greed,
        info: FrameworkInfo,
        suppressed: BTreeSet<String>,
        constraints: Option<OfferConstraints>,
    ) {
        let number = u8::try_from(self.frameworks.len()).unwrap();
        let node = node(&self.simulation, &format!("f-{number}"), 100 + number, 5052);
        let framework = self.schedule(&node, greed, &info, &suppressed, constraints.clone());
        self.frameworks.push(Known {
            node,
            framework,
            greed,
            info,
            suppressed,
            constraints,
            is_away: false,
        });
    }

    fn schedule(
        &self,
        node: &Node,
        greed: Greed,
        info: &FrameworkInfo,
        suppressed: &BTreeSet<String>,
        offer_constraints: Option<OfferConstraints>,
    ) -> Framework<Taker> {
        let options = Options {
            suppressed_roles: suppressed.iter().cloned().collect(),
            offer_constraints,
            ..Options::default()
        };
        let taker = Taker::new(greed, info.id.clone());
        let master = self.master.pid().clone();
        spawn_with(node, master, info.clone(), taker, options).unwrap()
    }

    pub fn run_for(&mut self, seconds: u64) {
        self.simulation.run_for(Duration::from_secs(seconds));
    }

    pub fn frameworks(&self) -> usize {
        self.frameworks.len()
    }

    pub fn agent_ids(&self) -> BTreeSet<String> {
        self.master.snapshot().agents.keys().cloned().collect()
    }

    pub fn call(
        &mut self,
        framework: usize,
        call: impl FnOnce(&mut Taker, &mut Driver<'_>) + Send + 'static,
    ) {
        self.frameworks[framework].framework.call(call);
    }

    pub fn launch(&mut self, framework: usize, id: &str, script: &str) {
        let (id, script) = (id.to_owned(), script.to_owned());
        self.call(framework, move |taker, driver| {
            taker.launch(driver, &id, &script)
        });
    }

    pub fn cut_agent_off(&mut self, number: usize) {
        let agent = &self.agents[number].node;
        self.simulation.network().partition(&[agent], &[&self.node]);
    }

    pub fn heal(&mut self) {
        let world = self.simulation.world().clone();
        self.simulation.network().heal_all(&world);
    }

    /// Asks a scheduler, which says nothing when its host is gone.
    pub fn ask<T: Send + 'static>(
        &mut self,
        framework: usize,
        question: impl FnOnce(&mut Taker) -> T + Send + 'static,
    ) -> Option<T> {
        let slot = Arc::new(Mutex::new(None));
        let into = Arc::clone(&slot);
        self.call(framework, move |taker, _| {
            *into.lock().unwrap() = Some(question(taker));
        });
        self.simulation.run_until_idle();
        slot.lock().unwrap().take()
    }

    /// The id of a framework, which is learned once.
    pub fn id(&mut self, framework: usize) -> String {
        if self.frameworks[framework].info.id.is_none() {
            let id = self.ask(framework, |taker| taker.id.clone());
            let name = &self.frameworks[framework].info.name;
            let snapshot = self.master.snapshot();
            let by_name = snapshot
                .frameworks
                .values()
                .find(|known| known.info.name == *name);
            let id = id.flatten().or_else(|| by_name?.info.id.clone());
            self.frameworks[framework].info.id = id;
        }
        let id = self.frameworks[framework].info.id.as_ref();
        id.unwrap().value.clone()
    }

    /// `/master/why` with these parameters: status and body.
    pub fn get(&mut self, query: &[(&str, &str)]) -> (u16, String) {
        let mut request = Request::new("GET", "/master/why");
        let pairs = query
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        request.query.extend(pairs);
        let network = self.simulation.network();
        let answer = network.request(&self.node, self.node.address(), request);
        let Response { status, body, .. } = self.simulation.block_on(answer).unwrap();
        let text = match body {
            Body::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => String::new(),
        };
        (status, text)
    }

    pub fn why_framework(&mut self, framework: usize) -> Value {
        let id = self.id(framework);
        let (status, body) = self.get(&[("framework_id", &id)]);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    pub fn operate(&mut self, agent: &str, kind: master::call::Type) {
        let agent_id = AgentId {
            value: agent.to_owned(),
        };
        let mut call = master::Call {
            r#type: Some(kind.into()),
            ..master::Call::default()
        };
        match kind {
            master::call::Type::DeactivateAgent => {
                call.deactivate_agent = Some(master::call::DeactivateAgent { agent_id });
            }
            _ => call.reactivate_agent = Some(master::call::ReactivateAgent { agent_id }),
        }
        let master: &Pid = self.master.pid();
        let answer = self
            .node
            .ask(master, Operate { call }, Duration::from_secs(10));
        let answer: Result<Operated, AskError> = self.simulation.block_on(answer);
        assert_eq!(answer.unwrap().status, 200);
    }

    /// A framework gives back all of an agent, also one whose scheduler is away.
    pub fn release(&mut self, framework: usize, agent: &str) {
        let name = agent.to_owned();
        let id = self.id(framework);
        let away = self
            .master
            .snapshot()
            .framework(&id)
            .is_some_and(|known| !known.connected());
        if away {
            self.come_back(framework, "");
            self.run_for(5);
        }
        self.call(framework, move |taker, driver| taker.let_go(driver, &name));
    }

    /// A new scheduler takes a framework over, whose tasks it learns of by asking for them.
    pub fn come_back(&mut self, framework: usize, wanted: &str) {
        let number = u8::try_from(framework).unwrap();
        self.id(framework);
        let node = node(
            &self.simulation,
            &format!("again-{number}"),
            150 + number,
            5052,
        );
        let known = &self.frameworks[framework];
        let (greed, info) = (known.greed, known.info.clone());
        let started = self.schedule(
            &node,
            greed,
            &info,
            &known.suppressed,
            known.constraints.clone(),
        );
        let known = &mut self.frameworks[framework];
        (known.node, known.framework, known.is_away) = (node, started, false);
        let wanted = wanted.to_owned();
        self.call(framework, move |taker, _| taker.want(&wanted));
        self.run_for(5);
        self.call(framework, |_, driver| driver.reconcile([]));
    }

    pub fn update(&mut self, framework: usize) {
        self.id(framework);
        let known = &self.frameworks[framework];
        let update = call::UpdateFramework {
            framework_info: known.info.clone(),
            suppressed_roles: known.suppressed.iter().cloned().collect(),
            offer_constraints: known.constraints.clone(),
        };
        self.call(framework, move |_, driver| {
            driver.call(scheduler::Call {
                r#type: Some(call::Type::UpdateFramework.into()),
                update_framework: Some(update),
                ..scheduler::Call::default()
            });
        });
    }
}

fn info(name: &str) -> FrameworkInfo {
    FrameworkInfo {
        user: "nobody".to_owned(),
        name: name.to_owned(),
        failover_timeout: Some(604_800.0),
        checkpoint: Some(true),
        ..FrameworkInfo::default()
    }
}

fn domain(region: &str) -> DomainInfo {
    let zone = ZoneInfo {
        name: "z".to_owned(),
    };
    let region = RegionInfo {
        name: region.to_owned(),
    };
    DomainInfo {
        fault_domain: Some(FaultDomain { region, zone }),
    }
}

fn capabilities(kinds: &[capability::Type]) -> Vec<Capability> {
    let one = |kind: &capability::Type| Capability {
        r#type: Some(*kind as i32),
    };
    kinds.iter().map(one).collect()
}

/// No offers with fewer cpus.
pub fn at_least(cpus: f64) -> OfferFilters {
    let quantities = [("cpus".to_owned(), Scalar { value: cpus })];
    OfferFilters {
        min_allocatable_resources: Some(MinAllocatableResources {
            quantities: vec![ResourceQuantities {
                quantities: quantities.into(),
            }],
        }),
    }
}

fn node(simulation: &Simulation, name: &str, last: u8, port: u16) -> Node {
    let options = NodeOptions {
        name: name.to_owned(),
        ip: IpAddr::from([10, 0, 0, last]),
        port,
        ..NodeOptions::default()
    };
    Node::start(simulation.world(), options).unwrap()
}
