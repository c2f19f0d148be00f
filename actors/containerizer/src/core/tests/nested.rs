//! Containers in containers: who waits for whom, and what is remembered.

use super::*;

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn launch_of(id: &str) -> Input<u32, &'static str> {
    launch(id, 7)
}

fn conclude(id: &str) -> TestEffect {
    Effect::Conclude { id: id.to_owned() }
}

fn destroy(id: &str) -> TestEffect {
    Effect::Destroy { id: id.to_owned() }
}

fn destroyed(id: &str) -> Input<u32, &'static str> {
    Input::Destroyed {
        id: id.to_owned(),
        ending: ending(9),
    }
}

fn ended(to: u32, id: &str) -> TestEffect {
    Effect::Terminated {
        to,
        id: id.to_owned(),
        termination: Termination {
            status: 9,
            memory: None,
            error: None,
        },
    }
}

fn refusal(core: &mut TestCore, id: &str) -> String {
    match core.handle(launch_of(id)).as_slice() {
        [
            Effect::Launched {
                result: Err(error), ..
            },
        ] => error.clone(),
        other => panic!("{other:?}"),
    }
}

fn prepared(core: &mut TestCore, id: &str) -> Vec<TestEffect> {
    let (id, result) = (id.to_owned(), Ok(()));
    core.handle(Input::Prepared { id, result })
}

fn forked(core: &mut TestCore, id: &str) -> Vec<TestEffect> {
    let (id, result) = (id.to_owned(), Ok(Some(1)));
    core.handle(Input::Forked { id, result })
}

fn run(core: &mut TestCore, id: &str) {
    assert_eq!(core.handle(launch_of(id)).len(), 1);
    prepared(core, id);
    assert_eq!(forked(core, id).len(), 3, "{id} runs");
}

/// These run, each one after its parent.
fn running(ids: &[&str]) -> TestCore {
    let mut core = TestCore::default();
    ids.iter().for_each(|id| run(&mut core, id));
    core
}

#[test]
fn a_parent_must_run() {
    let mut core = TestCore::default();
    let says = "Parent container p does not exist";
    assert_eq!(refusal(&mut core, "p.c"), says);
    core.handle(launch_of("p"));
    let says = "Parent container p is in 'PREPARING' state";
    assert_eq!(refusal(&mut core, "p.c"), says);
    prepared(&mut core, "p");
    let says = "Parent container p is in 'ISOLATING' state";
    assert_eq!(refusal(&mut core, "p.c"), says);
    forked(&mut core, "p");
    run(&mut core, "p.c");
    core.handle(Input::Destroy { id: "p".to_owned() });
    let says = "Parent container p is in 'DESTROYING' state";
    assert_eq!(refusal(&mut core, "p.d"), says);
    // One that has ended is remembered, but nothing can be nested in it.
    core.handle(destroyed("p.c"));
    let says = "Parent container p.c does not exist";
    assert_eq!(refusal(&mut core, "p.c.a"), says);
}

#[test]
fn nested_ones_end_first_and_side_by_side() {
    // One with a name that begins like the parent's is none of its.
    let mut core = running(&["p", "p.a", "p.a.x", "p.b", "p-a", "pa"]);
    let effects = core.handle(Input::Destroy { id: "p".to_owned() });
    assert_eq!(effects, [conclude("p.a.x"), conclude("p.b")]);
    assert_eq!(core.state("p.a"), Some(State::Destroying));
    let effects = core.handle(destroyed("p.a.x"));
    assert_eq!(effects, [ended(AGENT, "p.a.x"), conclude("p.a")]);
    let again = core.handle(Input::Destroy { id: "p".to_owned() });
    assert_eq!(again, []);
    let effects = core.handle(destroyed("p.b"));
    assert_eq!(effects, [ended(AGENT, "p.b")]);
    let effects = core.handle(destroyed("p.a"));
    assert_eq!(effects, [ended(AGENT, "p.a"), destroy("p")]);
    assert_eq!(core.handle(destroyed("p")), [ended(AGENT, "p")]);
    for id in ["p", "p.a", "p.a.x", "p.b"] {
        assert_eq!(core.state(id), None, "{id}");
    }
    for id in ["p-a", "pa"] {
        assert_eq!(core.state(id), Some(State::Running), "{id}");
    }
}

