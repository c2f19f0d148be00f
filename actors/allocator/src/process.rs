//! The allocator as a process: messages of its master in, `Allocations` out.
//!
//! It decides nothing itself. After each message it asks the core when a run is wanted, and lets
//! the runtime call it then.
//!
//! ```text
//! message ----> core changes ----> due() is earlier? ----> timer set anew
//!                                                              |
//! Allocations <---- run <--------------------------------------'
//! ```

use std::collections::{BTreeMap, BTreeSet};

use tepui_protocol::mesos::v1::{AgentId, FrameworkId};
use tepui_protocol::tepui::allocator::{
    ActivateAgent, ActivateFramework, AddAgent, AddFramework, AddUse, Allocation, Allocations,
    Book, DeactivateAgent, DeactivateFramework, Explain, Explained, RecoverResources, RemoveAgent,
    RemoveFramework, ReviveOffers, ShowBook, SuppressOffers, UpdateAgent, UpdateFramework,
    UpdateWeights,
};
use tepui_runtime::{
    Context, Declaration, Handle, Id, Message, Node, Pid, Process, ProcessRef, SpawnError, Time,
    Timer,
};

use crate::core::{Allocator, Grant, Order};
use crate::intake::{self, IntakeError};
use crate::log::AllocationLog;
use crate::options::AllocatorOptions;
use crate::pause::PauseResources;
use crate::publish::Published;
use crate::whitelist::{WATCH_INTERVAL, Whitelist};

/// Its ids are `hierarchical-allocator(1)` and so on, as Mesos'.
pub const ALLOCATOR_ID_PREFIX: &str = "hierarchical-allocator";

/// Starts an allocator for the master with that PID, which alone it listens to.
///
/// # Errors
/// The node is shut down.
pub fn spawn(
    node: &Node,
    options: AllocatorOptions,
    master: Pid,
) -> Result<ProcessRef<AllocatorProcess>, SpawnError> {
    node.spawn(
        Id::prefix(ALLOCATOR_ID_PREFIX),
        AllocatorProcess::new(node, options, master),
    )
}

/// The process around the core.
pub struct AllocatorProcess {
    core: Allocator,
    master: Pid,
    log: Option<AllocationLog>,
    whitelist: Option<Whitelist>,
    published: Published,
    /// What the master called the present life of each agent; it comes back with each grant.
    incarnations: BTreeMap<String, u64>,
    /// When the run will be that is waited for, and what calls it: no timer where it is due
    /// already, and only what is in the mailbox comes before it.
    next_run: Option<(Time, Option<Timer>)>,
}

impl AllocatorProcess {
    /// A process for the master with that PID.
    #[must_use]
    pub fn new(node: &Node, options: AllocatorOptions, master: Pid) -> AllocatorProcess {
        let mut core = Allocator::new(options.decisions, node.clock().now());
        if options.whitelist.is_some() {
            core.set_whitelist(Some(BTreeSet::new()));
        }
        AllocatorProcess {
            core,
            whitelist: options.whitelist.map(Whitelist::new),
            master,
            log: options.allocation_log.map(AllocationLog::new),
            published: Published::new(node.metrics()),
            incarnations: BTreeMap::new(),
            next_run: None,
        }
    }

    /// Serves a message of the master; what anybody else sends is dropped and counted.
    fn serve<M: Message>(
        &mut self,
        ctx: &mut Context<'_, Self>,
        change: impl FnOnce(&mut Allocator, Time) -> Result<(), IntakeError>,
    ) {
        if *ctx.sender() != self.master {
            self.published.foreign();
            tracing::warn!(message = M::NAME, from = %ctx.sender(), "not from the master, dropped");
            return;
        }
        if let Err(error) = change(&mut self.core, ctx.now()) {
            tracing::warn!(message = M::NAME, %error, "the allocator's books did not fit");
        }
        self.plan(ctx);
    }

