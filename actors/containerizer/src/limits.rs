//! From a container's resources to the values its cgroups are set to: Mesos' rules, for both
//! versions of cgroups. It touches no cgroup.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Mesos' least memory of a container.
const MEMORY_MIN: u64 = 32 << 20;
/// Mesos' least shares (v1).
const CPU_SHARES_MIN: u64 = 2;
/// Mesos' length of a CFS period.
const CFS_PERIOD_US: u64 = 100_000;
/// Mesos' least quota of a CFS period.
const CFS_QUOTA_MIN_US: u64 = 1000;

/// What a container asks for and may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Limits {
    /// Requested cpus.
    #[serde(with = "amount")]
    pub(crate) cpus: Option<f64>,
    /// Requested memory in megabytes.
    #[serde(with = "amount")]
    pub(crate) mem: Option<f64>,
    /// Upper limit of cpus; infinite is no limit.
    #[serde(with = "amount")]
    pub(crate) cpus_limit: Option<f64>,
    /// Upper limit of memory in megabytes; infinite is no limit.
    #[serde(with = "amount")]
    pub(crate) mem_limit: Option<f64>,
    /// Whether any of the cpus are revocable and such get a hundredth of the weight.
    pub(crate) revocable_cpus: bool,
    /// Most processes and threads at a time.
    pub(crate) pids_max: Option<u64>,
    /// Mesos' --cgroups_enable_cfs: the request is a hard limit where no other is given.
    pub(crate) enable_cfs: bool,
    /// Mesos' --cgroups_limit_swap: the hard limit of memory counts swap, too.
    pub(crate) limit_swap: bool,
}

/// An amount as text: JSON has no infinite numbers.
mod amount {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands a field over so")]
    pub(super) fn serialize<S: Serializer>(
        amount: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        amount
            .map(|amount| amount.to_string())
            .serialize(serializer)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom))
            .transpose()
    }
}

/// What a container may use, in the words of Mesos' ResourceStatistics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Allowed {
    pub(crate) cpus_soft: Option<f64>,
    pub(crate) cpus: Option<f64>,
    pub(crate) mem_soft_bytes: Option<u64>,
    pub(crate) mem_bytes: Option<u64>,
}

/// One file of a cgroup and what is written into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) controller: &'static str,
    pub(crate) file: &'static str,
    pub(crate) value: String,
    /// Written at launch, and later only where it is more than before.
    pub(crate) grow_only: bool,
}

impl Limits {
    /// Reads `cpus` and `mem` from names and values, as resources and task limits give them.
    pub(crate) fn from_scalars(
        requested: &BTreeMap<String, f64>,
        limits: &BTreeMap<String, f64>,
    ) -> Limits {
        Limits {
            cpus: requested.get("cpus").copied(),
            mem: requested.get("mem").copied(),
            cpus_limit: limits.get("cpus").copied(),
            mem_limit: limits.get("mem").copied(),
            ..Limits::default()
        }
    }

    fn quota_us(&self) -> Option<Option<u64>> {
        let cpus = self
            .cpus_limit
            .or(if self.enable_cfs { self.cpus } else { None })?;
        if cpus.is_infinite() {
            return Some(None);
        }
        Some(Some(scaled(cpus, CFS_PERIOD_US).max(CFS_QUOTA_MIN_US)))
    }

    /// Hard limit of memory in bytes; the inner `None` is no limit.
    fn memory_hard(&self) -> Option<Option<u64>> {
        match self.mem_limit {
            Some(limit) if limit.is_infinite() => Some(None),
            Some(limit) => Some(Some(memory_bytes(limit))),
            None => self.mem.map(|mem| Some(memory_bytes(mem))),
        }
    }

    /// What is said of the limits in statistics, on a host with this many cpus and bytes of memory:
    /// that is what no limit at all comes to.
    pub(crate) fn allowed(&self, host_cpus: f64, host_memory: u64) -> Allowed {
        let whole = |megabytes: f64| scaled(megabytes, 1 << 20);
        let cfs = if self.enable_cfs { self.cpus } else { None };
        Allowed {
            cpus_soft: self.cpus,
            cpus: match self.cpus_limit {
                Some(limit) if limit.is_infinite() => Some(host_cpus),
                limit => limit.or(cfs),
            },
            mem_soft_bytes: self.mem.map(whole),
            mem_bytes: match self.mem_limit {
                Some(limit) if limit.is_infinite() => Some(host_memory),
                limit => limit.or(self.mem).map(whole),
            },
        }
    }

