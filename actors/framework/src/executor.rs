//! An executor as an actor: the thin counterpart of a scheduler, for tasks that are actors
//! themselves.
//!
//! It keeps what is not acknowledged (tasks without an update, updates), and tells it to the
//! agent when it subscribes again, as Mesos' executor library does.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tepui_protocol::mesos::v1::executor::{Call, Event, call, event};
use tepui_protocol::mesos::v1::{
    AgentInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, KillPolicy, TaskGroupInfo,
    TaskId, TaskInfo, TaskStatus, task_status,
};
use tepui_runtime::{
    Context, Declaration, Handle, Id, Node, Pid, Process, ProcessRef, SpawnError, Time,
};

use crate::environment::ExecutorOptions;
use crate::subscription::{Attempt, Subscription};

/// What an executor does.
pub trait Executor: Send + 'static {
    /// It is subscribed, for the first time or again.
    fn subscribed(
        &mut self,
        driver: &mut ExecutorDriver,
        executor: ExecutorInfo,
        framework: FrameworkInfo,
        agent: AgentInfo,
    ) {
        let _ = (driver, executor, framework, agent);
    }

    /// Run this task.
    fn launch(&mut self, driver: &mut ExecutorDriver, task: TaskInfo);

    /// Run these tasks together; by default one after the other.
    fn launch_group(&mut self, driver: &mut ExecutorDriver, group: TaskGroupInfo) {
        for task in group.tasks {
            self.launch(driver, task);
        }
    }

    /// End this task.
    fn kill(&mut self, driver: &mut ExecutorDriver, task_id: TaskId, policy: Option<KillPolicy>);

    /// Bytes from the scheduler.
    fn message(&mut self, driver: &mut ExecutorDriver, data: Bytes) {
        let _ = (driver, data);
    }

    /// End all tasks; the actor ends after this, unless it wants to [`ExecutorDriver::stay`].
    fn shutdown(&mut self, driver: &mut ExecutorDriver) {
        let _ = driver;
    }

    /// A time of [`ExecutorDriver::wake_after`] has come.
    fn wake(&mut self, driver: &mut ExecutorDriver) {
        let _ = driver;
    }

    /// The agent is gone; updates are kept until it is back. Without checkpoints, and where it
    /// does not come back in time, [`Executor::shutdown`] follows.
    fn disconnected(&mut self, driver: &mut ExecutorDriver) {
        let _ = driver;
    }
}

/// Collects what an executor says while one of its methods runs.
#[derive(Debug, Default)]
pub struct ExecutorDriver {
    now: Time,
    updates: Vec<TaskStatus>,
    messages: Vec<Bytes>,
    wakes: Vec<Duration>,
    stays: bool,
    stopped: bool,
}

impl ExecutorDriver {
    /// The time at which the method began, by the clock of the actor's node.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Calls [`Executor::wake`] after this time.
    pub fn wake_after(&mut self, pause: Duration) {
        self.wakes.push(pause);
    }

    /// In [`Executor::shutdown`]: its tasks take a while to end, and [`ExecutorDriver::stop`]
    /// follows. The agent destroys what has not ended within its grace period.
    pub fn stay(&mut self) {
        self.stays = true;
    }

    /// UPDATE: the state of a task. uuid, source, executor id and time are filled in.
    pub fn update(&mut self, status: TaskStatus) {
        self.updates.push(status);
    }

    /// MESSAGE: bytes for the scheduler, which may be lost.
    pub fn message(&mut self, data: Bytes) {
        self.messages.push(data);
    }

    /// Ends the actor.
    pub fn stop(&mut self) {
        self.stopped = true;
    }
}

/// Starts an executor that subscribes to `agent` under the ids it was launched with, for a
/// framework that asked for checkpoints.
///
/// # Errors
/// [`SpawnError`] where the node is down.
pub fn spawn_executor<E: Executor>(
    node: &Node,
    agent: Pid,
    framework_id: FrameworkId,
    executor_id: ExecutorId,
    executor: E,
) -> Result<Pid, SpawnError> {
    let options = ExecutorOptions::new(agent, framework_id, executor_id);
    spawn_executor_with(node, options, executor)
}

