//! The containerizer of the simulated world: it takes the same messages and has the same core, but
//! a container is an executor that runs as an actor on the same node. There are no processes and no
//! files, and limits are only remembered and told. An executor of a framework's own is played by whom the options name; one
//! that nobody plays says nothing and lasts as the script in its command has it, and so does what
//! runs in a nested container.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nix::libc;
use tepui_invariants::Planted;
use tepui_protocol::mesos::v1::{ContainerStatus, ResourceStatistics};
use tepui_protocol::tepui::containerizer::{Inspected, Launch, Update, inspected};
use tepui_runtime::{Context, Declaration, Id, Node, Pid, Process, SpawnError, Terminate};

use crate::core::{Ending, Figures, Input};
use crate::executor::group::simulated::{ID_PREFIX as GROUP_EXECUTOR, SimulatedGroupExecutor};
pub use crate::executor::script::Script;
use crate::executor::simulated::{self as executor, ID_PREFIX as EXECUTOR, SimulatedExecutor};
use crate::launch::STATUS_KILLED;
use crate::limits::Limits;
use crate::process::{Body, Containerizer, ID_PREFIX, updated};
use crate::spec::{self, Defaults};

/// How the simulated containers behave.
#[derive(Clone, Debug)]
pub struct SimulatedOptions {
    /// How long it takes to launch a container.
    pub launch: Duration,
    /// How long it takes to destroy one.
    pub destroy: Duration,
    /// What goes wrong with them.
    pub trouble: Trouble,
    /// Who plays executors of frameworks' own.
    pub players: Players,
    /// A bug that they are to have, in a test build.
    pub planted: Planted,
}

/// Plays executors of frameworks' own: given the node, the text of an executor's command and its
/// environment, it starts the actor that is that executor, or leaves it to its script.
type Play =
    dyn Fn(&Node, &str, &BTreeMap<String, String>) -> Option<Result<Pid, String>> + Send + Sync;

/// Who plays executors of frameworks' own; nobody by default.
#[derive(Clone, Default)]
pub struct Players(Option<Arc<Play>>);

impl Players {
    /// They are played by `play`: given the node, the text of an executor's command and its
    /// environment, it starts the actor that is that executor, or says why not, or (`None`) leaves
    /// it to its script. A played one that ends by itself has the wait status of its script.
    #[must_use]
    pub fn new(
        play: impl Fn(&Node, &str, &BTreeMap<String, String>) -> Option<Result<Pid, String>>
        + Send
        + Sync
        + 'static,
    ) -> Players {
        Players(Some(Arc::new(play)))
    }
}

impl fmt::Debug for Players {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Players").finish_non_exhaustive()
    }
}

/// One container in so many goes wrong, as the world's seed has it; none where it is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// It cannot be launched.
    pub fails: u32,
    /// It takes up to half a minute to launch it, and to destroy it; up to two seconds to say that
    /// its limits are changed.
    pub slow: u32,
    /// Its executor hangs: it never says a word.
    pub hangs: u32,
    /// Its executor is killed within a minute, or, where it is nested, its command.
    pub dies: u32,
}

/// The longest that a slow launch or destruction takes.
const SLOW: Duration = Duration::from_secs(30);

/// The longest that the answer to a slow change of limits takes.
const SLOW_UPDATE: Duration = Duration::from_secs(2);

/// An executor that is to die does so within this.
const DIES_WITHIN: Duration = Duration::from_secs(60);

impl Default for SimulatedOptions {
    fn default() -> Self {
        // About what the real ones take.
        Self {
            launch: Duration::from_millis(10),
            destroy: Duration::from_millis(5),
            trouble: Trouble::default(),
            players: Players::default(),
            planted: Planted::NONE,
        }
    }
}

