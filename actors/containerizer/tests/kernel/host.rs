//! One agent's side of a containerizer: asks it, and waits for what it tells.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tempfile::TempDir;
use tepui_containerizer::linux::{self, ContainerizerError, LauncherKind, LinuxOptions};
use tepui_protocol::mesos::v1::environment::Variable;
use tepui_protocol::mesos::v1::{CommandInfo, ContainerId, Environment, Resource, value};
use tepui_protocol::tepui::containerizer::{
    Destroy, Inspect, Inspected, Kill, Launch, Launched, Recover, Recovered, Remove, Terminated,
    Update, Updated, inspected, recover,
};
use tepui_runtime::{
    Context, Declaration, Handle, Id, Message, Node, NodeOptions, Pid, Process, RealOptions, World,
};

const DEADLINE: Duration = Duration::from_secs(30);

/// The folder and the cgroups root of one agent, whatever process it is.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) root: String,
    pub(crate) launcher: LauncherKind,
    /// What is different from the usual options.
    pub(crate) adjust: fn(&mut LinuxOptions),
}

impl Place {
    pub(crate) fn new() -> Place {
        static PLACES: AtomicUsize = AtomicUsize::new(0);
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        let folder = tempfile::tempdir().unwrap();
        // A user of a container must be able to reach its sandbox.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), mode).unwrap();
        let root = format!("tepui-kernel-{}-{number}", std::process::id());
        Place {
            folder,
            root,
            launcher: LauncherKind::Linux,
            adjust: |_| {},
        }
    }

    pub(crate) fn sandbox(&self, id: &str) -> PathBuf {
        let sandbox = self.folder.path().join("sandboxes").join(id);
        std::fs::create_dir_all(&sandbox).unwrap();
        sandbox
    }

    pub(crate) fn options(&self) -> LinuxOptions {
        let mut options = LinuxOptions {
            runtime_dir: self.folder.path().join("runtime"),
            cgroups_root: PathBuf::from(&self.root),
            launcher: Some(self.launcher),
            ..LinuxOptions::default()
        };
        (self.adjust)(&mut options);
        options
    }

    pub(crate) fn runtime(&self, id: &str) -> PathBuf {
        let id = id.replace('.', "/containers/");
        self.folder.path().join("runtime/containers").join(id)
    }

    /// A file of a container's cgroup, in whichever hierarchy has the controller.
    pub(crate) fn cgroup(&self, controller: &str, id: &str, file: &str) -> PathBuf {
        let own = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let version1 = own.lines().find_map(|line| {
            let (mount, kind) = line.split_once(" - ").unwrap();
            let found = kind.starts_with("cgroup ")
                && kind.split([' ', ',']).any(|option| option == controller);
            found.then(|| PathBuf::from(mount.split(' ').nth(4).unwrap()))
        });
        let mount = version1.unwrap_or_else(|| PathBuf::from("/sys/fs/cgroup"));
        let id = id.replace('.', "/mesos/");
        mount.join(&self.root).join(id).join(file)
    }

    /// Whether this host has cgroups of version 2 only.
    pub(crate) fn is_unified() -> bool {
        Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
    }

    /// Everything there is of any container here.
    pub(crate) fn remains(&self) -> Vec<PathBuf> {
        let list = |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten();
        let hierarchies = list(PathBuf::from("/sys/fs/cgroup"));
        let hierarchies = hierarchies.map(|entry| entry.path());
        let cgroups = hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]);
        let cgroups = cgroups.map(|hierarchy| hierarchy.join(&self.root));
        let mut found: Vec<PathBuf> = cgroups.filter(|path| path.exists()).collect();
        let containers = list(self.folder.path().join("runtime/containers"));
        found.extend(containers.map(|entry| entry.path()));
        found
    }
}

/// A node with a containerizer and whoever is told of terminations.
pub(crate) struct Host {
    world: World,
    node: Node,
    containerizer: Pid,
    agent: Pid,
    terminated: Receiver<Terminated>,
    launched: Receiver<Launched>,
}

struct Agent(Sender<Terminated>, Sender<Launched>);

impl Process for Agent {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Terminated>();
        declaration.message::<Launched>();
    }
}

impl Handle<Terminated> for Agent {
    fn handle(&mut self, terminated: Terminated, _ctx: &mut Context<'_, Self>) {
        let _ = self.0.send(terminated);
    }
}

impl Handle<Launched> for Agent {
    fn handle(&mut self, launched: Launched, _ctx: &mut Context<'_, Self>) {
        let _ = self.1.send(launched);
    }
}

impl Host {
    pub(crate) fn try_start(place: &Place) -> Result<Host, ContainerizerError> {
        Host::with(place.options())
    }

    pub(crate) fn with(options: LinuxOptions) -> Result<Host, ContainerizerError> {
        let world = World::real(RealOptions::default()).unwrap();
        let node = Node::start(&world, NodeOptions::default()).unwrap();
        let containerizer = linux::spawn(&node, options)?;
        let (sender, terminated) = channel();
        let (to_launched, launched) = channel();
        let agent = Agent(sender, to_launched);
        let agent = node.spawn(Id::chosen("slave(1)"), agent).unwrap();
        let agent = agent.pid().clone();
        Ok(Host {
            world,
            node,
            containerizer,
            agent,
            terminated,
            launched,
        })
    }

