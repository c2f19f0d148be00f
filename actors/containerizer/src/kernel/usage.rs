//! What containers use, in Mesos' ResourceStatistics: read from their cgroups, or summed over their
//! processes where they have none. It only reads.

use procfs::process::{Stat, all_processes};
use procfs::{Current, Meminfo};
use tepui_protocol::mesos::v1::ResourceStatistics;

use crate::isolation::Isolation;
use crate::kernel::cgroups::{ContainerCgroup, ContainerCgroups, field};
use crate::kernel::hierarchies::Version;
use crate::kernel::identity::ProcessIdentity;
use crate::kernel::tree::{self, Relation};
use crate::limits::Limits;

/// Which figures are told, and from where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    cpu_of_cgroups: bool,
    mem_of_cgroups: bool,
    cpu_of_processes: bool,
    mem_of_processes: bool,
    /// Mesos' --cgroups_cpu_enable_pids_and_tids_count.
    counts: bool,
}

impl Wanted {
    /// What the isolators in force tell.
    pub(crate) fn of(isolation: &Isolation, counts: bool) -> Wanted {
        let (cpu, mem) = (isolation.has("cgroups/cpu"), isolation.has("cgroups/mem"));
        Wanted {
            cpu_of_cgroups: cpu,
            mem_of_cgroups: mem,
            cpu_of_processes: isolation.has("posix/cpu") && !cpu,
            mem_of_processes: isolation.has("posix/mem") && !mem,
            counts: counts && cpu,
        }
    }
}

/// The host at one moment, for as many containers as are asked for.
pub(crate) struct Table {
    wanted: Wanted,
    /// Empty where nothing is summed over processes.
    processes: Vec<Stat>,
    relations: Vec<Relation>,
    ticks: f64,
    page: u64,
    cpus: f64,
    memory: u64,
}

impl Table {
    pub(crate) fn read(wanted: Wanted) -> Table {
        let processes = if wanted.cpu_of_processes || wanted.mem_of_processes {
            let all = all_processes().into_iter().flatten();
            all.filter_map(|process| process.ok()?.stat().ok())
                .collect()
        } else {
            Vec::new()
        };
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Table {
            wanted,
            relations: processes.iter().map(Relation::of).collect(),
            processes,
            #[expect(clippy::cast_precision_loss, reason = "a hundred or a thousand")]
            ticks: procfs::ticks_per_second() as f64,
            page: procfs::page_size(),
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            cpus: cpus as f64,
            memory: host_memory(),
        }
    }

    /// One container. The timestamp is the caller's.
    pub(crate) fn of(
        &self,
        init: &ProcessIdentity,
        cgroups: Option<&ContainerCgroups>,
        limits: &Limits,
    ) -> ResourceStatistics {
        let allowed = limits.allowed(self.cpus, self.memory);
        let mut statistics = ResourceStatistics {
            cpus_soft_limit: allowed.cpus_soft,
            cpus_limit: allowed.cpus,
            mem_soft_limit_bytes: allowed.mem_soft_bytes,
            mem_limit_bytes: allowed.mem_bytes,
            ..ResourceStatistics::default()
        };
        let of = |controller| cgroups.and_then(|cgroups| cgroups.with(controller));
        if self.wanted.cpu_of_cgroups {
            if let Some(cgroup) = of("cpuacct") {
                self.cpu_time(cgroup, &mut statistics);
            }
            if let Some(cgroup) = of("cpu").filter(|_| limits.has_quota()) {
                throttling(cgroup, &mut statistics);
            }
        }
        if let Some(cgroup) = of("memory").filter(|_| self.wanted.mem_of_cgroups) {
            match cgroup.version {
                Version::V1 => memory_of_version1(cgroup, &mut statistics),
                Version::V2 => memory_of_version2(cgroup, &mut statistics),
            }
        }
        if let Some(cgroups) = cgroups.filter(|_| self.wanted.counts) {
            let processes = cgroups.processes();
            let threads = processes.iter().map(|pid| threads_of(*pid));
            statistics.threads = u32::try_from(threads.sum::<usize>()).ok();
            statistics.processes = u32::try_from(processes.len()).ok();
        }
        self.sum_processes(init, &mut statistics);
        statistics
    }

