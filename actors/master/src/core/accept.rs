//! ACCEPT: offers are taken, operations applied to them in order, the rest is declined.
//!
//! The call fails as a whole when any of its offers is not valid: its tasks are TASK_DROPPED (or
//! TASK_LOST), and those offers in it that were valid go back without a filter.
//! LAUNCH and LAUNCH_GROUP are done; every other operation is dropped by name, and with an id as
//! OPERATION_ERROR.
//! An offer is outstanding only while its agent is connected, so that what is accepted can be
//! sent to the agent at once.

use std::collections::BTreeSet;

use tepui_invariants::PlantedBug;
use tepui_protocol::mesos::internal::{ResourceVersionUuid, RunTask};
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::offer::Operation;
use tepui_protocol::mesos::v1::offer::operation::Type as OperationType;
use tepui_protocol::mesos::v1::scheduler::call::Accept;
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{
    Filters, HealthCheck, OfferId, OperationState, OperationStatus, TaskInfo, TaskState, Uuid,
    health_check,
};
use tepui_protocol::resources::Resources;

use super::frameworks::framework_id;
use super::operations::told;
use super::status::Refused;
use super::tasks::{holds, task_of};
use super::{MasterCore, ToAgent, amounts, supported_operation, validation};

/// What an ACCEPT works with: the offers of one agent in one role, taken together.
struct Taken {
    agent_id: String,
    role: String,
    resources: Resources,
}