    /// Has the next run called when the core wants it.
    fn plan(&mut self, ctx: &mut Context<'_, Self>) {
        let due = self.core.due();
        match self.next_run.take() {
            Some((at, timer)) if at == due || timer.is_none() => {
                self.next_run = Some((at, timer));
                return;
            }
            Some((_, Some(timer))) => ctx.cancel(timer),
            _ => {}
        }
        let run = |process: &mut Self, ctx: &mut Context<'_, Self>| {
            process.next_run = None;
            process.run(ctx);
        };
        let wait = due.since(ctx.now());
        let timer = if wait.is_zero() {
            ctx.myself().dispatch(run);
            None
        } else {
            Some(ctx.delay(wait, run))
        };
        self.next_run = Some((due, timer));
    }

    fn run(&mut self, ctx: &mut Context<'_, Self>) {
        let now = ctx.now();
        let order = Order::Shuffled { seed: ctx.random() };
        let run = match &mut self.log {
            Some(log) => {
                let batch = now >= self.core.next_batch();
                self.core.run(now, order, &mut log.listen(now, batch))
            }
            None => self.core.run(now, order, &mut ()),
        };
        self.published
            .run(ctx.metrics(), &run, ctx.now().since(now));
        self.published
            .gauges(ctx.metrics(), &self.core, now, run.batch);
        if !run.grants.is_empty() {
            tracing::debug!(grants = run.grants.len(), agents = run.agents, "allocated");
            let allocations = run
                .grants
                .iter()
                .map(|grant| self.allocation(grant))
                .collect();
            ctx.send(&self.master, Allocations { allocations });
        }
        self.append_log(ctx);
        self.plan(ctx);
    }

    fn allocation(&self, grant: &Grant) -> Allocation {
        Allocation {
            framework_id: FrameworkId {
                value: grant.framework.to_string(),
            },
            role: grant.role.to_string(),
            agent_id: AgentId {
                value: grant.agent.to_string(),
            },
            resources: grant.to_proto(),
            incarnation: self.incarnations.get(&*grant.agent).copied(),
        }
    }

    /// Has the whitelist read, off this thread. What changed counts from the next batch on.
    fn read_whitelist(&mut self, ctx: &Context<'_, Self>) {
        let Some(whitelist) = &self.whitelist else {
            return;
        };
        let (disk, path) = (ctx.disk(), whitelist.path.clone());
        ctx.blocking(
            move || disk.read(&path),
            |process, content, _| {
                let whitelist = process.whitelist.as_mut();
                if let Some(hostnames) = whitelist.and_then(|list| list.read(content)) {
                    process.core.set_whitelist(Some(hostnames));
                }
            },
        );
    }

    /// Has what waits of the log appended, off this thread, one write after the other.
    fn append_log(&mut self, ctx: &mut Context<'_, Self>) {
        let Some(log) = &mut self.log else { return };
        let Some(lines) = log.take() else { return };
        let (disk, path) = (ctx.disk(), log.path.clone());
        ctx.blocking(
            move || disk.append(&path, &lines),
            |process, result, ctx| {
                let Some(log) = &mut process.log else { return };
                if let Err(error) = result {
                    tracing::warn!(path = %log.path.display(), %error, "allocation log not written");
                }
                log.written();
                process.append_log(ctx);
            },
        );
    }
}

