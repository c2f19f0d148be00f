//! Containers in containers: a parent's end is the end of all that is nested in it, and how a
//! nested one ended is remembered until that is told to be forgotten. An id of one is that of its
//! parent, a dot, and its own. How any container ends is decided beside it.

use nix::libc;

use super::{Container, Core, Effect, State};

/// The container around one, if there is any.
pub(super) fn parent_of(id: &str) -> Option<&str> {
    id.rsplit_once('.').map(|(parent, _)| parent)
}

/// The outermost container.
pub(super) fn root_of(id: &str) -> &str {
    id.split_once('.').map_or(id, |(root, _)| root)
}

impl State {
    /// Mesos' name of it, or what it would be.
    fn name(self) -> &'static str {
        match self {
            State::Preparing => "PREPARING",
            State::Isolating => "ISOLATING",
            State::Fetching => "FETCHING",
            State::Running => "RUNNING",
            State::Destroying => "DESTROYING",
            State::Ended | State::Removing => "TERMINATED",
        }
    }
}

impl<P, S> Container<P, S> {
    /// Whether its parent has to wait for it. One that cannot be removed holds up nobody: the
    /// parent's kill reaches it.
    fn holds_up(&self) -> bool {
        self.state != State::Ended && !self.stuck
    }
}

impl<P: Clone, S: Clone> Core<P, S> {
    /// Why nothing can be nested in the parent of this id.
    pub(super) fn parent_is_not_fit(&self, id: &str) -> Option<String> {
        let parent = parent_of(id)?;
        match self.containers.get(parent).map(|parent| parent.state) {
            Some(State::Running) => None,
            None | Some(State::Ended | State::Removing) => {
                Some(format!("Parent container {parent} does not exist"))
            }
            Some(state) => {
                let state = state.name();
                Some(format!("Parent container {parent} is in '{state}' state"))
            }
        }
    }

    /// Whatever is nested in a container, however deep.
    pub(super) fn nested_in(&self, id: &str) -> Vec<String> {
        let prefix = format!("{id}.");
        let from = self.containers.range(prefix.clone()..);
        from.map(|(id, _)| id)
            .take_while(|id| id.starts_with(&prefix))
            .cloned()
            .collect()
    }

    /// A container that is there begins to end: first all that is nested in it.
    pub(super) fn end(&mut self, id: String, effects: &mut Vec<Effect<P, S>>) {
        if let Some(container) = self.containers.get_mut(&id) {
            container.state = State::Destroying;
        }
        for nested in self.nested_in(&id) {
            if parent_of(&nested) == Some(&id) {
                self.destroy(nested, effects);
            }
        }
        self.end_if_alone(id, effects);
    }

    /// Goes on with the end of a container where nothing nested in it is in the way.
    pub(super) fn end_if_alone(&mut self, id: String, effects: &mut Vec<Effect<P, S>>) {
        let mut nested = self.nested_in(&id).into_iter();
        if nested.any(|id| self.containers.get(&id).is_some_and(Container::holds_up)) {
            return;
        }
        let Some(container) = self.in_state(&id, State::Destroying) else {
            return;
        };
        if container.removal || container.stuck {
            return;
        }
        container.removal = true;
        // Of one that never ran nothing is remembered, nor of one of which nobody is told.
        let told = container.asker.is_none() && container.observer.is_some();
        let told = told || container.termination.is_some();
        effects.push(if told && parent_of(&id).is_some() {
            Effect::Conclude { id }
        } else {
            Effect::Destroy { id }
        });
    }

    /// The parent of a container that is gone, or stuck, may go on.
    pub(super) fn one_less(&mut self, id: &str, effects: &mut Vec<Effect<P, S>>) {
        if let Some(parent) = parent_of(id) {
            self.end_if_alone(parent.to_owned(), effects);
        }
    }

    /// Nothing of a container is left on the host, nor of what was nested in it.
    pub(super) fn gone(&mut self, id: &str) {
        let nested = self.nested_in(id);
        for id in nested.iter().map(String::as_str).chain([id]) {
            self.containers
                .get_mut(id)
                .into_iter()
                .for_each(|container| {
                    container.stuck = false;
                    container.state = State::Ended;
                });
        }
        if parent_of(id).is_none() {
            self.forget(id);
        } else {
            // What nobody was told of is not remembered.
            for id in nested.iter().map(String::as_str).chain([id]) {
                let container = self.containers.get(id);
                if container.is_some_and(|container| container.termination.is_none()) {
                    self.containers.remove(id);
                }
            }
        }
    }

    /// Forgets a container and what was nested in it.
    fn forget(&mut self, id: &str) {
        for nested in self.nested_in(id) {
            self.containers.remove(&nested);
        }
        self.containers.remove(id);
    }

    /// What is nested in a container that used up its memory ends for that, too.
    pub(super) fn share_end(&mut self, id: &str) {
        let figures = self.containers.get(id);
        let Some(figures) = figures.and_then(|container| container.out_of_memory.clone()) else {
            return;
        };
        for nested in self.nested_in(id) {
            if let Some(container) = self.containers.get_mut(&nested) {
                container
                    .out_of_memory
                    .get_or_insert_with(|| figures.clone());
            }
        }
    }

    /// A signal for the command of a container. One that has no command yet is destroyed.
    pub(super) fn kill(&mut self, id: String, signal: i32, effects: &mut Vec<Effect<P, S>>) {
        let Some(state) = self.containers.get(&id).map(|container| container.state) else {
            return;
        };
        match state {
            // None of these is a signal.
            _ if signal <= 0 => {}
            // Its init keeps it for the command.
            State::Running | State::Fetching if signal != libc::SIGKILL => {
                effects.push(Effect::Signal { id, signal });
            }
            _ => self.destroy(id, effects),
        }
    }

    pub(super) fn remove(&mut self, id: String, effects: &mut Vec<Effect<P, S>>) {
        if let Some(container) = self.in_state(&id, State::Ended) {
            container.state = State::Removing;
            effects.push(Effect::Forget { id });
        }
    }

    pub(super) fn forgotten(
        &mut self,
        id: &str,
        result: Result<(), String>,
        effects: &mut Vec<Effect<P, S>>,
    ) {
        let Some(container) = self.in_state(id, State::Removing) else {
            return;
        };
        let next = container.next.take();
        match result {
            Ok(()) => self.forget(id),
            // It may be asked for again.
            Err(_) => container.state = State::Ended,
        }
        if let Some(next) = next {
            let (spec, container) = *next;
            self.launch(id.to_owned(), spec, container, effects);
        }
        self.one_less(id, effects);
    }
}
