//! Holds N instances of a service alive, and replaces them when its version changes:
//! `cargo run -p tepui-framework --example keeper -- 127.0.0.1:5050 STATE web 3 v1 'command'`.
//!
//! See `README.md` beside this file.

mod keeper;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::time::Duration;

use tepui_framework::{Info, Options, spawn_with};
use tepui_runtime::{Node, NodeOptions, Pid, RealOptions, World};

use self::keeper::{Keeper, Service};

/// How long the instances live without a keeper: a week.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [master, state, name, instances, version, command] = arguments.as_slice() else {
        eprintln!("usage: keeper MASTER STATE_FILE NAME INSTANCES VERSION COMMAND");
        return Ok(ExitCode::from(2));
    };
    if name.contains('.') || version.contains('.') {
        eprintln!("keeper: the name and the version of a service have no dot");
        return Ok(ExitCode::from(2));
    }
    let service = Service {
        name: name.clone(),
        version: version.clone(),
        command: command.clone(),
        instances: instances.parse()?,
        per_host: None,
        settle: Duration::from_secs(2),
        cpus: 0.1,
        mem: 32.0,
    };
    let world = World::real(RealOptions::default())?;
    let node = Node::start(&world, NodeOptions::default())?;
    let (disk, state) = (node.disk(), PathBuf::from(state));
    let mut info = Info::new(name.as_str())
        .failover_timeout(FAILOVER_TIMEOUT)
        .checkpoint()
        .partition_aware();
    if disk.exists(&state) {
        info = info.id(String::from_utf8(disk.read(&state)?)?.trim());
    }
    let remember = move |id: &tepui_protocol::mesos::v1::FrameworkId| {
        if let Err(problem) = disk.write_atomic(&state, id.value.as_bytes()) {
            eprintln!("keeper: {} is not written: {problem}", state.display());
        }
    };
    let (told, heard) = channel();
    let keeper = Keeper::new(service, Box::new(remember), told);
    let options = Options {
        suppressed_roles: vec!["*".to_owned()],
        ..Options::default()
    };
    let master = Pid::new("master", master.parse()?);
    spawn_with(&node, master, info.build(), keeper, options)?;
    for line in heard {
        println!("{line}");
    }
    world.block_on(node.shutdown());
    Ok(ExitCode::SUCCESS)
}
