//! What a scheduler may ask of its master while one of its methods runs.
//!
//! A driver only collects the calls; they are sent when the method returns. So a scheduler can be
//! tested without any actor: [`Driver::calls`] shows what it asked for.

use std::time::Duration;

use bytes::Bytes;
use tepui_protocol::mesos::v1::offer::Operation;
use tepui_protocol::mesos::v1::offer::operation;
use tepui_protocol::mesos::v1::scheduler::call::{self, reconcile};
use tepui_protocol::mesos::v1::scheduler::{Call, OfferConstraints};
use tepui_protocol::mesos::v1::{
    AgentId, ExecutorId, ExecutorInfo, Filters, FrameworkId, FrameworkInfo, KillPolicy, Offer,
    OfferId, Request, TaskGroupInfo, TaskId, TaskInfo, TaskStatus,
};
use tepui_runtime::Time;

/// Collects a scheduler's calls.
#[derive(Debug)]
pub struct Driver<'a> {
    framework_id: Option<&'a FrameworkId>,
    now: Time,
    asked: Asked,
}

/// What a scheduler asked for while one of its methods ran.
#[derive(Debug, Default)]
pub struct Asked {
    /// In this order.
    pub calls: Vec<Call>,
    /// The scheduler's actor is to end after them.
    pub stopped: bool,
    /// [`crate::Scheduler::wake`] is to be called after each of these.
    pub wakes: Vec<Duration>,
}

impl<'a> Driver<'a> {
    /// A driver for the framework of this id, if it has one yet, at this time.
    #[must_use]
    pub fn new(framework_id: Option<&'a FrameworkId>, now: Time) -> Driver<'a> {
        Driver {
            framework_id,
            now,
            asked: Asked::default(),
        }
    }

    /// The time at which the method began, by the clock of the actor's node.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Calls [`crate::Scheduler::wake`] after this time. It is not forgotten when the master is
    /// lost meanwhile.
    pub fn wake_after(&mut self, pause: Duration) {
        if !self.asked.wakes.contains(&pause) {
            self.asked.wakes.push(pause);
        }
    }

    /// The framework's id; `None` before it was subscribed.
    #[must_use]
    pub fn framework_id(&self) -> Option<&FrameworkId> {
        self.framework_id
    }

    /// The calls collected so far.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.asked.calls
    }

    /// All that was asked for.
    #[must_use]
    pub fn finish(self) -> Asked {
        self.asked
    }

    /// Any call, as it is; its framework id is filled in.
    pub fn call(&mut self, call: Call) {
        let framework_id = self.framework_id.cloned();
        self.asked.calls.push(Call {
            framework_id,
            ..call
        });
    }

    fn typed(&mut self, kind: call::Type, call: Call) {
        self.call(Call {
            r#type: Some(kind as i32),
            ..call
        });
    }

    /// ACCEPT: the offers are used for `operations`; what these leave is declined with `filters`
    /// (by default, not offered again for 5 seconds).
    pub fn accept(
        &mut self,
        offer_ids: Vec<OfferId>,
        operations: Vec<Operation>,
        filters: Option<Filters>,
    ) {
        let accept = call::Accept {
            offer_ids,
            operations,
            filters,
        };
        self.typed(
            call::Type::Accept,
            Call {
                accept: Some(accept),
                ..Call::default()
            },
        );
    }

    /// ACCEPT with one LAUNCH: runs `tasks` on the offer.
    pub fn launch(&mut self, offer: &Offer, tasks: impl IntoIterator<Item = TaskInfo>) {
        self.launch_on(vec![offer.id.clone()], tasks, None);
    }

    /// The same on several offers of one agent to one role; what is left of them is declined with
    /// `filters`.
    pub fn launch_on(
        &mut self,
        offer_ids: Vec<OfferId>,
        tasks: impl IntoIterator<Item = TaskInfo>,
        filters: Option<Filters>,
    ) {
        let operation = Operation {
            r#type: Some(operation::Type::Launch as i32),
            launch: Some(operation::Launch {
                task_infos: tasks.into_iter().collect(),
            }),
            ..Operation::default()
        };
        self.accept(offer_ids, vec![operation], filters);
    }

    /// ACCEPT with one LAUNCH_GROUP: `executor` is given all of `tasks`, or none of them. The
    /// framework of the executor is filled in, also in tasks that name it.
    pub fn launch_group(
        &mut self,
        offer: &Offer,
        mut executor: ExecutorInfo,
        tasks: impl IntoIterator<Item = TaskInfo>,
    ) {
        let id = self.framework_id;
        let owned = |executor: &mut ExecutorInfo| {
            if executor.framework_id.is_none() {
                executor.framework_id = id.cloned();
            }
        };
        owned(&mut executor);
        let tasks = tasks.into_iter().map(|mut task| {
            task.executor.as_mut().map(owned);
            task
        });
        let operation = Operation {
            r#type: Some(operation::Type::LaunchGroup as i32),
            launch_group: Some(operation::LaunchGroup {
                executor,
                task_group: TaskGroupInfo {
                    tasks: tasks.collect(),
                },
            }),
            ..Operation::default()
        };
        self.accept(vec![offer.id.clone()], vec![operation], None);
    }

