//! How processes of a node begin and end, and how the node itself does.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::{Node, locked};
use crate::address::Pid;
use crate::ask::AskError;
use crate::mailbox::{AnyMailbox, Event, Mailbox};
use crate::oneshot;
use crate::process::{Declaration, Id, Process, ProcessRef, SpawnError, Terminate};
use crate::shell::Running;

impl Node {
    /// Starts a process. Its `initialize` runs soon, on a thread of the world.
    ///
    /// # Errors
    /// The id is taken, or the node is shut down.
    pub fn spawn<P: Process>(&self, id: Id, process: P) -> Result<ProcessRef<P>, SpawnError> {
        let id: Arc<str> = match id {
            Id::Chosen(id) => id.into(),
            Id::Prefix(prefix) => {
                let mut prefixes = locked(&self.0.prefixes);
                let number = prefixes.entry(prefix.clone()).or_default();
                *number += 1;
                format!("{prefix}({number})").into()
            }
        };
        let declaration = Arc::new(Declaration::of_process());
        let mailbox = {
            let mut processes = self
                .0
                .processes
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            if self.is_down() {
                return Err(SpawnError::Down {
                    node: self.0.name.clone(),
                });
            }
            if processes.contains_key(&id) {
                return Err(SpawnError::Duplicate { id: id.to_string() });
            }
            let activity = Arc::clone(&self.0.activity);
            let mailbox = Arc::new(Mailbox::new(Arc::clone(&id), activity, declaration));
            processes.insert(Arc::clone(&id), Arc::clone(&mailbox) as Arc<dyn AnyMailbox>);
            locked(&self.0.spawned).insert(Arc::clone(&id), ());
            mailbox
        };
        let pid = self.pid_of(&id);
        let started = ProcessRef {
            pid: pid.clone(),
            mailbox: Arc::clone(&mailbox),
        };
        let starting = Starting {
            node: self.clone(),
            pid,
            mailbox,
            process: Some(process),
        };
        self.0
            .world
            .start(Box::new(move || Box::pin(starting.run())));
        Ok(started)
    }

    /// Ends a process of this node; nothing happens if there is none.
    pub fn terminate(&self, pid: &Pid, how: Terminate) {
        if pid.address() == self.0.address
            && let Some(mailbox) = self.mailbox(pid.id())
        {
            mailbox.terminate(how);
        }
    }

    /// Becomes ready once there is no such process on this node; its state is dropped then.
    pub fn wait(&self, pid: &Pid) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (sender, receiver) = oneshot::channel();
        if pid.address() == self.0.address {
            let processes = self
                .0
                .processes
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(mailbox) = processes.get(pid.id()) {
                let id = Arc::clone(mailbox.id());
                locked(&self.0.waiting).entry(id).or_default().push(sender);
            }
        }
        async move {
            receiver.await;
        }
    }

    /// Becomes ready once no event is queued or running on this node and no timer is due. Blocking
    /// work and messages between nodes are not waited for.
    pub async fn settle(&self) {
        loop {
            self.0.activity.idle().await;
            if !self.0.clock.is_due() && self.0.activity.is_idle() {
                return;
            }
            std::future::ready(()).await;
            yield_once().await;
        }
    }

    /// Ends all processes, the youngest first, each after the other, and stops listening.
    pub fn shutdown(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let node = self.clone();
        async move {
            {
                // Under the lock, so that no process is started behind the list below.
                let _processes = node.0.processes.write();
                node.0.down.store(true, Ordering::Release);
            }
            loop {
                let youngest = locked(&node.0.spawned)
                    .last()
                    .map(|(id, ())| Arc::clone(id));
                let Some(id) = youngest else { break };
                let pid = node.pid_of(&id);
                node.terminate(&pid, Terminate::Now);
                node.wait(&pid).await;
            }
            node.0.clock.clear();
            for entry in node.0.asks.clear() {
                entry.complete(Err(AskError::Down));
            }
            if let Some(transport) = node.0.transport.get() {
                transport.shutdown().await;
            }
        }
    }

    /// Everything of the node vanishes at once: no process is told, nothing is sent any more, and
    /// of its disk only what was synced is left. For the simulated world; in the real one the
    /// disk is that of the machine and stays as it is.
    pub fn crash(&self) {
        self.vanish(true);
        self.0.world.crashed(&self.0.name);
    }

    /// The node's OS process is killed, in the simulated world: no process of it is told, and its
    /// host goes on. What was written is on the disk, synced or not, and whoever is connected is
    /// told that nobody is there any more.
    pub fn kill(&self) {
        self.vanish(false);
        self.0.world.killed(&self.0.name);
    }

    /// All processes are gone, and whatever waits; alone or with the `host`.
    fn vanish(&self, host: bool) {
        let processes: Vec<Arc<dyn AnyMailbox>> = {
            let processes = self
                .0
                .processes
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            self.0.down.store(true, Ordering::Release);
            processes.values().cloned().collect()
        };
        if let Some(transport) = self.0.transport.get() {
            transport.crash(host);
        }
        for process in processes {
            process.crash();
        }
        self.0.clock.clear();
        for entry in self.0.asks.clear() {
            entry.complete(Err(AskError::Down));
        }
    }

    /// Counts the messages among events that nobody will serve.
    pub(crate) fn count_dropped<'a, P: Process>(&self, events: impl Iterator<Item = &'a Event<P>>) {
        let messages = events
            .filter(|event| matches!(event, Event::Message(_)))
            .count();
        self.0.counters.no_process.increment(messages as u64);
    }

    /// A process is gone: its id is free, and whoever has to know is told.
    pub(crate) fn departed(&self, pid: &Pid) {
        {
            let mut processes = self
                .0
                .processes
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            processes.remove(pid.id());
            locked(&self.0.spawned).shift_remove(pid.id());
        }
        self.0.routes.remove(pid.id());
        self.0.links.remove_linker(pid.id());
        let linkers = self.0.links.remove_linkee(pid);
        self.tell_exited(pid, &linkers);
        for entry in self.0.asks.remove_target(pid) {
            self.0.clock.cancel(entry.timer);
            entry.complete(Err(AskError::Exited));
        }
        // Dropping the senders wakes the waiters.
        drop(locked(&self.0.waiting).remove(pid.id()));
        self.0.activity.end();
    }
}

/// Lets others run once.
async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// A process on its way to its thread. If it never gets there it is gone all the same.
struct Starting<P: Process> {
    node: Node,
    pid: Pid,
    mailbox: Arc<Mailbox<P>>,
    process: Option<P>,
}

impl<P: Process> Starting<P> {
    fn run(mut self) -> Running<P> {
        #[expect(clippy::expect_used, reason = "taken here alone, and self is consumed")]
        let process = self.process.take().expect("a process is started once");
        let (node, pid) = (self.node.clone(), self.pid.clone());
        Running::new(process, node, pid, Arc::clone(&self.mailbox))
    }
}

impl<P: Process> Drop for Starting<P> {
    fn drop(&mut self) {
        if self.process.take().is_some() {
            drop(self.mailbox.close());
            self.node.departed(&self.pid);
        }
    }
}
