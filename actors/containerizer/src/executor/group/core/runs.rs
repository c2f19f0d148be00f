//! How the checks of tasks are carried out. What asks by network the body does; a command runs in a
//! container of its own, nested in the task's, which is removed as soon as it has ended.
//!
//! ```text
//! LAUNCHING ──launched──► WAITING ──ended──► REMOVING ──► gone
//!     │ refused              ▲ killed where its result is not wanted any more
//!     └──► gone
//! ```

use nix::libc;
use tepui_protocol::mesos::v1::agent::response::WaitContainer;
use tepui_protocol::mesos::v1::{CommandInfo, ContainerId, TaskState};
use uuid::Uuid;

use super::{Answer, Ask, Core, Effect, Errand, Of, Phase, Timer, calls, nested};
use crate::executor::checks::{Kind, News, Outcome, Probe, Request, Step};
use crate::executor::post::{Turn, own_grace};

/// The command of a check.
#[derive(Debug)]
pub(super) struct Run {
    task: u64,
    kind: Kind,
    container: ContainerId,
    sandbox: String,
    pub(super) command: CommandInfo,
    phase: RunPhase,
    /// Whose result it is; `None` where nobody wants it any more.
    probe: Option<u64>,
    /// What it is to do in this phase is under way.
    asked: bool,
    /// It is to be killed, and whether that is under way.
    kill: Option<bool>,
    /// The next one, which waits until this one is gone.
    next: Option<Probe>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunPhase {
    Launching,
    Waiting,
    Removing,
}

impl Core {
    pub(super) fn start_checks(&mut self, number: u64, turn: &mut Turn<'_>) {
        let mut steps = Vec::new();
        if let Some(task) = self.tasks.get_mut(&number) {
            task.checks.start(turn.now, &mut steps);
        }
        self.follow(number, steps, turn);
    }

    pub(super) fn stop_checks(&mut self, number: u64, turn: &mut Turn<'_>) {
        let mut steps = Vec::new();
        if let Some(task) = self.tasks.get_mut(&number) {
            task.checks.stop(&mut steps);
        }
        self.follow(number, steps, turn);
    }

    pub(super) fn resume_checks(&mut self, number: u64, turn: &mut Turn<'_>) {
        let mut steps = Vec::new();
        if let Some(task) = self.tasks.get_mut(&number)
            && task.phase == Phase::Running
            && task.kill.is_none()
        {
            task.checks.resume(&mut steps);
        }
        self.follow(number, steps, turn);
    }

    pub(super) fn probe_due(&mut self, number: u64, kind: Kind, turn: &mut Turn<'_>) {
        let mut steps = Vec::new();
        if let Some(task) = self.tasks.get_mut(&number) {
            task.checks.due(kind, &mut steps);
        }
        self.follow(number, steps, turn);
    }

    pub(super) fn probe_timed_out(&mut self, number: u64, kind: Kind, turn: &mut Turn<'_>) {
        let mut steps = Vec::new();
        let task = self.tasks.get_mut(&number);
        let given_up = task.and_then(|task| task.checks.give_up(kind, &mut steps));
        self.follow(number, steps, turn);
        if let Some((probe, outcome)) = given_up {
            self.probed(number, kind, probe, &outcome, turn);
        }
    }

    pub(super) fn probed(
        &mut self,
        number: u64,
        kind: Kind,
        probe: u64,
        outcome: &Outcome,
        turn: &mut Turn<'_>,
    ) {
        let mut steps = Vec::new();
        let task = self.tasks.get_mut(&number);
        let news = task.and_then(|it| it.checks.probed(kind, probe, outcome, turn.now, &mut steps));
        self.follow(number, steps, turn);
        let (Some(news), Some(task)) = (news, self.tasks.get(&number)) else {
            return;
        };
        let grace = own_grace(&task.info);
        let mut status = self.status(task, TaskState::TaskRunning, "", turn);
        status.reason = Some(news.reason() as i32);
        self.update(status);
        if news == (News::Health { kill: true }) {
            self.kill(number, grace, turn);
        }
    }

    /// Does what the checks of a task ask for.
    fn follow(&mut self, number: u64, steps: Vec<Step>, turn: &mut Turn<'_>) {
        for step in steps {
            match step {
                Step::Probe(probe) if matches!(probe.request, Request::Command(_)) => {
                    self.run(number, *probe, turn);
                }
                Step::Probe(probe) => self.effects.push(Effect::Probe(number, probe)),
                Step::Abandon(kind) => self.abandon(number, kind),
                Step::Arm(alarm, after) => {
                    let timer = Timer::of(number, alarm);
                    self.effects.push(Effect::Arm(timer, after));
                }
                Step::Cancel(alarm) => {
                    let timer = Timer::of(number, alarm);
                    self.effects.push(Effect::Cancel(timer));
                }
            }
        }
    }

