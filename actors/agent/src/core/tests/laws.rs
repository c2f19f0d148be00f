//! Whatever happens in whatever order: every task comes to exactly one told end, is given to its
//! executor at most once, and with all of its group or not at all; and nothing of it is left. A
//! container was told what its executor and tasks need, or is about to be.

use proptest::prelude::*;
use proptest::sample::Index;
use tepui_protocol::mesos::internal::{RunTaskGroup, ShutdownExecutor};
use tepui_protocol::mesos::v1::TaskGroupInfo;

use super::*;
use crate::updates::is_terminal;

/// What happens next; an index picks among what it can happen to.
#[derive(Debug, Clone)]
enum Step {
    /// One more task, for an executor of its own (0) or for one of the framework's.
    Run(u8),
    /// So many tasks together, for one of the framework's executors.
    RunGroup(u8, usize),
    Launched(Index, bool),
    Subscribe(Index),
    Update(Index, TaskState),
    Updated(Index, bool),
    Kill(Index),
    Shutdown(Index),
    Exited,
    Terminated(Index),
    Acknowledge(Index),
    Timeout(Index),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let states = prop::sample::select(vec![
        TaskState::TaskRunning,
        TaskState::TaskFinished,
        TaskState::TaskFailed,
    ]);
    prop_oneof![
        3 => (0u8..3).prop_map(Step::Run),
        2 => (1u8..3, 1usize..4).prop_map(|(executor, count)| Step::RunGroup(executor, count)),
        3 => (index(), prop::bool::weighted(0.8)).prop_map(|(at, good)| Step::Launched(at, good)),
        3 => index().prop_map(Step::Subscribe),
        4 => (index(), states).prop_map(|(at, state)| Step::Update(at, state)),
        3 => (index(), prop::bool::weighted(0.8)).prop_map(|(at, good)| Step::Updated(at, good)),
        1 => index().prop_map(Step::Kill),
        1 => index().prop_map(Step::Shutdown),
        1 => Just(Step::Exited),
        1 => index().prop_map(Step::Terminated),
        4 => index().prop_map(Step::Acknowledge),
        1 => index().prop_map(Step::Timeout),
    ]
}

/// A container that the containerizer was asked for.
#[derive(Debug, Clone)]
struct Asked {
    id: String,
    executor: String,
    answered: bool,
}

struct Cluster {
    rig: Rig,
    checkpoint: bool,
    tasks: Vec<String>,
    /// Containers that are not gone.
    containers: Vec<Asked>,
    /// Timers that may go off.
    timers: Vec<Timer>,
    /// Changes of limits that are not answered.
    changes: Vec<u64>,
    /// The containers that these are of.
    changed: BTreeMap<u64, String>,
    /// The thousandths of cpus that each container was told to have last.
    told_cpus: BTreeMap<String, i64>,
    /// What is not acknowledged: task, uuid.
    unacknowledged: Vec<(String, Bytes)>,
    /// The tasks of each group.
    groups: Vec<Vec<String>>,
    /// Tasks that were given to an executor.
    delivered: BTreeSet<String>,
    /// Those whose executor lives, with its id.
    held: Vec<(String, String)>,
    /// The ends that were told, by task: the uuids.
    ends: BTreeMap<String, BTreeSet<Bytes>>,
    next_uuid: u8,
}

