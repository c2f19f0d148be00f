//! The actor that is an executor's PID while the executor itself is at the other end of an HTTP
//! stream: one per stream, on the agent's node, named `http-executor(N)`.
//!
//! The agent's counterpart of `http_scheduler.rs`: forwards calls to the agent, writes events into
//! the stream, sends heartbeats.
//!
//! ```text
//!   subscribing --SUBSCRIBED--> subscribed --+-- ERROR event -----------------> ended
//!        |                          |        +-- client leaves, or is stuck --> ended
//!        +------- ERROR event ------+        +-- agent gone -----------------> ended
//! ```

use std::{sync::Arc, time::Duration};

use tepui_protocol::mesos::v1::executor::{Call, Event, event};
use tepui_runtime::{Context, Declaration, Encoding, Handle, Pid, Process, ProcessRef};
use tracing::{info, warn};

use crate::{
    defaults,
    sessions::{Admission, Session, Sessions},
    stream::{EventStream, StreamEnd},
};

/// How often an executor's stream carries a heartbeat: Mesos'
/// `DEFAULT_EXECUTOR_HEARTBEAT_INTERVAL`.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30 * 60);

/// Executors by [`peer`].
pub(crate) type ExecutorSessions = Sessions<ProcessRef<HttpExecutor>>;

/// The key of an executor among all of an agent's; ids hold no `/`.
pub(crate) fn peer(framework_id: &str, executor_id: &str) -> String {
    format!("{framework_id}/{executor_id}")
}

/// One executor's stream.
pub(crate) struct HttpExecutor {
    agent: Pid,
    sessions: Arc<ExecutorSessions>,
    peer: String,
    /// The call that opened the stream, until it is sent.
    subscribe: Option<Call>,
    /// Whether SUBSCRIBED has come.
    subscribed: bool,
    /// `None` once the stream is over.
    stream: Option<EventStream>,
    _admission: Admission,
}

impl HttpExecutor {
    pub(crate) fn new(
        agent: Pid,
        sessions: Arc<ExecutorSessions>,
        subscribe: Call,
        stream: EventStream,
        admission: Admission,
    ) -> Self {
        Self {
            agent,
            sessions,
            peer: peer(&subscribe.framework_id.value, &subscribe.executor_id.value),
            subscribe: Some(subscribe),
            subscribed: false,
            stream: Some(stream),
            _admission: admission,
        }
    }

    /// Passes on a call of the executor that owns this stream.
    pub(crate) fn forward(&mut self, call: Call, ctx: &mut Context<'_, Self>) {
        ctx.send(&self.agent, call);
    }

    fn heartbeat(&mut self, ctx: &mut Context<'_, Self>) {
        let heartbeat = Event {
            r#type: Some(event::Type::Heartbeat.into()),
            ..Event::default()
        };
        self.write(&heartbeat, ctx);
    }

    fn write(&mut self, event: &Event, ctx: &mut Context<'_, Self>) {
        let Some(stream) = &self.stream else { return };
        let written = match stream.encoding() {
            Encoding::Json => {
                let mut event = event.clone();
                defaults::fill(&mut event);
                stream.write(&event)
            }
            Encoding::MessagePack | Encoding::Protobuf => stream.write(event),
        };
        match written {
            Ok(()) => {}
            Err(StreamEnd::Closed) => self.end("the client closed it", ctx),
            Err(stuck) => {
                ctx.metrics()
                    .counter("http/executor_streams_stuck")
                    .increment(1);
                warn!(pid = %ctx.pid(), executor = self.peer, reason = %stuck,
                    "cutting an executor's stream");
                if let Some(stream) = self.stream.take() {
                    stream.abort();
                }
                self.end("it was cut", ctx);
            }
        }
    }

    fn end(&mut self, reason: &str, ctx: &mut Context<'_, Self>) {
        info!(pid = %ctx.pid(), executor = self.peer, reason, "executor's stream ended");
        self.stream = None;
        ctx.terminate();
    }
}

