//! What is left of executors and frameworks that ended, and when it is removed.
//!
//! A folder is removed `gc_delay` after its end, earlier where the disk is full: each
//! `disk_watch_interval` what is older than `gc_delay * max(0, 1 - headroom - usage)` goes. Its
//! last change tells its age, so that a restarted agent carries on. What is used again is kept.
//!
//! Not here: the removal (the process), and which folders there are ([`Folder`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tepui_runtime::Time;

use super::{Core, Effect, Note, Timer};
use crate::checkpoint::{Folder, Write};

/// Folders that wait for their removal at one time. Mesos keeps any number; here the oldest go
/// when there are more, so that a flood of short tasks does not fill the agent's memory.
const MAX_SCHEDULED: usize = 100_000;

/// Folders and the instants at which they are to be removed.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    due: BTreeMap<Folder, Time>,
    order: BTreeSet<(Time, Folder)>,
    /// The instant for which a timer is set.
    armed: Option<Time>,
    /// Age up to which folders are kept on the disk as it is; `None` until it was looked at.
    max_age: Option<Duration>,
}

impl Schedule {
    /// Replaces the instant of a folder that is scheduled already.
    fn insert(&mut self, folder: Folder, at: Time) {
        self.remove(&folder);
        self.order.insert((at, folder.clone()));
        self.due.insert(folder, at);
    }

    fn remove(&mut self, folder: &Folder) {
        if let Some(at) = self.due.remove(folder) {
            self.order.remove(&(at, folder.clone()));
        }
    }

    fn first(&self) -> Option<Time> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes out what is due by `until`, and the oldest of what is too much.
    fn take(&mut self, until: Time) -> Vec<Folder> {
        let mut taken = Vec::new();
        while let Some((at, folder)) = self.order.first().cloned() {
            if at > until && self.due.len() <= MAX_SCHEDULED {
                break;
            }
            self.remove(&folder);
            taken.push(folder);
        }
        taken
    }
}

impl Core {
    /// Folders that wait for their removal.
    #[must_use]
    pub fn scheduled_removals(&self) -> usize {
        self.schedule.due.len()
    }

    /// How old sandboxes may get on the disk as it is.
    #[must_use]
    pub fn max_sandbox_age(&self) -> Duration {
        self.schedule.max_age.unwrap_or(self.options.gc_delay)
    }

    /// What of an earlier agent nobody uses is scheduled by its age, and the disk is watched.
    pub(super) fn watch_sandboxes(&mut self, folders: Vec<(Folder, Time)>) {
        for (folder, changed) in folders {
            if !self.is_used(&folder) {
                self.schedule
                    .insert(folder, changed + self.options.gc_delay);
            }
        }
        // What an earlier agent had begun to remove goes.
        self.effect(Effect::Collect(Vec::new()));
        self.arm();
        self.watch_disk();
    }

    fn is_used(&self, folder: &Folder) -> bool {
        let used = || {
            if folder.agent != self.agent_id() {
                return Some(false);
            }
            let Some(framework) = &folder.framework else {
                return Some(true);
            };
            let framework = self.frameworks.get(framework)?;
            let Some(executor) = &folder.executor else {
                return Some(true);
            };
            let executor = framework.executors.get(executor)?;
            let run = folder.container.as_ref();
            Some(run.is_none_or(|container| *container == executor.container))
        };
        used().unwrap_or(false)
    }

    /// The folder is not used any more, as of now.
    pub(super) fn ended(&mut self, folder: Folder) {
        let path = self.paths.sandbox_folder(&folder);
        self.effect(Effect::Disk(Write::Touch { path }));
        self.schedule
            .insert(folder, self.now + self.options.gc_delay);
        if self.schedule.due.len() > MAX_SCHEDULED {
            self.collect(self.now);
        }
        self.arm();
    }

    /// An executor is about to be launched: its folder and its framework's are used again.
    pub(super) fn keep(&mut self, framework: &str, executor: &str) {
        let agent = self.agent_id().to_owned();
        self.schedule.remove(&Folder::framework(&agent, framework));
        let folder = Folder::executor(&agent, framework, executor);
        self.schedule.remove(&folder);
    }

    /// Sets a timer for the next removal, unless one is set that is not later.
    fn arm(&mut self) {
        let Some(first) = self.schedule.first() else {
            return;
        };
        if self.schedule.armed.is_none_or(|armed| first < armed) {
            self.schedule.armed = Some(first);
            self.timer_after(first - self.now, Timer::Collect(first));
        }
    }

    pub(super) fn collect_due(&mut self, at: Time) {
        if self.schedule.armed == Some(at) {
            self.schedule.armed = None;
            self.collect(self.now);
            self.arm();
        }
    }

    /// The disk is looked at, now and again and again.
    pub(super) fn watch_disk(&mut self) {
        self.effect(Effect::MeasureDisk);
        self.timer_after(self.options.disk_watch_interval, Timer::DiskWatch);
    }

    /// Nothing can be written: whatever may be removed has to go.
    pub(super) fn disk_full(&mut self) {
        self.effect(Effect::MeasureDisk);
    }

    /// So much of the disk is used, 0 to 1.
    pub(super) fn disk_measured(&mut self, usage: Result<f64, String>) {
        let usage = match usage {
            Ok(usage) => usage,
            Err(error) => {
                let work_dir = self.options.work_dir.display();
                let text = format!("cannot tell how full the disk of '{work_dir}' is: {error}");
                self.note(Note::Info(text));
                return;
            }
        };
        let delay = self.options.gc_delay;
        let share = (1.0 - self.options.gc_disk_headroom - usage).max(0.0);
        let max_age = delay.mul_f64(share.min(1.0));
        self.schedule.max_age = Some(max_age);
        let found = self.collect(self.now + (delay - max_age));
        if found > 0 {
            let percent = usage * 100.0;
            self.note(Note::Info(format!(
                "{percent:.1}% of the disk are used: {found} folders older than {} are removed",
                super::environment::duration_text(max_age)
            )));
        }
        self.arm();
    }

    fn collect(&mut self, until: Time) -> usize {
        let folders = self.schedule.take(until);
        if !folders.is_empty() {
            let paths = folders.iter().flat_map(|folder| self.paths.folders(folder));
            self.effects.push(Effect::Collect(paths.collect()));
        }
        folders.len()
    }
}
