//! An executor and an agent that plays its part by chance: whatever comes in whatever order, each
//! task has one end, its group ends with it as it should, and the executor exits.

use std::collections::BTreeSet;

use super::*;

/// Chance that is the same for the same seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap() % sides
    }

    fn happens(&mut self, one_in: usize) -> bool {
        self.throw(one_in) == 0
    }
}

/// The agent, its containers, and what it was told.
struct World {
    core: Core,
    dice: Dice,
    now: Duration,
    uuids: u64,
    asks: Vec<(Ask, agent::Call)>,
    timers: BTreeSet<Timer>,
    /// Raw wait statuses of those that ended.
    containers: BTreeMap<String, Option<i32>>,
    /// SUBSCRIBE was sent, and not answered.
    subscribing: bool,
    connected: bool,
    /// What was told of each task, in order, without repetition.
    told: BTreeMap<String, Vec<TaskState>>,
    known: BTreeSet<Vec<u8>>,
    unacknowledged: Vec<(TaskId, Bytes)>,
    groups: Vec<Vec<String>>,
    shut_down: bool,
    exited: bool,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            core: Core::new(settings(true, &[])).unwrap(),
            dice: Dice(seed),
            now: Duration::from_secs(1000),
            uuids: 0,
            asks: Vec::new(),
            timers: BTreeSet::new(),
            containers: BTreeMap::new(),
            subscribing: false,
            connected: false,
            told: BTreeMap::new(),
            known: BTreeSet::new(),
            unacknowledged: Vec::new(),
            groups: Vec::new(),
            shut_down: false,
            exited: false,
        }
    }

    fn feed(&mut self, input: Input) {
        let mut uuid = || {
            self.uuids += 1;
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&self.uuids.to_be_bytes());
            bytes
        };
        self.now += Duration::from_millis(10);
        let mut turn = Turn {
            now: self.now,
            uuid: &mut uuid,
        };
        for effect in self.core.handle(input, &mut turn) {
            assert!(!self.exited, "{effect:?} after the exit");
            match effect {
                Effect::Subscribe(call) => {
                    self.subscribing = true;
                    let updates = call.subscribe.unwrap().unacknowledged_updates;
                    updates
                        .into_iter()
                        .for_each(|update| self.told(update.status));
                }
                Effect::Send(call) => {
                    assert!(self.connected, "{call:?} to nobody");
                    self.told(call.update.unwrap().status);
                }
                Effect::Ask(ask, call) => {
                    let again = self.asks.iter().any(|(other, _)| *other == ask);
                    let kill = matches!(ask.errand, Errand::Kill(_));
                    assert!(kill || !again, "{ask:?} while it is under way");
                    self.asks.push((ask, *call));
                }
                Effect::Arm(timer, _) | Effect::ArmWithin(timer, _) => {
                    self.timers.insert(timer);
                }
                Effect::Cancel(timer) => {
                    self.timers.remove(&timer);
                }
                Effect::Exit => self.exited = true,
                Effect::Probe(..) | Effect::Link(..) | Effect::Echo(_) => {}
            }
        }
    }

    fn told(&mut self, status: TaskStatus) {
        let uuid = status.uuid.clone().unwrap();
        if !self.known.insert(uuid.to_vec()) {
            return;
        }
        let states = self.told.entry(status.task_id.value.clone()).or_default();
        let ended = states.last().is_some_and(|state| is_end(*state));
        assert!(!ended, "{status:?} after {states:?}");
        states.push(status.state());
        self.unacknowledged.push((status.task_id, uuid));
    }

    fn event(&mut self, kind: event::Type, event: Event) {
        let r#type = Some(kind as i32);
        self.feed(Input::Event(Box::new(Event { r#type, ..event })));
    }

    fn subscribed(&mut self) {
        self.subscribing = false;
        self.connected = true;
        let subscribed = Some(event::Subscribed {
            container_id: Some(ContainerId::top("root")),
            ..event::Subscribed::default()
        });
        let event = Event {
            subscribed,
            ..Event::default()
        };
        self.event(event::Type::Subscribed, event);
    }

    fn launch_group(&mut self) {
        let number = self.groups.len();
        let ids: Vec<String> = (0..=self.dice.throw(3))
            .map(|task| format!("{number}.{task}"))
            .collect();
        let mut tasks = Vec::new();
        for id in &ids {
            let fields = match self.dice.throw(4) {
                0 => json!({"health_check": {
                    "type": "COMMAND", "command": {"value": "x"},
                    "grace_period_seconds": 0, "consecutive_failures": 2,
                }}),
                1 => json!({"max_completion_time": {"nanoseconds": 1_000_000_000}}),
                2 if self.dice.happens(8) => json!({"health_check": {}}),
                _ => json!({}),
            };
            tasks.push(task_of(id, &fields));
        }
        self.groups.push(ids);
        let task_group = TaskGroupInfo { tasks };
        let event = Event {
            launch_group: Some(event::LaunchGroup { task_group }),
            ..Event::default()
        };
        self.event(event::Type::LaunchGroup, event);
    }

    fn kill(&mut self) {
        let group = self.dice.throw(self.groups.len().max(1));
        let Some(ids) = self.groups.get(group) else {
            return;
        };
        let task_id = ids[self.dice.throw(ids.len())].as_str().into();
        let kill_policy = None;
        let event = Event {
            kill: Some(event::Kill {
                task_id,
                kill_policy,
            }),
            ..Event::default()
        };
        self.event(event::Type::Kill, event);
    }

    fn acknowledge(&mut self) {
        if self.unacknowledged.is_empty() {
            return;
        }
        let (task_id, uuid) = self.unacknowledged.remove(0);
        let event = Event {
            acknowledged: Some(event::Acknowledged { task_id, uuid }),
            ..Event::default()
        };
        self.event(event::Type::Acknowledged, event);
    }

    /// A container's command ends, and with it what is nested in it.
    fn end(&mut self, id: &str, status: i32) {
        let inner = format!("{id}.");
        for (other, state) in &mut self.containers {
            if state.is_none() && (other == id || other.starts_with(&inner)) {
                *state = Some(if other == id { status } else { 9 });
            }
        }
    }

    fn end_one(&mut self) {
        let running = self.containers.iter().filter(|(_, end)| end.is_none());
        let running: Vec<String> = running.map(|(id, _)| id.clone()).collect();
        if !running.is_empty() {
            let id = &running[self.dice.throw(running.len())];
            let status = [0, 0, 1 << 8, 9][self.dice.throw(4)];
            self.end(id, status);
        }
    }

    /// Answers one of the questions, if it can be; in trouble perhaps not at all.
    fn answer(&mut self, trouble: bool) {
        if self.asks.is_empty() {
            return;
        }
        let index = self.dice.throw(self.asks.len());
        let (ask, call) = self.asks[index].clone();
        let answer = match self.dice.throw(8) {
            0 if trouble => {
                // Perhaps it was done, and only nobody was told.
                if self.dice.happens(2) {
                    self.carried_out(&call, trouble);
                }
                broken()
            }
            1 if trouble => refused(503, "recovering"),
            _ => match self.carried_out(&call, trouble) {
                Some(answer) => answer,
                None => return,
            },
        };
        self.asks.remove(index);
        self.feed(Input::Answered(ask, answer));
    }

    fn carried_out(&mut self, call: &agent::Call, trouble: bool) -> Option<Answer> {
        if let Some(launch) = &call.launch_container {
            let id = launch.container_id.to_string();
            match self.containers.get(&id) {
                Some(None) => return Some(given(202)),
                // An agent does it, as Mesos' does.
                Some(Some(_)) => panic!("{id} is run twice"),
                None => {}
            }
            if trouble && self.dice.happens(8) {
                return Some(refused(400, "no"));
            }
            let parent = launch.container_id.parent.as_ref().unwrap().to_string();
            if parent != "root" && self.containers.get(&parent) != Some(&None) {
                return Some(refused(400, "Parent container does not exist"));
            }
            self.containers.insert(id, None);
            return Some(given(200));
        }
        if let Some(wait) = &call.wait_container {
            let id = wait.container_id.to_string();
            return match self.containers.get(&id) {
                None => Some(given(404)),
                Some(None) => None,
                Some(Some(status)) => Some(end(&json!({"exit_status": status}))),
            };
        }
        if let Some(kill) = &call.kill_container {
            let id = kill.container_id.to_string();
            if self.containers.get(&id) != Some(&None) {
                return Some(given(404));
            }
            match kill.signal() {
                0 => {}
                9 => self.end(&id, 9),
                signal if self.dice.happens(2) => self.end(&id, signal),
                _ => {}
            }
            return Some(given(200));
        }
        let removed = call
            .remove_container
            .as_ref()
            .unwrap()
            .container_id
            .to_string();
        self.containers.remove(&removed);
        Some(given(200))
    }

    fn fire(&mut self, may: impl Fn(&Timer) -> bool) {
        let timers: Vec<Timer> = self.timers.iter().copied().filter(may).collect();
        if !timers.is_empty() {
            let timer = timers[self.dice.throw(timers.len())];
            self.timers.remove(&timer);
            self.feed(Input::Due(timer));
        }
    }

    /// One thing happens, good or bad.
    fn step(&mut self) {
        match self.dice.throw(16) {
            0 if self.connected && self.groups.len() < 4 => self.launch_group(),
            1 if self.connected => self.kill(),
            2 if self.connected && self.dice.happens(6) => {
                self.connected = false;
                self.feed(Input::Disconnected);
            }
            3 if self.connected && self.dice.happens(20) => {
                self.shut_down = true;
                self.event(event::Type::Shutdown, Event::default());
            }
            4 | 5 if self.connected => self.acknowledge(),
            6 | 7 => self.end_one(),
            8 | 9 => self.fire(|timer| !matches!(timer, Timer::Recovery | Timer::Acknowledgement)),
            10 if self.subscribing => self.subscribed(),
            _ => self.answer(true),
        }
    }

    /// All goes well until it exits.
    fn calm(&mut self) {
        for _ in 0..20_000 {
            if self.exited {
                return;
            }
            match self.dice.throw(6) {
                0 if self.subscribing => self.subscribed(),
                0 if self.groups.is_empty() && self.connected => self.launch_group(),
                1 if self.connected => self.acknowledge(),
                2 => self.end_one(),
                3 => self.fire(|timer| {
                    matches!(
                        timer,
                        Timer::Subscription | Timer::Retry(_) | Timer::Escalation(_)
                    )
                }),
                _ => self.answer(false),
            }
        }
        panic!("it does not end: {:?} {:?}", self.core, self.asks);
    }

    fn judge(&self) {
        for group in &self.groups {
            let ends: Vec<TaskState> = group
                .iter()
                .map(|id| *self.told[id].last().unwrap())
                .collect();
            assert!(ends.iter().all(|end| is_end(*end)), "{group:?} {ends:?}");
            for id in group {
                let states = &self.told[id];
                let refused = states.len() == 1 && self.shut_down;
                assert!(
                    refused || states[0] == TaskState::TaskStarting,
                    "{states:?}"
                );
            }
        }
    }
}

fn is_end(state: TaskState) -> bool {
    matches!(
        state,
        TaskState::TaskFinished | TaskState::TaskFailed | TaskState::TaskKilled
    )
}

#[test]
fn whatever_happens_each_task_has_one_end_and_the_executor_exits() {
    let (mut ends, mut together) = (BTreeSet::new(), 0);
    for seed in 0..200 {
        let mut world = World::new(seed);
        world.feed(Input::Start);
        world.subscribed();
        for _ in 0..200 {
            if !world.exited {
                world.step();
            }
        }
        world.calm();
        world.judge();
        ends.extend(world.told.values().flatten().copied());
        together += world.groups.iter().filter(|group| group.len() > 1).count();
    }
    // Chance does not leave out what it is here for.
    assert_eq!(ends.len(), 5, "{ends:?}");
    assert!(together > 100, "{together}");
}

/// After the first failure or kill nobody of a group finishes: it is killed, or fails by itself.
#[test]
fn whatever_happens_nobody_finishes_after_the_end_of_its_group() {
    let mut groups = 0;
    for seed in 1000..1200 {
        let mut world = World::new(seed);
        world.feed(Input::Start);
        world.subscribed();
        let mut bad = BTreeSet::new();
        while !world.exited {
            let finished = world.finished();
            match world.now < Duration::from_secs(1002) {
                true => world.step(),
                false => world.calm(),
            }
            for id in world.finished().difference(&finished) {
                let group = id.split('.').next().unwrap();
                assert!(!bad.contains(group), "{id} finished: {:?}", world.told);
            }
            bad = world.failed_groups();
        }
        groups += bad.len();
    }
    assert!(groups > 100, "{groups}");
}

impl World {
    fn with_end(&self, wanted: fn(TaskState) -> bool) -> impl Iterator<Item = &String> {
        let ended = self.told.iter();
        let ended = ended.filter(move |(_, states)| states.last().is_some_and(|it| wanted(*it)));
        ended.map(|(id, _)| id)
    }

    fn finished(&self) -> BTreeSet<String> {
        self.with_end(|state| state == TaskState::TaskFinished)
            .cloned()
            .collect()
    }

    fn failed_groups(&self) -> BTreeSet<String> {
        let failed = self.with_end(|state| is_end(state) && state != TaskState::TaskFinished);
        let group = |id: &String| id.split('.').next().unwrap().to_owned();
        failed.map(group).collect()
    }
}
