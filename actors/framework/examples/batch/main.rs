//! Runs each line of standard input on a cluster, as many at once as there is room for:
//! `cargo run -p tepui-framework --example batch -- 127.0.0.1:5050 < jobs`.
//!
//! See `README.md` beside this file.

mod batch;

use std::io::BufRead as _;
use std::process::ExitCode;
use std::sync::mpsc::channel;

use tepui_framework::{Info, Patience, spawn};
use tepui_runtime::{Node, NodeOptions, Pid, RealOptions, World};

use self::batch::{Batch, Job, Options, Told};

/// `@host1,host2 command`, or only the command.
fn job(number: usize, line: &str) -> Job {
    let (hosts, command) = match line.strip_prefix('@').and_then(|it| it.split_once(' ')) {
        Some((hosts, command)) => (hosts.split(',').map(str::to_owned).collect(), command),
        None => (Vec::new(), line),
    };
    Job {
        name: format!("job-{number}"),
        command: command.to_owned(),
        hosts,
    }
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Some(master) = std::env::args().nth(1) else {
        eprintln!("usage: batch MASTER < JOBS, one command a line");
        return Ok(ExitCode::from(2));
    };
    let lines: Vec<String> = std::io::stdin().lock().lines().collect::<Result<_, _>>()?;
    let wanted = lines
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty());
    let jobs: Vec<Job> = (1..)
        .zip(wanted)
        .map(|(number, line)| job(number, line))
        .collect();
    if jobs.is_empty() {
        eprintln!("batch: standard input names no job");
        return Ok(ExitCode::from(2));
    }
    let options = Options {
        cpus: 0.5,
        mem: 64.0,
        tries: 3,
        patience: Patience::default(),
    };
    let (told, heard) = channel();
    let world = World::real(RealOptions::default())?;
    let node = Node::start(&world, NodeOptions::default())?;
    let master = Pid::new("master", master.parse()?);
    let info = Info::new("batch").build();
    spawn(&node, master, info, Batch::new(jobs, options, told))?;
    let mut status = ExitCode::FAILURE;
    for told in heard {
        match told {
            Told::Line(line) => println!("{line}"),
            Told::Over { finished, failed } => {
                println!("{finished} finished, {failed} failed");
                status = if failed == 0 {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                };
                break;
            }
        }
    }
    world.block_on(node.shutdown());
    Ok(status)
}