impl Cluster {
    fn new(checkpoint: bool) -> Cluster {
        Cluster {
            rig: Rig::registered(),
            checkpoint,
            tasks: Vec::new(),
            containers: Vec::new(),
            timers: Vec::new(),
            changes: Vec::new(),
            changed: BTreeMap::new(),
            told_cpus: BTreeMap::new(),
            unacknowledged: Vec::new(),
            groups: Vec::new(),
            delivered: BTreeSet::new(),
            held: Vec::new(),
            ends: BTreeMap::new(),
            next_uuid: 0,
        }
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Launch(launch) => {
                    let id = launch.container_id.value.clone();
                    self.told_cpus.insert(id.clone(), cpus(&launch.resources));
                    self.containers.push(Asked {
                        id,
                        executor: launch.executor_id.value.clone(),
                        answered: false,
                    });
                }
                Effect::UpdateContainer(number, update) => {
                    let id = update.container_id.value;
                    self.told_cpus.insert(id.clone(), cpus(&update.resources));
                    self.changed.insert(number, id);
                    self.changes.push(number);
                }
                Effect::Timer(
                    _,
                    timer @ (Timer::ExecutorRegistration(_) | Timer::ExecutorShutdown(_)),
                ) => {
                    self.timers.push(timer);
                }
                Effect::Send(_, Outbound::Status(message)) => self.told(&message),
                Effect::Send(_, Outbound::Event(event)) => {
                    if let Some(launch) = event.launch {
                        self.delivered(launch.task);
                    }
                    if let Some(launch) = event.launch_group {
                        let tasks = launch.task_group.tasks;
                        let ids = tasks.iter().map(|task| task.task_id.value.clone());
                        let ids: Vec<String> = ids.collect();
                        assert!(self.groups.contains(&ids), "{ids:?} is no whole group");
                        tasks.into_iter().for_each(|task| self.delivered(task));
                    }
                }
                _ => {}
            }
        }
    }

    fn delivered(&mut self, info: TaskInfo) {
        let task = info.task_id.value;
        let first = self.delivered.insert(task.clone());
        assert!(first, "{task} was given to its executor twice");
        let executor = info.executor.map(|own| own.executor_id.value);
        let executor = executor.unwrap_or_else(|| task.clone());
        self.held.push((task, executor));
    }

    fn told(&mut self, message: &StatusUpdateMessage) {
        let status = &message.update.status;
        let task = status.task_id.value.clone();
        let uuid = message.update.uuid.clone().expect("a uuid");
        if is_terminal(status.state()) {
            let ends = self.ends.entry(task.clone()).or_default();
            ends.insert(uuid.clone());
            assert_eq!(ends.len(), 1, "{task} has ended in two ways");
        } else {
            assert!(
                !self.ends.contains_key(&task),
                "{task} goes on after its end"
            );
        }
        let told = (task, uuid);
        if !self.unacknowledged.contains(&told) {
            self.unacknowledged.push(told);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Run(executor) => self.run(executor),
            Step::RunGroup(executor, count) => self.run_group(executor, count),
            Step::Launched(at, good) => {
                let waiting = self.containers.iter().filter(|asked| !asked.answered);
                let waiting: Vec<String> = waiting.map(|asked| asked.id.clone()).collect();
                if let Some(id) = pick(&waiting, &at) {
                    self.launched(&id, good);
                }
            }
            Step::Subscribe(at) => {
                let alive = self.containers.iter().filter(|asked| asked.answered);
                let alive: Vec<String> = alive.map(|asked| asked.executor.clone()).collect();
                if let Some(executor) = pick(&alive, &at) {
                    let effects = self.rig.subscribe_as(&executor);
                    self.take(effects);
                }
            }
            Step::Update(at, state) => {
                if let Some((task, executor)) = pick(&self.held, &at) {
                    self.next_uuid = self.next_uuid.wrapping_add(1);
                    let uuid = self.next_uuid;
                    let effects = self.rig.update_of(&executor, &task, state, uuid);
                    self.take(effects);
                }
            }
            Step::Updated(at, good) => {
                if let Some(number) = pick(&self.changes, &at) {
                    self.updated(number, good);
                }
            }
            Step::Kill(at) => {
                if let Some(task) = pick(&self.tasks, &at)
                    && self.unfinished(&task)
                {
                    let effects = self.rig.kill(&task);
                    self.take(effects);
                }
            }
            Step::Shutdown(at) => {
                let ids = self.containers.iter().map(|asked| asked.executor.clone());
                if let Some(executor) = pick(&ids.collect::<Vec<_>>(), &at) {
                    let message = ShutdownExecutor {
                        framework_id: Some(framework_id("F")),
                        executor_id: Some(executor_id(&executor)),
                    };
                    let effects = self.rig.master(FromMaster::ShutdownExecutor(message));
                    self.take(effects);
                }
            }
            Step::Exited => {
                let effects = self.rig.input(Input::Exited(pid("x@10.0.0.2:9")));
                self.take(effects);
            }
            Step::Terminated(at) => {
                let alive = self.containers.iter().filter(|asked| asked.answered);
                let alive: Vec<String> = alive.map(|asked| asked.id.clone()).collect();
                if let Some(id) = pick(&alive, &at) {
                    self.terminated(&id);
                }
            }
            Step::Acknowledge(at) => {
                if let Some(told) = pick(&self.unacknowledged, &at) {
                    self.acknowledge(&told);
                }
            }
            Step::Timeout(at) => {
                if let Some(timer) = pick(&self.timers, &at) {
                    let effects = self.rig.timer(timer);
                    self.take(effects);
                }
            }
        }
    }

    /// A master does not kill what it knows to have ended.
    fn unfinished(&self, task: &str) -> bool {
        !self.ends.contains_key(task)
    }

    fn run(&mut self, executor: u8) {
        let id = format!("t{}", self.tasks.len());
        self.tasks.push(id.clone());
        let task = match executor {
            0 => task(&id),
            number => custom_task(&id, &format!("e{number}")),
        };
        let effects = self.rig.run_task(framework(self.checkpoint), task);
        self.take(effects);
    }

    fn run_group(&mut self, executor: u8, count: usize) {
        let first = self.tasks.len();
        let ids: Vec<String> = (first..first + count).map(|it| format!("t{it}")).collect();
        let tasks = ids
            .iter()
            .map(|id| custom_task(id, &format!("e{executor}")));
        let tasks: Vec<TaskInfo> = tasks.collect();
        self.tasks.extend(ids.iter().cloned());
        self.groups.push(ids);
        let message = RunTaskGroup {
            framework: framework(self.checkpoint),
            executor: tasks[0].executor.clone().unwrap(),
            task_group: TaskGroupInfo { tasks },
            ..RunTaskGroup::default()
        };
        let effects = self.rig.master(FromMaster::RunTaskGroup(Box::new(message)));
        self.take(effects);
    }

    fn launched(&mut self, id: &str, good: bool) {
        let launched = Launched {
            container_id: container_id(id),
            pid: Some(1),
            error: (!good).then(|| "no".to_owned()),
        };
        if good {
            let of_it = self.containers.iter_mut().filter(|asked| asked.id == id);
            of_it.for_each(|asked| asked.answered = true);
        } else {
            self.containers.retain(|asked| asked.id != id);
        }
        let effects = self
            .rig
            .input(Input::Launched(container_id(id), Ok(launched)));
        self.take(effects);
    }

    fn updated(&mut self, number: u64, good: bool) {
        self.changes.retain(|other| *other != number);
        let updated = Updated {
            error: (!good).then(|| "no".to_owned()),
            ..Updated::default()
        };
        let effects = self.rig.input(Input::ContainerUpdated(number, updated));
        self.take(effects);
    }

    fn terminated(&mut self, id: &str) {
        let gone = self.containers.iter().find(|asked| asked.id == id).cloned();
        let gone = gone.map(|asked| asked.executor);
        self.held
            .retain(|(_, executor)| Some(executor) != gone.as_ref());
        self.containers.retain(|asked| asked.id != id);
        let effects = self.rig.terminated(id);
        self.take(effects);
    }

    fn acknowledge(&mut self, told: &(String, Bytes)) {
        self.unacknowledged.retain(|other| other != told);
        let effects = self.rig.acknowledge(&told.0, told.1.clone());
        self.take(effects);
    }

    /// Executors that have subscribed whose containers have what they do not need, or lack what
    /// they need, although nothing is under way.
    fn ill_sized(&self) -> Vec<String> {
        let known = self.rig.core.frameworks().values();
        let executors = known.flat_map(|known| known.executors.values());
        let running = executors.filter(|one| one.state == ExecutorState::Running);
        let settled = running.filter(|one| {
            let mut changes = self.changes.iter();
            !changes.any(|number| self.changed[number] == one.container)
        });
        let wrong = settled.filter_map(|one| {
            let tasks = one.tasks.values();
            let live = tasks.filter(|task| !is_terminal(task.task.state()));
            let tasks: i64 = live.map(|task| cpus(&task.task.resources)).sum();
            let needs = cpus(&one.info.resources) + tasks;
            let told = self.told_cpus[&one.container];
            (told != needs).then(|| format!("{}: {told} of {needs}", one.id()))
        });
        wrong.collect()
    }

    /// Everything that is under way comes to its end.
    fn finish(&mut self) {
        while let Some(asked) = self.containers.first().cloned() {
            if !asked.answered {
                self.launched(&asked.id, true);
            }
            self.terminated(&asked.id);
        }
        while let Some(number) = self.changes.first().copied() {
            self.updated(number, true);
        }
        while let Some(told) = self.unacknowledged.first().cloned() {
            self.acknowledge(&told);
        }
    }
}

