//! How tasks start and end, what is told of that, and what it means for the others of their group.

use nix::libc;
use tepui_invariants::PlantedBug;
use tepui_protocol::mesos::v1::agent::response::WaitContainer;
use tepui_protocol::mesos::v1::{TaskResourceLimitation, TaskState, TaskStatus, task_status};

use super::{Answer, Core, Effect, Errand, Of, Phase, Task, Timer, kills};
use crate::executor::post::{self, Turn};
use crate::executor::status;

/// What is told of a task that ended.
#[derive(Debug)]
struct End {
    state: TaskState,
    reason: Option<i32>,
    message: String,
    limitation: Option<TaskResourceLimitation>,
}

impl End {
    fn new(state: TaskState, message: impl Into<String>) -> End {
        End {
            state,
            reason: None,
            message: message.into(),
            limitation: None,
        }
    }

    /// The end of a task of whose container the agent told this. What the agent says of state and
    /// reason is better than what is seen from here.
    fn of(task: &Task, wait: WaitContainer) -> End {
        let mut end = match wait.exit_status {
            None => End::new(
                TaskState::TaskFailed,
                "Command terminated with unknown status",
            ),
            Some(raw) => {
                let state = if task.overdue {
                    TaskState::TaskFailed
                } else if task.kill.is_some() {
                    // Even where it exits with 0: it was killed and not finished.
                    TaskState::TaskKilled
                } else if raw == 0 {
                    TaskState::TaskFinished
                } else {
                    TaskState::TaskFailed
                };
                let overdue = task_status::Reason::MaxCompletionTimeReached as i32;
                End {
                    reason: task.overdue.then_some(overdue),
                    ..End::new(state, format!("Command {}", status::describe(raw)))
                }
            }
        };
        if wait.state.is_some() {
            end.state = wait.state();
        }
        end.reason = wait.reason.or(end.reason);
        if let Some(message) = &wait.message {
            end.message = format!("{}: {message}", end.message);
        }
        end.limitation = wait.limitation;
        end
    }
}

