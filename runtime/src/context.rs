//! What a process may do while it serves one event.
//!
//! A context lives as long as that event. Whatever comes later (a timer, an answer, the result of
//! blocking work) comes back as an event of its own, with the process and a new context.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::address::Pid;
use crate::ask::AskError;
use crate::clock::{Time, TimerKey};
use crate::disk::Disk;
use crate::mailbox::{AnyMailbox as _, Event, Mailbox};
use crate::metrics::Metrics;
use crate::node::Node;
use crate::process::{EventCounts, Id, Process, ProcessRef, SpawnError};
use tepui_message::{Encoding, Message};

/// What belongs to one process beside the author's state.
pub(crate) struct Core<P: Process> {
    pub(crate) node: Node,
    pub(crate) pid: Pid,
    pub(crate) mailbox: Arc<Mailbox<P>>,
    /// Timers that have not been served, to be cancelled at the end.
    pub(crate) timers: RefCell<BTreeMap<u64, Timer>>,
    pub(crate) next_timer: std::cell::Cell<u64>,
}

/// What a process may do while it serves one event.
pub struct Context<'a, P: Process> {
    core: &'a Core<P>,
    from: Option<&'a Pid>,
    encoding: Option<Encoding>,
    terminating: bool,
}

/// A delayed or periodic call, to cancel it with [`Context::cancel`].
#[derive(Clone)]
pub struct Timer(Arc<TimerState>);

struct TimerState {
    number: u64,
    cancelled: AtomicBool,
    key: Mutex<Option<TimerKey>>,
}

impl Timer {
    fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Takes it off the clock, and keeps what is already queued from being called.
    pub(crate) fn stop(&self, node: &Node) {
        self.0.cancelled.store(true, Ordering::Release);
        let key = self
            .0
            .key
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(key) = key {
            node.clock().cancel(key);
        }
    }

    /// Puts it on the clock, unless it was cancelled meanwhile.
    fn arm(&self, node: &Node, at: Time, then: impl FnOnce() + Send + 'static) {
        let mut key = self.0.key.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_cancelled() {
            *key = Some(node.clock().schedule(at, then));
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timer({})", self.0.number)
    }
}

impl<'a, P: Process> Context<'a, P> {
    pub(crate) fn new(core: &'a Core<P>) -> Context<'a, P> {
        Context {
            core,
            from: None,
            encoding: None,
            terminating: false,
        }
    }

    pub(crate) fn of_message(
        core: &'a Core<P>,
        from: &'a Pid,
        encoding: Option<Encoding>,
    ) -> Context<'a, P> {
        Context {
            core,
            from: Some(from),
            encoding,
            terminating: false,
        }
    }

    pub(crate) fn is_terminating(&self) -> bool {
        self.terminating
    }

    /// The PID of the process itself.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        &self.core.pid
    }

    /// A handle to the process itself, for calls into it.
    #[must_use]
    pub fn myself(&self) -> ProcessRef<P> {
        ProcessRef {
            pid: self.core.pid.clone(),
            mailbox: Arc::clone(&self.core.mailbox),
        }
    }