/// The thousandths of cpus among resources.
fn cpus(resources: &[Resource]) -> i64 {
    let cpus = resources.iter().filter(|resource| resource.name == "cpus");
    let amounts = cpus.filter_map(|resource| resource.scalar.as_ref());
    #[expect(clippy::cast_possible_truncation, reason = "they are a few cpus")]
    let thousandths = amounts.map(|scalar| (scalar.value * 1000.0).round() as i64);
    thousandths.sum()
}

fn pick<T: Clone>(among: &[T], at: &Index) -> Option<T> {
    (!among.is_empty()).then(|| at.get(among).clone())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_task_comes_to_one_told_end(
        checkpoint in any::<bool>(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut cluster = Cluster::new(checkpoint);
        for step in steps {
            cluster.step(step);
            prop_assert_eq!(cluster.ill_sized(), Vec::<String>::new());
        }
        cluster.finish();
        for task in &cluster.tasks {
            prop_assert!(cluster.ends.contains_key(task), "{task} has no end");
        }
        for group in &cluster.groups {
            let there = group.iter().filter(|task| cluster.delivered.contains(*task));
            let there = there.count();
            prop_assert!(there == 0 || there == group.len(), "{group:?}: {there} delivered");
        }
        let core = &cluster.rig.core;
        prop_assert!(core.frameworks().is_empty(), "{:?}", core.frameworks());
        prop_assert!(core.waiting.is_empty());
    }
}
