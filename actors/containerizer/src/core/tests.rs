//! The orders of events that matter, one by one.

use super::*;

mod nested;
mod orders;
mod recovery;

type TestCore = Core<u32, &'static str>;
type TestEffect = Effect<u32, &'static str>;

const AGENT: u32 = 1;

fn launch(id: &str, asker: u32) -> Input<u32, &'static str> {
    Input::Launch {
        id: id.to_owned(),
        spec: "spec",
        fetches: false,
        asker,
        observer: AGENT,
    }
}

fn ending(status: i32) -> Ending {
    Ending {
        status,
        out_of_memory: None,
        error: None,
        never_ran: false,
    }
}

fn id() -> String {
    "c".to_owned()
}

fn running() -> TestCore {
    let mut core = TestCore::default();
    core.handle(launch("c", 7));
    core.handle(Input::Prepared {
        id: id(),
        result: Ok(()),
    });
    core.handle(Input::Forked {
        id: id(),
        result: Ok(Some(42)),
    });
    core
}

fn updated(to: u32, memory: Option<Exceeded>) -> TestEffect {
    Effect::Updated {
        to,
        id: id(),
        memory,
    }
}

fn update(asker: u32) -> Input<u32, &'static str> {
    Input::Update {
        id: id(),
        limits: Limits::default(),
        asker,
    }
}

fn terminated(status: i32) -> TestEffect {
    let termination = Termination {
        status,
        memory: None,
        error: None,
    };
    Effect::Terminated {
        to: AGENT,
        id: id(),
        termination,
    }
}

#[test]
fn a_launch_goes_step_by_step() {
    let mut core = TestCore::default();
    assert_eq!(
        core.handle(launch("c", 7)),
        [Effect::Prepare {
            id: id(),
            spec: "spec"
        }]
    );
    assert_eq!(core.state("c"), Some(State::Preparing));
    let effects = core.handle(Input::Prepared {
        id: id(),
        result: Ok(()),
    });
    assert_eq!(
        effects,
        [Effect::Fork {
            id: id(),
            spec: "spec"
        }]
    );
    assert_eq!(core.state("c"), Some(State::Isolating));
    let effects = core.handle(Input::Forked {
        id: id(),
        result: Ok(Some(42)),
    });
    let expected = [
        Effect::Watch { id: id() },
        Effect::Release { id: id() },
        Effect::Launched {
            to: 7,
            id: id(),
            result: Ok(Some(42)),
        },
    ];
    assert_eq!(effects, expected);
    assert_eq!(
        core.handle(Input::Exited { id: id() }),
        [Effect::Destroy { id: id() }]
    );
    let effects = core.handle(Input::Destroyed {
        id: id(),
        ending: ending(256),
    });
    assert_eq!(effects, [terminated(256)]);
    assert_eq!(core.state("c"), None);
}

#[test]
fn an_id_in_use_is_refused() {
    let mut core = running();
    let error = Err("Container already started".to_owned());
    let expected = [Effect::Launched {
        to: 8,
        id: id(),
        result: error,
    }];
    assert_eq!(core.handle(launch("c", 8)), expected);
}

#[test]
fn a_destroy_waits_for_the_step_of_the_launch() {
    let mut core = TestCore::default();
    core.handle(launch("c", 7));
    assert_eq!(core.handle(Input::Destroy { id: id() }), []);
    let effects = core.handle(Input::Prepared {
        id: id(),
        result: Ok(()),
    });
    assert_eq!(effects, [Effect::Destroy { id: id() }]);
    let effects = core.handle(Input::Destroyed {
        id: id(),
        ending: ending(9),
    });
    let result = Err("Container destroyed during preparing".to_owned());
    assert_eq!(
        effects,
        [Effect::Launched {
            to: 7,
            id: id(),
            result
        }]
    );

    let mut core = TestCore::default();
    core.handle(launch("c", 7));
    core.handle(Input::Prepared {
        id: id(),
        result: Ok(()),
    });
    assert_eq!(core.handle(Input::Destroy { id: id() }), []);
    let effects = core.handle(Input::Forked {
        id: id(),
        result: Ok(Some(42)),
    });
    assert_eq!(
        effects,
        [Effect::Destroy { id: id() }],
        "the word is not given"
    );
    let effects = core.handle(Input::Destroyed {
        id: id(),
        ending: ending(9),
    });
    let result = Err("Container destroyed during isolating".to_owned());
    assert_eq!(
        effects,
        [Effect::Launched {
            to: 7,
            id: id(),
            result
        }]
    );
}

#[test]
fn a_failed_step_leaves_nothing_and_is_told_once() {
    let mut core = TestCore::default();
    core.handle(launch("c", 7));
    let effects = core.handle(Input::Prepared {
        id: id(),
        result: Err("full".to_owned()),
    });
    let failed = |error: &str| {
        let result = Err(error.to_owned());
        [Effect::Launched {
            to: 7,
            id: id(),
            result,
        }]
    };
    assert_eq!(effects, failed("full"));
    assert_eq!(core.state("c"), None);

    core.handle(launch("c", 7));
    core.handle(Input::Prepared {
        id: id(),
        result: Ok(()),
    });
    let effects = core.handle(Input::Forked {
        id: id(),
        result: Err("no user".to_owned()),
    });
    assert_eq!(effects, [Effect::Destroy { id: id() }]);
    let effects = core.handle(Input::Destroyed {
        id: id(),
        ending: ending(9),
    });
    assert_eq!(effects, failed("no user"));
}

