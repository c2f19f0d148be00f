//! The service keeper's scheduler: holds N instances of a service alive, and replaces those of
//! another version one after another.
//!
//! ```text
//!   launched ──► running ──(for a while)──► ready ──(surplus or outdated)──► killed
//!      └────────────┴── ended, away: another one is launched, later each time it fails early
//! ```
//!
//! All that it has to know after a restart is in its tasks' ids: `service.version.number`.
//! Not here: where the framework's id is kept (`main`).

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tepui_framework::{
    Appetite, Driver, Ledger, Matcher, Needs, Places, Scheduler, Selector, Site, Spread, Standing,
    Task,
};
use tepui_protocol::mesos::v1::{FrameworkId, MasterInfo, Offer, TaskId, TaskState, TaskStatus};
use tepui_runtime::Time;

/// For how long a place is not wanted when no instance goes there.
const IDLE: Duration = Duration::from_secs(5);
/// The pause before the next launch after an instance failed early; it doubles.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// After so long an instance that still lives is killed again: a KILL may be lost on its way.
const KILL_AGAIN: Duration = Duration::from_secs(60);

/// What is to be kept alive.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// Its name, without a dot.
    pub(crate) name: String,
    /// Its version, without a dot.
    pub(crate) version: String,
    /// For a shell.
    pub(crate) command: String,
    /// How many; none ends the framework, and all instances with it.
    pub(crate) instances: usize,
    /// At most so many of one version on one host; none for as many as fit.
    pub(crate) per_host: Option<usize>,
    /// How long an instance has to run until it counts as ready.
    pub(crate) settle: Duration,
    /// Processors of each.
    pub(crate) cpus: f64,
    /// Megabytes of each.
    pub(crate) mem: f64,
}

#[derive(Debug, Clone)]
struct Instance {
    version: String,
    standing: Standing,
    /// Since when it runs.
    running: Option<Time>,
    /// When it was killed last.
    killed: Option<Time>,
}

/// Calls that remember the framework's id before anything is launched.
pub(crate) type Remember = Box<dyn FnMut(&FrameworkId) + Send>;

/// The scheduler.
pub(crate) struct Keeper {
    service: Service,
    instances: BTreeMap<String, Instance>,
    /// Of all ids that it gave in this life.
    number: u64,
    ledger: Ledger,
    places: Places,
    appetite: Appetite,
    /// There is a master; what is asked for meanwhile would be lost.
    connected: bool,
    /// No launch before this, and the pause after the next early failure.
    backoff: (Time, Duration),
    remember: Remember,
    told: Sender<String>,
    /// What was said last of how many are ready.
    said: BTreeMap<String, usize>,
}

impl Keeper {
    /// Keeps `service` alive. Has to be spawned with its role suppressed, so that it hears of
    /// its former tasks before it is offered anything.
    pub(crate) fn new(service: Service, remember: Remember, told: Sender<String>) -> Keeper {
        Keeper {
            service,
            instances: BTreeMap::new(),
            number: 0,
            ledger: Ledger::default(),
            places: Places::default(),
            appetite: Appetite::new(["*".to_owned()]),
            connected: false,
            backoff: (Time::default(), BACKOFF_MIN),
            remember,
            told,
            said: BTreeMap::new(),
        }
    }

    /// Instances that are ready, by version.
    pub(crate) fn ready(&self, now: Time) -> BTreeMap<String, usize> {
        let mut ready = BTreeMap::new();
        for instance in self.instances.values().filter(|it| self.is_ready(it, now)) {
            *ready.entry(instance.version.clone()).or_default() += 1;
        }
        ready
    }

    fn is_ready(&self, instance: &Instance, now: Time) -> bool {
        let settled = |since: Time| now.since(since) >= self.service.settle;
        instance.standing == Standing::Alive && instance.running.is_some_and(settled)
    }