    /// How ready the kernel is to kill its processes for want of memory on the whole host: Mesos'
    /// rule for what may use more than it asked for. None where that is not so.
    pub(crate) fn oom_score_adj(&self, host_memory: u64) -> Option<i32> {
        let soft = memory_bytes(self.mem?);
        if self.memory_hard()?.is_some_and(|hard| soft >= hard) || host_memory == 0 {
            return None;
        }
        let part = soft.saturating_mul(1000) / host_memory;
        i32::try_from(1000_u64.saturating_sub(part)).ok()
    }

    /// Whether a quota of cpu time is in force.
    pub(crate) fn has_quota(&self) -> bool {
        self.quota_us().is_some()
    }

    /// Settings for hierarchies of version 1, in the order they are written: at launch (`first`)
    /// memory before memory with swap, later, when both may only grow, the other way round.
    pub(crate) fn version1(&self, first: bool) -> Vec<Setting> {
        let mut settings = Vec::new();
        if let Some(cpus) = self.cpus {
            let each = if self.revocable_cpus { 10 } else { 1024 };
            let shares = scaled(cpus, each).max(CPU_SHARES_MIN);
            settings.push(setting("cpu", "cpu.shares", shares));
        }
        if let Some(quota) = self.quota_us() {
            settings.push(setting("cpu", "cpu.cfs_period_us", CFS_PERIOD_US));
            let quota = quota.map_or("-1".to_owned(), |quota| quota.to_string());
            settings.push(setting("cpu", "cpu.cfs_quota_us", quota));
        }
        if let Some(mem) = self.mem {
            let soft = memory_bytes(mem);
            settings.push(setting("memory", "memory.soft_limit_in_bytes", soft));
        }
        if let Some(hard) = self.memory_hard() {
            let hard = hard.map_or("-1".to_owned(), |hard| hard.to_string());
            let mut files = vec!["memory.limit_in_bytes"];
            if self.limit_swap {
                files.insert(usize::from(first), "memory.memsw.limit_in_bytes");
            }
            settings.extend(files.into_iter().map(|file| Setting {
                grow_only: true,
                ..setting("memory", file, hard.clone())
            }));
        }
        settings.extend(self.pids_max.map(|max| setting("pids", "pids.max", max)));
        settings
    }

    /// Settings for the hierarchy of version 2, in the order they are written.
    pub(crate) fn version2(&self) -> Vec<Setting> {
        let mut settings = Vec::new();
        if let Some(cpus) = self.cpus {
            let each = if self.revocable_cpus { 1 } else { 100 };
            // The kernel takes 1 to 10000.
            let weight = scaled(cpus, each).clamp(1, 10_000);
            settings.push(setting("cpu", "cpu.weight", weight));
        }
        if let Some(quota) = self.quota_us() {
            let quota = quota.map_or("max".to_owned(), |quota| quota.to_string());
            settings.push(setting(
                "cpu",
                "cpu.max",
                format!("{quota} {CFS_PERIOD_US}"),
            ));
        }
        if let Some(mem) = self.mem {
            settings.push(setting("memory", "memory.low", memory_bytes(mem)));
        }
        if let Some(hard) = self.memory_hard() {
            let hard = hard.map_or("max".to_owned(), |hard| hard.to_string());
            let hard = setting("memory", "memory.max", hard);
            settings.push(Setting {
                grow_only: true,
                ..hard
            });
        }
        settings.extend(self.pids_max.map(|max| setting("pids", "pids.max", max)));
        settings
    }
}

fn setting(controller: &'static str, file: &'static str, value: impl ToString) -> Setting {
    Setting {
        controller,
        file,
        value: value.to_string(),
        grow_only: false,
    }
}

/// Whole megabytes, as Mesos' Megabytes, and not below the least.
fn memory_bytes(megabytes: f64) -> u64 {
    scaled(megabytes, 1).saturating_mul(1 << 20).max(MEMORY_MIN)
}

