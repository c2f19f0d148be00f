//! For authors of frameworks: a scheduler, unchanged, against a real master and real agents whose
//! tasks are scripted, in virtual time. The same seed gives the same run.
//!
//! ```
//! use std::time::Duration;
//! use tepui_framework::{Driver, Scheduler, Task};
//! use tepui_protocol::mesos::v1::{Offer, TaskState, TaskStatus};
//! use tepui_simulation::kit::Lab;
//!
//! /// Runs one task until it has finished, whatever happens on the way.
//! #[derive(Default)]
//! struct Stubborn { tries: u32, running: bool, finished: bool }
//!
//! impl Scheduler for Stubborn {
//!     fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
//!         for offer in &offers {
//!             if self.running || self.finished {
//!                 driver.decline(offer);
//!                 continue;
//!             }
//!             (self.running, self.tries) = (true, self.tries + 1);
//!             let task = Task::command(format!("try-{}", self.tries), "start 2; sleep 300");
//!             driver.launch(offer, [task.cpus(1.0).mem(64.0).on(offer)]);
//!         }
//!     }
//!
//!     fn update(&mut self, _: &mut Driver<'_>, status: TaskStatus) {
//!         self.finished |= status.state() == TaskState::TaskFinished;
//!         self.running = matches!(
//!             status.state(),
//!             TaskState::TaskStaging | TaskState::TaskStarting | TaskState::TaskRunning
//!         );
//!     }
//! }
//!
//! # fn main() -> Result<(), tepui_simulation::ClusterError> {
//! let mut lab = Lab::new(7, 1)?;
//! let stubborn = lab.start("stubborn", Stubborn::default())?;
//! lab.run_for(Duration::from_secs(60));
//! assert_eq!(lab.tasks_running(), 1);
//! lab.crash_agent(0);
//! lab.run_for(Duration::from_secs(120));
//! lab.start_agent(0)?;
//! lab.run_for(Duration::from_secs(600));
//! assert_eq!(lab.look(&stubborn, |it| (it.tries, it.finished)), Some((2, true)));
//! lab.assert_at_rest();
//! # Ok(())
//! # }
//! ```
//!
//! A task's command is its script, steps between `;`: `start 3` (up only after so many seconds),
//! `sleep 1.5`, `exit 3`, `false`, `kill -9 $$` (ends by that signal), `exceed 64` (ends for want of
//! memory), `trap '' TERM` (ignores SIGTERM). Any other step takes no time and succeeds.
//!
//! Not here: frameworks that are to be tormented at random (`tepui simulate`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tepui_framework::{Framework, Options, Scheduler, spawn_with};
use tepui_invariants::Violation;
use tepui_invariants::books::{self, Books};
use tepui_protocol::mesos::v1::{FrameworkInfo, TaskState};
use tepui_runtime::{Node, SimOptions, Time};

use crate::cluster::{Cluster, ClusterError, ClusterOptions};
use crate::observer::Observer;

/// How long a framework may be gone before the master ends its tasks, in seconds, where
/// [`Lab::start`] says so.
const FAILOVER_TIMEOUT_S: f64 = 3600.0;

/// A simulated cluster in which a scheduler is tried.
#[derive(Debug)]
pub struct Lab {
    /// The cluster, for whatever the lab has no word for.
    pub cluster: Cluster,
    observer: Observer,
}

