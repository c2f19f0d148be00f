//! A scheduler as an actor.
//!
//! ```text
//!   SUBSCRIBE (again and again) ──► SUBSCRIBED ──► offers, updates … ──► teardown or ERROR: over
//!            ▲                                          │
//!            └──(the master is gone or silent: disconnected)
//! ```
//!
//! A way may break in one direction only: the master cannot reach the scheduler and takes it for
//! disconnected, while what the scheduler sends still arrives. Nothing tells the scheduler but the
//! heartbeats that stay away.
//!
//! The actor owns the author's [`Scheduler`] and gives it the master's events, one at a time.

use std::time::Duration;

use bytes::Bytes;
use tepui_protocol::mesos::v1::scheduler::{Call, Event, OfferConstraints, event};
use tepui_protocol::mesos::v1::{
    AgentId, ExecutorId, FrameworkId, FrameworkInfo, InverseOffer, MasterInfo, Offer, OfferId,
    OperationStatus, TaskStatus,
};
use tepui_runtime::{
    Context, Declaration, Handle, Id, Node, Pid, Process, ProcessRef, SpawnError, Time,
};

use crate::driver::Driver;
use crate::subscription::{Attempt, Subscription};
use crate::wishes::Wishes;

/// Longest pause between two SUBSCRIBEs (Mesos' REGISTRATION_RETRY_INTERVAL_MAX).
const RETRY_MAX: Duration = Duration::from_secs(60);

/// A master that says nothing for so many of its heartbeats is gone (as agents have it by its
/// pings).
const HEARTBEATS_MISSED: u32 = 5;

/// What a framework decides. Only [`Scheduler::offers`] and [`Scheduler::update`] have to be
/// written; what the others do not answer is nothing.
pub trait Scheduler: Send + 'static {
    /// The framework is subscribed, for the first time or again.
    fn subscribed(
        &mut self,
        driver: &mut Driver<'_>,
        framework_id: &FrameworkId,
        master: Option<&MasterInfo>,
    ) {
        let _ = (driver, framework_id, master);
    }

    /// Resources are offered. They stay reserved for this framework until it accepts or declines
    /// them, or they are rescinded.
    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>);

    /// An offer is not valid any more.
    fn rescind(&mut self, driver: &mut Driver<'_>, offer_id: OfferId) {
        let _ = (driver, offer_id);
    }

    /// The state of a task. It may come more than once until it is acknowledged.
    fn update(&mut self, driver: &mut Driver<'_>, status: TaskStatus);

    /// The state of an operation that was given an id.
    fn operation(&mut self, driver: &mut Driver<'_>, status: OperationStatus) {
        let _ = (driver, status);
    }

    /// An agent with resources of this framework is to be emptied for maintenance.
    fn inverse_offers(&mut self, driver: &mut Driver<'_>, offers: Vec<InverseOffer>) {
        let _ = (driver, offers);
    }

    /// An inverse offer is not valid any more.
    fn rescind_inverse_offer(&mut self, driver: &mut Driver<'_>, offer_id: OfferId) {
        let _ = (driver, offer_id);
    }

    /// Bytes from an executor.
    fn message(
        &mut self,
        driver: &mut Driver<'_>,
        agent_id: AgentId,
        executor_id: ExecutorId,
        data: Bytes,
    ) {
        let _ = (driver, agent_id, executor_id, data);
    }

    /// An agent (no `executor_id`) or an executor is gone. Its tasks are told of one by one.
    fn failure(
        &mut self,
        driver: &mut Driver<'_>,
        agent_id: Option<AgentId>,
        executor_id: Option<ExecutorId>,
        status: Option<i32>,
    ) {
        let _ = (driver, agent_id, executor_id, status);
    }

    /// The master is gone; what is called until the next `subscribed` is dropped, but for what
    /// changes the subscription itself: an UPDATE_FRAMEWORK, SUPPRESS or REVIVE goes into the next
    /// SUBSCRIBE.
    fn disconnected(&mut self, driver: &mut Driver<'_>) {
        let _ = driver;
    }

    /// A time of [`Driver::wake_after`] has come, whether the framework is subscribed or not.
    fn wake(&mut self, driver: &mut Driver<'_>) {
        let _ = driver;
    }

    /// The master ended the subscription for good; the actor ends after this.
    fn error(&mut self, driver: &mut Driver<'_>, message: String) {
        let _ = (driver, message);
    }
}

