//! Carries out the faults of a run, and ends them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tepui_protocol::mesos::v1::AgentId;
use tepui_protocol::mesos::v1::master::{Call, call};
use tepui_protocol::tepui::operator::{Operate, Operated};
use tepui_runtime::{AskError, Node, Random, Time};

use super::workload::Workload;
use crate::cluster::{Cluster, ClusterError, MASTER_HOST};
use crate::faults::{Blocked, Fault, Planned};
use crate::observer::Observer;

/// How long an operator waits for the master's answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be undone.
enum End {
    StartAgent(usize),
    StartMaster,
    Heal(Node, Node),
    EmptyDisk(usize),
    CrashTorn(usize),
    Fast,
    NoCuts,
}

enum Event {
    Begin(Planned),
    End(End),
}

/// The faults that are still to come, and those to be ended.
pub(super) struct Weather {
    events: BTreeMap<(Time, u64), Event>,
    next: u64,
    random: Random,
    /// Agents whose disk is full, and those that did not come up for it and are tried again.
    full: BTreeSet<usize>,
    waiting: BTreeSet<usize>,
}

impl Weather {
    pub(super) fn new(planned: Vec<Planned>, started: Time, random: Random) -> Weather {
        let mut weather = Weather {
            events: BTreeMap::new(),
            next: 0,
            random,
            full: BTreeSet::new(),
            waiting: BTreeSet::new(),
        };
        for planned in planned {
            weather.add(started + planned.after, Event::Begin(planned));
        }
        weather
    }

    fn add(&mut self, at: Time, event: Event) {
        self.events.insert((at, self.next), event);
        self.next += 1;
    }

    /// When the next event is, if it is by then.
    pub(super) fn next(&self, until: Time) -> Option<Time> {
        let ((at, _), _) = self.events.first_key_value()?;
        (*at <= until).then_some(*at)
    }

    /// The next event happens.
    pub(super) fn happen(
        &mut self,
        cluster: &mut Cluster,
        workload: &mut Workload,
        observer: &Observer,
    ) -> Result<(), ClusterError> {
        match self.events.pop_first() {
            Some(((at, _), Event::Begin(planned))) => {
                self.begin(at, planned, cluster, workload, observer)
            }
            Some((_, Event::End(end))) => self.end(end, cluster),
            None => Ok(()),
        }
    }

    fn begin(
        &mut self,
        at: Time,
        planned: Planned,
        cluster: &mut Cluster,
        workload: &mut Workload,
        observer: &Observer,
    ) -> Result<(), ClusterError> {
        let Planned { lasts, fault, .. } = planned;
        observer.count(name(fault));
        let over = at + lasts;
        match fault {
            Fault::AgentCrash { agent } => {
                cluster.crash_agent(agent);
                self.add(over, Event::End(End::StartAgent(agent)));
            }
            Fault::TornWrite { agent, calls } => {
                if up(cluster, agent).is_none() {
                    return Ok(());
                }
                cluster.break_disk(agent, calls);
                let soon = Duration::from_millis(1 + self.random.below(5_000));
                self.add(at + soon, Event::End(End::CrashTorn(agent)));
            }
            Fault::Unregister { agent } => {
                if let Some((_, agent)) = up(cluster, agent) {
                    agent.unregister("SIGUSR1");
                }
            }
            Fault::MarkGone { agent } => {
                if mark_gone(cluster, agent, observer) {
                    self.add(over, Event::End(End::StartAgent(agent)));
                }
            }
            Fault::DiskFull { agent } => {
                cluster.fill_disk(agent, 1.0);
                self.full.insert(agent);
                self.add(over, Event::End(End::EmptyDisk(agent)));
            }
            Fault::MasterCrash => {
                cluster.crash_master();
                self.add(over, Event::End(End::StartMaster));
            }
            Fault::FrameworkCrash { framework } => workload.crash(framework, lasts.as_secs()),
            Fault::FailOver { framework } => workload.fail_over(cluster, framework)?,
            Fault::TearDown { framework } => workload.tear_down(framework),
            Fault::Partition { agent, blocked } => {
                let other = up(cluster, agent).map(|(node, _)| node.clone());
                self.part(cluster, other, blocked, over);
            }
            Fault::FrameworkPartition { framework, blocked } => {
                self.part(cluster, workload.node(framework), blocked, over);
            }
            Fault::SlowLink { agent, latency } => {
                if let (Some((master, _)), Some((node, _))) = (cluster.master(), up(cluster, agent))
                {
                    let network = cluster.simulation.network();
                    network.set_latency_between(master, node, latency / 10, latency);
                    network.set_latency_between(node, master, latency / 10, latency);
                    self.add(over, Event::End(End::Fast));
                }
            }
            Fault::AgentDrift {
                agent,
                parts_per_million,
                ahead,
            } => {
                if let Some(host) = cluster.agents().get(agent) {
                    let simulation = &cluster.simulation;
                    simulation.set_drift(&host.name, parts_per_million, ahead);
                }
            }
            Fault::MasterDrift { parts_per_million } => {
                let simulation = &cluster.simulation;
                simulation.set_drift(MASTER_HOST, parts_per_million, Duration::ZERO);
            }
            Fault::Cuts { per_million } => {
                cluster
                    .simulation
                    .network()
                    .set_cuts_per_million(per_million);
                self.add(over, Event::End(End::NoCuts));
            }
        }
        Ok(())
    }