/// Starts the process `containerizer(N)`.
///
/// # Errors
/// The node gave no process.
pub fn spawn(node: &Node, options: SimulatedOptions) -> Result<Pid, SpawnError> {
    let body = Simulated {
        options,
        executors: BTreeMap::new(),
        limits: BTreeMap::new(),
        scripts: BTreeMap::new(),
        exited: BTreeMap::new(),
    };
    let process = node.spawn(Id::prefix(ID_PREFIX), Containerizer::new(body))?;
    Ok(process.pid().clone())
}

/// The body that runs executors as actors.
pub(crate) struct Simulated {
    options: SimulatedOptions,
    /// Executors by container, with the raw wait statuses they will end with.
    executors: BTreeMap<String, (Pid, i32)>,
    /// What each container may use, as it was said last.
    limits: BTreeMap<String, Limits>,
    /// What runs in nested containers.
    scripts: BTreeMap<String, Script>,
    /// Raw wait statuses of executors that ended by themselves.
    exited: BTreeMap<String, i32>,
}

/// What a container runs.
pub(crate) struct Spec {
    environment: BTreeMap<String, String>,
    /// The command of an executor of a framework's own; absent for the one that comes with the
    /// agent.
    own: Option<String>,
    /// Of those that come with the agent the one for groups of tasks.
    groups: bool,
    /// What runs where it is nested.
    script: Option<Script>,
    limits: Limits,
}

/// The process of an executor that nobody plays: it lasts as its script says and does nothing.
/// Whoever speaks for that executor is an actor that a test has to start.
struct SimulatedCommand {
    script: Script,
}

impl Process for SimulatedCommand {
    fn declare(_declaration: &mut Declaration<Self>) {}

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        ctx.delay(self.script.duration, |_, ctx| ctx.terminate());
    }
}

type Ctx<'a> = Context<'a, Containerizer<Simulated>>;

/// Whether one in so many happens now.
fn happens(one_in: u32, ctx: &Ctx<'_>) -> bool {
    one_in > 0 && ctx.random_below(u64::from(one_in)) == 0
}

fn up_to(most: Duration, ctx: &Ctx<'_>) -> Duration {
    let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(ctx.random_below(most))
}

impl Simulated {
    /// How long something takes: `usual`, or slow.
    fn takes(&self, usual: Duration, ctx: &Ctx<'_>) -> Duration {
        match happens(self.options.trouble.slow, ctx) {
            true => up_to(SLOW, ctx),
            false => usual,
        }
    }

    /// An executor, or what is left of it where it goes wrong, and the status it ends with.
    fn executor(&mut self, id: &str, spec: &Spec, ctx: &Ctx<'_>) -> Result<(Pid, i32), String> {
        if spec.script.is_none() && happens(self.options.trouble.hangs, ctx) {
            let script = Script::parse("sleep 1000000000");
            return command(script, ctx);
        }
        let (pid, status) = match &spec.own {
            _ if let Some(script) = spec.script => {
                self.scripts.insert(id.to_owned(), script);
                command(script, ctx)?
            }
            None => (builtin(spec, self.options.planted, ctx)?, 0),
            Some(text) => {
                let script = Script::parse(text);
                let play = self.options.players.0.as_ref();
                match play.and_then(|play| play(ctx.node(), text, &spec.environment)) {
                    Some(played) => (played?, script.status),
                    None => command(script, ctx)?,
                }
            }
        };
        if happens(self.options.trouble.dies, ctx) {
            let (id, doomed) = (id.to_owned(), pid.clone());
            ctx.delay(up_to(DIES_WITHIN, ctx), move |process, ctx| {
                if let Some((executor, status)) = process.body.executors.get_mut(&id) {
                    *status = STATUS_KILLED;
                    debug_assert_eq!(*executor, doomed);
                    ctx.node().terminate(&doomed, Terminate::Now);
                }
            });
        }
        Ok((pid, status))
    }
}

impl Simulated {
    /// The memory that a container shares with what is nested in it is used up.
    fn exceed(&self, id: String, figures: Figures, ctx: &Ctx<'_>) {
        ctx.delay(Duration::ZERO, move |process, ctx| {
            process.feed(Input::OutOfMemory { id, figures }, ctx);
        });
    }
}

