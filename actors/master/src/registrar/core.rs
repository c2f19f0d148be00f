//! The registrar's batches: what waits is applied to a copy, stored at once, and only then becomes
//! the registry and is answered. No IO here; bytes and tickets go in and out.

use std::collections::VecDeque;

use tepui_protocol::mesos::internal::{Registry, registry};
use tepui_protocol::mesos::v1::MasterInfo;
use tepui_protocol::protobuf;
use tepui_protocol::tepui::registrar::Operation;
use tepui_runtime::Bytes;

use super::operation::apply;

/// Who waits for an answer.
pub type Ticket = u64;

/// What happens to the registrar.
#[derive(Debug)]
pub enum Input {
    /// A new master wants the registry.
    Recover(Ticket, MasterInfo),
    /// What was read.
    Fetched(Result<Bytes, String>),
    /// A change is wanted.
    Apply(Ticket, Operation),
    /// The last `Store` is durable, or failed.
    Stored(Result<(), String>),
}

/// What the registrar asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Read the registry.
    Fetch,
    /// Write it.
    Store(Bytes),
    /// Answer a `Recover`.
    Recovered(Ticket, Result<Box<Registry>, String>),
    /// Answer an `Apply`: whether the registry changed.
    Applied(Ticket, Result<bool, String>),
}

#[derive(Debug)]
enum Phase {
    /// Nobody asked for the registry yet.
    Empty,
    Fetching(Ticket, MasterInfo),
    Idle,
    /// A batch is on its way; when it is durable, this is the registry.
    Storing(Box<Registry>, Vec<Answer>),
    Failed(String),
}

#[derive(Debug)]
enum Answer {
    Recovered(Ticket),
    Applied(Ticket, bool),
}

/// The registrar's mind.
#[derive(Debug)]
pub struct RegistrarCore {
    registry: Registry,
    phase: Phase,
    queue: VecDeque<(Ticket, Operation)>,
    size: usize,
}

impl Default for RegistrarCore {
    fn default() -> Self {
        RegistrarCore {
            registry: Registry::default(),
            phase: Phase::Empty,
            queue: VecDeque::new(),
            size: 0,
        }
    }
}