impl Lab {
    /// A master and so many agents with 4 cpus and 4 GB each, of which all have registered.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn new(seed: u64, agents: usize) -> Result<Lab, ClusterError> {
        Lab::with(ClusterOptions {
            world: SimOptions {
                seed,
                ..SimOptions::default()
            },
            agents,
            ..ClusterOptions::default()
        })
    }

    /// As [`Lab::new`], of another make.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn with(options: ClusterOptions) -> Result<Lab, ClusterError> {
        let agents = options.agents;
        let mut cluster = Cluster::new(options)?;
        let observer = Observer::attach(&mut cluster);
        let mut lab = Lab { cluster, observer };
        lab.run_until(Duration::from_secs(60), |lab| {
            lab.agents_registered() == agents
        });
        Ok(lab)
    }

    /// Starts a scheduler on a host of its own, as user root in role `*`, with checkpoints and an
    /// hour to come back.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn start<S: Scheduler>(
        &mut self,
        name: &str,
        scheduler: S,
    ) -> Result<Framework<S>, ClusterError> {
        let info = FrameworkInfo {
            user: "root".to_owned(),
            name: name.to_owned(),
            checkpoint: Some(true),
            failover_timeout: Some(FAILOVER_TIMEOUT_S),
            ..FrameworkInfo::default()
        };
        let started = self.start_with(info, scheduler, Options::default())?;
        Ok(started.0)
    }

    /// Starts a scheduler with all that can be said of it; also gives its host, to cut it off or
    /// crash it.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn start_with<S: Scheduler>(
        &mut self,
        info: FrameworkInfo,
        scheduler: S,
        options: Options,
    ) -> Result<(Framework<S>, Node), ClusterError> {
        let host = self.cluster.framework_host()?;
        let master = self.cluster.master_pid();
        let framework = spawn_with(&host, master, info, scheduler, options).map_err(|source| {
            ClusterError::Spawn {
                name: host.name().to_owned(),
                source,
            }
        })?;
        Ok((framework, host))
    }

    /// Runs for a virtual duration.
    pub fn run_for(&mut self, duration: Duration) {
        self.cluster.simulation.run_for(duration);
    }

    /// Runs until something is so, looked at once a virtual second; false if it is not within
    /// `limit`.
    pub fn run_until(&mut self, limit: Duration, mut so: impl FnMut(&mut Lab) -> bool) -> bool {
        let end = self.now() + limit;
        loop {
            if so(self) {
                return true;
            }
            if self.now() >= end {
                return false;
            }
            self.run_for(Duration::from_secs(1));
        }
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.cluster.simulation.now()
    }

    /// Asks a scheduler something, between two of its events; nothing if its actor has ended.
    pub fn look<S: Scheduler, T: Send + 'static>(
        &mut self,
        framework: &Framework<S>,
        look: impl FnOnce(&S) -> T + Send + 'static,
    ) -> Option<T> {
        let seen = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&seen);
        framework.call(move |scheduler, _| {
            let value = look(scheduler);
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        });
        self.cluster.simulation.run_until_idle();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.take()
    }

    /// The host of an agent, by number from 0, crashes with its tasks; nothing if it is down.
    pub fn crash_agent(&mut self, number: usize) {
        self.cluster.crash_agent(number);
    }

    /// Starts the agent of a host that is down, with what is left on its disk.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn start_agent(&mut self, number: usize) -> Result<(), ClusterError> {
        self.cluster.start_agent(number)
    }

    /// Nothing passes between an agent and the master any more, either way.
    pub fn cut_agent_off(&mut self, number: usize) {
        let nodes = self.node(number).zip(self.cluster.master());
        if let Some((agent, (master, _))) = nodes {
            let network = self.cluster.simulation.network();
            network.partition(&[&agent], &[master]);
        }
    }

    /// The agent and the master reach each other again.
    pub fn heal_agent(&mut self, number: usize) {
        let nodes = self.node(number).zip(self.cluster.master());
        if let Some((agent, (master, _))) = nodes {
            self.cluster.simulation.network().heal(&agent, master);
        }
    }

    fn node(&self, number: usize) -> Option<Node> {
        let host = self.cluster.agents().get(number)?;
        host.up.as_ref().map(|(node, _)| node.clone())
    }

    /// The hostname of each agent, as offers tell it.
    #[must_use]
    pub fn hostnames(&self) -> Vec<String> {
        let agents = self.cluster.agents().iter();
        agents.map(|host| host.name.clone()).collect()
    }

    /// The master's host crashes and is back after a while.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn restart_master(&mut self, after: Duration) -> Result<(), ClusterError> {
        self.cluster.crash_master();
        self.run_for(after);
        self.cluster.start_master()
    }

    /// How many agents the master serves.
    #[must_use]
    pub fn agents_registered(&self) -> usize {
        let master = self.cluster.master();
        master.map_or(0, |(_, master)| master.snapshot().agents.size())
    }

    /// How many frameworks the master has that are not over.
    #[must_use]
    pub fn frameworks_registered(&self) -> usize {
        let master = self.cluster.master();
        master.map_or(0, |(_, master)| master.snapshot().frameworks.size())
    }

    /// How many tasks run, as the master knows.
    #[must_use]
    pub fn tasks_running(&self) -> usize {
        let Some((_, master)) = self.cluster.master() else {
            return 0;
        };
        let snapshot = master.snapshot();
        let frameworks = snapshot.frameworks.values();
        let running = frameworks.flat_map(|framework| framework.tasks.values());
        running
            .filter(|task| task.state() == TaskState::TaskRunning)
            .count()
    }

    /// What was broken so far of the rules on what happens, with when, and what the books of master,
    /// allocator and agents break just now of those that hold at any time; none, unless Tepui or
    /// the scheduler has a defect.
    pub fn violations(&mut self) -> Vec<String> {
        self.compared(books::at_any_time)
    }

    /// Asserts that no rule was broken of those that hold at any time.
    ///
    /// # Panics
    /// If one was.
    pub fn assert_in_order(&mut self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    }

    /// Asserts the same, and the rules of a cluster in which nothing moves any more: every book
    /// agrees, what was launched runs or its end was told, and no update waits. Let it run for a
    /// while without faults before: agents whose update was lost say it again after ten seconds at
    /// first, and then twice as long each time.
    ///
    /// # Panics
    /// If a rule was broken.
    pub fn assert_at_rest(&mut self) {
        let violations = self.compared(books::once_quiet);
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    }

    fn compared(&mut self, rules: fn(&Books) -> Vec<Violation>) -> Vec<String> {
        let books = self.observer.books(&mut self.cluster);
        let (now, seen) = (self.now(), self.observer.violations());
        let found = rules(&books).into_iter().map(|it| (now, it));
        let all = seen.into_iter().chain(found);
        all.map(|(at, it)| format!("{at} {it}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use tepui_framework::{Driver, Task};
    use tepui_protocol::mesos::v1::{Offer, TaskStatus};
    use tepui_runtime::{
        Bytes, CodecError, Context, Declaration, Encoding, Handle, Id, Message, Process,
    };

    use super::*;

    /// Runs one task, and acknowledges nothing.
    #[derive(Default)]
    struct Mute(bool);

    impl Scheduler for Mute {
        fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
            for offer in &offers {
                if std::mem::replace(&mut self.0, true) {
                    driver.decline(offer);
                } else {
                    let task = Task::command("one", "sleep 1000");
                    driver.launch(offer, [task.cpus(1.0).mem(64.0).on(offer)]);
                }
            }
        }

        fn update(&mut self, _: &mut Driver<'_>, _: TaskStatus) {}
    }

    fn lab(acknowledge: bool) -> Lab {
        let mut lab = Lab::new(5, 1).unwrap();
        let info = FrameworkInfo {
            user: "root".to_owned(),
            name: "mute".to_owned(),
            ..FrameworkInfo::default()
        };
        let options = Options {
            acknowledge,
            ..Options::default()
        };
        lab.start_with(info, Mute::default(), options).unwrap();
        lab.run_for(Duration::from_secs(60));
        assert_eq!(lab.tasks_running(), 1);
        lab
    }

    /// Its decoder does not take what its encoder wrote.
    #[derive(Clone, Debug)]
    struct Scrambled;

    impl Message for Scrambled {
        const NAME: &'static str = "test.Scrambled";
        const ENCODINGS: &'static [Encoding] = &[Encoding::Json];

        fn encode(&self, _: Encoding) -> Result<Bytes, CodecError> {
            Ok(Bytes::from_static(b"?"))
        }

        fn decode(_: Encoding, _: &[u8]) -> Result<Scrambled, CodecError> {
            Err(CodecError::Decode {
                message: Self::NAME.to_owned(),
                path: String::new(),
                problem: "it is gone".to_owned(),
            })
        }
    }

    struct Unscrambler;

    impl Process for Unscrambler {
        fn declare(declaration: &mut Declaration<Unscrambler>) {
            declaration.message::<Scrambled>();
        }
    }

    impl Handle<Scrambled> for Unscrambler {
        fn handle(&mut self, _: Scrambled, _: &mut Context<'_, Unscrambler>) {}
    }

    #[test]
    fn a_message_that_is_not_read_back_breaks_a_rule() {
        let mut lab = Lab::new(6, 1).unwrap();
        let (here, there) = (lab.cluster.framework_host(), lab.cluster.framework_host());
        let (here, there) = (here.unwrap(), there.unwrap());
        let to = there.spawn(Id::chosen("there"), Unscrambler).unwrap();
        lab.assert_in_order();
        for _ in 0..100 {
            here.send(&here.pid_of("here"), to.pid(), Scrambled);
        }
        lab.run_for(Duration::from_secs(1));
        let violations = lab.violations();
        let [one] = &violations[..] else {
            panic!("{violations:?}")
        };
        assert!(
            one.ends_with("reads-back: test.Scrambled does not decode: it is gone"),
            "{one}"
        );
    }

    #[test]
    fn what_acknowledges_is_at_rest() {
        lab(true).assert_at_rest();
    }

    /// What always holds is not broken by it, what holds once quiet is.
    #[test]
    #[should_panic(expected = "nothing-waits")]
    fn who_never_acknowledges_is_in_order_and_not_at_rest() {
        let mut lab = lab(false);
        assert_eq!(lab.violations(), Vec::<String>::new());
        lab.assert_in_order();
        lab.assert_at_rest();
    }
}
