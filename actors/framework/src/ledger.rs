//! What a framework knows of its tasks, and how it learns the rest after a failover: explicit
//! reconciliation of what it knows, implicit for what it does not, asked again with growing
//! pauses until each task was answered for (as Mesos' guide to reconciliation advises).
//!
//! ```text
//!   launched ──► alive (staging … running) ──► over
//!                  ▲  │ LOST, UNREACHABLE
//!                  │  ▼
//!                 away
//! ```
//!
//! Not here: what is to be done about it.

use std::collections::BTreeMap;
use std::time::Duration;

use tepui_protocol::mesos::v1::{AgentId, TaskId, TaskState, TaskStatus};
use tepui_runtime::Time;

use crate::driver::Driver;

/// The first pause between two reconciliations; it doubles.
const PAUSE_MIN: Duration = Duration::from_secs(15);
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// What a task is to its framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Launched, staging, starting, running or being killed.
    Alive,
    /// Nobody can say whether it runs: LOST, UNREACHABLE. It may come back.
    Away,
    /// It has ended for good.
    Over,
}

/// What an update told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What the task was before; `None` for one that the ledger did not have.
    pub before: Option<Standing>,
    /// What it is.
    pub now: Standing,
}

/// One task.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its agent, where that is known.
    pub agent_id: Option<AgentId>,
    /// The state that was told last.
    pub state: TaskState,
    /// The master was asked for it and has not answered.
    asked: bool,
}

/// The tasks of a framework that are not over.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    tasks: BTreeMap<String, Known>,
    /// When to ask again for who is still asked for, and the pause after that.
    again: Option<(Time, Duration)>,
}

/// What a state makes of a task.
#[must_use]
pub fn standing(state: TaskState) -> Standing {
    match state {
        TaskState::TaskStaging
        | TaskState::TaskStarting
        | TaskState::TaskRunning
        | TaskState::TaskKilling => Standing::Alive,
        TaskState::TaskLost | TaskState::TaskUnreachable => Standing::Away,
        TaskState::TaskFinished
        | TaskState::TaskFailed
        | TaskState::TaskKilled
        | TaskState::TaskError
        | TaskState::TaskDropped
        | TaskState::TaskGone
        | TaskState::TaskGoneByOperator
        | TaskState::TaskUnknown => Standing::Over,
    }
}

impl Ledger {
    /// A task was asked to be launched.
    pub fn launched(&mut self, id: &str, agent_id: &AgentId) {
        let known = Known {
            agent_id: Some(agent_id.clone()),
            state: TaskState::TaskStaging,
            asked: false,
        };
        self.tasks.insert(id.to_owned(), known);
    }

    /// An update came. A task that is over is forgotten.
    pub fn update(&mut self, status: &TaskStatus) -> Change {
        let now = standing(status.state());
        let id = &status.task_id.value;
        let before = self.tasks.get(id).map(|known| standing(known.state));
        if now == Standing::Over {
            self.tasks.remove(id);
        } else {
            let known = self.tasks.entry(id.clone()).or_insert_with(|| Known {
                agent_id: None,
                state: status.state(),
                asked: false,
            });
            known.state = status.state();
            known.asked = false;
            if status.agent_id.is_some() {
                known.agent_id.clone_from(&status.agent_id);
            }
        }
        Change { before, now }
    }

    /// The framework gives the task up, whatever becomes of it.
    pub fn forget(&mut self, id: &str) {
        self.tasks.remove(id);
    }

    /// The tasks that are not over, by id.
    pub fn tasks(&self) -> impl Iterator<Item = (&str, &Known)> {
        self.tasks.iter().map(|(id, known)| (id.as_str(), known))
    }

