//! The manager against its rules: by example, and by random orders of all that can happen.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use tepui_protocol::mesos::v1::{TaskId, TaskStatus};

use super::*;

fn update(task: &str, state: TaskState, uuid: u8) -> StatusUpdate {
    let status = TaskStatus {
        task_id: TaskId {
            value: task.to_owned(),
        },
        state: state as i32,
        uuid: Some(Bytes::from(vec![uuid; 16])),
        ..TaskStatus::default()
    };
    StatusUpdate {
        uuid: status.uuid.clone(),
        status,
        ..StatusUpdate::default()
    }
}

fn uuid(uuid: u8) -> Bytes {
    Bytes::from(vec![uuid; 16])
}

/// What an action does, in short: `f<uuid>/<latest>`, `a` for an append, `r<attempt>+<seconds>`.
fn short(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .map(|action| match action {
            Action::Append { .. } => "append".to_owned(),
            Action::Behind { .. } => "behind".to_owned(),
            Action::Forward(update) => {
                format!("{} latest {:?}", uuid_of(update)[0], update.latest_state())
            }
            Action::Retry { attempt, after, .. } => format!("retry {attempt} {}s", after.as_secs()),
        })
        .collect()
}

fn running() -> UpdateManager {
    let mut manager = UpdateManager::new();
    assert_eq!(manager.resume(), vec![]);
    manager
}

#[test]
fn only_the_head_is_in_flight_and_tells_the_newest_state() {
    let mut manager = running();
    let key = StreamKey::new("f", "t");
    let (accepted, actions) = manager.update(&key, update("t", TaskState::TaskStarting, 1), None);
    assert_eq!(accepted, Accepted::New);
    assert_eq!(short(&actions), ["1 latest TaskStarting", "retry 1 10s"]);
    let (accepted, actions) = manager.update(&key, update("t", TaskState::TaskFinished, 2), None);
    assert_eq!((accepted, actions), (Accepted::New, vec![]));

    let actions = manager.retry(&key, 1);
    assert_eq!(short(&actions), ["1 latest TaskFinished", "retry 2 20s"]);

    let (acknowledged, actions) = manager.acknowledge(&key, &uuid(1));
    assert_eq!(acknowledged, Some(Acknowledged::Head { terminal: false }));
    assert_eq!(short(&actions), ["2 latest TaskFinished", "retry 3 10s"]);
    assert_eq!(
        manager.retry(&key, 2),
        vec![],
        "the timer of an earlier sending is stale"
    );

    let (acknowledged, actions) = manager.acknowledge(&key, &uuid(2));
    assert_eq!(acknowledged, Some(Acknowledged::Head { terminal: true }));
    assert_eq!(actions, vec![]);
    assert_eq!(
        manager.acknowledge(&key, &uuid(2)).0,
        None,
        "the stream is over"
    );
}

#[test]
fn what_is_not_for_the_head_changes_nothing() {
    let mut manager = running();
    let key = StreamKey::new("f", "t");
    manager.update(&key, update("t", TaskState::TaskRunning, 1), None);
    let again = manager.update(&key, update("t", TaskState::TaskRunning, 1), None);
    assert_eq!(again, (Accepted::Duplicate, vec![]));
    manager.update(&key, update("t", TaskState::TaskKilled, 2), None);
    let later = manager.update(&key, update("t", TaskState::TaskFinished, 3), None);
    assert_eq!(later, (Accepted::AfterTerminal, vec![]));
    assert_eq!(
        manager.acknowledge(&key, &uuid(2)),
        (Some(Acknowledged::Unexpected), vec![])
    );
    manager.acknowledge(&key, &uuid(1));
    assert_eq!(
        manager.acknowledge(&key, &uuid(1)),
        (Some(Acknowledged::Duplicate), vec![])
    );
    assert_eq!(manager.latest(&key), Some(TaskState::TaskKilled));
}

