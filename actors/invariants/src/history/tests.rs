//! Each rule of what happens, kept and broken.

use tepui_protocol::mesos::v1::TaskState;

use super::*;
use crate::TaskKey;

fn task() -> TaskKey {
    TaskKey::new("f", "t")
}

/// The ids of the rules that the last of these facts breaks; those before it break none.
fn last(facts: &[Fact]) -> Vec<&'static str> {
    let mut history = History::new();
    let (end, before) = facts.split_last().unwrap();
    for fact in before {
        assert_eq!(history.see(fact), [], "{fact:?}");
    }
    let found = history.see(end);
    found
        .iter()
        .map(|violation| violation.invariant.id)
        .collect()
}

fn offered(offer: &str) -> Fact {
    Fact::Offered {
        to: "f".into(),
        framework: "f".into(),
        offer: offer.into(),
        role: "r".into(),
        agent: "a".into(),
        at: 7,
    }
}

fn accepted(offer: &str, task: &str) -> Fact {
    Fact::Answered {
        framework: "f".into(),
        offers: vec![offer.into()],
        launches: vec![task.into()],
    }
}

fn sent(task: &str) -> Fact {
    Fact::TaskSent {
        task: TaskKey::new("f", task),
        durable: true,
    }
}

fn forwarded(uuid: u8, state: TaskState) -> Fact {
    Fact::Forwarded {
        task: task(),
        agent: "a".into(),
        uuid: vec![uuid],
        state,
        had: true,
    }
}

fn recorded(uuid: u8) -> Fact {
    Fact::Recorded {
        task: task(),
        uuid: vec![uuid],
        durable: true,
    }
}

fn told(uuid: Option<u8>, state: TaskState) -> Fact {
    Fact::Told {
        to: "f".into(),
        task: task(),
        uuid: uuid.map(|uuid| vec![uuid]),
        state,
        reconciled: false,
    }
}

fn reconciled(state: TaskState) -> Fact {
    Fact::Told {
        to: "f".into(),
        task: task(),
        uuid: None,
        state,
        reconciled: true,
    }
}

fn acknowledged(uuid: u8) -> Fact {
    Fact::Acknowledged {
        task: task(),
        uuid: vec![uuid],
    }
}

fn subscribed(repeated: bool) -> Fact {
    Fact::Subscribed {
        framework: "f".into(),
        repeated,
    }
}

fn away() -> Fact {
    Fact::Disconnected {
        framework: "f".into(),
        at: 10,
        failover_timeout: 5,
    }
}

fn removed(at: u64) -> Fact {
    Fact::Removed {
        framework: "f".into(),
        at,
    }
}

const NONE: [&str; 0] = [];

#[test]
fn an_offer_is_used_once_and_not_after_it_was_rescinded() {
    assert_eq!(last(&[offered("o"), accepted("o", "t"), sent("t")]), NONE);
    assert_eq!(last(&[offered("o"), offered("o")]), ["offer-id-once"]);
    let twice = [
        offered("o"),
        accepted("o", "t"),
        sent("t"),
        accepted("o", "u"),
        sent("u"),
    ];
    assert_eq!(last(&twice), ["offer-used-once"]);
    let rescinded = Fact::Rescinded {
        to: "f".into(),
        offer: "o".into(),
    };
    assert_eq!(
        last(&[offered("o"), rescinded, accepted("o", "t"), sent("t")]),
        ["offer-used-once"]
    );
    assert_eq!(last(&[accepted("x", "t"), sent("t")]), ["offer-used-once"]);
    assert_eq!(last(&[sent("t")]), ["offer-used-once"], "nobody asked");
    let again = [offered("o"), accepted("o", "t"), sent("t"), sent("t")];
    assert_eq!(last(&again), ["offer-used-once"], "applied twice");
    let repeated = [
        offered("o"),
        accepted("o", "t"),
        sent("t"),
        accepted("o", "t"),
        sent("t"),
    ];
    assert_eq!(last(&repeated), ["offer-used-once"]);
    assert_eq!(
        last(&[
            offered("o"),
            Fact::MasterCrashed,
            accepted("o", "t"),
            sent("t")
        ]),
        ["offer-used-once"]
    );
}