    /// The node it runs on.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.core.node
    }

    /// Who sent the message that is served, [`Pid::nobody`] outside of a message.
    #[must_use]
    pub fn sender(&self) -> &Pid {
        self.from.unwrap_or_else(|| self.core.node.nobody())
    }

    /// Sends a message. Inside the node it is handed over as it is; to another node it is encoded
    /// and queued. It never blocks, and nobody is told when it does not arrive: messages to
    /// nobody or to a process that is gone are dropped and counted.
    pub fn send<M: Message>(&self, to: &Pid, message: M) {
        self.core.node.post(&self.core.pid, to, message, None);
    }

    /// Sends a message to the sender of the one that is served, in the encoding in which that came.
    pub fn reply<M: Message>(&self, message: M) {
        self.core
            .node
            .post(&self.core.pid, self.sender(), message, self.encoding);
    }

    /// Sends a question whose answer is a message of type `R`, and calls `then` with it, once, as
    /// an event of its own: the answer, or why there is none.
    pub fn ask<Q: Message, R: Message>(
        &self,
        to: &Pid,
        question: Q,
        deadline: Duration,
        then: impl FnOnce(&mut P, Result<R, AskError>, &mut Context<'_, P>) + Send + 'static,
    ) {
        let mailbox = Arc::clone(&self.core.mailbox);
        self.core
            .node
            .ask_then(to, question, deadline, move |answer| {
                // An asker that ended meanwhile does not care.
                let _closed = mailbox.push(Event::Dispatch(Box::new(move |process, ctx| {
                    then(process, answer, ctx);
                })));
            });
    }

    /// Asks to be told by [`Process::exited`] when a process ends or the connection to its node
    /// breaks; at once if it is a process of this node that does not exist. Told once: link again
    /// to be told again. Linking twice is linking once.
    pub fn link(&self, to: &Pid) {
        self.core.node.link(&self.core.pid, to);
    }

    /// Calls `then` once, after `after` on the node's clock.
    pub fn delay(
        &self,
        after: Duration,
        then: impl FnOnce(&mut P, &mut Context<'_, P>) + Send + 'static,
    ) -> Timer {
        let timer = self.timer();
        let fired = timer.clone();
        let mailbox = Arc::clone(&self.core.mailbox);
        timer.arm(&self.core.node, self.now() + after, move || {
            let _closed = mailbox.push(Event::Dispatch(Box::new(move |process, ctx| {
                let known = ctx
                    .core
                    .timers
                    .borrow_mut()
                    .remove(&fired.0.number)
                    .is_some();
                if known && !fired.is_cancelled() {
                    then(process, ctx);
                }
            })));
        });
        timer
    }

    /// Calls `each` after `period` and again every `period`, until cancelled or the process ends.
    /// A call that is due while the one before it still waits in the mailbox is left out.
    pub fn every(
        &self,
        period: Duration,
        each: impl FnMut(&mut P, &mut Context<'_, P>) + Send + 'static,
    ) -> Timer {
        let timer = self.timer();
        let period = period.max(Duration::from_nanos(1));
        let ticking = Arc::new(Ticking {
            timer: timer.clone(),
            mailbox: Arc::clone(&self.core.mailbox),
            node: self.core.node.clone(),
            period,
            each: Mutex::new(Box::new(each)),
            waiting: AtomicBool::new(false),
        });
        tick_at(self.now() + period, ticking);
        timer
    }

    /// Cancels a delayed or periodic call: it is not called any more, even if it was due.
    pub fn cancel(&self, timer: Timer) {
        self.core.timers.borrow_mut().remove(&timer.0.number);
        timer.stop(&self.core.node);
    }

    /// Does `work` where blocking is allowed, and calls `then` with its result as an event of this
    /// process. In the real world that is a thread of a bounded pool; in the simulated one the
    /// work is done at once. A panic of the work ends this process, as one of its handlers would.
    pub fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut P, T, &mut Context<'_, P>) + Send + 'static,
    ) {
        let mailbox = Arc::clone(&self.core.mailbox);
        self.core.node.world().blocking(Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(work));
            let _closed = mailbox.push(Event::Dispatch(Box::new(
                move |process, ctx| match result {
                    Ok(value) => then(process, value, ctx),
                    Err(panic) => resume_unwind(panic),
                },
            )));
        }));
    }

    /// Starts another process on this node.
    ///
    /// # Errors
    /// The id is taken, or the node is shut down.
    pub fn spawn<Q: Process>(&self, id: Id, process: Q) -> Result<ProcessRef<Q>, SpawnError> {
        self.core.node.spawn(id, process)
    }

    /// Ends this process once the present event is served; what is queued is dropped.
    pub fn terminate(&mut self) {
        self.terminating = true;
    }

    /// How many events wait for this process, behind the one that it serves.
    #[must_use]
    pub fn waiting(&self) -> EventCounts {
        self.core.mailbox.counts()
    }

    /// The time on the node's clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.core.node.clock().now()
    }

    /// A number from the node's random source.
    #[must_use]
    pub fn random(&self) -> u64 {
        self.core.node.random().u64()
    }

    /// A number from 0 to `n - 1`, each as likely; 0 for `n` of 0.
    #[must_use]
    pub fn random_below(&self, n: u64) -> u64 {
        self.core.node.random().below(n)
    }

    /// A version 4 UUID from the node's random source.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.core.node.random().uuid()
    }

    /// The node's disk. It blocks: use it in [`Context::blocking`].
    #[must_use]
    pub fn disk(&self) -> Arc<dyn Disk> {
        self.core.node.disk()
    }

    /// The node's metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        self.core.node.metrics()
    }

    fn timer(&self) -> Timer {
        let number = self.core.next_timer.get();
        self.core.next_timer.set(number + 1);
        let timer = Timer(Arc::new(TimerState {
            number,
            cancelled: AtomicBool::new(false),
            key: Mutex::new(None),
        }));
        self.core.timers.borrow_mut().insert(number, timer.clone());
        timer
    }
}

type Each<P> = Box<dyn FnMut(&mut P, &mut Context<'_, P>) + Send>;

/// A periodic call.
struct Ticking<P: Process> {
    timer: Timer,
    mailbox: Arc<Mailbox<P>>,
    node: Node,
    period: Duration,
    each: Mutex<Each<P>>,
    /// A call waits in the mailbox.
    waiting: AtomicBool,
}

fn tick_at<P: Process>(at: Time, ticking: Arc<Ticking<P>>) {
    let (timer, node) = (ticking.timer.clone(), ticking.node.clone());
    timer.arm(&node, at, move || tick(at, ticking));
}

fn tick<P: Process>(due: Time, ticking: Arc<Ticking<P>>) {
    if ticking.timer.is_cancelled() {
        return;
    }
    if !ticking.waiting.swap(true, Ordering::AcqRel) {
        let called = Arc::clone(&ticking);
        let pushed = ticking
            .mailbox
            .push(Event::Dispatch(Box::new(move |process, ctx| {
                called.waiting.store(false, Ordering::Release);
                if !called.timer.is_cancelled() {
                    let mut each = called.each.lock().unwrap_or_else(PoisonError::into_inner);
                    each(process, ctx);
                }
            })));
        if pushed.is_err() {
            return;
        }
    }
    // Periods that passed meanwhile (a clock moved far ahead) are left out, the beat is kept.
    let late = ticking.node.clock().now().since(due).as_nanos();
    let skipped = u32::try_from(late / ticking.period.as_nanos()).unwrap_or(u32::MAX);
    let next = due + ticking.period.saturating_mul(skipped.saturating_add(1));
    tick_at(next, ticking);
}
