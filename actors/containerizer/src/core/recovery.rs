//! A new agent takes over: what its checkpoints name is watched again or its end is told, and
//! whatever else is found is destroyed. How a container ends is decided beside it.

use std::collections::BTreeSet;

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
        let found = result.unwrap_or_else(|error| {
            recovery.errors.push(error);
            Vec::new()
        });
        let unnamed: Vec<String> = self
            .containers
            .keys()
            .filter(|id| !recovery.ids.contains(id))
            .cloned()
            .collect();
        for id in unnamed {
            self.disown(&id, &mut recovery, effects);
        }
        for id in &recovery.ids {
            if let Some(container) = self.containers.get_mut(id) {
                // The agent is another one, this containerizer is not.
                container.observer = Some(recovery.observer.clone());
                if container.state == State::Running {
                    recovery.alive.push(id.clone());
                }
                continue;
            }
            let alive = found.iter().any(|found| found.id == *id && found.alive);
            let observer = Some(recovery.observer.clone());
            let state = if alive {
                State::Running
            } else {
                State::Destroying
            };
            self.containers
                .insert(id.clone(), Container::new(state, observer));
            if alive {
                recovery.alive.push(id.clone());
                effects.push(Effect::Watch { id: id.clone() });
            } else {
                // Dead, or never started: what is left of it is removed, and its end is told.
                recovery.waiting.insert(id.clone());
                effects.push(Effect::Destroy { id: id.clone() });
            }
        }
        for Found { id, .. } in found {
            if !self.containers.contains_key(&id) {
                self.containers
                    .insert(id.clone(), Container::new(State::Destroying, None));
                recovery.orphans.push(id.clone());
                recovery.waiting.insert(id.clone());
                effects.push(Effect::Destroy { id });
            }
        }
        self.recovery = Some(recovery);
        self.finish_recovery(effects);
    }

    /// The new agent does not know a container of ours: it ends, and nobody is told.
    fn disown(&mut self, id: &str, recovery: &mut Recovery<P>, effects: &mut Vec<Effect<P, S>>) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        container.observer = None;
        match container.state {
            State::Running => {
                recovery.orphans.push(id.to_owned());
                recovery.waiting.insert(id.to_owned());
            }
            // Its launch was asked for by an agent that is gone.
            State::Preparing | State::Isolating | State::Fetching => {
                recovery.orphans.push(id.to_owned())
            }
            State::Destroying => {}
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
                errors,
                ..
            } = recovery;
            let error = (!errors.is_empty()).then(|| errors.join("; "));
            effects.push(Effect::Recovered {
                to,
                alive,
                orphans,
                error,
            });
        }
    }
}
