//! What a containerizer decides: the states of its containers, what is done next, and who is told
//! what. It does nothing itself; launchers, simulated or real, carry its effects out.
//!
//! ```text
//!             Launch                 Prepared            Forked
//!  (unknown) ───────► PREPARING ───────────► ISOLATING ───────► RUNNING
//!                         │ failed: forgotten    │ failed          │ Exited, OutOfMemory, Destroy
//!                         │                      ▼                 ▼
//!                         └── Destroy ──────► DESTROYING ◄─────────┘
//!                          (when the step is over)   │ Destroyed
//!                                                    ▼
//!                                                (unknown)
//! ```
//!
//! The names are Mesos'; its PROVISIONING and FETCHING have nothing to do here yet, and STARTING is
//! over within one message. A destroy that comes while a step of a launch is under way waits for
//! that step, so that two steps of one container never overlap.
//!
//! A launch is answered once. If it succeeded, the observer is sent one termination; if it failed,
//! nothing is left and nothing follows.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::Limits;

mod termination;
#[cfg(test)]
mod tests;

pub(crate) use termination::{Ending, Figures, Termination};

/// Where a container is between its launch and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its folder and cgroups are being made.
    Preparing,
    /// Its init is being started.
    Isolating,
    /// Its command was started.
    Running,
    /// It is being killed and removed.
    Destroying,
}

/// What happened. `P` names who asked or observes, `S` is what a launcher needs.
#[derive(Clone, Debug)]
pub(crate) enum Input<P, S> {
    Launch {
        id: String,
        spec: S,
        asker: P,
        observer: P,
    },
    Prepared {
        id: String,
        result: Result<(), String>,
    },
    Forked {
        id: String,
        result: Result<Option<u32>, String>,
    },
    Exited {
        id: String,
    },
    OutOfMemory {
        id: String,
        figures: Figures,
    },
    Update {
        id: String,
        limits: Limits,
        asker: P,
    },
    Destroy {
        id: String,
    },
    Destroyed {
        id: String,
        ending: Ending,
    },
    Recover {
        ids: Vec<String>,
        asker: P,
        observer: P,
    },
    Found {
        result: Result<Vec<Found>, String>,
    },
}

/// A container that is there from before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) alive: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect<P, S> {
    /// Answered by [`Input::Prepared`].
    Prepare { id: String, spec: S },
    /// Answered by [`Input::Forked`].
    Fork { id: String, spec: S },
    /// Give the word to the init that was forked.
    Release { id: String },
    /// Tell of [`Input::Exited`] and [`Input::OutOfMemory`] from now on.
    Watch { id: String },
    /// Set other limits, and answer the asker.
    Update {
        id: String,
        limits: Limits,
        asker: P,
    },
    /// Answered by [`Input::Destroyed`].
    Destroy { id: String },
    /// Look for containers from before; answered by [`Input::Found`].
    Find,
    /// The launch succeeded or failed.
    Launched {
        to: P,
        id: String,
        result: Result<Option<u32>, String>,
    },
    /// The update is done, or there is nothing to do.
    Updated { to: P, id: String },
    /// Nothing of the container is left, unless the termination says what.
    Terminated {
        to: P,
        id: String,
        termination: Termination,
    },
    /// What recovery found.
    Recovered {
        to: P,
        alive: Vec<String>,
        orphans: Vec<String>,
        error: Option<String>,
    },
}

#[derive(Clone, Debug)]
struct Container<P, S> {
    state: State,
    spec: Option<S>,
    observer: Option<P>,
    /// Who waits for the answer to the launch.
    asker: Option<P>,
    /// A destroy came while a step of the launch was under way.
    destroy_requested: bool,
    /// Why the launch failed, told when all is removed.
    launch_error: Option<String>,
    /// Limits that came before the container ran.
    limits: Option<Limits>,
    out_of_memory: Option<Figures>,
    /// Something of it could not be removed; another destroy tries again.
    stuck: bool,
}

