//! A new agent takes over: what its checkpoints name is watched again or its end is told, and
//! whatever else is found is destroyed. How a container ends is decided beside it.

use std::collections::{BTreeMap, BTreeSet};

use super::nested::{parent_of, root_of};
use super::{Container, Core, Effect, Found, State};

/// Recovery under way: who asked, and the orphans that are still being destroyed.
#[derive(Clone, Debug)]
pub(super) struct Recovery<P> {
    asker: P,
    observer: P,
    ids: Vec<String>,
    alive: Vec<String>,
    orphans: Vec<String>,
    pub(super) waiting: BTreeSet<String>,
    pub(super) errors: Vec<String>,
    /// Why what was found dead cannot be removed.
    pub(super) stuck: BTreeMap<String, String>,
}

impl<P> Recovery<P> {
    /// Whether the new agent knows this container, or the one that it is nested in.
    fn names(&self, id: &str) -> bool {
        self.ids.iter().any(|named| named == root_of(id))
    }
}

impl<P: Clone, S: Clone> Core<P, S> {
    pub(super) fn recover(
        &mut self,
        ids: Vec<String>,
        asker: P,
        observer: P,
        effects: &mut Vec<Effect<P, S>>,
    ) {
        if self.recovery.is_some() {
            let error = Some("the containerizer is recovering already".to_owned());
            let (alive, orphans) = (Vec::new(), Vec::new());
            effects.push(Effect::Recovered {
                to: asker,
                alive,
                orphans,
                error,
            });
            return;
        }
        self.recovery = Some(Recovery {
            asker,
            observer,
            ids,
            alive: Vec::new(),
            orphans: Vec::new(),
            waiting: BTreeSet::new(),
            errors: Vec::new(),
            stuck: BTreeMap::new(),
        });
        effects.push(Effect::Find);
    }

    pub(super) fn found(
        &mut self,
        result: Result<Vec<Found>, String>,
        effects: &mut Vec<Effect<P, S>>,
    ) {
        let Some(mut recovery) = self.recovery.take() else {
            return;
        };
        let mut found = result.unwrap_or_else(|error| {
            recovery.errors.push(error);
            Vec::new()
        });
        let unnamed: Vec<String> = self
            .containers
            .keys()
            .filter(|id| !recovery.names(id))
            .cloned()
            .collect();
        for id in unnamed {
            self.disown(&id, &mut recovery, effects);
        }
        self.keep(&mut recovery, effects);
        let mut over = Vec::new();
        for id in recovery.ids.clone() {
            if !self.containers.contains_key(&id) {
                let alive = found.iter().any(|found| found.id == id && found.alive);
                self.adopt(id, alive, &mut recovery, &mut over, effects);
            }
        }
        // Parents come before what is nested in them.
        found.sort_by(|one, other| one.id.cmp(&other.id));
        for Found { id, alive } in found {
            if self.containers.contains_key(&id) {
                continue;
            }
            if recovery.names(&id) {
                // Without its parent none is alive.
                let parent = parent_of(&id).and_then(|parent| self.containers.get(parent));
                let alive = alive && parent.is_some_and(|parent| parent.state == State::Running);
                self.adopt(id, alive, &mut recovery, &mut over, effects);
            } else {
                self.containers
                    .insert(id.clone(), Container::new(State::Destroying, None));
                if parent_of(&id).is_none() {
                    recovery.orphans.push(id.clone());
                }
                recovery.waiting.insert(id.clone());
                over.push(id);
            }
        }
        self.recovery = Some(recovery);
        for id in over {
            self.end_if_alone(id, effects);
        }
        self.finish_recovery(effects);
    }

    /// What this containerizer knows of the new agent's: the agent is another one, it is not.
    fn keep(&mut self, recovery: &mut Recovery<P>, effects: &mut Vec<Effect<P, S>>) {
        let known = self.containers.keys().filter(|id| recovery.names(id));
        let known: Vec<String> = known.cloned().collect();
        for id in known {
            let Some(container) = self.containers.get_mut(&id) else {
                continue;
            };
            match container.state {
                // The new agent does not know it, and whoever asked for it has learned nothing.
                State::Preparing | State::Isolating | State::Fetching
                    if parent_of(&id).is_some() =>
                {
                    container.observer = None;
                    self.destroy(id, effects);
                    continue;
                }
                State::Running => recovery.alive.push(id.clone()),
                // Told to the last agent; one that is stuck ends with its parent.
                State::Ended | State::Destroying
                    if parent_of(&id).is_some() && container.termination.is_some() =>
                {
                    let termination = container.termination.clone();
                    effects.extend(termination.map(|termination| Effect::Terminated {
                        to: recovery.observer.clone(),
                        id: id.clone(),
                        termination,
                    }));
                    continue;
                }
                State::Removing => {
                    self.destroy(id, effects);
                    continue;
                }
                _ => {}
            }
            container.observer = Some(recovery.observer.clone());
        }
    }

    /// One of the new agent's that is found on the host, or of which nothing is.
    fn adopt(
        &mut self,
        id: String,
        alive: bool,
        recovery: &mut Recovery<P>,
        over: &mut Vec<String>,
        effects: &mut Vec<Effect<P, S>>,
    ) {
        let observer = Some(recovery.observer.clone());
        let state = match alive {
            true => State::Running,
            false => State::Destroying,
        };
        let container = Container {
            unsure: !alive && parent_of(&id).is_some(),
            ..Container::new(state, observer)
        };
        self.containers.insert(id.clone(), container);
        if alive {
            recovery.alive.push(id.clone());
            effects.push(Effect::Watch { id });
        } else {
            // Dead, or never started: what is left of it is removed, and its end is told.
            recovery.waiting.insert(id.clone());
            over.push(id);
        }
    }

    /// The new agent does not know a container of ours: it ends, and nobody is told.
    fn disown(&mut self, id: &str, recovery: &mut Recovery<P>, effects: &mut Vec<Effect<P, S>>) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        container.observer = None;
        match container.state {
            State::Running => {
                recovery.waiting.insert(id.to_owned());
            }
            // Its launch was asked for by an agent that is gone.
            State::Preparing | State::Isolating | State::Fetching => {}
            State::Destroying | State::Ended | State::Removing => {
                self.destroy(id.to_owned(), effects);
                return;
            }
        }
        if parent_of(id).is_none() {
            recovery.orphans.push(id.to_owned());
        }
        self.destroy(id.to_owned(), effects);
    }

    pub(super) fn finish_recovery(&mut self, effects: &mut Vec<Effect<P, S>>) {
        if self
            .recovery
            .as_ref()
            .is_some_and(|recovery| recovery.waiting.is_empty())
            && let Some(recovery) = self.recovery.take()
        {
            let Recovery {
                asker: to,
                alive,
                orphans,
                mut errors,
                stuck,
                ..
            } = recovery;
            // What its parent's removal removed, too, is not left.
            let is_left = |id: &str| {
                let container = self.containers.get(id);
                container.is_some_and(|container| container.stuck)
            };
            let left = stuck.into_iter().filter(|(id, _)| is_left(id));
            errors.extend(left.map(|(_, error)| error));
            let error = (!errors.is_empty()).then(|| errors.join("; "));
            // One may have ended meanwhile: what was told of is not alive.
            let untold = |id: &String| {
                let container = self.containers.get(id);
                container.is_some_and(|container| container.observer.is_some())
            };
            let alive = alive.into_iter().filter(untold).collect();
            effects.push(Effect::Recovered {
                to,
                alive,
                orphans,
                error,
            });
        }
    }
}