    fn counted(&self, keep: impl Fn(&Instance) -> bool) -> usize {
        let alive = self
            .instances
            .values()
            .filter(|it| it.standing == Standing::Alive);
        alive.filter(|it| it.killed.is_none() && keep(it)).count()
    }

    fn is_current(&self, instance: &Instance) -> bool {
        instance.version == self.service.version
    }

    /// How many are to be launched: never more than one above the number wanted in all, so that
    /// a replacement is ready before what it replaces goes.
    fn missing(&self) -> usize {
        let wanted = self.service.instances;
        let current = self.counted(|it| self.is_current(it));
        let room = (wanted + 1).saturating_sub(self.counted(|_| true));
        wanted.saturating_sub(current).min(room)
    }

    /// Kills what is too much, and asks for offers if something is missing.
    fn balance(&mut self, driver: &mut Driver<'_>) {
        let (now, wanted) = (driver.now(), self.service.instances);
        if wanted == 0 {
            let _ = self.told.send(format!("{} is over", self.service.name));
            driver.teardown();
            return;
        }
        let by_version = self.ready(now);
        if by_version != self.said {
            let parts = by_version
                .iter()
                .map(|(version, count)| format!("{count} of {version}"));
            let line = parts.collect::<Vec<_>>().join(", ");
            let _ = self.told.send(format!("ready: {line}"));
            self.said = by_version;
        }
        let ready = self.counted(|it| self.is_current(it) && self.is_ready(it, now));
        let outdated = self.counted(|it| !self.is_current(it));
        let current = self.counted(|it| self.is_current(it));
        let too_old = (ready + outdated).saturating_sub(wanted).min(outdated);
        let too_many = current.saturating_sub(wanted);
        let version = self.service.version.clone();
        self.kill(driver, too_old, |it| it.version != version);
        self.kill(driver, too_many, |it| it.version == version);
        let (not_before, _) = self.backoff;
        let hungry = self.missing() > 0 && now >= not_before;
        self.appetite.set("*", hungry, driver);
    }

    fn kill(&mut self, driver: &mut Driver<'_>, count: usize, which: impl Fn(&Instance) -> bool) {
        let doomed =
            |it: &Instance| it.standing == Standing::Alive && it.killed.is_none() && which(it);
        let all = self.instances.iter().filter(|(_, it)| doomed(it));
        let ids: Vec<String> = all.map(|(id, _)| id.clone()).take(count).collect();
        for id in ids {
            let _ = self.told.send(format!("{id} is to go"));
            self.end(driver, id);
        }
    }

    /// Kills again what should be gone by now.
    fn insist(&mut self, driver: &mut Driver<'_>) {
        let now = driver.now();
        let late = |it: &Instance| {
            let killed = it.killed.filter(|_| it.standing == Standing::Alive);
            killed.is_some_and(|at| now.since(at) >= KILL_AGAIN)
        };
        let all = self.instances.iter().filter(|(_, it)| late(it));
        let ids: Vec<String> = all.map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.end(driver, id);
        }
    }

    fn end(&mut self, driver: &mut Driver<'_>, id: String) {
        if let Some(instance) = self.instances.get_mut(&id) {
            instance.killed = Some(driver.now());
        }
        let known = self.ledger.get(&id);
        let agent_id = known.and_then(|known| known.agent_id.clone());
        driver.kill(TaskId { value: id }, agent_id, None);
        driver.wake_after(KILL_AGAIN);
    }

    /// The next instance's id; the time in it sets it apart from those of a former life.
    fn id(&mut self, now: Time) -> String {
        self.number += 1;
        let milliseconds = (now.as_secs_f64() * 1000.0) as u64;
        let Service { name, version, .. } = &self.service;
        format!("{name}.{version}.{milliseconds:x}-{}", self.number)
    }

    /// An instance that was launched ended or went away.
    fn over(&mut self, instance: &Instance, driver: &mut Driver<'_>) {
        let now = driver.now();
        if instance.killed.is_some() || !self.is_current(instance) {
            return;
        }
        if self.is_ready(instance, now) {
            self.backoff = (now, BACKOFF_MIN);
        } else {
            let (_, pause) = self.backoff;
            self.backoff = (now + pause, (pause * 2).min(BACKOFF_MAX));
            driver.wake_after(pause);
        }
    }
}

