//! Bugs that a test build can be told to have, so that it is known which rule finds them.
//!
//! Their places ask [`Planted::has`], which is `false` at compile time in every build without the
//! feature `planted-bugs`: a daemon cannot have a bug by its options. Not here: the places.

/// A bug to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlantedBug {
    /// The master drops the acknowledgements of one update in four.
    AcknowledgementDropped,
    /// The resources of a lost task are not recovered.
    LostResourcesKept,
    /// An offer id is given again.
    OfferIdReused,
    /// An ACCEPT that a framework sends again is applied again.
    OperationTwice,
    /// The agent sends an update before the one ahead of it is acknowledged.
    UpdatePastUnacknowledged,
    /// The tasks of an agent that re-registers are forgotten.
    TasksForgotten,
    /// An agent that was marked gone comes back under its old id, and is accepted.
    StaleAgentAccepted,
    /// A filter outlives its time.
    FilterOutlives,
    /// An offer is honored after it was rescinded.
    RescindedHonored,
    /// The failover timer of a framework that came back is not cancelled.
    FailoverTimerKept,
    /// An executor's update is acknowledged before its checkpoint is synced.
    AcknowledgedUnsynced,
    /// A kill reaches another framework's task of the same id.
    KillReachesAnother,
    /// The allocator serves roles in the order of their names, whatever they have.
    SharesIgnored,
    /// The agent does not tell its containerizer when a container's tasks become more or fewer.
    LimitsKept,
    /// The default executor leaves the others of a group alone when one of it fails or is killed.
    GroupGoesOn,
}

impl PlantedBug {
    /// All of them.
    pub const ALL: [PlantedBug; 15] = [
        PlantedBug::AcknowledgementDropped,
        PlantedBug::LostResourcesKept,
        PlantedBug::OfferIdReused,
        PlantedBug::OperationTwice,
        PlantedBug::UpdatePastUnacknowledged,
        PlantedBug::TasksForgotten,
        PlantedBug::StaleAgentAccepted,
        PlantedBug::FilterOutlives,
        PlantedBug::RescindedHonored,
        PlantedBug::FailoverTimerKept,
        PlantedBug::AcknowledgedUnsynced,
        PlantedBug::KillReachesAnother,
        PlantedBug::SharesIgnored,
        PlantedBug::LimitsKept,
        PlantedBug::GroupGoesOn,
    ];
}

/// Which bug to have: none, and without the feature `planted-bugs` there is nothing else to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    #[cfg(feature = "planted-bugs")]
    bug: Option<PlantedBug>,
}

impl Planted {
    /// No bug but those that nobody knows of.
    pub const NONE: Planted = Planted {
        #[cfg(feature = "planted-bugs")]
        bug: None,
    };

    /// One bug.
    #[cfg(feature = "planted-bugs")]
    #[must_use]
    pub const fn bug(bug: PlantedBug) -> Planted {
        Planted { bug: Some(bug) }
    }

    /// Whether this bug is to be had.
    #[cfg(feature = "planted-bugs")]
    #[must_use]
    pub fn has(self, bug: PlantedBug) -> bool {
        self.bug == Some(bug)
    }

    /// Whether this bug is to be had: never.
    #[cfg(not(feature = "planted-bugs"))]
    #[inline(always)]
    #[must_use]
    pub const fn has(self, _: PlantedBug) -> bool {
        false
    }
}
