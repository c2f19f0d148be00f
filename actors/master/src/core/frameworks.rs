//! A framework's life after it subscribed: it disconnects, comes back or not, is removed.
//!
//! ```text
//!   (agents know it) ──> RECOVERED ──subscribe──┐
//!                            │                  v
//!   subscribe ─────────────────────────> CONNECTED, active <──┐
//!                            │                  │ exited      │ subscribe with the id
//!                            │                  v             │
//!                            │            DISCONNECTED ───────┘
//!                            │                  │ failover_timeout, or at once if it is 0
//!                        TEARDOWN               v
//!                            └──────────────> completed
//! ```
//!
//! A recovered framework has no timer: one that never subscribes again stays until TEARDOWN.
//! Not here: SUBSCRIBE itself (`subscribe`).

use std::sync::Arc;

use tepui_invariants::PlantedBug;
use tepui_protocol::mesos::internal::ShutdownFramework;
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{FrameworkId, FrameworkInfo, TaskState};
use tepui_protocol::tepui::allocator as to_allocator;

use super::status::Made;
use super::tasks::Destiny;
use super::{Effect, MasterCore, Timer, ToAgent, ToAllocator};
use crate::snapshot::{Bounded, Connection, Framework, Map, Set};
use tepui_protocol::resources::Resources;

/// Of so many tasks that were refused each framework remembers why.
const MAX_REFUSED_TASKS: usize = 100;

pub(super) fn framework_id(id: &str) -> FrameworkId {
    FrameworkId {
        value: id.to_owned(),
    }
}

impl MasterCore {
    /// A framework with nothing yet.
    pub(super) fn new_framework(&self, info: FrameworkInfo, connection: Connection) -> Framework {
        let id = info
            .id
            .as_ref()
            .map(|id| id.value.clone())
            .unwrap_or_default();
        Framework {
            id,
            info: Arc::new(info),
            active: matches!(connection, Connection::Connected(_)),
            connection,
            suppressed_roles: Arc::default(),
            offer_constraints: Arc::default(),
            registered_at: self.now,
            reregistered_at: None,
            unregistered_at: None,
            tasks: Map::new_sync(),
            unreachable_tasks: Bounded::new(self.options.max_unreachable_tasks_per_framework),
            completed_tasks: Bounded::new(self.options.max_completed_tasks_per_framework),
            completed_count: 0,
            refused_tasks: Bounded::new(MAX_REFUSED_TASKS),
            executors: Map::new_sync(),
            offers: Set::new_sync(),
            used: Resources::default(),
        }
    }

    /// Puts a framework into the books and tells the allocator, which counts what it uses already.
    pub(super) fn add_framework(&mut self, framework: Framework) {
        let message = to_allocator::AddFramework {
            framework_info: (*framework.info).clone(),
            active: framework.active,
            suppressed_roles: framework.suppressed_roles.iter().cloned().collect(),
            used: Vec::new(),
            offer_constraints: Some((*framework.offer_constraints).clone()),
        };
        if let Some(pid) = framework.pid() {
            self.book
                .framework_of
                .insert(pid.clone(), framework.id.clone());
        }
        self.changed = true;
        self.state
            .frameworks
            .insert_mut(framework.id.clone(), Arc::new(framework));
        self.tell_allocator(ToAllocator::AddFramework(message));
    }

    /// The framework's link broke.
    pub(super) fn framework_exited(&mut self, id: &str) {
        let Some(framework) = self.state.framework(id) else {
            return;
        };
        let Some(pid) = framework.pid().cloned() else {
            return;
        };
        let timeout = framework.failover_timeout();
        self.deactivate(id, true);
        self.effects
            .push(Effect::Cancel(Timer::Heartbeat(id.to_owned())));
        self.book.framework_of.remove(&pid);
        if let Some(framework) = self.framework_mut(id) {
            framework.connection = Connection::Disconnected;
        }
        self.gauge_subscribed(id);
        self.info(format!(
            "framework {id} at {pid} disconnected, has {timeout:?} to fail over"
        ));
        if timeout.is_zero() {
            self.remove_framework(id);
        } else {
            self.arm(Timer::FrameworkFailover(id.to_owned()), timeout);
        }
    }