    /// One task that is not over.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Known> {
        self.tasks.get(id)
    }

    /// The framework is subscribed, for the first time or again: the master is asked for all
    /// tasks it knows (implicit), and for each that it may have forgotten (explicit).
    pub fn subscribed(&mut self, driver: &mut Driver<'_>) {
        driver.reconcile([]);
        self.tasks.values_mut().for_each(|known| known.asked = true);
        self.ask(PAUSE_MIN, driver);
    }

    /// A time that the ledger asked for may have come: asks again for what was not answered.
    pub fn wake(&mut self, driver: &mut Driver<'_>) {
        if let Some((at, pause)) = self.again
            && driver.now() >= at
        {
            self.ask(pause, driver);
        }
    }

    fn ask(&mut self, pause: Duration, driver: &mut Driver<'_>) {
        let asked = self.tasks.iter().filter(|(_, known)| known.asked);
        let task = |(id, known): (&String, &Known)| {
            let task_id = TaskId { value: id.clone() };
            (task_id, known.agent_id.clone())
        };
        let asked: Vec<_> = asked.map(task).collect();
        self.again = None;
        if !asked.is_empty() {
            driver.reconcile(asked);
            driver.wake_after(pause);
            self.again = Some((driver.now() + pause, (pause * 2).min(PAUSE_MAX)));
        }
    }
}

#[cfg(test)]
mod tests {
    use tepui_protocol::mesos::v1::scheduler::Call;

    use super::*;

    fn status(id: &str, state: TaskState) -> TaskStatus {
        TaskStatus {
            task_id: TaskId {
                value: id.to_owned(),
            },
            state: state as i32,
            ..TaskStatus::default()
        }
    }

    /// The ids that each RECONCILE names, and the wakes.
    fn asked(at: f64, work: impl FnOnce(&mut Driver<'_>)) -> (Vec<Vec<String>>, Vec<u64>) {
        let mut driver = Driver::new(None, Time::from_secs_f64(at));
        work(&mut driver);
        let asked = driver.finish();
        let ids = |call: Call| {
            let tasks = call.reconcile.unwrap().tasks.into_iter();
            tasks.map(|task| task.task_id.value).collect()
        };
        let wakes = asked.wakes.iter().map(Duration::as_secs).collect();
        (asked.calls.into_iter().map(ids).collect(), wakes)
    }

    #[test]
    fn after_a_failover_each_task_is_asked_for_until_it_is_answered() {
        let mut ledger = Ledger::default();
        let agent = AgentId {
            value: "S0".to_owned(),
        };
        ledger.launched("a", &agent);
        ledger.launched("b", &agent);
        let all = vec!["a".to_owned(), "b".to_owned()];
        let first = asked(1000.0, |driver| ledger.subscribed(driver));
        assert_eq!(first, (vec![vec![], all], vec![15]));
        ledger.update(&status("a", TaskState::TaskRunning));
        assert_eq!(
            asked(1014.0, |driver| ledger.wake(driver)),
            (vec![], vec![])
        );
        let rest = vec!["b".to_owned()];
        let second = asked(1015.0, |driver| ledger.wake(driver));
        assert_eq!(second, (vec![rest], vec![30]));
        let gone = ledger.update(&status("b", TaskState::TaskGone));
        assert_eq!(gone.before, Some(Standing::Alive));
        assert_eq!(gone.now, Standing::Over);
        assert_eq!(
            asked(1045.0, |driver| ledger.wake(driver)),
            (vec![], vec![])
        );
        assert_eq!(ledger.tasks().count(), 1);
    }

    #[test]
    fn a_task_of_a_former_life_is_learned_of_and_one_that_was_away_returns() {
        let mut ledger = Ledger::default();
        let found = ledger.update(&status("old", TaskState::TaskRunning));
        assert_eq!(
            found,
            Change {
                before: None,
                now: Standing::Alive
            }
        );
        let away = ledger.update(&status("old", TaskState::TaskUnreachable));
        assert_eq!(
            away,
            Change {
                before: Some(Standing::Alive),
                now: Standing::Away
            }
        );
        let back = ledger.update(&status("old", TaskState::TaskRunning));
        assert_eq!(
            back,
            Change {
                before: Some(Standing::Away),
                now: Standing::Alive
            }
        );
        ledger.update(&status("old", TaskState::TaskFinished));
        assert!(ledger.get("old").is_none());
    }
}