/// How a scheduler's actor behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The actor's id.
    pub id: Id,
    /// Acknowledge an update once [`Scheduler::update`] returned.
    pub acknowledge: bool,
    /// Roles for which the framework wants no offers at first; REVIVE, SUPPRESS and
    /// UPDATE_FRAMEWORK change it.
    pub suppressed_roles: Vec<String>,
    /// The agents of which offers are wanted at all, by role, until UPDATE_FRAMEWORK changes it.
    pub offer_constraints: Option<OfferConstraints>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            id: Id::Prefix("scheduler".to_owned()),
            acknowledge: true,
            suppressed_roles: Vec::new(),
            offer_constraints: None,
        }
    }
}

/// A running scheduler.
#[derive(Debug)]
pub struct Framework<S: Scheduler> {
    process: ProcessRef<SchedulerProcess<S>>,
}

impl<S: Scheduler> Framework<S> {
    /// The actor's PID; `node.wait(pid)` waits for its end.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        self.process.pid()
    }

    /// Calls into the scheduler from outside, as an event of its own.
    pub fn call(&self, call: impl FnOnce(&mut S, &mut Driver<'_>) + Send + 'static) {
        self.process
            .dispatch(move |process, ctx| process.run(ctx, call));
    }
}

impl<S: Scheduler> Clone for Framework<S> {
    fn clone(&self) -> Framework<S> {
        Framework {
            process: self.process.clone(),
        }
    }
}

/// Starts a scheduler that subscribes to `master` (such as `master@10.0.0.1:5050`).
///
/// # Errors
/// [`SpawnError`] where the node is down.
pub fn spawn<S: Scheduler>(
    node: &Node,
    master: Pid,
    info: FrameworkInfo,
    scheduler: S,
) -> Result<Framework<S>, SpawnError> {
    spawn_with(node, master, info, scheduler, Options::default())
}

/// As [`spawn`], with options.
///
/// # Errors
/// [`SpawnError`] where the id is taken or the node is down.
pub fn spawn_with<S: Scheduler>(
    node: &Node,
    master: Pid,
    info: FrameworkInfo,
    scheduler: S,
    options: Options,
) -> Result<Framework<S>, SpawnError> {
    let process = SchedulerProcess {
        scheduler,
        master,
        wishes: Wishes {
            info,
            suppressed_roles: options.suppressed_roles,
            offer_constraints: options.offer_constraints,
        },
        acknowledge: options.acknowledge,
        subscription: Subscription::new(RETRY_MAX),
        heard: Time::default(),
        silence: None,
        watching: false,
    };
    Ok(Framework {
        process: node.spawn(options.id, process)?,
    })
}

/// The actor around a scheduler.
pub(crate) struct SchedulerProcess<S> {
    scheduler: S,
    master: Pid,
    wishes: Wishes,
    acknowledge: bool,
    subscription: Subscription,
    /// When the master was last heard, and for how long it may be silent, if it said so.
    heard: Time,
    silence: Option<Duration>,
    /// A timer looks for its silence.
    watching: bool,
}

impl<S: Scheduler> Process for SchedulerProcess<S> {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Event>();
    }

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        let attempt = self.subscription.start(ctx.random());
        self.attempt(attempt, ctx);
    }

    fn exited(&mut self, pid: &Pid, ctx: &mut Context<'_, Self>) {
        if *pid == self.master {
            self.lost("its connection broke", ctx);
        }
    }
}

