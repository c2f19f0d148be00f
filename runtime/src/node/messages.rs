//! What a node does with messages, questions and links: hand over, hand on, refuse, tell.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Node, locked};
use crate::address::{Address, Pid};
use crate::ask::{self, AskError, Hop};
use crate::credit::Credit;
use crate::mailbox::{AnyMailbox, CachedMailbox, Letter};
use crate::oneshot;
use crate::transport::Refusal;
use tepui_message::{Encoding, Message, OutboundMessage};

/// How many peers' choice of encoding a node remembers; beyond, one is forgotten.
const PEERS: usize = 16_384;

impl Node {
    /// Sends a message in the name of `from`; as [`crate::Context::send`].
    pub fn send<M: Message>(&self, from: &Pid, to: &Pid, message: M) {
        self.post(from, to, message, None);
    }

    pub(crate) fn post<M: Message>(
        &self,
        from: &Pid,
        to: &Pid,
        message: M,
        encoding: Option<Encoding>,
    ) {
        if self.0.world.traces() {
            self.0.world.sent(from, to, &message);
        }
        if to.address() == self.0.address {
            self.post_here(
                to,
                Letter {
                    message: Box::new(message),
                    from: from.clone(),
                    encoding,
                    credit: None,
                },
            );
        } else if to.address() == Address::NOWHERE {
            self.0.counters.nobody.increment(1);
        } else if let Some(transport) = self.0.transport.get() {
            let chosen = self.encoding_for(to.address(), encoding, M::ENCODINGS);
            transport.send(from, to, &message, chosen);
        }
    }

    fn post_here(&self, to: &Pid, letter: Letter) {
        let node = Arc::as_ptr(&self.0).addr();
        let letter = match to.cached().get() {
            Some(cached) if cached.node == node => match cached.mailbox.deliver(letter) {
                Ok(()) => return,
                Err(letter) => letter,
            },
            _ => letter,
        };
        let Some(mailbox) = self.mailbox(to.id()) else {
            return self.post_nowhere(to, letter);
        };
        let _ = to.cached().set(CachedMailbox {
            node,
            mailbox: Arc::clone(&mailbox),
        });
        if let Err(letter) = mailbox.deliver(letter) {
            self.post_nowhere(to, letter);
        }
    }

    /// A message to what is no process here: an answer to a question, or to be dropped.
    fn post_nowhere(&self, to: &Pid, letter: Letter) {
        if let Some(number) = ask::number_of(to.id()) {
            self.answer(number, Ok(letter.message));
            return;
        }
        self.0.counters.no_process.increment(1);
        let reason = format!("no process '{}'", to.id());
        self.refused(&letter.from, Hop::Local, 404, &reason);
    }

    pub(super) fn mailbox(&self, id: &str) -> Option<Arc<dyn AnyMailbox>> {
        let processes = self
            .0
            .processes
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        processes.get(id).cloned()
    }

    /// Whether the node has a process of this id.
    #[must_use]
    pub fn has_process(&self, id: &str) -> bool {
        self.mailbox(id).is_some_and(|mailbox| !mailbox.is_closed())
    }

    /// The encoding for a message: that of the message it answers, else the one in which the other
    /// node spoke last, else the message's own first.
    fn encoding_for(
        &self,
        to: Address,
        asked: Option<Encoding>,
        has: &'static [Encoding],
    ) -> Encoding {
        let asked = asked.or_else(|| locked(&self.0.peers).get(&to).copied());
        match asked {
            Some(encoding) if has.contains(&encoding) => encoding,
            _ => has.first().copied().unwrap_or(Encoding::MessagePack),
        }
    }

    fn remember_peer(&self, address: Address, encoding: Encoding) {
        if address == Address::NOWHERE {
            return;
        }
        let mut peers = locked(&self.0.peers);
        if encoding == Encoding::MessagePack {
            peers.swap_remove(&address);
        } else if peers.insert(address, encoding).is_none() && peers.len() > PEERS {
            peers.swap_remove_index(0);
        }
    }

    /// Takes a message that came from outside.
    ///
    /// # Errors
    /// There is no such process, it does not declare the name, or the body does not decode.
    pub fn deliver_encoded(
        &self,
        id: &str,
        name: &str,
        encoding: Encoding,
        body: &[u8],
        from: &Pid,
    ) -> Result<(), Refusal> {
        self.take_in(id, name, encoding, body, from, None)
    }

    /// Takes a message that came from outside, with what it holds of its connection's credit.
    /// Called by the transport, on the connection's side; else as [`Node::deliver_encoded`].
    pub(crate) fn take_in(
        &self,
        id: &str,
        name: &str,
        encoding: Encoding,
        body: &[u8],
        from: &Pid,
        credit: Option<Credit>,
    ) -> Result<(), Refusal> {
        self.check_sender(from)?;
        if let Some(number) = ask::number_of(id) {
            match self
                .0
                .asks
                .decode(number, name, encoding, body, self.0.address)
            {
                None => {
                    self.0.counters.late.increment(1);
                    return Err(Refusal::NoSuchProcess { id: id.to_owned() });
                }
                Some(Err(AskError::Codec(error))) => {
                    self.answer(number, Err(error.clone().into()));
                    return Err(error.into());
                }
                Some(answer) => self.answer(number, answer),
            }
            return Ok(());
        }
        let mailbox = self.mailbox(id).ok_or_else(|| self.no_process(id))?;
        let Some(decoded) = mailbox.decode(name, encoding, body) else {
            return Err(self.unknown_name(id, name));
        };
        let message = decoded?;
        self.remember_peer(from.address(), encoding);
        let letter = Letter {
            message,
            from: from.clone(),
            encoding: Some(encoding),
            credit,
        };
        let delivered = mailbox.deliver(letter);
        delivered.map_err(|_letter| self.no_process(id))
    }