    fn part(&mut self, cluster: &Cluster, other: Option<Node>, blocked: Blocked, over: Time) {
        if let (Some((master, _)), Some(other)) = (cluster.master(), other) {
            let network = cluster.simulation.network();
            if blocked != Blocked::ToMaster {
                network.block(master, &other);
            }
            if blocked != Blocked::FromMaster {
                network.block(&other, master);
            }
            let end = End::Heal(master.clone(), other);
            self.add(over, Event::End(end));
        }
    }

    fn end(&mut self, end: End, cluster: &mut Cluster) -> Result<(), ClusterError> {
        match end {
            End::StartAgent(agent) => self.start(agent, cluster)?,
            End::StartMaster => cluster.start_master()?,
            End::Heal(one, other) => cluster.simulation.network().heal(&one, &other),
            End::EmptyDisk(agent) => {
                cluster.fill_disk(agent, 0.1);
                self.full.remove(&agent);
            }
            End::CrashTorn(agent) => {
                cluster.crash_agent(agent);
                if !self.full.contains(&agent) {
                    cluster.tell_writes(agent, true);
                }
                self.start(agent, cluster)?;
            }
            End::Fast => cluster.simulation.network().clear_latencies_between(),
            End::NoCuts => cluster.simulation.network().set_cuts_per_million(0),
        }
        Ok(())
    }

    /// What ended by itself is started again, as a service manager does.
    pub(super) fn supervise(&mut self, cluster: &mut Cluster) -> Result<(), ClusterError> {
        for number in 0..cluster.agents().len() {
            let ended = up(cluster, number).is_some_and(|(_, agent)| agent.ended().is_some());
            if ended {
                cluster.crash_agent(number);
            }
            if ended || self.waiting.contains(&number) {
                self.start(number, cluster)?;
            }
        }
        Ok(())
    }

    /// Starts an agent; where its disk is full, it may need another try.
    fn start(&mut self, agent: usize, cluster: &mut Cluster) -> Result<(), ClusterError> {
        match cluster.start_agent(agent) {
            Err(ClusterError::Agent(_)) if self.full.contains(&agent) => {
                self.waiting.insert(agent);
                Ok(())
            }
            started => {
                self.waiting.remove(&agent);
                started
            }
        }
    }

    /// No more faults: all that is under way ends.
    pub(super) fn clear(
        &mut self,
        cluster: &mut Cluster,
        workload: &mut Workload,
        observer: &Observer,
    ) -> Result<(), ClusterError> {
        self.events
            .retain(|_, event| matches!(event, Event::End(_)));
        while !self.events.is_empty() {
            self.happen(cluster, workload, observer)?;
        }
        let world = cluster.simulation.world().clone();
        cluster.simulation.network().heal_all(&world);
        cluster.start_master()?;
        for number in 0..cluster.agents().len() {
            self.start(number, cluster)?;
        }
        Ok(())
    }
}

fn up(cluster: &Cluster, number: usize) -> Option<&(Node, tepui_agent::Agent)> {
    cluster.agents().get(number)?.up.as_ref()
}

/// The host of an agent crashes, and the master is told that it is gone. False where the agent is
/// down already, or never was registered.
fn mark_gone(cluster: &mut Cluster, number: usize, observer: &Observer) -> bool {
    let Some((_, agent)) = up(cluster, number) else {
        return false;
    };
    let value = agent.snapshot.load().agent_id().to_owned();
    if value.is_empty() {
        return false;
    }
    cluster.crash_agent(number);
    let Some((node, master)) = cluster.master() else {
        return true;
    };
    let call = Call {
        r#type: Some(call::Type::MarkAgentGone.into()),
        mark_agent_gone: Some(call::MarkAgentGone {
            agent_id: AgentId {
                value: value.clone(),
            },
        }),
        ..Call::default()
    };
    let answer = node.ask(master.pid(), Operate { call }, PATIENCE);
    let answer: Result<Operated, AskError> = cluster.simulation.block_on(answer);
    if answer.is_ok_and(|answer| answer.status == 200) {
        observer.marked_gone(value, cluster.simulation.now());
    }
    true
}

/// Under what a fault is counted.
fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::AgentCrash { .. } => "faults: agent crash",
        Fault::TornWrite { .. } => "faults: torn write",
        Fault::Unregister { .. } => "faults: agent unregisters",
        Fault::MarkGone { .. } => "faults: agent marked gone",
        Fault::DiskFull { .. } => "faults: disk full",
        Fault::MasterCrash => "faults: master crash",
        Fault::FrameworkCrash { .. } => "faults: framework crash",
        Fault::FailOver { .. } => "faults: framework fails over",
        Fault::TearDown { .. } => "faults: teardown",
        Fault::Partition { .. } => "faults: agent partition",
        Fault::FrameworkPartition { .. } => "faults: framework partition",
        Fault::SlowLink { .. } => "faults: slow link",
        Fault::AgentDrift { .. } => "faults: clock of an agent drifts",
        Fault::MasterDrift { .. } => "faults: clock of the master drifts",
        Fault::Cuts { .. } => "faults: cuts",
    }
}