impl Process for AllocatorProcess {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration
            .inward::<AddFramework>()
            .inward::<UpdateFramework>()
            .inward::<RemoveFramework>()
            .inward::<ActivateFramework>()
            .inward::<DeactivateFramework>()
            .inward::<AddAgent>()
            .inward::<UpdateAgent>()
            .inward::<RemoveAgent>()
            .inward::<ActivateAgent>()
            .inward::<DeactivateAgent>()
            .inward::<RecoverResources>()
            .inward::<PauseResources>()
            .inward::<AddUse>()
            .inward::<SuppressOffers>()
            .inward::<ReviveOffers>()
            .inward::<UpdateWeights>()
            .inward::<ShowBook>()
            .inward::<Explain>();
    }

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        Published::watch_queue(ctx.node(), ctx.pid());
        self.published
            .gauges(ctx.metrics(), &self.core, ctx.now(), true);
        ctx.link(&self.master);
        if self.whitelist.is_some() {
            self.read_whitelist(ctx);
            ctx.every(WATCH_INTERVAL, |process, ctx| process.read_whitelist(ctx));
        }
        self.plan(ctx);
    }

    /// Without its master there is nobody to allocate for.
    fn exited(&mut self, pid: &Pid, ctx: &mut Context<'_, Self>) {
        if *pid == self.master {
            ctx.terminate();
        }
    }

    fn finalize(&mut self, ctx: &mut Context<'_, Self>) {
        let Some(log) = &mut self.log else { return };
        let (disk, path, lines) = (ctx.disk(), log.path.clone(), log.rest());
        if !lines.is_empty() {
            ctx.blocking(move || disk.append(&path, &lines), |_, _, _| {});
        }
    }
}

impl Handle<AddFramework> for AllocatorProcess {
    fn handle(&mut self, message: AddFramework, ctx: &mut Context<'_, Self>) {
        self.serve::<AddFramework>(ctx, |core, now| {
            let spec = intake::framework(
                &message.framework_info,
                message.suppressed_roles,
                message.offer_constraints.as_ref(),
                core.patterns(),
            )?;
            let used = intake::all_used(&message.used)?;
            Ok(core.add_framework(now, &spec, message.active, &used)?)
        });
    }
}

impl Handle<UpdateFramework> for AllocatorProcess {
    fn handle(&mut self, message: UpdateFramework, ctx: &mut Context<'_, Self>) {
        self.serve::<UpdateFramework>(ctx, |core, now| {
            let spec = intake::framework(
                &message.framework_info,
                message.suppressed_roles,
                message.offer_constraints.as_ref(),
                core.patterns(),
            )?;
            Ok(core.update_framework(now, &spec)?)
        });
    }
}

impl Handle<RemoveFramework> for AllocatorProcess {
    fn handle(&mut self, message: RemoveFramework, ctx: &mut Context<'_, Self>) {
        self.serve::<RemoveFramework>(ctx, |core, now| {
            Ok(core.remove_framework(now, &message.framework_id.value)?)
        });
    }
}

impl Handle<ActivateFramework> for AllocatorProcess {
    fn handle(&mut self, message: ActivateFramework, ctx: &mut Context<'_, Self>) {
        self.serve::<ActivateFramework>(ctx, |core, now| {
            Ok(core.activate_framework(now, &message.framework_id.value)?)
        });
    }
}

impl Handle<DeactivateFramework> for AllocatorProcess {
    fn handle(&mut self, message: DeactivateFramework, ctx: &mut Context<'_, Self>) {
        self.serve::<DeactivateFramework>(ctx, |core, _| {
            Ok(core.deactivate_framework(&message.framework_id.value)?)
        });
    }
}

impl Handle<AddAgent> for AllocatorProcess {
    fn handle(&mut self, message: AddAgent, ctx: &mut Context<'_, Self>) {
        if *ctx.sender() == self.master
            && let (Some(id), Some(incarnation)) = (&message.agent_info.id, message.incarnation)
        {
            self.incarnations.insert(id.value.clone(), incarnation);
        }
        self.serve::<AddAgent>(ctx, |core, now| {
            let active = message.active();
            let spec = intake::agent(message.agent_info, &message.capabilities, &message.total)?;
            let id = spec.id.clone();
            core.add_agent(now, spec, &intake::all_used(&message.used)?)?;
            if !active {
                core.deactivate_agent(&id)?;
            }
            Ok(())
        });
    }
}

impl Handle<UpdateAgent> for AllocatorProcess {
    fn handle(&mut self, message: UpdateAgent, ctx: &mut Context<'_, Self>) {
        self.serve::<UpdateAgent>(ctx, |core, now| {
            let spec = intake::agent(message.agent_info, &message.capabilities, &message.total)?;
            Ok(core.update_agent(now, spec)?)
        });
    }
}

