//! The simulated world: one thread, virtual time, chance from a seed.
//!
//! ```text
//! something ready?  --yes--> poll the first in the list, again
//!        | no
//! an alarm within the limit? --yes--> time moves to it, it rings, again
//!        | no
//! time moves to the limit, if there is one; done
//! ```
//!
//! What is ready is polled in the order in which it became so, alarms ring in the order of their
//! time and then of their making: the same seed gives the same run. Time passes only between
//! alarms. Blocking work is done at once.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_core::future::BoxFuture;
use rustc_hash::FxHashMap;

use super::trace::{HttpPacket, Passage, Stage, Trace};
use super::{Alarm, LocalFuture, Starter, World, Worldly};
use crate::address::Pid;
use crate::clock::{Rate, Time};
use crate::disk::Disk;
use crate::disk::simulated::SimulatedDisk;
use crate::node::{Node, NodeError, NodeOptions, WeakNode};
use crate::random::Random;
use crate::sim::Network;
use crate::transport::Binding;
use tepui_message::OutboundMessage;

/// The time at which a simulated world begins: 2026-01-01 00:00:00 UTC.
const BEGIN: Time = Time::from_nanos(1_767_225_600 * 1_000_000_000);

/// How a simulated world is made.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// From what all chance follows.
    pub seed: u64,
    /// How many of the last delivered messages are remembered for [`Simulation::trace_lines`].
    pub trace_lines: usize,
    /// One message between nodes in so many, as the seed has it, goes through its real codec.
    pub codec_one_in: u32,
    /// The virtual time after which [`Simulation::run_while`] and [`Simulation::block_on`] give up,
    /// counted from the beginning of the world.
    pub horizon: Duration,
}

impl Default for SimOptions {
    /// Seed 0, the last 1000 lines, one message in ten written and read, 30 days.
    fn default() -> SimOptions {
        let horizon = Duration::from_secs(30 * 24 * 3600);
        SimOptions {
            seed: 0,
            trace_lines: 1000,
            codec_one_in: 10,
            horizon,
        }
    }
}

/// Hears of everything that passes by.
type Tap = Box<dyn FnMut(&Passage<'_>) + Send>;

enum Job {
    Start(Starter),
    Poll(u64),
}

struct State {
    ready: VecDeque<Job>,
    alarms: BTreeMap<Alarm, Box<dyn FnOnce() + Send>>,
    next_alarm: u64,
    nodes: u64,
}

struct Shared {
    state: Mutex<State>,
    random: Random,
    trace: Mutex<Trace>,
    tap: Mutex<Option<Tap>>,
    disks: Mutex<BTreeMap<String, Arc<SimulatedDisk>>>,
    /// Clocks that run otherwise than the world, by the node's name.
    rates: Mutex<BTreeMap<String, Rate>>,
    /// The time, in nanoseconds; the disks share it.
    instant: Arc<AtomicU64>,
    started: Mutex<Vec<WeakNode>>,
    network: Network,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A simulated world and what runs it. It stays on the thread it was made on.
pub struct Simulation {
    world: World,
    shared: Arc<Shared>,
    tasks: FxHashMap<u64, Task>,
    next_task: u64,
    horizon: Time,
}

struct Task {
    future: LocalFuture,
    wakeup: Arc<Wakeup>,
    waker: Waker,
}

/// Puts a task into the ready list, once.
struct Wakeup {
    task: u64,
    queued: AtomicBool,
    shared: Arc<Shared>,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            locked(&self.shared.state)
                .ready
                .push_back(Job::Poll(self.task));
        }
    }
}