    /// Runs a check's command, as soon as the one before it is gone.
    fn run(&mut self, number: u64, probe: Probe, turn: &mut Turn<'_>) {
        let Some(task) = self.tasks.get(&number) else {
            return;
        };
        let mut runs = self.runs.values_mut();
        if let Some(former) = runs.find(|run| run.task == number && run.kind == probe.kind) {
            former.next = Some(probe);
            return;
        }
        let Request::Command(command) = probe.request else {
            return;
        };
        let sandbox = format!("{}/containers/{}", self.sandbox, task.container.value);
        let id = format!("check-{}", Uuid::from_bytes((turn.uuid)()));
        let run = Run {
            task: number,
            kind: probe.kind,
            container: nested(&task.container, &id),
            command: calls::check_command(*command, &task.info, &sandbox, self.user.clone()),
            sandbox: format!("{sandbox}/containers/{id}"),
            phase: RunPhase::Launching,
            probe: Some(probe.number),
            asked: false,
            kill: None,
            next: None,
        };
        let number = self.next_number();
        self.runs.insert(number, run);
        self.pursue_run(number);
    }

    /// The result of what is under way for a check is not wanted any more.
    fn abandon(&mut self, task: u64, kind: Kind) {
        let mut runs = self.runs.iter_mut();
        let found = runs.find(|(_, run)| run.task == task && run.kind == kind);
        let Some((number, run)) = found else { return };
        let number = *number;
        if run.next.take().is_none() {
            run.probe = None;
            run.kill.get_or_insert(false);
            self.pursue_run(number);
        }
    }

    /// Asks what is to be asked for a check's command and is not under way.
    pub(super) fn pursue_run(&mut self, number: u64) {
        let Some(run) = self.runs.get_mut(&number) else {
            return;
        };
        if !self.post.is_subscribed() {
            return;
        }
        let of = Of::Run(number);
        let mut ask = |errand, call| {
            self.effects
                .push(Effect::Ask(Ask { of, errand }, Box::new(call)));
        };
        if run.phase == RunPhase::Waiting && run.kill == Some(false) {
            run.kill = Some(true);
            let call = calls::kill(&run.container, libc::SIGKILL);
            ask(Errand::Kill(libc::SIGKILL), call);
        }
        if std::mem::replace(&mut run.asked, true) {
            return;
        }
        match run.phase {
            RunPhase::Launching => {
                let command = run.command.clone();
                ask(Errand::Launch, calls::launch_check(&run.container, command));
            }
            RunPhase::Waiting => ask(Errand::Wait, calls::wait(&run.container)),
            RunPhase::Removing => {
                ask(Errand::Remove, calls::remove(&run.container));
            }
        }
    }

    pub(super) fn run_answered(
        &mut self,
        number: u64,
        errand: Errand,
        answer: Answer,
        turn: &mut Turn<'_>,
    ) {
        let Some(run) = self.runs.get_mut(&number) else {
            return;
        };
        if matches!(errand, Errand::Kill(_)) {
            return;
        }
        let task = (run.task, run.kind);
        let mut outcome = None;
        match (errand, answer) {
            (Errand::Launch, Answer::Given { status, .. }) if !matches!(status, 200 | 202) => {
                // As Mesos has it, who cannot be launched says nothing of the task.
                outcome = run.probe.take().map(|probe| (probe, Outcome::Void));
                self.gone(number, turn);
            }
            (Errand::Launch, Answer::Given { .. }) => {
                run.phase = RunPhase::Waiting;
                run.asked = false;
                self.pursue_run(number);
            }
            (_, answer) if answer.is_away() => {
                outcome = run.probe.take().map(|probe| (probe, Outcome::Void));
                // Whatever became of it, it is to be gone.
                if run.phase == RunPhase::Launching {
                    run.phase = RunPhase::Waiting;
                }
                run.kill = Some(false);
                run.asked = false;
                self.retry(Of::Run(number));
            }
            (Errand::Wait, answer) => {
                outcome = run.probe.take().map(|probe| (probe, exit_of(answer)));
                run.phase = RunPhase::Removing;
                run.asked = false;
                self.effects.push(Effect::Echo(run.sandbox.clone()));
                self.pursue_run(number);
            }
            _ => self.gone(number, turn),
        }
        if let Some((probe, outcome)) = outcome {
            self.probed(task.0, task.1, probe, &outcome, turn);
        }
    }

    /// Nothing is left of it: the next one may run.
    fn gone(&mut self, number: u64, turn: &mut Turn<'_>) {
        let Some(run) = self.runs.remove(&number) else {
            return;
        };
        if let Some(next) = run.next {
            self.run(run.task, next, turn);
        }
    }
}

/// What a wait says of a check. Who was killed was most likely killed with its task.
fn exit_of(answer: Answer) -> Outcome {
    match answer {
        Answer::Given {
            status: 200,
            end: Some(end),
            ..
        } => match *end {
            WaitContainer {
                exit_status: Some(libc::SIGKILL),
                ..
            } => Outcome::Void,
            WaitContainer {
                exit_status: Some(status),
                ..
            } => Outcome::Ended(status),
            _ => Outcome::Failed("Unable to get the exit code".to_owned()),
        },
        Answer::Given { problem, .. } | Answer::Broken(problem) => {
            Outcome::Failed(format!("Unable to get the exit code: {problem}"))
        }
    }
}
