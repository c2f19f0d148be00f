//! The queue of a process: many producers, one consumer that takes what is there in batches.
//!
//! ```text
//! starting --drained--> idle <--drained / pushed--> busy --close--> closed
//!                         \________________close______________________/
//! ```
//!
//! A push wakes the consumer only out of `idle`. Closed, a mailbox takes nothing more. A
//! termination ahead of the queue is a flag, which the consumer looks at before every event.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::activity::Activity;
use crate::address::Pid;
use crate::context::Context;
use crate::credit::Credit;
use crate::process::{Declaration, EventCounts, Process, Terminate};
use tepui_message::{CodecError, Encoding, OutboundMessage};

/// How many events a process serves before it lets others of its thread run.
pub(crate) const BATCH: usize = 256;

const RUN: u8 = 0;
const TERMINATE: u8 = 1;
const CRASH: u8 = 2;

/// A call into a process.
pub(crate) type Call<P> = Box<dyn FnOnce(&mut P, &mut Context<'_, P>) + Send>;

/// A message, who sent it, and in which encoding it came (`None` inside a node).
pub(crate) struct Letter {
    pub(crate) message: Box<dyn OutboundMessage>,
    pub(crate) from: Pid,
    pub(crate) encoding: Option<Encoding>,
    /// What it holds of its connection's credit until it was served.
    pub(crate) credit: Option<Credit>,
}

/// What a process serves, one after another.
pub(crate) enum Event<P: Process> {
    Message(Letter),
    Dispatch(Call<P>),
    Exited(Pid),
    Terminate,
}

impl<P: Process> Event<P> {
    pub(crate) const fn kind(&self) -> usize {
        match self {
            Event::Message(_) => 0,
            Event::Dispatch(_) => 1,
            Event::Exited(_) => 2,
            Event::Terminate => 3,
        }
    }
}

struct Queue<P: Process> {
    events: VecDeque<Event<P>>,
    pushed: [u64; 4],
    /// The consumer found nothing and left its waker.
    idle: bool,
    closed: bool,
    waker: Option<Waker>,
    /// The queue is over its mark and was reported.
    over: bool,
}

/// Where the events of one process wait.
pub(crate) struct Mailbox<P: Process> {
    queue: Mutex<Queue<P>>,
    /// Written by the consumer alone.
    served: [AtomicU64; 4],
    stop: AtomicU8,
    id: Arc<str>,
    activity: Arc<Activity>,
    declaration: Arc<Declaration<P>>,
}

/// A mailbox whose process' type does not matter.
pub(crate) trait AnyMailbox: Send + Sync {
    fn id(&self) -> &Arc<str>;
    /// Gives the letter back if the mailbox is closed.
    fn deliver(&self, letter: Letter) -> Result<(), Letter>;
    fn exited(&self, pid: Pid);
    fn terminate(&self, how: Terminate);
    /// Reads a body as the message of a name, `None` if the process declares no such message.
    fn decode(
        &self,
        name: &str,
        encoding: Encoding,
        body: &[u8],
    ) -> Option<Result<Box<dyn OutboundMessage>, CodecError>>;
    /// Whether the process takes a message of a name from other nodes.
    fn takes(&self, name: &str) -> bool;
    fn counts(&self) -> EventCounts;
    fn is_closed(&self) -> bool;
    /// Closes it and has the process end without another call of the author's code.
    fn crash(&self);
}

/// What a PID remembers: the mailbox, and which node it belongs to.
pub(crate) struct CachedMailbox {
    pub(crate) node: usize,
    pub(crate) mailbox: Arc<dyn AnyMailbox>,
}

impl<P: Process> Mailbox<P> {
    /// A mailbox that counts as busy until it was drained for the first time.
    pub(crate) fn new(
        id: Arc<str>,
        activity: Arc<Activity>,
        declaration: Arc<Declaration<P>>,
    ) -> Mailbox<P> {
        activity.begin();
        Mailbox {
            queue: Mutex::new(Queue {
                events: VecDeque::new(),
                pushed: [0; 4],
                idle: false,
                closed: false,
                waker: None,
                over: false,
            }),
            served: [const { AtomicU64::new(0) }; 4],
            stop: AtomicU8::new(RUN),
            id,
            activity,
            declaration,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<P>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn declaration(&self) -> &Arc<Declaration<P>> {
        &self.declaration
    }

    /// Queues an event, or gives it back if the mailbox is closed.
    pub(crate) fn push(&self, event: Event<P>) -> Result<(), Event<P>> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(event);
        }
        queue.pushed[event.kind()] += 1;
        queue.events.push_back(event);
        let length = queue.events.len();
        if length > self.activity.mark && !queue.over {
            queue.over = true;
            self.activity.over_mark(&self.id, length);
        }
        self.rouse(queue);
        Ok(())
    }

    /// Wakes the consumer if it is idle.
    fn rouse(&self, mut queue: MutexGuard<'_, Queue<P>>) {
        if !queue.idle {
            return;
        }
        queue.idle = false;
        let waker = queue.waker.take();
        drop(queue);
        self.activity.begin();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Moves at most [`BATCH`] events into an empty `batch`; true if more are left. Without any,
    /// the mailbox becomes idle and keeps the waker.
    pub(crate) fn take(&self, batch: &mut VecDeque<Event<P>>, waker: &Waker) -> bool {
        let mut queue = self.lock();
        if queue.events.is_empty() {
            if !self.terminates_now() && !queue.closed {
                queue.idle = true;
                queue.waker = Some(waker.clone());
                drop(queue);
                self.activity.end();
            }
            return false;
        }
        if queue.events.len() <= BATCH {
            std::mem::swap(&mut queue.events, batch);
        } else {
            batch.extend(queue.events.drain(..BATCH));
        }
        if queue.events.len() < self.activity.mark / 2 {
            queue.over = false;
        }
        !queue.events.is_empty()
    }

    /// Notes that an event of a kind was taken out to be served.
    pub(crate) fn note_served(&self, kind: usize) {
        let served = &self.served[kind];
        served.store(served.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Whether the process is to end before the next event.
    pub(crate) fn terminates_now(&self) -> bool {
        self.stop.load(Ordering::Acquire) != RUN
    }

    /// Whether it is to end without a word, because its node crashed.
    pub(crate) fn crashed(&self) -> bool {
        self.stop.load(Ordering::Acquire) == CRASH
    }

    /// Takes nothing from here on, and hands out what waits.
    pub(crate) fn close(&self) -> VecDeque<Event<P>> {
        let mut queue = self.lock();
        if queue.closed {
            return VecDeque::new();
        }
        queue.closed = true;
        queue.waker = None;
        let was_idle = std::mem::replace(&mut queue.idle, false);
        let left = std::mem::take(&mut queue.events);
        drop(queue);
        if was_idle {
            self.activity.begin();
        }
        left
    }
}

impl<P: Process> AnyMailbox for Mailbox<P> {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn deliver(&self, letter: Letter) -> Result<(), Letter> {
        self.push(Event::Message(letter))
            .map_err(|event| match event {
                Event::Message(letter) => letter,
                _ => unreachable!("a push gives back what it was given"),
            })
    }

    fn exited(&self, pid: Pid) {
        // A process that ended meanwhile does not care.
        let _closed = self.push(Event::Exited(pid));
    }

    fn terminate(&self, how: Terminate) {
        match how {
            Terminate::Queued => {
                let _closed = self.push(Event::Terminate);
            }
            Terminate::Now => {
                let queue = self.lock();
                let _crashed =
                    self.stop
                        .compare_exchange(RUN, TERMINATE, Ordering::AcqRel, Ordering::Acquire);
                if !queue.closed {
                    self.rouse(queue);
                }
            }
        }
    }

    fn decode(
        &self,
        name: &str,
        encoding: Encoding,
        body: &[u8],
    ) -> Option<Result<Box<dyn OutboundMessage>, CodecError>> {
        self.declaration.decode(name, encoding, body)
    }

    fn takes(&self, name: &str) -> bool {
        self.declaration.takes(name)
    }

    fn counts(&self) -> EventCounts {
        let queue = self.lock();
        let waiting = |kind: usize| {
            queue.pushed[kind].saturating_sub(self.served[kind].load(Ordering::Relaxed))
        };
        if queue.closed {
            return EventCounts::default();
        }
        EventCounts {
            messages: waiting(0),
            dispatches: waiting(1),
            exited: waiting(2),
            terminate: waiting(3) + u64::from(self.terminates_now()),
        }
    }

    fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn crash(&self) {
        self.stop.store(CRASH, Ordering::Release);
        let mut queue = self.lock();
        let left = std::mem::take(&mut queue.events);
        if queue.closed {
            return;
        }
        queue.closed = true;
        self.rouse(queue);
        drop(left);
    }
}