impl RegistrarCore {
    /// How many operations wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The registry's size as it was last read or written, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The registry as it is stored.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Takes one input and says what is to be done about it.
    pub fn handle(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Recover(ticket, info) => self.recover(ticket, info),
            Input::Fetched(answer) => self.fetched(answer),
            Input::Apply(ticket, operation) => self.apply(ticket, operation),
            Input::Stored(answer) => self.stored(answer),
        }
    }

    fn recover(&mut self, ticket: Ticket, info: MasterInfo) -> Vec<Effect> {
        match &self.phase {
            Phase::Empty => {
                self.phase = Phase::Fetching(ticket, info);
                vec![Effect::Fetch]
            }
            Phase::Failed(problem) => vec![Effect::Recovered(ticket, Err(problem.clone()))],
            Phase::Fetching(..) | Phase::Idle | Phase::Storing(..) => {
                vec![Effect::Recovered(
                    ticket,
                    Err("already recovered".to_owned()),
                )]
            }
        }
    }

    fn fetched(&mut self, answer: Result<Bytes, String>) -> Vec<Effect> {
        let Phase::Fetching(ticket, info) = &self.phase else {
            return Vec::new();
        };
        let (ticket, info) = (*ticket, info.clone());
        let read = answer.and_then(|bytes| {
            self.size = bytes.len();
            protobuf::decode::<Registry>(&bytes).map_err(|problem| problem.to_string())
        });
        match read {
            Err(problem) => {
                let problem = format!("failed to read the registry: {problem}");
                let mut effects = vec![Effect::Recovered(ticket, Err(problem.clone()))];
                effects.extend(self.fail(problem));
                effects
            }
            Ok(mut registry) => {
                // Each election is a write: who led before can no longer store.
                registry.master = Some(registry::Master { info });
                self.store(registry, vec![Answer::Recovered(ticket)])
            }
        }
    }

    fn apply(&mut self, ticket: Ticket, operation: Operation) -> Vec<Effect> {
        match &self.phase {
            Phase::Failed(problem) => vec![Effect::Applied(ticket, Err(problem.clone()))],
            Phase::Empty => {
                vec![Effect::Applied(
                    ticket,
                    Err("the registry is not recovered".to_owned()),
                )]
            }
            Phase::Fetching(..) | Phase::Storing(..) => {
                self.queue.push_back((ticket, operation));
                Vec::new()
            }
            Phase::Idle => {
                self.queue.push_back((ticket, operation));
                self.next_batch()
            }
        }
    }

    /// Applies all that waits to a copy of the registry, and stores that if it changed.
    fn next_batch(&mut self) -> Vec<Effect> {
        let mut copy = self.registry.clone();
        let mut effects = Vec::new();
        let mut answers = Vec::new();
        let mut changed = false;
        for (ticket, operation) in std::mem::take(&mut self.queue) {
            match apply(&mut copy, &operation) {
                Ok(mutated) => {
                    changed |= mutated;
                    answers.push(Answer::Applied(ticket, mutated));
                }
                Err(problem) => effects.push(Effect::Applied(ticket, Err(problem))),
            }
        }
        if changed {
            effects.extend(self.store(copy, answers));
        } else {
            effects.extend(answers.iter().map(|answer| self.answer(answer)));
        }
        effects
    }

    fn store(&mut self, registry: Registry, answers: Vec<Answer>) -> Vec<Effect> {
        let bytes = protobuf::encode(&registry);
        self.size = bytes.len();
        self.phase = Phase::Storing(Box::new(registry), answers);
        vec![Effect::Store(bytes)]
    }

    fn stored(&mut self, answer: Result<(), String>) -> Vec<Effect> {
        let Phase::Storing(..) = &self.phase else {
            return Vec::new();
        };
        let Phase::Storing(registry, answers) = std::mem::replace(&mut self.phase, Phase::Idle)
        else {
            return Vec::new();
        };
        if let Err(problem) = answer {
            let problem = format!("failed to store the registry: {problem}");
            let mut effects: Vec<Effect> = answers
                .into_iter()
                .map(|answer| match answer {
                    Answer::Recovered(ticket) => Effect::Recovered(ticket, Err(problem.clone())),
                    Answer::Applied(ticket, _) => Effect::Applied(ticket, Err(problem.clone())),
                })
                .collect();
            effects.extend(self.fail(problem));
            return effects;
        }
        self.registry = *registry;
        let mut effects: Vec<Effect> = answers.iter().map(|answer| self.answer(answer)).collect();
        if !self.queue.is_empty() {
            effects.extend(self.next_batch());
        }
        effects
    }

    fn answer(&self, answer: &Answer) -> Effect {
        match answer {
            Answer::Recovered(ticket) => {
                Effect::Recovered(*ticket, Ok(Box::new(self.registry.clone())))
            }
            Answer::Applied(ticket, mutated) => Effect::Applied(*ticket, Ok(*mutated)),
        }
    }

    fn fail(&mut self, problem: String) -> Vec<Effect> {
        let waiting = std::mem::take(&mut self.queue);
        let effects = waiting
            .into_iter()
            .map(|(ticket, _)| Effect::Applied(ticket, Err(problem.clone())))
            .collect();
        self.phase = Phase::Failed(problem);
        effects
    }
}

#[cfg(test)]
mod tests {
    use tepui_protocol::mesos::v1::{AgentId, AgentInfo};
    use tepui_protocol::tepui::registrar::operation::Type;

    use super::*;

