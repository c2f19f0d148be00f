//! Every order of events keeps the promises of the core; and the orders that matter, one by one.

use proptest::prelude::*;

use super::*;

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

/// What the world may do next to one of three containers.
#[derive(Clone, Debug)]
enum Move {
    Launch(usize),
    Destroy(usize),
    Exit(usize),
    OutOfMemory(usize),
    Update(usize),
    /// The oldest step under way ends, well or not.
    Finish {
        index: usize,
        well: bool,
    },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let any = (0..6_u8, 0..3_usize, any::<bool>()).prop_map(|(kind, index, well)| match kind {
        0 => Move::Launch(index),
        1 => Move::Destroy(index),
        2 => Move::Exit(index),
        3 => Move::OutOfMemory(index),
        4 => Move::Update(index),
        _ => Move::Finish { index, well },
    });
    proptest::collection::vec(any, 0..60)
}

/// Plays the world around a core, and checks what must hold after every event.
#[derive(Default)]
struct World {
    core: TestCore,
    /// The step under way of each container, of which there is never a second.
    steps: BTreeMap<String, &'static str>,
    asked: u32,
    answered: BTreeMap<u32, usize>,
    launched: usize,
    terminated: usize,
    /// Fetches that were told to stop and have not ended.
    stopped: BTreeMap<String, ()>,
    updates: BTreeMap<u32, usize>,
}

impl World {
    fn feed(&mut self, input: Input<u32, &'static str>) {
        for effect in self.core.handle(input) {
            let step = match effect {
                Effect::Prepare { id, .. } => Some((id, "prepare")),
                Effect::Fork { id, .. } => Some((id, "fork")),
                Effect::Fetch { id, .. } => Some((id, "fetch")),
                Effect::Destroy { id } => Some((id, "destroy")),
                Effect::StopFetch { id } => {
                    assert_eq!(self.steps.get(&id), Some(&"fetch"));
                    assert_eq!(self.stopped.insert(id, ()), None, "stopped twice");
                    None
                }
                Effect::Updated { to, .. } | Effect::Update { asker: to, .. } => {
                    *self.updates.entry(to).or_default() += 1;
                    None
                }
                Effect::Launched { to, result, .. } => {
                    *self.answered.entry(to).or_default() += 1;
                    self.launched += usize::from(result.is_ok());
                    None
                }
                Effect::Terminated { to, .. } => {
                    assert_eq!(to, AGENT);
                    self.terminated += 1;
                    None
                }
                _ => None,
            };
            if let Some((id, step)) = step {
                let before = self.steps.insert(id.clone(), step);
                assert_eq!(
                    before, None,
                    "{step} of {id} while another step is under way"
                );
            }
        }
        assert!(self.terminated <= self.launched);
    }

    fn finish(&mut self, id: &str, well: bool) {
        let Some(step) = self.steps.remove(id) else {
            return;
        };
        let id = id.to_owned();
        let error = || "no".to_owned();
        self.stopped.remove(&id);
        self.feed(match step {
            "prepare" => Input::Prepared {
                id,
                result: if well { Ok(()) } else { Err(error()) },
            },
            "fork" => Input::Forked {
                id,
                result: if well { Ok(Some(1)) } else { Err(error()) },
            },
            "fetch" => Input::Fetched {
                id,
                result: if well { Ok(()) } else { Err(error()) },
            },
            _ => Input::Destroyed {
                id,
                ending: Ending {
                    error: (!well).then(error),
                    ..ending(9)
                },
            },
        });
    }
}

proptest! {
    #[test]
    fn any_order_of_events_keeps_the_promises(moves in moves()) {
        let mut world = World::default();
        let mut asked_updates = Vec::new();
        for (at, next) in moves.into_iter().enumerate() {
            match next {
                Move::Launch(index) => {
                    world.asked += 1;
                    // The agent's own number is not one of the askers'.
                    let mut launch = launch(&format!("c{index}"), world.asked + 100);
                    if let Input::Launch { fetches, .. } = &mut launch {
                        *fetches = world.asked % 2 == 0;
                    }
                    world.feed(launch);
                }
                Move::Destroy(index) => world.feed(Input::Destroy { id: format!("c{index}") }),
                Move::Exit(index) => world.feed(Input::Exited { id: format!("c{index}") }),
                Move::OutOfMemory(index) => {
                    let figures = Figures::default();
                    world.feed(Input::OutOfMemory { id: format!("c{index}"), figures });
                }
                Move::Update(index) => {
                    let (id, limits) = (format!("c{index}"), Limits::default());
                    let asker = u32::try_from(at).unwrap();
                    asked_updates.push(asker);
                    world.feed(Input::Update { id, limits, asker });
                }
                Move::Finish { index, well } => world.finish(&format!("c{index}"), well),
            }
        }
        // Whatever happened: destroyed, with every step ending well, all of it goes away.
        for id in ["c0", "c1", "c2"] {
            for _ in 0..5 {
                world.feed(Input::Destroy { id: id.to_owned() });
                world.finish(id, true);
            }
            prop_assert_eq!(world.core.state(id), None);
        }
        prop_assert_eq!(world.terminated, world.launched, "each launch that succeeded ends once");
        for asker in 101..=world.asked + 100 {
            prop_assert_eq!(world.answered.get(&asker), Some(&1), "each launch is answered once");
        }
        for asker in asked_updates {
            // Once more, by the launch's asker, where it came before the container ran.
            prop_assert_eq!(world.updates.get(&asker), Some(&1), "each update is answered once");
        }
    }
}