#[test]
fn offers_of_who_goes_or_comes_anew_are_void() {
    let after = |fact| last(&[offered("o"), fact, accepted("o", "t"), sent("t")]);
    assert_eq!(after(away()), ["offer-used-once"]);
    assert_eq!(after(removed(20)), ["offer-used-once"]);
    assert_eq!(after(subscribed(false)), ["offer-used-once"]);
    assert_eq!(after(subscribed(true)), NONE);
    let then = [subscribed(false), offered("o"), accepted("o", "t"), away()];
    assert_eq!(
        last(&[&then[..], &[sent("t")]].concat()),
        NONE,
        "it was used"
    );
    let others = Fact::Disconnected {
        framework: "g".into(),
        at: 10,
        failover_timeout: 5,
    };
    assert_eq!(after(others), NONE);
}

#[test]
fn offers_are_made_where_they_are_wanted() {
    let wants_since = |at: u64, framework: &str, roles: &[&str]| Fact::Wants {
        framework: framework.into(),
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
        at,
    };
    let wants = |framework: &str, roles: &[&str]| wants_since(6, framework, roles);
    let unwanted = ["wanted-where-offered"];
    assert_eq!(last(&[offered("o")]), NONE, "nobody knows what it wants");
    assert_eq!(last(&[wants("f", &["r", "s"]), offered("o")]), NONE);
    assert_eq!(last(&[wants("f", &["s"]), offered("o")]), unwanted);
    assert_eq!(last(&[wants("f", &[]), offered("o")]), unwanted);
    assert_eq!(last(&[wants("g", &[]), offered("o")]), NONE, "another's");
    let granted = last(&[wants_since(7, "f", &[]), offered("o")]);
    assert_eq!(granted, NONE, "it was under way in that instant");
    let suppressed = || vec![wants("f", &["r"]), offered("o"), wants("f", &[])];
    let answered = [suppressed(), vec![accepted("o", "t"), sent("t")]].concat();
    assert_eq!(last(&answered), NONE, "it was out before");
    let again = [suppressed(), vec![offered("p")]].concat();
    assert_eq!(last(&again), unwanted);
    let revived = [suppressed(), vec![wants("f", &["r"]), offered("p")]].concat();
    assert_eq!(last(&revived), NONE);
    let crashed = [suppressed(), vec![Fact::MasterCrashed, offered("p")]].concat();
    assert_eq!(last(&crashed), NONE, "its successor was told nothing yet");
}

#[test]
fn nothing_of_a_deactivated_agent_is_offered() {
    let deactivated = |agent: &str| Fact::Deactivated {
        agent: agent.into(),
    };
    let reactivated = |agent: &str| Fact::Reactivated {
        agent: agent.into(),
    };
    let after = |facts: &[Fact]| last(&[facts, &[offered("o")]].concat());
    let unwanted = ["wanted-where-offered"];
    assert_eq!(after(&[deactivated("a")]), unwanted);
    assert_eq!(after(&[deactivated("b")]), NONE);
    assert_eq!(after(&[deactivated("a"), reactivated("b")]), unwanted);
    assert_eq!(after(&[deactivated("a"), reactivated("a")]), NONE);
    assert_eq!(after(&[deactivated("a"), subscribed(false)]), unwanted);
    assert_eq!(after(&[deactivated("a"), Fact::MasterCrashed]), NONE);
}