    pub(super) fn failover_timed_out(&mut self, id: &str) {
        let kept = self.planted(PlantedBug::FailoverTimerKept);
        let gone = |framework: &Framework| framework.connection == Connection::Disconnected || kept;
        if self.state.framework(id).is_some_and(gone) {
            self.info(format!("framework {id} did not fail over in time"));
            self.remove_framework(id);
        }
    }

    /// No offers for the framework from now on; those it has are taken back.
    pub(super) fn deactivate(&mut self, id: &str, rescind: bool) {
        let Some(framework) = self.state.framework(id) else {
            return;
        };
        if framework.active {
            self.tell_allocator(ToAllocator::DeactivateFramework(
                to_allocator::DeactivateFramework {
                    framework_id: framework_id(id),
                },
            ));
            if let Some(framework) = self.framework_mut(id) {
                framework.active = false;
            }
        }
        self.take_back_offers_of_framework(id, rescind);
    }

    pub(super) fn teardown(&mut self, id: &str) {
        self.info(format!("framework {id} is torn down"));
        self.remove_framework(id);
    }

    /// Mesos' `removeFramework`: its tasks and executors end, and nobody tells it so.
    pub(super) fn remove_framework(&mut self, id: &str) {
        self.deactivate(id, false);
        for timer in [Timer::Heartbeat, Timer::FrameworkFailover] {
            self.effects.push(Effect::Cancel(timer(id.to_owned())));
        }
        let agents: Vec<String> = self.state.agents.keys().cloned().collect();
        for agent_id in agents {
            let message = ShutdownFramework {
                framework_id: framework_id(id),
            };
            self.tell_agent(&agent_id, ToAgent::ShutdownFramework(message));
        }
        self.end_tasks_of(id);
        let Some(framework) = self.state.frameworks.get(id) else {
            return;
        };
        let mut framework = Arc::unwrap_or_clone(framework.clone());
        if let Some(pid) = framework.pid() {
            self.book.framework_of.remove(pid);
        }
        framework.connection = Connection::Disconnected;
        framework.unregistered_at = Some(self.now);
        self.changed = true;
        self.state.frameworks.remove_mut(id);
        let forgotten = self
            .state
            .completed_frameworks
            .insert(id.to_owned(), Arc::new(framework));
        self.gauge_subscribed(id);
        self.tell_allocator(ToAllocator::RemoveFramework(
            to_allocator::RemoveFramework {
                framework_id: framework_id(id),
            },
        ));
        self.info(format!("framework {id} removed"));
        if let Some((_, forgotten)) = forgotten {
            self.forget_metrics(&forgotten);
        }
    }

    /// Ends the tasks of a framework that is being removed: TASK_KILLED, in the books only.
    fn end_tasks_of(&mut self, id: &str) {
        let Some(framework) = self.state.framework(id) else {
            return;
        };
        let tasks: Vec<String> = framework.tasks.keys().cloned().collect();
        let executors: Vec<_> = framework.executors.keys().cloned().collect();
        let unreachable: Vec<_> = framework
            .unreachable_tasks
            .iter()
            .map(|(id, _)| id.clone())
            .collect();
        for task_id in tasks {
            let made = Made {
                state: TaskState::TaskKilled,
                reason: Reason::FrameworkRemoved,
                message: format!("Framework {id} removed"),
                unreachable_since: None,
            };
            if let Some(update) = self.update_for(id, &task_id, &made) {
                self.update_task(id, &task_id, &update);
            }
            self.remove_task(id, &task_id, Destiny::Completed);
        }
        for (agent_id, executor_id) in executors {
            self.remove_executor(id, &agent_id, &executor_id);
        }
        for task_id in unreachable {
            self.complete_unreachable_task(id, &task_id);
        }
    }
}