#[test]
fn a_parents_end_waits_for_what_is_being_launched_in_it() {
    let mut core = running(&["p"]);
    core.handle(launch_of("p.c"));
    let exited = Input::Exited { id: "p".to_owned() };
    assert_eq!(core.handle(exited), []);
    assert_eq!(prepared(&mut core, "p.c"), [destroy("p.c")]);
    let effects = core.handle(destroyed("p.c"));
    let result = Err("Container destroyed during preparing".to_owned());
    let (to, id) = (7, "p.c".to_owned());
    assert_eq!(effects, [Effect::Launched { to, id, result }, destroy("p")]);
    assert_eq!(core.state("p.c"), None, "what never ran is not remembered");
    // One that could not even be prepared is no longer waited for, either.
    let mut core = running(&["p"]);
    core.handle(launch_of("p.c"));
    core.handle(Input::Destroy { id: "p".to_owned() });
    let (id, result) = ("p.c".to_owned(), Err("full".to_owned()));
    let effects = core.handle(Input::Prepared { id, result });
    assert_eq!(effects.last(), Some(&destroy("p")));
}

#[test]
fn a_nested_one_that_cannot_be_removed_holds_up_nobody() {
    let mut core = running(&["p", "p.c", "p.c.a"]);
    core.handle(Input::Destroy {
        id: "p.c".to_owned(),
    });
    let stuck = |id: &str| Input::Destroyed {
        id: id.to_owned(),
        ending: Ending {
            error: Some("busy".to_owned()),
            ..ending(9)
        },
    };
    let effects = core.handle(stuck("p.c.a"));
    assert_eq!(effects.last(), Some(&conclude("p.c")));
    // Its parent's removal was its own.
    core.handle(destroyed("p.c"));
    assert_eq!(core.state("p.c.a"), Some(State::Ended));
    // Where that fails, too, it is tried again with the parent.
    let mut core = running(&["p", "p.c"]);
    core.handle(Input::Destroy { id: "p".to_owned() });
    let effects = core.handle(stuck("p.c"));
    assert_eq!(effects.last(), Some(&destroy("p")));
    core.handle(stuck("p"));
    assert_eq!(core.state("p"), Some(State::Destroying));
    let effects = core.handle(Input::Destroy { id: "p".to_owned() });
    assert_eq!(effects, [conclude("p.c")]);
    assert_eq!(core.handle(destroyed("p.c")), [destroy("p")], "told once");
    assert_eq!(core.handle(destroyed("p")), [], "told once");
    assert_eq!((core.state("p"), core.state("p.c")), (None, None));
}

#[test]
fn want_of_memory_is_the_end_of_all_that_is_nested() {
    let mut core = running(&["p", "p.c", "p.c.a", "q", "q.c"]);
    let figures = Figures::default();
    let id = "p".to_owned();
    core.handle(Input::OutOfMemory { id, figures });
    for id in ["p.c.a", "p.c", "p"] {
        let effects = core.handle(destroyed(id));
        let Some(Effect::Terminated { termination, .. }) = effects.first() else {
            panic!("{effects:?}");
        };
        assert!(termination.memory.is_some(), "{id}");
    }
    assert_eq!(core.state("q.c"), Some(State::Running));
}

#[test]
fn an_end_is_remembered_until_it_is_removed() {
    let mut core = running(&["p", "p.c", "p.c.a"]);
    let remove = |id: &str| Input::Remove { id: id.to_owned() };
    assert_eq!(core.handle(remove("p.c")), [], "it runs");
    core.handle(Input::Exited {
        id: "p.c".to_owned(),
    });
    assert_eq!(core.handle(remove("p.c")), [], "it has not ended");
    core.handle(destroyed("p.c.a"));
    core.handle(destroyed("p.c"));
    assert_eq!(core.state("p.c"), Some(State::Ended));
    let used = "Container already started";
    assert_eq!(refusal(&mut core, "p.c"), used);
    let forget = Effect::Forget {
        id: "p.c".to_owned(),
    };
    assert_eq!(core.handle(remove("p.c")), std::slice::from_ref(&forget));
    assert_eq!(core.handle(remove("p.c")), [], "it is under way");
    let forgotten = |result: Result<(), &str>| Input::Forgotten {
        id: "p.c".to_owned(),
        result: result.map_err(str::to_owned),
    };
    core.handle(forgotten(Err("busy")));
    assert_eq!(
        core.handle(remove("p.c")),
        [forget],
        "it may be tried again"
    );
    // The parent's end waits for it: they are in one folder.
    assert_eq!(core.handle(Input::Destroy { id: "p".to_owned() }), []);
    assert_eq!(core.handle(forgotten(Ok(()))), [destroy("p")]);
    assert_eq!(
        core.state("p.c.a"),
        None,
        "with it went what was nested in it"
    );
    assert_eq!(core.handle(remove("p")), []);
    assert_eq!(core.handle(remove("unknown")), []);
}

