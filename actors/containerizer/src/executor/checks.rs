//! When the checks of a task are carried out, and what comes of them: Mesos' `CheckInfo`, which only
//! tells, and `HealthCheck`, which kills. How one is carried out is the body's, and what is done
//! with its news the core's of the executor.
//!
//! ```text
//!           start              due               result
//! IDLE ──────────────► WAITING ─────► UNDER WAY ────────┐
//!        delay          ▲                │ timeout      │
//!                       └────────────────┴──────────────┘ interval
//! any ──kill, end of the task──► STOPPED: no result counts any more; at once again if resumed
//! ```

use std::time::Duration;

use tepui_protocol::mesos::v1::network_info::Protocol;
use tepui_protocol::mesos::v1::{
    CheckInfo, CheckStatusInfo, CommandInfo, Environment, HealthCheck, TaskInfo, TaskState,
    check_info, check_status_info, health_check, task_status,
};

use crate::executor::status;

/// Longest time that is told apart from never.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Which of a task's two checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// TaskInfo.check
    Check,
    /// TaskInfo.health_check
    Health,
}

/// One carrying out of a check, which the body is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Probe {
    pub(crate) kind: Kind,
    /// Goes back with the result: that of a probe which was given up is no news.
    pub(crate) number: u64,
    pub(crate) request: Request,
    /// How long it may take; the core gives it up by itself then.
    pub(crate) timeout: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// Run this command, with the variables of the task's below its own.
    Command(Box<CommandInfo>),
    /// GET this URL, and follow where it leads.
    Http(String),
    /// Connect to this `ip:port`.
    Tcp(String),
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The command ended with this raw wait status.
    Ended(i32),
    /// The server answered with this HTTP status.
    Answered(u16),
    /// Whether there was a connection.
    Connected(bool),
    /// It could not be carried out, and why.
    Failed(String),
    /// It says nothing of the task: who was to carry it out was away.
    Void,
}

/// What is to be done for the checks of a task.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Carry this out.
    Probe(Box<Probe>),
    /// What is under way is not wanted any more.
    Abandon(Kind),
    /// Tell when this time is over; in place of one of the same name.
    Arm(Alarm, Duration),
    Cancel(Alarm),
}

/// What becomes due for the checks of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// The next probe.
    Probe(Kind),
    /// A probe takes too long.
    Timeout(Kind),
}

/// The checks of one task.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    check: Option<Check>,
    health: Option<Health>,
}

/// What is common to both.
#[derive(Debug)]
struct Schedule {
    request: Request,
    delay: Duration,
    interval: Duration,
    timeout: Option<Duration>,
    /// That of the last probe.
    number: u64,
    under_way: bool,
    running: bool,
}

#[derive(Debug)]
struct Check {
    schedule: Schedule,
    /// What was told last; no result yet at first.
    status: CheckStatusInfo,
}

#[derive(Debug)]
struct Health {
    schedule: Schedule,
    grace: Duration,
    /// As many failures in a row kill the task.
    most: u32,
    since: Duration,
    succeeded: bool,
    failures: u32,
    /// What was told last.
    healthy: Option<bool>,
    /// It had the task killed.
    condemned: bool,
}

/// What of a result the framework is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Check,
    Health { kill: bool },
}

impl News {
    /// Why an update is sent for it.
    pub(crate) fn reason(self) -> task_status::Reason {
        match self {
            News::Check => task_status::Reason::TaskCheckStatusUpdated,
            News::Health { .. } => task_status::Reason::TaskHealthCheckStatusUpdated,
        }
    }
}

impl Checks {
    /// The checks that a task asks for.
    ///
    /// # Errors
    /// What one of them lacks. A master refuses such tasks.
    pub(crate) fn of(task: &TaskInfo) -> Result<Checks, String> {
        let check = task.check.as_ref().map(|info| Check::of(info, task));
        let health = task.health_check.as_ref();
        let health = health.map(|info| Health::of(info, task));
        Ok(Checks {
            check: check.transpose()?,
            health: health.transpose()?,
        })
    }

