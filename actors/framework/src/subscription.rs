//! When to say SUBSCRIBE: the same for schedulers with their master and executors with their
//! agent.
//!
//! ```text
//!   waiting ──(timer)──► SUBSCRIBE sent ──(SUBSCRIBED)──► subscribed
//!      ▲                      │ no answer                     │
//!      └──(timer, doubling)───┘                               │
//!      └────────────────(the other side is gone)──────────────┘
//! ```
//!
//! The first SUBSCRIBE goes out at once. Not here: what is in it.

use std::time::Duration;

/// Bound of the pause after the first SUBSCRIBE.
pub(crate) const RETRY_MIN: Duration = Duration::from_secs(1);

/// Where one is with its subscription.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    subscribed: bool,
    /// Bound of the next pause.
    bound: Duration,
    max: Duration,
    /// Number of the timer that counts.
    number: u64,
}

/// What is to be done: SUBSCRIBE now or not, and call [`Subscription::timer`] with the number
/// after the pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) subscribe: bool,
    pub(crate) number: u64,
    pub(crate) pause: Duration,
}

impl Subscription {
    /// Nothing was sent yet; pauses double up to `max`.
    pub(crate) fn new(max: Duration) -> Subscription {
        Subscription {
            subscribed: false,
            bound: RETRY_MIN.min(max),
            max,
            number: 0,
        }
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        self.subscribed
    }

    /// The first attempt, or one after the other side was found again.
    pub(crate) fn start(&mut self, random: u64) -> Attempt {
        self.attempt(true, random)
    }

    /// The timer `number` went off.
    pub(crate) fn timer(&mut self, number: u64, random: u64) -> Option<Attempt> {
        (number == self.number && !self.subscribed).then(|| self.attempt(true, random))
    }

    /// SUBSCRIBED came; gives whether it was awaited.
    pub(crate) fn subscribed(&mut self) -> bool {
        self.bound = RETRY_MIN.min(self.max);
        !std::mem::replace(&mut self.subscribed, true)
    }

    /// The other side is gone; an attempt where it is not already being looked for.
    pub(crate) fn lost(&mut self, random: u64) -> Option<Attempt> {
        std::mem::replace(&mut self.subscribed, false).then(|| self.attempt(false, random))
    }

    /// A pause in the upper half of the bound, so that many do not come at one time.
    fn attempt(&mut self, subscribe: bool, random: u64) -> Attempt {
        self.number += 1;
        let half = self.bound / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX - 1);
        let pause = half + Duration::from_nanos(random % (nanos + 1));
        if subscribe {
            self.bound = (self.bound * 2).min(self.max);
        }
        Attempt {
            subscribe,
            number: self.number,
            pause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum() {
        let mut subscription = Subscription::new(Duration::from_secs(60));
        let mut attempt = subscription.start(u64::MAX - 1);
        let mut bounds = Vec::new();
        for _ in 0..8 {
            assert!(attempt.subscribe);
            bounds.push(subscription.bound.as_secs());
            assert!(attempt.pause <= Duration::from_secs(60));
            attempt = subscription.timer(attempt.number, 0).unwrap();
        }
        assert_eq!(bounds, [2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn a_stale_timer_and_a_second_loss_change_nothing() {
        let mut subscription = Subscription::new(Duration::from_secs(60));
        let first = subscription.start(7);
        assert!(subscription.subscribed());
        assert!(!subscription.subscribed());
        assert_eq!(subscription.timer(first.number, 7), None);
        let again = subscription.lost(7).unwrap();
        assert!(!again.subscribe, "it waits before it knocks");
        assert_eq!(subscription.lost(7), None);
        assert!(subscription.timer(again.number, 7).unwrap().subscribe);
    }
}