#[test]
fn an_id_that_is_being_forgotten_can_be_used_again() {
    let removing = || {
        let mut core = running(&["p", "p.c"]);
        core.handle(Input::Exited {
            id: "p.c".to_owned(),
        });
        core.handle(destroyed("p.c"));
        core.handle(Input::Remove {
            id: "p.c".to_owned(),
        });
        assert_eq!(core.handle(launch_of("p.c")), [], "it waits");
        core
    };
    let forgotten = |result: Result<(), &str>| Input::Forgotten {
        id: "p.c".to_owned(),
        result: result.map_err(str::to_owned),
    };
    let failed = |error: &str| Effect::Launched {
        to: 7,
        id: "p.c".to_owned(),
        result: Err(error.to_owned()),
    };
    let mut core = removing();
    assert_eq!(refusal(&mut core, "p.c"), "Container already started");
    let prepare = Effect::Prepare {
        id: "p.c".to_owned(),
        spec: "spec",
    };
    assert_eq!(core.handle(forgotten(Ok(()))), [prepare]);
    let mut core = removing();
    let effects = core.handle(forgotten(Err("busy")));
    assert_eq!(effects, [failed("Container already started")]);
    let mut core = removing();
    // The parent's end cuts it short, as a destroy of its own does, or another agent.
    let cut = [failed("Container destroyed during preparing")];
    let effects = core.handle(Input::Destroy { id: "p".to_owned() });
    assert_eq!(effects, cut);
    assert_eq!(core.handle(forgotten(Ok(()))), [destroy("p")]);
    let mut core = removing();
    let effects = recover(&mut core, &["p"], &[]);
    assert_eq!(effects.first(), cut.first());
    let mut core = removing();
    let effects = core.handle(Input::Destroy {
        id: "p.c".to_owned(),
    });
    assert_eq!(effects, cut);
    let effects = core.handle(forgotten(Ok(())));
    assert_eq!((effects, core.state("p.c")), (Vec::new(), None));
}

#[test]
fn a_signal_is_for_what_has_a_command() {
    let mut core = running(&["p", "p.c"]);
    let kill = |id: &str, signal| Input::Kill {
        id: id.to_owned(),
        signal,
    };
    let id = "p.c".to_owned();
    let expected = Effect::Signal { id, signal: 15 };
    assert_eq!(core.handle(kill("p.c", 15)), [expected]);
    assert_eq!(core.handle(kill("p.c", 9)), [conclude("p.c")]);
    assert_eq!(core.handle(kill("p.c", 15)), []);
    assert_eq!(core.handle(kill("p.x", 15)), []);
    assert_eq!(core.handle(kill("p", 0)), []);
    assert_eq!(core.handle(kill("p", -1)), []);
    core.handle(launch_of("p.d"));
    assert_eq!(core.handle(kill("p.d", 15)), []);
    assert_eq!(prepared(&mut core, "p.d"), [destroy("p.d")]);
}

fn recover(core: &mut TestCore, ids: &[&str], found: &[(&str, bool)]) -> Vec<TestEffect> {
    core.handle(Input::Recover {
        ids: named(ids),
        asker: 8,
        observer: 2,
    });
    let found = found.iter().map(|(id, alive)| Found {
        id: (*id).to_owned(),
        alive: *alive,
    });
    let result = Ok(found.collect());
    core.handle(Input::Found { result })
}

fn recovered(alive: &[&str], orphans: &[&str]) -> TestEffect {
    Effect::Recovered {
        to: 8,
        alive: named(alive),
        orphans: named(orphans),
        error: None,
    }
}

