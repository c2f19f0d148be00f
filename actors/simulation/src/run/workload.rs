//! The frameworks of a run: their memories, and the schedulers that act for them at present.

use std::collections::BTreeMap;

use tepui_framework::{Driver, Framework, Options, spawn_with};
use tepui_invariants::books::FrameworkBook;
use tepui_runtime::{Id, Node, Random};

use crate::cluster::{Cluster, ClusterError};
use crate::framework::{Ledger, Player};
use crate::http_client::{HttpFramework, spawn_http};
use crate::temperament::{Acknowledges, Temperament};

/// How many frameworks share what there is at the end.
const SHARERS: usize = 3;

/// Weights of the sharers' roles: one counts for two.
pub(super) fn weights() -> BTreeMap<String, f64> {
    BTreeMap::from([(share_role(1), 2.0)])
}

fn share_role(number: usize) -> String {
    format!("share-{number}")
}

/// A scheduler and its host.
struct Life {
    node: Node,
    scheduler: Scheduler,
}

/// How it speaks with the master.
enum Scheduler {
    Messages(Framework<Player>),
    Http(HttpFramework<Player>),
}

impl Life {
    fn call(&self, call: impl FnOnce(&mut Player, &mut Driver<'_>) + Send + 'static) {
        match &self.scheduler {
            Scheduler::Messages(framework) => framework.call(call),
            Scheduler::Http(framework) => framework.call(call),
        }
    }
}

/// One of the frameworks, as long as there is work: one that is over is followed by another of
/// its temperament.
struct Actor {
    temperament: Temperament,
    ledger: Ledger,
    /// The present scheduler.
    life: Option<Life>,
    /// Hosts of schedulers that another took over from; one that was cut off then may come back
    /// and take the framework again.
    older: Vec<Node>,
    /// It crashed, and is not to come back before this many moments.
    away: u64,
}

/// All frameworks.
pub(super) struct Workload {
    actors: Vec<Actor>,
    /// Books of those that are over.
    former: Vec<Ledger>,
    random: Random,
    next: usize,
    quiet: bool,
}

impl Workload {
    pub(super) fn start(
        cluster: &mut Cluster,
        frameworks: usize,
        random: &Random,
    ) -> Result<Workload, ClusterError> {
        let mut workload = Workload {
            actors: Vec::new(),
            former: Vec::new(),
            random: random.clone(),
            next: 1,
            quiet: false,
        };
        for number in 0..frameworks {
            // All temperaments are there where there is room for them; which comes first is drawn.
            let all = Temperament::ALL;
            let first = if number == 0 { random.below(7) } else { 0 };
            let first = usize::try_from(first).unwrap_or(0);
            let before = workload.actors.first().map(|actor| actor.temperament);
            let at = match before {
                None => first,
                Some(before) => {
                    let of_first = all.iter().position(|one| *one == before).unwrap_or(0);
                    of_first + number * 3
                }
            };
            let temperament = all
                .get(at % all.len())
                .copied()
                .unwrap_or(Temperament::Greedy);
            let ledger = workload.ledger(temperament);
            workload.actors.push(Actor {
                temperament,
                ledger,
                life: None,
                older: Vec::new(),
                away: 0,
            });
            workload.revive(cluster, number)?;
        }
        Ok(workload)
    }

    /// Whoever kept all offers gives them back, and new frameworks want all there is.
    pub(super) fn share_out(&mut self, cluster: &mut Cluster) -> Result<(), ClusterError> {
        for actor in &self.actors {
            actor.ledger.lock().keeps_offers = false;
        }
        for number in 0..SHARERS {
            let temperament = Temperament::Sharing;
            let ledger = self.ledger(temperament);
            {
                let mut memory = ledger.lock();
                let role = share_role(number);
                memory.weight = weights().get(&role).copied().unwrap_or(1.0);
                memory.info.role = Some(role);
            }
            self.actors.push(Actor {
                temperament,
                ledger,
                life: None,
                older: Vec::new(),
                away: 0,
            });
            self.revive(cluster, self.actors.len() - 1)?;
        }
        Ok(())
    }

