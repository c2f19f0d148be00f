//! What the master tells the allocator, given to a real one.

use tepui_allocator::core::{
    AgentCapabilities, AgentSpec, FrameworkCapabilities, FrameworkSpec, Recovery, Use,
};
use tepui_protocol::mesos::v1::{Filters, FrameworkInfo, Resource};
use tepui_protocol::resources::Resources;
use tepui_protocol::tepui::allocator;

use super::cluster::Cluster;
use crate::core::ToAllocator;

impl Cluster {
    /// The allocator must agree to everything that the master says.
    pub(super) fn tell_allocator(&mut self, message: ToAllocator) {
        let (core, now) = (&mut self.allocator, self.bench.now);
        let told = match message {
            ToAllocator::AddFramework(m) => core.add_framework(
                now,
                &framework_spec(&m.framework_info, m.suppressed_roles),
                m.active,
                &uses(&m.used),
            ),
            ToAllocator::UpdateFramework(m) => {
                core.update_framework(now, &framework_spec(&m.framework_info, m.suppressed_roles))
            }
            ToAllocator::RemoveFramework(m) => core.remove_framework(now, &m.framework_id.value),
            ToAllocator::ActivateFramework(m) => {
                core.activate_framework(now, &m.framework_id.value)
            }
            ToAllocator::DeactivateFramework(m) => core.deactivate_framework(&m.framework_id.value),
            ToAllocator::AddAgent(m) => {
                let id = m.agent_info.id.clone().unwrap().value;
                self.incarnations.insert(id.clone(), m.incarnation);
                let added = core.add_agent(now, agent_spec(id.clone(), &m.total), &uses(&m.used));
                match m.active() {
                    true => added,
                    false => added.and_then(|()| core.deactivate_agent(&id)),
                }
            }
            ToAllocator::UpdateAgent(m) => {
                let id = m.agent_info.id.clone().unwrap().value;
                core.update_agent(now, agent_spec(id, &m.total))
            }
            ToAllocator::RemoveAgent(m) => core.remove_agent(&m.agent_id.value),
            ToAllocator::ActivateAgent(m) => core.activate_agent(now, &m.agent_id.value),
            ToAllocator::DeactivateAgent(m) => core.deactivate_agent(&m.agent_id.value),
            ToAllocator::Recover(m) => {
                let freed = Use {
                    framework: m.framework_id.value,
                    agent: m.agent_id.value,
                    resources: Resources::from_proto(&m.resources).unwrap(),
                };
                let refused = |f: &Filters| Recovery::refused_for(f.refuse_seconds());
                core.recover(
                    now,
                    &freed,
                    m.filters.as_ref().map_or(Recovery::Freed, refused),
                )
            }
            ToAllocator::Pause(m) => {
                let freed = Use {
                    framework: m.resources.framework_id.value,
                    agent: m.resources.agent_id.value,
                    resources: Resources::from_proto(&m.resources.resources).unwrap(),
                };
                core.recover(now, &freed, Recovery::Paused(m.pause))
            }
            ToAllocator::AddUse(m) => core.add_use(&uses(&[m.r#use])[0]),
            ToAllocator::Suppress(m) => core.suppress(&m.framework_id.value, &m.roles),
            ToAllocator::Revive(m) => core.revive(now, &m.framework_id.value, &m.roles),
            ToAllocator::UpdateWeights(_) => Ok(()),
        };
        assert_eq!(told, Ok(()));
    }
}

fn framework_spec(info: &FrameworkInfo, suppressed: Vec<String>) -> FrameworkSpec {
    FrameworkSpec {
        id: info.id.clone().unwrap().value,
        roles: ["*".to_owned()].into(),
        suppressed_roles: suppressed.into_iter().collect(),
        capabilities: FrameworkCapabilities::default(),
        ..FrameworkSpec::default()
    }
}

fn agent_spec(id: String, total: &[Resource]) -> AgentSpec {
    AgentSpec {
        id,
        hostname: String::new(),
        region: None,
        zone: None,
        attributes: Vec::new(),
        capabilities: AgentCapabilities {
            multi_role: true,
            hierarchical_role: true,
        },
        total: Resources::from_proto(total).unwrap(),
    }
}

fn uses(list: &[allocator::Use]) -> Vec<Use> {
    list.iter()
        .map(|one| Use {
            framework: one.framework_id.value.clone(),
            agent: one.agent_id.value.clone(),
            resources: Resources::from_proto(&one.resources).unwrap(),
        })
        .collect()
}
