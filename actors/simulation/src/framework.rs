//! A scheduler with a temperament. It launches tasks whose commands are scripts, kills some,
//! reconciles now and then, and writes down what it is told.
//!
//! ```text
//! busy: takes offers, kills, reconciles --quiet--> takes nothing, kills what is not to stay,
//!                                                  reconciles until its book is true
//! ```
//!
//! It has no clock: whoever runs it says what time it is, now and then ([`Player::tick`]).

mod crews;
mod groups;
mod ledger;
mod nonsense;
mod tasks;
mod wishes;

use std::time::Duration;

use tepui_framework::{Driver, Scheduler};
use tepui_protocol::mesos::v1::{
    AgentId, ExecutorId, Filters, FrameworkId, MasterInfo, Offer, OfferId, TaskInfo, TaskStatus,
};
use tepui_runtime::{Bytes, Time};

pub(crate) use self::crews::sender_of;
pub(crate) use self::groups::is_default;
pub(crate) use self::ledger::{Ledger, is_over};
use self::tasks::Orders;
use crate::temperament::{Acknowledges, Temperament};

/// For how long a quiet framework refuses offers.
const QUIET_REFUSAL: Duration = Duration::from_secs(24 * 3600);

/// A launch of which nothing was heard for so long is said again, by who does not know better.
const SAID_AGAIN: Duration = Duration::from_secs(15);

/// A quiet framework asks so often what became of its tasks.
const RECONCILE_EVERY: Duration = Duration::from_secs(20);

/// The scheduler.
pub(crate) struct Player {
    ledger: Ledger,
    now: Time,
    /// Offers that wait for an answer, and until when.
    held: Vec<(Time, Offer)>,
    /// Updates that wait for their acknowledgement.
    unacknowledged: Vec<(Time, TaskStatus)>,
    /// Offers that were answered, for who wants to use them again.
    used: Vec<OfferId>,
    /// Launches of which nothing was heard yet, and when they are said again.
    unheard: Vec<(Time, Offer, Orders)>,
    next_reconcile: Time,
    subscribed: bool,
    /// It said that it wants offers everywhere.
    calm: bool,
    torn_down: bool,
}

