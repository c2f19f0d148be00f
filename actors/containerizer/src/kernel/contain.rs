//! The role `contain`: it stays with the agent and forks the init of each container, which then obeys
//! one [`LaunchDescription`]. What a container gets is decided by the containerizer.
//!
//! ```text
//! agent            contain              init (pid 1)                    command
//!   | order, 2 pipes  |                    |                              |
//!   |---------------->| clones ----------->|                              |
//!   |   Forked        |                    |                              |
//!   |<----------------|                    |                              |
//!   |   description                        |                              |
//!   |------------------------------------->| joins the cgroups            |
//!   |   Ready                              | own session, mounts          |
//!   |<-------------------------------------| opens stdout, stderr         |
//!   |   word (end of file: the agent died) |                              |
//!   |------------------------------------->| forks ---------------------->| user, limits, exec
//!   |                                      | reaps, writes `status`       |
//! ```
//!
//! For the init of a nested container a courier is forked into the pid namespace of its parent, forks
//! the init, and exits: the init is then a child of the parent's init, which reaps it. It could not
//! be ours: the kernel ends a pid namespace only when all that was in it is reaped, so that the end
//! of the parent would wait for us. And the kernel makes a pid namespace only below that in which
//! the caller is. The pid by which the courier knows the init means nothing out here, so that the
//! init tells by a packet of its own who it is. It enters the parent's other namespaces by itself.
//!
//! An agent has threads and cannot fork; a role that is started anew for each container takes
//! longer than the rest of the launch. The init is a child of the agent, not of `contain`, so that
//! the agent reaps it. `contain` ends with the agent; nothing of a container does once the word was
//! given: executors outlive agents.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::sockopt::PassCred;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair};

use crate::kernel::init::{self, Entrance, Init};
use crate::kernel::spawn::is_readable_within;
use crate::kernel::sys::{self, Fork, ForkOptions};
use crate::launch::{Answer, LaunchDescription, Namespaces, Order, Report, WORD};

/// Length of the longest description taken; a command with its environment is far below.
const DESCRIPTION_MAX: u64 = 16 << 20;
/// How long a courier may take. Who is root in the parent can stop it, and everybody else waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// Length of the longest order.
const ORDER_MAX: usize = 1024;

/// Runs the role `contain`: standard input is the agent's socket. Takes no arguments. It must be
/// called before anything starts a thread.
#[must_use]
pub fn main_contain(_arguments: &[OsString]) -> ExitCode {
    let mut buffer = [0; ORDER_MAX];
    loop {
        let (length, descriptors) = match sys::receive(io::stdin().as_fd(), &mut buffer) {
            // The agent is gone, or wants no more containers.
            Ok((0, _)) => return ExitCode::SUCCESS,
            Ok(received) => received,
            Err(error) => {
                eprintln!("contain: standard input is no socket of an agent: {error}");
                return ExitCode::FAILURE;
            }
        };
        let (answer, astray) = match order(&buffer[..length], descriptors) {
            Ordered::Init(pipes, entrance) => return become_init(pipes, entrance),
            Ordered::Courier => return ExitCode::SUCCESS,
            Ordered::Done(answer) => (answer, false),
            Ordered::Astray(answer) => (answer, true),
        };
        let sent = serde_json::to_vec(&answer)
            .map_err(io::Error::from)
            .and_then(|text| sys::send(io::stdin().as_fd(), &text, &[]));
        if sent.is_err() || astray {
            return ExitCode::SUCCESS;
        }
    }
}

/// Who returns from an order.
enum Ordered {
    /// The role itself.
    Done(Answer),
    /// The role itself, which is not fit for another order.
    Astray(Answer),
    /// A courier, which has done what it was for.
    Courier,
    /// The new init, with its pipes and what it has to enter.
    Init([OwnedFd; 2], Entrance),
}

impl Ordered {
    fn failed(error: String) -> Ordered {
        Ordered::done(Err(error), None)
    }

    fn done(init: Result<i32, String>, courier: Option<i32>) -> Ordered {
        Ordered::Done(Answer { init, courier })
    }
}

