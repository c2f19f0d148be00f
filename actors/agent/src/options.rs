//! What an agent is started with: Mesos' agent flags as values.
//!
//! Not here: reading flags or environment variables (the command line does).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tepui_invariants::Planted;
use tepui_protocol::mesos::v1::{Attribute, DomainInfo, Resource};
use tepui_runtime::Pid;

/// Options of one agent. [`AgentOptions::new`] has Mesos' defaults.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// The master to register with.
    pub master: Pid,
    /// Where sandboxes and checkpoints are; absolute.
    pub work_dir: PathBuf,
    /// The containerizer that runs this agent's containers.
    pub containerizer: Pid,
    /// The name by which users reach this host.
    pub hostname: String,
    /// All that the agent offers.
    pub resources: Vec<Resource>,
    /// What frameworks and operators select agents by.
    pub attributes: Vec<Attribute>,
    /// Fault domain, where one is configured.
    pub domain: Option<DomainInfo>,
    /// Run executors as the user that the task or framework names (`--switch_user`).
    pub switch_user: bool,
    /// Base of the random pause before a (re-)registration (`--registration_backoff_factor`).
    pub registration_backoff_factor: Duration,
    /// An executor must subscribe within this (`--executor_registration_timeout`).
    pub executor_registration_timeout: Duration,
    /// After a restart of the agent executors must come back within this
    /// (`--executor_reregistration_timeout`).
    pub executor_reregistration_timeout: Duration,
    /// Time from an executor's SHUTDOWN to its container's end
    /// (`--executor_shutdown_grace_period`).
    pub executor_shutdown_grace_period: Duration,
    /// How long a checkpointing executor waits for a lost agent (`--recovery_timeout`).
    pub recovery_timeout: Duration,
    /// How long sandboxes and checkpoints of what ended are kept at most (`--gc_delay`).
    pub gc_delay: Duration,
    /// Part of the disk that shall stay free (`--gc_disk_headroom`, 0 to 1): what is kept gets
    /// younger as the disk gets fuller, `gc_delay * max(0, 1 - headroom - usage)`.
    pub gc_disk_headroom: f64,
    /// How often the disk is looked at (`--disk_watch_interval`).
    pub disk_watch_interval: Duration,
    /// Ended executors that are remembered per framework
    /// (`--max_completed_executors_per_framework`).
    pub max_completed_executors_per_framework: usize,
    /// The agent's own environment, with which executors begin; names beginning with
    /// `LIBPROCESS_` and `MESOS_` are left out.
    pub executor_environment: BTreeMap<String, String>,
    /// What executors begin with in place of the agent's own environment, taken as it is
    /// (`--executor_environment_variables`).
    pub executor_environment_variables: Option<BTreeMap<String, String>>,
    /// LIBPROCESS_IP of executors: the address that the agent was told to bind (`--ip`).
    pub libprocess_ip: Option<String>,
    /// The binary whose `executor` role runs command tasks.
    pub executor_binary: PathBuf,
    /// Identifies this boot of the host: checkpoints of another boot have no live containers.
    /// `None` where the system has no such thing.
    pub boot_id: Option<String>,
    /// A bug to have, in a test build.
    pub planted: Planted,
}

impl AgentOptions {
    /// Options with Mesos' defaults, no resources, and hostname `localhost`.
    #[must_use]
    pub fn new(master: Pid, work_dir: PathBuf, containerizer: Pid) -> AgentOptions {
        AgentOptions {
            master,
            work_dir,
            containerizer,
            hostname: "localhost".to_owned(),
            resources: Vec::new(),
            attributes: Vec::new(),
            domain: None,
            switch_user: true,
            registration_backoff_factor: Duration::from_secs(1),
            executor_registration_timeout: Duration::from_secs(60),
            executor_reregistration_timeout: Duration::from_secs(2),
            executor_shutdown_grace_period: Duration::from_secs(5),
            recovery_timeout: Duration::from_secs(15 * 60),
            gc_delay: Duration::from_secs(7 * 24 * 3600),
            gc_disk_headroom: 0.1,
            disk_watch_interval: Duration::from_secs(60),
            max_completed_executors_per_framework: 150,
            executor_environment: BTreeMap::new(),
            executor_environment_variables: None,
            libprocess_ip: None,
            executor_binary: PathBuf::from("tepui"),
            boot_id: None,
            planted: Planted::NONE,
        }
    }
}
