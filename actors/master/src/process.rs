//! The process `master`: takes messages, feeds the core, publishes a snapshot of whatever changed,
//! and carries the effects out in their order.
//! What happens, and why, is in `core`; here is only how it travels.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tepui_protocol::mesos::internal::{
    ExecutorToFramework, ExitedExecutor, PongAgent, RegisterAgent, ReregisterAgent,
    StatusUpdateMessage, UnregisterAgent, UpdateAgent,
};
use tepui_protocol::mesos::v1::scheduler::Call;
use tepui_protocol::mesos::v1::{self, MasterInfo, master_info};
use tepui_protocol::tepui::allocator::{Allocations, Explain};
use tepui_protocol::tepui::operator::{Operate, Operated};
use tepui_protocol::tepui::registrar::{Applied, Apply, Operation, Recover, Recovered};
use tepui_runtime::{
    Address, AskError, Context, Counter, Declaration, Handle, Id, Message, Node, Pid, Process,
    ProcessRef, SpawnError, Timer as RuntimeTimer,
};

use crate::core::{
    self, Effect, FromAgent, Input, Level, MasterCore, Pending, Timer, ToAgent, ToAllocator,
};
use crate::metrics;
use crate::options::{MasterOptions, RegistryKind};
use crate::published::Published;
use crate::registrar::{InMemory, Limits, Registrar, Storage};
use crate::snapshot::Snapshot;

/// The id of the master's process.
pub const MASTER_ID: &str = "master";

/// The version of Mesos that this master is compatible with.
pub const MESOS_VERSION: &str = "1.12.0";

/// Why a master did not start.
#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    /// One of its processes could not be started.
    #[error("cannot start process '{process}': {source}")]
    Spawn {
        /// Which.
        process: &'static str,
        /// Why.
        source: SpawnError,
    },
}

/// A running master.
#[derive(Clone, Debug)]
pub struct Master {
    process: ProcessRef<MasterProcess>,
    published: Arc<Published>,
}

impl Master {
    /// The PID of the process `master`.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        self.process.pid()
    }

    /// What the master knows, from one consistent instant. Never waits for the master.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load()
    }

    /// Gives the master an UPDATE_FRAMEWORK call of the process `from`, behind what that sent
    /// before, and has `asker` answered with an [`Operated`]: once it is in the snapshot, or why it
    /// is not done, in the words of Mesos' answers.
    pub fn update_framework(&self, from: Pid, call: Call, asker: Pid) {
        self.process.dispatch(move |master, ctx| {
            let (status, problem) = match master.core.judge_update(&from, &call) {
                Ok(()) => (200, None),
                Err((status, problem)) => (status, Some(problem)),
            };
            master.serve(Input::Call(from, call), ctx);
            ctx.send(&asker, Operated { status, problem });
        });
    }

    /// Where the snapshots are published, for who reads often.
    #[must_use]
    pub fn published(&self) -> &Arc<Published> {
        &self.published
    }
}

/// Starts a master on a node: its process `master`, an allocator and a registrar. It leads at
/// once, and answers as soon as it has read its registry.
///
/// # Errors
/// [`MasterError::Spawn`]: the node has a master already, or is shut down.
pub fn spawn(node: &Node, options: MasterOptions) -> Result<Master, MasterError> {
    let pid = node.pid_of(MASTER_ID);
    let info = master_info(node, &options);
    let core = MasterCore::new(options.clone(), info.clone(), node.clock().now());
    let published = Arc::new(Published::new(core.snapshot()));
    let process = MasterProcess {
        core,
        info,
        published: Arc::clone(&published),
        // Until they are spawned; the master listens to nobody before that.
        allocator: Pid::nobody(),
        registrar: Pid::nobody(),
        patience: (options.registry_fetch_timeout + options.registry_store_timeout) * 2,
        options,
        timers: BTreeMap::new(),
        counters: BTreeMap::new(),
    };
    let process = node
        .spawn(Id::chosen(MASTER_ID), process)
        .map_err(|source| MasterError::Spawn {
            process: MASTER_ID,
            source,
        })?;
    metrics::publish(node, &pid, &published);
    Ok(Master { process, published })
}

