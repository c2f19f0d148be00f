//! When what is left over is removed.

use super::*;
use crate::checkpoint::Folder;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The folders that are to be removed, below the work_dir, container ids left out.
fn collected(effects: &[Effect]) -> Vec<String> {
    let paths = effects.iter().filter_map(|effect| match effect {
        Effect::Collect(paths) => Some(paths),
        _ => None,
    });
    paths
        .flatten()
        .map(|path| {
            let inner = path.strip_prefix("/w").unwrap().display().to_string();
            let plain = |part: &str| if part.len() == 36 { "C" } else { part }.to_owned();
            inner.split('/').map(plain).collect::<Vec<_>>().join("/")
        })
        .collect()
}

fn timer_of(effects: &[Effect]) -> Option<(Duration, Timer)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Timer(after, timer @ Timer::Collect(_)) => Some((*after, timer.clone())),
        _ => None,
    })
}

/// An agent on which task `t` has come to its end, and what was asked for then.
fn ended(checkpoint: bool) -> (Rig, Vec<Effect>) {
    let (mut rig, container) = Rig::running(framework(checkpoint));
    rig.update(TaskState::TaskFinished, 1);
    rig.updated(1);
    rig.terminated(&container);
    let effects = rig.acknowledge("t", Bytes::from(vec![1; 16]));
    (rig, effects)
}

#[test]
fn what_ended_is_removed_a_week_later() {
    let (mut rig, effects) = ended(true);
    let touched = effects.iter().filter_map(|effect| match effect {
        Effect::Disk(Write::Touch { path }) => Some(tail(path)),
        _ => None,
    });
    assert_eq!(
        touched.collect::<Vec<_>>(),
        ["runs/C", "executors/t", "frameworks/F"]
    );
    assert_eq!(rig.core.scheduled_removals(), 3);
    let (after, timer) = timer_of(&effects).expect("a timer");
    assert_eq!(after, 7 * DAY);
    rig.after(after);
    let mut paths = collected(&rig.timer(timer));
    paths.sort();
    assert_eq!(
        paths,
        [
            "meta/slaves/S0/frameworks/F",
            "meta/slaves/S0/frameworks/F/executors/t",
            "meta/slaves/S0/frameworks/F/executors/t/runs/C",
            "slaves/S0/frameworks/F",
            "slaves/S0/frameworks/F/executors/t",
            "slaves/S0/frameworks/F/executors/t/runs/C",
        ]
    );
    assert_eq!(rig.core.scheduled_removals(), 0);
}

#[test]
fn the_fuller_the_disk_the_younger_is_what_goes() {
    let (mut rig, _) = ended(false);
    rig.after(DAY);
    // 1 - 0.1 - 0.7: two tenths of a week, more than a day.
    let effects = rig.input(Input::DiskUsage(Ok(0.7)));
    assert_eq!(collected(&effects), [""; 0]);
    assert_eq!(rig.core.max_sandbox_age().as_secs(), 7 * 24 * 3600 / 5);
    // One tenth of a week is less than a day.
    let effects = rig.input(Input::DiskUsage(Ok(0.8)));
    assert_eq!(collected(&effects).len(), 6);

    let (mut rig, _) = ended(false);
    let effects = rig.input(Input::DiskUsage(Ok(0.95)));
    assert_eq!(collected(&effects).len(), 6, "no room: nothing is kept");
    assert_eq!(rig.core.max_sandbox_age(), Duration::ZERO);
}

#[test]
fn the_disk_is_watched_every_minute_and_when_it_is_full() {
    let mut rig = Rig::new();
    let effects = rig.input(Input::Recovered(Box::default()));
    let watch = |effects: &[Effect]| {
        let timer = Effect::Timer(Duration::from_secs(60), Timer::DiskWatch);
        effects.contains(&Effect::MeasureDisk) && effects.contains(&timer)
    };
    assert!(watch(&effects));
    assert!(watch(&rig.timer(Timer::DiskWatch)));
    assert_eq!(rig.input(Input::DiskFull), [Effect::MeasureDisk]);
    let effects = rig.input(Input::DiskUsage(Err("EIO".to_owned())));
    assert!(matches!(&effects[..], [Effect::Note(Note::Info(_))]));
}

#[test]
fn what_is_used_again_is_kept() {
    let (mut rig, effects) = ended(false);
    let (after, timer) = timer_of(&effects).expect("a timer");
    // The same framework and executor: only the old run is left over.
    rig.run(framework(false), task("t"));
    rig.after(after);
    assert_eq!(
        collected(&rig.timer(timer)),
        [
            "slaves/S0/frameworks/F/executors/t/runs/C",
            "meta/slaves/S0/frameworks/F/executors/t/runs/C",
        ]
    );
}

#[test]
fn one_timer_is_set_and_a_stale_one_changes_nothing() {
    let (mut rig, effects) = ended(false);
    let (_, timer) = timer_of(&effects).expect("a timer");
    rig.after(DAY);
    rig.run(framework(false), task("u"));
    assert!(timer_of(&rig.kill("u")).is_none(), "the first is earlier");
    rig.after(6 * DAY);
    assert!(!collected(&rig.timer(timer.clone())).is_empty());
    assert_eq!(collected(&rig.timer(timer)), [""; 0]);
}

#[test]
fn a_restarted_agent_knows_the_age_of_what_is_left() {
    let begin = Time::from_nanos(1_000_000_000_000);
    let mut options = options();
    options.gc_delay = Duration::from_secs(3600);
    let mut rig = Rig::with(options);
    rig.now = begin + Duration::from_secs(1800);
    let state = RecoveredState {
        folders: vec![
            (Folder::agent("old"), begin),
            (Folder::run("S0", "F", "e", "c"), begin),
        ],
        ..RecoveredState::default()
    };
    let effects = rig.input(recovered(state));
    assert_eq!(rig.core.scheduled_removals(), 2);
    let (after, timer) = timer_of(&effects).expect("a timer");
    assert_eq!(after, Duration::from_secs(1800));
    rig.after(after);
    assert_eq!(
        collected(&rig.timer(timer)),
        [
            "slaves/S0/frameworks/F/executors/e/runs/c",
            "meta/slaves/S0/frameworks/F/executors/e/runs/c",
            "slaves/old",
            "meta/slaves/old",
        ]
    );
}
