//! The flags of `tepui execute`: every one that `mesos-execute` has.

use super::{Group, flags};

/// The flags of `tepui execute` by their purpose.
pub(crate) const EXECUTE: &[Group] = &[
    (
        "The cluster",
        flags! {
            master: Text => does "The master: host:port, or a file:// that says it";
            content_type: Text = "protobuf" =>
                does "What is spoken with the master: protobuf or json";
            principal: Text => refuses "authentication";
            secret: Text => refuses "authentication";
        },
    ),
    (
        "The task",
        flags! {
            name: Text => does "The task's name and id";
            command: Text => does "The command";
            shell: Boolean = "true" =>
                does "Whether the command is for the shell; else words, separated by spaces";
            env: Json => does "The command's environment: {\"NAME\":\"value\"}";
            resources: Text = "cpus:1;mem:128" => does "What the task needs";
            kill_after: Duration => does "Kill the task when it ran for so long";
            task: Json =>
                does "The whole task as a TaskInfo, instead of the flags above but kill_after";
            task_group: Json =>
                does "Tasks that share one fate, as a TaskGroupInfo, instead of the flags above but \
                    kill_after: one that fails ends the others";
            tty: Boolean = "false" => refuses "terminals";
            hadoop: Text = "hadoop" => refuses "HDFS";
            hdfs: Text = "localhost:9000" => refuses "HDFS";
            package: Path => refuses "HDFS";
            overwrite: Boolean = "false" => refuses "HDFS";
        },
    ),
    (
        "The task's container",
        flags! {
            containerizer: Text = "mesos" => refuses "another containerizer";
            rlimits: Json =>
                does "Limits of the task's processes: {\"rlimits\":[{\"type\":\"RLMT_CORE\"}]}";
            volumes: Json =>
                does "Volumes: \
                    [{\"container_path\":\"data\",\"mode\":\"RW\",\"host_path\":\"/srv\"}]";
            networks: Text => refuses "CNI networks";
            appc_image: Text => refuses "image stores";
            docker_image: Text => refuses "image stores";
            effective_capabilities: Json => refuses "linux/capabilities";
            bounding_capabilities: Json => refuses "linux/capabilities";
        },
    ),
    (
        "The framework",
        flags! {
            role: Text = "*" => does "The framework's role";
            checkpoint: Boolean = "false" => does "Let the task outlive a restart of its agent";
            partition_aware: Boolean = "true" =>
                does "Be told of unreachable agents, instead of lost tasks";
            framework_capabilities: Text =>
                does "Further capabilities, joined by commas: GPU_RESOURCES";
        },
    ),
    (
        "Logging",
        flags! {
            logging_level: Text = "ERROR" =>
                does "Log from this level on: INFO, WARNING or ERROR; or a filter such as \
                    info,tepui_runtime=debug";
            quiet: Boolean = "false" => does "Log nothing to stderr";
            log_dir: Path => does "Log into a file in this folder also";
        },
    ),
];
