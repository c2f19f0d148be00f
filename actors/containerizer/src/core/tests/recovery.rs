//! What a new agent finds, and what it is told.

use super::*;

#[test]
fn recovery_watches_what_lives_and_destroys_the_rest() {
    let mut core = TestCore::default();
    let ids = ["alive", "dead", "gone"].map(str::to_owned).to_vec();
    let effects = core.handle(Input::Recover {
        ids,
        asker: 7,
        observer: AGENT,
    });
    assert_eq!(effects, [Effect::Find]);
    let found = |id: &str, alive| Found {
        id: id.to_owned(),
        alive,
    };
    let all = vec![
        found("alive", true),
        found("dead", false),
        found("orphan", true),
    ];
    let destroy = |id: &str| Effect::Destroy { id: id.to_owned() };
    let effects = core.handle(Input::Found { result: Ok(all) });
    let watch = Effect::Watch {
        id: "alive".to_owned(),
    };
    assert_eq!(
        effects,
        [watch, destroy("dead"), destroy("gone"), destroy("orphan")]
    );
    let destroyed = |id: &str| Input::Destroyed {
        id: id.to_owned(),
        ending: ending(9),
    };
    core.handle(destroyed("orphan"));
    core.handle(destroyed("dead"));
    let effects = core.handle(destroyed("gone"));
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    let termination = Termination {
        status: 9,
        memory: None,
        error: None,
    };
    let expected = [
        Effect::Terminated {
            to: AGENT,
            id: "gone".to_owned(),
            termination,
        },
        Effect::Recovered {
            to: 7,
            alive: names(&["alive"]),
            orphans: names(&["orphan"]),
            error: None,
        },
    ];
    assert_eq!(effects, expected);
    assert_eq!(
        core.handle(Input::Exited {
            id: "alive".to_owned()
        }),
        [destroy("alive")]
    );
}

#[test]
fn what_the_new_agent_does_not_know_ends() {
    let mut core = running();
    core.handle(Input::Recover {
        ids: Vec::new(),
        asker: 8,
        observer: 2,
    });
    let effects = core.handle(Input::Found {
        result: Ok(Vec::new()),
    });
    assert_eq!(effects, [Effect::Destroy { id: id() }]);
    let effects = core.handle(Input::Destroyed {
        id: id(),
        ending: ending(9),
    });
    let (alive, orphans, error) = (Vec::new(), vec![id()], None);
    assert_eq!(
        effects,
        [Effect::Recovered {
            to: 8,
            alive,
            orphans,
            error
        }]
    );
    // One that it knows goes on, and its end is told to the new agent.
    let mut core = running();
    core.handle(Input::Recover {
        ids: vec![id()],
        asker: 8,
        observer: 2,
    });
    let found = vec![Found {
        id: id(),
        alive: true,
    }];
    let effects = core.handle(Input::Found { result: Ok(found) });
    let (alive, orphans, error) = (vec![id()], Vec::new(), None);
    assert_eq!(
        effects,
        [Effect::Recovered {
            to: 8,
            alive,
            orphans,
            error
        }]
    );
    core.handle(Input::Exited { id: id() });
    let effects = core.handle(Input::Destroyed {
        id: id(),
        ending: ending(0),
    });
    let termination = Termination {
        status: 0,
        memory: None,
        error: None,
    };
    assert_eq!(
        effects,
        [Effect::Terminated {
            to: 2,
            id: id(),
            termination
        }]
    );
}

#[test]
fn nothing_is_launched_while_recovery_is_under_way() {
    let mut core = TestCore::default();
    core.handle(Input::Recover {
        ids: Vec::new(),
        asker: 7,
        observer: AGENT,
    });
    let result = Err("the containerizer is recovering".to_owned());
    assert_eq!(
        core.handle(launch("c", 8)),
        [Effect::Launched {
            to: 8,
            id: id(),
            result
        }]
    );
    let effects = core.handle(Input::Found {
        result: Err("unreadable".to_owned()),
    });
    let error = Some("unreadable".to_owned());
    let (alive, orphans) = (Vec::new(), Vec::new());
    assert_eq!(
        effects,
        [Effect::Recovered {
            to: 7,
            alive,
            orphans,
            error
        }]
    );
    assert_eq!(core.handle(launch("c", 8)).len(), 1);
    assert_eq!(core.state("c"), Some(State::Preparing));
}
