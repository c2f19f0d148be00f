//! Bugs that a test build can be told to have, so that it is known which rule finds them.

/// A bug to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlantedBug {
    /// The master drops one acknowledgement in four.
    AcknowledgementDropped,
    /// The resources of a lost task are not recovered.
    LostResourcesKept,
    /// An offer id is given again.
    OfferIdReused,
    /// An operation that is retried is applied twice.
    OperationTwice,
    /// The agent sends an update before the one ahead of it is acknowledged.
    UpdatePastUnacknowledged,
    /// The tasks of an agent that re-registers are forgotten.
    TasksForgotten,
    /// An agent that was removed is accepted under its old id.
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
}

impl PlantedBug {
    /// All of them.
    pub const ALL: [PlantedBug; 12] = [
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
    ];
}
