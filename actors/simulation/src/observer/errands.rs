//! What a master asks of an agent, and what the agent then does: whom it was meant for.
//!
//! An agent that has ended for good and begun anew is reached where its former self was. What it
//! is asked was meant for the agent that the message names, or else for whoever was registered at
//! that PID, by the master's word, when the master sent it. It is compared with who the agent is, by
//! its own word and what it was told, when it acts:
//!
//! ```text
//! kill                       KILL to the executor, or TASK_KILLED in the same instant
//! message for an executor    MESSAGE to the executor
//! shutdown of an executor    SHUTDOWN to it
//! shutdown of a framework    SHUTDOWN to each of its executors
//! shutdown of the agent      as it arrives: there is nothing that it could be too late for
//! ```
//!
//! Not here: tasks and groups, which name their agent, and are compared when an executor is given
//! them; acknowledgements, which name it too: one that was meant for another is none, so that an agent
//! that goes on after it breaks another rule. What an agent does later than in the instant in which it
//! was asked, an observer cannot lay to it.

use std::collections::{BTreeMap, VecDeque};

use tepui_invariants::Fact;
use tepui_runtime::{Pid, Time};

/// What may be under way to one agent; of what is older nobody will hear.
const MOST_UNDER_WAY: usize = 1000;

/// What an agent is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    Kill { framework: String, task: String },
    Message { framework: String },
    ShutdownExecutor { framework: String },
    ShutdownFramework { framework: String },
    Shutdown,
}

impl Errand {
    /// Whether it is why an executor of that framework is told to end.
    pub(super) fn ends_executors_of(&self, of: &str) -> bool {
        match self {
            Errand::ShutdownExecutor { framework } | Errand::ShutdownFramework { framework } => {
                framework == of
            }
            Errand::Shutdown => true,
            Errand::Kill { .. } | Errand::Message { .. } => false,
        }
    }
}

/// Whom what is under way, and what has just arrived, was meant for.
#[derive(Debug, Default)]
pub(super) struct Errands {
    /// Who is registered at a PID, by the master's last word.
    registered: BTreeMap<Pid, String>,
    /// Who was last spoken with there: also who was refused. Empty for one that has no id yet.
    spoken_with: BTreeMap<Pid, String>,
    /// Who the agent at a PID is; empty while it has no id, absent while nobody knows.
    selves: BTreeMap<Pid, String>,
    under_way: BTreeMap<Pid, VecDeque<(Errand, String)>>,
    /// What arrived last, all in one instant.
    arrived: BTreeMap<Pid, (Time, Vec<(Errand, String)>)>,
}

impl Errands {
    /// The master told a PID that an agent is registered there.
    pub(super) fn registers(&mut self, pid: &Pid, id: &str) {
        self.registered.insert(pid.clone(), id.to_owned());
        self.spoken_with.insert(pid.clone(), id.to_owned());
    }

    /// An agent asked the master to register it.
    pub(super) fn asks(&mut self, pid: &Pid, id: &str) {
        self.spoken_with.insert(pid.clone(), id.to_owned());
    }

    /// An agent says who it is, or is told.
    pub(super) fn is(&mut self, pid: &Pid, id: &str) {
        self.selves.insert(pid.clone(), id.to_owned());
    }

    /// Who runs there now has yet to say who it is.
    pub(super) fn crashed(&mut self, pid: &Pid) {
        self.selves.remove(pid);
        self.arrived.remove(pid);
    }

    /// Whether what is meant for an agent is for the one at a PID, as far as anybody knows.
    pub(super) fn is_for(&self, pid: &Pid, id: &str) -> bool {
        self.selves.get(pid).is_none_or(|own| own == id)
    }

    /// The master sent it to a PID; for the agent `id`, where it says so.
    pub(super) fn sent(&mut self, to: &Pid, errand: Errand, id: Option<&str>) {
        let known = match errand {
            Errand::Shutdown => self.spoken_with.get(to),
            _ => self.registered.get(to),
        };
        let Some(id) = id.or(known.map(String::as_str)) else {
            return;
        };
        let queue = self.under_way.entry(to.clone()).or_default();
        if queue.len() == MOST_UNDER_WAY {
            queue.pop_front();
        }
        queue.push_back((errand, id.to_owned()));
    }