/// Who the master is: Mesos' MasterInfo of a master that was just elected.
fn master_info(node: &Node, options: &MasterOptions) -> MasterInfo {
    let Address { ip, port } = node.address();
    let hostname = options.hostname.clone().unwrap_or_else(|| ip.to_string());
    let capability = |kind: master_info::capability::Type| master_info::Capability {
        r#type: Some(kind as i32),
    };
    MasterInfo {
        id: node.random().uuid().to_string(),
        ip: raw_ip(ip),
        port: u32::from(port),
        pid: Some(node.pid_of(MASTER_ID).to_string()),
        hostname: Some(hostname.clone()),
        version: Some(MESOS_VERSION.to_owned()),
        address: Some(v1::Address {
            hostname: Some(hostname),
            ip: Some(ip.to_string()),
            port: i32::from(port),
        }),
        domain: options.domain.clone(),
        // What whoever reads it may rely on: agents may come back with a changed AgentInfo. Those
        // that Mesos 1.12 names beside it, AGENT_DRAINING and QUOTA_V2, stand for calls that this
        // master does not take.
        capabilities: vec![capability(master_info::capability::Type::AgentUpdate)],
    }
}

/// Mesos writes the four bytes of `in_addr.s_addr` as they lie in memory; there is no such number
/// for IPv6.
fn raw_ip(ip: IpAddr) -> u32 {
    match ip {
        IpAddr::V4(ip) => u32::from_le_bytes(ip.octets()),
        IpAddr::V6(_) => 0,
    }
}

struct MasterProcess {
    core: MasterCore,
    options: MasterOptions,
    info: MasterInfo,
    published: Arc<Published>,
    allocator: Pid,
    registrar: Pid,
    /// How long an answer of the registrar may take; it has limits of its own, so that this
    /// passes only if the registrar is gone.
    patience: std::time::Duration,
    timers: BTreeMap<Timer, RuntimeTimer>,
    counters: BTreeMap<&'static str, Counter>,
}

impl MasterProcess {
    /// Starts the allocator and the registrar, which end with the master, as it does with them.
    fn spawn_helpers(&mut self, ctx: &Context<'_, Self>) -> Result<(), SpawnError> {
        let mut allocator = self.options.allocator.clone();
        let domain = self
            .options
            .domain
            .as_ref()
            .and_then(|domain| domain.fault_domain.as_ref());
        allocator.decisions.region = domain.map(|domain| domain.region.name.clone());
        let allocator = tepui_allocator::spawn(ctx.node(), allocator, ctx.pid().clone())?;
        let storage: Arc<dyn Storage> = match self.options.registry {
            RegistryKind::InMemory => Arc::new(InMemory::default()),
        };
        let limits = Limits {
            fetch: self.options.registry_fetch_timeout,
            store: self.options.registry_store_timeout,
        };
        let registrar = ctx.spawn(Id::prefix("registrar"), Registrar::new(storage, limits))?;
        self.allocator = allocator.pid().clone();
        self.registrar = registrar.pid().clone();
        ctx.link(&self.allocator);
        ctx.link(&self.registrar);
        Ok(())
    }

    fn serve(&mut self, input: Input, ctx: &mut Context<'_, Self>) {
        let effects = self.core.handle(input, ctx.now());
        // First, so that who is told of a change finds it in the snapshot.
        if self.core.take_changed() {
            self.published.store(self.core.snapshot());
        }
        for effect in effects {
            self.carry_out(effect, ctx);
        }
    }

    fn carry_out(&mut self, effect: Effect, ctx: &mut Context<'_, Self>) {
        match effect {
            Effect::Event(to, event) => ctx.send(&to, *event),
            Effect::Agent(to, message) => send_agent(&to, *message, ctx),
            Effect::Answer(to, answer) => ctx.send(&to, answer),
            Effect::Allocator(message) => send_allocator(&self.allocator, *message, ctx),
            Effect::Registrar(operation, pending) => self.ask_registrar(*operation, pending, ctx),
            Effect::Link(pid) => ctx.link(&pid),
            Effect::Arm(timer, after) => self.arm(timer, after, ctx),
            Effect::Cancel(timer) => {
                if let Some(armed) = self.timers.remove(&timer) {
                    ctx.cancel(armed);
                }
            }
            Effect::Count(core::Counter::Key(key)) => {
                let metrics = ctx.metrics();
                self.counters
                    .entry(key)
                    .or_insert_with(|| metrics.counter(key))
                    .increment(1);
            }
            Effect::Count(core::Counter::Made(key, by)) => {
                ctx.metrics().counter(&key).increment(by);
            }
            Effect::Gauge(key, value) => ctx.metrics().gauge(&key, value),
            Effect::Show { framework, prefix } => {
                metrics::show_framework(ctx.metrics(), &self.published, &framework, &prefix);
            }
            Effect::Forget(prefix) => ctx.metrics().remove(&prefix),
            Effect::Log(Level::Info, line) => tracing::info!("{line}"),
            Effect::Log(Level::Warn, line) => tracing::warn!("{line}"),
            Effect::Abort(problem) => {
                tracing::error!(master = %ctx.pid(), "master aborting: {problem}");
                ctx.terminate();
            }
        }
    }