impl Process for HttpExecutor {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Event>();
    }

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        if let Some(stream) = &self.stream {
            let myself = ctx.myself();
            stream.on_closed(move || {
                myself.dispatch(|adapter, ctx| adapter.end("the client closed it", ctx));
            });
        }
        ctx.link(&self.agent);
        if let Some(subscribe) = self.subscribe.take() {
            ctx.send(&self.agent, subscribe);
        }
    }

    fn exited(&mut self, pid: &Pid, ctx: &mut Context<'_, Self>) {
        if *pid == self.agent {
            self.end("the agent is gone", ctx);
        }
    }

    fn finalize(&mut self, ctx: &mut Context<'_, Self>) {
        self.sessions.ended(&self.peer, ctx.pid());
    }
}

impl Handle<Event> for HttpExecutor {
    fn handle(&mut self, event: Event, ctx: &mut Context<'_, Self>) {
        if *ctx.sender() != self.agent {
            warn!(pid = %ctx.pid(), sender = %ctx.sender(), "dropped an event that is not the agent's");
            return;
        }
        match event.r#type() {
            event::Type::Subscribed => {
                let session = Session {
                    pid: ctx.pid().clone(),
                    adapter: ctx.myself(),
                    stream_id: String::new(),
                };
                self.sessions.subscribed(&self.peer, session);
                self.subscribed = true;
                self.write(&event, ctx);
                ctx.every(HEARTBEAT_INTERVAL, Self::heartbeat);
            }
            event::Type::Error => {
                // That another stream took its place is told by the end of this one, as in Mesos.
                if !self.subscribed {
                    self.write(&event, ctx);
                }
                self.end("the agent refused the executor", ctx);
            }
            _ => self.write(&event, ctx),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};
    use tepui_protocol::recordio::Decoder;
    use tepui_runtime::{
        BodyReader, Id, Message as _, Node, NodeOptions, SimOptions, World, body_channel,
    };

    use super::*;

    /// Subscribes whoever asks.
    struct SmallAgent;

    impl Process for SmallAgent {
        fn declare(declaration: &mut Declaration<Self>) {
            declaration.message::<Call>();
        }
    }

    impl Handle<Call> for SmallAgent {
        fn handle(&mut self, _call: Call, ctx: &mut Context<'_, Self>) {
            ctx.reply(Event {
                r#type: Some(event::Type::Subscribed.into()),
                ..Event::default()
            });
        }
    }

    /// The types of the events that came since the last time.
    fn came(reader: &mut BodyReader, decoder: &mut Decoder) -> Vec<event::Type> {
        let mut types = Vec::new();
        while let Some(Some(chunk)) = reader.next().now_or_never() {
            for record in decoder.push(&chunk.unwrap()).unwrap() {
                types.push(Event::decode(Encoding::Protobuf, &record).unwrap().r#type());
            }
        }
        types
    }

    #[test]
    fn heartbeats_come_every_half_hour() {
        use event::Type::{Heartbeat, Subscribed};

        let mut simulation = World::simulated(SimOptions::default());
        let node = Node::start(simulation.world(), NodeOptions::default()).unwrap();
        let agent = node.spawn(Id::chosen("slave(1)"), SmallAgent).unwrap();
        let sessions = Arc::new(ExecutorSessions::new(8));
        let (writer, mut reader) = body_channel(1 << 20);
        let adapter = HttpExecutor::new(
            agent.pid().clone(),
            Arc::clone(&sessions),
            Call::default(),
            EventStream::new(writer, Encoding::Protobuf),
            sessions.admit().unwrap(),
        );
        node.spawn(Id::prefix("http-executor"), adapter).unwrap();
        let mut decoder = Decoder::new(1 << 20);
        simulation.run_for(Duration::from_secs(29 * 60));
        assert_eq!(
            came(&mut reader, &mut decoder),
            [Subscribed],
            "and none at once"
        );
        simulation.run_for(Duration::from_secs(2 * 60));
        assert_eq!(came(&mut reader, &mut decoder), [Heartbeat]);
        simulation.run_for(Duration::from_secs(60 * 60));
        assert_eq!(came(&mut reader, &mut decoder), [Heartbeat; 2]);
    }
}