#[test]
fn the_pause_doubles_from_ten_seconds_to_ten_minutes() {
    let mut manager = running();
    let key = StreamKey::new("f", "t");
    manager.update(&key, update("t", TaskState::TaskRunning, 1), None);
    let pauses: Vec<u64> = (1..=9)
        .map(|attempt| match manager.retry(&key, attempt).last() {
            Some(Action::Retry { after, .. }) => after.as_secs(),
            other => panic!("no retry but {other:?}"),
        })
        .collect();
    assert_eq!(pauses, [20, 40, 80, 160, 320, 600, 600, 600, 600]);
}

#[test]
fn while_paused_updates_are_stored_and_on_resume_the_heads_are_sent() {
    let mut manager = UpdateManager::new();
    let key = StreamKey::new("f", "t");
    let path = Path::new("/t").to_owned();
    let (_, actions) = manager.update(&key, update("t", TaskState::TaskRunning, 1), Some(path));
    assert_eq!(short(&actions), ["append"]);
    assert_eq!(
        short(&manager.resume()),
        ["behind", "1 latest TaskRunning", "retry 1 10s"]
    );
    manager.pause();
    assert_eq!(manager.retry(&key, 1), vec![]);
    assert_eq!(
        short(&manager.resume()),
        ["behind", "1 latest TaskRunning", "retry 2 10s"]
    );
    assert_eq!(
        manager.retry(&key, 1),
        vec![],
        "a timer of before the pause is stale"
    );
}

#[test]
fn a_stream_that_nobody_acknowledges_is_bounded_but_takes_its_end() {
    let mut stream = Stream::new(None);
    let numbered = |state, number: usize| {
        let mut bytes = vec![0; 16];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let mut update = update("t", state, 0);
        update.uuid = Some(Bytes::from(bytes));
        update.status.uuid = update.uuid.clone();
        update
    };
    for number in 0..MAX_PENDING {
        assert_eq!(
            stream.update(numbered(TaskState::TaskRunning, number)),
            Accepted::New
        );
    }
    assert_eq!(
        stream.update(numbered(TaskState::TaskRunning, MAX_PENDING)),
        Accepted::Full
    );
    assert_eq!(
        stream.update(numbered(TaskState::TaskFailed, MAX_PENDING)),
        Accepted::New
    );
    assert_eq!(stream.pending(), MAX_PENDING + 1);
}

#[test]
fn a_foreign_file_is_named() {
    let error = replay(Path::new("/w/task.updates"), b"what is this?").unwrap_err();
    assert_eq!(
        error.to_string(),
        "checkpoint '/w/task.updates': not a checkpoint of this agent: it does not begin with a \
         record of version 1"
    );
}

/// What can happen to a manager.
#[derive(Debug, Clone)]
enum Step {
    /// The executor of task `.0` gives its next update.
    Update(u8),
    /// It repeats its last one.
    Repeat(u8),
    /// The framework acknowledges the `.1`-th update that reached it for task `.0`.
    Acknowledge(u8, prop::sample::Index),
    /// The timer of the last sending goes off.
    Retry(u8),
    /// The master is lost.
    Pause,
    /// The master is there (again).
    Resume,
    /// The agent dies within an append and reads its files back.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3u8).prop_map(Step::Update),
        1 => (0..3u8).prop_map(Step::Repeat),
        5 => (0..3u8, any::<prop::sample::Index>()).prop_map(|(t, i)| Step::Acknowledge(t, i)),
        2 => (0..3u8).prop_map(Step::Retry),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        1 => Just(Step::Crash),
    ]
}

/// A manager with its disk and its three executors, each of whose updates are numbered.
struct World {
    manager: UpdateManager,
    paused: bool,
    files: BTreeMap<String, Vec<u8>>,
    given: BTreeMap<u8, u8>,
    /// Per task, the numbers that reached the framework, in order, repetitions left out.
    seen: BTreeMap<u8, Vec<u8>>,
    acknowledged: BTreeMap<u8, u8>,
    attempts: BTreeMap<u8, u64>,
}

impl World {
    fn new() -> World {
        World {
            manager: UpdateManager::new(),
            paused: true,
            files: BTreeMap::new(),
            given: BTreeMap::new(),
            seen: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            attempts: BTreeMap::new(),
        }
    }

