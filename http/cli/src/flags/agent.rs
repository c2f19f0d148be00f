//! The flags of the agent: every one that Mesos has.

use super::{Flag, Kind};

/// The flags of `tepui agent`, besides those of `common.rs`.
pub(crate) const AGENT: &[Flag] = &[
    Flag::new(
        "master",
        Kind::Text,
        "The master: host:port, or a file:// that says it",
    ),
    Flag::new("port", Kind::Integer, "The port to listen on").default("5051"),
    Flag::new(
        "work_dir",
        Kind::Path,
        "Where the agent keeps its state and the sandboxes",
    ),
    Flag::new("runtime_dir", Kind::Path, "What needs not outlive a reboot"),
    Flag::new(
        "resources",
        Kind::Text,
        "What the agent offers, as text or JSON; what is not named is detected",
    ),
    Flag::new(
        "attributes",
        Kind::Text,
        "What the agent says of itself: rack:2;zone:[1-3];os:debian",
    ),
    Flag::new(
        "default_role",
        Kind::Text,
        "The role of resources that name none",
    )
    .default("*"),
    Flag::new(
        "launcher",
        Kind::Text,
        "linux or posix; without it linux for root, else posix",
    ),
    Flag::new(
        "isolation",
        Kind::Text,
        "How tasks are kept apart, joined by commas",
    ),
    Flag::refused(
        "cgroups_hierarchy",
        Kind::Path,
        "another place than where the cgroups are mounted",
    )
    .default("/sys/fs/cgroup"),
    Flag::new(
        "cgroups_root",
        Kind::Text,
        "The cgroup below which containers get theirs",
    )
    .default("mesos"),
    Flag::new(
        "cgroups_enable_cfs",
        Kind::Boolean,
        "Limit the CPU time of tasks to their share, also when CPUs are idle",
    )
    .default("false"),
    Flag::new(
        "executor_registration_timeout",
        Kind::Duration,
        "How long an executor may take to subscribe",
    )
    .default("1mins"),
    Flag::new(
        "executor_reregistration_timeout",
        Kind::Duration,
        "How long an executor may take to come back after a restart",
    )
    .default("2secs"),
    Flag::new(
        "executor_shutdown_grace_period",
        Kind::Duration,
        "How long an executor may take to shut down",
    )
    .default("5secs"),
    Flag::new(
        "registration_backoff_factor",
        Kind::Duration,
        "The first wait before registering; doubles with each try",
    )
    .default("1secs"),
    Flag::refused("recover", Kind::Text, "ending old executors at the start").default("reconnect"),
    Flag::new(
        "recovery_timeout",
        Kind::Duration,
        "How long executors wait for the agent to come back",
    )
    .default("15mins"),
    Flag::refused(
        "strict",
        Kind::Boolean,
        "going on after an error in recovery",
    )
    .default("true"),
    Flag::new(
        "switch_user",
        Kind::Boolean,
        "Run tasks as the framework's user",
    )
    .default("true"),
    Flag::refused(
        "reconfiguration_policy",
        Kind::Text,
        "changing the agent while it keeps its id",
    )
    .default("equal"),
    Flag::refused("acls", Kind::Text, "authorization"),
    Flag::refused("agent_features", Kind::Text, "choosing capabilities"),
    Flag::refused(
        "agent_subsystems",
        Kind::Text,
        "cgroups of the agent itself",
    )
    .alias("slave_subsystems"),
    Flag::refused("allowed_devices", Kind::Text, "cgroups/devices"),
    Flag::refused(
        "appc_simple_discovery_uri_prefix",
        Kind::Text,
        "image stores",
    )
    .default("http://"),
    Flag::refused("appc_store_dir", Kind::Path, "image stores").default("/tmp/mesos/store/appc"),
    Flag::refused(
        "authenticate_http_executors",
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
    .default("false"),
    Flag::refused("authenticatee", Kind::Text, "authentication").default("crammd5"),
    Flag::refused(
        "authentication_backoff_factor",
        Kind::Duration,
        "authentication",
    )
    .default("1secs"),
    Flag::refused(
        "authentication_timeout_min",
        Kind::Duration,
        "authentication",
    )
    .default("5secs")
    .alias("authentication_timeout"),
    Flag::refused(
        "authentication_timeout_max",
        Kind::Duration,
        "authentication",
    )
    .default("1mins"),
    Flag::refused("authorizer", Kind::Text, "authorization").default("local"),
    Flag::refused("bounding_capabilities", Kind::Text, "linux/capabilities"),
    Flag::refused("effective_capabilities", Kind::Text, "linux/capabilities")
        .alias("allowed_capabilities"),
    Flag::refused(
        "cgroups_cpu_enable_pids_and_tids_count",
        Kind::Boolean,
        "counting processes and threads",
    )
    .default("false"),
    Flag::new(
        "cgroups_destroy_timeout",
        Kind::Duration,
        "How long the cgroups of a container may take to be emptied",
    )
    .default("1mins"),
    Flag::refused("cgroups_limit_swap", Kind::Boolean, "limiting swap").default("false"),
    Flag::refused(
        "cgroups_net_cls_primary_handle",
        Kind::Text,
        "cgroups/net_cls",
    ),
    Flag::refused(
        "cgroups_net_cls_secondary_handles",
        Kind::Text,
        "cgroups/net_cls",
    ),
    Flag::refused(
        "check_agent_port_range_only",
        Kind::Boolean,
        "network/ports",
    )
    .default("false"),
    Flag::refused("container_disk_watch_interval", Kind::Duration, "disk/du").default("15secs"),
    Flag::refused("container_logger", Kind::Text, "modules"),
    Flag::refused(
        "container_ports_isolated_range",
        Kind::Text,
        "network/ports",
    ),
    Flag::refused(
        "container_ports_watch_interval",
        Kind::Duration,
        "network/ports",
    )
    .default("30secs"),
    Flag::refused("containerizers", Kind::Text, "another containerizer").default("mesos"),
    Flag::refused("credential", Kind::Path, "authentication"),
    Flag::refused(
        "csi_plugin_config_dir",
        Kind::Path,
        "CSI and storage providers",
    ),
    Flag::refused("default_container_dns", Kind::Text, "CNI networks"),
    Flag::refused(
        "default_container_info",
        Kind::Text,
        "a default ContainerInfo",
    ),
    Flag::refused(
        "default_container_shm_size",
        Kind::Bytes,
        "the size of /dev/shm",
    ),
    Flag::refused(
        "disallow_sharing_agent_ipc_namespace",
        Kind::Boolean,
        "sharing namespaces with the agent",
    )
    .default("false")
    .harmless(&["true"]),
    Flag::refused(
        "disallow_sharing_agent_pid_namespace",
        Kind::Boolean,
        "sharing namespaces with the agent",
    )
    .default("false")
    .harmless(&["true"]),
    Flag::refused("disk_profile_adaptor", Kind::Text, "modules"),
    Flag::refused(
        "disk_watch_interval",
        Kind::Duration,
        "collecting old sandboxes",
    )
    .default("1mins"),
    Flag::refused("docker", Kind::Path, "Docker").default("docker"),
    Flag::refused("docker_config", Kind::Text, "Docker"),
    Flag::refused("docker_ignore_runtime", Kind::Boolean, "Docker").default("false"),
    Flag::refused("docker_kill_orphans", Kind::Boolean, "Docker").default("true"),
    Flag::refused("docker_mesos_image", Kind::Text, "Docker"),
    Flag::refused("docker_registry", Kind::Text, "Docker").default("https://registry-1.docker.io"),
    Flag::refused("docker_remove_delay", Kind::Duration, "Docker").default("6hrs"),
    Flag::refused("docker_socket", Kind::Path, "Docker").default("/var/run/docker.sock"),
    Flag::refused("docker_stop_timeout", Kind::Duration, "Docker").default("0ns"),
    Flag::refused("docker_store_dir", Kind::Path, "Docker").default("/tmp/mesos/store/docker"),
    Flag::refused("docker_volume_checkpoint_dir", Kind::Path, "Docker")
        .default("/var/run/mesos/isolators/docker/volume"),
    Flag::refused("docker_volume_chown", Kind::Boolean, "Docker").default("false"),
    Flag::new("domain", Kind::Text, "The fault domain, as JSON"),
    Flag::refused(
        "domain_socket_location",
        Kind::Path,
        "domain sockets for executors",
    ),
    Flag::refused(
        "http_executor_domain_sockets",
        Kind::Boolean,
        "domain sockets for executors",
    )
    .default("false"),
    Flag::refused("enforce_container_disk_quota", Kind::Boolean, "disk quotas").default("false"),
    Flag::refused("enforce_container_ports", Kind::Boolean, "network/ports").default("false"),
    Flag::refused(
        "executor_environment_variables",
        Kind::Text,
        "replacing the executors' environment",
    ),
    Flag::refused(
        "executor_reregistration_retry_interval",
        Kind::Duration,
        "reconnecting to PID executors",
    ),
    Flag::refused("fetcher_cache_dir", Kind::Path, "the fetcher").default("/tmp/mesos/fetch"),
    Flag::refused("fetcher_cache_size", Kind::Bytes, "the fetcher").default("2GB"),
    Flag::refused("fetcher_stall_timeout", Kind::Duration, "the fetcher").default("1mins"),
    Flag::refused("frameworks_home", Kind::Path, "the fetcher").default(""),
    Flag::refused("hadoop_home", Kind::Path, "the fetcher"),
    Flag::refused("firewall_rules", Kind::Text, "firewall rules"),
    Flag::refused("gc_delay", Kind::Duration, "collecting old sandboxes").default("1weeks"),
    Flag::refused("gc_disk_headroom", Kind::Number, "collecting old sandboxes").default("0.1"),
    Flag::refused(
        "gc_non_executor_container_sandboxes",
        Kind::Boolean,
        "collecting old sandboxes",
    )
    .default("false"),
    Flag::refused("hooks", Kind::Text, "hooks"),
    Flag::refused("host_path_volume_force_creation", Kind::Text, "volumes"),
    Flag::refused("http_authenticators", Kind::Text, "authentication").default("basic"),
    Flag::refused(
        "http_command_executor",
        Kind::Boolean,
        "the executor on libprocess messages",
    )
    .default("true"),
    Flag::refused("http_credentials", Kind::Text, "authentication"),
    Flag::refused(
        "http_heartbeat_interval",
        Kind::Duration,
        "attaching to containers",
    )
    .default("30secs"),
    Flag::refused("image_gc_config", Kind::Text, "image stores"),
    Flag::refused("image_providers", Kind::Text, "image stores"),
    Flag::refused("image_provisioner_backend", Kind::Text, "image stores").default("auto"),
    Flag::refused("ip6", Kind::Text, "IPv6 addresses of containers"),
    Flag::refused(
        "ip6_discovery_command",
        Kind::Text,
        "IPv6 addresses of containers",
    ),
    Flag::refused("jwt_secret_key", Kind::Path, "authentication").alias("executor_secret_key"),
    Flag::refused("launcher_dir", Kind::Path, "other helper programs"),
    Flag::refused("master_detector", Kind::Text, "modules"),
    Flag::refused(
        "max_completed_executors_per_framework",
        Kind::Integer,
        "keeping ended executors",
    )
    .default("150"),
    Flag::refused("memory_profiling", Kind::Boolean, "memory profiling").default("false"),
    Flag::refused("modules", Kind::Text, "modules"),
    Flag::refused("modules_dir", Kind::Path, "modules"),
    Flag::refused("network_cni_config_dir", Kind::Path, "CNI networks"),
    Flag::refused("network_cni_plugins_dir", Kind::Text, "CNI networks"),
    Flag::refused(
        "network_cni_root_dir_persist",
        Kind::Boolean,
        "CNI networks",
    )
    .default("false"),
    Flag::refused("network_cni_metrics", Kind::Boolean, "CNI networks").default("true"),
    Flag::refused("nvidia_gpu_devices", Kind::Text, "GPUs"),
    Flag::refused(
        "oversubscribed_resources_interval",
        Kind::Duration,
        "oversubscription",
    )
    .default("15secs"),
    Flag::refused("perf_duration", Kind::Duration, "cgroups/perf_event").default("10secs"),
    Flag::refused("perf_events", Kind::Text, "cgroups/perf_event"),
    Flag::refused("perf_interval", Kind::Duration, "cgroups/perf_event").default("1mins"),
    Flag::refused("qos_controller", Kind::Text, "oversubscription"),
    Flag::refused(
        "qos_correction_interval_min",
        Kind::Duration,
        "oversubscription",
    )
    .default("0ns"),
    Flag::refused("resource_estimator", Kind::Text, "oversubscription"),
    Flag::refused(
        "resource_provider_config_dir",
        Kind::Path,
        "CSI and storage providers",
    ),
    Flag::refused(
        "revocable_cpu_low_priority",
        Kind::Boolean,
        "oversubscription",
    )
    .default("true"),
    Flag::refused(
        "sandbox_directory",
        Kind::Path,
        "another root file system for tasks",
    )
    .default("/mnt/mesos/sandbox"),
    Flag::refused("seccomp_config_dir", Kind::Path, "linux/seccomp"),
    Flag::refused("seccomp_profile_name", Kind::Text, "linux/seccomp"),
    Flag::refused("secret_resolver", Kind::Text, "modules"),
    Flag::refused("systemd_enable_support", Kind::Boolean, "systemd's slices").default("false"),
    Flag::refused("systemd_runtime_directory", Kind::Path, "systemd's slices")
        .default("/run/systemd/system"),
    Flag::refused("volume_gid_range", Kind::Text, "volumes"),
    Flag::refused("xfs_kill_containers", Kind::Boolean, "disk/xfs").default("false"),
    Flag::refused("xfs_project_range", Kind::Text, "disk/xfs").default("[5000-10000]"),
    Flag::refused("xfs_quota_headroom", Kind::Bytes, "disk/xfs").default("10MB"),
    Flag::refused(
        "zk_session_timeout",
        Kind::Duration,
        "leader election by ZooKeeper",
    )
    .default("10secs"),
    Flag::refused(
        "egress_rate_limit_per_container",
        Kind::Text,
        "network/port_mapping",
    ),
    Flag::refused("egress_rate_per_cpu", Kind::Text, "network/port_mapping"),
    Flag::refused(
        "minimum_egress_rate_limit",
        Kind::Text,
        "network/port_mapping",
    ),
    Flag::refused(
        "maximum_egress_rate_limit",
        Kind::Text,
        "network/port_mapping",
    ),
    Flag::refused("egress_ceil_limit", Kind::Text, "network/port_mapping"),
    Flag::refused("egress_burst", Kind::Text, "network/port_mapping"),
    Flag::refused(
        "egress_flow_classifier_parent",
        Kind::Text,
        "network/port_mapping",
    )
    .harmless(&["root"]),
    Flag::refused(
        "ingress_rate_limit_per_container",
        Kind::Text,
        "network/port_mapping",
    ),
    Flag::refused("ingress_rate_per_cpu", Kind::Text, "network/port_mapping"),
    Flag::refused(
        "minimum_ingress_rate_limit",
        Kind::Text,
        "network/port_mapping",
    ),
    Flag::refused(
        "maximum_ingress_rate_limit",
        Kind::Text,
        "network/port_mapping",
    ),
    Flag::refused("ingress_ceil_limit", Kind::Text, "network/port_mapping"),
    Flag::refused("ingress_burst", Kind::Text, "network/port_mapping"),
    Flag::refused("eth0_name", Kind::Text, "network/port_mapping"),
    Flag::refused("lo_name", Kind::Text, "network/port_mapping"),
    Flag::refused("network_link_speed", Kind::Text, "network/port_mapping"),
    Flag::refused(
        "network_rate_statistics_window",
        Kind::Text,
        "network/port_mapping",
    ),
    Flag::refused(
        "network_rate_statistics_interval",
        Kind::Text,
        "network/port_mapping",
    ),
    Flag::refused(
        "egress_unique_flow_per_container",
        Kind::Boolean,
        "network/port_mapping",
    )
    .default("false"),
    Flag::refused(
        "network_enable_socket_statistics_summary",
        Kind::Boolean,
        "network/port_mapping",
    )
    .default("false"),
    Flag::refused(
        "network_enable_socket_statistics_details",
        Kind::Boolean,
        "network/port_mapping",
    )
    .default("false"),
    Flag::refused(
        "network_enable_snmp_statistics",
        Kind::Boolean,
        "network/port_mapping",
    )
    .default("false"),
    Flag::refused(
        "network_enable_rate_statistics",
        Kind::Boolean,
        "network/port_mapping",
    )
    .default("false"),
    Flag::refused(
        "ingress_isolate_existing_containers",
        Kind::Boolean,
        "network/port_mapping",
    )
    .default("true"),
    Flag::refused(
        "ephemeral_ports_per_container",
        Kind::Integer,
        "network/port_mapping",
    )
    .default("1024"),
];