#[test]
fn a_framework_hears_its_own() {
    let offer = Fact::Offered {
        to: "g".into(),
        framework: "f".into(),
        offer: "o".into(),
        role: "r".into(),
        agent: "a".into(),
        at: 7,
    };
    assert_eq!(last(&[offer]), ["hears-its-own"]);
    let update = Fact::Told {
        to: "g".into(),
        task: task(),
        uuid: None,
        state: TaskState::TaskLost,
        reconciled: false,
    };
    assert_eq!(last(&[update]), ["hears-its-own"]);
    let rescinded = Fact::Rescinded {
        to: "g".into(),
        offer: "o".into(),
    };
    assert_eq!(last(&[offered("o"), rescinded]), ["hears-its-own"]);
    let heard = |to: &str| Fact::Heard {
        to: to.into(),
        framework: "f".into(),
    };
    assert_eq!(last(&[heard("g")]), ["hears-its-own"]);
    assert_eq!(last(&[heard("f")]), NONE);
    let unasked = || told(None, TaskState::TaskLost);
    assert_eq!(last(&[unasked()]), ["hears-its-own"]);
    assert_eq!(last(&[accepted("o", "t"), unasked()]), NONE);
    assert_eq!(last(&[Fact::Asked { task: task() }, unasked()]), NONE);
    assert_eq!(last(&[Fact::KillAsked { task: task() }, unasked()]), NONE);
}

#[test]
fn updates_go_one_at_a_time_and_in_order() {
    let running = || forwarded(1, TaskState::TaskRunning);
    let finished = || forwarded(2, TaskState::TaskFinished);
    assert_eq!(last(&[running(), running(), recorded(1), finished()]), NONE);
    assert_eq!(last(&[running(), finished()]), ["one-update-at-a-time"]);
    assert_eq!(
        last(&[running(), recorded(1), running()]),
        ["acknowledged-is-silent"]
    );
    let back = [
        running(),
        recorded(1),
        forwarded(2, TaskState::TaskKilling),
        told(Some(2), TaskState::TaskKilling),
        told(Some(1), TaskState::TaskRunning),
    ];
    assert_eq!(last(&back), ["updates-in-order"]);
    assert_eq!(
        last(&[told(Some(9), TaskState::TaskRunning)]),
        ["updates-in-order"]
    );
}

#[test]
fn a_crash_may_cost_the_last_acknowledgement_and_no_more() {
    let running = || forwarded(1, TaskState::TaskRunning);
    let finished = || forwarded(2, TaskState::TaskFinished);
    let crashed = || Fact::AgentCrashed { agent: "a".into() };
    // Without checkpoints there is nothing that the agent could know.
    assert_eq!(last(&[running(), crashed(), finished()]), NONE);
    let launched = || vec![offered("o"), accepted("o", "t"), sent("t")];
    let durable = |facts: Vec<Fact>| last(&[launched(), facts].concat());
    assert_eq!(
        durable(vec![running(), crashed(), finished()]),
        ["one-update-at-a-time"]
    );
    assert_eq!(
        durable(vec![running(), recorded(1), crashed(), running()]),
        NONE
    );
    assert_eq!(
        durable(vec![running(), recorded(1), crashed(), finished()]),
        NONE
    );
    let lost = vec![running(), recorded(1), crashed(), running()];
    assert_eq!(
        durable([lost, vec![finished()]].concat()),
        ["one-update-at-a-time"]
    );
    let unwritten = Fact::Recorded {
        task: task(),
        uuid: vec![1],
        durable: false,
    };
    assert_eq!(
        last(&[running(), unwritten.clone(), running()]),
        NONE,
        "its disk was full"
    );
    assert_eq!(
        last(&[running(), unwritten, finished(), running()]),
        ["acknowledged-is-silent"],
        "it went on, so it was written"
    );
    let two = vec![running(), recorded(1), finished(), crashed()];
    assert_eq!(durable([two.clone(), vec![finished()]].concat()), NONE);
    assert_eq!(
        durable([two, vec![running()]].concat()),
        ["acknowledged-is-silent"]
    );
}

