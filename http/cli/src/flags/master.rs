//! The flags of the master: every one that Mesos has, and `allocation_log`, which is ours.

use super::{Group, LISTENING, LOGGING, flags};

/// The flags of `tepui master` by their purpose.
pub(crate) const MASTER: &[Group] = &[
    (
        "The cluster",
        flags! {
            port: Port = "5050" => does "The port to listen on";
            work_dir: Path =>
                does "Where the master keeps its state; not needed with --registry=in_memory";
            cluster: Text => does "The cluster's name, for people";
            domain: Json =>
                does "The fault domain: \
                    {\"fault_domain\":{\"region\":{\"name\":\"r\"},\"zone\":{\"name\":\"z\"}}}";
            require_agent_domain: Boolean = "false" =>
                does "Keep agents without a fault domain out";
            root_submissions: Boolean = "true" => does "Let frameworks run tasks as root";
            zk: Text => refuses "leader election by ZooKeeper";
            zk_session_timeout: Duration = "10secs" => refuses "leader election by ZooKeeper";
        },
    ),
    ("Listening", LISTENING),
    (
        "Offers",
        flags! {
            allocation_interval: Period = "1secs" =>
                does "How often what is free is offered again; also the shortest refusal";
            min_allocatable_resources: Text = "cpus:0.01|mem:32" =>
                does "The smallest offer: items joined by ;, alternatives by |";
            offer_timeout: Duration => does "Take an offer back that is not answered for so long";
            filter_gpu_resources: Boolean = "true" =>
                does "Offer agents with GPUs only to frameworks that know of them";
            whitelist: Path =>
                does "Offer only agents whose hostnames are in this file, one a line; read every 5secs";
            roles: Text =>
                does "The roles that frameworks may have, joined by commas; without it any";
            weights: Text => does "Weights of roles: role=2,other=1.5";
            fair_sharing_excluded_resource_names: Text =>
                does "Names that do not count for fair shares, joined by commas";
            allocation_log: Path =>
                does "Write each of the allocator's decisions with its reason into this file, as \
                    JSON lines";
            allocator: Text = "hierarchical" => refuses "an allocator module";
            framework_sorter: Text = "drf" => refuses "another sorter";
            role_sorter | user_sorter: Text = "drf" => refuses "another sorter";
            allocator_agent_recovery_factor: Number = "0.80" =>
                refuses "holding offers back after a failover";
            allocator_recovery_timeout: Duration = "10mins" =>
                refuses "holding offers back after a failover";
            offer_constraints_re2_max_mem: Bytes = "4096B" =>
                does "The memory of a regular expression in offer constraints";
            offer_constraints_re2_max_program_size: Integer = "100" =>
                does "The size of a regular expression's program in offer constraints";
            max_executors_per_agent | max_executors_per_slave: Integer =>
                refuses "network/port_mapping";
        },
    ),
    (
        "Agents that go away",
        flags! {
            agent_ping_timeout | slave_ping_timeout: Duration = "15secs" =>
                does "How long an agent may take to answer a ping";
            max_agent_ping_timeouts | max_slave_ping_timeouts: Integer = "5" =>
                does "Pings in a row that an agent may miss before it is unreachable";
            agent_reregister_timeout | slave_reregister_timeout: Duration = "10mins" =>
                does "How long a lost agent may take to come back";
            agent_removal_rate_limit | slave_removal_rate_limit: Text =>
                does "How many agents may become unreachable in a time: 1/10mins";
            recovery_agent_removal_limit | recovery_slave_removal_limit: Text = "100%" =>
                does "Rather stop than remove a larger share of the agents after a failover";
        },
    ),
    (
        "The registry",
        flags! {
            registry: Text = "in_memory" => does "Where the registry is kept: in_memory";
            registry_fetch_timeout: Duration = "1mins" =>
                does "How long reading the registry may take";
            registry_store_timeout: Duration = "20secs" =>
                does "How long a change of the registry may take";
            registry_gc_interval: Period = "15mins" =>
                does "How often unreachable and gone agents are pruned";
            registry_max_agent_age: Duration = "2weeks" =>
                does "How long unreachable and gone agents are kept";
            registry_max_agent_count: Integer = "102400" =>
                does "How many unreachable, and how many gone, agents are kept";
            registry_strict: Boolean = "false" => refuses "the strict registry";
            quorum: Integer => refuses "the replicated log" but takes "1";
            log_auto_initialize: Boolean = "true" => refuses "the replicated log" but takes "false";
        },
    ),
    (
        "What is remembered and counted",
        flags! {
            max_completed_frameworks: Integer = "50" =>
                does "Removed frameworks that are kept in memory";
            max_completed_tasks_per_framework: Integer = "1000" =>
                does "Ended tasks that are kept of a framework";
            max_unreachable_tasks_per_framework: Integer = "1000" =>
                does "Tasks on unreachable agents that are kept of a framework";
            publish_per_framework_metrics: Boolean = "true" => does "Count per framework also";
            max_operator_event_stream_subscribers: Integer = "1000" =>
                refuses "the operators' event stream";
            memory_profiling: Boolean = "false" => refuses "memory profiling";
            webui_dir: Path =>
                refuses "the web UI"
                    but takes "/usr/share/mesos/webui" "/usr/local/share/mesos/webui";
        },
    ),
    (
        "Who may do what",
        flags! {
            acls: Json => refuses "authorization";
            authorizers: Text = "local" => refuses "authorization";
            authenticate_agents | authenticate_slaves: Boolean = "false" =>
                refuses "authentication";
            authenticate_frameworks | authenticate: Boolean = "false" => refuses "authentication";
            authenticate_http_frameworks: Boolean = "false" => refuses "authentication";
            authenticate_http_readonly: Boolean = "false" => refuses "authentication";
            authenticate_http_readwrite | authenticate_http: Boolean = "false" =>
                refuses "authentication";
            authentication_v0_timeout: Duration = "15secs" => refuses "authentication";
            authenticators: Text = "crammd5" => refuses "authentication";
            credentials: Path => refuses "authentication";
            http_authenticators: Text = "basic" => refuses "authentication";
            http_framework_authenticators: Text => refuses "authentication";
            rate_limits: Json => refuses "rate limits";
        },
    ),
    (
        "Modules",
        flags! {
            modules: Json => refuses "modules";
            modules_dir: Path => refuses "modules";
            hooks: Text => refuses "modules";
            master_contender: Text => refuses "modules";
            master_detector: Text => refuses "modules";
        },
    ),
    ("Logging", LOGGING),
];
