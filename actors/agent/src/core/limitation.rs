//! A limit that a container has exceeded, and what it explains: the kernel kills what exceeds its
//! memory, and an executor that sees its task die by signal 9 cannot know why. The containerizer
//! does, so its word counts.

use tepui_protocol::mesos::v1::{Resource, TaskResourceLimitation, TaskState, TaskStatus};
use tepui_protocol::tepui::containerizer::{Terminated, Updated};

/// What was exceeded.
pub(super) struct Exceeded {
    state: Option<i32>,
    reason: i32,
    message: Option<String>,
    resources: Vec<Resource>,
}

impl Exceeded {
    /// What the answer to a change of limits tells.
    pub(super) fn of_update(updated: &Updated) -> Option<Exceeded> {
        Some(Exceeded {
            state: updated.state,
            reason: updated.reason?,
            message: updated.message.clone(),
            resources: updated.limited_resources.clone(),
        })
    }

    /// What the end of a container tells.
    pub(super) fn of_end(terminated: &Terminated) -> Option<Exceeded> {
        if terminated.limited_resources.is_empty() {
            return None;
        }
        Some(Exceeded {
            state: terminated.state,
            reason: terminated.reason?,
            message: terminated.message.clone(),
            resources: terminated.limited_resources.clone(),
        })
    }

    /// Puts the cause in place of what the executor says, if it says that the task failed.
    pub(super) fn explain(&self, status: &mut TaskStatus) {
        if status.state() != TaskState::TaskFailed {
            return;
        }
        status.state = self.state.unwrap_or(status.state);
        status.reason = Some(self.reason);
        status.message.clone_from(&self.message);
        status.limitation = limitation(&self.resources);
    }
}

/// As a status carries it; absent where no resource is named.
pub(super) fn limitation(resources: &[Resource]) -> Option<TaskResourceLimitation> {
    (!resources.is_empty()).then(|| TaskResourceLimitation {
        resources: resources.to_vec(),
    })
}