/// One of the executors that come with the agent.
fn builtin(spec: &Spec, planted: Planted, ctx: &Ctx<'_>) -> Result<Pid, String> {
    let spawned = if spec.groups {
        let executor = SimulatedGroupExecutor::new(&spec.environment, planted)?;
        let spawned = ctx.spawn(Id::prefix(GROUP_EXECUTOR), executor);
        spawned.map(|executor| executor.pid().clone())
    } else {
        let executor = SimulatedExecutor::new(&spec.environment)?;
        let spawned = ctx.spawn(Id::prefix(EXECUTOR), executor);
        spawned.map(|executor| executor.pid().clone())
    };
    spawned.map_err(|error| error.to_string())
}

/// The process of an executor that says nothing, and the status it ends with.
fn command(script: Script, ctx: &Ctx<'_>) -> Result<(Pid, i32), String> {
    let spawned = ctx.spawn(Id::prefix("command"), SimulatedCommand { script });
    let command = spawned.map_err(|error| error.to_string())?;
    Ok((command.pid().clone(), script.status))
}

impl Body for Simulated {
    type Spec = Arc<Spec>;

    fn spec(&self, launch: &Launch) -> Result<Self::Spec, String> {
        if !launch.command.uris.is_empty() {
            return Err("command.uris: nothing is fetched in the simulated world".into());
        }
        spec::container_spec(launch, &Defaults::simulated())?;
        let own = (!launch.builtin_executor()).then(|| launch.command.value().to_owned());
        Ok(Arc::new(Spec {
            environment: spec::environment(&launch.command).into_iter().collect(),
            own,
            groups: launch
                .command
                .arguments
                .get(1)
                .is_some_and(|role| role == GROUP_EXECUTOR),
            script: launch
                .container_id
                .parent
                .is_some()
                .then(|| executor::read(&launch.command)),
            limits: spec::limits(&launch.resources, &launch.limits, &Defaults::simulated()),
        }))
    }

    fn limits(&self, update: &Update) -> Limits {
        spec::limits(&update.resources, &update.limits, &Defaults::simulated())
    }

    fn prepare(&mut self, id: String, spec: Self::Spec, ctx: &mut Ctx<'_>) {
        let result = match happens(self.options.trouble.fails, ctx) {
            true => Err("no container can be made now".to_owned()),
            false => Ok(()),
        };
        let start = spec.script.map(|script| script.start).unwrap_or_default();
        let takes = self.takes(self.options.launch, ctx) + start;
        ctx.delay(takes, move |process, ctx| {
            process.feed(Input::Prepared { id, result }, ctx);
        });
    }

    fn fork(&mut self, id: String, spec: Self::Spec, ctx: &mut Ctx<'_>) {
        let result = self.executor(&id, &spec, ctx).map(|executor| {
            self.executors.insert(id.clone(), executor);
            self.limits.insert(id.clone(), spec.limits.clone());
            None
        });
        let forked = Input::Forked { id, result };
        ctx.delay(Duration::ZERO, move |process, ctx| {
            process.feed(forked, ctx)
        });
    }

    fn fetches(_spec: &Self::Spec) -> bool {
        false
    }

