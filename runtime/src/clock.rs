//! Time as a node sees it, and the timers that hang on it.
//!
//! Every node has its own clock above that of its world: it can be paused, advanced and resumed,
//! as libprocess' `Clock`, without touching another node. Not here: who waits for the next timer
//! to be due (that is the world), and what a process does then (`context`).
//!
//! ```text
//! running --pause--> paused --resume--> running
//!    now = by its rate      now stands     now >= what it was: time never goes back
//!              advance moves it in either state, and fires what became due
//! ```
//!
//! A clock of the simulated world may run faster or slower than the world: see [`Rate`].

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::world::{Alarm, World};

/// A point in time: nanoseconds since the Unix epoch. On one clock it never goes back.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Time(u64);

impl Time {
    /// The Unix epoch.
    pub const EPOCH: Time = Time(0);

    /// A time from nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn from_nanos(nanoseconds: u64) -> Time {
        Time(nanoseconds)
    }

    /// A time from seconds since the Unix epoch; what is before it or no number becomes the epoch.
    #[must_use]
    pub fn from_secs_f64(seconds: f64) -> Time {
        Time(Duration::try_from_secs_f64(seconds).map_or(0, saturating_nanos))
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the Unix epoch, as Mesos' JSON writes times.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        Duration::from_nanos(self.0).as_secs_f64()
    }

    /// How long ago `earlier` was; zero if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn saturating_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Time {
    type Output = Time;

    /// The end of time is not passed.
    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(saturating_nanos(duration)))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub for Time {
    type Output = Duration;

    /// As [`Time::since`].
    fn sub(self, earlier: Time) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:09}",
            self.0 / 1_000_000_000,
            self.0 % 1_000_000_000
        )
    }
}

/// How the time of a clock follows from the world's: where both stood, and by how much it drifts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    world: Time,
    clock: Time,
    /// How many microseconds of a second it is ahead, each second.
    parts_per_million: i32,
}

/// The parts of a clock that drifts by none.
const WHOLE: u64 = 1_000_000;

impl Rate {
    /// The rate of a clock that shows `clock` when the world's time is `world`. No clock is more
    /// than half as fast again as the world, or half as slow.
    pub(crate) fn new(world: Time, clock: Time, parts_per_million: i32) -> Rate {
        Rate {
            world,
            clock,
            parts_per_million: parts_per_million.clamp(-500_000, 500_000),
        }
    }

    fn parts(self) -> u128 {
        u128::from(WHOLE.saturating_add_signed(self.parts_per_million.into()))
    }

    /// What the clock shows when the world's time is `world`.
    pub(crate) fn clock_at(self, world: Time) -> Time {
        let passed = world.since(self.world);
        if self.parts_per_million == 0 {
            return self.clock + passed;
        }
        let passed = passed.as_nanos() * self.parts() / u128::from(WHOLE);
        self.clock + Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// The first time of the world at which the clock shows `clock`.
    fn world_at(self, clock: Time) -> Time {
        let left = clock.since(self.clock);
        if self.parts_per_million == 0 {
            return self.world + left;
        }
        let left = (left.as_nanos() * u128::from(WHOLE)).div_ceil(self.parts());
        self.world + Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
    }
}

type Callback = Box<dyn FnOnce() + Send>;

/// Names a timer of a clock, to cancel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerKey {
    at: Time,
    number: u64,
}

/// The clock of a node. Clones are the same clock.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    world: World,
    state: Mutex<State>,
    /// How many timers were taken off and have not done what they are for.
    firing: AtomicUsize,
}

/// Counts a timer that fires, also if it panics.
struct Firing<'a>(&'a AtomicUsize);

impl<'a> Firing<'a> {
    fn begin(count: &'a AtomicUsize) -> Firing<'a> {
        count.fetch_add(1, Ordering::AcqRel);
        Firing(count)
    }
}

impl Drop for Firing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

struct State {
    rate: Rate,
    /// The time at which the clock stands.
    paused: Option<Time>,
    /// Ordered by time, then by when they were made.
    timers: BTreeMap<TimerKey, Callback>,
    next: u64,
    /// The world's alarm for the first timer, and the node's time for which it was set.
    alarm: Option<(Time, Alarm)>,
}

impl State {
    fn now(&self, world: &World) -> Time {
        self.paused
            .unwrap_or_else(|| self.rate.clock_at(world.now()))
    }

    /// The clock is set that much ahead of what it shows while it runs.
    fn put_ahead(&mut self, by: Duration) {
        self.rate.clock += by;
    }
}

impl Clock {
    pub(crate) fn new(world: World, rate: Rate) -> Clock {
        Clock(Arc::new(Inner {
            world,
            firing: AtomicUsize::new(0),
            state: Mutex::new(State {
                rate,
                paused: None,
                timers: BTreeMap::new(),
                next: 0,
                alarm: None,
            }),
        }))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.0.lock().now(&self.0.world)
    }

