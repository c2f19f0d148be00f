//! What the command executor does with the checks of its task.

use tepui_protocol::mesos::v1::TaskState;

use super::{Core, Effect, Phase, Timer};
use crate::executor::checks::{Alarm, Kind, News, Outcome, Step};
use crate::executor::post::{Turn, own_grace};

impl From<Step> for Effect {
    fn from(step: Step) -> Effect {
        match step {
            Step::Probe(probe) => Effect::Probe(probe),
            Step::Abandon(kind) => Effect::Abandon(kind),
            Step::Arm(alarm, after) => Effect::Arm(alarm.into(), after),
            Step::Cancel(alarm) => Effect::Cancel(alarm.into()),
        }
    }
}

impl From<Alarm> for Timer {
    fn from(alarm: Alarm) -> Timer {
        match alarm {
            Alarm::Probe(kind) => Timer::Probe(kind),
            Alarm::Timeout(kind) => Timer::ProbeTimeout(kind),
        }
    }
}

impl Core {
    pub(super) fn probe_due(&mut self, kind: Kind) {
        if let Some(task) = &mut self.task {
            task.checks.due(kind, &mut self.effects);
        }
    }

    pub(super) fn probe_timed_out(&mut self, kind: Kind, turn: &mut Turn<'_>) {
        let Some(task) = &mut self.task else { return };
        if let Some((number, outcome)) = task.checks.give_up(kind, &mut self.effects) {
            self.probed(kind, number, &outcome, turn);
        }
    }

    pub(super) fn probed(
        &mut self,
        kind: Kind,
        number: u64,
        outcome: &Outcome,
        turn: &mut Turn<'_>,
    ) {
        let Some(task) = &mut self.task else { return };
        if task.phase != Phase::Running {
            return;
        }
        let effects = &mut self.effects;
        let Some(news) = task.checks.probed(kind, number, outcome, turn.now, effects) else {
            return;
        };
        let info = task.info.clone();
        let mut status = self.status(&info, TaskState::TaskRunning, "", turn);
        status.reason = Some(news.reason() as i32);
        self.update(status);
        if news == (News::Health { kill: true }) {
            self.kill(own_grace(&info), turn);
        }
    }
}
