//! KILL: the agent is told; what cannot be told now is told when the agent is back.

use tepui_invariants::PlantedBug;
use tepui_protocol::mesos::internal::KillTask;
use tepui_protocol::mesos::v1::scheduler::call::Kill;
use tepui_protocol::mesos::v1::scheduler::call::reconcile;

use super::{MasterCore, ToAgent};

impl MasterCore {
    pub(super) fn kill(&mut self, id: &str, kill: Kill) {
        let task_id = kill.task_id.value.clone();
        let task = if self.planted(PlantedBug::KillReachesAnother) {
            let mut all = self.state.frameworks.values();
            all.find_map(|framework| framework.tasks.get(&task_id))
        } else {
            let own = self.state.framework(id);
            own.and_then(|framework| framework.tasks.get(&task_id))
        };
        let Some(task) = task.cloned() else {
            self.info(format!(
                "framework {id} kills task {task_id}, which is unknown"
            ));
            let task = reconcile::Task {
                task_id: kill.task_id,
                agent_id: kill.agent_id,
            };
            return self.reconcile(id, std::slice::from_ref(&task));
        };
        if let Some(agent_id) = &kill.agent_id
            && *agent_id != task.agent_id
        {
            return self.warn(format!(
                "dropping KILL of task {task_id} of framework {id} on agent {}: \
                 the task is on agent {}",
                agent_id.value, task.agent_id.value
            ));
        }
        let agent_id = &task.agent_id.value;
        let connected = self.agent_mut(agent_id).is_some_and(|agent| {
            // Sent again if the agent comes back with the task alive.
            let key = (task.framework_id.value.clone(), task_id.clone());
            agent.killed.insert_mut(key);
            agent.connected
        });
        self.info(format!(
            "framework {id} kills task {task_id} on agent {agent_id}"
        ));
        if connected {
            let message = KillTask {
                framework_id: task.framework_id.clone(),
                task_id: kill.task_id,
                kill_policy: kill.kill_policy,
            };
            self.tell_agent(agent_id, ToAgent::Kill(message));
        } else {
            self.warn(format!(
                "agent {agent_id} is disconnected; it is told when it is back"
            ));
        }
    }
}
