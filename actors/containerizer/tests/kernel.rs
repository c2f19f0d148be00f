//! The containerizer on a real host, through its messages: what a container is, how it ends, what
//! is left. It needs root, and says so.
//!
//! This program is also what runs in the containers (roles `contain`, `executor`,
//! `default-executor` and `fetch`), so that it has no test harness of the usual kind: arguments
//! choose tests by parts of their names.

#[cfg(test)]
#[path = "kernel/containers.rs"]
mod containers;
#[cfg(test)]
#[path = "kernel/executor.rs"]
mod executor;
#[cfg(test)]
#[path = "kernel/fetch.rs"]
mod fetch;
#[cfg(test)]
#[path = "kernel/group.rs"]
mod group;
#[cfg(test)]
#[path = "kernel/host.rs"]
mod host;
#[cfg(test)]
#[path = "kernel/isolation.rs"]
mod isolation;
#[cfg(test)]
#[path = "kernel/memory.rs"]
mod memory;
#[cfg(test)]
#[path = "kernel/nested.rs"]
mod nested;
#[cfg(test)]
#[path = "kernel/nested_recovery.rs"]
mod nested_recovery;
#[cfg(test)]
#[path = "kernel/recovery.rs"]
mod recovery;
#[cfg(test)]
#[path = "kernel/usage.rs"]
mod usage;

use std::ffi::OsString;
use std::process::ExitCode;

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|first| first.to_str()) {
        Some("contain") => return tepui_containerizer::main_contain(&arguments[1..]),
        Some("executor") => return tepui_containerizer::main_executor(&arguments[1..]),
        Some("default-executor") => {
            return tepui_containerizer::main_default_executor(&arguments[1..]);
        }
        Some("fetch") => return tepui_containerizer::main_fetch(&arguments[1..]),
        Some("https-here") => return fetch::main_https(&arguments[1..]),
        Some("without-root") => return isolation::main_without_root(&arguments[1..]),
        _ => {}
    }
    let tests: Vec<Test> = [
        containers::TESTS,
        recovery::TESTS,
        executor::TESTS,
        group::TESTS,
        memory::TESTS,
        fetch::TESTS,
        isolation::TESTS,
        nested::TESTS,
        nested_recovery::TESTS,
        usage::TESTS,
    ]
    .concat();
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    if words.contains(&"--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("kernel: needs root, to make namespaces and cgroups");
        return ExitCode::FAILURE;
    }
    let parts: Vec<&&str> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let mut failed = 0;
    for (name, test) in tests {
        if !parts.is_empty() && !parts.iter().any(|part| name.contains(**part)) {
            continue;
        }
        let began = std::time::Instant::now();
        let passed = std::panic::catch_unwind(test).is_ok();
        let result = if passed { "ok" } else { "FAILED" };
        println!("test {name} ... {result} ({:.1?})", began.elapsed());
        failed += usize::from(!passed);
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
