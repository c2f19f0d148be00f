//! What containers are isolated in, by the names of Mesos' isolators. It only reads names; what a
//! name means is done in `kernel/`.

use std::collections::BTreeSet;

use crate::linux::LauncherKind;

/// Isolators of every launcher: what the posix ones tell is usage, and nothing is enforced.
const ANY: [&str; 4] = [
    "filesystem/posix",
    "posix/cpu",
    "posix/mem",
    "posix/rlimits",
];

/// Isolators that need the linux launcher.
const LINUX: [&str; 6] = [
    "cgroups/cpu",
    "cgroups/mem",
    "cgroups/pids",
    "filesystem/linux",
    "namespaces/ipc",
    "namespaces/pid",
];

/// Names that stand for several, as in Mesos.
const GROUPS: [(&str, &[&str]); 3] = [
    ("process", &["posix/cpu", "posix/mem"]),
    ("cgroups", &["cgroups/cpu", "cgroups/mem"]),
    (
        "cgroups/all",
        &["cgroups/cpu", "cgroups/mem", "cgroups/pids"],
    ),
];

/// The isolators in force (Mesos' `--isolation`). Resource limits (`posix/rlimits`) are honoured
/// whether named or not, and every container has the host's file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolation(BTreeSet<&'static str>);

impl Isolation {
    /// What is in force where nothing is said: all there is with the linux launcher, Mesos' own
    /// default with the other.
    #[must_use]
    pub fn default_of(launcher: LauncherKind) -> Isolation {
        let names: &[&'static str] = match launcher {
            LauncherKind::Linux => &[
                "cgroups/cpu",
                "cgroups/mem",
                "cgroups/pids",
                "namespaces/ipc",
                "namespaces/pid",
            ],
            LauncherKind::Posix => &["posix/cpu", "posix/mem"],
        };
        Isolation(names.iter().copied().collect())
    }

    /// Reads names separated by commas, as `cgroups/cpu,cgroups/mem`.
    ///
    /// # Errors
    /// Names what is unknown, needs another launcher, or is said twice.
    pub fn parse(text: &str, launcher: LauncherKind) -> Result<Isolation, String> {
        let mut given = BTreeSet::new();
        let mut found = BTreeSet::new();
        for name in text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            if !given.insert(name) {
                return Err(format!("isolator '{name}' is named twice"));
            }
            let group = GROUPS.iter().find(|(group, _)| *group == name);
            let single = ANY.iter().chain(&LINUX).find(|known| **known == name);
            let names: &[&'static str] = match (group, single) {
                (Some((_, names)), _) => names,
                (None, Some(single)) => std::slice::from_ref(single),
                (None, None) => {
                    return Err(format!(
                        "Unknown or unsupported isolator '{name}'; there are {} and, with the \
                         linux launcher, {}",
                        ANY.join(", "),
                        LINUX.join(", ")
                    ));
                }
            };
            if launcher == LauncherKind::Posix
                && let Some(linux) = names.iter().find(|name| LINUX.contains(name))
            {
                return Err(format!("isolator '{linux}' needs the linux launcher"));
            }
            found.extend(names);
        }
        if found.contains("filesystem/posix") && found.contains("filesystem/linux") {
            let both = "Using multiple filesystem isolators simultaneously is disallowed";
            return Err(both.to_owned());
        }
        Ok(Isolation(found))
    }

    /// Whether an isolator is in force.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// The names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }

    /// The controllers that containers are put under. The freezer holds their processes together,
    /// whatever else is wanted of cgroups.
    pub(crate) fn controllers(&self) -> Vec<&'static str> {
        let mut controllers = Vec::new();
        for (name, of) in [
            ("cgroups/cpu", &["cpu", "cpuacct"][..]),
            ("cgroups/mem", &["memory"]),
            ("cgroups/pids", &["pids"]),
        ] {
            if self.has(name) {
                controllers.extend_from_slice(of);
            }
        }
        controllers.push("freezer");
        controllers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<&'static str> {
        let isolation = Isolation::parse(text, LauncherKind::Linux).unwrap();
        isolation.names().collect()
    }

    #[test]
    fn groups_stand_for_their_members() {
        assert_eq!(parsed("process"), ["posix/cpu", "posix/mem"]);
        let expected = ["cgroups/cpu", "cgroups/mem", "namespaces/pid"];
        assert_eq!(parsed(" cgroups ,namespaces/pid,"), expected);
        assert_eq!(parsed(""), [""; 0]);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let error = |text, launcher| Isolation::parse(text, launcher).unwrap_err();
        let unknown = error("posix/cpu,disk/xfs", LauncherKind::Linux);
        assert!(unknown.starts_with("Unknown or unsupported isolator 'disk/xfs'"));
        assert_eq!(
            error("cgroups/cpu", LauncherKind::Posix),
            "isolator 'cgroups/cpu' needs the linux launcher"
        );
        assert_eq!(
            error("posix/cpu,posix/cpu", LauncherKind::Posix),
            "isolator 'posix/cpu' is named twice"
        );
        let both = error("filesystem/posix,filesystem/linux", LauncherKind::Linux);
        assert!(both.contains("multiple filesystem isolators"));
    }

    #[test]
    fn controllers_follow_the_isolators() {
        let all = Isolation::default_of(LauncherKind::Linux).controllers();
        assert_eq!(all, ["cpu", "cpuacct", "memory", "pids", "freezer"]);
        let none = Isolation::parse("posix/cpu", LauncherKind::Linux).unwrap();
        assert_eq!(none.controllers(), ["freezer"]);
    }
}
