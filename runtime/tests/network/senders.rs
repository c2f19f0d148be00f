//! A node in another OS process: this test binary, run again.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::*;

const CHILD: &str = "TEPUI_TEST_CHILD";

/// The other OS process: a node with a witness `w`, until its stdin closes.
#[test]
fn child() {
    if std::env::var(CHILD).is_err() {
        return;
    }
    let world = world();
    let node = node(&world);
    let (process, _seen) = witness(&node, "w");
    println!("PID={}", process.pid());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

struct Other {
    child: Child,
    pid: Pid,
}

fn other() -> Other {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "senders::child", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid = lines.map(|line| line.unwrap()).find_map(|line| {
        line.split_once("PID=")
            .map(|(_, pid)| pid.trim().parse().unwrap())
    });
    Other {
        child,
        pid: pid.unwrap(),
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn messages_reach_another_os_process_and_its_death_is_noticed() {
    let world = world();
    let node = node(&world);
    let (process, seen) = witness(&node, "p");
    let mut other = other();
    let there = other.pid.clone();
    process.dispatch(move |_, ctx| ctx.link(&there));
    for n in 0..1000 {
        node.send(process.pid(), &other.pid, Tick { n });
    }
    for n in 0..1000 {
        assert_eq!(next(&seen), Seen::Tock(n, other.pid.clone()));
    }
    other.child.kill().unwrap();
    assert_eq!(next(&seen), Seen::Exited(other.pid.clone()));
}
