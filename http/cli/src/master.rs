//! `tepui master`: a master until SIGINT or SIGTERM.

use std::{collections::BTreeSet, process::ExitCode, time::Duration};

use tepui_allocator::{AllocatorOptions, parse_min_allocatable_resources, parse_weights};
use tepui_api::units::parse_duration;
use tepui_master::{MasterOptions, RegistryKind};
use tepui_protocol::{json, mesos::v1::DomainInfo, roles};
use tracing::{info, warn};

use crate::{
    cluster,
    command::Command,
    failure::Failure,
    flags::{FlagError, MASTER, Values},
    listening::Listening,
    signals::Signals,
};

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "master",
    summary: "Run a master: the one that knows a cluster's agents and offers what they have.",
    groups: &[MASTER],
    environment: true,
    run,
};

fn run(values: &Values) -> Result<ExitCode, Failure> {
    let mut listening = Listening::of(values, "master")?;
    let mut options = options(values)?;
    options.hostname = Some(std::mem::take(&mut listening.hostname));
    let world = cluster::world(values)?;
    let mut signals = Signals::watch(&world).map_err(Failure::Signals)?;
    let _lock = values
        .path("work_dir")
        .map(|path| {
            cluster::lock(
                &world,
                &path,
                "lock",
                &cluster::who("master", listening.node.port),
            )
        })
        .transpose()?;
    info!(cluster = values.text("cluster"), "starting the master");
    let api = cluster::api_options(COMMAND.groups, values, COMMAND.name);
    let master = cluster::start_master(&world, listening.node, options, api)?;
    if !listening.warning.is_empty() {
        warn!("the master {}", listening.warning);
    }
    let signal = world.block_on(signals.next());
    info!(%signal, "the master ends");
    master.stop(&world);
    Ok(ExitCode::SUCCESS)
}

/// What the flags say of a master.
///
/// # Errors
///
/// The flag whose value cannot be.
pub(crate) fn options(values: &Values) -> Result<MasterOptions, FlagError> {
    if values.text("registry") != Some("in_memory") {
        let value = values.text("registry").unwrap_or_default().to_owned();
        let feature = "a registry that outlives the master";
        return Err(FlagError::NotOffered {
            name: "registry",
            feature,
            value,
        });
    }
    let defaults = MasterOptions::default();
    let time = |name, default| values.duration(name).unwrap_or(default);
    let count = |name, default| values.parsed(name).unwrap_or(default);
    let ping = time("agent_ping_timeout", defaults.agent_ping_timeout);
    if !(1..=900).contains(&ping.as_secs()) {
        return Err(bad("agent_ping_timeout", "expected 1secs to 15mins"));
    }
    let offer_timeout = values.duration("offer_timeout");
    if offer_timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(bad("offer_timeout", "expected more than nothing"));
    }
    let max_pings = values.parsed("max_agent_ping_timeouts");
    if max_pings == Some(0) {
        return Err(bad("max_agent_ping_timeouts", "expected at least 1"));
    }
    let reregister = time(
        "agent_reregister_timeout",
        defaults.agent_reregister_timeout,
    );
    if reregister < defaults.agent_reregister_timeout {
        return Err(bad("agent_reregister_timeout", "expected at least 10mins"));
    }
    Ok(MasterOptions {
        agent_ping_timeout: ping,
        agent_removal_rate_limit: removal_rate(values)?,
        max_agent_ping_timeouts: max_pings.unwrap_or(defaults.max_agent_ping_timeouts),
        agent_reregister_timeout: reregister,
        max_completed_frameworks: count(
            "max_completed_frameworks",
            defaults.max_completed_frameworks,
        ),
        max_completed_tasks_per_framework: count(
            "max_completed_tasks_per_framework",
            defaults.max_completed_tasks_per_framework,
        ),
        max_unreachable_tasks_per_framework: count(
            "max_unreachable_tasks_per_framework",
            defaults.max_unreachable_tasks_per_framework,
        ),
        offer_timeout,
        recovery_agent_removal_limit: removal_limit(values)?,
        registry: RegistryKind::InMemory,
        registry_fetch_timeout: time("registry_fetch_timeout", defaults.registry_fetch_timeout),
        registry_store_timeout: time("registry_store_timeout", defaults.registry_store_timeout),
        registry_gc_interval: time("registry_gc_interval", defaults.registry_gc_interval),
        registry_max_agent_age: time("registry_max_agent_age", defaults.registry_max_agent_age),
        registry_max_agent_count: count(
            "registry_max_agent_count",
            defaults.registry_max_agent_count,
        ),
        roles: whitelist(values)?,
        root_submissions: values.boolean("root_submissions"),
        publish_per_framework_metrics: values.boolean("publish_per_framework_metrics"),
        domain: domain(values)?,
        require_agent_domain: values.boolean("require_agent_domain"),
        allocator: allocator(values)?,
        ..defaults
    })
}