    /// DECLINE: these resources are not wanted for the next 5 seconds.
    pub fn decline(&mut self, offer: &Offer) {
        self.decline_with(vec![offer.id.clone()], None);
    }

    /// DECLINE, with the time for which they are not wanted.
    pub fn decline_with(&mut self, offer_ids: Vec<OfferId>, filters: Option<Filters>) {
        let decline = call::Decline { offer_ids, filters };
        self.typed(
            call::Type::Decline,
            Call {
                decline: Some(decline),
                ..Call::default()
            },
        );
    }

    /// KILL: the task ends; an update tells when.
    pub fn kill(
        &mut self,
        task_id: TaskId,
        agent_id: Option<AgentId>,
        kill_policy: Option<KillPolicy>,
    ) {
        let kill = call::Kill {
            task_id,
            agent_id,
            kill_policy,
        };
        self.typed(
            call::Type::Kill,
            Call {
                kill: Some(kill),
                ..Call::default()
            },
        );
    }

    /// ACKNOWLEDGE: the update is dealt with, and need not be sent again. Needed only where
    /// acknowledging is not automatic; an update without uuid needs none.
    pub fn acknowledge(&mut self, status: &TaskStatus) {
        if let (Some(uuid), Some(agent_id)) = (status.uuid.clone(), status.agent_id.clone()) {
            let acknowledge = call::Acknowledge {
                agent_id,
                task_id: status.task_id.clone(),
                uuid,
            };
            let call = Call {
                acknowledge: Some(acknowledge),
                ..Call::default()
            };
            self.typed(call::Type::Acknowledge, call);
        }
    }

    /// RECONCILE: the master tells the state of these tasks, of all known ones if there are none.
    pub fn reconcile(&mut self, tasks: impl IntoIterator<Item = (TaskId, Option<AgentId>)>) {
        let tasks = tasks
            .into_iter()
            .map(|(task_id, agent_id)| reconcile::Task { task_id, agent_id })
            .collect();
        let call = Call {
            reconcile: Some(call::Reconcile { tasks }),
            ..Call::default()
        };
        self.typed(call::Type::Reconcile, call);
    }

    /// REVIVE: offers again for these roles (for all if there are none), whatever was declined.
    pub fn revive(&mut self, roles: Vec<String>) {
        let call = Call {
            revive: Some(call::Revive { roles }),
            ..Call::default()
        };
        self.typed(call::Type::Revive, call);
    }

    /// SUPPRESS: no offers for these roles (for all if there are none) until REVIVE.
    pub fn suppress(&mut self, roles: Vec<String>) {
        let call = Call {
            suppress: Some(call::Suppress { roles }),
            ..Call::default()
        };
        self.typed(call::Type::Suppress, call);
    }

    /// UPDATE_FRAMEWORK: what the framework says of itself from now on, in the place of all that it
    /// said before; its id is filled in. The user, the principal and whether it is checkpointed
    /// cannot change: the master drops such a call, and refuses the next subscription.
    pub fn update_framework(
        &mut self,
        framework_info: FrameworkInfo,
        suppressed_roles: Vec<String>,
        offer_constraints: Option<OfferConstraints>,
    ) {
        let framework_info = FrameworkInfo {
            id: self.framework_id.cloned(),
            ..framework_info
        };
        let update = call::UpdateFramework {
            framework_info,
            suppressed_roles,
            offer_constraints,
        };
        let call = Call {
            update_framework: Some(update),
            ..Call::default()
        };
        self.typed(call::Type::UpdateFramework, call);
    }

    /// REQUEST: what the framework would like to be offered. Masters take it and do nothing of it,
    /// as Mesos' own allocator.
    pub fn request(&mut self, requests: Vec<Request>) {
        let call = Call {
            request: Some(call::Request { requests }),
            ..Call::default()
        };
        self.typed(call::Type::Request, call);
    }

    /// MESSAGE: bytes for an executor, which may be lost.
    pub fn message(&mut self, agent_id: AgentId, executor_id: ExecutorId, data: Bytes) {
        let message = call::Message {
            agent_id,
            executor_id,
            data,
        };
        self.typed(
            call::Type::Message,
            Call {
                message: Some(message),
                ..Call::default()
            },
        );
    }

    /// SHUTDOWN: the executor ends, with all its tasks.
    pub fn shutdown(&mut self, executor_id: ExecutorId, agent_id: AgentId) {
        let shutdown = call::Shutdown {
            executor_id,
            agent_id,
        };
        self.typed(
            call::Type::Shutdown,
            Call {
                shutdown: Some(shutdown),
                ..Call::default()
            },
        );
    }

    /// TEARDOWN: all tasks are killed, the framework is over, and its actor ends.
    pub fn teardown(&mut self) {
        self.typed(call::Type::Teardown, Call::default());
        self.asked.stopped = true;
    }

    /// Ends the actor and leaves the tasks running, for a scheduler that will come back with the
    /// same framework id within its failover timeout.
    pub fn stop(&mut self) {
        self.asked.stopped = true;
    }
}