#[test]
fn recovery_follows_the_roots() {
    let mut core = TestCore::default();
    let found = [
        ("q.c", true),
        ("p.d.a", true),
        ("p.d", false),
        ("p.c", true),
        ("p", true),
        ("q", true),
        ("r", false),
        ("r.c", true),
    ];
    let effects = recover(&mut core, &["p", "r"], &found);
    let watch = |id: &str| Effect::Watch { id: id.to_owned() };
    // What is nested in a dead one is dead; the deepest go first.
    let expected = [
        watch("p"),
        watch("p.c"),
        conclude("p.d.a"),
        destroy("q.c"),
        conclude("r.c"),
    ];
    assert_eq!(effects, expected);
    assert_eq!(
        core.handle(destroyed("p.d.a")),
        [ended(2, "p.d.a"), conclude("p.d")]
    );
    assert_eq!(core.handle(destroyed("q.c")), [destroy("q")]);
    assert_eq!(
        core.handle(destroyed("r.c")),
        [ended(2, "r.c"), destroy("r")]
    );
    assert_eq!(core.handle(destroyed("q")), []);
    assert_eq!(core.handle(destroyed("p.d")), [ended(2, "p.d")]);
    let effects = core.handle(destroyed("r"));
    assert_eq!(effects, [ended(2, "r"), recovered(&["p", "p.c"], &["q"])]);
    assert_eq!(
        core.state("p.d"),
        Some(State::Ended),
        "it is still remembered"
    );
    assert_eq!(core.state("r.c"), None);
}

#[test]
fn what_went_with_its_parent_is_no_error_of_recovery() {
    let stuck = |id: &str| Input::Destroyed {
        id: id.to_owned(),
        ending: Ending {
            error: Some(format!("{id} is busy")),
            ..ending(9)
        },
    };
    let found = [("q", true), ("q.c", true), ("q.d", true)];
    let mut core = TestCore::default();
    recover(&mut core, &[], &found);
    core.handle(stuck("q.c"));
    core.handle(destroyed("q.d"));
    assert_eq!(core.handle(destroyed("q")), [recovered(&[], &["q"])]);
    let mut core = TestCore::default();
    recover(&mut core, &[], &found);
    core.handle(stuck("q.c"));
    core.handle(destroyed("q.d"));
    let Some(Effect::Recovered { error, .. }) = core.handle(stuck("q")).pop() else {
        panic!("it is over");
    };
    assert_eq!(error.as_deref(), Some("q is busy; q.c is busy"));
}

#[test]
fn what_never_ran_is_as_if_it_never_was() {
    let mut core = TestCore::default();
    let found = [("p", true), ("p.c", false), ("p.d", true)];
    recover(&mut core, &["p"], &found);
    // One that is alive when it is looked for may end before the others are removed.
    core.handle(Input::Exited {
        id: "p.d".to_owned(),
    });
    assert_eq!(core.handle(destroyed("p.d")), [ended(2, "p.d")]);
    let never_ran = Input::Destroyed {
        id: "p.c".to_owned(),
        ending: Ending {
            never_ran: true,
            ..ending(9)
        },
    };
    let forget = Effect::Forget {
        id: "p.c".to_owned(),
    };
    assert_eq!(core.handle(never_ran), [forget, recovered(&["p"], &[])]);
    // A launch that comes at once is not lost.
    assert_eq!(core.handle(launch_of("p.c")), []);
    let (id, result) = ("p.c".to_owned(), Ok(()));
    let effects = core.handle(Input::Forgotten { id, result });
    let (id, spec) = ("p.c".to_owned(), "spec");
    assert_eq!(effects, [Effect::Prepare { id, spec }]);
}

#[test]
fn a_new_agent_is_told_of_what_this_one_remembers() {
    let mut core = running(&["p", "p.c", "p.d", "q", "q.c"]);
    core.handle(Input::Exited {
        id: "p.d".to_owned(),
    });
    core.handle(destroyed("p.d"));
    // Whoever asked for this launch is gone.
    core.handle(launch_of("p.e"));
    let effects = recover(&mut core, &["p"], &[]);
    assert_eq!(effects, [conclude("q.c"), ended(2, "p.d")]);
    assert_eq!(
        core.handle(destroyed("q.c")),
        [destroy("q")],
        "nobody is told"
    );
    let effects = core.handle(destroyed("q"));
    assert_eq!(effects, [recovered(&["p", "p.c"], &["q"])]);
    assert_eq!(prepared(&mut core, "p.e"), [destroy("p.e")]);
    core.handle(Input::Exited {
        id: "p.c".to_owned(),
    });
    assert_eq!(core.handle(destroyed("p.c")), [ended(2, "p.c")]);
}