/// Forks one init.
fn order(text: &[u8], descriptors: Vec<OwnedFd>) -> Ordered {
    let order: Order = match serde_json::from_slice(text) {
        Ok(order) => order,
        Err(error) => return Ordered::failed(format!("bad order: {error}")),
    };
    let Order { namespaces, enters } = order;
    let mut descriptors = descriptors.into_iter();
    let (Some(input), Some(output)) = (descriptors.next(), descriptors.next()) else {
        return Ordered::failed("bad order: two pipes are needed".to_owned());
    };
    let pipes = [input, output];
    let mut next = |is_entered: bool| is_entered.then(|| descriptors.next()).flatten();
    let (pid, ipc, mount) = (next(enters.pid), next(enters.ipc), next(enters.mount));
    let given = Namespaces {
        pid: pid.is_some(),
        ipc: ipc.is_some(),
        mount: mount.is_some(),
    };
    if given != enters {
        return Ordered::failed("bad order: a namespace is missing".to_owned());
    }
    if enters == Namespaces::default() {
        return clone_init(namespaces, pipes, Entrance::default());
    }
    // What is made of its own beside a pid namespace has to begin as the parent's.
    let entrance = Entrance {
        ipc,
        mount,
        unshare: Namespaces {
            pid: false,
            ..namespaces
        },
    };
    let own = Namespaces {
        pid: namespaces.pid,
        ..Namespaces::default()
    };
    match pid {
        Some(pid) => clone_below(&pid, own, pipes, entrance),
        None => clone_init(own, pipes, entrance),
    }
}

fn clone_init(namespaces: Namespaces, pipes: [OwnedFd; 2], entrance: Entrance) -> Ordered {
    let options = ForkOptions {
        namespaces,
        sibling: true,
    };
    clone_with(options, pipes, entrance)
}

fn clone_with(options: ForkOptions, pipes: [OwnedFd; 2], entrance: Entrance) -> Ordered {
    match sys::fork(options) {
        Ok(Fork::Parent(pid)) => Ordered::done(Ok(pid), None),
        Ok(Fork::Child) => Ordered::Init(pipes, entrance),
        Err(error) => Ordered::failed(format!("failed to clone the container's init: {error}")),
    }
}

/// The same in another pid namespace, or in one of its own below that.
fn clone_below(
    outer: &OwnedFd,
    own: Namespaces,
    pipes: [OwnedFd; 2],
    entrance: Entrance,
) -> Ordered {
    let back = match File::open("/proc/self/ns/pid") {
        Ok(back) => back,
        Err(error) => return Ordered::failed(format!("failed to open /proc/self/ns/pid: {error}")),
    };
    // Only what is forked from now on is in it.
    if let Err(error) = setns(outer, CloneFlags::CLONE_NEWPID) {
        return Ordered::failed(format!(
            "failed to enter the parent's pid namespace: {error}"
        ));
    }
    let ordered = send_courier(own, pipes, entrance);
    let Ordered::Done(answer) = ordered else {
        return ordered;
    };
    match setns(&back, CloneFlags::CLONE_NEWPID) {
        Ok(()) => Ordered::Done(answer),
        Err(_) => Ordered::Astray(answer),
    }
}

/// Forks a courier, which forks the init.
fn send_courier(own: Namespaces, pipes: [OwnedFd; 2], entrance: Entrance) -> Ordered {
    let pair = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    );
    let pair = pair.and_then(|(ours, its)| {
        setsockopt(&ours, PassCred, &true)?;
        Ok((ours, its))
    });
    let (ours, its) = match pair {
        Ok(pair) => pair,
        Err(error) => return Ordered::failed(format!("failed to make a socket: {error}")),
    };
    match clone_init(Namespaces::default(), pipes, entrance) {
        Ordered::Init(pipes, entrance) => {
            drop(ours);
            let options = ForkOptions {
                namespaces: own,
                sibling: false,
            };
            let ordered = clone_with(options, pipes, entrance);
            let tell = |report: &Report| {
                let text = serde_json::to_vec(report).unwrap_or_default();
                // Where nobody listens any more, nobody needs to know.
                let _ = sys::send(its.as_fd(), &text, &[]);
            };
            match ordered {
                Ordered::Done(Answer { init: Ok(_), .. }) => Ordered::Courier,
                Ordered::Done(Answer {
                    init: Err(error), ..
                }) => {
                    tell(&Report::Failed { error });
                    Ordered::Courier
                }
                init => {
                    tell(&Report::Ready);
                    init
                }
            }
        }
        Ordered::Done(Answer {
            init: Ok(courier), ..
        }) => {
            drop(its);
            let init = hear(&ours).inspect_err(|_| {
                // What it has forked ends with its pipes. It is not reaped yet.
                let _ = sys::kill(courier, libc::SIGKILL);
            });
            Ordered::done(init, Some(courier))
        }
        failed => failed,
    }
}