impl MasterCore {
    pub(super) fn accept(&mut self, id: &str, accept: Accept) {
        for operation in &accept.operations {
            match operation.r#type() {
                OperationType::Launch if tasks_of(operation).is_empty() => {
                    self.count("master/messages_decline_offers");
                }
                OperationType::Launch => self.count("master/messages_launch_tasks"),
                _ => {}
            }
        }
        let valid = self.valid_offers(id, &accept.offer_ids);
        let taken = self.take_offers(id, &accept.offer_ids, valid.is_ok());
        match (valid, taken) {
            (Err(_), _) if self.applied_again(id, &accept.operations) => {}
            (Err(problem), _) => self.fail_operations(id, &accept.operations, &problem),
            (Ok(()), Some(taken)) => self.apply(id, taken, accept.operations, accept.filters),
            (Ok(()), None) => {}
        }
    }

    /// Mesos' `validation::offer::validate`, in its order and words.
    fn valid_offers(&self, id: &str, offer_ids: &[OfferId]) -> Result<(), String> {
        if offer_ids.is_empty() {
            return Err("No offers specified".to_owned());
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = offer_ids
            .iter()
            .find(|offer_id| !seen.insert(&offer_id.value))
        {
            return Err(format!("Duplicate offer {} in offer list", twice.value));
        }
        let mut first: Option<&crate::snapshot::Offer> = None;
        for offer_id in offer_ids {
            let offer_id = &offer_id.value;
            let Some(offer) = self.state.offers.get(offer_id) else {
                return Err(format!("Offer {offer_id} is no longer valid"));
            };
            if offer.framework_id != id {
                return Err(format!(
                    "Offer {offer_id} has invalid framework {} while framework {id} is expected",
                    offer.framework_id
                ));
            }
            let Some(first) = first else {
                first = Some(offer);
                continue;
            };
            if first.role != offer.role {
                return Err(format!(
                    "Aggregated offers must be allocated to the same role. Offer {offer_id} uses \
                     role {} but another is using role {}",
                    offer.role, first.role
                ));
            }
            if first.agent_id != offer.agent_id {
                return Err(format!(
                    "Aggregated offers must belong to one single agent. Offer {offer_id} uses \
                     agent {} and agent {}",
                    offer.agent_id, first.agent_id
                ));
            }
        }
        Ok(())
    }

    /// Takes the framework's offers from the books. If the call cannot go on, what they held
    /// goes back to the allocator without a filter.
    fn take_offers(&mut self, id: &str, offer_ids: &[OfferId], go_on: bool) -> Option<Taken> {
        let mut taken: Option<Taken> = None;
        for offer_id in offer_ids {
            let own = |offer: &&std::sync::Arc<crate::snapshot::Offer>| offer.framework_id == id;
            if self.state.offers.get(&offer_id.value).filter(own).is_none() {
                continue;
            }
            let Some(offer) = self.remove_offer(&offer_id.value) else {
                continue;
            };
            if !go_on {
                self.recover_offer(&offer, None);
                continue;
            }
            self.info(format!("framework {id} accepts offer {}", offer.id));
            self.count_offers(id, "accepted", 1);
            let taken = taken.get_or_insert_with(|| Taken {
                agent_id: offer.agent_id.clone(),
                role: offer.role.clone(),
                resources: Resources::default(),
            });
            taken.resources += &offer.resources;
        }
        taken
    }

    /// The bug of a master that knows operations by what they leave behind: those that come again,
    /// because their framework did not hear that they were applied, are applied again.
    fn applied_again(&mut self, id: &str, operations: &[Operation]) -> bool {
        if !self.planted(PlantedBug::OperationTwice) {
            return false;
        }
        let Some(framework) = self.state.framework(id) else {
            return false;
        };
        let known = |task: &TaskInfo| framework.tasks.get(&task.task_id.value).cloned();
        let all = operations.iter().flat_map(tasks_of);
        let again: Vec<_> = all
            .filter_map(|task| Some((task.clone(), known(task)?)))
            .filter(|(_, known)| holds(known.state()))
            .collect();
        let info = (*framework.info).clone();
        let any = !again.is_empty();
        for (mut task, known) in again {
            let agent_id = known.agent_id.value.clone();
            task.resources.clone_from(&known.resources);
            self.use_more(&agent_id, id, &amounts::trusted(&known.resources));
            self.add_task((*known).clone());
            let message = RunTask {
                framework_id: None,
                framework: info.clone(),
                launch_executor: Some(task.executor.is_none()),
                task,
                resource_version_uuids: Vec::new(),
                pid: None,
            };
            self.tell_agent(&agent_id, ToAgent::Run(message));
        }
        any
    }

    fn fail_operations(&mut self, id: &str, operations: &[Operation], problem: &str) {
        self.warn(format!("framework {id} accepts invalid offers: {problem}"));
        let aware = self
            .state
            .framework(id)
            .is_some_and(|f| f.can(Capability::PartitionAware));
        let state = if aware {
            TaskState::TaskDropped
        } else {
            TaskState::TaskLost
        };
        for operation in operations {
            match operation.r#type() {
                OperationType::Launch | OperationType::LaunchGroup => {
                    let refused = Refused {
                        state,
                        reason: Reason::InvalidOffers,
                        message: format!("Task launched with invalid offers: {problem}"),
                    };
                    self.refuse_tasks(id, tasks_of(operation), &refused);
                }
                _ => {
                    let problem = format!("Operation attempted with invalid offers: {problem}");
                    self.drop_operation(id, operation, &problem);
                }
            }
        }
    }

    fn apply(
        &mut self,
        id: &str,
        taken: Taken,
        operations: Vec<Operation>,
        filters: Option<Filters>,
    ) {
        let Taken {
            agent_id,
            role,
            mut resources,
        } = taken;
        let offered = resources.clone();
        for operation in operations {
            let kind = operation.r#type();
            if operation.id.is_some() && is_launch(kind) {
                let kind = kind.as_str_name();
                let problem = format!("The `id` field cannot be set on {kind} operations");
                self.refuse_launch(id, &operation, &problem);
            } else if supported_operation(kind) {
                if let Err(problem) = validation::of_launch(&operation) {
                    self.refuse_launch(id, &operation, &problem);
                    continue;
                }
                if kind == OperationType::LaunchGroup {
                    let group = operation.launch_group.clone().unwrap_or_default();
                    let launched = self.launch_group(id, &agent_id, &role, &mut resources, group);
                    if let Err(problem) = launched {
                        self.refuse_launch(id, &operation, &problem);
                    }
                    continue;
                }
                for task in operation.launch.unwrap_or_default().task_infos {
                    self.launch(id, &agent_id, &role, &mut resources, task);
                }
            } else {
                let problem = format!("operation {} is not supported", kind.as_str_name());
                self.drop_operation(id, &operation, &problem);
            }
        }
        // What the operations left over counts as declined, for the time the filters say. Whoever
        // used some of it and asks for no time at all has refused nothing: the rest is given out
        // at once, in the order of shares, to that framework too.
        let filters = filters.unwrap_or_default();
        let refused = resources == offered || filters.refuse_seconds() != 0.0;
        self.recover(id, &agent_id, &resources, refused.then_some(filters));
    }

    /// Validates one task against what is left of the offers, and sends it to the agent.
    fn launch(
        &mut self,
        id: &str,
        agent_id: &str,
        role: &str,
        left: &mut Resources,
        mut task: TaskInfo,
    ) {
        settle(&mut task, id, role);
        let Some(framework) = self.state.framework(id) else {
            return;
        };
        let Some(agent) = self.state.agent(agent_id) else {
            return;
        };
        let launch = validation::Launch {
            framework,
            agent,
            left,
            most_tasks: self.options.max_tasks_per_framework,
        };
        let taken = match validation::task(&task, &launch) {
            Ok(taken) => taken,
            Err(problem) => {
                let refused = Refused {
                    state: TaskState::TaskError,
                    reason: Reason::TaskInvalid,
                    message: problem,
                };
                return self.refuse_tasks(id, std::slice::from_ref(&task), &refused);
            }
        };
        let total = taken.total();
        *left -= &total;
        let message = RunTask {
            framework_id: None,
            framework: (*framework.info).clone(),
            task: task.clone(),
            resource_version_uuids: resource_versions(agent.resource_version.as_deref()),
            pid: None,
            launch_executor: Some(task.executor.is_none() || taken.executor.is_some()),
        };
        self.info(format!(
            "task {} of framework {id} launched on agent {agent_id} with {total}",
            task.task_id.value
        ));
        self.add_task(task_of(&task, &framework_id(id)));
        self.count_operation(id, OperationType::Launch);
        if let Some(executor) = task.executor.filter(|_| taken.executor.is_some()) {
            if let Some(scanty) = validation::scanty(&executor) {
                self.warn(format!("framework {id}: {scanty}"));
            }
            self.add_executor(id, agent_id, executor);
        }
        self.assert_in_one_place(agent_id);
        self.tell_agent(agent_id, ToAgent::Run(message));
    }

    fn refuse_launch(&mut self, id: &str, operation: &Operation, problem: &str) {
        let group = operation.r#type() == OperationType::LaunchGroup;
        let refused = Refused {
            state: TaskState::TaskError,
            reason: if group {
                Reason::TaskGroupInvalid
            } else {
                Reason::TaskInvalid
            },
            message: problem.to_owned(),
        };
        self.warn(format!("refusing operation of framework {id}: {problem}"));
        self.refuse_tasks(id, tasks_of(operation), &refused);
    }

    /// Mesos' `drop`: an operation with an id is answered, one without is only logged.
    fn drop_operation(&mut self, id: &str, operation: &Operation, problem: &str) {
        let kind = operation.r#type();
        self.warn(format!(
            "dropping {} operation of framework {id}: {problem}",
            kind.as_str_name()
        ));
        let Some(operation_id) = operation.id.clone() else {
            return;
        };
        let status = OperationStatus {
            operation_id: Some(operation_id),
            state: OperationState::OperationError as i32,
            message: Some(problem.to_owned()),
            ..OperationStatus::default()
        };
        self.event(id, told(status));
    }
}

