//! A cluster of some size: all of it is given out, evenly, and what is refused stays refused.

#![cfg(test)]

use std::collections::BTreeMap;
use std::time::Duration;

use tepui_allocator::core::{
    AgentCapabilities, AgentSpec, Allocator, FrameworkCapabilities, FrameworkSpec, Options, Order,
    Recovery, Use,
};
use tepui_protocol::resources::parse_text;
use tepui_runtime::Time;

const AGENTS: usize = 400;
const FRAMEWORKS: usize = 40;
const ROLES: usize = 10;

fn cluster(agents: usize, frameworks: usize, roles: usize) -> Allocator {
    let mut core = Allocator::new(Options::default(), Time::EPOCH);
    let total = parse_text("cpus:16;mem:65536;disk:100000;ports:[31000-32000]", "*").unwrap();
    for at in 0..agents {
        let spec = AgentSpec {
            id: format!("agent-{at:05}"),
            hostname: String::new(),
            region: None,
            zone: None,
            attributes: Vec::new(),
            capabilities: AgentCapabilities {
                multi_role: true,
                hierarchical_role: true,
            },
            total: total.clone(),
        };
        core.add_agent(Time::EPOCH, spec, &[]).unwrap();
    }
    for at in 0..frameworks {
        let spec = FrameworkSpec {
            id: format!("framework-{at:03}"),
            roles: [format!("role-{}", at % roles)].into(),
            capabilities: FrameworkCapabilities {
                multi_role: true,
                ..Default::default()
            },
            ..FrameworkSpec::default()
        };
        core.add_framework(Time::EPOCH, &spec, true, &[]).unwrap();
    }
    core
}

#[test]
fn agents_are_shared_evenly_and_refused_by_all() {
    let mut core = cluster(AGENTS, FRAMEWORKS, ROLES);
    let run = core.run(Time::EPOCH, Order::Shuffled { seed: 1 }, &mut ());
    assert_eq!(run.grants.len(), AGENTS);
    let mut by_framework: BTreeMap<&str, usize> = BTreeMap::new();
    for grant in &run.grants {
        *by_framework.entry(&grant.framework).or_default() += 1;
    }
    assert_eq!(by_framework.len(), FRAMEWORKS);
    assert!(
        by_framework
            .values()
            .all(|agents| *agents == AGENTS / FRAMEWORKS)
    );

    // Each agent goes from one to the next until all have refused it.
    let mut grants = run.grants;
    let mut offers = 0;
    while !grants.is_empty() {
        offers += grants.len();
        let now = core.due().max(Time::from_nanos(1));
        for grant in &grants {
            let freed = Use {
                framework: grant.framework.to_string(),
                agent: grant.agent.to_string(),
                resources: grant.resources(),
            };
            core.recover(now, &freed, Recovery::Refused(Duration::from_secs(3600)))
                .unwrap();
        }
        grants = core
            .run(core.due(), Order::Shuffled { seed: 2 }, &mut ())
            .grants;
    }
    assert_eq!(
        offers,
        AGENTS * FRAMEWORKS,
        "each agent was offered to each framework once"
    );

    // A batch in which each framework has refused each agent gives out nothing.
    let run = core.run(core.next_batch(), Order::Shuffled { seed: 3 }, &mut ());
    assert!(run.batch && run.grants.is_empty());
    assert_eq!(run.agents, AGENTS);
}

/// 60 frameworks on 100 agents, each of which declines what it gets half a millisecond later: what
/// is declined is somebody else's offer within milliseconds, and not in the next batch.
#[test]
fn what_is_declined_is_offered_to_the_next_at_once() {
    let mut core = cluster(100, 60, 60);
    let reply = Duration::from_micros(500);
    // When who is to decline what.
    let mut waiting: BTreeMap<(Time, u64), Use> = BTreeMap::new();
    let mut declined: BTreeMap<String, (Time, String)> = BTreeMap::new();
    let (mut number, mut waits) = (0, Vec::new());
    let mut now = Time::EPOCH;
    // A refusal of an hour: each agent goes once through all 60 frameworks.
    while number < 100 * 60 {
        let next = waiting.first_key_value().map(|((at, _), _)| *at);
        if next.is_some_and(|at| at <= core.due()) {
            let ((at, _), freed) = waiting.pop_first().unwrap();
            now = at;
            declined.insert(freed.agent.clone(), (now, freed.framework.clone()));
            core.recover(now, &freed, Recovery::Refused(Duration::from_secs(3600)))
                .unwrap();
            continue;
        }
        now = now.max(core.due());
        for grant in core
            .run(now, Order::Shuffled { seed: number }, &mut ())
            .grants
        {
            if let Some((since, by)) = declined.remove(&*grant.agent) {
                assert_ne!(by, *grant.framework);
                waits.push(now.since(since));
            }
            let freed = Use {
                framework: grant.framework.to_string(),
                agent: grant.agent.to_string(),
                resources: grant.resources(),
            };
            number += 1;
            // Not all at the same instant: their replies take their turns.
            let at = now + reply + Duration::from_micros(number % 100 * 10);
            waiting.insert((at, number), freed);
        }
    }
    waits.sort_unstable();
    assert_eq!(waits.len(), 100 * 59);
    assert!(
        waits[waits.len() / 2] <= Duration::from_millis(2),
        "{:?}",
        waits[waits.len() / 2]
    );
    assert!(
        waits[waits.len() - 1] <= Duration::from_millis(4),
        "{:?}",
        waits[waits.len() - 1]
    );
}
