//! What this machine has: the resources that an agent offers where its operator did not say, and
//! the user who runs the command.
//!
//! Mesos' rules: all cores; memory less 1 GB, or half of it below 2 GB; disk less 5 GB, or half of
//! it below 10 GB; ports 31000 to 32000. A name given with an amount of zero is not detected.

use std::{collections::BTreeSet, path::Path};

use nix::{sys::statvfs::statvfs, unistd, unistd::SysconfVar};
use tepui_protocol::resources::{self, ResourceError, Resources};

/// What was found of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Host {
    /// Cores that are online.
    pub(crate) cores: u64,
    /// All memory, in megabytes.
    pub(crate) mem_mb: u64,
    /// The size of the file system of the work_dir, in megabytes.
    pub(crate) disk_mb: u64,
}

impl Host {
    /// Asks the kernel. `directory` exists and lies on the file system that counts as disk.
    pub(crate) fn detect(directory: &Path) -> nix::Result<Self> {
        let ask = |variable| {
            let answer = unistd::sysconf(variable)?.unwrap_or(0);
            Ok::<u64, nix::Error>(u64::try_from(answer).unwrap_or(0))
        };
        let memory = ask(SysconfVar::_PHYS_PAGES)? * ask(SysconfVar::PAGE_SIZE)?;
        let disk = statvfs(directory)?;
        Ok(Self {
            cores: ask(SysconfVar::_NPROCESSORS_ONLN)?,
            mem_mb: memory >> 20,
            disk_mb: (disk.blocks() * disk.fragment_size()) >> 20,
        })
    }

    /// What an agent here offers: what `text` says, and what it does not name as detected.
    pub(crate) fn resources(
        &self,
        text: &str,
        default_role: &str,
    ) -> Result<Resources, ResourceError> {
        let named = names(text);
        let detected = [
            ("cpus", self.cores.to_string()),
            ("mem", less(self.mem_mb, 1024).to_string()),
            ("disk", less(self.disk_mb, 5 * 1024).to_string()),
            ("ports", "[31000-32000]".to_owned()),
        ];
        let missing: Vec<String> = detected
            .iter()
            .filter(|(name, _)| !named.contains(*name))
            .map(|(name, value)| format!("{name}:{value}"))
            .collect();
        let mut all = resources::parse(text, default_role)?;
        all.add_sharing(&resources::parse(&missing.join(";"), default_role)?);
        Ok(all)
    }
}

/// The user who runs this command, by name where there is one.
pub(crate) fn current_user() -> String {
    let uid = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

/// The names that an operator's text or JSON gives, also with an amount of zero.
fn names(text: &str) -> BTreeSet<String> {
    if text.trim_start().starts_with('[') {
        let list: Vec<serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
        let name = |resource: &serde_json::Value| Some(resource.get("name")?.as_str()?.to_owned());
        return list.iter().filter_map(name).collect();
    }
    let name = |token: &str| {
        token
            .split([':', '('])
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    text.split(';').map(name).collect()
}

/// What is left of a machine's memory or disk for tasks.
fn less(total: u64, reserved: u64) -> u64 {
    if total >= 2 * reserved {
        total - reserved
    } else {
        total / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Host = Host {
        cores: 4,
        mem_mb: 8192,
        disk_mb: 100_000,
    };

    fn text(given: &str) -> String {
        HOST.resources(given, "*").unwrap().to_text().unwrap()
    }

    #[test]
    fn what_is_not_named_is_detected() {
        assert_eq!(text(""), "cpus:4;mem:7168;disk:94880;ports:[31000-32000]");
        assert_eq!(
            text("cpus:2;gpus:1;ports:[1-2]"),
            "cpus:2;gpus:1;ports:[1-2];mem:7168;disk:94880"
        );
        let json = r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":1}}]"#;
        assert_eq!(text(json), "cpus:1;mem:7168;disk:94880;ports:[31000-32000]");
        assert_eq!(
            text("cpus(web):2"),
            "cpus(web):2;mem:7168;disk:94880;ports:[31000-32000]",
            "one for a role only is named too"
        );
    }

    #[test]
    fn an_amount_of_zero_is_neither_offered_nor_detected() {
        assert_eq!(text("disk:0;ports:[]"), "cpus:4;mem:7168");
    }

    #[test]
    fn small_machines_keep_half_for_themselves() {
        assert_eq!(less(2048, 1024), 1024);
        assert_eq!(less(2047, 1024), 1023);
        assert_eq!(less(100, 1024), 50);
    }

    #[test]
    fn this_machine_has_something() {
        let host = Host::detect(Path::new("/")).unwrap();
        assert!(
            host.cores >= 1 && host.mem_mb > 64 && host.disk_mb > 0,
            "{host:?}"
        );
    }
}