impl Scheduler for Keeper {
    fn subscribed(&mut self, driver: &mut Driver<'_>, id: &FrameworkId, _: Option<&MasterInfo>) {
        (self.remember)(id);
        self.connected = true;
        self.appetite.subscribed();
        // What was killed last may not have been heard of: it is chosen anew.
        for instance in self.instances.values_mut() {
            instance.killed = None;
        }
        // Answered before the REVIVE that follows it is heard.
        self.ledger.subscribed(driver);
        self.balance(driver);
    }

    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        let mut matcher = Matcher::new(&offers);
        for place in matcher.places() {
            self.places.seen(&place.site);
        }
        let (not_before, _) = self.backoff;
        let missing = if driver.now() >= not_before {
            self.missing()
        } else {
            0
        };
        let group = format!("{}.{}", self.service.name, self.service.version);
        let mut needs = Needs::of(self.service.cpus, self.service.mem);
        if let Some(at_most) = self.service.per_host {
            needs = needs.spread(Spread {
                group: group.clone(),
                per: Selector::Hostname,
                at_most,
            });
        }
        for _ in 0..missing {
            let id = self.id(driver.now());
            let task = Task::command(&id, &self.service.command);
            let place = matcher.place(task, &needs, &self.places, |_| true);
            let Some((site, agent_id)) = place.map(|it| (it.site.clone(), it.agent_id.clone()))
            else {
                break;
            };
            self.places.add(&id, &group, site);
            self.ledger.launched(&id, &agent_id);
            let instance = Instance {
                version: self.service.version.clone(),
                standing: Standing::Alive,
                running: None,
                killed: None,
            };
            self.instances.insert(id, instance);
        }
        matcher.launch(driver, IDLE);
        self.balance(driver);
    }

    fn update(&mut self, driver: &mut Driver<'_>, status: TaskStatus) {
        let id = status.task_id.value.clone();
        let change = self.ledger.update(&status);
        let _ = self
            .told
            .send(format!("{id} {}", status.state().as_str_name()));
        if change.now == Standing::Over {
            self.places.remove(&id);
            if let Some(instance) = self.instances.remove(&id)
                && instance.standing == Standing::Alive
            {
                self.over(&instance, driver);
            }
            self.balance(driver);
            return;
        }
        let mut parts = id.split('.').map(str::to_owned);
        let (name, version) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        if change.before.is_none() {
            let site = Site::unseen(status.agent_id.clone().unwrap_or_default().value);
            self.places.add(&id, &format!("{name}.{version}"), site);
        }
        let instance = self.instances.entry(id).or_insert_with(|| Instance {
            version,
            standing: change.now,
            running: None,
            killed: None,
        });
        instance.standing = change.now;
        match (status.state(), change.now) {
            (TaskState::TaskRunning, _) if instance.running.is_none() => {
                instance.running = Some(driver.now());
                driver.wake_after(self.service.settle);
            }
            (_, Standing::Away) => {
                instance.running = None;
                // If it comes back it is too much, and is to be killed then.
                instance.killed = None;
            }
            _ => {}
        }
        self.balance(driver);
    }

    fn wake(&mut self, driver: &mut Driver<'_>) {
        if !self.connected {
            return;
        }
        self.ledger.wake(driver);
        self.insist(driver);
        self.balance(driver);
    }

    fn disconnected(&mut self, driver: &mut Driver<'_>) {
        self.connected = false;
        // As at the beginning: it hears of its tasks before it is offered anything.
        driver.suppress(vec!["*".to_owned()]);
    }

    fn error(&mut self, _: &mut Driver<'_>, message: String) {
        let _ = self
            .told
            .send(format!("the master ends the framework: {message}"));
    }
}