impl Simulation {
    pub(crate) fn new(options: SimOptions) -> Simulation {
        let random = Random::from_number(options.seed);
        let network = Network::new(Random::from_seed(random.seed()), options.codec_one_in);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                ready: VecDeque::new(),
                alarms: BTreeMap::new(),
                next_alarm: 0,
                nodes: 0,
            }),
            random,
            network,
            trace: Mutex::new(Trace::new(options.trace_lines)),
            tap: Mutex::default(),
            disks: Mutex::default(),
            rates: Mutex::default(),
            instant: Arc::new(AtomicU64::new(BEGIN.as_nanos())),
            started: Mutex::default(),
        });
        let world = World::from_body(Arc::clone(&shared) as Arc<dyn Worldly>);
        let horizon = BEGIN + options.horizon;
        Simulation {
            world,
            shared,
            tasks: FxHashMap::default(),
            next_task: 0,
            horizon,
        }
    }

    /// The world, to start nodes in.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The nodes that are up, in the order of their start.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        let started = locked(&self.shared.started);
        started
            .iter()
            .filter_map(WeakNode::upgrade)
            .filter(|node| !node.is_down())
            .collect()
    }

    /// The network between the nodes.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.shared.network
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.shared.time()
    }

    /// Runs what is ready until nothing is. Time does not move.
    pub fn run_until_idle(&mut self) {
        while self.run_ready() {}
    }

    /// Runs until the virtual time is `until`, and everything that is due by then is done.
    pub fn run_until(&mut self, until: Time) {
        while self.step(until) {}
        self.shared.advance(until);
    }

    /// Runs for a virtual duration.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now() + duration);
    }

    /// Runs as long as `wanted` says so, asked before every step. False if it still says so when
    /// nothing is left to run or the horizon is reached.
    pub fn run_while(&mut self, mut wanted: impl FnMut() -> bool) -> bool {
        while wanted() {
            if !self.step(self.horizon) {
                return !wanted();
            }
        }
        true
    }

    /// Runs until a future is done.
    ///
    /// # Panics
    /// If nothing is left to run, or the horizon is reached, and the future is not done.
    pub fn block_on<T>(&mut self, future: impl Future<Output = T>) -> T {
        struct Flag(AtomicBool);
        impl Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::Release);
            }
        }
        let mut future = pin!(future);
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        loop {
            if woken.0.swap(false, Ordering::AcqRel)
                && let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return value;
            }
            // A future that woke itself lets others run, but no time pass.
            let woke_itself = woken.0.load(Ordering::Acquire);
            let limit = if woke_itself {
                self.now()
            } else {
                self.horizon
            };
            let stepped = self.step(limit) || woke_itself;
            assert!(
                stepped,
                "nothing is left to run that could complete the future"
            );
        }
    }

    /// Calls `tap` for every message that is sent or delivered from here on, every exit that is
    /// told and every packet of HTTP that arrives, in order, in place of a tap that was set before.
    /// It sees and changes nothing, and must neither send nor run the world.
    pub fn tap(&self, tap: impl FnMut(&Passage<'_>) + Send + 'static) {
        *locked(&self.shared.tap) = Some(Box::new(tap));
    }

    /// The hash over all deliveries so far: when, from whom, to whom, what.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        locked(&self.shared.trace).hash()
    }

    /// How many messages and exits were delivered so far.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        locked(&self.shared.trace).deliveries()
    }

    /// The last deliveries, one a line.
    #[must_use]
    pub fn trace_lines(&self) -> Vec<String> {
        locked(&self.shared.trace).lines()
    }

    /// Has the disk of the node of a name do that many more writing calls and break off in the one
    /// after them, as a crash in the middle of it would; the disk is gone then until the node has
    /// crashed.
    pub fn break_disk(&self, node: &str, calls: u64) {
        self.shared.disk_of(node).break_after(calls);
    }

    /// Makes the disk of the node of a name as full as that, 0 to 1. At 1 whatever adds to it
    /// fails for want of space, an append after a part of its bytes.
    pub fn set_disk_usage(&self, node: &str, usage: f64) {
        self.shared.disk_of(node).set_usage(usage);
    }

    /// Whether the disk of the node of a name broke off as [`Simulation::break_disk`] had it do.
    #[must_use]
    pub fn is_disk_broken(&self, node: &str) -> bool {
        self.shared.disk_of(node).is_broken()
    }

    /// Puts the clock of the node of a name ahead, and has it run so many parts of a million faster
    /// than the world from here on, or slower; it never goes back. That is the host's clock: it
    /// goes on while there is no such node, and the times on its disk are by it.
    pub fn set_drift(&self, node: &str, parts_per_million: i32, ahead: Duration) {
        let now = self.now();
        let rate = Rate::new(
            now,
            self.shared.rate(node).clock_at(now) + ahead,
            parts_per_million,
        );
        locked(&self.shared.rates).insert(node.to_owned(), rate);
        self.shared.disk_of(node).set_rate(rate);
        for running in self.nodes() {
            if running.name() == node {
                running.clock().drift(parts_per_million, ahead);
            }
        }
    }

    /// The disk of the node of a name, also while there is no such node.
    #[must_use]
    pub fn disk(&self, node: &str) -> Arc<dyn Disk> {
        self.shared.disk_of(node)
    }

    /// Runs one ready task or rings one alarm that is due by `limit`; false if there is neither.
    fn step(&mut self, limit: Time) -> bool {
        self.run_ready() || self.ring(limit)
    }

    fn run_ready(&mut self) -> bool {
        let job = locked(&self.shared.state).ready.pop_front();
        let task = match job {
            None => return false,
            Some(Job::Poll(task)) => task,
            Some(Job::Start(starter)) => {
                let task = self.next_task;
                self.next_task += 1;
                let shared = Arc::clone(&self.shared);
                let wakeup = Arc::new(Wakeup {
                    task,
                    queued: AtomicBool::new(true),
                    shared,
                });
                let waker = Waker::from(Arc::clone(&wakeup));
                self.tasks.insert(
                    task,
                    Task {
                        future: starter(),
                        wakeup,
                        waker,
                    },
                );
                task
            }
        };
        if let Some(running) = self.tasks.get_mut(&task) {
            running.wakeup.queued.store(false, Ordering::Release);
            let mut cx = Context::from_waker(&running.waker);
            if running.future.as_mut().poll(&mut cx).is_ready() {
                self.tasks.remove(&task);
            }
        }
        true
    }

    fn ring(&mut self, limit: Time) -> bool {
        let ring = {
            let mut state = locked(&self.shared.state);
            match state.alarms.first_entry() {
                Some(first) if first.key().at <= limit => {
                    let (alarm, ring) = first.remove_entry();
                    self.shared.advance(alarm.at);
                    ring
                }
                _ => return false,
            }
        };
        ring();
        true
    }
}

