//! What the master says when an agent pauses for a framework.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tepui_protocol::tepui::allocator::RecoverResources;
use tepui_runtime::serde_message;

/// What a framework no longer holds of an agent that pauses for it. As `RecoverResources`, but it
/// is kept from that framework for a while, though that has refused nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PauseResources {
    /// Whose, and how much. Its filters do not count.
    pub resources: RecoverResources,
    /// For how long.
    pub pause: Duration,
}

serde_message!(PauseResources, "tepui.allocator.PauseResources");
