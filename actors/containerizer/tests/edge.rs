//! Only the kernel's edge touches files, threads, sockets and the kernel's clock; the cores and the
//! actors around them do not.

use std::path::{Path, PathBuf};

/// Where it is allowed: the edge, and the process that runs in a container.
const EDGE: [&str; 7] = [
    "src/kernel/",
    "src/executor/role.rs",
    "src/executor/group/role.rs",
    "src/executor/http.rs",
    "src/executor/line.rs",
    "src/executor/probe",
    "src/executor/task.rs",
];

const FORBIDDEN: [&str; 6] = [
    "std::fs",
    "std::thread",
    "std::net",
    "std::process::",
    "Instant",
    "SystemTime",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

#[test]
fn only_the_edge_touches_the_kernel() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    sources(&root.join("src"), &mut all).unwrap();
    assert!(all.len() > 30, "{} files", all.len());
    let mut wrong = Vec::new();
    for path in all {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if EDGE.iter().any(|edge| name.starts_with(edge)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let found = FORBIDDEN.iter().filter(|word| text.contains(**word));
        wrong.extend(found.map(|word| format!("{name}: {word}")));
    }
    assert_eq!(wrong, [""; 0]);
}
