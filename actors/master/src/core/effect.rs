//! What the master's core asks for. The process carries it out in this order.
//! Not here: how (`process.rs`).

use std::time::Duration;

use tepui_allocator::PauseResources;
use tepui_protocol::mesos::internal::{
    AgentRegistered, AgentReregistered, FrameworkToExecutor, KillTask, PingAgent, RunTask,
    RunTaskGroup, Shutdown, ShutdownExecutor, ShutdownFramework, StatusUpdateAcknowledgement,
    UpdateFramework,
};
use tepui_protocol::mesos::v1::scheduler::Event;
use tepui_protocol::tepui::allocator as to_allocator;
use tepui_protocol::tepui::operator::Operated;
use tepui_protocol::tepui::registrar::Operation;
use tepui_runtime::Pid;

use super::input::{Pending, Timer};

/// Something to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send an event to a scheduler.
    Event(Pid, Box<Event>),
    /// Send a message to an agent.
    Agent(Pid, Box<ToAgent>),
    /// Tell the allocator.
    Allocator(Box<ToAllocator>),
    /// Answer who asked for an operator.
    Answer(Pid, Operated),
    /// Have the registry changed, and come back with the answer.
    Registrar(Box<Operation>, Pending),
    /// Watch a process.
    Link(Pid),
    /// Come back after a while.
    Arm(Timer, Duration),
    /// Never mind.
    Cancel(Timer),
    /// Add one to a counter.
    Count(Counter),
    /// Set a gauge.
    Gauge(String, f64),
    /// Show all metrics of a framework, from now on and until they are forgotten.
    Show {
        /// The framework's id.
        framework: String,
        /// How its keys start.
        prefix: String,
    },
    /// Forget a metric; or, if this ends in `/`, those whose keys start so.
    Forget(String),
    /// Say a line.
    Log(Level, String),
    /// Stop being a master: the registry cannot be trusted any more.
    Abort(String),
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A change of a framework, agent, task or offer.
    Info,
    /// Something was refused or dropped.
    Warn,
}

/// A counter: a key of the metrics as it is, or one that is made of parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counter {
    /// The key itself.
    Key(&'static str),
    /// A key with a state, a source and a reason, or a framework in it; and how much is added.
    Made(String, u64),
}

/// What agents are told.
#[derive(Clone, Debug)]
#[expect(
    missing_docs,
    reason = "each variant is the message of its name in mesos.internal"
)]
pub enum ToAgent {
    Registered(AgentRegistered),
    Reregistered(AgentReregistered),
    Ping(PingAgent),
    Run(RunTask),
    Kill(KillTask),
    Acknowledge(StatusUpdateAcknowledgement),
    Message(FrameworkToExecutor),
    ShutdownExecutor(ShutdownExecutor),
    ShutdownFramework(ShutdownFramework),
    UpdateFramework(UpdateFramework),
    Shutdown(Shutdown),
    RunGroup(RunTaskGroup),
}

/// What the allocator is told.
#[derive(Clone, Debug)]
#[expect(
    missing_docs,
    reason = "each variant is the message of its name in tepui.allocator, or of the crate of the allocator"
)]
pub enum ToAllocator {
    AddFramework(to_allocator::AddFramework),
    UpdateFramework(to_allocator::UpdateFramework),
    RemoveFramework(to_allocator::RemoveFramework),
    ActivateFramework(to_allocator::ActivateFramework),
    DeactivateFramework(to_allocator::DeactivateFramework),
    AddAgent(to_allocator::AddAgent),
    UpdateAgent(to_allocator::UpdateAgent),
    RemoveAgent(to_allocator::RemoveAgent),
    ActivateAgent(to_allocator::ActivateAgent),
    DeactivateAgent(to_allocator::DeactivateAgent),
    Recover(to_allocator::RecoverResources),
    Pause(PauseResources),
    AddUse(to_allocator::AddUse),
    Suppress(to_allocator::SuppressOffers),
    Revive(to_allocator::ReviveOffers),
    UpdateWeights(to_allocator::UpdateWeights),
}
