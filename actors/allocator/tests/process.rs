//! The allocator's process in the simulated world: messages of a master in, `Allocations` out.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tepui_allocator::core::Options;
use tepui_allocator::{AllocatorOptions, spawn};
use tepui_protocol::mesos::v1::{
    AgentId, AgentInfo, Filters, FrameworkId, FrameworkInfo, agent_info, framework_info,
};
use tepui_protocol::resources::{Resources, parse_text};
use tepui_protocol::tepui::allocator::{
    AddAgent, AddFramework, Allocations, RecoverResources, RemoveAgent, SuppressOffers,
};
use tepui_runtime::{
    Context, Declaration, Handle, Id, Message, Node, NodeOptions, Pid, Process, ProcessRef,
    SimOptions, Simulation, Terminate, World,
};

type Seen = Arc<Mutex<Vec<(f64, Allocations)>>>;

/// Stands where the master is: notes what it is sent.
struct Master {
    seen: Seen,
}

impl Process for Master {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Allocations>();
    }
}

impl Handle<Allocations> for Master {
    fn handle(&mut self, message: Allocations, ctx: &mut Context<'_, Self>) {
        self.seen
            .lock()
            .unwrap()
            .push((ctx.now().as_secs_f64(), message));
    }
}

struct Stage {
    simulation: Simulation,
    node: Node,
    master: ProcessRef<Master>,
    allocator: Pid,
    seen: Seen,
}

impl Stage {
    fn new(seed: u64, log: Option<&Path>) -> Stage {
        Stage::with(seed, log, None)
    }

    fn with(seed: u64, log: Option<&Path>, whitelist: Option<&Path>) -> Stage {
        let simulation = World::simulated(SimOptions {
            seed,
            ..SimOptions::default()
        });
        let node = Node::start(simulation.world(), NodeOptions::default()).unwrap();
        let seen = Seen::default();
        let master = node
            .spawn(
                Id::chosen("master"),
                Master {
                    seen: Arc::clone(&seen),
                },
            )
            .unwrap();
        let options = AllocatorOptions {
            decisions: Options::default(),
            allocation_log: log.map(Path::to_owned),
            whitelist: whitelist.map(Path::to_owned),
        };
        let allocator = spawn(&node, options, master.pid().clone())
            .unwrap()
            .pid()
            .clone();
        Stage {
            simulation,
            node,
            master,
            allocator,
            seen,
        }
    }

    fn tell<M: Message>(&self, message: M) {
        let allocator = self.allocator.clone();
        self.master
            .dispatch(move |_, ctx| ctx.send(&allocator, message));
    }

    fn run_for(&mut self, milliseconds: u64) {
        self.simulation.run_for(Duration::from_millis(milliseconds));
    }

    /// What the master was sent since the last call, one line for each allocation.
    fn allocations(&self) -> Vec<String> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        let lines = seen
            .iter()
            .flat_map(|(_, message)| &message.allocations)
            .map(|one| {
                let resources = Resources::from_proto(&one.resources).unwrap();
                assert_eq!(resources.allocated_to(&one.role), resources);
                let resources = resources.unallocate().to_text().unwrap();
                let (framework, agent) = (&one.framework_id.value, &one.agent_id.value);
                format!("{framework} in {} <- {agent} {resources}", one.role)
            });
        lines.collect()
    }
}

fn add_agent(id: &str, resources: &str) -> AddAgent {
    let capability = |kind: agent_info::capability::Type| {
        let mut capability = agent_info::Capability::default();
        capability.set_type(kind);
        capability
    };
    AddAgent {
        agent_info: AgentInfo {
            hostname: "localhost".to_owned(),
            id: Some(AgentId {
                value: id.to_owned(),
            }),
            ..AgentInfo::default()
        },
        capabilities: vec![
            capability(agent_info::capability::Type::MultiRole),
            capability(agent_info::capability::Type::HierarchicalRole),
        ],
        total: parse_text(resources, "*").unwrap().to_proto(),
        ..AddAgent::default()
    }
}

fn add_framework(id: &str, roles: &[&str]) -> AddFramework {
    let mut multi_role = framework_info::Capability::default();
    multi_role.set_type(framework_info::capability::Type::MultiRole);
    AddFramework {
        framework_info: FrameworkInfo {
            user: "nobody".to_owned(),
            name: id.to_owned(),
            id: Some(FrameworkId {
                value: id.to_owned(),
            }),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            capabilities: vec![multi_role],
            ..FrameworkInfo::default()
        },
        active: true,
        ..AddFramework::default()
    }
}