    /// What updates say of the check: every one has it, the first without a result.
    pub(crate) fn status(&self) -> Option<CheckStatusInfo> {
        self.check.as_ref().map(|check| check.status)
    }

    /// What an update of this state says of the task's health: what is known, while it runs; and at
    /// its end only that it was killed for it.
    pub(crate) fn healthy(&self, state: TaskState) -> Option<bool> {
        let health = self.health.as_ref()?;
        match state {
            TaskState::TaskRunning => health.healthy,
            TaskState::TaskKilled | TaskState::TaskFailed | TaskState::TaskFinished => {
                health.condemned.then_some(false)
            }
            _ => None,
        }
    }

    fn schedule(&mut self, kind: Kind) -> Option<&mut Schedule> {
        match kind {
            Kind::Check => self.check.as_mut().map(|check| &mut check.schedule),
            Kind::Health => self.health.as_mut().map(|health| &mut health.schedule),
        }
    }

    /// The task runs since now.
    pub(crate) fn start(&mut self, now: Duration, steps: &mut Vec<impl From<Step>>) {
        if let Some(health) = &mut self.health {
            health.since = now;
        }
        for kind in [Kind::Check, Kind::Health] {
            if let Some(schedule) = self.schedule(kind) {
                schedule.running = true;
                steps.push(Step::Arm(Alarm::Probe(kind), schedule.delay).into());
            }
        }
    }

    /// No result is wanted any more.
    pub(crate) fn stop(&mut self, steps: &mut Vec<impl From<Step>>) {
        for kind in [Kind::Check, Kind::Health] {
            let Some(schedule) = self.schedule(kind).filter(|schedule| schedule.running) else {
                continue;
            };
            schedule.running = false;
            steps.push(Step::Cancel(Alarm::Probe(kind)).into());
            if std::mem::take(&mut schedule.under_way) {
                steps.push(Step::Cancel(Alarm::Timeout(kind)).into());
                steps.push(Step::Abandon(kind).into());
            }
        }
    }

    /// Goes on where they were stopped: at once.
    pub(crate) fn resume(&mut self, steps: &mut Vec<impl From<Step>>) {
        for kind in [Kind::Check, Kind::Health] {
            let schedule = self.schedule(kind);
            if let Some(schedule) = schedule.filter(|schedule| !schedule.running) {
                schedule.running = true;
                steps.push(Step::Arm(Alarm::Probe(kind), Duration::ZERO).into());
            }
        }
    }

    /// A probe is due.
    pub(crate) fn due(&mut self, kind: Kind, steps: &mut Vec<impl From<Step>>) {
        let schedule = self.schedule(kind);
        let Some(schedule) = schedule.filter(|schedule| schedule.running) else {
            return;
        };
        schedule.number += 1;
        schedule.under_way = true;
        let probe = Probe {
            kind,
            number: schedule.number,
            request: schedule.request.clone(),
            timeout: schedule.timeout,
        };
        steps.push(Step::Probe(Box::new(probe)).into());
        if let Some(timeout) = schedule.timeout {
            steps.push(Step::Arm(Alarm::Timeout(kind), timeout).into());
        }
    }

    /// What a result says that was not told yet; the next probe is set, an interval from now. One
    /// that was given up says nothing.
    pub(crate) fn probed(
        &mut self,
        kind: Kind,
        number: u64,
        outcome: &Outcome,
        now: Duration,
        steps: &mut Vec<impl From<Step>>,
    ) -> Option<News> {
        if !self.takes(kind, number, steps) || *outcome == Outcome::Void {
            return None;
        }
        match kind {
            Kind::Check => self.check.as_mut()?.judge(outcome),
            Kind::Health => self.health.as_mut()?.judge(outcome, now),
        }
    }