/// Recovery under way: who asked, and the orphans that are still being destroyed.
#[derive(Clone, Debug)]
struct Recovery<P> {
    asker: P,
    observer: P,
    ids: Vec<String>,
    alive: Vec<String>,
    orphans: Vec<String>,
    waiting: BTreeSet<String>,
    errors: Vec<String>,
}

/// All containers of one containerizer.
#[derive(Clone, Debug)]
pub(crate) struct Core<P, S> {
    containers: BTreeMap<String, Container<P, S>>,
    recovery: Option<Recovery<P>>,
}

impl<P, S> Default for Core<P, S> {
    fn default() -> Self {
        Core {
            containers: BTreeMap::new(),
            recovery: None,
        }
    }
}

impl<P: Clone, S: Clone> Core<P, S> {
    /// Takes one input; gives what is to be done, in order.
    pub(crate) fn handle(&mut self, input: Input<P, S>) -> Vec<Effect<P, S>> {
        let mut effects = Vec::new();
        match input {
            Input::Launch {
                id,
                spec,
                asker,
                observer,
            } => {
                self.launch(id, spec, asker, observer, &mut effects);
            }
            Input::Prepared { id, result } => self.prepared(id, result, &mut effects),
            Input::Forked { id, result } => self.forked(id, result, &mut effects),
            Input::Exited { id } => self.ended(id, None, &mut effects),
            Input::OutOfMemory { id, figures } => self.ended(id, Some(figures), &mut effects),
            Input::Update { id, limits, asker } => self.update(id, limits, asker, &mut effects),
            Input::Destroy { id } => self.destroy(id, &mut effects),
            Input::Destroyed { id, ending } => self.destroyed(id, ending, &mut effects),
            Input::Recover {
                ids,
                asker,
                observer,
            } => {
                self.recover(ids, asker, observer, &mut effects);
            }
            Input::Found { result } => self.found(result, &mut effects),
        }
        effects
    }

    /// The state of a container, if there is such a one.
    #[cfg(test)]
    pub(crate) fn state(&self, id: &str) -> Option<State> {
        self.containers.get(id).map(|container| container.state)
    }

    fn launch(
        &mut self,
        id: String,
        spec: S,
        asker: P,
        observer: P,
        effects: &mut Vec<Effect<P, S>>,
    ) {
        let refused = if self.recovery.is_some() {
            Some("the containerizer is recovering")
        } else if self.containers.contains_key(&id) {
            Some("Container already started")
        } else {
            None
        };
        if let Some(error) = refused {
            effects.push(Effect::Launched {
                to: asker,
                id,
                result: Err(error.to_owned()),
            });
            return;
        }
        let container = Container::new(State::Preparing, Some(observer));
        let container = Container {
            spec: Some(spec.clone()),
            asker: Some(asker),
            ..container
        };
        self.containers.insert(id.clone(), container);
        effects.push(Effect::Prepare { id, spec });
    }

    fn prepared(
        &mut self,
        id: String,
        result: Result<(), String>,
        effects: &mut Vec<Effect<P, S>>,
    ) {
        let Some(container) = self.in_state(&id, State::Preparing) else {
            return;
        };
        match result {
            // The launcher has undone what it had made.
            Err(error) => {
                if let Some(Container {
                    asker: Some(to), ..
                }) = self.containers.remove(&id)
                {
                    effects.push(Effect::Launched {
                        to,
                        id,
                        result: Err(error),
                    });
                }
            }
            Ok(()) if container.destroy_requested => {
                container.launch_error = Some("Container destroyed during preparing".to_owned());
                container.state = State::Destroying;
                effects.push(Effect::Destroy { id });
            }
            Ok(()) => {
                container.state = State::Isolating;
                if let Some(spec) = container.spec.take() {
                    effects.push(Effect::Fork { id, spec });
                }
            }
        }
    }