impl Drop for Simulation {
    /// What is dropped may make more that holds the world: all of it goes.
    fn drop(&mut self) {
        loop {
            self.shared.network.forget_requests();
            let tasks = std::mem::take(&mut self.tasks);
            let (ready, alarms) = {
                let mut state = locked(&self.shared.state);
                (
                    std::mem::take(&mut state.ready),
                    std::mem::take(&mut state.alarms),
                )
            };
            if tasks.is_empty() && ready.is_empty() && alarms.is_empty() {
                return;
            }
        }
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Time goes on, never back.
    fn advance(&self, to: Time) {
        self.instant.fetch_max(to.as_nanos(), Ordering::AcqRel);
    }

    /// The time, without the lock.
    fn time(&self) -> Time {
        Time::from_nanos(self.instant.load(Ordering::Acquire))
    }

    fn note(&self, passage: &Passage<'_>) {
        if passage.stage != Stage::Sent {
            locked(&self.trace).add(passage);
        }
        if let Some(tap) = &mut *locked(&self.tap) {
            tap(passage);
        }
    }

    fn disk_of(&self, node: &str) -> Arc<SimulatedDisk> {
        let mut disks = locked(&self.disks);
        let disk = disks.entry(node.to_owned()).or_insert_with(|| {
            let random = Random::from_seed(self.random.seed());
            Arc::new(SimulatedDisk::new(random, Arc::clone(&self.instant)))
        });
        Arc::clone(disk)
    }
}

impl Worldly for Shared {
    fn now(&self) -> Time {
        self.time()
    }

    fn start(&self, starter: Starter) {
        locked(&self.state).ready.push_back(Job::Start(starter));
    }

    fn set_alarm(&self, at: Time, ring: Box<dyn FnOnce() + Send>) -> Alarm {
        let mut state = locked(&self.state);
        let alarm = Alarm {
            at,
            number: state.next_alarm,
        };
        state.next_alarm += 1;
        state.alarms.insert(alarm, ring);
        alarm
    }

    fn cancel_alarm(&self, alarm: Alarm) {
        let removed = locked(&self.state).alarms.remove(&alarm);
        drop(removed);
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn random(&self) -> &Random {
        &self.random
    }

    fn disk(&self, node: &str) -> Arc<dyn Disk> {
        self.disk_of(node)
    }

    fn rate(&self, node: &str) -> Rate {
        locked(&self.rates).get(node).copied().unwrap_or_default()
    }

    fn bind(&self, world: &World, options: &NodeOptions) -> Result<Box<dyn Binding>, NodeError> {
        self.network.bind(world, options)
    }

    fn name_node(&self) -> String {
        let mut state = locked(&self.state);
        state.nodes += 1;
        format!("node({})", state.nodes)
    }

    fn passage(&self, stage: Stage, from: &Pid, to: &Pid, message: Option<&dyn OutboundMessage>) {
        self.note(&Passage {
            at: self.time(),
            stage,
            from,
            to,
            message,
            packet: None,
        });
    }

    fn packet(&self, from: &Pid, to: &Pid, packet: HttpPacket<'_>) {
        self.note(&Passage {
            at: self.time(),
            stage: Stage::Packet,
            from,
            to,
            message: None,
            packet: Some(packet),
        });
    }

    fn traces(&self) -> bool {
        true
    }

    fn crashed(&self, node: &str) {
        let disk = locked(&self.disks).get(node).cloned();
        if let Some(disk) = disk {
            disk.crash();
        }
    }

    fn killed(&self, node: &str) {
        let disk = locked(&self.disks).get(node).cloned();
        if let Some(disk) = disk {
            disk.free_locks();
        }
    }

    fn started(&self, node: &Node) {
        let mut started = locked(&self.started);
        started.retain(|node| node.upgrade().is_some_and(|node| !node.is_down()));
        started.push(node.downgrade());
    }

    fn is_simulated(&self) -> bool {
        true
    }

    fn interrupted(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }

    #[expect(
        clippy::panic,
        reason = "a misuse that its caller's documentation rules out"
    )]
    fn block_on(&self, _future: Pin<&mut dyn Future<Output = ()>>) {
        panic!("a simulated world is run by Simulation::block_on");
    }
}