    /// Takes a message that came from outside as what it is, unwritten: as
    /// [`Node::deliver_encoded`] but for the codec.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn deliver_copied(
        &self,
        id: &str,
        message: Box<dyn OutboundMessage>,
        encoding: Encoding,
        from: &Pid,
    ) -> Result<(), Refusal> {
        self.check_sender(from)?;
        if let Some(number) = ask::number_of(id) {
            if !self.0.asks.awaits_from_elsewhere(number, self.0.address) {
                self.0.counters.late.increment(1);
                return Err(Refusal::NoSuchProcess { id: id.to_owned() });
            }
            self.answer(number, Ok(message));
            return Ok(());
        }
        let mailbox = self.mailbox(id).ok_or_else(|| self.no_process(id))?;
        if !mailbox.takes(message.name()) {
            return Err(self.unknown_name(id, message.name()));
        }
        self.remember_peer(from.address(), encoding);
        let letter = Letter {
            message,
            from: from.clone(),
            encoding: Some(encoding),
            credit: None,
        };
        let delivered = mailbox.deliver(letter);
        delivered.map_err(|_letter| self.no_process(id))
    }

    /// What comes from outside does not come from here.
    fn check_sender(&self, from: &Pid) -> Result<(), Refusal> {
        if from.address() == self.0.address {
            self.0.counters.impostors.increment(1);
            return Err(Refusal::Impostor { from: from.clone() });
        }
        Ok(())
    }

    fn no_process(&self, id: &str) -> Refusal {
        self.0.counters.no_process.increment(1);
        Refusal::NoSuchProcess { id: id.to_owned() }
    }

    fn unknown_name(&self, id: &str, name: &str) -> Refusal {
        self.0.counters.undeclared.increment(1);
        Refusal::UnknownName {
            id: id.to_owned(),
            name: name.to_owned(),
        }
    }

    /// A message was not taken. If its sender is a question of this node, that is its answer.
    pub fn refused(&self, from: &Pid, by: Hop, status: u16, reason: &str) {
        if from.address() != self.0.address {
            return;
        }
        if let Some(number) = ask::number_of(from.id()) {
            let reason = reason.to_owned();
            self.answer(number, Err(AskError::Refused { by, status, reason }));
        }
    }

    /// The connection to a node broke or could not be made: links and questions over it end.
    pub fn disconnected(&self, address: Address) {
        for (linkee, linkers) in self.0.links.remove_address(address) {
            self.tell_exited(&linkee, &linkers);
        }
        for entry in self.0.asks.remove_address(address) {
            self.0.clock.cancel(entry.timer);
            entry.complete(Err(AskError::Exited));
        }
    }

    /// Whether a process here is linked to one of that node.
    #[must_use]
    pub fn is_linked_to(&self, address: Address) -> bool {
        self.0.links.reaches(address)
    }

    pub(crate) fn link(&self, linker: &Pid, to: &Pid) {
        let first = self.0.links.add(linker.id(), to);
        if to.address() == self.0.address {
            if !self.has_process(to.id()) {
                let linkers = self.0.links.remove_linkee(to);
                self.tell_exited(to, &linkers);
            }
        } else if to.address() == Address::NOWHERE {
            let linkers = self.0.links.remove_linkee(to);
            self.tell_exited(to, &linkers);
        } else if let (true, Some(transport)) = (first, self.0.transport.get()) {
            transport.link(to.address());
        }
    }

    pub(super) fn tell_exited(&self, linkee: &Pid, linkers: &BTreeSet<Box<str>>) {
        for linker in linkers {
            if let Some(mailbox) = self.mailbox(linker) {
                mailbox.exited(linkee.clone());
            }
        }
    }

    /// Asks a process from outside of any, as [`crate::Context::ask`] does from within one.
    ///
    /// # Errors
    /// There is no answer, for the reason that [`AskError`] gives.
    pub fn ask<Q: Message, R: Message>(
        &self,
        to: &Pid,
        question: Q,
        deadline: Duration,
    ) -> impl Future<Output = Result<R, AskError>> + Send + 'static + use<Q, R> {
        let (sender, receiver) = oneshot::channel();
        self.ask_then(to, question, deadline, move |answer| sender.send(answer));
        async move { receiver.await.unwrap_or(Err(AskError::Down)) }
    }

    pub(crate) fn ask_then<Q: Message, R: Message>(
        &self,
        to: &Pid,
        question: Q,
        deadline: Duration,
        then: impl FnOnce(Result<R, AskError>) + Send + 'static,
    ) {
        if self.is_down() {
            return then(Err(AskError::Down));
        }
        if to.is_nobody() {
            let reason = "nobody was asked".to_owned();
            return then(Err(AskError::Refused {
                by: Hop::Local,
                status: 404,
                reason,
            }));
        }
        let complete = Box::new(|answer| then(ask::answer_as(answer)));
        let at = self.0.clock.now() + deadline;
        let node = self.downgrade();
        let number = self.0.asks.enter::<R>(to, complete, |number| {
            self.0.clock.schedule(at, move || {
                if let Some(entry) = node.upgrade().and_then(|node| node.0.asks.remove(number)) {
                    entry.complete(Err(AskError::Deadline));
                }
            })
        });
        let from = self.pid_of(&format!("__ask__({number})"));
        self.post(&from, to, question, None);
    }

    fn answer(&self, number: u64, answer: Result<Box<dyn OutboundMessage>, AskError>) {
        match self.0.asks.remove(number) {
            Some(entry) => {
                self.0.clock.cancel(entry.timer);
                entry.complete(answer);
            }
            None => self.0.counters.late.increment(1),
        }
    }
}