fn recover(framework: &str, role: &str, resources: &str, refuse: Option<f64>) -> RecoverResources {
    RecoverResources {
        framework_id: FrameworkId {
            value: framework.to_owned(),
        },
        agent_id: AgentId {
            value: "S0".to_owned(),
        },
        resources: parse_text(resources, "*")
            .unwrap()
            .allocate(role)
            .to_proto(),
        filters: refuse.map(|seconds| Filters {
            refuse_seconds: Some(seconds),
        }),
    }
}

#[test]
fn allocations_reach_the_master() {
    let mut stage = Stage::new(1, None);
    assert_eq!(stage.allocator.id(), "hierarchical-allocator(1)");
    stage.tell(add_framework("F0", &["web"]));
    stage.tell(add_agent("S0", "cpus:4;mem:1024;ports:[1-9]"));
    stage.run_for(5);
    assert_eq!(
        stage.allocations(),
        ["F0 in web <- S0 cpus:4;mem:1024;ports:[1-9]"]
    );

    // Declined: nobody else is there, so it comes again in a batch, once the refusal is over.
    stage.tell(recover(
        "F0",
        "web",
        "cpus:4;mem:1024;ports:[1-9]",
        Some(5.0),
    ));
    stage.run_for(4_900);
    assert_eq!(stage.allocations(), Vec::<String>::new());
    stage.run_for(1_100);
    assert_eq!(
        stage.allocations(),
        ["F0 in web <- S0 cpus:4;mem:1024;ports:[1-9]"]
    );

    // A task ends: what it held is offered within milliseconds.
    stage.tell(recover("F0", "web", "cpus:1;mem:512", None));
    stage.run_for(5);
    assert_eq!(stage.allocations(), ["F0 in web <- S0 cpus:1;mem:512"]);

    let framework_id = FrameworkId {
        value: "F0".to_owned(),
    };
    stage.tell(SuppressOffers {
        framework_id,
        roles: Vec::new(),
    });
    stage.tell(recover("F0", "web", "cpus:1;mem:512", None));
    stage.run_for(3_000);
    assert_eq!(stage.allocations(), Vec::<String>::new());
}

#[test]
fn declines_that_arrive_together_are_given_out_together() {
    let mut stage = Stage::new(1, None);
    stage.tell(add_framework("F0", &["web"]));
    stage.tell(add_agent("S0", "cpus:4;mem:4096"));
    stage.run_for(5);
    stage.tell(add_framework("F1", &["web"]));
    stage.run_for(5);
    stage.allocations();
    for _ in 0..4 {
        stage.tell(recover("F0", "web", "cpus:1;mem:1024", Some(0.0)));
    }
    stage.run_for(5);
    assert_eq!(stage.allocations(), ["F1 in web <- S0 cpus:4;mem:4096"]);
}

#[test]
fn only_its_master_is_heard() {
    let mut stage = Stage::new(1, None);
    stage.tell(add_framework("F0", &["web"]));
    stage.node.send(
        &Pid::nobody(),
        &stage.allocator,
        add_agent("S0", "cpus:4;mem:1024"),
    );
    stage.run_for(2_000);
    assert_eq!(stage.allocations(), Vec::<String>::new());
    let metrics = stage.node.metrics().snapshot();
    assert_eq!(metrics["allocator/tepui/foreign_messages"], 1.0);
}

#[test]
fn what_does_not_fit_is_survived() {
    let mut stage = Stage::new(1, None);
    let mut wrong = add_agent("S1", "cpus:1");
    wrong.total[0].scalar.as_mut().unwrap().value = -1.0;
    stage.tell(wrong);
    stage.tell(AddAgent::default());
    stage.tell(AddFramework::default());
    stage.tell(RemoveAgent {
        agent_id: AgentId {
            value: "S9".to_owned(),
        },
    });
    stage.tell(recover("F9", "web", "cpus:1", None));
    stage.tell(add_framework("F0", &["web"]));
    stage.tell(add_framework("F0", &["web"]));
    stage.tell(add_agent("S0", "cpus:4;mem:1024"));
    stage.tell(recover("F0", "web", "cpus:900", None));
    stage.tell(recover("F0", "other", "cpus:1", None));
    stage.run_for(5);
    assert_eq!(stage.allocations(), ["F0 in web <- S0 cpus:4;mem:1024"]);
}

