//! Carries out the faults of a run, and ends them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tepui_protocol::mesos::v1::AgentId;
use tepui_protocol::mesos::v1::master::{Call, call};
use tepui_protocol::tepui::operator::{Operate, Operated};
use tepui_runtime::{Address, AskError, Node, Random, Time};

use super::overlaps::Overlaps;
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
    /// Of the way from one node to another.
    Unblock(Node, Node),
    EmptyDisk(usize),
    CrashTorn(usize),
    /// Of the way from one node to another, which was slowed down to so much.
    Fast(Node, Node, Duration),
    /// Of so many in a million.
    Cuts(u32),
    /// Of the agent of that id.
    Reactivate(String),
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
    full: Overlaps<usize, ()>,
    waiting: BTreeSet<usize>,
    /// Agents whose disk breaks off soon, or has.
    torn: BTreeSet<usize>,
    blocked: Overlaps<Way, ()>,
    slow: Overlaps<Way, Duration>,
    cuts: Overlaps<(), u32>,
    deactivated: Overlaps<String, ()>,
}

/// From where to where.
type Way = (Address, Address);

fn way(from: &Node, to: &Node) -> Way {
    (from.address(), to.address())
}

impl Weather {
    pub(super) fn new(planned: Vec<Planned>, started: Time, random: Random) -> Weather {
        let mut weather = Weather {
            events: BTreeMap::new(),
            next: 0,
            random,
            full: Overlaps::default(),
            waiting: BTreeSet::new(),
            torn: BTreeSet::new(),
            blocked: Overlaps::default(),
            slow: Overlaps::default(),
            cuts: Overlaps::default(),
            deactivated: Overlaps::default(),
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
            Some((_, Event::End(end))) => self.end(end, cluster, observer),
            None => Ok(()),
        }
    }

    /// Carries out a fault, and counts it if there was anything for it to befall.
    fn begin(
        &mut self,
        at: Time,
        planned: Planned,
        cluster: &mut Cluster,
        workload: &mut Workload,
        observer: &Observer,
    ) -> Result<(), ClusterError> {
        let Planned { lasts, fault, .. } = planned;
        let over = at + lasts;
        let happens = match fault {
            Fault::AgentCrash { agent } => {
                cluster.crash_agent(agent) && self.ends(over, End::StartAgent(agent))
            }
            Fault::AgentKill { agent } => {
                // A disk that is about to break off takes the whole host with it.
                !self.torn.contains(&agent)
                    && cluster.kill_agent(agent)
                    && self.ends(over, End::StartAgent(agent))
            }
            Fault::TornWrite { agent, calls } => self.tear(at, agent, calls, cluster),
            Fault::Unregister { agent } => match up(cluster, agent) {
                Some((_, agent)) => {
                    agent.unregister("SIGUSR1");
                    true
                }
                None => false,
            },
            Fault::MarkGone { agent } => {
                mark_gone(cluster, agent, observer) && self.ends(over, End::StartAgent(agent))
            }
            Fault::Deactivate { agent } => match deactivate(cluster, agent, observer) {
                Some(id) => {
                    self.deactivated.begin(id.clone(), ());
                    self.ends(over, End::Reactivate(id))
                }
                None => false,
            },
            Fault::DiskFull { agent } => {
                cluster.fill_disk(agent, 1.0);
                self.full.begin(agent, ());
                self.ends(over, End::EmptyDisk(agent))
            }
            Fault::MasterCrash => cluster.crash_master() && self.ends(over, End::StartMaster),
            Fault::FrameworkCrash { framework } => workload.crash(framework, lasts.as_secs()),
            Fault::FailOver { framework } => workload.fail_over(cluster, framework)?,
            Fault::TearDown { framework } => workload.tear_down(framework),
            Fault::Partition { agent, blocked } => {
                let other = up(cluster, agent).map(|(node, _)| node.clone());
                self.part(cluster, other, blocked, over)
            }
            Fault::FrameworkPartition { framework, blocked } => {
                self.part(cluster, workload.node(framework), blocked, over)
            }
            Fault::SlowLink { agent, latency } => {
                let other = up(cluster, agent).map(|(node, _)| node.clone());
                self.slow_down(cluster, other, latency, over)
            }
            Fault::FrameworkSlowLink { framework, latency } => {
                self.slow_down(cluster, workload.node(framework), latency, over)
            }
            Fault::Cuts { per_million } => {
                let most = self.cuts.begin((), per_million);
                cluster.simulation.network().set_cuts_per_million(most);
                self.ends(over, End::Cuts(per_million))
            }
            Fault::AgentDrift { .. } | Fault::FrameworkDrift { .. } | Fault::MasterDrift { .. } => {
                drift(fault, cluster, workload)
            }
        };
        if happens {
            observer.count(fault.name());
        }
        Ok(())
    }

