//! Every order of events keeps the promises of the core.

use proptest::prelude::*;

use super::*;

/// Some are nested in others.
const IDS: [&str; 5] = ["c0", "c0.a", "c0.a.x", "c0.b", "c1"];

/// What the world may do next to one of them.
#[derive(Clone, Debug)]
enum Move {
    Launch(usize),
    Destroy(usize),
    Exit(usize),
    OutOfMemory(usize),
    Update(usize),
    Kill(usize),
    Remove(usize),
    /// The oldest step under way ends, well or not.
    Finish {
        index: usize,
        well: bool,
    },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let any = (0..16_u8, 0..IDS.len(), 0..4_u8).prop_map(|(kind, index, well)| match kind {
        0..4 => Move::Launch(index),
        4 => Move::Destroy(index),
        5 => Move::Exit(index),
        6 => Move::OutOfMemory(index),
        7 => Move::Update(index),
        8 => Move::Kill(index),
        9 => Move::Remove(index),
        _ => Move::Finish {
            index,
            well: well > 0,
        },
    });
    proptest::collection::vec(any, 0..120)
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
                Effect::Prepare { id, .. } => {
                    let parent = id
                        .rsplit_once('.')
                        .map(|(parent, _)| self.core.state(parent));
                    assert!(parent.is_none_or(|state| state == Some(State::Running)));
                    Some((id, "prepare"))
                }
                Effect::Fork { id, .. } => Some((id, "fork")),
                Effect::Fetch { id, .. } => Some((id, "fetch")),
                Effect::Destroy { id } | Effect::Conclude { id } => {
                    let inner = format!("{id}.");
                    let inner = self.steps.keys().find(|other| other.starts_with(&inner));
                    assert_eq!(inner, None, "something goes on in {id}");
                    Some((id, "destroy"))
                }
                Effect::Forget { id } => Some((id, "forget")),
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
            "forget" => Input::Forgotten {
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
                    let mut launch = launch(IDS[index], world.asked + 1000);
                    if let Input::Launch { fetches, .. } = &mut launch {
                        *fetches = world.asked % 2 == 0;
                    }
                    world.feed(launch);
                }
                Move::Destroy(index) => world.feed(Input::Destroy { id: IDS[index].to_owned() }),
                Move::Exit(index) => world.feed(Input::Exited { id: IDS[index].to_owned() }),
                Move::Remove(index) => world.feed(Input::Remove { id: IDS[index].to_owned() }),
                Move::Kill(index) => {
                    let (id, signal) = (IDS[index].to_owned(), if at % 2 == 0 { 9 } else { 15 });
                    world.feed(Input::Kill { id, signal });
                }
                Move::OutOfMemory(index) => {
                    let figures = Figures::default();
                    world.feed(Input::OutOfMemory { id: IDS[index].to_owned(), figures });
                }
                Move::Update(index) => {
                    let (id, limits) = (IDS[index].to_owned(), Limits::default());
                    let asker = u32::try_from(at).unwrap();
                    asked_updates.push(asker);
                    world.feed(Input::Update { id, limits, asker });
                }
                Move::Finish { index, well } => world.finish(IDS[index], well),
            }
        }
        // Whatever happened: destroyed, with every step ending well, all of it goes away.
        for _ in 0..5 {
            world.feed(Input::Destroy { id: "c0".to_owned() });
            world.feed(Input::Destroy { id: "c1".to_owned() });
            IDS.iter().rev().for_each(|id| world.finish(id, true));
        }
        for id in IDS {
            prop_assert_eq!(world.core.state(id), None);
        }
        prop_assert_eq!(world.terminated, world.launched, "each launch that succeeded ends once");
        for asker in 1001..=world.asked + 1000 {
            prop_assert_eq!(world.answered.get(&asker), Some(&1), "each launch is answered once");
        }
        for asker in asked_updates {
            // Once more, by the launch's asker, where it came before the container ran.
            prop_assert_eq!(world.updates.get(&asker), Some(&1), "each update is answered once");
        }
    }
}
