//! What is done on the disk before anyone is told: checkpoints, sandboxes, and folders moved aside
//! for their removal. Runs on a blocking thread.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use tepui_runtime::Disk;
use uuid::Uuid;

use super::sweep;
use crate::checkpoint::{self, Paths, Write, WriteError};
use crate::core::{Effect, Outbound, Sandbox};

/// Tasks that are named in one line for people.
const MAX_NAMED: usize = 10;

/// What became of the batches.
pub(super) struct Report {
    /// One for each batch.
    pub(super) done: Vec<Done>,
    /// Folders below which nothing may be written before what remains.
    pub(super) blocked: BTreeSet<PathBuf>,
    /// Present where folders were to be removed: why some could not be.
    pub(super) collected: Option<Vec<String>>,
}

/// What became of one batch.
#[derive(Default)]
pub(super) struct Done {
    /// Writes for which there is no room; all that hangs on the batch has to wait for them.
    pub(super) remaining: Vec<Write>,
    /// What the disk said.
    pub(super) full: Option<String>,
    /// Containers that cannot be launched, and why.
    pub(super) failed: BTreeMap<String, String>,
}

/// Whether the effect is done here.
pub(super) fn is_job(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Disk(_) | Effect::Sandbox(_) | Effect::Collect(_) | Effect::RemoveSandbox(..)
    )
}

/// Does the jobs of all batches; `name` is a name that nobody has used.
pub(super) fn run(
    disk: &dyn Disk,
    paths: &Paths,
    batches: Vec<Vec<Effect>>,
    mut blocked: BTreeSet<PathBuf>,
    name: Uuid,
) -> Result<Report, WriteError> {
    let mut done: Vec<Done> = Vec::new();
    let mut writes: Vec<Vec<Write>> = Vec::new();
    let mut sandboxes: Vec<Vec<String>> = Vec::new();
    let mut collected: Option<Vec<String>> = None;
    let mut moved = 0;
    for batch in batches {
        let mut this = Done::default();
        let mut own = Vec::new();
        let mut containers = Vec::new();
        for job in batch {
            match job {
                Effect::Disk(write) => own.push(write),
                Effect::Sandbox(sandbox) => {
                    if let Err(error) = make(disk, &sandbox) {
                        let error = format!("cannot make the sandbox: {error}");
                        this.failed.insert(sandbox.container.clone(), error);
                    }
                    containers.push(sandbox.container);
                }
                Effect::Collect(folders) => {
                    let failed = collected.get_or_insert_default();
                    for folder in folders {
                        moved += 1;
                        let aside = paths.removed().join(format!("{name}-{moved}"));
                        if let Err(why) = sweep::move_aside(disk, paths, &folder, &aside) {
                            failed.push(why);
                        }
                    }
                }
                Effect::RemoveSandbox(root, path) => {
                    let failed = collected.get_or_insert_default();
                    moved += 1;
                    let aside = paths.removed().join(format!("{name}-{moved}"));
                    if let Err(why) = sweep::move_nested(disk, paths, &root, &path, &aside) {
                        failed.push(why);
                    }
                }
                _ => {}
            }
        }
        done.push(this);
        writes.push(own);
        sandboxes.push(containers);
    }
    let outcomes = checkpoint::write(disk, writes, &mut blocked)?;
    for ((done, outcome), containers) in done.iter_mut().zip(outcomes).zip(sandboxes) {
        if !outcome.remaining.is_empty() {
            // What cannot be checkpointed is not launched.
            let why = outcome.full.as_deref();
            let why = why.unwrap_or("the disk is full, and earlier checkpoints wait for room");
            for container in containers {
                done.failed.entry(container).or_insert(why.to_owned());
            }
        }
        done.remaining = outcome.remaining;
        done.full = outcome.full;
    }
    Ok(Report {
        done,
        blocked,
        collected,
    })
}

/// The tasks whose updates these effects tell, for people; the first of them by name.
pub(super) fn told_by<'a>(effects: impl Iterator<Item = &'a Effect>) -> String {
    let tasks: BTreeSet<&str> = effects
        .filter_map(|effect| match effect {
            Effect::Send(_, Outbound::Status(message)) => {
                Some(message.update.status.task_id.value.as_str())
            }
            Effect::Send(_, Outbound::Event(event)) => {
                let acknowledged = event.acknowledged.as_ref()?;
                Some(acknowledged.task_id.value.as_str())
            }
            _ => None,
        })
        .collect();
    let named: Vec<&str> = tasks.iter().take(MAX_NAMED).copied().collect();
    match tasks.len() {
        0 => "no status update".to_owned(),
        count if count > MAX_NAMED => {
            format!(
                "updates of {} and {} more",
                named.join(", "),
                count - MAX_NAMED
            )
        }
        _ => format!("updates of {}", named.join(", ")),
    }
}

fn make(disk: &dyn Disk, sandbox: &Sandbox) -> io::Result<()> {
    // Unsynced: with the host its containers are gone, and nobody looks for their sandboxes.
    let owner = sandbox.owner.as_deref();
    if let Some(root) = &sandbox.within {
        let below = sandbox.directory.strip_prefix(root);
        let below = below.map_err(|_| io::Error::other("it is not below that of its executor"))?;
        return disk.create_dir_beneath(root, below, owner);
    }
    disk.create_dir_all_unsynced(&sandbox.directory)?;
    if let Some(owner) = owner {
        disk.own(&sandbox.directory, owner)?;
    }
    match &sandbox.latest {
        Some(latest) => disk.symlink_unsynced(&sandbox.directory, latest),
        None => Ok(()),
    }
}