impl Player {
    pub(crate) fn new(ledger: Ledger, now: Time) -> Player {
        Player {
            ledger,
            now,
            held: Vec::new(),
            unacknowledged: Vec::new(),
            used: Vec::new(),
            unheard: Vec::new(),
            next_reconcile: now,
            subscribed: false,
            calm: false,
            torn_down: false,
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, driver: &mut Driver<'_>, now: Time) {
        self.now = now;
        if self.torn_down || !self.subscribed {
            return;
        }
        self.answer_due(driver);
        self.acknowledge_due(driver);
        self.say_again(driver);
        let quiet = self.ledger.lock().quiet;
        if quiet {
            self.calm_down(driver);
        } else {
            self.act(driver);
        }
    }

    fn answer_due(&mut self, driver: &mut Driver<'_>) {
        let quiet = self.ledger.lock().quiet;
        if self.ledger.lock().hungry() {
            return;
        }
        let now = self.now;
        let held = std::mem::take(&mut self.held);
        let (due, later) = held.into_iter().partition(|(at, _)| quiet || *at <= now);
        self.held = later;
        let due: Vec<(Time, Offer)> = due;
        for (_, offer) in due {
            self.answer(driver, &offer);
        }
    }

    fn acknowledge_due(&mut self, driver: &mut Driver<'_>) {
        let now = self.now;
        self.unacknowledged.retain(|(at, status)| {
            if *at <= now {
                driver.acknowledge(status);
            }
            *at > now
        });
    }

    /// An ACCEPT that was lost, or whose answer was: the offer may be gone by now.
    fn say_again(&mut self, driver: &mut Driver<'_>) {
        let now = self.now;
        let unheard = std::mem::take(&mut self.unheard);
        let (due, later) = unheard.into_iter().partition(|(at, ..)| *at <= now);
        self.unheard = later;
        let due: Vec<(Time, Offer, Orders)> = due;
        for (_, offer, orders) in due {
            let unheard = {
                let memory = self.ledger.lock();
                let told = |task: &TaskInfo| {
                    let own = memory.tasks.get(&task.task_id.value);
                    own.is_none_or(|own| own.told.is_some())
                };
                !memory.quiet && !orders.tasks.iter().any(told)
            };
            if unheard {
                tasks::accept(driver, &offer, &orders, Filters::default());
            }
        }
    }

    /// Takes an offer or refuses it.
    fn answer(&mut self, driver: &mut Driver<'_>, offer: &Offer) {
        let orders = self.tasks_for(offer);
        let memory = self.ledger.lock();
        let refusal = if memory.quiet {
            QUIET_REFUSAL
        } else if memory.temperament == Temperament::Sharing {
            tasks::shared_refusal(offer, orders.tasks.len())
        } else {
            memory.temperament.refuses(&memory.random)
        };
        let filters = Filters {
            refuse_seconds: Some(refusal.as_secs_f64()),
        };
        drop(memory);
        if orders.tasks.is_empty() {
            driver.decline_with(vec![offer.id.clone()], Some(filters));
        } else {
            let temperament = self.ledger.lock().temperament;
            if matches!(temperament, Temperament::Failing | Temperament::Nonsense) {
                let (again, offer) = (self.now + SAID_AGAIN, offer.clone());
                self.unheard.push((again, offer, orders.clone()));
            }
            tasks::accept(driver, offer, &orders, filters);
        }
        if self.used.len() == 16 {
            self.used.remove(0);
        }
        self.used.push(offer.id.clone());
    }

    /// A moment of a busy framework.
    fn act(&mut self, driver: &mut Driver<'_>) {
        let (kill, reconcile, implicit, temperament) = {
            let memory = self.ledger.lock();
            let random = &memory.random;
            let draws = (random.below(40), random.below(200), random.below(2));
            (draws.0 == 0, draws.1 == 0, draws.2 == 0, memory.temperament)
        };
        if temperament == Temperament::Sharing {
            return;
        }
        self.suppress_or_revive(driver);
        self.may_change_its_mind(driver);
        if kill {
            self.kill_one(driver);
        }
        if reconcile {
            self.reconcile(driver, implicit);
        }
        self.visit_crew(driver);
        if temperament == Temperament::Nonsense {
            self.nonsense(driver);
        }
    }

    /// A moment of a quiet one.
    fn calm_down(&mut self, driver: &mut Driver<'_>) {
        if self.now < self.next_reconcile {
            return;
        }
        self.next_reconcile = self.now + RECONCILE_EVERY;
        if !std::mem::replace(&mut self.calm, true) {
            self.want_all(driver);
        }
        self.kill_what_does_not_stay(driver);
        // What it believes lost may be back, and only the question for all says so.
        self.reconcile(driver, false);
        self.reconcile(driver, true);
    }

    /// Ends the framework and all that it has. Whether the master heard of it shows when the
    /// framework comes back.
    pub(crate) fn tear_down(&mut self, driver: &mut Driver<'_>) {
        self.ledger.lock().ending = true;
        self.torn_down = true;
        driver.teardown();
    }
}

impl Scheduler for Player {
    fn subscribed(&mut self, driver: &mut Driver<'_>, id: &FrameworkId, _: Option<&MasterInfo>) {
        self.held.clear();
        self.subscribed = true;
        let ending = {
            let mut memory = self.ledger.lock();
            memory.subscribed = true;
            memory.id = Some(id.clone());
            memory.ending
        };
        if ending {
            return self.tear_down(driver);
        }
        self.reconcile(driver, false);
    }

    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        for offer in offers {
            let wait = {
                let memory = self.ledger.lock();
                memory.temperament.thinks(&memory.random)
            };
            let hungry = self.ledger.lock().hungry();
            if !hungry && (wait == Duration::ZERO || self.ledger.lock().quiet) {
                self.answer(driver, &offer);
            } else {
                self.held.push((self.now + wait, offer));
            }
        }
    }

    fn rescind(&mut self, _: &mut Driver<'_>, offer_id: OfferId) {
        // One that talks nonsense goes on with it.
        if self.ledger.lock().temperament != Temperament::Nonsense {
            self.held.retain(|(_, offer)| offer.id != offer_id);
        }
    }

    fn update(&mut self, _: &mut Driver<'_>, status: TaskStatus) {
        let mut memory = self.ledger.lock();
        memory.told(&status);
        if memory.temperament.acknowledges() == Acknowledges::Late {
            let wait = Duration::from_secs(1 + memory.random.below(25));
            drop(memory);
            self.unacknowledged.push((self.now + wait, status));
        }
    }

    fn message(&mut self, _: &mut Driver<'_>, _: AgentId, _: ExecutorId, _: Bytes) {
        self.ledger.lock().heard += 1;
    }

    fn disconnected(&mut self, _: &mut Driver<'_>) {
        self.held.clear();
        self.unacknowledged.clear();
        self.calm = false;
        self.subscribed = false;
        self.ledger.lock().subscribed = false;
    }

    fn error(&mut self, _: &mut Driver<'_>, message: String) {
        self.subscribed = false;
        let mut memory = self.ledger.lock();
        memory.subscribed = false;
        if message.contains("failed over") {
            memory.replaced = true;
        } else {
            memory.over = true;
        }
    }
}