impl Handle<RemoveAgent> for AllocatorProcess {
    fn handle(&mut self, message: RemoveAgent, ctx: &mut Context<'_, Self>) {
        if *ctx.sender() == self.master {
            self.incarnations.remove(&message.agent_id.value);
        }
        self.serve::<RemoveAgent>(ctx, |core, _| {
            Ok(core.remove_agent(&message.agent_id.value)?)
        });
    }
}

impl Handle<ActivateAgent> for AllocatorProcess {
    fn handle(&mut self, message: ActivateAgent, ctx: &mut Context<'_, Self>) {
        self.serve::<ActivateAgent>(ctx, |core, now| {
            Ok(core.activate_agent(now, &message.agent_id.value)?)
        });
    }
}

impl Handle<DeactivateAgent> for AllocatorProcess {
    fn handle(&mut self, message: DeactivateAgent, ctx: &mut Context<'_, Self>) {
        self.serve::<DeactivateAgent>(ctx, |core, _| {
            Ok(core.deactivate_agent(&message.agent_id.value)?)
        });
    }
}

impl Handle<RecoverResources> for AllocatorProcess {
    fn handle(&mut self, message: RecoverResources, ctx: &mut Context<'_, Self>) {
        self.serve::<RecoverResources>(ctx, |core, now| {
            let (freed, recovery) = intake::recovered(&message)?;
            Ok(core.recover(now, &freed, recovery)?)
        });
    }
}

impl Handle<PauseResources> for AllocatorProcess {
    fn handle(&mut self, message: PauseResources, ctx: &mut Context<'_, Self>) {
        self.serve::<PauseResources>(ctx, |core, now| {
            let (freed, recovery) = intake::paused(&message)?;
            Ok(core.recover(now, &freed, recovery)?)
        });
    }
}

impl Handle<AddUse> for AllocatorProcess {
    fn handle(&mut self, message: AddUse, ctx: &mut Context<'_, Self>) {
        self.serve::<AddUse>(ctx, |core, _| {
            Ok(core.add_use(&intake::used(&message.r#use)?)?)
        });
    }
}

impl Handle<SuppressOffers> for AllocatorProcess {
    fn handle(&mut self, message: SuppressOffers, ctx: &mut Context<'_, Self>) {
        self.serve::<SuppressOffers>(ctx, |core, _| {
            Ok(core.suppress(&message.framework_id.value, &message.roles)?)
        });
    }
}

impl Handle<ReviveOffers> for AllocatorProcess {
    fn handle(&mut self, message: ReviveOffers, ctx: &mut Context<'_, Self>) {
        self.serve::<ReviveOffers>(ctx, |core, now| {
            Ok(core.revive(now, &message.framework_id.value, &message.roles)?)
        });
    }
}

impl Handle<UpdateWeights> for AllocatorProcess {
    fn handle(&mut self, message: UpdateWeights, ctx: &mut Context<'_, Self>) {
        self.serve::<UpdateWeights>(ctx, |core, _| {
            let weights = message.weights.iter();
            Ok(core.update_weights(weights.map(|info| (info.role(), info.weight)))?)
        });
    }
}

impl Handle<ShowBook> for AllocatorProcess {
    fn handle(&mut self, _question: ShowBook, ctx: &mut Context<'_, Self>) {
        let uses = self.core.uses().iter().map(intake::shown).collect();
        ctx.reply(Book { uses });
    }
}

impl Handle<Explain> for AllocatorProcess {
    fn handle(&mut self, question: Explain, ctx: &mut Context<'_, Self>) {
        let reasons = self.core.why(&question.framework_id.value);
        let reasons = reasons.unwrap_or_default();
        ctx.reply(Explained {
            reasons: reasons.iter().filter_map(intake::explained).collect(),
        });
    }
}
