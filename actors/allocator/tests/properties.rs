//! What holds whatever happens: the allocator's core is fed with random events, and after each of
//! them its books are compared with a second, simpler set of books.
//!
//! - AL-1 nothing is given to two frameworks: what is held and what is free never exceeds the total;
//! - AL-2 the core's books say what its grants and our returns add up to;
//! - AL-3 when everything is given back, everything is free, and all shares are zero;
//! - AL-4 nothing useful stays free when somebody who may have it refuses nothing;
//! - AL-5 a framework is never offered what it refused, nor in a role it suppressed;
//! - AL-6 the same events and seeds give the same grants.

#![cfg(test)]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tepui_allocator::core::{
    AgentCapabilities, AgentSpec, Allocator, FrameworkCapabilities, FrameworkSpec, Grant, Options,
    Order, Reason, Recovery, Use,
};
use tepui_protocol::resources::{Resources, parse_text};
use tepui_runtime::Time;

const AGENTS: usize = 4;
const FRAMEWORKS: usize = 4;
const ROLES: [&str; 4] = ["a", "a/b", "c", "*"];
const TOTALS: [&str; 4] = [
    "cpus:4;mem:4096;ports:[1-100]",
    "cpus:8;mem:1024;cpus(a):2",
    "cpus:2;mem:8192;zone:{x,y}",
    "cpus:1;mem:64;mem(c):512;gpus:1",
];

/// One event; the numbers choose among what there is.
#[derive(Clone, Debug)]
enum Event {
    AddAgent(usize),
    RemoveAgent(usize),
    ShrinkAgent(usize, usize),
    ToggleAgent(usize, bool),
    AddFramework(usize, u8),
    RemoveFramework(usize),
    ToggleFramework(usize, bool),
    Suppress(usize, usize),
    Revive(usize),
    /// Gives back the n-th thing that is held, wholly or the cpus only, refused for so long.
    GiveBack(usize, bool, Option<u16>),
    Pass(u16),
    Weight(usize, u8),
}

fn event() -> impl Strategy<Value = Event> {
    let agent = 0..AGENTS;
    let framework = 0..FRAMEWORKS;
    prop_oneof![
        4 => agent.clone().prop_map(Event::AddAgent),
        1 => agent.clone().prop_map(Event::RemoveAgent),
        1 => (agent.clone(), 0..TOTALS.len()).prop_map(|(a, t)| Event::ShrinkAgent(a, t)),
        1 => (agent, any::<bool>()).prop_map(|(a, on)| Event::ToggleAgent(a, on)),
        4 => (framework.clone(), 1..16u8).prop_map(|(f, roles)| Event::AddFramework(f, roles)),
        1 => framework.clone().prop_map(Event::RemoveFramework),
        1 => (framework.clone(), any::<bool>()).prop_map(|(f, on)| Event::ToggleFramework(f, on)),
        1 => (framework.clone(), 0..ROLES.len()).prop_map(|(f, r)| Event::Suppress(f, r)),
        1 => framework.prop_map(Event::Revive),
        6 => (0..20usize, any::<bool>(), proptest::option::of(0..4000u16))
            .prop_map(|(n, whole, refuse)| Event::GiveBack(n, whole, refuse)),
        6 => (0..2500u16).prop_map(Event::Pass),
        1 => (0..ROLES.len(), 1..9u8).prop_map(|(r, w)| Event::Weight(r, w)),
    ]
}

fn name(prefix: &str, number: usize) -> String {
    format!("{prefix}{number}")
}

/// The core with a second set of books.
struct Model {
    core: Allocator,
    now: Time,
    seed: u64,
    totals: BTreeMap<String, Resources>,
    /// By agent, framework and role.
    held: BTreeMap<(String, String, String), Resources>,
    /// What was refused, until when.
    refused: Vec<(String, String, String, Resources, Time)>,
    suppressed: BTreeMap<(String, String), bool>,
    grants: Vec<String>,
    /// How many refusals there were.
    refusals: usize,
}

impl Model {
    fn new(seed: u64) -> Model {
        let options = Options {
            filter_gpu_resources: false,
            ..Options::default()
        };
        Model {
            core: Allocator::new(options, Time::EPOCH),
            now: Time::EPOCH,
            seed,
            totals: BTreeMap::new(),
            held: BTreeMap::new(),
            refused: Vec::new(),
            suppressed: BTreeMap::new(),
            grants: Vec::new(),
            refusals: 0,
        }
    }

    fn agent(&self, number: usize, total: usize) -> AgentSpec {
        AgentSpec {
            id: name("agent", number),
            hostname: name("agent", number),
            region: None,
            zone: None,
            attributes: Vec::new(),
            capabilities: AgentCapabilities {
                multi_role: true,
                hierarchical_role: true,
            },
            total: parse_text(TOTALS[total], "*").unwrap(),
        }
    }