/// The pid of the init, by the packet that it sends.
fn hear(socket: &OwnedFd) -> Result<i32, String> {
    if !is_readable_within(socket, PATIENCE) {
        let seconds = PATIENCE.as_secs();
        return Err(format!(
            "nothing was heard of the container's init for {seconds} seconds"
        ));
    }
    let mut buffer = [0; ORDER_MAX];
    let (length, sender) = sys::receive_from(socket.as_fd(), &mut buffer)
        .map_err(|error| format!("failed to hear of the container's init: {error}"))?;
    match (serde_json::from_slice(&buffer[..length]), sender) {
        (Ok(Report::Failed { error }), _) => Err(error),
        (Ok(Report::Ready), Some(pid)) if pid > 0 => Ok(pid),
        _ => Err("the container's init ended at once".to_owned()),
    }
}

fn become_init(pipes: [OwnedFd; 2], entrance: Entrance) -> ExitCode {
    for (pipe, standard) in pipes.into_iter().zip(0..) {
        // The role's socket goes with that: it is how the role learns of the agent's end, and a
        // copy here would keep it open.
        if sys::redirect(pipe.as_fd(), standard).is_err() {
            return ExitCode::FAILURE;
        }
    }
    let mut input = BufReader::with_capacity(8192, WordPipe(io::stdin()));
    let description = match read_description(&mut input) {
        Ok(Some(description)) => description,
        // The agent died before it had said anything.
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => return failed(&format!("bad launch description: {error}")),
    };
    for file in &description.cgroups {
        if let Err(error) = std::fs::write(file, "0") {
            return failed(&format!(
                "failed to join cgroup by '{}': {error}",
                file.display()
            ));
        }
    }
    match Init::prepare(&description, entrance) {
        Ok(prepared) => {
            report(&Report::Ready);
            if word_given(&mut input) {
                prepared.run(&description)
            } else {
                ExitCode::SUCCESS
            }
        }
        Err(error) => failed(&error),
    }
}

/// Standard input read without std's own buffer.
struct WordPipe(io::Stdin);

impl Read for WordPipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(nix::unistd::read(self.0.as_fd(), buffer)?)
    }
}

/// One line of JSON. It ends with a newline; without one the agent died while writing.
fn read_description(input: &mut impl BufRead) -> io::Result<Option<LaunchDescription>> {
    let mut line = Vec::new();
    input
        .by_ref()
        .take(DESCRIPTION_MAX)
        .read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

/// Waits for the word. False where the pipe ends before it: the agent died or changed its mind.
fn word_given(input: &mut impl Read) -> bool {
    let mut byte = [0];
    loop {
        match input.read(&mut byte) {
            Ok(1) => return byte[0] == WORD,
            Ok(_) => return false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

fn report(report: &Report) {
    let Ok(mut line) = serde_json::to_vec(report) else {
        return;
    };
    line.push(b'\n');
    // Where the agent is gone there is nobody to tell, and the word will not come either.
    let _ = io::stdout()
        .write_all(&line)
        .and_then(|()| io::stdout().flush());
}

fn failed(error: &str) -> ExitCode {
    report(&Report::Failed {
        error: error.to_owned(),
    });
    init::exit_code(crate::launch::STATUS_NOT_STARTED)
}