    fn arm(&mut self, timer: Timer, after: std::time::Duration, ctx: &mut Context<'_, Self>) {
        let key = timer.clone();
        let armed = ctx.delay(after, move |master, ctx| {
            master.timers.remove(&key);
            master.serve(Input::Timer(key), ctx);
        });
        if let Some(before) = self.timers.insert(timer, armed) {
            ctx.cancel(before);
        }
    }

    fn ask_registrar(
        &mut self,
        operation: Operation,
        pending: Pending,
        ctx: &mut Context<'_, Self>,
    ) {
        let question = Apply { operation };
        ctx.ask(
            &self.registrar,
            question,
            self.patience,
            move |master, answer: Result<Applied, AskError>, ctx| {
                let answer = match answer {
                    Ok(Applied {
                        error: Some(problem),
                        ..
                    }) => Err(problem),
                    Ok(applied) => Ok(applied.mutated()),
                    Err(problem) => Err(problem.to_string()),
                };
                master.serve(Input::Applied(pending, answer), ctx);
            },
        );
    }

    fn recover(&mut self, ctx: &mut Context<'_, Self>) {
        let question = Recover {
            master_info: self.info.clone(),
        };
        ctx.ask(
            &self.registrar,
            question,
            self.patience,
            |master, answer: Result<Recovered, AskError>, ctx| {
                let answer = match answer {
                    Ok(Recovered {
                        error: Some(problem),
                        ..
                    }) => Err(problem),
                    Ok(recovered) => Ok(recovered.registry.unwrap_or_default()),
                    Err(problem) => Err(problem.to_string()),
                };
                master.serve(Input::Recovered(answer), ctx);
                if master.core.is_recovered() {
                    // Not before: until now it answered nobody.
                    tracing::info!(pid = %ctx.pid(), id = master.info.id, "the master is up");
                }
            },
        );
    }

    fn serve_agent(&mut self, message: FromAgent, ctx: &mut Context<'_, Self>) {
        let from = ctx.sender().clone();
        self.serve(Input::Agent(from, message), ctx);
    }
}

fn send_agent(to: &Pid, message: ToAgent, ctx: &Context<'_, MasterProcess>) {
    match message {
        ToAgent::Registered(message) => ctx.send(to, message),
        ToAgent::Reregistered(message) => ctx.send(to, message),
        ToAgent::Ping(message) => ctx.send(to, message),
        ToAgent::Run(message) => ctx.send(to, message),
        ToAgent::Kill(message) => ctx.send(to, message),
        ToAgent::Acknowledge(message) => ctx.send(to, message),
        ToAgent::Message(message) => ctx.send(to, message),
        ToAgent::ShutdownExecutor(message) => ctx.send(to, message),
        ToAgent::ShutdownFramework(message) => ctx.send(to, message),
        ToAgent::UpdateFramework(message) => ctx.send(to, message),
        ToAgent::Shutdown(message) => ctx.send(to, message),
        ToAgent::RunGroup(message) => ctx.send(to, message),
    }
}

fn send_allocator(to: &Pid, message: ToAllocator, ctx: &Context<'_, MasterProcess>) {
    match message {
        ToAllocator::AddFramework(message) => ctx.send(to, message),
        ToAllocator::UpdateFramework(message) => ctx.send(to, message),
        ToAllocator::RemoveFramework(message) => ctx.send(to, message),
        ToAllocator::ActivateFramework(message) => ctx.send(to, message),
        ToAllocator::DeactivateFramework(message) => ctx.send(to, message),
        ToAllocator::AddAgent(message) => ctx.send(to, message),
        ToAllocator::UpdateAgent(message) => ctx.send(to, message),
        ToAllocator::RemoveAgent(message) => ctx.send(to, message),
        ToAllocator::ActivateAgent(message) => ctx.send(to, message),
        ToAllocator::DeactivateAgent(message) => ctx.send(to, message),
        ToAllocator::Recover(message) => ctx.send(to, message),
        ToAllocator::Pause(message) => ctx.send(to, message),
        ToAllocator::AddUse(message) => ctx.send(to, message),
        ToAllocator::Suppress(message) => ctx.send(to, message),
        ToAllocator::Revive(message) => ctx.send(to, message),
        ToAllocator::UpdateWeights(message) => ctx.send(to, message),
    }
}

