//! The actor around a process: it drains the mailbox in batches and calls the author's code.
//!
//! One process is one actix actor. Its future is taken from actix' context once, wrapped so that a
//! panic ends this process alone, and polled by a world.
//!
//! ```text
//! start: initialize --> serving --terminate event, flag, or Context::terminate--> finalize --> gone
//!            \_____________\_______________panic___________________________________________/
//! gone: state dropped -> id free -> linkers told -> questions to it failed -> waiters woken
//! ```

use std::any::Any;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task;
use std::task::Poll;

use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, AsyncContext};

use crate::address::Pid;
use crate::ask::Hop;
use crate::context::{Context, Core};
use crate::mailbox::{AnyMailbox, BATCH, Event, Letter, Mailbox};
use crate::node::Node;
use crate::process::{Declaration, Process};

/// The actor: the author's state and what belongs to it.
pub(crate) struct Shell<P: Process> {
    /// Boxed, since actix moves its actors.
    process: Box<P>,
    core: Core<P>,
    declaration: Arc<Declaration<P>>,
    tracing: bool,
    /// It ended, or panicked: the author's code is not called any more.
    over: bool,
}

impl<P: Process> Actor for Shell<P> {
    type Context = actix::Context<Self>;

    fn started(&mut self, actor: &mut Self::Context) {
        // Dropped before it was polled, the actor still passes here.
        if self.over || self.core.mailbox.is_closed() {
            return;
        }
        // Taken back below: a panic in between leaves it set.
        self.over = true;
        let mut ctx = Context::new(&self.core);
        self.process.initialize(&mut ctx);
        let terminating = ctx.is_terminating();
        self.over = false;
        if terminating {
            self.finish(actor, &mut VecDeque::new());
        } else {
            actor.spawn(Drain {
                batch: VecDeque::new(),
            });
        }
    }
}

impl<P: Process> Shell<P> {
    /// Serves one event; true if the process is to end.
    fn serve(&mut self, event: Event<P>) -> bool {
        match event {
            Event::Message(letter) => self.message(letter),
            Event::Dispatch(call) => {
                let mut ctx = Context::new(&self.core);
                call(&mut self.process, &mut ctx);
                ctx.is_terminating()
            }
            Event::Exited(pid) => {
                if self.tracing {
                    self.core.node.world().exited(&pid, &self.core.pid);
                }
                let mut ctx = Context::new(&self.core);
                self.process.exited(&pid, &mut ctx);
                ctx.is_terminating()
            }
            Event::Terminate => true,
        }
    }

    fn message(&mut self, letter: Letter) -> bool {
        let Letter {
            message,
            from,
            encoding,
            credit: _held_until_served,
        } = letter;
        let (message, serve) = if let Some(serve) = self.declaration.handler(&*message) {
            (message, serve)
        } else {
            match self.declaration.translate(&*message) {
                Some(Ok(translated)) => translated,
                Some(Err(error)) => {
                    self.undeliverable(&from, message.name(), &error.to_string());
                    return false;
                }
                None => {
                    self.undeliverable(&from, message.name(), "not declared");
                    return false;
                }
            }
        };
        if self.tracing {
            let world = self.core.node.world();
            world.delivered(&from, &self.core.pid, &*message);
        }
        let mut ctx = Context::of_message(&self.core, &from, encoding);
        serve(&mut self.process, message, &mut ctx);
        ctx.is_terminating()
    }

    fn undeliverable(&self, from: &Pid, name: &str, problem: &str) {
        let pid = &self.core.pid;
        tracing::debug!(%pid, %from, message = name, problem, "message dropped");
        self.core.node.counters().undeclared.increment(1);
        let reason = format!("process '{}' does not take '{name}': {problem}", pid.id());
        self.core.node.refused(from, Hop::Local, 400, &reason);
    }

