//! The process `registrar(1)`: asks in, answers out; the core decides, the storage holds.
//! It draws no states of its own; see the module above.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tepui_protocol::tepui::registrar::{Applied, Apply, Recover, Recovered};
use tepui_runtime::{Bytes, Context, Declaration, Handle, Metrics, Pid, Process, Time, Timer};

use super::core::{Effect, Input, RegistrarCore, Ticket};
use super::storage::{Entry, Storage};

/// The name of the variable in the storage: Mesos'.
const VARIABLE: &str = "registry";

/// How long the storage may take: Mesos' flags of these names.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `registry_fetch_timeout`.
    pub fetch: Duration,
    /// `registry_store_timeout`.
    pub store: Duration,
}

/// The registrar as a process.
pub struct Registrar {
    core: RegistrarCore,
    storage: Arc<dyn Storage>,
    limits: Limits,
    /// The variable as it was last read or written.
    entry: Option<Entry>,
    next_ticket: Ticket,
    waiting: BTreeMap<Ticket, Pid>,
    /// The read or write under way: its number, so that a late outcome is known as such, and
    /// when it began.
    operation: u64,
    began: Time,
    limit: Option<Timer>,
    queued: Arc<AtomicUsize>,
    size: Arc<AtomicUsize>,
}

impl Registrar {
    /// A registrar that has read nothing yet.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, limits: Limits) -> Registrar {
        Registrar {
            core: RegistrarCore::default(),
            storage,
            limits,
            entry: None,
            next_ticket: 0,
            waiting: BTreeMap::new(),
            operation: 0,
            began: Time::EPOCH,
            limit: None,
            queued: Arc::default(),
            size: Arc::default(),
        }
    }

    fn publish(&self, metrics: &Metrics) {
        let queued = Arc::clone(&self.queued);
        metrics.pull_gauge("registrar/queued_operations", move || {
            queued.load(Ordering::Relaxed) as f64
        });
        let size = Arc::clone(&self.size);
        metrics.pull_gauge("registrar/registry_size_bytes", move || {
            size.load(Ordering::Relaxed) as f64
        });
    }

    fn ticket(&mut self, asker: &Pid) -> Ticket {
        self.next_ticket += 1;
        self.waiting.insert(self.next_ticket, asker.clone());
        self.next_ticket
    }

    fn serve(&mut self, input: Input, ctx: &mut Context<'_, Self>) {
        for effect in self.core.handle(input) {
            match effect {
                Effect::Fetch => self.fetch(ctx),
                Effect::Store(bytes) => self.store(bytes, ctx),
                Effect::Recovered(ticket, answer) => {
                    let answer = match answer {
                        Ok(registry) => Recovered {
                            registry: Some(*registry),
                            error: None,
                        },
                        Err(error) => Recovered {
                            registry: None,
                            error: Some(error),
                        },
                    };
                    if let Some(asker) = self.waiting.remove(&ticket) {
                        ctx.send(&asker, answer);
                    }
                }
                Effect::Applied(ticket, answer) => {
                    let answer = match answer {
                        Ok(mutated) => Applied {
                            mutated: Some(mutated),
                            error: None,
                        },
                        Err(error) => Applied {
                            mutated: None,
                            error: Some(error),
                        },
                    };
                    if let Some(asker) = self.waiting.remove(&ticket) {
                        ctx.send(&asker, answer);
                    }
                }
            }
        }
        self.queued.store(self.core.queued(), Ordering::Relaxed);
        self.size.store(self.core.size(), Ordering::Relaxed);
    }

    fn fetch(&mut self, ctx: &mut Context<'_, Self>) {
        let number = self.begin(self.limits.fetch, Input::Fetched, ctx);
        let myself = ctx.myself();
        let done = Box::new(move |read: Result<Entry, _>| {
            myself.dispatch(move |registrar: &mut Registrar, ctx| {
                let read = registrar.end(number, read, "registrar/state_fetch_ms", ctx);
                if let Some(read) = read {
                    registrar.serve(Input::Fetched(read), ctx);
                }
            });
        });
        self.storage.get(VARIABLE, ctx.uuid(), done);
    }

    fn store(&mut self, bytes: Bytes, ctx: &mut Context<'_, Self>) {
        let Some(entry) = self.entry.clone() else {
            return;
        };
        let failed = |outcome: Result<Bytes, String>| Input::Stored(outcome.map(|_| ()));
        let number = self.begin(self.limits.store, failed, ctx);
        let myself = ctx.myself();
        let done = Box::new(move |written: Result<Entry, _>| {
            myself.dispatch(move |registrar: &mut Registrar, ctx| {
                let written = registrar.end(number, written, "registrar/state_store_ms", ctx);
                if let Some(written) = written {
                    registrar.serve(Input::Stored(written.map(|_| ())), ctx);
                }
            });
        });
        self.storage.set(&entry, bytes, ctx.uuid(), done);
    }

    /// Notes that a read or write begins, which fails if it takes longer than `limit`.
    fn begin(
        &mut self,
        limit: Duration,
        failed: fn(Result<Bytes, String>) -> Input,
        ctx: &mut Context<'_, Self>,
    ) -> u64 {
        self.operation += 1;
        self.began = ctx.now();
        let number = self.operation;
        self.limit = Some(ctx.delay(limit, move |registrar, ctx| {
            if registrar.operation == number {
                registrar.operation += 1;
                let problem = format!("no outcome after {limit:?}");
                registrar.serve(failed(Err(problem)), ctx);
            }
        }));
        number
    }

    /// Takes the outcome of a read or write, unless it was given up.
    fn end(
        &mut self,
        number: u64,
        outcome: Result<Entry, super::StorageError>,
        timer: &str,
        ctx: &mut Context<'_, Self>,
    ) -> Option<Result<Bytes, String>> {
        if self.operation != number {
            return None;
        }
        self.operation += 1;
        if let Some(limit) = self.limit.take() {
            ctx.cancel(limit);
        }
        let took = ctx.now().since(self.began);
        ctx.metrics()
            .timer(timer)
            .record(took.as_secs_f64() * 1000.0);
        Some(match outcome {
            Ok(entry) => {
                let value = entry.value.clone();
                self.entry = Some(entry);
                Ok(value)
            }
            Err(problem) => Err(problem.to_string()),
        })
    }
}

impl Process for Registrar {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.inward::<Recover>().inward::<Apply>();
    }

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        self.publish(ctx.metrics());
        if !self.storage.survives() {
            tracing::warn!(
                registrar = %ctx.pid(),
                "the registry is in memory: it will not survive this master"
            );
        }
    }
}

impl Handle<Recover> for Registrar {
    fn handle(&mut self, message: Recover, ctx: &mut Context<'_, Self>) {
        let ticket = self.ticket(ctx.sender());
        self.serve(Input::Recover(ticket, message.master_info), ctx);
    }
}

impl Handle<Apply> for Registrar {
    fn handle(&mut self, message: Apply, ctx: &mut Context<'_, Self>) {
        let ticket = self.ticket(ctx.sender());
        self.serve(Input::Apply(ticket, message.operation), ctx);
    }
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