    fn forked(
        &mut self,
        id: String,
        result: Result<Option<u32>, String>,
        effects: &mut Vec<Effect<P, S>>,
    ) {
        let Some(container) = self.in_state(&id, State::Isolating) else {
            return;
        };
        let error = match &result {
            Err(error) => Some(error.clone()),
            Ok(_) if container.destroy_requested => {
                Some("Container destroyed during isolating".to_owned())
            }
            Ok(_) => None,
        };
        if error.is_some() {
            container.launch_error = error;
            container.state = State::Destroying;
            effects.push(Effect::Destroy { id });
            return;
        }
        container.state = State::Running;
        // Watched first: a command may end before its launch is answered.
        effects.push(Effect::Watch { id: id.clone() });
        effects.push(Effect::Release { id: id.clone() });
        if let Some(to) = container.asker.take() {
            effects.push(Effect::Launched {
                to: to.clone(),
                id: id.clone(),
                result,
            });
            if let Some(limits) = container.limits.take() {
                effects.push(Effect::Update {
                    id,
                    limits,
                    asker: to,
                });
            }
        }
    }

    /// The command has ended, or must end for want of memory.
    fn ended(&mut self, id: String, figures: Option<Figures>, effects: &mut Vec<Effect<P, S>>) {
        let Some(container) = self.in_state(&id, State::Running) else {
            return;
        };
        container.out_of_memory = figures;
        container.state = State::Destroying;
        effects.push(Effect::Destroy { id });
    }

    fn update(&mut self, id: String, limits: Limits, asker: P, effects: &mut Vec<Effect<P, S>>) {
        match self.containers.get_mut(&id) {
            Some(container) if container.state == State::Running => {
                effects.push(Effect::Update { id, limits, asker });
                return;
            }
            Some(container) if container.state != State::Destroying => {
                container.limits = Some(limits);
            }
            // Mesos: unknown or being destroyed is a success.
            _ => {}
        }
        effects.push(Effect::Updated { to: asker, id });
    }

    fn destroy(&mut self, id: String, effects: &mut Vec<Effect<P, S>>) {
        let Some(container) = self.containers.get_mut(&id) else {
            return;
        };
        match container.state {
            State::Preparing | State::Isolating => container.destroy_requested = true,
            State::Destroying if !container.stuck => {}
            State::Running | State::Destroying => {
                container.stuck = false;
                container.state = State::Destroying;
                effects.push(Effect::Destroy { id });
            }
        }
    }

    fn destroyed(&mut self, id: String, ending: Ending, effects: &mut Vec<Effect<P, S>>) {
        let Some(container) = self.in_state(&id, State::Destroying) else {
            return;
        };
        let error = ending.error.clone();
        if let Some(to) = container.asker.take() {
            let launch_error = container.launch_error.take().unwrap_or_default();
            let result = Err(match &error {
                Some(left) => format!("{launch_error}; {left}"),
                None => launch_error,
            });
            effects.push(Effect::Launched {
                to,
                id: id.clone(),
                result,
            });
            container.observer = None;
        }
        if let Some(to) = container.observer.take() {
            let termination = Termination::of(ending, container.out_of_memory.take());
            effects.push(Effect::Terminated {
                to,
                id: id.clone(),
                termination,
            });
        }
        container.stuck = error.is_some();
        if error.is_none() {
            self.containers.remove(&id);
        }
        if let Some(recovery) = &mut self.recovery
            && recovery.waiting.remove(&id)
        {
            recovery.errors.extend(error);
            self.finish_recovery(effects);
        }
    }

    fn recover(
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

    fn found(&mut self, result: Result<Vec<Found>, String>, effects: &mut Vec<Effect<P, S>>) {
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
            State::Preparing | State::Isolating => recovery.orphans.push(id.to_owned()),
            State::Destroying => {}
        }
        self.destroy(id.to_owned(), effects);
    }

    fn finish_recovery(&mut self, effects: &mut Vec<Effect<P, S>>) {
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

    fn in_state(&mut self, id: &str, state: State) -> Option<&mut Container<P, S>> {
        self.containers
            .get_mut(id)
            .filter(|container| container.state == state)
    }
}

impl<P, S> Container<P, S> {
    fn new(state: State, observer: Option<P>) -> Self {
        Container {
            state,
            spec: None,
            observer,
            asker: None,
            destroy_requested: false,
            launch_error: None,
            limits: None,
            out_of_memory: None,
            stuck: false,
        }
    }
}
