//! The flags of the agent: every one that Mesos has, and `cgroups_pids_max`, which is ours.

use super::{Group, LISTENING, LOGGING, flags};

/// The flags of `tepui agent` by their purpose.
pub(crate) const AGENT: &[Group] = &[
    (
        "The agent",
        flags! {
            master: Text => does "The master: host:port, or a file:// that says it";
            port: Port = "5051" => does "The port to listen on";
            work_dir: Path => does "Where the agent keeps its state and the sandboxes";
            runtime_dir: Path =>
                does "What need not outlive a reboot; without it /var/run/mesos for root, else \
                    below work_dir";
            registration_backoff_factor: Period = "1secs" =>
                does "The first wait before registering; doubles with each try";
            master_detector: Text => refuses "modules";
            zk_session_timeout: Duration = "10secs" => refuses "leader election by ZooKeeper";
            agent_features: Json => refuses "choosing capabilities";
        },
    ),
    ("Listening", LISTENING),
    (
        "What it offers",
        flags! {
            resources: Text =>
                does "Resources as text or JSON; cpus, mem, disk and ports that it does not name \
                    are detected";
            attributes: Text => does "What the agent says of itself: rack:2;zone:[1-3];os:debian";
            default_role: Text = "*" => does "The role of resources that name none";
            domain: Json =>
                does "The fault domain: \
                    {\"fault_domain\":{\"region\":{\"name\":\"r\"},\"zone\":{\"name\":\"z\"}}}";
            reconfiguration_policy: Text = "equal" =>
                refuses "changing the agent while it keeps its id";
            nvidia_gpu_devices: Text => refuses "GPUs";
            resource_estimator: Text => refuses "oversubscription";
            oversubscribed_resources_interval: Duration = "15secs" => refuses "oversubscription";
            qos_controller: Text => refuses "oversubscription";
            qos_correction_interval_min: Duration = "0ns" => refuses "oversubscription";
            resource_provider_config_dir: Path => refuses "CSI and storage providers";
            csi_plugin_config_dir: Path => refuses "CSI and storage providers";
            disk_profile_adaptor: Text => refuses "modules";
        },
    ),
    (
        "Isolation",
        flags! {
            launcher: Text => does "linux or posix; without it linux for root, else posix";
            isolation: Text =>
                does "How tasks are kept apart, joined by commas; without it all that the \
                    launcher can";
            cgroups_root: Text = "mesos" => does "The cgroup below which containers get theirs";
            cgroups_enable_cfs: Boolean = "false" =>
                does "Limit the CPU time of tasks to their share, also when CPUs are idle";
            cgroups_pids_max: Integer = "4096" =>
                does "Most processes and threads of one container; 0 is no limit";
            cgroups_destroy_timeout: Duration = "1mins" =>
                does "How long the cgroups of a container may take to be emptied";
            cgroups_hierarchy: Path = "/sys/fs/cgroup" =>
                refuses "another place than where the cgroups are mounted";
            cgroups_limit_swap: Boolean = "false" =>
                does "Limit memory and swap together; where the kernel cannot, the agent does \
                    not start";
            cgroups_cpu_enable_pids_and_tids_count: Boolean = "false" =>
                does "Count the processes and threads of containers in their statistics";
            cgroups_net_cls_primary_handle: Text => refuses "cgroups/net_cls";
            cgroups_net_cls_secondary_handles: Text => refuses "cgroups/net_cls";
            revocable_cpu_low_priority: Boolean = "true" =>
                does "Let tasks on revocable cpus run only when others leave time";
            agent_subsystems | slave_subsystems: Text => refuses "cgroups of the agent itself";
            allowed_devices: Json => refuses "cgroups/devices";
            bounding_capabilities: Json => refuses "linux/capabilities";
            effective_capabilities | allowed_capabilities: Json => refuses "linux/capabilities";
            seccomp_config_dir: Path => refuses "linux/seccomp";
            seccomp_profile_name: Text => refuses "linux/seccomp";
            disallow_sharing_agent_ipc_namespace: Boolean = "false" =>
                does "Refuse tasks that want the agent's own IPC namespace";
            disallow_sharing_agent_pid_namespace: Boolean = "false" =>
                does "Refuse tasks that want the agent's own PID namespace";
            default_container_shm_size: Bytes =>
                does "The size of a private /dev/shm where the task does not say";
            perf_duration: Duration = "10secs" => refuses "cgroups/perf_event";
            perf_events: Text => refuses "cgroups/perf_event";
            perf_interval: Duration = "1mins" => refuses "cgroups/perf_event";
            systemd_enable_support: Boolean = "false" =>
                refuses "systemd's slices" but takes "true";
            systemd_runtime_directory: Path = "/run/systemd/system" => refuses "systemd's slices";
            xfs_kill_containers: Boolean = "false" => refuses "disk/xfs";
            xfs_project_range: Text = "[5000-10000]" => refuses "disk/xfs";
            xfs_quota_headroom: Bytes = "10MB" => refuses "disk/xfs";
            enforce_container_disk_quota: Boolean = "false" => refuses "disk quotas";
            container_disk_watch_interval: Duration = "15secs" => refuses "disk quotas";
            host_path_volume_force_creation: Text => refuses "volumes";
            volume_gid_range: Text => refuses "volumes";
        },
    ),
    (
        "Executors and tasks",
        flags! {
            executor_registration_timeout: Duration = "1mins" =>
                does "How long an executor may take to subscribe";
            executor_shutdown_grace_period: Duration = "5secs" =>
                does "How long an executor may take to shut down";
            executor_environment_variables: Json =>
                does "What executors' environment begins with, instead of the agent's own: \
                    {\"PATH\":\"/bin\"}";
            switch_user: Boolean = "true" => does "Run tasks as the framework's user";
            http_command_executor: Boolean = "true" =>
                refuses "the executor on libprocess messages" but takes "false";
            http_executor_domain_sockets: Boolean = "false" =>
                refuses "domain sockets for executors";
            domain_socket_location: Path => refuses "domain sockets for executors";
            http_heartbeat_interval: Duration = "30secs" => refuses "attaching to containers";
            containerizers: Text = "mesos" => refuses "another containerizer";
            container_logger: Text => refuses "modules";
            default_container_info: Json => refuses "a default ContainerInfo";
            launcher_dir: Path =>
                refuses "other helper programs"
                    but takes "/usr/libexec/mesos" "/usr/local/libexec/mesos";
        },
    ),
    (
        "After a restart",
        flags! {
            executor_reregistration_timeout: Duration = "2secs" =>
                does "How long an executor may take to come back, at most 15secs";
            executor_reregistration_retry_interval: Duration =>
                refuses "reconnecting to PID executors";
            recovery_timeout: Duration = "15mins" =>
                does "How long executors wait for the agent to come back";
            recover: Text = "reconnect" => refuses "ending old executors at the start";
            strict: Boolean = "true" => refuses "going on after an error in recovery";
        },
    ),
    (
        "Fetching",
        flags! {
            frameworks_home: Path = "" => does "Where relative URIs of executors and tasks begin";
            fetcher_cache_dir: Path = "/tmp/mesos/fetch" => refuses "the fetcher's cache";
            fetcher_cache_size: Bytes = "2GB" => refuses "the fetcher's cache";
            fetcher_stall_timeout: Duration = "1mins" =>
                does "Give up a download from which nothing came for so long";
            hadoop_home: Path => refuses "HDFS";
        },
    ),
    (
        "What is kept",
        flags! {
            gc_delay: Duration = "1weeks" =>
                does "How long sandboxes of what ended are kept at most";
            gc_disk_headroom: Number = "0.1" =>
                does "The part of the disk that shall stay free: the fuller it is, the sooner \
                    sandboxes go";
            gc_non_executor_container_sandboxes: Boolean = "false" => refuses "nested containers";
            disk_watch_interval: Period = "1mins" =>
                does "How often the use of the disk is looked at";
            max_completed_executors_per_framework: Integer = "150" =>
                does "Ended executors that are kept of a framework";
            memory_profiling: Boolean = "false" => refuses "memory profiling";
        },
    ),
    (
        "Images",
        flags! {
            image_providers: Text => refuses "image stores";
            image_provisioner_backend: Text = "auto" => refuses "image stores";
            image_gc_config: Json => refuses "image stores";
            appc_simple_discovery_uri_prefix: Text = "http://" => refuses "image stores";
            appc_store_dir: Path = "/tmp/mesos/store/appc" => refuses "image stores";
            sandbox_directory: Path = "/mnt/mesos/sandbox" =>
                refuses "another root file system for tasks";
            docker: Path = "docker" => refuses "Docker";
            docker_config: Json => refuses "Docker";
            docker_ignore_runtime: Boolean = "false" => refuses "Docker";
            docker_kill_orphans: Boolean = "true" => refuses "Docker";
            docker_mesos_image: Text => refuses "Docker";
            docker_registry: Text = "https://registry-1.docker.io" => refuses "Docker";
            docker_remove_delay: Duration = "6hrs" => refuses "Docker";
            docker_socket: Path = "/var/run/docker.sock" => refuses "Docker";
            docker_stop_timeout: Duration = "0ns" => refuses "Docker";
            docker_store_dir: Path = "/tmp/mesos/store/docker" => refuses "Docker";
            docker_volume_checkpoint_dir: Path = "/var/run/mesos/isolators/docker/volume" =>
                refuses "Docker";
            docker_volume_chown: Boolean = "false" => refuses "Docker";
        },
    ),
    (
        "Networks",
        flags! {
            ip6: Text => refuses "IPv6 addresses of containers";
            ip6_discovery_command: Text => refuses "IPv6 addresses of containers";
            default_container_dns: Json => refuses "CNI networks";
            network_cni_config_dir: Path => refuses "CNI networks";
            network_cni_plugins_dir: Text => refuses "CNI networks";
            network_cni_root_dir_persist: Boolean = "false" => refuses "CNI networks";
            network_cni_metrics: Boolean = "true" => refuses "CNI networks";
            check_agent_port_range_only: Boolean = "false" => refuses "network/ports";
            container_ports_isolated_range: Text => refuses "network/ports";
            container_ports_watch_interval: Duration = "30secs" => refuses "network/ports";
            enforce_container_ports: Boolean = "false" => refuses "network/ports";
            egress_rate_limit_per_container: Text => refuses "network/port_mapping";
            egress_rate_per_cpu: Text => refuses "network/port_mapping";
            minimum_egress_rate_limit: Text => refuses "network/port_mapping";
            maximum_egress_rate_limit: Text => refuses "network/port_mapping";
            egress_ceil_limit: Text => refuses "network/port_mapping";
            egress_burst: Text => refuses "network/port_mapping";
            egress_unique_flow_per_container: Boolean = "false" => refuses "network/port_mapping";
            egress_flow_classifier_parent: Text = "root" => refuses "network/port_mapping";
            ingress_rate_limit_per_container: Text => refuses "network/port_mapping";
            ingress_rate_per_cpu: Text => refuses "network/port_mapping";
            minimum_ingress_rate_limit: Text => refuses "network/port_mapping";
            maximum_ingress_rate_limit: Text => refuses "network/port_mapping";
            ingress_ceil_limit: Text => refuses "network/port_mapping";
            ingress_burst: Text => refuses "network/port_mapping";
            ingress_isolate_existing_containers: Boolean = "true" => refuses "network/port_mapping";
            ephemeral_ports_per_container: Integer = "1024" => refuses "network/port_mapping";
            eth0_name: Text => refuses "network/port_mapping";
            lo_name: Text => refuses "network/port_mapping";
            network_link_speed: Text => refuses "network/port_mapping";
            network_enable_socket_statistics_summary: Boolean = "false" =>
                refuses "network/port_mapping";
            network_enable_socket_statistics_details: Boolean = "false" =>
                refuses "network/port_mapping";
            network_enable_snmp_statistics: Boolean = "false" => refuses "network/port_mapping";
            network_enable_rate_statistics: Boolean = "false" => refuses "network/port_mapping";
            network_rate_statistics_window: Text => refuses "network/port_mapping";
            network_rate_statistics_interval: Text => refuses "network/port_mapping";
        },
    ),
    (
        "Who may do what",
        flags! {
            acls: Json => refuses "authorization";
            authorizer: Text = "local" => refuses "authorization";
            authenticate_http_executors: Boolean = "false" => refuses "authentication";
            authenticate_http_readonly: Boolean = "false" => refuses "authentication";
            authenticate_http_readwrite: Boolean = "false" => refuses "authentication";
            authenticatee: Text = "crammd5" => refuses "authentication";
            authentication_backoff_factor: Duration = "1secs" => refuses "authentication";
            authentication_timeout_min | authentication_timeout: Duration = "5secs" =>
                refuses "authentication";
            authentication_timeout_max: Duration = "1mins" => refuses "authentication";
            credential: Path => refuses "authentication";
            http_authenticators: Text = "basic" => refuses "authentication";
            http_credentials: Json => refuses "authentication";
            jwt_secret_key | executor_secret_key: Path => refuses "authentication";
            secret_resolver: Text => refuses "modules";
        },
    ),
    (
        "Modules",
        flags! {
            modules: Json => refuses "modules";
            modules_dir: Path => refuses "modules";
            hooks: Text => refuses "modules";
        },
    ),
    ("Logging", LOGGING),
];
