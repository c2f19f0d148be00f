//! What a containerizer decides: the states of its containers, what is done next, and who is told
//! what. It does nothing itself; launchers, simulated or real, carry its effects out.
//!
//! ```text
//!             Launch                 Prepared            Forked             Fetched
//!  (unknown) ───────► PREPARING ───────────► ISOLATING ───────► FETCHING ──────────► RUNNING
//!                         │ failed: forgotten    │ failed          │ failed             │ Exited,
//!                         │                      │                 │        OutOfMemory │ Destroy
//!                         │                      ▼                 ▼                    │
//!                         └── Destroy ──────► DESTROYING ◄─────────┘◄───────────────────┘
//!                          (when the step is over)   │ Destroyed
//!                                                    ▼
//!                                  (unknown), or, where it is nested, ENDED until it is removed
//! ```
//!
//! The names are Mesos'; its PROVISIONING has nothing to do here yet, STARTING is over within one
//! message, and FETCHING is passed over where there is no URI. A destroy that comes while a step of
//! a launch is under way waits for that step, so that two steps of one container never overlap; a
//! fetch is cut short for it.
//!
//! A launch is answered once. If it succeeded, the observer is sent one termination; if it failed,
//! nothing is left and nothing follows. An update that comes while a container is destroyed is
//! answered when that is done: only then it is known whether memory was wanting.

use std::collections::BTreeMap;

use self::recovery::Recovery;
use crate::limits::Limits;

mod nested;
mod recovery;
mod termination;
#[cfg(test)]
mod tests;

pub(crate) use termination::{Ending, Exceeded, Figures, Termination};

/// Where a container is between its launch and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its folder and cgroups are being made.
    Preparing,
    /// Its init is being started.
    Isolating,
    /// Its URIs are brought into the sandbox, while its init waits.
    Fetching,
    /// Its command was started.
    Running,
    /// What is nested in it is being killed and removed, then it is itself.
    Destroying,
    /// Nested, and nothing is left of it but its termination.
    Ended,
    /// That is being forgotten.
    Removing,
}

