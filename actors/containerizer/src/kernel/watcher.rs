//! One thread that waits for the end of every container and for want of memory in any of them,
//! without polling. It tells; it decides nothing, except that it reaps what is its child.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::kernel::destroy::reap;
use crate::kernel::hierarchies::Version;

/// What is told is told once.
type Told = Box<dyn FnOnce() + Send>;

/// Names one thing that is watched; each watcher's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Watch(u64);

/// The token by which the thread is told to end.
const STOP: u64 = 0;

struct Watched {
    descriptor: OwnedFd,
    /// Kept open as long as the descriptor is used.
    _file: Option<File>,
    reaps: bool,
    told: Told,
}

struct Shared {
    epoll: Epoll,
    watched: Mutex<(u64, BTreeMap<u64, Watched>)>,
}

/// The thread and what it watches. Dropping it ends the thread.
pub(crate) struct Watcher {
    shared: Arc<Shared>,
    stop: EventFd,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Watcher> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?;
        epoll.add(stop.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, STOP))?;
        let shared = Arc::new(Shared {
            epoll,
            watched: Mutex::new((STOP, BTreeMap::new())),
        });
        let run = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("container-watcher".to_owned())
            .spawn(move || run.run())?;
        Ok(Watcher {
            shared,
            stop,
            thread: Some(thread),
        })
    }

    /// Tells when the process of `pidfd` has ended, after it was reaped where it is our child.
    pub(crate) fn exit(
        &self,
        pidfd: OwnedFd,
        told: impl FnOnce() + Send + 'static,
    ) -> io::Result<Watch> {
        let told: Told = Box::new(told);
        let watched = Watched {
            descriptor: pidfd,
            _file: None,
            reaps: true,
            told,
        };
        self.shared.add(watched, EpollFlags::EPOLLIN)
    }

    /// Tells when the kernel runs out of memory in a cgroup.
    pub(crate) fn out_of_memory(
        &self,
        version: Version,
        cgroup: &Path,
        told: impl FnOnce() + Send + 'static,
    ) -> io::Result<Watch> {
        let told: Told = Box::new(told);
        match version {
            Version::V1 => {
                let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
                let control = File::open(cgroup.join("memory.oom_control"))?;
                let registration = format!("{} {}", event.as_fd().as_raw_fd(), control.as_raw_fd());
                std::fs::write(cgroup.join("cgroup.event_control"), registration)?;
                let descriptor = OwnedFd::from(event);
                let watched = Watched {
                    descriptor,
                    _file: Some(control),
                    reaps: false,
                    told,
                };
                self.shared.add(watched, EpollFlags::EPOLLIN)
            }
            Version::V2 => {
                let mut events = File::open(cgroup.join("memory.events"))?;
                // The kernel tells of changes since the last reading.
                io::Read::read_to_end(&mut events, &mut Vec::new())?;
                let descriptor = OwnedFd::from(events);
                let watched = Watched {
                    descriptor,
                    _file: None,
                    reaps: false,
                    told,
                };
                self.shared.add(watched, EpollFlags::EPOLLPRI)
            }
        }
    }

    /// Watches something no longer. What is just being told may still arrive.
    pub(crate) fn forget(&self, watch: Watch) {
        drop(self.shared.remove(watch.0));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            // What is told may drop the last handle to us, on the thread itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn add(&self, watched: Watched, flags: EpollFlags) -> io::Result<Watch> {
        let mut guard = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0 += 1;
        let token = guard.0;
        self.epoll
            .add(watched.descriptor.as_fd(), EpollEvent::new(flags, token))?;
        guard.1.insert(token, watched);
        Ok(Watch(token))
    }

    fn remove(&self, token: u64) -> Option<Watched> {
        let mut guard = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = guard.1.remove(&token)?;
        let _ = self.epoll.delete(watched.descriptor.as_fd());
        Some(watched)
    }

    fn run(&self) {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let count = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(error) => {
                    tracing::error!(%error, "containers are watched no longer");
                    return;
                }
            };
            for event in &events[..count] {
                if event.data() == STOP {
                    return;
                }
                if let Some(watched) = self.remove(event.data()) {
                    if watched.reaps {
                        reap(watched.descriptor.as_fd());
                    }
                    (watched.told)();
                }
            }
        }
    }
}