    fn sharing(&self) -> impl Iterator<Item = &Actor> {
        let sharing = |actor: &&Actor| actor.temperament == Temperament::Sharing;
        self.actors.iter().filter(sharing)
    }

    /// Which of those who share is to give a task up, and then which: each as often as the others,
    /// in an order that is drawn. Who refused offers for a while does so no more.
    pub(super) fn givers(&self, each: usize) -> Vec<usize> {
        let mut sharers = 0;
        for actor in self.sharing() {
            actor.ledger.lock().coy = 0;
            sharers += 1;
        }
        let mut left: Vec<usize> = (0..sharers * each).map(|turn| turn % sharers).collect();
        let mut givers = Vec::new();
        while !left.is_empty() {
            let at = self.random.below(left.len() as u64);
            givers.push(left.swap_remove(usize::try_from(at).unwrap_or(0)));
        }
        givers
    }

    /// One of those who share gives a task up, if it has any that runs.
    pub(super) fn give_up_one(&self, sharer: usize) {
        let life = self.sharing().nth(sharer).and_then(|it| it.life.as_ref());
        if let Some(life) = life {
            life.call(|player, driver| player.give_up_one(driver));
        }
    }

    fn ledger(&mut self, temperament: Temperament) -> Ledger {
        let number = self.next;
        self.next += 1;
        Ledger::new(temperament, number, Random::from_number(self.random.u64()))
    }

    /// Starts a scheduler for a framework, on a host of its own.
    fn revive(&mut self, cluster: &mut Cluster, number: usize) -> Result<(), ClusterError> {
        let node = cluster.framework_host()?;
        let now = cluster.simulation.now();
        let master = cluster.master_pid();
        let Some(actor) = self.actors.get_mut(number) else {
            return Ok(());
        };
        let (words, http) = {
            let mut memory = actor.ledger.lock();
            memory.subscribed = false;
            (memory.words(), memory.http)
        };
        let acknowledge = actor.temperament.acknowledges() == Acknowledges::AtOnce;
        let player = Player::new(actor.ledger.clone(), now);
        let spawned = if http {
            let network = cluster.simulation.network();
            spawn_http(&node, network, master.address(), words, player, acknowledge)
                .map(Scheduler::Http)
        } else {
            let options = Options {
                id: Id::Prefix("scheduler".to_owned()),
                acknowledge,
                suppressed_roles: words.suppressed_roles,
                offer_constraints: words.offer_constraints,
            };
            let info = words.framework_info;
            spawn_with(&node, master, info, player, options).map(Scheduler::Messages)
        };
        let scheduler = spawned.map_err(|source| ClusterError::Spawn {
            name: format!("framework of {}", actor.temperament.name()),
            source,
        })?;
        actor.away = 0;
        actor.life = Some(Life { node, scheduler });
        Ok(())
    }

    /// The host of a framework crashes. False where it is down.
    pub(super) fn crash(&mut self, number: usize, away: u64) -> bool {
        let Some(actor) = self.actors.get_mut(number) else {
            return false;
        };
        let life = actor.life.take();
        if let Some(life) = &life {
            life.node.crash();
            actor.away = away.max(1);
        }
        life.is_some()
    }

    /// A second scheduler, while the first is still there. False where none is.
    pub(super) fn fail_over(
        &mut self,
        cluster: &mut Cluster,
        number: usize,
    ) -> Result<bool, ClusterError> {
        let Some(actor) = self.actors.get_mut(number) else {
            return Ok(false);
        };
        let Some(first) = actor.life.take() else {
            return Ok(false);
        };
        actor.older.push(first.node);
        self.revive(cluster, number)?;
        Ok(true)
    }

    /// A framework ends itself; it looks later whether it did. False where it is down.
    pub(super) fn tear_down(&mut self, number: usize) -> bool {
        let Some(actor) = self.actors.get_mut(number) else {
            return false;
        };
        let life = actor.life.take();
        if let Some(life) = &life {
            actor.away = 30;
            life.call(|player, driver| player.tear_down(driver));
        }
        life.is_some()
    }