#[test]
fn metrics_are_mesos_own() {
    let mut stage = Stage::new(1, None);
    stage.tell(add_framework("F0", &["eng/web"]));
    stage.tell(add_agent("S0", "cpus:4;mem:1024;disk:100"));
    stage.tell(add_agent("S1", "cpus:4;mem:1024"));
    stage.run_for(50);
    stage.tell(recover(
        "F0",
        "eng/web",
        "cpus:4;mem:1024;disk:100",
        Some(60.0),
    ));
    stage.run_for(2_000);
    let metrics = stage.node.metrics().snapshot();
    for (key, value) in [
        ("allocator/mesos/resources/cpus/total", 8.0),
        ("allocator/mesos/resources/mem/total", 2048.0),
        ("allocator/mesos/resources/disk/total", 100.0),
        ("allocator/mesos/resources/cpus/offered_or_allocated", 4.0),
        ("allocator/mesos/resources/disk/offered_or_allocated", 0.0),
        ("allocator/mesos/roles/eng/shares/dominant", 0.5),
        ("allocator/mesos/roles/eng/web/shares/dominant", 0.5),
        ("allocator/mesos/offer_filters/roles/eng/web/active", 1.0),
        ("allocator/mesos/event_queue_dispatches", 0.0),
        ("allocator/event_queue_dispatches", 0.0),
    ] {
        assert_eq!(metrics.get(key), Some(&value), "{key}");
    }
    assert!(metrics["allocator/mesos/allocation_runs"] >= 4.0);
    assert!(metrics.contains_key("allocator/mesos/allocation_run_ms"));
    assert!(metrics.contains_key("allocator/mesos/allocation_run_latency_ms"));
}

#[test]
fn each_decision_is_logged_with_its_reason() {
    let path = PathBuf::from("/allocations.log");
    let mut stage = Stage::new(1, Some(&path));
    stage.tell(add_framework("F0", &["web"]));
    stage.tell(add_agent("S0", "cpus:4;mem:1024"));
    stage.run_for(50);
    stage.tell(recover("F0", "web", "cpus:4;mem:1024", Some(60.0)));
    stage.run_for(5_000);
    let lines = String::from_utf8(stage.node.disk().read(&path).unwrap()).unwrap();
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines.len(),
        2,
        "the refusal holds in each batch, and is told of once: {lines:?}"
    );
    assert_eq!(lines[0]["granted"], "cpus:4; mem:1024");
    assert_eq!(lines[0]["framework"], "F0");
    assert_eq!(lines[0]["role"], "web");
    assert_eq!(lines[0]["agent"], "S0");
    assert_eq!(lines[0]["share"], 0.0);
    assert_eq!(lines[1]["reason"], "refused");
    assert!(lines[1]["until"].as_f64().unwrap() > lines[1]["time"].as_f64().unwrap() + 59.0);
    assert!(
        lines[1]["why"]
            .as_str()
            .unwrap()
            .contains("refused it until")
    );
}

#[test]
fn it_ends_with_its_master() {
    let mut stage = Stage::new(1, None);
    stage.run_for(10);
    assert!(stage.node.has_process("hierarchical-allocator(1)"));
    stage
        .node
        .terminate(&stage.master.pid().clone(), Terminate::Queued);
    stage.run_for(10);
    assert!(!stage.node.has_process("hierarchical-allocator(1)"));
}

#[test]
fn a_seed_replays() {
    let play = |seed| {
        let mut stage = Stage::new(seed, None);
        for framework in ["F0", "F1", "F2"] {
            stage.tell(add_framework(framework, &["web", "eng"]));
        }
        for agent in 0..12 {
            stage.tell(add_agent(&format!("S{agent}"), "cpus:4;mem:1024"));
        }
        stage.run_for(3_000);
        (stage.allocations(), stage.simulation.trace_hash())
    };
    assert_eq!(play(7), play(7));
    assert_eq!(play(7).0.len(), 12);
    assert_ne!(play(7).0, play(8).0);
}

#[test]
fn only_agents_of_the_whitelist_are_offered_and_it_is_read_again() {
    let path = Path::new("/whitelist");
    let mut stage = Stage::with(1, None, Some(path));
    let on = |id: &str, hostname: &str| {
        let mut agent = add_agent(id, "cpus:1;mem:64");
        agent.agent_info.hostname = hostname.to_owned();
        agent
    };
    stage.tell(add_framework("A", &["a"]));
    stage.tell(on("one", "one.example"));
    stage.tell(on("two", "two.example"));
    // There is no such file: nobody is offered.
    stage.run_for(4000);
    assert!(stage.allocations().is_empty());
    let disk = stage.node.disk();
    disk.write_atomic(path, b"two.example\n").unwrap();
    stage.run_for(3000);
    assert_eq!(stage.allocations(), ["A in a <- two cpus:1;mem:64"]);
    disk.write_atomic(path, b"two.example\none.example\n")
        .unwrap();
    stage.run_for(6000);
    assert_eq!(stage.allocations(), ["A in a <- one cpus:1;mem:64"]);
}