    /// Whether the clock stands.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.0.lock().paused.is_some()
    }

    /// Stops the clock: its time stands, and no timer fires but by [`Clock::advance`].
    pub fn pause(&self) {
        let mut state = self.0.lock();
        let now = state.now(&self.0.world);
        state.paused = Some(now);
        self.0.set_alarm(&mut state);
    }

    /// Lets the clock run again, from the world's time if that is ahead; due timers fire.
    pub fn resume(&self) {
        let mut state = self.0.lock();
        if let Some(stood_at) = state.paused.take() {
            let running = state.now(&self.0.world);
            state.put_ahead(stood_at.since(running));
        }
        drop(state);
        self.0.fire_due();
    }

    /// Moves the time forward and fires what is due then, in order of time.
    pub fn advance(&self, by: Duration) {
        let mut state = self.0.lock();
        match &mut state.paused {
            Some(now) => *now += by,
            None => state.put_ahead(by),
        }
        drop(state);
        self.0.fire_due();
    }

    /// From here on the clock runs at another rate, ahead of what it would show by `ahead`.
    pub(crate) fn drift(&self, parts_per_million: i32, ahead: Duration) {
        let mut state = self.0.lock();
        let world = self.0.world.now();
        let clock = state.rate.clock_at(world) + ahead;
        state.rate = Rate::new(world, clock, parts_per_million);
        drop(state);
        // It takes the alarm down that was set for the rate of before.
        self.0.fire_due();
    }

    /// Calls `then` once, at `at` or as soon as possible after it, on a thread of the world.
    /// It must be short and must not block: it hands on an event, no more.
    pub fn schedule(&self, at: Time, then: impl FnOnce() + Send + 'static) -> TimerKey {
        let mut state = self.0.lock();
        let key = TimerKey {
            at,
            number: state.next,
        };
        state.next += 1;
        state.timers.insert(key, Box::new(then));
        self.0.set_alarm(&mut state);
        key
    }

    /// Forgets a timer; false if it fired or was cancelled before.
    pub fn cancel(&self, key: TimerKey) -> bool {
        let removed = {
            let mut state = self.0.lock();
            let removed = state.timers.remove(&key);
            self.0.set_alarm(&mut state);
            removed
        };
        removed.is_some()
    }

    /// The number of timers that have not fired.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.0.lock().timers.len()
    }

    /// Whether a timer should fire now, or is about to.
    pub(crate) fn is_due(&self) -> bool {
        let state = self.0.lock();
        if self.0.firing.load(Ordering::Acquire) > 0 {
            return true;
        }
        let now = state.now(&self.0.world);
        state
            .timers
            .first_key_value()
            .is_some_and(|(key, _)| key.at <= now)
    }

    /// Forgets all timers.
    pub(crate) fn clear(&self) {
        let timers = {
            let mut state = self.0.lock();
            let timers = std::mem::take(&mut state.timers);
            self.0.set_alarm(&mut state);
            timers
        };
        drop(timers);
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the world to ring for the first timer, if it is not asked for just that.
    fn set_alarm(self: &Arc<Self>, state: &mut State) {
        let first = state.timers.first_key_value().map(|(key, _)| key.at);
        // While the clock stands only what is due already is rung for: a delay of nothing.
        let wanted = first.filter(|&at| state.paused.is_none_or(|now| at <= now));
        match (&state.alarm, wanted) {
            (Some((set, _)), Some(at)) if *set == at => return,
            (None, None) => return,
            _ => {}
        }
        if let Some((_, alarm)) = state.alarm.take() {
            self.world.cancel_alarm(alarm);
        }
        if let Some(at) = wanted {
            let world_time = state.rate.world_at(at);
            let clock: Weak<Inner> = Arc::downgrade(self);
            let ring = move || {
                if let Some(clock) = clock.upgrade() {
                    clock.fire_due();
                }
            };
            state.alarm = Some((at, self.world.set_alarm(world_time, Box::new(ring))));
        }
    }

    /// Fires the due timers one by one, outside of the lock, so that they may make others.
    fn fire_due(self: &Arc<Self>) {
        let mut state = self.lock();
        loop {
            let now = state.now(&self.world);
            match state.timers.first_entry() {
                Some(first) if first.key().at <= now => {
                    let then = first.remove();
                    let firing = Firing::begin(&self.firing);
                    drop(state);
                    then();
                    drop(firing);
                    state = self.lock();
                }
                _ => break,
            }
        }
        // The alarm that rang is spent, whatever it was set for.
        if let Some((_, alarm)) = state.alarm.take() {
            self.world.cancel_alarm(alarm);
        }
        self.set_alarm(&mut state);
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}
