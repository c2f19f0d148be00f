//! What whole-system tests share: where the binary is, daemons that end with the test, and a
//! framework made of `curl`. Tests themselves are in `tests/`.

mod cluster;
mod daemon;
mod dice;
mod groups;
mod host;
pub mod raw;
mod script;
mod stream;

use std::path::PathBuf;

pub use cluster::{Cluster, free_port};
pub use daemon::{Daemon, Line};
pub use dice::Dice;
pub use groups::{Told, get, is_over, states};
pub use host::{Remains, Sweep, cgroup_mounts, folders};
pub use script::run_script;
pub use stream::{Subscription, command_task, resources, scalar};

/// Top of the source tree.
pub fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(PathBuf::from)
        .unwrap_or_default()
}

/// The `tepui` binary of the same build as the running test.
///
/// # Panics
///
/// When it was not built: `integration/test` builds it first.
pub fn tepui() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let folder = test
        .parent()
        .and_then(|deps| deps.parent())
        .map(PathBuf::from);
    built(folder.unwrap_or_default().join("tepui"))
}

/// The binary of an example, which `cargo test --workspace` builds.
///
/// # Panics
///
/// When it was not built.
pub fn example(name: &str) -> PathBuf {
    built(tepui().with_file_name("examples").join(name))
}

fn built(binary: PathBuf) -> PathBuf {
    assert!(
        binary.exists(),
        "{} is not built: run integration/test",
        binary.display()
    );
    binary
}

/// The Python that has the libraries which the programs in `python/` use.
///
/// # Panics
///
/// When nobody says which: `integration/test` makes it and sets `TEPUI_PYTHON`.
pub fn python() -> PathBuf {
    std::env::var_os("TEPUI_PYTHON")
        .map(PathBuf::from)
        .expect("TEPUI_PYTHON has to name a Python with the libraries: run integration/test")
}