fn allocator(values: &Values) -> Result<AllocatorOptions, FlagError> {
    let mut options = AllocatorOptions::default();
    let decisions = &mut options.decisions;
    if let Some(interval) = values.duration("allocation_interval") {
        decisions.allocation_interval = interval;
    }
    if let Some(text) = values.text("min_allocatable_resources") {
        decisions.min_allocatable_resources = parse_min_allocatable_resources(text)
            .map_err(|problem| bad("min_allocatable_resources", problem))?;
    }
    if let Some(names) = values.text("fair_sharing_excluded_resource_names") {
        decisions.fair_sharing_excluded_resource_names = list(names);
    }
    decisions.filter_gpu_resources = values.boolean("filter_gpu_resources");
    if let Some(bytes) = values.bytes("offer_constraints_re2_max_mem") {
        decisions.patterns.max_memory = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    if let Some(most) = values.parsed("offer_constraints_re2_max_program_size") {
        decisions.patterns.max_program = most;
    }
    decisions.weights = parse_weights(values.text("weights").unwrap_or_default())
        .map_err(|problem| bad("weights", problem))?;
    let region = domain(values)?.and_then(|domain| domain.fault_domain);
    decisions.region = region.map(|domain| domain.region.name);
    options.allocation_log = values.path("allocation_log");
    options.whitelist = values.path("whitelist");
    Ok(options)
}

/// A fault domain in JSON.
pub(crate) fn domain(values: &Values) -> Result<Option<DomainInfo>, FlagError> {
    values
        .text("domain")
        .map(|text| json::from_slice(text.as_bytes()).map_err(|problem| bad("domain", problem)))
        .transpose()
}

fn whitelist(values: &Values) -> Result<Option<BTreeSet<String>>, FlagError> {
    let Some(names) = values.text("roles").map(list) else {
        return Ok(None);
    };
    for role in &names {
        roles::validate(role).map_err(|problem| bad("roles", problem))?;
    }
    Ok(Some(names))
}

/// The time between two removals that a rate such as `1/10mins` leaves.
fn removal_rate(values: &Values) -> Result<Option<Duration>, FlagError> {
    let name = "agent_removal_rate_limit";
    let Some(text) = values.text(name) else {
        return Ok(None);
    };
    let read = || {
        let (count, within) = text.split_once('/')?;
        let count: u32 = count.parse().ok().filter(|count| *count > 0)?;
        let within = parse_duration(within)
            .ok()
            .filter(|within| !within.is_zero())?;
        Some(within / count)
    };
    match read() {
        Some(pause) => Ok(Some(pause)),
        None => Err(bad(
            name,
            "expected <number of agents>/<duration>, such as 1/10mins",
        )),
    }
}

fn removal_limit(values: &Values) -> Result<f64, FlagError> {
    let name = "recovery_agent_removal_limit";
    let text = values.text(name).unwrap_or("100%");
    let percent = text
        .strip_suffix('%')
        .and_then(|number| number.parse::<f64>().ok());
    match percent {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err(bad(name, "expected a percentage such as 50%")),
    }
}

fn list(text: &str) -> BTreeSet<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn bad(name: &'static str, problem: impl ToString) -> FlagError {
    FlagError::BadValue {
        name,
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Parsed, Sources, parse};

    fn load(arguments: &[&str]) -> Result<MasterOptions, String> {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let sources = Sources {
            arguments: &arguments,
            environment: &std::collections::BTreeMap::new(),
            read: &|_| Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        };
        match parse(&[MASTER], &sources).map_err(|it| it.to_string())? {
            Parsed::Values(values) => options(&values).map_err(|problem| problem.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_flags_everything_is_as_mesos_has_it() {
        let (found, expected) = (load(&[]).unwrap(), MasterOptions::default());
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    }

    #[test]
    fn flags_become_options() {
        let found = load(&[
            "--agent_ping_timeout=1secs",
            "--max_agent_ping_timeouts=2",
            "--offer_timeout=1mins",
            "--agent_removal_rate_limit=2/1mins",
            "--whitelist=file:///etc/agents",
            "--roles=web, db",
            "--weights=web=2,db=0.5",
            "--recovery_agent_removal_limit=50%",
            "--min_allocatable_resources=cpus:1;mem:2|gpus:1",
            "--no-root_submissions",
            "--offer_constraints_re2_max_mem=8KB",
            "--offer_constraints_re2_max_program_size=7",
        ])
        .unwrap();
        assert_eq!(found.agent_ping_timeout.as_secs(), 1);
        assert_eq!(found.max_agent_ping_timeouts, 2);
        assert_eq!(found.agent_removal_rate_limit.unwrap().as_secs(), 30);
        let whitelist = found.allocator.whitelist.clone().unwrap();
        assert_eq!(whitelist.to_str(), Some("/etc/agents"));
        assert_eq!(found.offer_timeout.unwrap().as_secs(), 60);
        assert_eq!(
            found.roles.unwrap(),
            BTreeSet::from(["db".to_owned(), "web".to_owned()])
        );
        let weights: Vec<_> = found.allocator.decisions.weights.into_iter().collect();
        assert_eq!(weights, [("db".to_owned(), 0.5), ("web".to_owned(), 2.0)]);
        assert!((found.recovery_agent_removal_limit - 0.5).abs() < f64::EPSILON);
        assert_eq!(found.allocator.decisions.min_allocatable_resources.len(), 2);
        assert!(!found.root_submissions);
        let patterns = found.allocator.decisions.patterns;
        assert_eq!((patterns.max_memory, patterns.max_program), (8192, 7));
    }

    #[test]
    fn values_out_of_bounds_are_refused_by_flag() {
        for (argument, flag) in [
            ("--registry=replicated_log", "registry"),
            ("--agent_ping_timeout=500ms", "agent_ping_timeout"),
            ("--agent_ping_timeout=16mins", "agent_ping_timeout"),
            ("--max_agent_ping_timeouts=0", "max_agent_ping_timeouts"),
            (
                "--agent_reregister_timeout=9mins",
                "agent_reregister_timeout",
            ),
            ("--offer_timeout=0ns", "offer_timeout"),
            ("--allocation_interval=999us", "allocation_interval"),
            ("--registry_gc_interval=0ns", "registry_gc_interval"),
            (
                "--agent_removal_rate_limit=0/1mins",
                "agent_removal_rate_limit",
            ),
            (
                "--agent_removal_rate_limit=1mins",
                "agent_removal_rate_limit",
            ),
            (
                "--agent_removal_rate_limit=1/0ns",
                "agent_removal_rate_limit",
            ),
            ("--roles=a b", "roles"),
            ("--weights=web", "weights"),
            ("--weights=web=-1", "weights"),
            (
                "--recovery_agent_removal_limit=50",
                "recovery_agent_removal_limit",
            ),
            (
                "--min_allocatable_resources=cpus",
                "min_allocatable_resources",
            ),
            ("--domain={}x", "domain"),
            ("--quorum=2", "quorum"),
        ] {
            let problem = load(&[argument]).unwrap_err();
            assert!(
                problem.contains(&format!("'{flag}'")),
                "{argument}: {problem}"
            );
        }
    }
}
