//! `/tasks`: the tasks of all frameworks, ended ones among them, in order of their first status.

use std::{cmp::Ordering, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_master::{Published, Snapshot};
use tepui_protocol::mesos::v1::Task;
use tepui_runtime::http::{Handler, Request};

use super::{Each, rendered, summary, task::TaskView, to_json};
use crate::checks::Refusal;

/// How many tasks are shown where `limit` says nothing: Mesos' `TASK_LIMIT`.
const LIMIT: usize = 100;

pub(crate) fn tasks(published: &Arc<Published>) -> Handler {
    let published = Arc::clone(published);
    rendered(move |request, _| {
        let wanted = Wanted::of(request)?;
        to_json(&TasksView(&wanted.of_snapshot(&published.load())))
    })
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    framework_id: Option<&'a str>,
    task_id: Option<&'a str>,
    limit: usize,
    offset: usize,
    ascending: bool,
}

impl<'a> Wanted<'a> {
    fn of(request: &'a Request) -> Result<Self, Refusal> {
        let text = |key: &str| request.query.get(key).map(String::as_str);
        Ok(Self {
            framework_id: text("framework_id"),
            task_id: text("task_id"),
            limit: number("limit", text("limit"), LIMIT)?,
            offset: number("offset", text("offset"), 0)?,
            ascending: text("order") == Some("asc"),
        })
    }

    fn of_snapshot(&self, snapshot: &Snapshot) -> Vec<Arc<Task>> {
        let registered = snapshot.frameworks.values();
        let completed = snapshot.completed_frameworks.iter().map(|(_, known)| known);
        let mut tasks: Vec<&Arc<Task>> = registered
            .chain(completed)
            .filter(|known| self.framework_id.is_none_or(|id| id == known.id))
            .flat_map(|known| summary::tasks(known))
            .filter(|task| self.task_id.is_none_or(|id| id == task.task_id.value))
            .collect();
        // A stable order, so that pages do not overlap.
        tasks.sort_by(|left, right| {
            let order = first_status(left).partial_cmp(&first_status(right));
            let order = order.unwrap_or(Ordering::Equal);
            if self.ascending {
                order
            } else {
                order.reverse()
            }
        });
        let page = tasks.into_iter().skip(self.offset).take(self.limit);
        page.cloned().collect()
    }
}

/// When the task was first heard of; one that never was comes before all others.
fn first_status(task: &Task) -> f64 {
    task.statuses
        .first()
        .map_or(f64::NEG_INFINITY, |status| status.timestamp())
}

fn number(key: &str, text: Option<&str>, default: usize) -> Result<usize, Refusal> {
    let Some(text) = text else { return Ok(default) };
    text.parse().map_err(|_| {
        Refusal::BadRequest(format!(
            "Invalid {key} '{text}': expected a number that is not negative.\n"
        ))
    })
}

struct TasksView<'a>(&'a [Arc<Task>]);

impl Serialize for TasksView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(1))?;
        let tasks = || self.0.iter().map(|task| TaskView(task));
        map.serialize_entry("tasks", &Each(tasks))?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_none_is_refused() {
        let mut request = Request::new("GET", "/tasks");
        let defaults = Wanted::of(&request).unwrap();
        assert_eq!((defaults.limit, defaults.offset), (100, 0));
        assert!(!defaults.ascending);
        for bad in ["", "x", "-1", "1.5", "99999999999999999999"] {
            for key in ["limit", "offset"] {
                request.query.clear();
                request.query.insert(key.to_owned(), bad.to_owned());
                let refusal = Wanted::of(&request).unwrap_err();
                let text =
                    format!("Invalid {key} '{bad}': expected a number that is not negative.\n");
                assert_eq!((refusal.status(), refusal.to_string()), (400, text));
            }
        }
    }
}
