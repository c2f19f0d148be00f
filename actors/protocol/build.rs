//! Turns `proto/` into Rust: descriptors, then renames, then `prost` with serde's attributes, and
//! beside it the tables that the decoders check messages against.
//! No `protoc` is needed; all that is generated lands in `OUT_DIR`.

#[path = "build/attributes.rs"]
mod attributes;
#[path = "build/names.rs"]
mod names;
#[path = "build/rename.rs"]
mod rename;
#[path = "build/shapes.rs"]
mod shapes;

use std::error::Error;
use std::path::{Path, PathBuf};

use prost_types::FileDescriptorSet;
use protox::prost::Message as _;

/// The files that name everything; what they import comes along.
const FILES: &[&str] = &[
    "mesos/v1/agent/agent.proto",
    "mesos/v1/allocator/allocator.proto",
    "mesos/v1/executor/executor.proto",
    "mesos/v1/maintenance/maintenance.proto",
    "mesos/v1/master/master.proto",
    "mesos/v1/mesos.proto",
    "mesos/v1/quota/quota.proto",
    "mesos/v1/resource_provider/resource_provider.proto",
    "mesos/v1/scheduler/scheduler.proto",
    "mesos/internal/authentication.proto",
    "mesos/internal/messages.proto",
    "mesos/internal/registry.proto",
    "mesos/internal/resource_provider_registry.proto",
    "mesos/internal/scheduler.proto",
    "tepui/allocator.proto",
    "tepui/containerizer.proto",
    "tepui/operator.proto",
    "tepui/registrar.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build");
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").ok_or("no manifest folder")?);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("no output folder")?);
    let mut set = protox::compile(FILES, [root.join("proto")])?;
    write(
        &out,
        "descriptors.bin",
        &without_comments(&set).encode_to_vec(),
    )?;

    let wire_names = rename::rename(&mut set);
    let shapes = shapes::shapes(&set, &wire_names)?;
    write(&out, "shapes.rs", shapes.tables.as_bytes())?;
    write(&out, "registry.rs", shapes.registry.as_bytes())?;

    let mut config = prost_build::Config::new();
    config
        .out_dir(&out)
        .include_file("schema.rs")
        .btree_map(["."])
        .bytes(["."])
        .compile_well_known_types();
    attributes::apply(&mut config, &set, &wire_names)?;
    config.compile_fds(set)?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a build script writes into OUT_DIR; there is no node whose disk it could use"
)]
fn write(out: &Path, name: &str, content: &[u8]) -> std::io::Result<()> {
    std::fs::write(out.join(name), content)
}

/// The descriptor set that tests and other languages load: wire names, no source text.
fn without_comments(set: &FileDescriptorSet) -> FileDescriptorSet {
    let mut set = set.clone();
    for file in &mut set.file {
        file.source_code_info = None;
    }
    set
}
