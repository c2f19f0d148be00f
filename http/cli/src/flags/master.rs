//! The flags of the master: every one that Mesos has, and `allocation_log`.

use super::{Flag, Kind};

/// The flags of `tepui master`, besides those of `common.rs`.
pub(crate) const MASTER: &[Flag] = &[
    Flag::new("port", Kind::Integer, "The port to listen on").default("5050"),
    Flag::new(
        "work_dir",
        Kind::Path,
        "Where the master keeps its state; not needed with --registry=in_memory",
    ),
    Flag::new(
        "registry",
        Kind::Text,
        "Where the registry is kept: in_memory",
    )
    .default("in_memory"),
    Flag::new("cluster", Kind::Text, "The cluster's name, for people"),
    Flag::new(
        "allocation_interval",
        Kind::Duration,
        "How often what is free is offered again; also the shortest refusal",
    )
    .default("1secs"),
    Flag::new(
        "min_allocatable_resources",
        Kind::Text,
        "The smallest offer: items joined by ;, alternatives by |",
    )
    .default("cpus:0.01|mem:32"),
    Flag::new(
        "offer_timeout",
        Kind::Duration,
        "Take an offer back that is not answered for so long",
    ),
    Flag::new(
        "agent_ping_timeout",
        Kind::Duration,
        "How long an agent may take to answer a ping",
    )
    .default("15secs")
    .alias("slave_ping_timeout"),
    Flag::new(
        "max_agent_ping_timeouts",
        Kind::Integer,
        "Pings in a row that an agent may miss before it is unreachable",
    )
    .default("5")
    .alias("max_slave_ping_timeouts"),
    Flag::new(
        "agent_reregister_timeout",
        Kind::Duration,
        "How long a lost agent may take to come back",
    )
    .default("10mins")
    .alias("slave_reregister_timeout"),
    Flag::new(
        "roles",
        Kind::Text,
        "The roles that frameworks may have, joined by commas; without it any",
    ),
    Flag::new("weights", Kind::Text, "Weights of roles: role=2,other=1.5"),
    Flag::new(
        "max_completed_frameworks",
        Kind::Integer,
        "Removed frameworks that are kept in memory",
    )
    .default("50"),
    Flag::new(
        "max_completed_tasks_per_framework",
        Kind::Integer,
        "Ended tasks that are kept of a framework",
    )
    .default("1000"),
    Flag::new(
        "max_unreachable_tasks_per_framework",
        Kind::Integer,
        "Tasks on unreachable agents that are kept of a framework",
    )
    .default("1000"),
    Flag::new(
        "root_submissions",
        Kind::Boolean,
        "Let frameworks run tasks as root",
    )
    .default("true"),
    Flag::new(
        "allocation_log",
        Kind::Path,
        "Write each of the allocator's decisions with its reason into this file, as JSON lines",
    ),
    Flag::refused(
        "agent_removal_rate_limit",
        Kind::Text,
        "limiting the rate of removals",
    )
    .alias("slave_removal_rate_limit"),
    Flag::refused("allocator", Kind::Text, "an allocator module").default("hierarchical"),
    Flag::refused(
        "allocator_agent_recovery_factor",
        Kind::Number,
        "holding offers back after a failover",
    )
    .default("0.80"),
    Flag::refused(
        "allocator_recovery_timeout",
        Kind::Duration,
        "holding offers back after a failover",
    )
    .default("10mins"),
    Flag::refused("acls", Kind::Text, "authorization"),
    Flag::refused("authenticate_agents", Kind::Boolean, "authentication")
        .default("false")
        .alias("authenticate_slaves"),
    Flag::refused("authenticate_frameworks", Kind::Boolean, "authentication")
        .default("false")
        .alias("authenticate"),
    Flag::refused(
        "authenticate_http_frameworks",
        Kind::Boolean,
        "authentication",
    )
    .default("false"),
    Flag::refused(
        "authenticate_http_readonly",
        Kind::Boolean,
        "authentication",
    )
    .default("false"),
    Flag::refused(
        "authenticate_http_readwrite",
        Kind::Boolean,
        "authentication",
    )
    .default("false")
    .alias("authenticate_http"),
    Flag::refused(
        "authentication_v0_timeout",
        Kind::Duration,
        "authentication",
    )
    .default("15secs"),
    Flag::refused("authenticators", Kind::Text, "authentication").default("crammd5"),
    Flag::refused("authorizers", Kind::Text, "authorization").default("local"),
    Flag::refused("credentials", Kind::Path, "authentication"),
    Flag::new("domain", Kind::Text, "The fault domain, as JSON"),
    Flag::new(
        "fair_sharing_excluded_resource_names",
        Kind::Text,
        "Names that do not count for fair shares, joined by commas",
    ),
    Flag::new(
        "filter_gpu_resources",
        Kind::Boolean,
        "Offer agents with GPUs only to frameworks that know of them",
    )
    .default("true"),
    Flag::refused("firewall_rules", Kind::Text, "firewall rules"),
    Flag::refused("framework_sorter", Kind::Text, "another sorter").default("drf"),
    Flag::refused("role_sorter", Kind::Text, "another sorter")
        .default("drf")
        .alias("user_sorter"),
    Flag::refused("hooks", Kind::Text, "hooks"),
    Flag::refused("http_authenticators", Kind::Text, "authentication").default("basic"),
    Flag::refused(
        "http_framework_authenticators",
        Kind::Text,
        "authentication",
    ),
    Flag::refused("log_auto_initialize", Kind::Boolean, "the replicated log")
        .default("true")
        .harmless(&["false"]),
    Flag::refused("master_contender", Kind::Text, "modules"),
    Flag::refused("master_detector", Kind::Text, "modules"),
    Flag::refused(
        "max_executors_per_agent",
        Kind::Integer,
        "network/port_mapping",
    )
    .alias("max_executors_per_slave"),
    Flag::refused(
        "max_operator_event_stream_subscribers",
        Kind::Integer,
        "the operators' event stream",
    )
    .default("1000"),
    Flag::refused("memory_profiling", Kind::Boolean, "memory profiling").default("false"),
    Flag::refused("modules", Kind::Text, "modules"),
    Flag::refused("modules_dir", Kind::Path, "modules"),
    Flag::refused(
        "offer_constraints_re2_max_mem",
        Kind::Bytes,
        "constraints on offers",
    )
    .default("4096B"),
    Flag::refused(
        "offer_constraints_re2_max_program_size",
        Kind::Integer,
        "constraints on offers",
    )
    .default("100"),
    Flag::new(
        "publish_per_framework_metrics",
        Kind::Boolean,
        "Count per framework also",
    )
    .default("true"),
    Flag::refused("quorum", Kind::Integer, "the replicated log"),
    Flag::refused("rate_limits", Kind::Text, "rate limits"),
    Flag::new(
        "recovery_agent_removal_limit",
        Kind::Text,
        "Rather stop than remove a larger share of the agents after a failover",
    )
    .default("100%")
    .alias("recovery_slave_removal_limit"),
    Flag::new(
        "registry_fetch_timeout",
        Kind::Duration,
        "How long reading the registry may take",
    )
    .default("1mins"),
    Flag::new(
        "registry_store_timeout",
        Kind::Duration,
        "How long a change of the registry may take",
    )
    .default("20secs"),
    Flag::new(
        "registry_gc_interval",
        Kind::Duration,
        "How often unreachable and gone agents are pruned from the registry",
    )
    .default("15mins"),
    Flag::new(
        "registry_max_agent_age",
        Kind::Duration,
        "How long unreachable and gone agents are kept",
    )
    .default("2weeks"),
    Flag::new(
        "registry_max_agent_count",
        Kind::Integer,
        "How many unreachable, and how many gone, agents are kept",
    )
    .default("102400"),
    Flag::refused("registry_strict", Kind::Boolean, "the strict registry").default("false"),
    Flag::new(
        "require_agent_domain",
        Kind::Boolean,
        "Keep agents without a fault domain out",
    )
    .default("false"),
    Flag::refused("webui_dir", Kind::Path, "the web UI"),
    Flag::refused("whitelist", Kind::Path, "the whitelist of agents"),
    Flag::refused("zk", Kind::Text, "leader election by ZooKeeper"),
    Flag::refused(
        "zk_session_timeout",
        Kind::Duration,
        "leader election by ZooKeeper",
    )
    .default("10secs"),
];