    fn cpu_time(&self, cgroup: &ContainerCgroup, statistics: &mut ResourceStatistics) {
        let (file, user, system, unit) = match cgroup.version {
            Version::V1 => ("cpuacct.stat", "user", "system", self.ticks),
            Version::V2 => ("cpu.stat", "user_usec", "system_usec", 1e6),
        };
        let Some(text) = cgroup.read(file) else {
            return;
        };
        statistics.cpus_user_time_secs = seconds(&text, user, unit);
        statistics.cpus_system_time_secs = seconds(&text, system, unit);
    }

    fn sum_processes(&self, init: &ProcessIdentity, statistics: &mut ResourceStatistics) {
        if self.processes.is_empty() || !init.exists() {
            return;
        }
        let members = tree::members(init.pid, &self.relations);
        let members = self
            .processes
            .iter()
            .filter(|stat| members.contains(&stat.pid));
        let (mut user, mut system, mut pages) = (0, 0, 0);
        for stat in members {
            user += stat.utime;
            system += stat.stime;
            pages += stat.rss;
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let time = |ticks: u64| Some(ticks as f64 / self.ticks);
        if self.wanted.cpu_of_processes {
            statistics.cpus_user_time_secs = time(user);
            statistics.cpus_system_time_secs = time(system);
        }
        if self.wanted.mem_of_processes {
            statistics.mem_rss_bytes = Some(pages * self.page);
        }
    }
}

/// Bytes of memory that this host has; 0 where it does not say.
pub(crate) fn host_memory() -> u64 {
    Meminfo::current().map_or(0, |memory| memory.mem_total)
}

fn threads_of(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

fn seconds(text: &str, name: &str, unit: f64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    field(text, name).map(|amount| amount as f64 / unit)
}

fn throttling(cgroup: &ContainerCgroup, statistics: &mut ResourceStatistics) {
    let Some(text) = cgroup.read("cpu.stat") else {
        return;
    };
    let count = |name| field(&text, name).and_then(|count| u32::try_from(count).ok());
    statistics.cpus_nr_periods = count("nr_periods");
    statistics.cpus_nr_throttled = count("nr_throttled");
    statistics.cpus_throttled_time_secs = match cgroup.version {
        Version::V1 => seconds(&text, "throttled_time", 1e9),
        Version::V2 => seconds(&text, "throttled_usec", 1e6),
    };
}

fn memory_of_version1(cgroup: &ContainerCgroup, statistics: &mut ResourceStatistics) {
    statistics.mem_total_bytes = cgroup.number("memory.usage_in_bytes");
    statistics.mem_total_memsw_bytes = cgroup.number("memory.memsw.usage_in_bytes");
    statistics.mem_kmem_usage_bytes = cgroup.number("memory.kmem.usage_in_bytes");
    statistics.mem_kmem_tcp_usage_bytes = cgroup.number("memory.kmem.tcp.usage_in_bytes");
    let Some(text) = cgroup.read("memory.stat") else {
        return;
    };
    let (cache, rss) = (field(&text, "total_cache"), field(&text, "total_rss"));
    // Mesos tells both by their old names and their new ones.
    (statistics.mem_file_bytes, statistics.mem_cache_bytes) = (cache, cache);
    (statistics.mem_anon_bytes, statistics.mem_rss_bytes) = (rss, rss);
    statistics.mem_mapped_file_bytes = field(&text, "total_mapped_file");
    statistics.mem_swap_bytes = field(&text, "total_swap");
    statistics.mem_unevictable_bytes = field(&text, "total_unevictable");
}

fn memory_of_version2(cgroup: &ContainerCgroup, statistics: &mut ResourceStatistics) {
    statistics.mem_total_bytes = cgroup.number("memory.current");
    statistics.mem_swap_bytes = cgroup.number("memory.swap.current");
    let Some(text) = cgroup.read("memory.stat") else {
        return;
    };
    let (file, anon) = (field(&text, "file"), field(&text, "anon"));
    (statistics.mem_file_bytes, statistics.mem_cache_bytes) = (file, file);
    (statistics.mem_anon_bytes, statistics.mem_rss_bytes) = (anon, anon);
    statistics.mem_kmem_usage_bytes = field(&text, "kernel");
    statistics.mem_mapped_file_bytes = field(&text, "file_mapped");
    statistics.mem_unevictable_bytes = field(&text, "unevictable");
}
