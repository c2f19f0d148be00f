//! Where each cgroup controller is found on this host: version 1, version 2, or some of each.
//! It reads the table of mounts and changes nothing.

use std::path::PathBuf;

use procfs::process::{MountInfo, Process};

/// The controllers a container can be put under. cpuacct and freezer have no controller of their
/// own in version 2: what they do is part of every cgroup there.
const USED: [&str; 5] = ["cpu", "cpuacct", "memory", "pids", "freezer"];

/// Version of the kernel's interface to cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// One mounted hierarchy that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    pub(crate) version: Version,
    pub(crate) mount_point: PathBuf,
    /// Those of the used controllers that are taken from here.
    pub(crate) controllers: Vec<&'static str>,
}

impl Hierarchy {
    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.contains(&controller)
    }
}

/// All hierarchies in use, each controller in exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchies(Vec<Hierarchy>);

impl Hierarchies {
    /// Looks at this host.
    ///
    /// # Errors
    /// The table of mounts cannot be read.
    pub(crate) fn discover() -> Result<Hierarchies, String> {
        let process =
            Process::myself().map_err(|error| format!("failed to read /proc: {error}"))?;
        let mounts = process
            .mountinfo()
            .map_err(|error| format!("failed to read /proc/self/mountinfo: {error}"))?;
        Ok(Self::find(&mounts.0, |mount| {
            std::fs::read_to_string(mount.mount_point.join("cgroup.controllers"))
                .unwrap_or_default()
        }))
    }

    /// Finds each controller in a table of mounts: version 1 first, since a controller that is
    /// mounted there is not to be had from version 2. `controllers` reads those of version 2.
    fn find(mounts: &[MountInfo], controllers: impl Fn(&MountInfo) -> String) -> Hierarchies {
        let mut found: Vec<Hierarchy> = Vec::new();
        let unified = mounts.iter().find(|mount| mount.fs_type == "cgroup2");
        let of_unified = unified.map(controllers).unwrap_or_default();
        for wanted in USED {
            let version1 = mounts.iter().find(|mount| {
                mount.fs_type == "cgroup" && mount.super_options.contains_key(wanted)
            });
            let (version, mount) = if let Some(mount) = version1 {
                (Version::V1, mount)
            } else if let Some(mount) = unified.filter(|_| {
                matches!(wanted, "cpuacct" | "freezer")
                    || of_unified
                        .split_whitespace()
                        .any(|controller| controller == wanted)
            }) {
                (Version::V2, mount)
            } else {
                continue;
            };
            let known = found
                .iter()
                .position(|known| known.mount_point == mount.mount_point);
            let at = known.unwrap_or_else(|| {
                let mount_point = mount.mount_point.clone();
                found.push(Hierarchy {
                    version,
                    mount_point,
                    controllers: Vec::new(),
                });
                found.len() - 1
            });
            found[at].controllers.push(wanted);
        }
        Hierarchies(found)
    }

    /// Those hierarchies that have any of the wanted controllers, and of these the wanted only.
    ///
    /// # Errors
    /// Names the controllers that are found nowhere.
    pub(crate) fn only(&self, wanted: &[&str]) -> Result<Hierarchies, String> {
        let missing = wanted
            .iter()
            .filter(|wanted| !self.0.iter().any(|one| one.has(wanted)));
        let missing: Vec<&str> = missing.copied().collect();
        if !missing.is_empty() {
            return Err(format!(
                "no mounted cgroup hierarchy has: {}",
                missing.join(", ")
            ));
        }
        let mut kept = self.0.clone();
        for one in &mut kept {
            one.controllers.retain(|own| wanted.contains(own));
        }
        kept.retain(|one| !one.controllers.is_empty());
        Ok(Hierarchies(kept))
    }

    /// Whether memory with swap can be limited here.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn can_limit_swap(&self) -> Result<(), String> {
        let memory = self.0.iter().find(|one| one.has("memory"));
        match memory {
            Some(one) if one.version == Version::V1 => {
                let file = one.mount_point.join("memory.memsw.limit_in_bytes");
                if file.exists() {
                    return Ok(());
                }
                Err(format!(
                    "swap cannot be limited: there is no '{}'",
                    file.display()
                ))
            }
            Some(_) => Err("swap cannot be limited with cgroups of version 2".to_owned()),
            None => Err("swap cannot be limited without the isolator cgroups/mem".to_owned()),
        }
    }

    /// Where processes are frozen; every host that can be used has it.
    pub(crate) fn freezer(&self) -> Option<&Hierarchy> {
        self.0.iter().find(|one| one.has("freezer"))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Hierarchy> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(text: &str) -> Vec<MountInfo> {
        text.lines()
            .map(|line| MountInfo::from_line(line.trim()).unwrap())
            .collect()
    }

    fn found(text: &str, unified: &str, wanted: &[&str]) -> Result<Vec<String>, String> {
        let hierarchies = Hierarchies::find(&mounts(text), |_| unified.to_owned()).only(wanted)?;
        let line = |hierarchy: &Hierarchy| {
            let Hierarchy {
                version,
                mount_point,
                controllers,
            } = hierarchy;
            format!(
                "{version:?} {} {}",
                mount_point.display(),
                controllers.join(",")
            )
        };
        Ok(hierarchies.iter().map(line).collect())
    }

    #[test]
    fn a_hybrid_host_gives_each_controller_from_where_it_is() {
        let text = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
            35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
            37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
            40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        let expected = [
            "V1 /sys/fs/cgroup/cpu,cpuacct cpu,cpuacct",
            "V1 /sys/fs/cgroup/memory memory",
            "V2 /sys/fs/cgroup/unified pids",
            "V1 /sys/fs/cgroup/freezer freezer",
        ];
        assert_eq!(found(text, "hugetlb pids", &USED).unwrap(), expected);
        let error = found(text, "hugetlb", &USED).unwrap_err();
        assert_eq!(error, "no mounted cgroup hierarchy has: pids");
        let expected = [
            "V1 /sys/fs/cgroup/cpu,cpuacct cpuacct",
            "V1 /sys/fs/cgroup/freezer freezer",
        ];
        let some = ["cpuacct", "freezer"];
        assert_eq!(found(text, "hugetlb", &some).unwrap(), expected);
    }

    #[test]
    fn a_host_of_version_2_has_all_in_one_place() {
        let text = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        let expected = ["V2 /sys/fs/cgroup cpu,cpuacct,memory,pids,freezer"];
        assert_eq!(found(text, "cpu io memory pids", &USED).unwrap(), expected);
    }

    #[test]
    fn a_host_without_cgroups_names_what_is_missing() {
        let text = "22 27 0:21 / /proc rw - proc proc rw";
        let error = found(text, "", &USED).unwrap_err();
        assert_eq!(
            error,
            "no mounted cgroup hierarchy has: cpu, cpuacct, memory, pids, freezer"
        );
    }
}