    /// It arrived. What was sent before and did not arrive is lost: where several say the same,
    /// that may be one that was meant for a former self, so one for the present self is taken first.
    pub(super) fn arrived(&mut self, at: Time, to: &Pid, errand: &Errand) -> Option<Fact> {
        let queue = self.under_way.get_mut(to)?;
        let own = self.selves.get(to);
        let same = |(sent, _): &&(Errand, String)| sent == errand;
        let rightful = |it: &(Errand, String)| same(&it) && Some(&it.1) == own;
        let place = queue.iter().position(rightful);
        let place = place.or_else(|| queue.iter().position(|it| same(&it)))?;
        let (errand, meant_for) = queue.drain(..=place).next_back()?;
        let (when, all) = self.arrived.entry(to.clone()).or_default();
        if *when != at {
            (*when, *all) = (at, Vec::new());
        }
        let shutdown = errand == Errand::Shutdown;
        all.push((errand, meant_for.clone()));
        let agent = self.selves.get(to).filter(|_| shutdown)?;
        Some(Fact::Acted {
            what: "shutdown".to_owned(),
            meant_for,
            agent: agent.clone(),
        })
    }

    /// The agent at a PID does something; why, if it is for what has just arrived.
    pub(super) fn acts(
        &self,
        at: Time,
        pid: &Pid,
        what: &str,
        why: impl Fn(&Errand) -> bool,
    ) -> Option<Fact> {
        let (when, all) = self.arrived.get(pid)?;
        let agent = self.selves.get(pid).filter(|_| *when == at)?;
        let mut reasons = all.iter().filter(|(errand, _)| why(errand));
        // One good reason is enough.
        let (_, first) = reasons.clone().next()?;
        let meant_for = match reasons.any(|(_, meant_for)| meant_for == agent) {
            true => agent,
            false => first,
        };
        Some(Fact::Acted {
            what: what.to_owned(),
            meant_for: meant_for.clone(),
            agent: agent.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid() -> Pid {
        "slave(1)@10.1.0.1:5051".parse().unwrap()
    }

    fn kill() -> Errand {
        Errand::Kill {
            framework: "f".to_owned(),
            task: "t".to_owned(),
        }
    }

    fn acted(fact: Option<Fact>) -> Option<(String, String)> {
        match fact? {
            Fact::Acted {
                meant_for, agent, ..
            } => Some((meant_for, agent)),
            _ => None,
        }
    }

    fn both(meant_for: &str, agent: &str) -> Option<(String, String)> {
        Some((meant_for.to_owned(), agent.to_owned()))
    }

    #[test]
    fn what_was_meant_for_a_former_self_is_known_as_such() {
        let (mut errands, now) = (Errands::default(), Time::default());
        errands.registers(&pid(), "a");
        errands.is(&pid(), "a");
        errands.sent(&pid(), kill(), None);
        errands.sent(&pid(), kill(), None);
        errands.arrived(now, &pid(), &kill());
        let why = |errand: &Errand| *errand == kill();
        assert_eq!(acted(errands.acts(now, &pid(), "", why)), both("a", "a"));
        errands.crashed(&pid());
        assert_eq!(errands.acts(now, &pid(), "", why), None, "who is it?");
        errands.is(&pid(), "b");
        errands.registers(&pid(), "b");
        errands.arrived(now, &pid(), &kill());
        assert_eq!(acted(errands.acts(now, &pid(), "", why)), both("a", "b"));
        let other = |errand: &Errand| *errand == Errand::Shutdown;
        assert_eq!(errands.acts(now, &pid(), "", other), None);
        let later = now + std::time::Duration::from_secs(1);
        assert_eq!(errands.acts(later, &pid(), "", why), None);
    }

    #[test]
    fn what_was_lost_on_its_way_to_a_former_self_is_not_what_arrives_later() {
        let (mut errands, now) = (Errands::default(), Time::default());
        errands.registers(&pid(), "a");
        errands.is(&pid(), "a");
        errands.sent(&pid(), kill(), None);
        errands.registers(&pid(), "b");
        errands.is(&pid(), "b");
        errands.sent(&pid(), kill(), None);
        errands.arrived(now, &pid(), &kill());
        let why = |errand: &Errand| *errand == kill();
        assert_eq!(acted(errands.acts(now, &pid(), "", why)), both("b", "b"));
    }

    #[test]
    fn a_shutdown_is_acted_on_as_it_arrives() {
        let (mut errands, now) = (Errands::default(), Time::default());
        errands.registers(&pid(), "a");
        errands.sent(&pid(), Errand::Shutdown, None);
        errands.is(&pid(), "");
        let fact = errands.arrived(now, &pid(), &Errand::Shutdown);
        assert_eq!(acted(fact), both("a", ""));
        // One that is refused is told so, and not whoever was there before.
        errands.asks(&pid(), "b");
        errands.is(&pid(), "b");
        errands.sent(&pid(), Errand::Shutdown, None);
        let fact = errands.arrived(now, &pid(), &Errand::Shutdown);
        assert_eq!(acted(fact), both("b", "b"));
    }
}