impl Process for MasterProcess {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration
            .message::<Call>()
            .message::<RegisterAgent>()
            .message::<ReregisterAgent>()
            .message::<UnregisterAgent>()
            .message::<UpdateAgent>()
            .message::<PongAgent>()
            .message::<StatusUpdateMessage>()
            .message::<ExitedExecutor>()
            .message::<ExecutorToFramework>()
            .inward::<Operate>()
            .inward::<Explain>()
            .inward::<Allocations>();
    }

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        tracing::info!(
            id = self.info.id,
            "master {} at {} leads",
            self.info.hostname(),
            ctx.pid()
        );
        match self.spawn_helpers(ctx) {
            Ok(()) => self.recover(ctx),
            Err(problem) => {
                tracing::error!(master = %ctx.pid(), "master aborting: {problem}");
                ctx.terminate();
            }
        }
    }

    fn exited(&mut self, pid: &Pid, ctx: &mut Context<'_, Self>) {
        if *pid == self.allocator || *pid == self.registrar {
            tracing::error!(master = %ctx.pid(), "master aborting: {pid} ended");
            return ctx.terminate();
        }
        self.serve(Input::Exited(pid.clone()), ctx);
    }

    fn finalize(&mut self, ctx: &mut Context<'_, Self>) {
        for helper in [&self.allocator, &self.registrar] {
            ctx.node()
                .terminate(helper, tepui_runtime::Terminate::Queued);
        }
    }
}

impl Handle<Call> for MasterProcess {
    fn handle(&mut self, call: Call, ctx: &mut Context<'_, Self>) {
        let from = ctx.sender().clone();
        self.serve(Input::Call(from, call), ctx);
    }
}

impl Handle<Allocations> for MasterProcess {
    fn handle(&mut self, message: Allocations, ctx: &mut Context<'_, Self>) {
        if *ctx.sender() != self.allocator {
            let name = Allocations::NAME;
            return tracing::warn!(from = %ctx.sender(), "{name} not from the allocator, dropped");
        }
        self.serve(Input::Allocations(message.allocations), ctx);
    }
}

/// The allocator answers whoever asks.
impl Handle<Explain> for MasterProcess {
    fn handle(&mut self, question: Explain, ctx: &mut Context<'_, Self>) {
        ctx.node().send(ctx.sender(), &self.allocator, question);
    }
}

impl Handle<Operate> for MasterProcess {
    fn handle(&mut self, message: Operate, ctx: &mut Context<'_, Self>) {
        let asker = ctx.sender().clone();
        self.serve(Input::Operator(asker, message.call), ctx);
    }
}

impl Handle<RegisterAgent> for MasterProcess {
    fn handle(&mut self, message: RegisterAgent, ctx: &mut Context<'_, Self>) {
        self.serve_agent(FromAgent::Register(message), ctx);
    }
}

impl Handle<ReregisterAgent> for MasterProcess {
    fn handle(&mut self, message: ReregisterAgent, ctx: &mut Context<'_, Self>) {
        self.serve_agent(FromAgent::Reregister(message), ctx);
    }
}

impl Handle<UnregisterAgent> for MasterProcess {
    fn handle(&mut self, message: UnregisterAgent, ctx: &mut Context<'_, Self>) {
        self.serve_agent(FromAgent::Unregister(message), ctx);
    }
}

impl Handle<UpdateAgent> for MasterProcess {
    fn handle(&mut self, message: UpdateAgent, ctx: &mut Context<'_, Self>) {
        self.serve_agent(FromAgent::Update(message), ctx);
    }
}

impl Handle<PongAgent> for MasterProcess {
    fn handle(&mut self, _message: PongAgent, ctx: &mut Context<'_, Self>) {
        self.serve_agent(FromAgent::Pong, ctx);
    }
}

impl Handle<StatusUpdateMessage> for MasterProcess {
    fn handle(&mut self, message: StatusUpdateMessage, ctx: &mut Context<'_, Self>) {
        self.serve_agent(FromAgent::Status(message), ctx);
    }
}

impl Handle<ExitedExecutor> for MasterProcess {
    fn handle(&mut self, message: ExitedExecutor, ctx: &mut Context<'_, Self>) {
        self.serve_agent(FromAgent::ExitedExecutor(message), ctx);
    }
}

impl Handle<ExecutorToFramework> for MasterProcess {
    fn handle(&mut self, message: ExecutorToFramework, ctx: &mut Context<'_, Self>) {
        self.serve_agent(FromAgent::ToFramework(message), ctx);
    }
}

#[cfg(test)]
mod tests;