#[test]
fn an_end_is_final() {
    let ended = || {
        vec![
            forwarded(1, TaskState::TaskFinished),
            told(Some(1), TaskState::TaskFinished),
        ]
    };
    let launched = || vec![offered("o"), accepted("o", "t"), sent("t")];
    let then = |facts: Vec<Fact>| last(&[launched(), ended(), facts].concat());
    assert_eq!(then(vec![told(Some(1), TaskState::TaskFinished)]), NONE);
    assert_eq!(then(vec![told(None, TaskState::TaskLost)]), NONE);
    assert_eq!(
        then(vec![acknowledged(1), told(None, TaskState::TaskRunning)]),
        ["final-is-final"]
    );
    let other = vec![
        recorded(1),
        forwarded(2, TaskState::TaskFailed),
        told(Some(2), TaskState::TaskFailed),
    ];
    assert_eq!(then(other), ["final-is-final"]);
    let alive = |end, then| {
        let kill = vec![Fact::KillAsked { task: task() }];
        let running = forwarded(2, TaskState::TaskRunning);
        let ended = [forwarded(1, end), told(Some(1), end), recorded(1), running];
        last(&[launched(), kill, ended.into(), vec![told(Some(2), then)]].concat())
    };
    let running = TaskState::TaskRunning;
    assert_eq!(alive(TaskState::TaskFinished, running), ["final-is-final"]);
    assert_eq!(alive(TaskState::TaskKilled, running), ["final-is-final"]);
    assert_eq!(alive(TaskState::TaskLost, running), NONE, "it was not lost");
    let before = {
        let run = [forwarded(1, running), told(Some(1), running), recorded(1)];
        let end = TaskState::TaskFinished;
        let end = [forwarded(2, end), told(Some(2), end)];
        [launched(), run.into(), end.into()].concat()
    };
    let again = [before, vec![told(Some(1), running)]].concat();
    assert_eq!(last(&again), NONE, "it was heard before");
}

#[test]
fn a_reconciliation_says_what_was_acknowledged_or_that_nothing_is_known() {
    use TaskState as State;
    let kill = || Fact::KillAsked { task: task() };
    let launched = || vec![offered("o"), accepted("o", "t"), sent("t"), kill()];
    let run = |state| vec![forwarded(1, state), told(Some(1), state)];
    let said = |acknowledges: bool, was, answer| {
        let mut facts = [launched(), run(was)].concat();
        facts.extend(acknowledges.then(|| acknowledged(1)));
        last(&[facts, vec![reconciled(answer)]].concat())
    };
    let contradicted = ["reconciled-as-acknowledged"];
    assert_eq!(said(true, State::TaskFinished, State::TaskFinished), NONE);
    for forgotten in [
        State::TaskLost,
        State::TaskUnknown,
        State::TaskUnreachable,
        State::TaskGone,
        State::TaskGoneByOperator,
        State::TaskDropped,
    ] {
        assert_eq!(said(true, State::TaskKilled, forgotten), NONE);
    }
    let finished = State::TaskFinished;
    for other in [
        State::TaskStaging,
        State::TaskRunning,
        State::TaskFailed,
        State::TaskKilled,
        State::TaskError,
    ] {
        assert_eq!(said(true, finished, other), contradicted, "{other:?}");
        assert_eq!(said(false, finished, other), NONE, "{other:?}");
    }
    for ran in [State::TaskRunning, State::TaskKilling] {
        assert_eq!(said(true, ran, State::TaskStaging), contradicted);
        assert_eq!(said(true, ran, State::TaskStarting), contradicted);
        assert_eq!(said(true, ran, State::TaskRunning), NONE);
        assert_eq!(said(true, ran, State::TaskFailed), NONE);
        assert_eq!(said(false, ran, State::TaskStarting), NONE);
    }
    let starting = State::TaskStarting;
    assert_eq!(said(true, starting, State::TaskStaging), NONE);
}