    /// What has begun is to end then; always true.
    fn ends(&mut self, over: Time, end: End) -> bool {
        self.add(over, Event::End(end));
        true
    }

    fn tear(&mut self, at: Time, agent: usize, calls: u64, cluster: &mut Cluster) -> bool {
        if up(cluster, agent).is_none() {
            return false;
        }
        cluster.break_disk(agent, calls);
        self.torn.insert(agent);
        let soon = Duration::from_millis(1 + self.random.below(5_000));
        self.ends(at + soon, End::CrashTorn(agent))
    }

    fn part(
        &mut self,
        cluster: &Cluster,
        other: Option<Node>,
        blocked: Blocked,
        over: Time,
    ) -> bool {
        let (Some((master, _)), Some(other)) = (cluster.master(), other) else {
            return false;
        };
        let from = (blocked != Blocked::ToMaster).then_some((master, &other));
        let to = (blocked != Blocked::FromMaster).then_some((&other, master));
        for (from, to) in from.into_iter().chain(to) {
            cluster.simulation.network().block(from, to);
            self.blocked.begin(way(from, to), ());
            self.ends(over, End::Unblock(from.clone(), to.clone()));
        }
        true
    }

    fn slow_down(
        &mut self,
        cluster: &Cluster,
        other: Option<Node>,
        latency: Duration,
        over: Time,
    ) -> bool {
        let (Some((master, _)), Some(other)) = (cluster.master(), other) else {
            return false;
        };
        for (from, to) in [(master, &other), (&other, master)] {
            let most = self.slow.begin(way(from, to), latency);
            let network = cluster.simulation.network();
            network.set_latency_between(from, to, most / 10, most);
            self.ends(over, End::Fast(from.clone(), to.clone(), latency));
        }
        true
    }

    fn end(
        &mut self,
        end: End,
        cluster: &mut Cluster,
        observer: &Observer,
    ) -> Result<(), ClusterError> {
        let network = cluster.simulation.network();
        match end {
            End::StartAgent(agent) => self.start(agent, cluster)?,
            End::StartMaster => cluster.start_master()?,
            End::Unblock(from, to) => {
                if self.blocked.end(&way(&from, &to), ()).is_none() {
                    network.unblock(&from, &to);
                }
            }
            End::EmptyDisk(agent) => {
                if self.full.end(&agent, ()).is_none() {
                    cluster.fill_disk(agent, 0.1);
                }
            }
            End::CrashTorn(agent) => {
                cluster.crash_agent(agent);
                self.torn.remove(&agent);
                if !self.full.has(&agent) {
                    cluster.tell_writes(agent, true);
                }
                self.start(agent, cluster)?;
            }
            End::Fast(from, to, latency) => match self.slow.end(&way(&from, &to), latency) {
                Some(most) => network.set_latency_between(&from, &to, most / 10, most),
                None => network.clear_latency_between(&from, &to),
            },
            End::Cuts(per_million) => {
                let most = self.cuts.end(&(), per_million).unwrap_or(0);
                network.set_cuts_per_million(most);
            }
            End::Reactivate(id) => {
                if self.deactivated.end(&id, ()).is_none() {
                    reactivate(cluster, id, observer);
                }
            }
        }
        Ok(())
    }