/// What happened. `P` names who asked or observes, `S` is what a launcher needs.
#[derive(Clone, Debug)]
pub(crate) enum Input<P, S> {
    Launch {
        id: String,
        spec: S,
        /// Whether there is anything to fetch.
        fetches: bool,
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
    Fetched {
        id: String,
        result: Result<(), String>,
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
    /// What is asked of the containers with these ids; none: of all that run.
    Inspect {
        ids: Vec<String>,
        asker: P,
    },
    Destroy {
        id: String,
    },
    Destroyed {
        id: String,
        ending: Ending,
    },
    Kill {
        id: String,
        signal: i32,
    },
    /// What is remembered of a nested container that has ended shall be forgotten.
    Remove {
        id: String,
    },
    Forgotten {
        id: String,
        result: Result<(), String>,
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
    /// Answered by [`Input::Fetched`].
    Fetch { id: String, spec: S },
    /// Cut the fetch short; it is answered all the same.
    StopFetch { id: String },
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
    /// The same of a nested container; how it ended is remembered.
    Conclude { id: String },
    /// Answered by [`Input::Forgotten`].
    Forget { id: String },
    /// Send a signal to its command.
    Signal { id: String, signal: i32 },
    /// Look for containers from before; answered by [`Input::Found`].
    Find,
    /// The launch succeeded or failed.
    Launched {
        to: P,
        id: String,
        result: Result<Option<u32>, String>,
    },
    /// The update is done, or there is nothing to do; with the memory that ended the container.
    Updated {
        to: P,
        id: String,
        memory: Option<Exceeded>,
    },
    /// Ask the kernel about those that run, and answer; the others are named with the reason.
    Inspect {
        to: P,
        containers: Vec<(String, Result<(), &'static str>)>,
    },
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
    fetches: bool,
    /// Pid of its init, from the fork to the answer to its launch.
    init: Option<u32>,
    observer: Option<P>,
    /// Who waits for the answer to the launch.
    asker: Option<P>,
    /// A destroy came while a step of the launch was under way.
    destroy_requested: bool,
    /// Why the launch failed, told when all is removed.
    launch_error: Option<String>,
    /// Limits that came before the container ran.
    limits: Option<Limits>,
    /// Who waits for the answer to an update that came while it was destroyed.
    updates: Vec<P>,
    out_of_memory: Option<Figures>,
    /// It was found dead by an agent that does not know whether it ever ran.
    unsure: bool,
    /// It is being removed from the host: what was nested in it is gone.
    removal: bool,
    /// Something of it could not be removed; another destroy tries again.
    stuck: bool,
    /// How it ended, once that was told.
    termination: Option<Termination>,
    /// A launch with its id, which waits until it is forgotten.
    next: Option<Box<(S, Container<P, S>)>>,
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
                fetches,
                asker,
                observer,
            } => {
                let container = Container::new(State::Preparing, Some(observer));
                let container = Container {
                    spec: Some(spec.clone()),
                    fetches,
                    asker: Some(asker),
                    ..container
                };
                self.launch(id, spec, container, &mut effects);
            }
            Input::Prepared { id, result } => self.prepared(id, result, &mut effects),
            Input::Forked { id, result } => self.forked(id, result, &mut effects),
            Input::Fetched { id, result } => self.fetched(id, result, &mut effects),
            Input::Exited { id } => self.ended(id, None, &mut effects),
            Input::OutOfMemory { id, figures } => self.ended(id, Some(figures), &mut effects),
            Input::Update { id, limits, asker } => self.update(id, limits, asker, &mut effects),
            Input::Inspect { ids, asker } => self.inspect(ids, asker, &mut effects),
            Input::Destroy { id } => self.destroy(id, &mut effects),
            Input::Destroyed { id, ending } => self.destroyed(id, ending, &mut effects),
            Input::Kill { id, signal } => self.kill(id, signal, &mut effects),
            Input::Remove { id } => self.remove(id, &mut effects),
            Input::Forgotten { id, result } => self.forgotten(&id, result, &mut effects),
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
        container: Container<P, S>,
        effects: &mut Vec<Effect<P, S>>,
    ) {
        if let Some(former) = self.in_state(&id, State::Removing)
            && former.next.is_none()
        {
            former.next = Some(Box::new((spec, container)));
            return;
        }
        let refused = if self.recovery.is_some() {
            Some("the containerizer is recovering".to_owned())
        } else if self.containers.contains_key(&id) {
            Some("Container already started".to_owned())
        } else {
            self.parent_is_not_fit(&id)
        };
        if let Some(error) = refused {
            effects.extend(container.asker.map(|to| Effect::Launched {
                to,
                id,
                result: Err(error),
            }));
            return;
        }
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
                        id: id.clone(),
                        result: Err(error),
                    });
                }
                self.one_less(&id, effects);
            }
            Ok(()) if container.destroy_requested => {
                container.launch_error = Some("Container destroyed during preparing".to_owned());
                self.end(id, effects);
            }
            Ok(()) => {
                container.state = State::Isolating;
                let spec = container.spec.take();
                if container.fetches {
                    container.spec.clone_from(&spec);
                }
                effects.extend(spec.map(|spec| Effect::Fork { id, spec }));
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
        match result {
            Ok(_) if container.destroy_requested => {
                container.launch_error = Some("Container destroyed during isolating".to_owned());
                self.end(id, effects);
            }
            Ok(pid) => {
                container.init = pid;
                if let Some(spec) = container.spec.take() {
                    container.state = State::Fetching;
                    effects.push(Effect::Fetch { id, spec });
                } else {
                    container.run(id, effects);
                }
            }
            Err(error) => {
                container.launch_error = Some(error);
                self.end(id, effects);
            }
        }
    }

    fn fetched(&mut self, id: String, result: Result<(), String>, effects: &mut Vec<Effect<P, S>>) {
        let Some(container) = self.in_state(&id, State::Fetching) else {
            return;
        };
        let error = if container.destroy_requested {
            "Container destroyed during fetching".to_owned()
        } else if let Err(error) = result {
            error
        } else {
            container.run(id, effects);
            return;
        };
        container.launch_error = Some(error);
        self.end(id, effects);
    }

    /// The command has ended, or must end for want of memory.
    fn ended(&mut self, id: String, figures: Option<Figures>, effects: &mut Vec<Effect<P, S>>) {
        let Some(container) = self.in_state(&id, State::Running) else {
            return;
        };
        container.out_of_memory = figures;
        self.share_end(&id);
        self.end(id, effects);
    }

    fn update(&mut self, id: String, limits: Limits, asker: P, effects: &mut Vec<Effect<P, S>>) {
        match self.containers.get_mut(&id) {
            Some(container) if container.state == State::Running => {
                effects.push(Effect::Update { id, limits, asker });
                return;
            }
            // Mesos: to be destroyed is a success, and so is to be unknown.
            Some(container) if container.state == State::Destroying && !container.stuck => {
                container.updates.push(asker);
                return;
            }
            Some(container) => container.limits = Some(limits),
            None => {}
        }
        let memory = None;
        effects.push(Effect::Updated {
            to: asker,
            id,
            memory,
        });
    }

    fn inspect(&self, ids: Vec<String>, to: P, effects: &mut Vec<Effect<P, S>>) {
        let running = self
            .containers
            .iter()
            .filter(|(_, container)| container.state == State::Running);
        let containers = if ids.is_empty() {
            running.map(|(id, _)| (id.clone(), Ok(()))).collect()
        } else {
            let state = |id: &String| match self.containers.get(id).map(|known| known.state) {
                None => Err("Unknown container"),
                Some(State::Running) => Ok(()),
                Some(State::Destroying) => Err("Container is being destroyed"),
                Some(State::Ended | State::Removing) => Err("Container has terminated"),
                Some(_) => Err("Container is being launched"),
            };
            ids.into_iter()
                .map(|id| {
                    let state = state(&id);
                    (id, state)
                })
                .collect()
        };
        effects.push(Effect::Inspect { to, containers });
    }

    fn destroy(&mut self, id: String, effects: &mut Vec<Effect<P, S>>) {
        let Some(container) = self.containers.get_mut(&id) else {
            return;
        };
        match container.state {
            State::Preparing | State::Isolating => container.destroy_requested = true,
            State::Fetching if container.destroy_requested => {}
            State::Fetching => {
                container.destroy_requested = true;
                effects.push(Effect::StopFetch { id });
            }
            State::Destroying if !container.stuck => {}
            State::Running | State::Destroying => {
                container.stuck = false;
                self.end(id, effects);
            }
            State::Ended => {}
            State::Removing => {
                let next = container.next.take().and_then(|next| next.1.asker);
                let result = Err("Container destroyed during preparing".to_owned());
                effects.extend(next.map(|to| Effect::Launched { to, id, result }));
            }
        }
    }

    fn destroyed(&mut self, id: String, ending: Ending, effects: &mut Vec<Effect<P, S>>) {
        let Some(container) = self.in_state(&id, State::Destroying) else {
            return;
        };
        let error = ending.error.clone();
        // Nobody was told that it was launched: it is as if it never was.
        let never_was = container.unsure && ending.never_ran;
        if never_was {
            container.observer = None;
        }
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
        let termination = Termination::of(ending, container.out_of_memory.take());
        for to in std::mem::take(&mut container.updates) {
            effects.push(Effect::Updated {
                to,
                id: id.clone(),
                memory: termination.memory.clone(),
            });
        }
        if let Some(to) = container.observer.take() {
            container.termination = Some(termination.clone());
            effects.push(Effect::Terminated {
                to,
                id: id.clone(),
                termination,
            });
        }
        container.removal = false;
        container.stuck = error.is_some();
        if error.is_none() && never_was && nested::parent_of(&id).is_some() {
            container.state = State::Removing;
            effects.push(Effect::Forget { id: id.clone() });
        } else if error.is_none() {
            self.gone(&id);
        }
        self.one_less(&id, effects);
        if let Some(recovery) = &mut self.recovery
            && recovery.waiting.remove(&id)
        {
            recovery.stuck.extend(error.map(|error| (id, error)));
            self.finish_recovery(effects);
        }
    }

    fn in_state(&mut self, id: &str, state: State) -> Option<&mut Container<P, S>> {
        self.containers
            .get_mut(id)
            .filter(|container| container.state == state)
    }
}

impl<P: Clone, S> Container<P, S> {
    /// The command may start; the launch is answered.
    fn run(&mut self, id: String, effects: &mut Vec<Effect<P, S>>) {
        self.state = State::Running;
        // Watched first: a command may end before its launch is answered.
        effects.push(Effect::Watch { id: id.clone() });
        effects.push(Effect::Release { id: id.clone() });
        let Some(to) = self.asker.take() else { return };
        effects.push(Effect::Launched {
            to: to.clone(),
            id: id.clone(),
            result: Ok(self.init.take()),
        });
        if let Some(limits) = self.limits.take() {
            effects.push(Effect::Update {
                id,
                limits,
                asker: to,
            });
        }
    }
}

impl<P, S> Container<P, S> {
    fn new(state: State, observer: Option<P>) -> Self {
        Container {
            state,
            spec: None,
            fetches: false,
            init: None,
            observer,
            asker: None,
            destroy_requested: false,
            launch_error: None,
            limits: None,
            updates: Vec::new(),
            out_of_memory: None,
            unsure: false,
            removal: false,
            stuck: false,
            termination: None,
            next: None,
        }
    }
}