    fn fetch(&mut self, _id: String, _spec: Self::Spec, _ctx: &mut Ctx<'_>) {}

    fn stop_fetch(&mut self, _id: &str) {}

    fn release(&mut self, _id: &str, _ctx: &mut Ctx<'_>) {}

    fn watch(&mut self, id: String, ctx: &mut Ctx<'_>) {
        // One that has ended already is told of at once.
        if let Some((executor, _)) = self.executors.get(&id) {
            ctx.link(executor);
        }
    }

    fn update(&mut self, id: String, limits: Limits, asker: Pid, ctx: &mut Ctx<'_>) {
        self.limits.insert(id.clone(), limits);
        let answer = updated(id, None, None);
        if happens(self.options.trouble.slow, ctx) {
            let after = up_to(SLOW_UPDATE, ctx);
            ctx.delay(after, move |_, ctx| ctx.send(&asker, answer));
        } else {
            ctx.send(&asker, answer);
        }
    }

    fn inspect(&mut self, to: Pid, mut containers: Vec<inspected::Container>, ctx: &mut Ctx<'_>) {
        // Nothing is used: a container is an actor. What is told is when, and what it might use.
        let timestamp = ctx.now().as_secs_f64();
        for container in containers.iter_mut().filter(|one| one.error.is_none()) {
            let limits = self.limits.get(&container.container_id.to_string());
            // A simulated host has no size that could be told in place of no limit.
            let allowed = limits.map(|limits| limits.allowed(f64::INFINITY, u64::MAX));
            let allowed = allowed.unwrap_or_default();
            container.statistics = Some(ResourceStatistics {
                timestamp,
                cpus_limit: allowed.cpus.filter(|cpus| cpus.is_finite()),
                cpus_soft_limit: allowed.cpus_soft,
                mem_limit_bytes: allowed.mem_bytes.filter(|bytes| *bytes < u64::MAX),
                mem_soft_limit_bytes: allowed.mem_soft_bytes,
                ..ResourceStatistics::default()
            });
            container.status = Some(ContainerStatus {
                container_id: Some(container.container_id.clone()),
                ..ContainerStatus::default()
            });
        }
        ctx.send(&to, Inspected { containers });
    }

    fn destroy(&mut self, id: String, _remember: bool, ctx: &mut Ctx<'_>) {
        let exited = self.exited.remove(&id);
        let status = exited.unwrap_or(STATUS_KILLED);
        self.limits.remove(&id);
        let script = self.scripts.remove(&id);
        // Of what was signaled the status is another.
        let exceeds = script.filter(|script| exited == Some(script.status));
        let exceeds = exceeds.and_then(|script| script.exceeds);
        let out_of_memory = exceeds.map(executor::exceeded);
        if let (Some(figures), Some((root, _))) = (out_of_memory.clone(), id.split_once('.')) {
            self.exceed(root.to_owned(), figures, ctx);
        }
        if let Some((executor, _)) = self.executors.remove(&id) {
            ctx.node().terminate(&executor, Terminate::Now);
        }
        let ending = Ending {
            status,
            out_of_memory,
            error: None,
            never_ran: false,
        };
        ctx.delay(
            self.takes(self.options.destroy, ctx),
            move |process, ctx| {
                process.feed(Input::Destroyed { id, ending }, ctx);
            },
        );
    }

    fn forget(&mut self, id: String, ctx: &mut Ctx<'_>) {
        // Nothing is kept but in the core.
        let result = Ok(());
        ctx.delay(Duration::ZERO, move |process, ctx| {
            process.feed(Input::Forgotten { id, result }, ctx);
        });
    }

    fn signal(&mut self, id: &str, signal: i32, ctx: &mut Ctx<'_>) {
        let script = self.scripts.get(id);
        if signal == libc::SIGTERM && script.is_some_and(|script| script.ignores_sigterm) {
            return;
        }
        if let Some((executor, status)) = self.executors.get_mut(id) {
            *status = signal;
            ctx.node().terminate(executor, Terminate::Now);
        }
    }

    fn find(&mut self, ctx: &mut Ctx<'_>) {
        // What ran on this node and is not known to the core is not there: a node's crash takes
        // all of its processes with it.
        let found = Input::Found {
            result: Ok(Vec::new()),
        };
        ctx.delay(Duration::ZERO, move |process, ctx| process.feed(found, ctx));
    }

    fn exited(&mut self, pid: &Pid) -> Option<String> {
        let id = self
            .executors
            .iter()
            .find(|(_, (executor, _))| executor == pid)?
            .0
            .clone();
        // It ended by itself; a destroy forgets it before it ends.
        let (_, status) = self.executors.remove(&id)?;
        self.exited.insert(id.clone(), status);
        Some(id)
    }
}