#[test]
fn a_task_starts_once_where_it_was_meant_to_and_is_killed_by_its_own() {
    let started = |agent: &str| Fact::Started {
        task: task(),
        meant_for: "a".into(),
        agent: agent.into(),
    };
    assert_eq!(last(&[started("a"), started("a")]), ["started-once"]);
    assert_eq!(last(&[started("b")]), ["former-self"]);
    let acted = |agent: &str| Fact::Acted {
        what: "kill of t".into(),
        meant_for: "a".into(),
        agent: agent.into(),
    };
    assert_eq!(last(&[acted("a")]), NONE);
    assert_eq!(last(&[acted("b")]), ["former-self"]);
    assert_eq!(last(&[acted("")]), ["former-self"], "it has no id yet");
    let killed = || forwarded(1, TaskState::TaskKilled);
    assert_eq!(last(&[killed()]), ["killed-by-its-own"]);
    assert_eq!(last(&[Fact::KillAsked { task: task() }, killed()]), NONE);
    let over = Fact::TeardownAsked {
        framework: "f".into(),
    };
    assert_eq!(last(&[over, killed()]), NONE);
}

#[test]
fn a_group_starts_together_and_ends_with_who_fails() {
    let of = |names: &[&str]| -> Vec<TaskKey> {
        names.iter().map(|name| TaskKey::new("f", *name)).collect()
    };
    let grouped = |one_fate| Fact::Grouped {
        tasks: of(&["t", "u"]),
        one_fate,
    };
    let given = |names: &[&str]| Fact::GroupStarted { tasks: of(names) };
    assert_eq!(last(&[grouped(true), given(&["u", "t"])]), NONE);
    for one_fate in [true, false] {
        assert_eq!(last(&[grouped(one_fate), given(&["u"])]), ["all-or-none"]);
    }
    let failed = |task: &str| Fact::Failed {
        task: TaskKey::new("f", task),
    };
    let killed = || forwarded(1, TaskState::TaskKilled);
    let own = ["killed-by-its-own"];
    assert_eq!(last(&[grouped(true), killed()]), own);
    assert_eq!(last(&[grouped(true), failed("u"), killed()]), NONE);
    assert_eq!(last(&[grouped(true), failed("t"), killed()]), own);
    assert_eq!(last(&[grouped(true), failed("v"), killed()]), own);
    assert_eq!(last(&[grouped(false), failed("u"), killed()]), own);
}

#[test]
fn a_framework_goes_for_a_reason() {
    let subscribed = || subscribed(false);
    assert_eq!(
        last(&[subscribed(), removed(20)]),
        ["torn-down-for-a-reason"]
    );
    assert_eq!(
        last(&[subscribed(), away(), removed(14)]),
        ["torn-down-for-a-reason"]
    );
    assert_eq!(last(&[subscribed(), away(), removed(15)]), NONE);
    assert_eq!(
        last(&[subscribed(), away(), subscribed(), removed(15)]),
        ["torn-down-for-a-reason"]
    );
    let crashed = || Fact::MasterCrashed;
    assert_eq!(
        last(&[subscribed(), away(), crashed(), removed(15)]),
        ["torn-down-for-a-reason"],
        "who succeeds a master knows nothing of timeouts"
    );
    assert_eq!(last(&[subscribed(), crashed(), away(), removed(15)]), NONE);
}

#[test]
fn an_agent_id_is_one_agents_for_one_life() {
    let registered = |host: &str| Fact::Registered {
        agent: "a".into(),
        host: host.into(),
    };
    let gone = || Fact::Gone { agent: "a".into() };
    assert_eq!(last(&[registered("h"), registered("h")]), NONE);
    assert_eq!(
        last(&[registered("h"), gone(), registered("h")]),
        ["one-life"]
    );
    assert_eq!(last(&[registered("h"), registered("i")]), ["one-life"]);
}