    fn admit(id: &str) -> Operation {
        let info = AgentInfo {
            id: Some(AgentId { value: id.into() }),
            hostname: "h".into(),
            ..AgentInfo::default()
        };
        Operation {
            r#type: Some(Type::AdmitAgent as i32),
            agent_info: Some(info),
            ..Operation::default()
        }
    }

    fn recovered() -> RegistrarCore {
        let mut core = RegistrarCore::default();
        assert_eq!(
            core.handle(Input::Recover(1, MasterInfo::default())),
            [Effect::Fetch]
        );
        let effects = core.handle(Input::Fetched(Ok(Bytes::new())));
        assert!(matches!(effects[..], [Effect::Store(_)]), "{effects:?}");
        let effects = core.handle(Input::Stored(Ok(())));
        let [Effect::Recovered(1, Ok(registry))] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert!(registry.master.is_some());
        core
    }

    #[test]
    fn what_waits_is_stored_in_one_batch_and_answered_after() {
        let mut core = recovered();
        let effects = core.handle(Input::Apply(2, admit("a")));
        assert!(matches!(effects[..], [Effect::Store(_)]), "{effects:?}");
        assert!(core.handle(Input::Apply(3, admit("b"))).is_empty());
        assert!(core.handle(Input::Apply(4, admit("a"))).is_empty());
        assert_eq!(core.queued(), 2);
        let effects = core.handle(Input::Stored(Ok(())));
        assert_eq!(effects[0], Effect::Applied(2, Ok(true)));
        assert!(matches!(effects[1..], [Effect::Store(_)]), "{effects:?}");
        // Nothing of the second batch is true before it is stored.
        assert_eq!(core.registry().agents.as_ref().unwrap().agents.len(), 1);
        assert_eq!(
            core.handle(Input::Stored(Ok(()))),
            [Effect::Applied(3, Ok(true)), Effect::Applied(4, Ok(false))]
        );
        assert_eq!(core.registry().agents.as_ref().unwrap().agents.len(), 2);
    }

    #[test]
    fn a_batch_without_a_change_is_not_stored() {
        let mut core = recovered();
        core.handle(Input::Apply(2, admit("a")));
        core.handle(Input::Stored(Ok(())));
        assert_eq!(
            core.handle(Input::Apply(3, admit("a"))),
            [Effect::Applied(3, Ok(false))]
        );
    }

    #[test]
    fn a_failed_store_is_the_end() {
        let mut core = recovered();
        core.handle(Input::Apply(2, admit("a")));
        core.handle(Input::Apply(3, admit("b")));
        let problem = "failed to store the registry: version mismatch".to_owned();
        assert_eq!(
            core.handle(Input::Stored(Err("version mismatch".into()))),
            [
                Effect::Applied(2, Err(problem.clone())),
                Effect::Applied(3, Err(problem.clone()))
            ]
        );
        assert_eq!(
            core.handle(Input::Apply(4, admit("c"))),
            [Effect::Applied(4, Err(problem))]
        );
        assert!(core.registry().agents.is_none());
    }

    #[test]
    fn a_registry_that_cannot_be_read_is_the_end() {
        let mut core = RegistrarCore::default();
        core.handle(Input::Recover(1, MasterInfo::default()));
        let effects = core.handle(Input::Fetched(Ok(Bytes::from_static(b"\xff\xff\xff"))));
        let [Effect::Recovered(1, Err(problem))] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert!(
            problem.starts_with("failed to read the registry: "),
            "{problem}"
        );
        let effects = core.handle(Input::Apply(2, admit("a")));
        assert!(
            matches!(effects[..], [Effect::Applied(2, Err(_))]),
            "{effects:?}"
        );
    }

    #[test]
    fn nothing_is_applied_before_recovery() {
        let mut core = RegistrarCore::default();
        assert_eq!(
            core.handle(Input::Apply(1, admit("a"))),
            [Effect::Applied(
                1,
                Err("the registry is not recovered".into())
            )]
        );
    }
}