    /// What ended by itself is started again, as a service manager does.
    pub(super) fn supervise(&mut self, cluster: &mut Cluster) -> Result<(), ClusterError> {
        for number in 0..cluster.agents().len() {
            let ended = up(cluster, number).is_some_and(|(_, agent)| agent.ended().is_some());
            if ended && self.torn.contains(&number) {
                cluster.crash_agent(number);
            } else if ended {
                cluster.kill_agent(number);
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
            Err(ClusterError::Agent(_)) if self.full.has(&agent) => {
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

/// A host's clock runs otherwise from here on.
fn drift(fault: Fault, cluster: &Cluster, workload: &Workload) -> bool {
    let host = match fault {
        Fault::AgentDrift { agent, .. } => cluster.agents().get(agent).map(|it| it.name.clone()),
        Fault::FrameworkDrift { framework, .. } => {
            workload.node(framework).map(|node| node.name().to_owned())
        }
        _ => Some(MASTER_HOST.to_owned()),
    };
    let (parts_per_million, ahead) = match fault {
        Fault::MasterDrift { parts_per_million } => (parts_per_million, Duration::ZERO),
        Fault::AgentDrift {
            parts_per_million,
            ahead,
            ..
        }
        | Fault::FrameworkDrift {
            parts_per_million,
            ahead,
            ..
        } => (parts_per_million, ahead),
        _ => return false,
    };
    if let Some(host) = &host {
        let simulation = &cluster.simulation;
        simulation.set_drift(host, parts_per_million, ahead);
    }
    host.is_some()
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
    let call = Call {
        r#type: Some(call::Type::MarkAgentGone.into()),
        mark_agent_gone: Some(call::MarkAgentGone {
            agent_id: AgentId {
                value: value.clone(),
            },
        }),
        ..Call::default()
    };
    if operate(cluster, call) {
        observer.marked_gone(value, cluster.simulation.now());
    }
    true
}

/// The master is told to offer nothing more of an agent; the agent's id. `None` where the agent is
/// down, or the master is or does not do it.
fn deactivate(cluster: &mut Cluster, number: usize, observer: &Observer) -> Option<String> {
    let (_, agent) = up(cluster, number)?;
    let value = agent.snapshot.load().agent_id().to_owned();
    let call = Call {
        r#type: Some(call::Type::DeactivateAgent.into()),
        deactivate_agent: Some(call::DeactivateAgent {
            agent_id: AgentId {
                value: value.clone(),
            },
        }),
        ..Call::default()
    };
    operate(cluster, call).then(|| {
        observer.deactivated(value.clone(), cluster.simulation.now());
        value
    })
}

/// The master is told that an agent may be offered again. A master that has crashed meanwhile has
/// forgotten that it may not.
fn reactivate(cluster: &mut Cluster, value: String, observer: &Observer) {
    // What it offers of the agent goes out before it answers.
    observer.reactivated(value.clone(), cluster.simulation.now());
    let call = Call {
        r#type: Some(call::Type::ReactivateAgent.into()),
        reactivate_agent: Some(call::ReactivateAgent {
            agent_id: AgentId { value },
        }),
        ..Call::default()
    };
    operate(cluster, call);
}

/// Whether the master does a call of an operator's.
fn operate(cluster: &mut Cluster, call: Call) -> bool {
    let Some((node, master)) = cluster.master() else {
        return false;
    };
    let answer = node.ask(master.pid(), Operate { call }, PATIENCE);
    let answer: Result<Operated, AskError> = cluster.simulation.block_on(answer);
    answer.is_ok_and(|answer| answer.status == 200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ClusterOptions;

    /// A cluster that this befalls, after so many seconds, and how often what was counted.
    fn after(planned: Vec<Planned>, seconds: u64) -> (Cluster, BTreeMap<&'static str, u64>) {
        let mut cluster = Cluster::new(ClusterOptions::default()).unwrap();
        let observer = Observer::attach(&mut cluster);
        let random = Random::from_number(1);
        let mut workload = Workload::start(&mut cluster, 0, &random).unwrap();
        let started = cluster.simulation.now();
        let mut weather = Weather::new(planned, started, random);
        let until = started + Duration::from_secs(seconds);
        while let Some(at) = weather.next(until) {
            cluster.simulation.run_until(at);
            weather
                .happen(&mut cluster, &mut workload, &observer)
                .unwrap();
        }
        cluster.simulation.run_until(until);
        (cluster, observer.numbers())
    }

    fn planned(after: u64, lasts: u64, fault: Fault) -> Planned {
        Planned {
            after: Duration::from_secs(after),
            lasts: Duration::from_secs(lasts),
            fault,
        }
    }

    fn registered(cluster: &Cluster) -> usize {
        cluster.master().unwrap().1.snapshot().agents.size()
    }

    #[test]
    fn a_partition_that_another_covers_does_not_end_with_it() {
        let (agent, blocked) = (0, Blocked::Both);
        let partition = Fault::Partition { agent, blocked };
        let faults = vec![planned(10, 5, partition), planned(11, 400, partition)];
        let (cluster, numbers) = after(faults.clone(), 300);
        assert_eq!(registered(&cluster), 2, "cut off for 289 seconds");
        assert_eq!(numbers["faults: agent partition"], 2);
        let (cluster, _) = after(faults, 600);
        assert_eq!(registered(&cluster), 3);
    }

    #[test]
    fn an_agent_is_deactivated_until_the_last_who_did_it_is_done() {
        let fault = Fault::Deactivate { agent: 1 };
        let faults = || vec![planned(10, 5, fault), planned(11, 40, fault)];
        let deactivated = |cluster: &Cluster| {
            let snapshot = cluster.master().unwrap().1.snapshot();
            let active = snapshot.agents.values().filter(|agent| agent.active);
            (snapshot.deactivated_agents.size(), active.count())
        };
        let (cluster, numbers) = after(faults(), 30);
        assert_eq!(deactivated(&cluster), (1, 2));
        assert_eq!(registered(&cluster), 3);
        assert_eq!(numbers["faults: agent deactivated"], 2);
        let (cluster, _) = after(faults(), 60);
        assert_eq!(deactivated(&cluster), (0, 3));
        let crash = planned(20, 5, Fault::MasterCrash);
        let (cluster, _) = after([faults(), vec![crash]].concat(), 120);
        assert_eq!(deactivated(&cluster), (0, 3), "its successor never knew");
    }

    #[test]
    fn what_befalls_nobody_is_not_counted() {
        let crash = Fault::AgentCrash { agent: 0 };
        let later = [
            crash,
            Fault::AgentKill { agent: 0 },
            Fault::TornWrite { agent: 0, calls: 1 },
            Fault::Unregister { agent: 0 },
            Fault::MarkGone { agent: 0 },
            Fault::Deactivate { agent: 0 },
            Fault::SlowLink {
                agent: 0,
                latency: Duration::from_secs(1),
            },
            Fault::FrameworkCrash { framework: 0 },
            Fault::FailOver { framework: 0 },
            Fault::TearDown { framework: 0 },
        ];
        let faults = later.map(|fault| planned(20, 1, fault)).into_iter();
        let faults = [planned(10, 100, crash)].into_iter().chain(faults);
        let (cluster, numbers) = after(faults.collect(), 60);
        let counted: Vec<_> = numbers
            .iter()
            .filter(|(what, _)| what.starts_with("faults"))
            .collect();
        assert_eq!(counted, [(&"faults: agent crash", &1)]);
        assert!(cluster.agents()[0].up.is_none(), "down for 100 seconds");
    }
}