    /// The host of a framework, while it is up.
    pub(super) fn node(&self, number: usize) -> Option<Node> {
        let life = self.actors.get(number)?.life.as_ref()?;
        Some(life.node.clone())
    }

    /// A moment for every framework.
    pub(super) fn tick(&mut self, cluster: &mut Cluster) -> Result<(), ClusterError> {
        let now = cluster.simulation.now();
        for number in 0..self.actors.len() {
            self.may_go_away(number);
            let Some(actor) = self.actors.get_mut(number) else {
                continue;
            };
            let over = actor.ledger.lock().over;
            // The one that has the framework may be long dead, and what it sent was under way until
            // now: whoever supervises a scheduler starts one that has ended again.
            let replaced = std::mem::take(&mut actor.ledger.lock().replaced);
            if replaced
                && self.quiet
                && let Some(life) = actor.life.take()
            {
                life.node.crash();
                actor.away = 3;
            }
            if let Some(life) = &actor.life {
                life.call(move |player, driver| player.tick(driver, now));
            } else if actor.away > 1 {
                actor.away -= 1;
                continue;
            }
            if over && !self.quiet {
                let temperament = actor.temperament;
                if let Some(life) = actor.life.take() {
                    life.node.crash();
                }
                let ledger = self.ledger(temperament);
                if let Some(actor) = self.actors.get_mut(number) {
                    let former = std::mem::replace(&mut actor.ledger, ledger);
                    self.former.push(former);
                }
                self.revive(cluster, number)?;
            } else if !over && actor.life.is_none() {
                self.revive(cluster, number)?;
            }
        }
        Ok(())
    }

    /// A failing framework crashes now and then, for a while.
    fn may_go_away(&mut self, number: usize) {
        let fails = self
            .actors
            .get(number)
            .is_some_and(|actor| actor.temperament == Temperament::Failing && actor.life.is_some());
        if fails && !self.quiet && self.random.below(45) == 0 {
            let away = 1 + self.random.below(50);
            self.crash(number, away);
        }
    }

    /// All frameworks are there, and want nothing new.
    pub(super) fn calm(&mut self) {
        self.quiet = true;
        let refuses_briefly = [Temperament::Hoarding, Temperament::Greedy];
        let hungry = self.actors.iter().find(|actor| {
            let memory = actor.ledger.lock();
            refuses_briefly.contains(&actor.temperament) && !memory.over && !memory.ending
        });
        if let Some(hungry) = hungry {
            hungry.ledger.lock().keeps_offers = true;
        }
        for number in 0..self.actors.len() {
            let Some(actor) = self.actors.get_mut(number) else {
                continue;
            };
            actor.away = 0;
            // Whoever has the framework now, one scheduler of it goes on: a new one, once what the
            // others have sent cannot take the framework from it any more.
            if !actor.older.is_empty() {
                actor.older.extend(actor.life.take().map(|life| life.node));
            }
            if actor.life.is_none() {
                actor.away = 3;
            }
            for node in actor.older.drain(..) {
                node.crash();
            }
            actor.ledger.lock().quiet = true;
        }
    }

    /// What the frameworks have written down themselves.
    pub(super) fn books(&self) -> Vec<(String, FrameworkBook)> {
        let present = self.actors.iter().map(|actor| &actor.ledger);
        let ledgers = self.former.iter().chain(present);
        ledgers.map(|ledger| ledger.lock().book()).collect()
    }

    pub(super) fn count(&self, numbers: &mut BTreeMap<&'static str, u64>) {
        let present = self.actors.iter().map(|actor| &actor.ledger);
        for ledger in self.former.iter().chain(present) {
            let memory = ledger.lock();
            *numbers.entry("tasks asked for").or_default() += memory.launched;
            *numbers.entry("nonsense calls").or_default() += memory.nonsense;
            *numbers.entry("answers of executors").or_default() += memory.heard;
            *numbers.entry("frameworks").or_default() += 1;
        }
    }
}
