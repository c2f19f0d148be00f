//! The tasks of one executor, found by id and kept in the order in which they came. Snapshots share
//! the list with the core: a change of one task copies that task alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use super::executor::AgentTask;

/// Tasks by the number of their arrival.
pub type InOrder = RedBlackTreeMapSync<u64, Arc<AgentTask>>;

/// Tasks in order of arrival.
#[derive(Debug, Clone, Default)]
pub struct TaskList {
    places: BTreeMap<String, u64>,
    in_order: InOrder,
    next: u64,
}

impl TaskList {
    /// The tasks as they are now: a cheap copy.
    #[must_use]
    pub fn in_order(&self) -> InOrder {
        self.in_order.clone()
    }

    /// The task with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&AgentTask> {
        let place = self.places.get(id)?;
        self.in_order.get(place).map(Arc::as_ref)
    }

    /// The task with this id, to be changed.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut AgentTask> {
        let place = self.places.get(id)?;
        self.in_order.get_mut(place).map(Arc::make_mut)
    }

    /// Whether there is a task with this id.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.places.contains_key(id)
    }

    /// Adds a task behind all others; one with its id that is there already keeps its place.
    pub fn insert(&mut self, task: AgentTask) {
        let id = &task.task.task_id.value;
        let place = match self.places.get(id) {
            Some(place) => *place,
            None => {
                self.next += 1;
                self.places.insert(id.clone(), self.next);
                self.next
            }
        };
        self.in_order.insert_mut(place, Arc::new(task));
    }

    /// Takes a task out.
    pub fn remove(&mut self, id: &str) -> Option<Arc<AgentTask>> {
        let place = self.places.remove(id)?;
        let task = self.in_order.get(&place).cloned();
        self.in_order.remove_mut(&place);
        task
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Ids and tasks.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &AgentTask)> {
        self.values().map(|task| (&task.task.task_id.value, task))
    }

    /// The tasks.
    pub fn values(&self) -> impl Iterator<Item = &AgentTask> {
        self.in_order.values().map(Arc::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use tepui_protocol::mesos::v1::{Task, TaskId, TaskState};

    use super::*;
    use crate::core::executor::Phase;

    fn task(id: &str) -> AgentTask {
        let value = id.to_owned();
        let task = Task {
            task_id: TaskId { value },
            ..Task::default()
        };
        AgentTask {
            task,
            phase: Phase::Launched,
        }
    }

    #[test]
    fn tasks_stay_in_the_order_of_their_arrival_and_a_copy_stays_as_it_was() {
        let mut tasks = TaskList::default();
        for id in ["c", "a", "b"] {
            tasks.insert(task(id));
        }
        let copy = tasks.in_order();
        tasks.get_mut("a").unwrap().task.state = TaskState::TaskRunning as i32;
        assert!(tasks.remove("c").is_some() && tasks.remove("c").is_none());
        tasks.insert(task("c"));
        let ids: Vec<&str> = tasks.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c"]);
        let of_copy = copy.values().map(|task| &task.task);
        let of_copy: Vec<_> = of_copy
            .map(|task| (task.task_id.value.as_str(), task.state()))
            .collect();
        let staging = TaskState::TaskStaging;
        assert_eq!(of_copy, [("c", staging), ("a", staging), ("b", staging)]);
        assert_eq!((tasks.len(), tasks.contains("d")), (3, false));
    }
}