    pub(crate) fn start(place: &Place) -> Host {
        Host::try_start(place).unwrap()
    }

    pub(crate) fn stop(self) {
        self.world.block_on(self.node.shutdown());
    }

    fn ask<Q: Message, R: Message>(&self, question: Q) -> R {
        let answer = self
            .node
            .ask::<Q, R>(&self.containerizer, question, DEADLINE);
        self.world.block_on(answer).unwrap()
    }

    pub(crate) fn launch(&self, launch: Launch) -> Launched {
        let observer = Some(self.agent.to_string());
        self.ask(Launch { observer, ..launch })
    }

    pub(crate) fn launch_well(&self, launch: Launch) -> u32 {
        let launched = self.launch(launch);
        assert_eq!(launched.error, None);
        launched.pid.unwrap()
    }

    pub(crate) fn update(&self, update: Update) {
        assert_eq!(self.ask::<_, Updated>(update).error, None);
    }

    /// Asks for all at once.
    pub(crate) fn update_all(&self, updates: Vec<Update>) {
        let ask = |update| self.node.ask(&self.containerizer, update, DEADLINE);
        let answers: Vec<_> = updates.into_iter().map(ask).collect();
        for answer in answers {
            let updated: Updated = self.world.block_on(answer).unwrap();
            assert_eq!(updated.error, None);
        }
    }

    /// Asks without waiting; the answer is [`Host::launched`].
    pub(crate) fn launch_later(&self, launch: Launch) {
        let observer = Some(self.agent.to_string());
        let launch = Launch { observer, ..launch };
        self.node.send(&self.agent, &self.containerizer, launch);
    }

    pub(crate) fn launched(&self) -> Launched {
        self.launched.recv_timeout(DEADLINE).expect("an answer")
    }

    /// What is told of one container.
    pub(crate) fn inspect(&self, id: &str) -> inspected::Container {
        let container_ids = vec![named(id)];
        let mut inspected = self.ask::<_, Inspected>(Inspect { container_ids });
        assert_eq!(inspected.containers.len(), 1);
        inspected.containers.remove(0)
    }

    pub(crate) fn destroy(&self, id: &str) {
        let destroy = Destroy {
            container_id: named(id),
        };
        self.node.send(&self.agent, &self.containerizer, destroy);
    }

    pub(crate) fn kill(&self, id: &str, signal: i32) {
        let kill = Kill {
            container_id: named(id),
            signal,
        };
        self.node.send(&self.agent, &self.containerizer, kill);
    }

    pub(crate) fn remove(&self, id: &str) {
        let remove = Remove {
            container_id: named(id),
        };
        self.node.send(&self.agent, &self.containerizer, remove);
    }

    pub(crate) fn recover(&self, place: &Place, ids: &[&str]) -> Recovered {
        let container = |id: &&str| recover::Container {
            container_id: named(id),
            directory: place.sandbox(id).display().to_string(),
            pid: None,
        };
        let containers = ids.iter().map(container).collect();
        self.ask(Recover {
            containers,
            observer: Some(self.agent.to_string()),
        })
    }

    /// The next termination that is told.
    pub(crate) fn terminated(&self) -> Terminated {
        let terminated = self
            .terminated
            .recv_timeout(DEADLINE)
            .expect("a termination");
        assert_eq!(terminated.error, None);
        terminated
    }

    /// The next termination, and what of the container is left.
    pub(crate) fn terminated_badly(&self) -> String {
        let terminated = self.terminated.recv_timeout(DEADLINE);
        terminated.expect("a termination").error.unwrap()
    }

    /// The next termination: which container it is of, and its status.
    pub(crate) fn end(&self) -> (String, i32) {
        let terminated = self.terminated();
        (terminated.container_id.to_string(), terminated.status())
    }

    pub(crate) fn status(&self) -> i32 {
        self.terminated().status.unwrap()
    }
}

/// `parent.child` is the id of a nested container.
fn named(id: &str) -> ContainerId {
    id.parse().unwrap()
}

pub(crate) fn shell(place: &Place, id: &str, script: &str) -> Launch {
    Launch {
        container_id: named(id),
        command: CommandInfo {
            value: Some(script.to_owned()),
            environment: Some(environment(&[("GREETING", "hello")])),
            ..CommandInfo::default()
        },
        resources: vec![scalar("cpus", 0.5), scalar("mem", 64.0)],
        directory: place.sandbox(id).display().to_string(),
        ..Launch::default()
    }
}

pub(crate) fn environment(pairs: &[(&str, &str)]) -> Environment {
    let variable = |(name, value): &(&str, &str)| Variable {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
        ..Variable::default()
    };
    Environment {
        variables: pairs.iter().map(variable).collect(),
    }
}

pub(crate) fn scalar(name: &str, value: f64) -> Resource {
    Resource {
        name: name.to_owned(),
        r#type: value::Type::Scalar as i32,
        scalar: Some(value::Scalar { value }),
        ..Resource::default()
    }
}

/// Makes a fifo by which a container tells that it has come so far.
pub(crate) fn fifo(sandbox: &Path) -> PathBuf {
    let path = sandbox.join("ready");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
    path
}