    fn takes(&mut self, kind: Kind, number: u64, steps: &mut Vec<impl From<Step>>) -> bool {
        let Some(schedule) = self
            .schedule(kind)
            .filter(|schedule| schedule.under_way && schedule.number == number)
        else {
            return false;
        };
        schedule.under_way = false;
        if schedule.timeout.is_some() {
            steps.push(Step::Cancel(Alarm::Timeout(kind)).into());
        }
        steps.push(Step::Arm(Alarm::Probe(kind), schedule.interval).into());
        true
    }

    /// Gives up the probe that is under way; its number and what is to be said of it.
    pub(crate) fn give_up(
        &mut self,
        kind: Kind,
        steps: &mut Vec<impl From<Step>>,
    ) -> Option<(u64, Outcome)> {
        let schedule = self.schedule(kind)?;
        if !schedule.under_way {
            return None;
        }
        let timeout = schedule.timeout.unwrap_or_default().as_secs_f64();
        steps.push(Step::Abandon(kind).into());
        let problem = format!("timed out after {timeout} seconds");
        Some((schedule.number, Outcome::Failed(problem)))
    }
}

impl Check {
    fn of(info: &CheckInfo, task: &TaskInfo) -> Result<Check, String> {
        let (request, nothing) = match info.r#type() {
            check_info::Type::Command => {
                let part = info.command.as_ref();
                let part = part.ok_or("check.command: missing in a COMMAND check")?;
                (below(&part.command, task), Outcome::Ended(0))
            }
            check_info::Type::Http => {
                let part = info.http.as_ref();
                let part = part.ok_or("check.http: missing in an HTTP check")?;
                let url = url("http", Protocol::IPv4, part.port, part.path());
                (Request::Http(url), Outcome::Answered(0))
            }
            check_info::Type::Tcp => {
                let part = info.tcp.as_ref();
                let part = part.ok_or("check.tcp: missing in a TCP check")?;
                let endpoint = endpoint(Protocol::IPv4, part.port);
                (Request::Tcp(endpoint), Outcome::Connected(false))
            }
            check_info::Type::Unknown => return Err("check.type: missing".to_owned()),
        };
        let schedule = Schedule::of(
            request,
            info.delay_seconds(),
            info.interval_seconds(),
            info.timeout_seconds(),
        );
        Ok(Check {
            schedule,
            status: without_result(&nothing),
        })
    }

    fn judge(&mut self, outcome: &Outcome) -> Option<News> {
        let status = result(self.status, outcome);
        if status == self.status {
            return None;
        }
        self.status = status;
        Some(News::Check)
    }
}

impl Health {
    fn of(info: &HealthCheck, task: &TaskInfo) -> Result<Health, String> {
        let request = match info.r#type() {
            health_check::Type::Command => {
                let part = info.command.as_ref();
                let part = part.ok_or("health_check.command: missing in a COMMAND check")?;
                below(part, task)
            }
            health_check::Type::Http => {
                let part = info.http.as_ref();
                let part = part.ok_or("health_check.http: missing in an HTTP check")?;
                let scheme = part.scheme.as_deref().unwrap_or("http");
                Request::Http(url(scheme, part.protocol(), part.port, part.path()))
            }
            health_check::Type::Tcp => {
                let part = info.tcp.as_ref();
                let part = part.ok_or("health_check.tcp: missing in a TCP check")?;
                Request::Tcp(endpoint(part.protocol(), part.port))
            }
            health_check::Type::Unknown => return Err("health_check.type: missing".to_owned()),
        };
        let schedule = Schedule::of(
            request,
            info.delay_seconds(),
            info.interval_seconds(),
            info.timeout_seconds(),
        );
        Ok(Health {
            schedule,
            grace: seconds(info.grace_period_seconds()),
            most: info.consecutive_failures(),
            since: Duration::ZERO,
            succeeded: false,
            failures: 0,
            healthy: None,
            condemned: false,
        })
    }

    fn judge(&mut self, outcome: &Outcome, now: Duration) -> Option<News> {
        if is_success(outcome) {
            let news = !self.succeeded || self.failures > 0;
            self.succeeded = true;
            self.failures = 0;
            self.healthy = Some(true);
            return news.then_some(News::Health { kill: false });
        }
        let elapsed = now.saturating_sub(self.since);
        if !self.succeeded && !self.grace.is_zero() && elapsed <= self.grace {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        self.healthy = Some(false);
        self.condemned = self.failures >= self.most;
        Some(News::Health {
            kill: self.condemned,
        })
    }
}

