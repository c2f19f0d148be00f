//! LAUNCH_GROUP: tasks that are launched by one executor, all or none.
//! Not here: what a group must be (`validation`), and tasks that are launched alone (`accept`).

use tepui_protocol::mesos::internal::RunTaskGroup;
use tepui_protocol::mesos::v1::TaskGroupInfo;
use tepui_protocol::mesos::v1::offer::operation::{LaunchGroup, Type as OperationType};
use tepui_protocol::resources::Resources;

use super::accept::{infer_health_check_type, resource_versions};
use super::frameworks::framework_id;
use super::tasks::task_of;
use super::{MasterCore, ToAgent, amounts, validation};

impl MasterCore {
    /// Validates a group against what is left of the offers, and sends it to the agent.
    ///
    /// # Errors
    /// Why it is not launched.
    pub(super) fn launch_group(
        &mut self,
        id: &str,
        agent_id: &str,
        role: &str,
        left: &mut Resources,
        mut group: LaunchGroup,
    ) -> Result<(), String> {
        amounts::adjust(&mut group.executor.resources, role);
        for task in &mut group.task_group.tasks {
            amounts::adjust(&mut task.resources, role);
            if let Some(executor) = &mut task.executor {
                amounts::adjust(&mut executor.resources, role);
            }
            infer_health_check_type(task.health_check.as_mut());
        }
        let (Some(framework), Some(agent)) = (self.state.framework(id), self.state.agent(agent_id))
        else {
            return Ok(());
        };
        let launch = validation::Launch {
            framework,
            agent,
            left,
            most_tasks: self.options.max_tasks_per_framework,
        };
        let taken = validation::group(&group, &launch)?;
        let total = taken.total();
        *left -= &total;
        let LaunchGroup {
            executor,
            task_group: TaskGroupInfo { mut tasks },
        } = group;
        for task in &mut tasks {
            task.executor = Some(executor.clone());
        }
        let message = RunTaskGroup {
            framework: (*framework.info).clone(),
            executor: executor.clone(),
            task_group: TaskGroupInfo {
                tasks: tasks.clone(),
            },
            resource_version_uuids: resource_versions(agent.resource_version.as_deref()),
            launch_executor: Some(taken.executor.is_some()),
        };
        let ids: Vec<&str> = tasks.iter().map(|task| &*task.task_id.value).collect();
        self.info(format!(
            "task group {ids:?} of framework {id} launched on agent {agent_id} with {total}"
        ));
        for task in &tasks {
            self.add_task(task_of(task, &framework_id(id)));
        }
        self.count_operation(id, OperationType::LaunchGroup);
        if taken.executor.is_some() {
            self.add_executor(id, agent_id, executor);
        }
        self.assert_in_one_place(agent_id);
        self.tell_agent(agent_id, ToAgent::RunGroup(message));
        Ok(())
    }
}