/// Starts an executor with these options, as [`ExecutorOptions::from_environment`] reads them
/// from what an agent has set.
///
/// # Errors
/// [`SpawnError`] where the node is down.
pub fn spawn_executor_with<E: Executor>(
    node: &Node,
    options: ExecutorOptions,
    executor: E,
) -> Result<Pid, SpawnError> {
    let process = ExecutorProcess {
        executor,
        agent: options.agent,
        framework_id: options.framework_id,
        executor_id: options.executor_id,
        recovery: options.recovery,
        losses: 0,
        subscription: Subscription::new(options.subscription_backoff_max),
        unacknowledged_tasks: BTreeMap::new(),
        unacknowledged_updates: VecDeque::new(),
    };
    let process: ProcessRef<_> = node.spawn(Id::Prefix("executor".to_owned()), process)?;
    Ok(process.pid().clone())
}

/// The actor around an executor.
struct ExecutorProcess<E> {
    executor: E,
    agent: Pid,
    framework_id: FrameworkId,
    executor_id: ExecutorId,
    /// How long a lost agent is waited for.
    recovery: Option<Duration>,
    /// How often the agent was lost, by which a timer knows whether it is stale.
    losses: u64,
    subscription: Subscription,
    /// Tasks of which no update was acknowledged, by id.
    unacknowledged_tasks: BTreeMap<String, TaskInfo>,
    /// Updates that the agent has not stored, oldest first.
    unacknowledged_updates: VecDeque<TaskStatus>,
}

impl<E: Executor> Process for ExecutorProcess<E> {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Event>();
    }

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        let attempt = self.subscription.start(ctx.random());
        self.attempt(attempt, ctx);
    }

    fn exited(&mut self, pid: &Pid, ctx: &mut Context<'_, Self>) {
        if *pid != self.agent {
            return;
        }
        if let Some(attempt) = self.subscription.lost(ctx.random()) {
            self.run(ctx, |executor, driver| executor.disconnected(driver));
            let Some(recovery) = self.recovery else {
                self.shut_down(
                    "the agent is gone, and its framework asked for no checkpoints",
                    ctx,
                );
                return;
            };
            self.losses += 1;
            let loss = self.losses;
            ctx.delay(recovery, move |process, ctx| {
                if process.losses == loss && !process.subscription.is_subscribed() {
                    process.shut_down("the agent did not come back in time", ctx);
                }
            });
            self.attempt(attempt, ctx);
        }
    }
}

impl<E: Executor> Handle<Event> for ExecutorProcess<E> {
    fn handle(&mut self, event: Event, ctx: &mut Context<'_, Self>) {
        if *ctx.sender() != self.agent {
            tracing::warn!(from = %ctx.sender(), agent = %self.agent, "not from the agent");
            return;
        }
        match event.r#type() {
            event::Type::Subscribed => {
                let subscribed = event.subscribed.unwrap_or_default();
                if self.subscription.subscribed() {
                    self.run(ctx, |executor, driver| {
                        executor.subscribed(
                            driver,
                            subscribed.executor_info,
                            subscribed.framework_info,
                            subscribed.agent_info,
                        );
                    });
                }
            }
            event::Type::Launch => {
                if let Some(launch) = event.launch {
                    self.know(&launch.task);
                    self.run(ctx, |executor, driver| executor.launch(driver, launch.task));
                }
            }
            event::Type::LaunchGroup => {
                if let Some(launch) = event.launch_group {
                    launch
                        .task_group
                        .tasks
                        .iter()
                        .for_each(|task| self.know(task));
                    let group = launch.task_group;
                    self.run(ctx, |executor, driver| executor.launch_group(driver, group));
                }
            }
            event::Type::Kill => {
                if let Some(event::Kill {
                    task_id,
                    kill_policy,
                }) = event.kill
                {
                    self.run(ctx, |executor, driver| {
                        executor.kill(driver, task_id, kill_policy)
                    });
                }
            }
            event::Type::Acknowledged => {
                if let Some(event::Acknowledged { task_id, uuid }) = event.acknowledged {
                    self.unacknowledged_tasks.remove(&task_id.value);
                    let mut kept = self.unacknowledged_updates.iter();
                    // They come in order: it is one of the first.
                    let place = kept.position(|kept| kept.uuid.as_ref() == Some(&uuid));
                    place.and_then(|place| self.unacknowledged_updates.remove(place));
                }
            }
            event::Type::Message => {
                if let Some(message) = event.message {
                    self.run(ctx, |executor, driver| {
                        executor.message(driver, message.data)
                    });
                }
            }
            event::Type::Shutdown | event::Type::Error => {
                let why = event.error.map(|error| error.message).unwrap_or_default();
                self.shut_down(&why, ctx);
            }
            event::Type::Heartbeat | event::Type::Unknown => {}
        }
    }
}

