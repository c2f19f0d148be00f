//! Executors of frameworks' own in the simulated world: a crew runs several tasks in one
//! container, each by the script in its data, and tells their states itself.
//!
//! ```text
//!   subscribed --LAUNCH, LAUNCH_GROUP--> tasks start, run, end --(leave)--> stops
//!        |                                    |
//!        |                                    +--SHUTDOWN--> all are killed --> stops
//!        +--(hang)--> says and does nothing any more     (sleep over)--> stops at once
//! ```
//!
//! Its command says what becomes of it, in steps between `;`:
//!
//! ```text
//! crew           it is a crew; any other command is played by nobody
//! hang 30        from so many seconds on it hangs
//! leave 5        it stops once it has had nothing to do for so many seconds
//! sleep 20       it stops after so many seconds, whatever it has to do, with the status that
//! exit 3           `exit` or `kill -9 $$` says
//! ```
//!
//! Not here: the words of a task's script (`tepui_containerizer::simulated::Script`).

use std::collections::BTreeMap;
use std::time::Duration;

use tepui_containerizer::simulated::{Players, Script};
use tepui_framework::{Executor, ExecutorDriver, ExecutorOptions, spawn_executor_with};
use tepui_protocol::mesos::v1::{
    AgentInfo, ExecutorInfo, FrameworkInfo, KillPolicy, TaskId, TaskInfo, TaskState, TaskStatus,
};
use tepui_runtime::{Bytes, Time};

/// How long a task that ignores SIGTERM goes on if its kill does not say.
const GRACE: Duration = Duration::from_secs(3);

/// Plays executors whose command says that they are crews.
pub(crate) fn players() -> Players {
    Players::new(|node, text, environment| {
        let fate = Fate::parse(text)?;
        let options = ExecutorOptions::from_environment(environment);
        let played = options
            .map_err(|problem| problem.to_string())
            .and_then(|options| {
                spawn_executor_with(node, options, Crew::new(fate))
                    .map_err(|problem| problem.to_string())
            });
        Some(played)
    })
}

/// What becomes of a crew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fate {
    hangs: Option<Duration>,
    leaves: Option<Duration>,
    ends: Option<Duration>,
}

impl Fate {
    /// `None` for a command that is no crew's.
    fn parse(text: &str) -> Option<Fate> {
        let mut fate = Fate::default();
        let mut is_crew = false;
        let after = |seconds: &str| seconds.parse().ok().map(Duration::from_secs);
        for step in text.split(';') {
            match step.split_whitespace().collect::<Vec<&str>>()[..] {
                ["crew"] => is_crew = true,
                ["hang", seconds] => fate.hangs = after(seconds),
                ["leave", seconds] => fate.leaves = after(seconds),
                ["sleep", seconds] => fate.ends = after(seconds),
                _ => {}
            }
        }
        is_crew.then_some(fate)
    }
}

/// A task of a crew.
struct Member {
    script: Script,
    /// When it is up, until it is.
    begins: Option<Time>,
    ends: Time,
    killed: bool,
}

impl Member {
    /// The state with which it ends.
    fn end(&self) -> TaskState {
        match (self.killed, self.script.status) {
            (true, _) => TaskState::TaskKilled,
            (false, 0) => TaskState::TaskFinished,
            (false, _) => TaskState::TaskFailed,
        }
    }
}

/// The executor.
struct Crew {
    fate: Fate,
    /// When it first was subscribed.
    since: Option<Time>,
    members: BTreeMap<String, Member>,
    /// Since when it has nothing to do; not before it had.
    idle: Option<Time>,
    /// It was told to end.
    closing: bool,
}

impl Crew {
    fn new(fate: Fate) -> Crew {
        Crew {
            fate,
            since: None,
            members: BTreeMap::new(),
            idle: None,
            closing: false,
        }
    }

    /// Whether what was to come after so long has come.
    fn has_come(&self, after: Option<Duration>, now: Time) -> bool {
        let since = self.since.zip(after);
        since.is_some_and(|(since, after)| since + after <= now)
    }