impl Schedule {
    fn of(request: Request, delay: f64, interval: f64, timeout: f64) -> Schedule {
        Schedule {
            request,
            delay: seconds(delay),
            interval: seconds(interval),
            timeout: Some(seconds(timeout)).filter(|timeout| !timeout.is_zero()),
            number: 0,
            under_way: false,
            running: false,
        }
    }
}

/// A check's command, with the variables of the task's below its own.
fn below(command: &CommandInfo, task: &TaskInfo) -> Request {
    let of = |command: &CommandInfo| {
        let environment = command.environment.iter();
        let all = environment.flat_map(|environment| environment.variables.clone());
        all.collect::<Vec<_>>()
    };
    let mut variables = task.command.as_ref().map(of).unwrap_or_default();
    variables.extend(of(command));
    Request::Command(Box::new(CommandInfo {
        environment: Some(Environment { variables }),
        ..command.clone()
    }))
}

/// Where the host itself is reached, in the task's network.
fn endpoint(protocol: Protocol, port: u32) -> String {
    match protocol {
        Protocol::IPv4 => format!("127.0.0.1:{port}"),
        Protocol::IPv6 => format!("[::1]:{port}"),
    }
}

fn url(scheme: &str, protocol: Protocol, port: u32, path: &str) -> String {
    format!("{scheme}://{}{path}", endpoint(protocol, port))
}

/// What is no number, or below zero, is refused by the master, and no time here.
fn seconds(seconds: f64) -> Duration {
    if seconds.is_nan() || seconds <= 0.0 {
        return Duration::ZERO;
    }
    let exact = Duration::try_from_secs_f64(seconds);
    exact.unwrap_or(FOREVER).min(FOREVER)
}

/// Mesos' rule: exit status 0, an HTTP status from 200 to 399, or a connection.
fn is_success(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Ended(status) => *status == 0,
        Outcome::Answered(status) => (200..400).contains(status),
        Outcome::Connected(connected) => *connected,
        Outcome::Failed(_) | Outcome::Void => false,
    }
}

/// A status of the type of this outcome, with nothing in it.
fn without_result(outcome: &Outcome) -> CheckStatusInfo {
    let none = CheckStatusInfo::default();
    match outcome {
        Outcome::Ended(_) => CheckStatusInfo {
            r#type: Some(check_info::Type::Command as i32),
            command: Some(check_status_info::Command::default()),
            ..none
        },
        Outcome::Answered(_) => CheckStatusInfo {
            r#type: Some(check_info::Type::Http as i32),
            http: Some(check_status_info::Http::default()),
            ..none
        },
        Outcome::Connected(_) => CheckStatusInfo {
            r#type: Some(check_info::Type::Tcp as i32),
            tcp: Some(check_status_info::Tcp::default()),
            ..none
        },
        Outcome::Failed(_) | Outcome::Void => none,
    }
}

/// `former` with another result; without one where the check could not be carried out, or where a
/// command was ended by a signal and so has no exit status.
fn result(mut former: CheckStatusInfo, outcome: &Outcome) -> CheckStatusInfo {
    if let Some(command) = &mut former.command {
        command.exit_code = match outcome {
            Outcome::Ended(raw) => status::exit_code(*raw),
            _ => None,
        };
    }
    if let Some(http) = &mut former.http {
        http.status_code = match outcome {
            Outcome::Answered(status) => Some(u32::from(*status)),
            _ => None,
        };
    }
    if let Some(tcp) = &mut former.tcp {
        tcp.succeeded = match outcome {
            Outcome::Connected(connected) => Some(*connected),
            _ => None,
        };
    }
    former
}
