//! The actor `containerizer(N)`: messages `tepui.containerizer.*` become inputs of the core, and
//! the core's effects become calls of a body (the kernel's, or the simulated one) and answers.
//! What is decided is in [`crate::core`], how it is done in the bodies.

use tepui_protocol::mesos::v1::{ContainerId, Resource, TaskState, task_status, value};
use tepui_protocol::tepui::containerizer::{
    Destroy, Inspect, Kill, Launch, Launched, Recover, Recovered, Remove, Terminated, Update,
    Updated, inspected,
};
use tepui_runtime::{Context, Declaration, Handle, Pid, Process};

use crate::core::{Core, Effect, Exceeded, Input, Termination};
use crate::limits::Limits;

/// Id prefix of the process on its node.
pub(crate) const ID_PREFIX: &str = "containerizer";

/// Carries the core's effects out. Whatever is answered by an input comes back through
/// [`Containerizer::feed`], as an event of its own or at once.
pub(crate) trait Body: Sized + Send + 'static {
    /// What it needs to make one container.
    type Spec: Clone + Send + 'static;

    /// Reads a launch; the error names what cannot be honoured.
    fn spec(&self, launch: &Launch) -> Result<Self::Spec, String>;
    /// Reads an update.
    fn limits(&self, update: &Update) -> Limits;
    fn prepare(&mut self, id: String, spec: Self::Spec, ctx: &mut Context<'_, Containerizer<Self>>);
    fn fork(&mut self, id: String, spec: Self::Spec, ctx: &mut Context<'_, Containerizer<Self>>);
    /// Whether there is anything to fetch.
    fn fetches(spec: &Self::Spec) -> bool;
    fn fetch(&mut self, id: String, spec: Self::Spec, ctx: &mut Context<'_, Containerizer<Self>>);
    fn stop_fetch(&mut self, id: &str);
    fn release(&mut self, id: &str, ctx: &mut Context<'_, Containerizer<Self>>);
    fn watch(&mut self, id: String, ctx: &mut Context<'_, Containerizer<Self>>);
    /// Answers `asker` with [`Updated`].
    fn update(
        &mut self,
        id: String,
        limits: Limits,
        asker: Pid,
        ctx: &mut Context<'_, Containerizer<Self>>,
    );
    /// Answers `to` with `Inspected`: what is in `containers` with an error stays as it is.
    fn inspect(
        &mut self,
        to: Pid,
        containers: Vec<inspected::Container>,
        ctx: &mut Context<'_, Containerizer<Self>>,
    );
    /// Ends a container and removes all of it; where `remember` is set its runtime folder stays,
    /// with its termination, until it is forgotten.
    fn destroy(&mut self, id: String, remember: bool, ctx: &mut Context<'_, Containerizer<Self>>);
    fn forget(&mut self, id: String, ctx: &mut Context<'_, Containerizer<Self>>);
    /// Sends a signal to the command.
    fn signal(&mut self, id: &str, signal: i32, ctx: &mut Context<'_, Containerizer<Self>>);
    fn find(&mut self, ctx: &mut Context<'_, Containerizer<Self>>);
    /// The container whose process it is.
    fn exited(&mut self, pid: &Pid) -> Option<String>;
}

/// The process.
pub(crate) struct Containerizer<B: Body> {
    pub(crate) body: B,
    core: Core<Pid, B::Spec>,
    /// Who is told of terminations unless a launch says otherwise.
    observer: Option<Pid>,
}

impl<B: Body> Containerizer<B> {
    pub(crate) fn new(body: B) -> Self {
        Self {
            body,
            core: Core::default(),
            observer: None,
        }
    }

    /// Gives one input to the core and does what it asks for.
    pub(crate) fn feed(&mut self, input: Input<Pid, B::Spec>, ctx: &mut Context<'_, Self>) {
        for effect in self.core.handle(input) {
            self.perform(effect, ctx);
        }
    }

    fn perform(&mut self, effect: Effect<Pid, B::Spec>, ctx: &mut Context<'_, Self>) {
        match effect {
            Effect::Prepare { id, spec } => {
                tracing::info!(container = id, "launching");
                self.body.prepare(id, spec, ctx);
            }
            Effect::Fork { id, spec } => self.body.fork(id, spec, ctx),
            Effect::Fetch { id, spec } => {
                tracing::info!(container = id, "fetching");
                self.body.fetch(id, spec, ctx);
            }
            Effect::StopFetch { id } => self.body.stop_fetch(&id),
            Effect::Release { id } => self.body.release(&id, ctx),
            Effect::Watch { id } => self.body.watch(id, ctx),
            Effect::Update { id, limits, asker } => self.body.update(id, limits, asker, ctx),
            Effect::Destroy { id } => {
                tracing::info!(container = id, "destroying");
                self.body.destroy(id, false, ctx);
            }
            Effect::Conclude { id } => {
                tracing::info!(container = id, "destroying");
                self.body.destroy(id, true, ctx);
            }
            Effect::Forget { id } => self.body.forget(id, ctx),
            Effect::Signal { id, signal } => {
                tracing::info!(container = id, signal, "signaling");
                self.body.signal(&id, signal, ctx);
            }
            Effect::Find => self.body.find(ctx),
            Effect::Launched { to, id, result } => launched(&to, &id, result, ctx),
            Effect::Updated { to, id, memory } => ctx.send(&to, updated(id, None, memory)),
            Effect::Inspect { to, containers } => {
                let container =
                    |(id, state): (String, Result<(), &'static str>)| inspected::Container {
                        container_id: named(&id),
                        error: state.err().map(str::to_owned),
                        ..inspected::Container::default()
                    };
                let containers = containers.into_iter().map(container).collect();
                self.body.inspect(to, containers, ctx);
            }
            Effect::Terminated {
                to,
                id,
                termination,
            } => terminated(&to, &id, termination, ctx),
            Effect::Recovered {
                to,
                alive,
                orphans,
                error,
            } => {
                tracing::info!(
                    alive = alive.len(),
                    orphans = orphans.len(),
                    error,
                    "recovered"
                );
                let ids = |ids: Vec<String>| ids.iter().map(|id| named(id)).collect();
                ctx.send(
                    &to,
                    Recovered {
                        alive: ids(alive),
                        orphans: ids(orphans),
                        error,
                    },
                );
            }
        }
    }

    /// Who is told of the end of what this message launches or recovers.
    fn observer(&self, named: Option<&str>, ctx: &Context<'_, Self>) -> Pid {
        let named = named.and_then(|text| text.parse().ok());
        named
            .or_else(|| self.observer.clone())
            .unwrap_or_else(|| ctx.sender().clone())
    }
}

/// The id that a text of ours stands for.
fn named(id: &str) -> ContainerId {
    id.parse().unwrap_or_else(|_| ContainerId::top(id))
}

fn launched<B: Body>(
    to: &Pid,
    id: &str,
    result: Result<Option<u32>, String>,
    ctx: &mut Context<'_, Containerizer<B>>,
) {
    let container_id = named(id);
    let answer = match result {
        Ok(pid) => {
            tracing::info!(container = id, pid, "launched");
            Launched {
                container_id,
                pid,
                error: None,
            }
        }
        Err(error) => {
            tracing::warn!(container = id, error, "failed to launch");
            Launched {
                container_id,
                pid: None,
                error: Some(error),
            }
        }
    };
    ctx.send(to, answer);
}

fn terminated<B: Body>(
    to: &Pid,
    id: &str,
    termination: Termination,
    ctx: &mut Context<'_, Containerizer<B>>,
) {
    let Termination {
        status,
        memory,
        error,
    } = termination;
    tracing::info!(
        container = id,
        status,
        out_of_memory = memory.is_some(),
        error,
        "terminated"
    );
    if error.is_some() {
        ctx.metrics()
            .counter("containerizer/mesos/container_destroy_errors")
            .increment(1);
    }
    let mut message = Terminated {
        container_id: named(id),
        status: Some(status),
        error,
        ..Terminated::default()
    };
    if let Some(exceeded) = memory {
        message.state = Some(TaskState::TaskFailed as i32);
        message.reason = Some(task_status::Reason::ContainerLimitationMemory as i32);
        message.message = Some(exceeded.message);
        message.limited_resources = vec![mem(exceeded.megabytes)];
    }
    ctx.send(to, message);
}

/// The answer to an update, with the memory that ends the container.
pub(crate) fn updated(id: String, error: Option<String>, memory: Option<Exceeded>) -> Updated {
    let container_id = named(&id);
    let Some(exceeded) = memory else {
        return Updated {
            container_id,
            error,
            ..Updated::default()
        };
    };
    Updated {
        container_id,
        error,
        state: Some(TaskState::TaskFailed as i32),
        reason: Some(task_status::Reason::ContainerLimitationMemory as i32),
        message: Some(exceeded.message),
        limited_resources: vec![mem(exceeded.megabytes)],
    }
}

/// A resource `mem` of the default role.
pub(crate) fn mem(megabytes: u64) -> Resource {
    #[expect(clippy::cast_precision_loss, reason = "megabytes are below 2^53")]
    let value = megabytes as f64;
    Resource {
        name: "mem".to_owned(),
        r#type: value::Type::Scalar as i32,
        scalar: Some(value::Scalar { value }),
        ..Resource::default()
    }
}

impl<B: Body> Process for Containerizer<B> {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.inward::<Launch>();
        declaration.inward::<Update>();
        declaration.inward::<Inspect>();
        declaration.inward::<Destroy>();
        declaration.inward::<Kill>();
        declaration.inward::<Remove>();
        declaration.inward::<Recover>();
    }

    fn exited(&mut self, pid: &Pid, ctx: &mut Context<'_, Self>) {
        if let Some(id) = self.body.exited(pid) {
            self.feed(Input::Exited { id }, ctx);
        }
    }
}

impl<B: Body> Handle<Launch> for Containerizer<B> {
    fn handle(&mut self, launch: Launch, ctx: &mut Context<'_, Self>) {
        let asker = ctx.sender().clone();
        match self.body.spec(&launch) {
            Ok(spec) => {
                let observer = self.observer(launch.observer.as_deref(), ctx);
                let id = launch.container_id.to_string();
                let fetches = B::fetches(&spec);
                self.feed(
                    Input::Launch {
                        id,
                        spec,
                        fetches,
                        asker,
                        observer,
                    },
                    ctx,
                );
            }
            Err(error) => {
                let container_id = launch.container_id;
                ctx.send(
                    &asker,
                    Launched {
                        container_id,
                        pid: None,
                        error: Some(error),
                    },
                );
            }
        }
    }
}

impl<B: Body> Handle<Update> for Containerizer<B> {
    fn handle(&mut self, update: Update, ctx: &mut Context<'_, Self>) {
        let limits = self.body.limits(&update);
        let (id, asker) = (update.container_id.to_string(), ctx.sender().clone());
        self.feed(Input::Update { id, limits, asker }, ctx);
    }
}

impl<B: Body> Handle<Inspect> for Containerizer<B> {
    fn handle(&mut self, inspect: Inspect, ctx: &mut Context<'_, Self>) {
        let ids = inspect.container_ids.into_iter();
        let ids = ids.map(|id| id.to_string()).collect();
        let asker = ctx.sender().clone();
        self.feed(Input::Inspect { ids, asker }, ctx);
    }
}

impl<B: Body> Handle<Destroy> for Containerizer<B> {
    fn handle(&mut self, destroy: Destroy, ctx: &mut Context<'_, Self>) {
        self.feed(
            Input::Destroy {
                id: destroy.container_id.to_string(),
            },
            ctx,
        );
    }
}

impl<B: Body> Handle<Kill> for Containerizer<B> {
    fn handle(&mut self, kill: Kill, ctx: &mut Context<'_, Self>) {
        let (id, signal) = (kill.container_id.to_string(), kill.signal);
        self.feed(Input::Kill { id, signal }, ctx);
    }
}

impl<B: Body> Handle<Remove> for Containerizer<B> {
    fn handle(&mut self, remove: Remove, ctx: &mut Context<'_, Self>) {
        let id = remove.container_id.to_string();
        self.feed(Input::Remove { id }, ctx);
    }
}

impl<B: Body> Handle<Recover> for Containerizer<B> {
    fn handle(&mut self, recover: Recover, ctx: &mut Context<'_, Self>) {
        let named = recover
            .observer
            .as_deref()
            .and_then(|text| text.parse().ok());
        if named.is_some() {
            self.observer = named;
        }
        let asker = ctx.sender().clone();
        let observer = self.observer(None, ctx);
        let containers = recover.containers.into_iter();
        // An id that is no plain one was never launched here, and must not become a path.
        let valid = containers.filter(|container| {
            let id = &container.container_id;
            id.parent.is_none() && tepui_protocol::ids::validate_container(id).is_ok()
        });
        let ids = valid
            .map(|container| container.container_id.value)
            .collect();
        self.feed(
            Input::Recover {
                ids,
                asker,
                observer,
            },
            ctx,
        );
    }
}
