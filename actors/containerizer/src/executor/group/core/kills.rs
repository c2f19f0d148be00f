//! How tasks are killed: SIGTERM, and SIGKILL after a grace.

use std::time::Duration;

use nix::libc;
use tepui_protocol::mesos::v1::TaskState;
use tepui_protocol::mesos::v1::executor::event;

use super::{Answer, Core, Effect, Kill, Of, Phase, Timer};
use crate::executor::post::{KILL_GRACE_PERIOD, Turn, grace_period, own_grace};

/// What is killed with its group, or with the executor, has Mesos' own grace whatever it asks for.
pub(super) const GROUP_GRACE: Duration = KILL_GRACE_PERIOD;

impl Core {
    pub(super) fn kill_event(&mut self, kill: &event::Kill, turn: &mut Turn<'_>) {
        let mut tasks = self.tasks.iter();
        let found = tasks.find(|(_, task)| task.info.task_id == kill.task_id);
        if let Some((number, task)) = found {
            let grace = grace_period(kill.kill_policy.as_ref());
            let grace = grace.unwrap_or_else(|| own_grace(&task.info));
            self.kill(*number, grace, turn);
        }
    }

    /// Kills a task; one that is being killed is left to the first kill and its grace.
    pub(super) fn kill(&mut self, number: u64, grace: Duration, turn: &mut Turn<'_>) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        if task.kill.is_some() {
            return;
        }
        task.kill = Some(Kill {
            signal: libc::SIGTERM,
            asked: false,
        });
        let (phase, overdue) = (task.phase, task.overdue);
        let refused = task.refused.clone();
        if task.info.max_completion_time.is_some() {
            self.effects
                .push(Effect::Cancel(Timer::MaxCompletion(number)));
        }
        self.stop_checks(number, turn);
        if phase == Phase::New || refused.is_some() {
            self.not_launched(number, refused.unwrap_or_default(), turn);
            return;
        }
        if !overdue
            && self.post.tells_killing()
            && let Some(task) = self.tasks.get(&number)
        {
            let status = self.status(task, TaskState::TaskKilling, "", turn);
            self.update(status);
        }
        match phase {
            // It does not wait for its group any more.
            Phase::Answered => self.launched(number, turn),
            _ => self.pursue(number),
        }
        self.effects
            .push(Effect::Arm(Timer::Escalation(number), grace));
    }

    pub(super) fn escalate(&mut self, number: u64) {
        let task = self.tasks.get_mut(&number);
        if let Some(kill) = task.and_then(|task| task.kill.as_mut()) {
            kill.signal = libc::SIGKILL;
            kill.asked = false;
            self.pursue(number);
        }
    }

    pub(super) fn overdue(&mut self, number: u64, turn: &mut Turn<'_>) {
        let task = self.tasks.get_mut(&number);
        if let Some(task) = task.filter(|task| task.kill.is_none()) {
            task.overdue = true;
            self.kill(number, Duration::ZERO, turn);
        }
    }

    pub(super) fn kill_answered(&mut self, number: u64, signal: i32, answer: &Answer) {
        // Of what is not there any more the wait tells.
        if matches!(
            answer,
            Answer::Given {
                status: 200 | 404,
                ..
            }
        ) {
            return;
        }
        let task = self.tasks.get_mut(&number);
        let kill = task.and_then(|task| task.kill.as_mut());
        if let Some(kill) = kill.filter(|kill| kill.signal == signal) {
            kill.asked = false;
            self.retry(Of::Task(number));
        }
    }
}