    fn key(task: u8) -> StreamKey {
        StreamKey::new("f", &task.to_string())
    }

    fn give(&mut self, task: u8, number: u8) -> Accepted {
        let update = update(&task.to_string(), TaskState::TaskRunning, number);
        let path = Path::new(&task.to_string()).to_owned();
        let (accepted, actions) = self.manager.update(&World::key(task), update, Some(path));
        self.carry(actions);
        accepted
    }

    fn carry(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Append { path, record } => {
                    self.files
                        .entry(path.display().to_string())
                        .or_default()
                        .extend(record);
                }
                Action::Behind { path } => {
                    let name = path.display().to_string();
                    assert!(self.files.contains_key(&name), "behind what was appended");
                }
                Action::Retry { key, attempt, .. } => {
                    self.attempts.insert(key.task.parse().unwrap(), attempt);
                }
                Action::Forward(update) => {
                    assert!(!self.paused, "sent while paused");
                    let task: u8 = update.status.task_id.value.parse().unwrap();
                    let number = uuid_of(&update)[0];
                    let done = self.acknowledged.get(&task).copied().unwrap_or(0);
                    assert_eq!(
                        number,
                        done + 1,
                        "only the oldest unacknowledged is in flight"
                    );
                    let seen = self.seen.entry(task).or_default();
                    if seen.last() != Some(&number) {
                        seen.push(number);
                    }
                }
            }
        }
    }

    fn acknowledge(&mut self, task: u8, number: u8) {
        let (acknowledged, actions) = self.manager.acknowledge(&World::key(task), &uuid(number));
        let done = self.acknowledged.entry(task).or_insert(0);
        let expected = if number == *done + 1 {
            *done = number;
            Acknowledged::Head { terminal: false }
        } else {
            Acknowledged::Duplicate
        };
        assert_eq!(acknowledged, Some(expected));
        self.carry(actions);
    }

    fn crash(&mut self) {
        self.manager = UpdateManager::new();
        self.paused = true;
        for (name, bytes) in &mut self.files {
            // A further append that never became whole.
            let whole = bytes.len();
            bytes.extend(&record::frame(b"never told")[..7]);
            let replayed = replay(Path::new(name), bytes).unwrap();
            assert_eq!(replayed.cut_to, Some(whole as u64));
            assert!(!replayed.finished);
            bytes.truncate(whole);
            self.manager
                .adopt(StreamKey::new("f", name), replayed.stream);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Update(task) => {
                let number = self.given.get(&task).copied().unwrap_or(0) + 1;
                self.given.insert(task, number);
                assert_eq!(self.give(task, number), Accepted::New);
            }
            Step::Repeat(task) => {
                if let Some(number) = self.given.get(&task).copied() {
                    assert_eq!(self.give(task, number), Accepted::Duplicate);
                }
            }
            Step::Acknowledge(task, index) => {
                let seen = self.seen.get(&task).cloned().unwrap_or_default();
                if !seen.is_empty() {
                    self.acknowledge(task, *index.get(&seen));
                }
            }
            Step::Retry(task) => {
                let attempt = self.attempts.get(&task).copied().unwrap_or(0);
                let actions = self.manager.retry(&World::key(task), attempt);
                self.carry(actions);
            }
            Step::Pause => {
                self.paused = true;
                self.manager.pause();
            }
            Step::Resume => {
                self.paused = false;
                let actions = self.manager.resume();
                self.carry(actions);
            }
            Step::Crash => self.crash(),
        }
    }
}

proptest! {
    #[test]
    fn updates_arrive_in_order_never_past_an_unacknowledged_one_and_none_is_lost(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        // When the master is there and acknowledges, everything arrives.
        world.step(Step::Resume);
        for (task, given) in world.given.clone() {
            while world.acknowledged.get(&task).copied().unwrap_or(0) < given {
                let next = *world.seen[&task].last().unwrap();
                world.acknowledge(task, next);
            }
            let all: Vec<u8> = (1..=given).collect();
            prop_assert_eq!(&world.seen[&task], &all);
            prop_assert!(!world.manager.has_pending(&World::key(task)));
        }
    }
}