/// `value * each`, cut to a whole number; nothing below zero and nothing that is no number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the cast saturates, and cutting is Mesos' rule"
)]
fn scaled(value: f64, each: u64) -> u64 {
    // Resources have three decimals; the half step keeps 0.29 * 1000 from becoming 289.
    ((value * 1000.0).round() / 1000.0 * each as f64 + 1e-6) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(settings: &[Setting]) -> Vec<String> {
        settings
            .iter()
            .map(|setting| format!("{}={}", setting.file, setting.value))
            .collect()
    }

    #[test]
    fn requests_without_limits() {
        let limits = Limits {
            cpus: Some(1.1),
            mem: Some(64.0),
            pids_max: Some(4096),
            ..Limits::default()
        };
        let version1 = [
            "cpu.shares=1126",
            "memory.soft_limit_in_bytes=67108864",
            "memory.limit_in_bytes=67108864",
            "pids.max=4096",
        ];
        assert_eq!(text(&limits.version1(true)), version1);
        let version2 = [
            "cpu.weight=110",
            "memory.low=67108864",
            "memory.max=67108864",
        ];
        assert_eq!(text(&limits.version2())[..3], version2);
    }

    #[test]
    fn the_least_values_are_mesos_own() {
        let limits = Limits {
            cpus: Some(0.001),
            mem: Some(1.0),
            cpus_limit: Some(0.001),
            ..Limits::default()
        };
        let expected = [
            "cpu.shares=2",
            "cpu.cfs_period_us=100000",
            "cpu.cfs_quota_us=1000",
            "memory.soft_limit_in_bytes=33554432",
            "memory.limit_in_bytes=33554432",
        ];
        assert_eq!(text(&limits.version1(true)), expected);
        let expected = [
            "cpu.weight=1",
            "cpu.max=1000 100000",
            "memory.low=33554432",
            "memory.max=33554432",
        ];
        assert_eq!(text(&limits.version2()), expected);
    }

    #[test]
    fn infinite_limits_lift_the_limit() {
        let limits = Limits {
            mem: Some(100.0),
            cpus_limit: Some(f64::INFINITY),
            mem_limit: Some(f64::INFINITY),
            ..Limits::default()
        };
        let expected = [
            "cpu.cfs_period_us=100000",
            "cpu.cfs_quota_us=-1",
            "memory.soft_limit_in_bytes=104857600",
            "memory.limit_in_bytes=-1",
        ];
        assert_eq!(text(&limits.version1(true)), expected);
        let expected = [
            "cpu.max=max 100000",
            "memory.low=104857600",
            "memory.max=max",
        ];
        assert_eq!(text(&limits.version2()), expected);
    }

    #[test]
    fn a_request_is_a_hard_limit_only_with_cfs() {
        let limits = Limits {
            cpus: Some(0.5),
            enable_cfs: true,
            ..Limits::default()
        };
        let expected = [
            "cpu.shares=512",
            "cpu.cfs_period_us=100000",
            "cpu.cfs_quota_us=50000",
        ];
        assert_eq!(text(&limits.version1(true)), expected);
        let limits = Limits {
            enable_cfs: false,
            ..limits
        };
        assert_eq!(text(&limits.version1(true)), ["cpu.shares=512"]);
    }

    #[test]
    fn revocable_cpus_weigh_a_hundredth() {
        let limits = Limits {
            cpus: Some(2.0),
            revocable_cpus: true,
            ..Limits::default()
        };
        assert_eq!(text(&limits.version1(true)), ["cpu.shares=20"]);
        assert_eq!(text(&limits.version2()), ["cpu.weight=2"]);
    }

    #[test]
    fn swap_is_limited_with_memory_and_in_the_order_the_kernel_wants() {
        let limits = Limits {
            mem: Some(64.0),
            limit_swap: true,
            ..Limits::default()
        };
        let (soft, hard, swap) = (
            "memory.soft_limit_in_bytes=67108864",
            "memory.limit_in_bytes=67108864",
            "memory.memsw.limit_in_bytes=67108864",
        );
        assert_eq!(text(&limits.version1(true)), [soft, hard, swap]);
        assert_eq!(text(&limits.version1(false)), [soft, swap, hard]);
        assert_eq!(text(&limits.version2()).len(), 2, "it has no such limit");
    }

    #[test]
    fn statistics_tell_requests_and_limits() {
        let limits = Limits {
            cpus: Some(0.5),
            mem: Some(1.5),
            ..Limits::default()
        };
        let expected = Allowed {
            cpus_soft: Some(0.5),
            cpus: None,
            mem_soft_bytes: Some(3 << 19),
            mem_bytes: Some(3 << 19),
        };
        assert_eq!(limits.allowed(4.0, 1 << 30), expected);
        let cfs = Limits {
            enable_cfs: true,
            ..limits.clone()
        };
        assert_eq!(cfs.allowed(4.0, 1 << 30).cpus, Some(0.5));
        let infinite = Limits {
            cpus_limit: Some(f64::INFINITY),
            mem_limit: Some(f64::INFINITY),
            ..limits
        };
        let allowed = infinite.allowed(4.0, 1 << 30);
        assert_eq!(
            (allowed.cpus, allowed.mem_bytes),
            (Some(4.0), Some(1 << 30))
        );
    }

    #[test]
    fn only_what_may_use_more_than_it_asked_for_is_killed_sooner() {
        let limits = Limits {
            mem: Some(256.0),
            ..Limits::default()
        };
        assert_eq!(limits.oom_score_adj(1 << 30), None);
        let more = Limits {
            mem_limit: Some(512.0),
            ..limits.clone()
        };
        assert_eq!(more.oom_score_adj(1 << 30), Some(750));
        let all = Limits {
            mem_limit: Some(f64::INFINITY),
            ..limits
        };
        assert_eq!(all.oom_score_adj(1 << 28), Some(0));
    }
}