    fn apply(&mut self, event: &Event) {
        let now = self.now;
        match event {
            Event::AddAgent(number) => {
                let spec = self.agent(*number, *number);
                let total = spec.total.clone();
                if self.core.add_agent(now, spec, &[]).is_ok() {
                    self.totals.insert(name("agent", *number), total);
                }
            }
            Event::RemoveAgent(number) => {
                let id = name("agent", *number);
                let known = self.totals.remove(&id).is_some();
                assert_eq!(self.core.remove_agent(&id).is_ok(), known);
                self.held.retain(|(agent, _, _), _| *agent != id);
                self.refused.retain(|(agent, ..)| *agent != id);
            }
            Event::ShrinkAgent(number, total) => {
                let spec = self.agent(*number, *total);
                if let Some(mine) = self.totals.get_mut(&spec.id) {
                    *mine = spec.total.clone();
                    self.core.update_agent(now, spec).unwrap();
                }
            }
            Event::ToggleAgent(number, on) => {
                let id = name("agent", *number);
                let done = match on {
                    true => self.core.activate_agent(now, &id),
                    false => self.core.deactivate_agent(&id),
                };
                assert_eq!(done.is_ok(), self.totals.contains_key(&id));
            }
            Event::Weight(role, weight) => {
                self.core
                    .update_weights([(ROLES[*role], f64::from(*weight))])
                    .unwrap();
            }
            Event::GiveBack(at, whole, refuse) => self.give_back(*at, *whole, *refuse),
            Event::Pass(milliseconds) => self.pass(Duration::from_millis((*milliseconds).into())),
            framework => self.framework(framework),
        }
    }

    fn framework(&mut self, event: &Event) {
        let now = self.now;
        match event {
            Event::AddFramework(number, mask) => {
                let chosen = ROLES
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| mask & (1 << at) != 0);
                let spec = FrameworkSpec {
                    id: name("framework", *number),
                    roles: chosen.map(|(_, role)| (*role).to_owned()).collect(),
                    capabilities: FrameworkCapabilities {
                        multi_role: true,
                        ..FrameworkCapabilities::default()
                    },
                    ..FrameworkSpec::default()
                };
                // One that is there already stays as it is.
                let _there_already = self.core.add_framework(now, &spec, true, &[]);
            }
            Event::RemoveFramework(number) => {
                let id = name("framework", *number);
                if self.core.remove_framework(now, &id).is_ok() {
                    self.forget_refusals(&id);
                    self.held.retain(|(_, framework, _), _| *framework != id);
                    self.suppressed.retain(|(framework, _), _| *framework != id);
                }
            }
            Event::ToggleFramework(number, on) => {
                let id = name("framework", *number);
                let done = match on {
                    true => self.core.activate_framework(now, &id),
                    false => self.core.deactivate_framework(&id),
                };
                if done.is_ok() && !on {
                    self.forget_refusals(&id);
                }
            }
            Event::Suppress(number, role) => {
                let (id, role) = (name("framework", *number), ROLES[*role].to_owned());
                if self.core.suppress(&id, std::slice::from_ref(&role)).is_ok() {
                    self.suppressed.insert((id, role), true);
                }
            }
            Event::Revive(number) => {
                let id = name("framework", *number);
                if self.core.revive(now, &id, &[]).is_ok() {
                    self.forget_refusals(&id);
                    self.suppressed.retain(|(framework, _), _| *framework != id);
                }
            }
            _ => unreachable!("the others are applied elsewhere"),
        }
    }

    fn forget_refusals(&mut self, id: &str) {
        self.refused.retain(|(_, framework, ..)| framework != id);
    }

    fn give_back(&mut self, at: usize, whole: bool, refuse: Option<u16>) {
        let at = at % self.held.len().max(1);
        let Some(key) = self.held.keys().nth(at).cloned() else {
            return;
        };
        let (agent, framework, role) = key.clone();
        let mine = self.held.get_mut(&key).unwrap();
        let given = if whole {
            mine.clone()
        } else {
            mine.named("cpus")
        };
        *mine -= &given;
        if mine.is_empty() {
            self.held.remove(&key);
        }
        let recovery = match refuse {
            Some(milliseconds) => Recovery::refused_for(f64::from(milliseconds) / 1000.0),
            None => Recovery::Freed,
        };
        if let Some(milliseconds) = refuse {
            let least = if milliseconds == 0 {
                0
            } else {
                milliseconds.max(1000)
            };
            let until = self.now + Duration::from_millis(least.into());
            self.refusals += 1;
            self.refused.push((
                agent.clone(),
                framework.clone(),
                role.clone(),
                given.clone(),
                until,
            ));
        }
        let freed = Use {
            framework,
            agent,
            resources: given.allocate(&role),
        };
        self.core.recover(self.now, &freed, recovery).unwrap();
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.core.due() <= until {
            self.now = self.now.max(self.core.due());
            self.seed += 1;
            let batch = self.now >= self.core.next_batch();
            if batch {
                let now = self.now;
                self.refused.retain(|(.., until)| *until >= now);
            }
            let run = self
                .core
                .run(self.now, Order::Shuffled { seed: self.seed }, &mut ());
            assert_eq!(run.batch, batch);
            for grant in &run.grants {
                self.granted(grant);
            }
        }
        self.now = until;
    }

    fn granted(&mut self, grant: &Grant) {
        let key = (
            grant.agent.to_string(),
            grant.framework.to_string(),
            grant.role.to_string(),
        );
        let resources = grant.unallocated();
        assert!(!resources.is_empty());
        assert_eq!(
            resources.allocatable_to(&grant.role),
            resources,
            "reserved for others"
        );
        assert!(
            !self
                .suppressed
                .contains_key(&(key.1.clone(), key.2.clone())),
            "AL-5 suppressed"
        );
        for (agent, framework, role, refused, _) in &self.refused {
            let same = (agent, framework, role) == (&key.0, &key.1, &key.2);
            assert!(
                !(same && refused.contains(&resources)),
                "AL-5 {resources} was refused"
            );
        }
        self.grants
            .push(format!("{} {key:?} {resources}", self.now));
        *self.held.entry(key).or_default() += resources;
    }

    fn check(&self) {
        for (agent, total) in &self.totals {
            let mut expected = Resources::new();
            let mut held: BTreeMap<&str, Resources> = BTreeMap::new();
            for ((_, framework, role), mine) in
                self.held.iter().filter(|((there, ..), _)| there == agent)
            {
                expected += mine;
                *held.entry(framework).or_default() += mine.allocate(role);
            }
            let core = self.core.held(agent).unwrap();
            assert_eq!(core.len(), held.len(), "AL-2");
            for (framework, mine) in &core {
                assert_eq!(mine, &held[&**framework], "AL-2 {framework} on {agent}");
            }
            // An agent that shrank may have less than is held; nothing more is free then.
            let free = self.core.free(agent).unwrap();
            assert_eq!(free, total - &expected, "AL-1 on {agent}");
        }
        let sum: Resources = self.held.values().sum();
        assert_eq!(self.core.offered_or_allocated(), sum.quantities(), "AL-2");
        let total: Resources = self.totals.values().sum();
        assert_eq!(self.core.total(), total.quantities(), "AL-2");
    }

    /// Nobody could be offered anything that is free, unless something is said against it.
    fn check_progress(&mut self) {
        self.pass(Duration::from_secs(10));
        self.check();
        for agent in self.totals.keys() {
            for framework in 0..FRAMEWORKS {
                for role in ROLES {
                    let reason = self
                        .core
                        .explain(&name("framework", framework), role, agent);
                    assert_ne!(
                        reason,
                        Ok(Reason::Waiting),
                        "AL-4 {framework} {role} {agent}"
                    );
                    // No refusal of these events lasts longer than four seconds.
                    let refused =
                        matches!(reason, Ok(Reason::Refused { .. } | Reason::JustRefused));
                    assert!(!refused, "AL-4 {framework} {role} {agent}: {reason:?}");
                }
            }
        }
    }

    fn check_restored(&mut self) {
        for ((agent, framework, role), mine) in std::mem::take(&mut self.held) {
            let freed = Use {
                framework,
                agent,
                resources: mine.allocate(&role),
            };
            self.core
                .recover(self.now, &freed, Recovery::Freed)
                .unwrap();
        }
        self.check();
        for (agent, total) in &self.totals {
            assert_eq!(&self.core.free(agent).unwrap(), total, "AL-3");
        }
        assert!(
            self.core.dominant_shares().all(|(_, share)| share == 0.0),
            "AL-3"
        );
        assert!(self.core.offered_or_allocated().is_empty(), "AL-3");
    }
}

