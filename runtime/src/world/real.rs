//! The real world: processes on actix' arbiters, one thread for alarms, a pool for blocking work.
//!
//! A process stays on the arbiter it was given to, in turn. Time is the kernel's wall clock at the
//! start and its steady clock from there on, so that it never goes back.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

use actix_rt::{Arbiter, ArbiterHandle, System};
use futures_core::future::BoxFuture;

use super::blocking::Pool;
use super::{Alarm, Stage, Starter, World, WorldError, Worldly};
use crate::address::Pid;
use crate::clock::Time;
use crate::disk::Disk;
use crate::disk::real::RealDisk;
use crate::node::{Node, NodeError, NodeOptions};
use crate::oneshot;
use crate::random::Random;
use crate::transport::Binding;
use tepui_message::OutboundMessage;

/// How a real world is made.
#[derive(Clone, Debug)]
pub struct RealOptions {
    /// The number of threads that poll processes; 0: as many as there are processors.
    pub arbiters: usize,
    /// The largest number of threads for blocking work.
    pub blocking_threads: usize,
}

impl Default for RealOptions {
    /// As many arbiters as processors; up to 512 threads for blocking work, as tokio's own bound.
    fn default() -> RealOptions {
        RealOptions {
            arbiters: 0,
            blocking_threads: 512,
        }
    }
}

struct Real {
    system: System,
    arbiters: Vec<ArbiterHandle>,
    next: AtomicUsize,
    nodes: AtomicUsize,
    clock: SteadyClock,
    alarms: Arc<Alarms>,
    pool: Pool,
    random: Random,
    disk: Arc<dyn Disk>,
    file_limit_before: Option<u64>,
}

/// The wall time at the start, and what passed since.
#[derive(Clone, Copy)]
struct SteadyClock {
    wall: Time,
    started: Instant,
}

impl SteadyClock {
    fn now(self) -> Time {
        self.wall + self.started.elapsed()
    }
}

type Started = (System, Vec<ArbiterHandle>);

pub(crate) fn start(options: RealOptions) -> Result<World, WorldError> {
    let count = match options.arbiters {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("tepui-world".to_owned())
        .spawn(move || run_system(count, &sender))
        .map_err(WorldError::Thread)?;
    let died = || WorldError::Thread(std::io::Error::other("the world's thread died"));
    let (system, arbiters) = receiver
        .recv()
        .map_err(|_gone| died())?
        .map_err(WorldError::Thread)?;
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let wall = Time::EPOCH + since_epoch.unwrap_or(Duration::ZERO);
    let clock = SteadyClock {
        wall,
        started: Instant::now(),
    };
    let alarms = Arc::new(Alarms {
        state: Mutex::default(),
        changed: Condvar::new(),
    });
    let ringing = Arc::clone(&alarms);
    std::thread::Builder::new()
        .name("tepui-alarms".to_owned())
        .spawn(move || ringing.ring(clock))
        .map_err(WorldError::Thread)?;
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut kernel| kernel.read_exact(&mut seed))
        .map_err(WorldError::Chance)?;
    Ok(World::from_body(Arc::new(Real {
        system,
        arbiters,
        next: AtomicUsize::new(0),
        nodes: AtomicUsize::new(0),
        clock,
        alarms,
        pool: Pool::new(options.blocking_threads),
        random: Random::from_seed(seed),
        disk: Arc::new(RealDisk::default()),
        file_limit_before: super::files::raise_limit(),
    })))
}

/// The thread under which the arbiters live.
fn run_system(count: usize, started: &mpsc::SyncSender<std::io::Result<Started>>) {
    let runner = System::new();
    let arbiters: std::io::Result<Vec<Arbiter>> = (0..count).map(|_| Arbiter::try_new()).collect();
    let answer = arbiters.map(|arbiters| {
        (
            System::current(),
            arbiters
                .iter()
                .map(Arbiter::handle)
                .collect::<Vec<ArbiterHandle>>(),
        )
    });
    let failed = answer.is_err();
    if started.send(answer).is_err() || failed {
        return;
    }
    if let Err(error) = runner.run() {
        tracing::error!(%error, "the world's thread ended");
    }
}