impl<S: Scheduler> Handle<Event> for SchedulerProcess<S> {
    fn handle(&mut self, event: Event, ctx: &mut Context<'_, Self>) {
        if *ctx.sender() != self.master {
            tracing::warn!(from = %ctx.sender(), master = %self.master, "not from the master");
            return;
        }
        self.heard = ctx.now();
        self.event(event, ctx);
    }
}

impl<S: Scheduler> SchedulerProcess<S> {
    fn id(&self) -> &str {
        self.wishes
            .info
            .id
            .as_ref()
            .map_or("", |id| id.value.as_str())
    }

    /// The master is gone, or takes the scheduler for gone.
    fn lost(&mut self, why: &str, ctx: &mut Context<'_, Self>) {
        if let Some(attempt) = self.subscription.lost(ctx.random()) {
            tracing::info!(framework = self.id(), master = %self.master, why, "lost the master");
            self.run(ctx, |scheduler, driver| scheduler.disconnected(driver));
            self.attempt(attempt, ctx);
        }
    }

    /// Looks for the master's silence, with one timer at a time.
    fn watch(&mut self, ctx: &mut Context<'_, Self>) {
        let Some(silence) = self.silence.filter(|_| !self.watching) else {
            return;
        };
        self.watching = true;
        let rest = silence.saturating_sub(ctx.now().since(self.heard));
        ctx.delay(rest, |process, ctx| {
            process.watching = false;
            if !process.subscription.is_subscribed() {
                return;
            }
            let heard = ctx.now().since(process.heard);
            if process.silence.is_some_and(|silence| heard >= silence) {
                process.lost("it is silent", ctx);
            } else {
                process.watch(ctx);
            }
        });
    }

    fn attempt(&mut self, attempt: Attempt, ctx: &mut Context<'_, Self>) {
        if attempt.subscribe {
            ctx.link(&self.master);
            ctx.send(&self.master, self.wishes.subscribe());
        }
        ctx.delay(attempt.pause, move |process, ctx| {
            if let Some(attempt) = process.subscription.timer(attempt.number, ctx.random()) {
                process.attempt(attempt, ctx);
            }
        });
    }

    /// A method of its own: one that is generic over the work would be so without end.
    fn wake(&mut self, ctx: &mut Context<'_, Self>) {
        self.run(ctx, |scheduler, driver| scheduler.wake(driver));
    }