    fn hangs(&self, now: Time) -> bool {
        self.has_come(self.fate.hangs, now)
    }

    fn end(&mut self, id: &str, driver: &mut ExecutorDriver) {
        if let Some(member) = self.members.remove(id) {
            tell(driver, id, member.end());
        }
        if self.members.is_empty() {
            self.idle = Some(driver.now());
            match self.fate.leaves {
                _ if self.closing => driver.stop(),
                Some(leaves) => driver.wake_after(leaves),
                None => {}
            }
        }
    }

    /// SIGTERM, and after the grace period SIGKILL, for a task that it has.
    fn signal(&mut self, id: &str, grace: Duration, driver: &mut ExecutorDriver) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        if !member.script.ignores_sigterm {
            member.killed = true;
            self.end(id, driver);
        } else if !std::mem::replace(&mut member.killed, true) {
            member.begins = None;
            member.ends = driver.now() + grace;
            driver.wake_after(grace);
        }
    }
}

fn tell(driver: &mut ExecutorDriver, id: &str, state: TaskState) {
    let value = id.to_owned();
    driver.update(TaskStatus {
        task_id: TaskId { value },
        state: state as i32,
        ..TaskStatus::default()
    });
}

impl Executor for Crew {
    fn subscribed(
        &mut self,
        driver: &mut ExecutorDriver,
        _: ExecutorInfo,
        _: FrameworkInfo,
        _: AgentInfo,
    ) {
        if self.since.is_none() {
            self.since = Some(driver.now());
            if let Some(ends) = self.fate.ends {
                driver.wake_after(ends);
            }
        }
    }

    fn launch(&mut self, driver: &mut ExecutorDriver, task: TaskInfo) {
        let now = driver.now();
        if self.hangs(now) {
            return;
        }
        let script = Script::parse(&String::from_utf8_lossy(task.data()));
        let begins = now + script.start;
        let member = Member {
            script,
            begins: Some(begins),
            ends: begins + script.duration,
            killed: false,
        };
        self.idle = None;
        if script.start > Duration::ZERO {
            tell(driver, &task.task_id.value, TaskState::TaskStarting);
        }
        driver.wake_after(script.start);
        self.members.insert(task.task_id.value, member);
    }

    fn kill(&mut self, driver: &mut ExecutorDriver, task_id: TaskId, policy: Option<KillPolicy>) {
        if self.hangs(driver.now()) {
            return;
        }
        let grace = policy.and_then(|policy| policy.grace_period);
        let grace = grace.and_then(|grace| u64::try_from(grace.nanoseconds).ok());
        let grace = grace.map_or(GRACE, Duration::from_nanos);
        self.signal(&task_id.value, grace, driver);
    }

    fn message(&mut self, driver: &mut ExecutorDriver, data: Bytes) {
        if !self.hangs(driver.now()) {
            driver.message(data);
        }
    }

    fn shutdown(&mut self, driver: &mut ExecutorDriver) {
        if self.hangs(driver.now()) {
            return driver.stay();
        }
        self.closing = true;
        let members: Vec<String> = self.members.keys().cloned().collect();
        for id in members {
            self.signal(&id, GRACE, driver);
        }
        if !self.members.is_empty() {
            driver.stay();
        }
    }

    fn wake(&mut self, driver: &mut ExecutorDriver) {
        let now = driver.now();
        if self.hangs(now) {
            return;
        }
        let mut over = Vec::new();
        for (id, member) in &mut self.members {
            if member.begins.is_some_and(|begins| begins <= now) {
                member.begins = None;
                tell(driver, id, TaskState::TaskRunning);
                driver.wake_after(member.script.duration);
            }
            if member.begins.is_none() && member.ends <= now {
                over.push(id.clone());
            }
        }
        for id in over {
            self.end(&id, driver);
        }
        let idle = self.idle.zip(self.fate.leaves);
        let leaves = idle.is_some_and(|(idle, after)| idle + after <= now);
        if leaves || self.has_come(self.fate.ends, now) {
            driver.stop();
        }
    }
}

#[cfg(test)]
#[path = "crew_tests.rs"]
mod tests;