impl Worldly for Real {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn start(&self, starter: Starter) {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.arbiters.len();
        self.arbiters[index].spawn_fn(move || {
            actix_rt::spawn(starter());
        });
    }

    fn set_alarm(&self, at: Time, ring: Box<dyn FnOnce() + Send>) -> Alarm {
        let mut state = self.alarms.lock();
        let alarm = Alarm {
            at,
            number: state.next,
        };
        state.next += 1;
        state.rings.insert(alarm, ring);
        let first = state
            .rings
            .first_key_value()
            .is_some_and(|(key, _)| *key == alarm);
        drop(state);
        if first {
            self.alarms.changed.notify_one();
        }
        alarm
    }

    fn cancel_alarm(&self, alarm: Alarm) {
        let removed = self.alarms.lock().rings.remove(&alarm);
        drop(removed);
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.pool.run(work);
    }

    fn random(&self) -> &Random {
        &self.random
    }

    fn disk(&self, _node: &str) -> Arc<dyn Disk> {
        Arc::clone(&self.disk)
    }

    fn bind(&self, world: &World, options: &NodeOptions) -> Result<Box<dyn Binding>, NodeError> {
        crate::tcp::bind(world, options, self.arbiters.len())
    }

    fn name_node(&self) -> String {
        format!("node({})", self.nodes.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn passage(
        &self,
        _stage: Stage,
        _from: &Pid,
        _to: &Pid,
        _message: Option<&dyn OutboundMessage>,
    ) {
    }

    fn traces(&self) -> bool {
        false
    }

    fn crashed(&self, _node: &str) {}

    fn killed(&self, _node: &str) {}

    fn started(&self, _node: &Node) {}

    fn is_simulated(&self) -> bool {
        false
    }

    fn file_limit_before(&self) -> Option<u64> {
        self.file_limit_before
    }

    fn interrupted(&self) -> BoxFuture<'static, ()> {
        let (sender, receiver) = oneshot::channel();
        self.start(Box::new(move || {
            Box::pin(async move {
                signal_arrives().await;
                sender.send(());
            })
        }));
        Box::pin(async move {
            receiver.await;
        })
    }

    fn block_on(&self, mut future: Pin<&mut dyn Future<Output = ()>>) {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut cx = Context::from_waker(&waker);
        while future.as_mut().poll(&mut cx).is_pending() {
            std::thread::park();
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Becomes ready at the next SIGINT or SIGTERM; never, if they cannot be listened for.
async fn signal_arrives() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        tracing::error!("cannot listen for signals");
        return std::future::pending().await;
    };
    std::future::poll_fn(|cx| {
        if interrupt.poll_recv(cx).is_ready() || terminate.poll_recv(cx).is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

impl Drop for Real {
    fn drop(&mut self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        self.system.stop();
        self.alarms.lock().stopped = true;
        self.alarms.changed.notify_one();
    }
}

#[derive(Default)]
struct Rings {
    rings: BTreeMap<Alarm, Box<dyn FnOnce() + Send>>,
    next: u64,
    stopped: bool,
}

/// What is to ring, and the thread that waits for it.
struct Alarms {
    state: Mutex<Rings>,
    changed: Condvar,
}

impl Alarms {
    fn lock(&self) -> MutexGuard<'_, Rings> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, clock: SteadyClock) {
        let mut state = self.lock();
        while !state.stopped {
            let now = clock.now();
            state = match state.rings.first_entry() {
                Some(first) if first.key().at <= now => {
                    let ring = first.remove();
                    drop(state);
                    // What it drops may be an author's, and may panic.
                    if catch_unwind(AssertUnwindSafe(ring)).is_err() {
                        tracing::error!("an alarm panicked");
                    }
                    self.lock()
                }
                Some(first) => {
                    let wait = first.key().at.since(now);
                    let waited = self.changed.wait_timeout(state, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}