impl Core {
    pub(super) fn launch_answered(&mut self, number: u64, answer: Answer, turn: &mut Turn<'_>) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        match answer {
            Answer::Broken(_) => {
                task.phase = Phase::Doubtful;
                self.ask_again(number);
            }
            Answer::Given { status: 503, .. } => self.launch_again(number, turn),
            Answer::Given {
                status: 200 | 202, ..
            } => self.launch_known(number, None, turn),
            Answer::Given { problem, .. } => self.launch_known(number, Some(problem), turn),
        }
    }

    /// Whether the container runs of whose launch nothing was told.
    pub(super) fn find_answered(&mut self, number: u64, answer: &Answer, turn: &mut Turn<'_>) {
        if answer.is_away() {
            self.ask_again(number);
        } else if matches!(answer, Answer::Given { status: 200, .. }) {
            self.launch_known(number, None, turn);
        } else if let Some(task) = self.tasks.get_mut(&number) {
            task.phase = Phase::Missing;
            task.asked = false;
            self.pursue(number);
        }
    }

    /// Whether the container of whose launch nothing was told, and which does not run, did run.
    fn missing_answered(&mut self, number: u64, answer: Answer, turn: &mut Turn<'_>) {
        match answer {
            answer if answer.is_away() => self.ask_again(number),
            Answer::Given { status: 404, .. } => self.launch_again(number, turn),
            Answer::Given { status: 200, .. } => self.launch_known(number, None, turn),
            Answer::Given { problem, .. } | Answer::Broken(problem) => {
                self.launch_known(number, Some(problem), turn);
            }
        }
    }

    /// It is certain that there is no container yet.
    fn launch_again(&mut self, number: u64, turn: &mut Turn<'_>) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        if task.kill.is_some() {
            self.launch_known(number, Some(String::new()), turn);
            return;
        }
        let missing = task.phase == Phase::Missing;
        task.phase = Phase::Launching;
        task.asked = false;
        if missing {
            self.pursue(number);
        } else {
            self.retry(Of::Task(number));
        }
    }

    /// What came of a launch is known: there is a container, or why there is none.
    fn launch_known(&mut self, number: u64, refused: Option<String>, turn: &mut Turn<'_>) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        task.phase = Phase::Answered;
        task.asked = true;
        task.refused.clone_from(&refused);
        let group = task.group;
        if let Some(kill) = &mut task.kill {
            // It does not wait for its group; and what was asked before may have been too early.
            kill.asked = false;
            match refused {
                None => self.launched(number, turn),
                Some(problem) => self.not_launched(number, problem, turn),
            }
        }
        self.go_on(group, turn);
    }

    /// What was asked was not answered.
    fn ask_again(&mut self, number: u64) {
        if let Some(task) = self.tasks.get_mut(&number) {
            task.asked = false;
            self.retry(Of::Task(number));
        }
    }

    /// Goes on with a group when the last of its launches is answered: first with those who run.
    fn go_on(&mut self, group: u64, turn: &mut Turn<'_>) {
        let tasks = self.tasks.iter().filter(|(_, task)| task.group == group);
        let mut answered = Vec::new();
        for (number, task) in tasks {
            match task.phase {
                Phase::New | Phase::Launching | Phase::Doubtful | Phase::Missing => return,
                Phase::Answered => answered.push((*number, task.refused.clone())),
                Phase::Running => {}
            }
        }
        let (refused, launched): (Vec<_>, Vec<_>) = answered
            .into_iter()
            .partition(|(_, problem)| problem.is_some());
        for (number, _) in launched {
            self.launched(number, turn);
        }
        for (number, problem) in refused {
            self.not_launched(number, problem.unwrap_or_default(), turn);
        }
    }

    pub(super) fn launched(&mut self, number: u64, turn: &mut Turn<'_>) {
        if let Some(task) = self.tasks.get_mut(&number) {
            task.phase = Phase::Running;
            task.asked = false;
        }
        let Some(task) = self.tasks.get(&number) else {
            return;
        };
        let link = Effect::Link(task.info.task_id.clone(), task.container.clone());
        self.effects.push(link);
        if task.kill.is_none() {
            let status = self.status(task, TaskState::TaskRunning, "", turn);
            let limit = post::completion_limit(&task.info);
            self.update(status);
            if let Some(limit) = limit {
                let timer = Timer::MaxCompletion(number);
                self.effects.push(Effect::Arm(timer, limit));
            }
            self.start_checks(number, turn);
        }
        self.pursue(number);
    }

    /// There is no container for it, and will be none.
    pub(super) fn not_launched(&mut self, number: u64, problem: String, turn: &mut Turn<'_>) {
        let task = self.tasks.get(&number);
        let killed = task.is_some_and(|task| task.kill.is_some());
        let state = match killed {
            true => TaskState::TaskKilled,
            false => TaskState::TaskFailed,
        };
        self.end(number, End::new(state, problem), turn);
    }

    pub(super) fn wait_answered(&mut self, number: u64, answer: Answer, turn: &mut Turn<'_>) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        if task.phase == Phase::Missing {
            self.missing_answered(number, answer, turn);
            return;
        }
        if answer.is_away() {
            self.ask_again(number);
            return;
        }
        let end = match answer {
            Answer::Given {
                status: 200, end, ..
            } => End::of(task, end.map(|end| *end).unwrap_or_default()),
            Answer::Given { status: 404, .. } if task.kill.is_some() => {
                End::new(TaskState::TaskKilled, "")
            }
            Answer::Given { status: 404, .. } => End::new(
                TaskState::TaskFailed,
                "Unable to retrieve command's termination information",
            ),
            Answer::Given { problem, .. } | Answer::Broken(problem) => {
                // Nobody would tell when it ends: it does now.
                self.ask_for_task(number, Errand::Kill(libc::SIGKILL));
                let message = format!("Failed to wait for the task's container: {problem}");
                End::new(TaskState::TaskFailed, message)
            }
        };
        self.end(number, end, turn);
    }

    /// The task's last update. Unless the group, or everything, is being killed anyway, a failure
    /// or a kill is the end of its group.
    fn end(&mut self, number: u64, end: End, turn: &mut Turn<'_>) {
        self.stop_checks(number, turn);
        let Some(task) = self.tasks.remove(&number) else {
            return;
        };
        if task.kill.is_some() && task.phase != Phase::New {
            self.effects.push(Effect::Cancel(Timer::Escalation(number)));
        } else if task.info.max_completion_time.is_some() {
            self.effects
                .push(Effect::Cancel(Timer::MaxCompletion(number)));
        }
        let status = TaskStatus {
            reason: end.reason,
            limitation: end.limitation,
            ..self.status(&task, end.state, &end.message, turn)
        };
        self.update(status);
        let contagious = matches!(end.state, TaskState::TaskFailed | TaskState::TaskKilled);
        let spared = self.planted.has(PlantedBug::GroupGoesOn);
        if contagious && !task.condemned && !self.shutting_down && !spared {
            self.end_group(task.group, turn);
        }
        self.ended = true;
    }

    fn end_group(&mut self, group: u64, turn: &mut Turn<'_>) {
        let tasks = self.tasks.iter_mut();
        let others = tasks.filter(|(_, task)| task.group == group);
        let others = others.map(|(number, task)| {
            task.condemned = true;
            *number
        });
        for number in others.collect::<Vec<_>>() {
            self.kill(number, kills::GROUP_GRACE, turn);
        }
    }
}