#[test]
fn what_cannot_be_removed_is_told_and_may_be_tried_again() {
    let mut core = running();
    core.handle(Input::Destroy { id: id() });
    let stuck = Ending {
        error: Some("busy".to_owned()),
        ..ending(9)
    };
    let effects = core.handle(Input::Destroyed {
        id: id(),
        ending: stuck,
    });
    let termination = Termination {
        status: 9,
        memory: None,
        error: Some("busy".to_owned()),
    };
    assert_eq!(
        effects,
        [Effect::Terminated {
            to: AGENT,
            id: id(),
            termination
        }]
    );
    assert_eq!(core.state("c"), Some(State::Destroying));
    assert_eq!(
        core.handle(Input::Destroy { id: id() }),
        [Effect::Destroy { id: id() }]
    );
    assert_eq!(
        core.handle(Input::Destroyed {
            id: id(),
            ending: ending(9)
        }),
        []
    );
    assert_eq!(core.state("c"), None);
}

#[test]
fn an_update_of_what_does_not_run_is_a_success() {
    let mut core = TestCore::default();
    assert_eq!(core.handle(update(5)), [updated(5, None)]);
    core.handle(launch("c", 7));
    assert_eq!(core.handle(update(5)), [updated(5, None)]);
    core.handle(Input::Prepared {
        id: id(),
        result: Ok(()),
    });
    let effects = core.handle(Input::Forked {
        id: id(),
        result: Ok(Some(42)),
    });
    let late = Effect::Update {
        id: id(),
        limits: Limits::default(),
        asker: 7,
    };
    assert_eq!(effects.last(), Some(&late), "set as soon as it runs");
}

/// A container whose URIs are being fetched.
fn fetching() -> TestCore {
    let mut core = TestCore::default();
    let Input::Launch { spec, asker, .. } = launch("c", 7) else {
        unreachable!("it is a launch");
    };
    core.handle(Input::Launch {
        id: id(),
        spec,
        fetches: true,
        asker,
        observer: AGENT,
    });
    core.handle(Input::Prepared {
        id: id(),
        result: Ok(()),
    });
    let forked = Input::Forked {
        id: id(),
        result: Ok(Some(42)),
    };
    let fetch = Effect::Fetch {
        id: id(),
        spec: "spec",
    };
    assert_eq!(core.handle(forked), [fetch]);
    assert_eq!(core.state("c"), Some(State::Fetching));
    core
}

fn fetched(result: Result<(), &str>) -> Input<u32, &'static str> {
    Input::Fetched {
        id: id(),
        result: result.map_err(str::to_owned),
    }
}

#[test]
fn the_command_starts_when_all_is_fetched() {
    let mut core = fetching();
    let expected = [
        Effect::Watch { id: id() },
        Effect::Release { id: id() },
        Effect::Launched {
            to: 7,
            id: id(),
            result: Ok(Some(42)),
        },
    ];
    assert_eq!(core.handle(fetched(Ok(()))), expected);
    assert_eq!(core.state("c"), Some(State::Running));
}

#[test]
fn what_cannot_be_fetched_is_not_launched() {
    let failed = |error: &str| {
        [Effect::Launched {
            to: 7,
            id: id(),
            result: Err(error.to_owned()),
        }]
    };
    let mut core = fetching();
    let effects = core.handle(fetched(Err("not found")));
    assert_eq!(effects, [Effect::Destroy { id: id() }]);
    let destroyed = Input::Destroyed {
        id: id(),
        ending: ending(9),
    };
    assert_eq!(core.handle(destroyed.clone()), failed("not found"));

    // A destroy cuts the fetch short, once; how that ended then does not matter.
    let mut core = fetching();
    let stop = core.handle(Input::Destroy { id: id() });
    assert_eq!(stop, [Effect::StopFetch { id: id() }]);
    assert_eq!(core.handle(Input::Destroy { id: id() }), []);
    let effects = core.handle(fetched(Ok(())));
    assert_eq!(effects, [Effect::Destroy { id: id() }]);
    let error = "Container destroyed during fetching";
    assert_eq!(core.handle(destroyed), failed(error));
}

#[test]
fn an_update_while_it_is_destroyed_learns_whether_memory_was_wanting() {
    let mut core = running();
    core.handle(Input::Exited { id: id() });
    assert_eq!(core.handle(update(5)), []);
    let figures = Figures::default();
    let destroyed = Input::Destroyed {
        id: id(),
        ending: Ending {
            out_of_memory: Some(figures.clone()),
            ..ending(1 << 8)
        },
    };
    let memory = Some(figures.describe());
    let termination = Termination {
        status: 1 << 8,
        memory: memory.clone(),
        error: None,
    };
    let expected = [
        updated(5, memory),
        Effect::Terminated {
            to: AGENT,
            id: id(),
            termination,
        },
    ];
    assert_eq!(core.handle(destroyed), expected);
}

#[test]
fn only_what_runs_is_inspected() {
    let inspect = |ids: &[&str]| Input::Inspect {
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        asker: 5,
    };
    let inspected = |containers: &[(&str, Result<(), &'static str>)]| {
        let containers = containers.iter();
        [Effect::Inspect {
            to: 5,
            containers: containers
                .map(|(id, state)| ((*id).to_owned(), *state))
                .collect(),
        }]
    };
    let mut core = running();
    core.handle(launch("d", 8));
    assert_eq!(core.handle(inspect(&[])), inspected(&[("c", Ok(()))]));
    let expected = inspected(&[
        ("d", Err("Container is being launched")),
        ("c", Ok(())),
        ("x", Err("Unknown container")),
    ]);
    assert_eq!(core.handle(inspect(&["d", "c", "x"])), expected);
    core.handle(Input::Destroy { id: id() });
    let expected = inspected(&[("c", Err("Container is being destroyed"))]);
    assert_eq!(core.handle(inspect(&["c"])), expected);
}