impl<E: Executor> ExecutorProcess<E> {
    fn shut_down(&mut self, why: &str, ctx: &mut Context<'_, Self>) {
        tracing::info!(executor = self.executor_id.value, why, "shut down");
        let stays = self.run(ctx, |executor, driver| executor.shutdown(driver));
        if !stays {
            ctx.terminate();
        }
    }

    /// A method of its own: one that is generic over the work would be so without end.
    fn wake(&mut self, ctx: &mut Context<'_, Self>) {
        self.run(ctx, |executor, driver| executor.wake(driver));
    }

    fn know(&mut self, task: &TaskInfo) {
        self.unacknowledged_tasks
            .insert(task.task_id.value.clone(), task.clone());
    }

    fn call(&self, kind: call::Type) -> Call {
        Call {
            executor_id: self.executor_id.clone(),
            framework_id: self.framework_id.clone(),
            r#type: Some(kind as i32),
            ..Call::default()
        }
    }

    fn attempt(&mut self, attempt: Attempt, ctx: &mut Context<'_, Self>) {
        if attempt.subscribe {
            let updates = self.unacknowledged_updates.iter().cloned();
            let subscribe = call::Subscribe {
                unacknowledged_tasks: self.unacknowledged_tasks.values().cloned().collect(),
                unacknowledged_updates: updates.map(|status| call::Update { status }).collect(),
            };
            let call = Call {
                subscribe: Some(subscribe),
                ..self.call(call::Type::Subscribe)
            };
            ctx.link(&self.agent);
            ctx.send(&self.agent, call);
        }
        ctx.delay(attempt.pause, move |process, ctx| {
            if let Some(attempt) = process.subscription.timer(attempt.number, ctx.random()) {
                process.attempt(attempt, ctx);
            }
        });
    }

    /// Lets the executor work; gives whether it wants to stay.
    fn run(
        &mut self,
        ctx: &mut Context<'_, Self>,
        work: impl FnOnce(&mut E, &mut ExecutorDriver),
    ) -> bool {
        let mut driver = ExecutorDriver {
            now: ctx.now(),
            ..ExecutorDriver::default()
        };
        work(&mut self.executor, &mut driver);
        for status in driver.updates {
            let status = self.complete(status, ctx.now(), *ctx.uuid().as_bytes());
            self.unacknowledged_updates.push_back(status.clone());
            if self.subscription.is_subscribed() {
                let update = Some(call::Update { status });
                ctx.send(
                    &self.agent,
                    Call {
                        update,
                        ..self.call(call::Type::Update)
                    },
                );
            }
        }
        for data in driver.messages {
            if self.subscription.is_subscribed() {
                let message = Some(call::Message { data });
                ctx.send(
                    &self.agent,
                    Call {
                        message,
                        ..self.call(call::Type::Message)
                    },
                );
            }
        }
        for pause in driver.wakes {
            ctx.delay(pause, Self::wake);
        }
        if driver.stopped {
            ctx.terminate();
        }
        driver.stays
    }

    fn complete(&self, status: TaskStatus, now: Time, uuid: [u8; 16]) -> TaskStatus {
        TaskStatus {
            uuid: Some(Bytes::copy_from_slice(&uuid)),
            source: Some(task_status::Source::Executor as i32),
            executor_id: Some(self.executor_id.clone()),
            timestamp: status.timestamp.or(Some(now.as_secs_f64())),
            ..status
        }
    }
}
