//! The invariants of the core's books, as checks of a cluster.

use std::collections::BTreeMap;

use tepui_protocol::mesos::v1::TaskState;
use tepui_protocol::resources::Resources;

use super::cluster::Cluster;
use crate::core::tasks::holds;

impl Cluster {
    /// MA-1 to MA-4.
    pub(super) fn check(&self) {
        let snapshot = self.bench.core.snapshot();
        assert_eq!(self.bench.aborted, None);
        for offer in snapshot.offers.values() {
            let framework = snapshot.framework(&offer.framework_id).unwrap();
            let agent = snapshot.agent(&offer.agent_id).unwrap();
            assert!(framework.active && agent.active, "MA-2");
            assert!(framework.offers.contains(&offer.id), "MA-2");
            assert!(agent.offers.contains(&offer.id), "MA-2");
        }
        let listed: usize = snapshot.frameworks.values().map(|f| f.offers.size()).sum();
        assert_eq!(listed, snapshot.offers.size(), "MA-2");
        let listed: usize = snapshot.agents.values().map(|a| a.offers.size()).sum();
        assert_eq!(listed, snapshot.offers.size(), "MA-2");
        let mut counts = BTreeMap::new();
        let mut on_agents = 0;
        let mut executors = 0;
        for framework in snapshot.frameworks.values() {
            let mut used = Resources::default();
            for task in framework.tasks.values() {
                let agent = snapshot.agent(&task.agent_id.value).unwrap();
                let key = (framework.id.clone(), task.task_id.value.clone());
                assert!(agent.tasks.contains(&key), "MA-3");
                on_agents += 1;
                *counts.entry(task.state).or_insert(0) += 1;
                if holds(task.state()) {
                    used += Resources::from_proto(&task.resources).unwrap();
                }
            }
            for (_, task) in framework.unreachable_tasks.iter() {
                *counts.entry(task.state).or_insert(0) += 1;
            }
            for ((agent, id), executor) in framework.executors.iter() {
                let agent = snapshot.agent(agent).unwrap();
                let key = (framework.id.clone(), id.clone());
                assert!(agent.executors.contains(&key), "MA-3");
                executors += 1;
                used += Resources::from_proto(&executor.resources).unwrap();
            }
            assert_eq!(framework.used, used, "MA-4");
        }
        for (state, count) in counts {
            let state = TaskState::try_from(state).unwrap();
            assert_eq!(snapshot.task_counts.get(state), count, "{state:?}");
        }
        let listed: usize = snapshot.agents.values().map(|a| a.tasks.size()).sum();
        assert_eq!(listed, on_agents, "MA-3");
        let listed: usize = snapshot.agents.values().map(|a| a.executors.size()).sum();
        assert_eq!(listed, executors, "MA-3");
        for agent in snapshot.agents.values() {
            let held = self.held(&agent.id).into_values().sum::<Resources>();
            assert!(agent.total.contains(&held.unallocate()), "MA-1");
        }
    }

    /// What the master says that each framework holds on an agent: offered and used.
    fn held(&self, agent_id: &str) -> BTreeMap<String, Resources> {
        let snapshot = self.bench.core.snapshot();
        let agent = snapshot.agent(agent_id).unwrap();
        let mut held: BTreeMap<String, Resources> = BTreeMap::new();
        for (framework, used) in agent.used.iter() {
            *held.entry(framework.clone()).or_default() += &**used;
        }
        for offer in snapshot
            .offers
            .values()
            .filter(|offer| offer.agent_id == agent_id)
        {
            *held.entry(offer.framework_id.clone()).or_default() += &offer.resources;
        }
        held
    }

    /// MA-5, when nothing is on its way.
    pub(super) fn check_allocator(&self) {
        for agent in self.bench.core.snapshot().agents.values() {
            let held = self.held(&agent.id);
            let book = self.allocator.held(&agent.id).unwrap();
            let book: BTreeMap<String, Resources> = book
                .into_iter()
                .filter(|(_, resources)| !resources.is_empty())
                .map(|(framework, resources)| (framework.to_string(), resources))
                .collect();
            assert_eq!(book, held, "MA-5");
            let mut all = self.allocator.free(&agent.id).unwrap();
            all += held.into_values().sum::<Resources>().unallocate();
            assert_eq!(all, agent.total, "MA-5");
        }
    }
}