    /// Ends the process in good order; `batch` is what was taken out of the queue and not served.
    fn finish(&mut self, actor: &mut actix::Context<Self>, batch: &mut VecDeque<Event<P>>) {
        self.over = true;
        if self.core.mailbox.crashed() {
            return actor.stop();
        }
        let left = self.core.mailbox.close();
        self.core.node.count_dropped(batch.iter().chain(&left));
        batch.clear();
        drop(left);
        let mut ctx = Context::new(&self.core);
        self.process.finalize(&mut ctx);
        actor.stop();
    }
}

impl<P: Process> Drop for Shell<P> {
    fn drop(&mut self) {
        for timer in std::mem::take(self.core.timers.get_mut()).into_values() {
            timer.stop(&self.core.node);
        }
    }
}

/// The future within the actor that serves its mailbox.
struct Drain<P: Process> {
    batch: VecDeque<Event<P>>,
}

impl<P: Process> ActorFuture<Shell<P>> for Drain<P> {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        shell: &mut Shell<P>,
        actor: &mut actix::Context<Shell<P>>,
        cx: &mut task::Context<'_>,
    ) -> Poll<()> {
        let mailbox = Arc::clone(&shell.core.mailbox);
        for served in 0.. {
            if mailbox.terminates_now() {
                shell.finish(actor, &mut self.batch);
                return Poll::Ready(());
            }
            let event = match self.batch.pop_front() {
                Some(event) => event,
                None if served >= BATCH => break,
                None => {
                    mailbox.take(&mut self.batch, cx.waker());
                    match self.batch.pop_front() {
                        Some(event) => event,
                        None if mailbox.terminates_now() => continue,
                        None => return Poll::Pending,
                    }
                }
            };
            mailbox.note_served(event.kind());
            shell.over = true;
            let terminate = shell.serve(event);
            shell.over = false;
            if terminate {
                shell.finish(actor, &mut self.batch);
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The whole process as a world polls it.
pub(crate) struct Running<P: Process> {
    /// `None` once the process is gone.
    actor: Option<Pin<Box<dyn Future<Output = ()>>>>,
    node: Node,
    pid: Pid,
    mailbox: Arc<Mailbox<P>>,
}

impl<P: Process> Running<P> {
    /// Makes the future, on the thread that will poll it.
    pub(crate) fn new(process: P, node: Node, pid: Pid, mailbox: Arc<Mailbox<P>>) -> Running<P> {
        let core = Core {
            node: node.clone(),
            pid: pid.clone(),
            mailbox: Arc::clone(&mailbox),
            timers: std::cell::RefCell::default(),
            next_timer: std::cell::Cell::new(1),
        };
        let declaration = Arc::clone(mailbox.declaration());
        let tracing = node.world().traces();
        let process = Box::new(process);
        let shell = Shell {
            process,
            core,
            declaration,
            tracing,
            over: false,
        };
        let actor = actix::Context::new().into_future(shell);
        Running {
            actor: Some(Box::pin(actor)),
            node,
            pid,
            mailbox,
        }
    }

    /// Drops the state, whose own drop may panic too, and tells whoever has to know.
    fn gone(&mut self) {
        let Some(actor) = self.actor.take() else {
            return;
        };
        let left = self.mailbox.close();
        for state in [Box::new(left) as Box<dyn Any>, Box::new(actor)] {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(move || drop(state))) {
                self.report(&*panic);
            }
        }
        self.node.departed(&self.pid);
    }

    fn report(&self, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let panic = text.unwrap_or("a panic without a text");
        tracing::error!(pid = %self.pid, panic, "process panicked and is terminated");
        self.node.counters().panics.increment(1);
    }
}

impl<P: Process> Future for Running<P> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let Some(actor) = self.actor.as_mut() else {
            return Poll::Ready(());
        };
        match catch_unwind(AssertUnwindSafe(|| actor.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => {}
            Err(panic) => self.report(&*panic),
        }
        self.gone();
        Poll::Ready(())
    }
}

impl<P: Process> Drop for Running<P> {
    fn drop(&mut self) {
        self.gone();
    }
}