fn is_launch(kind: OperationType) -> bool {
    matches!(kind, OperationType::Launch | OperationType::LaunchGroup)
}

fn tasks_of(operation: &Operation) -> &[TaskInfo] {
    match operation.r#type() {
        OperationType::Launch => operation.launch.as_ref().map_or(&[], |l| &l.task_infos),
        OperationType::LaunchGroup => operation
            .launch_group
            .as_ref()
            .map_or(&[], |l| &l.task_group.tasks),
        _ => &[],
    }
}

/// The version that the master saw the agent's own resources in.
pub(super) fn resource_versions(version: Option<&[u8]>) -> Vec<ResourceVersionUuid> {
    version
        .map(|version| ResourceVersionUuid {
            resource_provider_id: None,
            uuid: Uuid {
                value: version.to_vec().into(),
            },
        })
        .into_iter()
        .collect()
}

/// Fills in what a framework may leave out of a task: whose its executor is, in which role its
/// resources are allocated, and the type of its health check.
fn settle(task: &mut TaskInfo, framework: &str, role: &str) {
    amounts::adjust(&mut task.resources, role);
    if let Some(executor) = &mut task.executor {
        amounts::adjust(&mut executor.resources, role);
        executor
            .framework_id
            .get_or_insert_with(|| framework_id(framework));
    }
    infer_health_check_type(task.health_check.as_mut());
}

/// Mesos infers the type of a health check that names none: COMMAND with `command`, HTTP with
/// `http`.
pub(super) fn infer_health_check_type(check: Option<&mut HealthCheck>) {
    if let Some(check) = check
        && check.r#type.is_none()
    {
        check.r#type = if check.command.is_some() && check.http.is_none() {
            Some(health_check::Type::Command as i32)
        } else if check.command.is_none() && check.http.is_some() {
            Some(health_check::Type::Http as i32)
        } else {
            None
        };
    }
}