fn play(events: &[Event], seed: u64) -> Model {
    let mut model = Model::new(seed);
    // Not from nothing: three agents, and two frameworks in different roles.
    let beginning = [
        Event::AddAgent(0),
        Event::AddAgent(1),
        Event::AddAgent(2),
        Event::AddFramework(0, 0b0011),
        Event::AddFramework(1, 0b0100),
        Event::Pass(1),
    ];
    for event in beginning.iter().chain(events) {
        model.apply(event);
        model.check();
    }
    model
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn the_books_are_right_whatever_happens(events in vec(event(), 1..60), seed in any::<u32>()) {
        let mut model = play(&events, seed.into());
        model.check_progress();
        model.check_restored();
    }

    #[test]
    fn the_same_events_and_seeds_give_the_same_grants(
        events in vec(event(), 1..60), seed in any::<u32>()
    ) {
        prop_assert_eq!(play(&events, seed.into()).grants, play(&events, seed.into()).grants);
    }
}

/// The events above are not idle: they lead to grants, refusals and to much that is held.
#[test]
fn the_events_make_something_happen() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut grants, mut held, mut refused) = (0, 0, 0);
    for seed in 0..100 {
        let events = vec(event(), 60).new_tree(&mut runner).unwrap().current();
        let model = play(&events, seed);
        grants += model.grants.len();
        held += model.held.len();
        refused += model.refusals;
    }
    assert!(grants > 800, "{grants} grants");
    assert!(held > 100, "{held} held at the end");
    assert!(refused > 300, "{refused} refusals");
}