    /// Lets the scheduler work, and sends what it calls.
    fn run(&mut self, ctx: &mut Context<'_, Self>, work: impl FnOnce(&mut S, &mut Driver<'_>)) {
        self.run_after(Vec::new(), ctx, work);
    }

    /// The same; `first` goes before what it calls.
    fn run_after(
        &mut self,
        first: Vec<Call>,
        ctx: &mut Context<'_, Self>,
        work: impl FnOnce(&mut S, &mut Driver<'_>),
    ) {
        let mut driver = Driver::new(self.wishes.info.id.as_ref(), ctx.now());
        work(&mut self.scheduler, &mut driver);
        let asked = driver.finish();
        for call in first.into_iter().chain(asked.calls) {
            let heeded = self.wishes.heed(&call);
            if self.subscription.is_subscribed() {
                ctx.send(&self.master, call);
            } else if !heeded {
                let call = call.r#type().as_str_name();
                tracing::warn!(framework = self.id(), call, "dropped: there is no master");
            }
        }
        for pause in asked.wakes {
            ctx.delay(pause, Self::wake);
        }
        if asked.stopped {
            ctx.terminate();
        }
    }

    fn event(&mut self, event: Event, ctx: &mut Context<'_, Self>) {
        match event.r#type() {
            event::Type::Subscribed => {
                if let Some(subscribed) = event.subscribed {
                    self.subscribed(subscribed, ctx);
                }
            }
            event::Type::Update => {
                if let Some(update) = event.update {
                    self.update(update.status, ctx);
                }
            }
            event::Type::Error => {
                let message = event.error.map(|error| error.message).unwrap_or_default();
                tracing::error!(
                    framework = self.id(),
                    message,
                    "the master ends the framework"
                );
                self.run(ctx, |scheduler, driver| scheduler.error(driver, message));
                ctx.terminate();
            }
            _ if self.subscription.is_subscribed() => {
                self.run(ctx, |scheduler, driver| deliver(scheduler, driver, event));
            }
            _ => {}
        }
    }

    fn subscribed(&mut self, subscribed: event::Subscribed, ctx: &mut Context<'_, Self>) {
        self.wishes.named(subscribed.framework_id.clone());
        // On its own node nothing can be between them, and there are no heartbeats.
        let interval = subscribed.heartbeat_interval_seconds;
        let interval = interval.filter(|_| self.master.address() != ctx.pid().address());
        let interval = interval.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        self.silence = interval
            .map(|interval| interval.saturating_mul(HEARTBEATS_MISSED))
            .filter(|silence| !silence.is_zero());
        self.watch(ctx);
        if self.subscription.subscribed() {
            tracing::info!(framework = self.id(), master = %self.master, "subscribed");
            self.run(ctx, |scheduler, driver| {
                let master = subscribed.master_info.as_ref();
                scheduler.subscribed(driver, &subscribed.framework_id, master);
            });
        }
    }

    fn update(&mut self, status: TaskStatus, ctx: &mut Context<'_, Self>) {
        if !self.subscription.is_subscribed() {
            // Not acknowledged, so it comes again.
            return;
        }
        let mut acknowledgement = Driver::new(self.wishes.info.id.as_ref(), ctx.now());
        if self.acknowledge {
            acknowledgement.acknowledge(&status);
        }
        let first = acknowledgement.finish().calls;
        self.run_after(first, ctx, |scheduler, driver| {
            scheduler.update(driver, status)
        });
    }
}

/// Gives a scheduler an event; nothing for those that are the actor's own business: SUBSCRIBED,
/// UPDATE, ERROR, HEARTBEAT. For who drives a scheduler by other means than [`spawn`].
pub fn deliver<S: Scheduler>(scheduler: &mut S, driver: &mut Driver<'_>, event: Event) {
    match event.r#type() {
        event::Type::Offers => {
            let offers = event.offers.map(|offers| offers.offers).unwrap_or_default();
            scheduler.offers(driver, offers);
        }
        event::Type::InverseOffers => {
            let offers = event
                .inverse_offers
                .map(|all| all.inverse_offers)
                .unwrap_or_default();
            scheduler.inverse_offers(driver, offers);
        }
        event::Type::Rescind => {
            if let Some(rescind) = event.rescind {
                scheduler.rescind(driver, rescind.offer_id);
            }
        }
        event::Type::RescindInverseOffer => {
            if let Some(rescind) = event.rescind_inverse_offer {
                scheduler.rescind_inverse_offer(driver, rescind.inverse_offer_id);
            }
        }
        event::Type::UpdateOperationStatus => {
            if let Some(update) = event.update_operation_status {
                scheduler.operation(driver, update.status);
            }
        }
        event::Type::Message => {
            if let Some(message) = event.message {
                let event::Message {
                    agent_id,
                    executor_id,
                    data,
                } = message;
                scheduler.message(driver, agent_id, executor_id, data);
            }
        }
        event::Type::Failure => {
            if let Some(failure) = event.failure {
                let event::Failure {
                    agent_id,
                    executor_id,
                    status,
                } = failure;
                scheduler.failure(driver, agent_id, executor_id, status);
            }
        }
        event::Type::Subscribed
        | event::Type::Update
        | event::Type::Error
        | event::Type::Heartbeat
        | event::Type::Unknown => {}
    }
}
