//! The actor that is a framework's PID while the framework itself is at the other end of an HTTP
//! stream: one per stream, on the master's node, named `http-scheduler(N)`.
//!
//! It forwards the framework's calls to the master and writes the master's events into the stream.
//! What only HTTP has lives here and nowhere else: the stream's id, heartbeats, and the end of the
//! stream. It decides nothing about the cluster.
//!
//! ```text
//!   subscribing --SUBSCRIBED--> subscribed --+-- ERROR event, TEARDOWN --------> ended
//!        |                          |        +-- client leaves, or is stuck --> ended
//!        +------- ERROR event ------+        +-- master gone ----------------> ended
//! ```
//!
//! Its end is what the master sees as the framework's disconnection.

use std::{sync::Arc, time::Duration};

use tepui_protocol::mesos::v1::scheduler::{Call, Event, call, event};
use tepui_runtime::{Context, Declaration, Handle, Pid, Process, ProcessRef};
use tracing::{info, warn};

use crate::{
    scheduler::UpdateFramework,
    sessions::{Admission, Session, Sessions},
    stream::{EventStream, StreamEnd},
};

/// How often a scheduler's stream carries a heartbeat, the first at once after SUBSCRIBED: Mesos'
/// `DEFAULT_HEARTBEAT_INTERVAL`.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// So many events may wait to be written to one stream, as many as a master answers when a
/// framework with the most tasks asks for all of them. What is written is bounded by its bytes.
const MAX_WAITING: u64 = 200_000;
/// After so many events the adapter looks at how many wait.
const LOOK_EVERY: u64 = 256;

/// Frameworks by their id.
pub(crate) type SchedulerSessions = Sessions<ProcessRef<HttpScheduler>>;

/// One framework's stream.
pub(crate) struct HttpScheduler {
    master: Pid,
    sessions: Arc<SchedulerSessions>,
    stream_id: String,
    /// The call that opened the stream, until it is sent.
    subscribe: Option<Call>,
    /// `None` once the stream is over.
    stream: Option<EventStream>,
    /// Known from SUBSCRIBED on.
    framework_id: Option<String>,
    /// Events taken so far.
    taken: u64,
    _admission: Admission,
    update: UpdateFramework,
}

impl HttpScheduler {
    pub(crate) fn new(
        master: Pid,
        sessions: Arc<SchedulerSessions>,
        stream_id: String,
        subscribe: Call,
        stream: EventStream,
        admission: Admission,
        update: UpdateFramework,
    ) -> Self {
        Self {
            master,
            sessions,
            stream_id,
            subscribe: Some(subscribe),
            stream: Some(stream),
            framework_id: None,
            taken: 0,
            _admission: admission,
            update,
        }
    }

    /// Passes on a call of the framework that owns this stream.
    pub(crate) fn forward(&mut self, call: Call, ctx: &mut Context<'_, Self>) {
        let teardown = call.r#type() == call::Type::Teardown;
        ctx.send(&self.master, call);
        if teardown {
            self.end("the framework was torn down", ctx);
        }
    }

    /// An operator tore the framework down.
    pub(crate) fn torn_down(&mut self, ctx: &mut Context<'_, Self>) {
        self.end("an operator tore the framework down", ctx);
    }

    fn subscribed(&mut self, event: &mut Event, ctx: &Context<'_, Self>) {
        let Some(subscribed) = &mut event.subscribed else {
            return;
        };
        subscribed.heartbeat_interval_seconds = Some(HEARTBEAT_INTERVAL.as_secs_f64());
        let framework_id = subscribed.framework_id.value.clone();
        let session = Session {
            pid: ctx.pid().clone(),
            adapter: ctx.myself(),
            stream_id: self.stream_id.clone(),
        };
        self.sessions.subscribed(&framework_id, session);
        self.framework_id = Some(framework_id);
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
        match stream.write(event) {
            Ok(()) => {}
            Err(StreamEnd::Closed) => self.end("the client closed it", ctx),
            Err(stuck) => self.cut(&stuck.to_string(), ctx),
        }
    }

    /// Ends the stream of a client that does not keep up.
    fn cut(&mut self, reason: &str, ctx: &mut Context<'_, Self>) {
        let Some(stream) = self.stream.take() else {
            return;
        };
        stream.abort();
        ctx.metrics()
            .counter("http/scheduler_streams_stuck")
            .increment(1);
        warn!(pid = %ctx.pid(), framework = self.framework_id, reason,
            "cutting a scheduler's stream");
        self.end("it was cut", ctx);
    }

    fn end(&mut self, reason: &str, ctx: &mut Context<'_, Self>) {
        info!(pid = %ctx.pid(), framework = self.framework_id, reason, "scheduler's stream ended");
        self.stream = None;
        ctx.terminate();
    }
}

impl Process for HttpScheduler {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Event>().inward::<Call>();
    }

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        if let Some(stream) = &self.stream {
            let myself = ctx.myself();
            stream.on_closed(move || {
                myself.dispatch(|adapter, ctx| adapter.end("the client closed it", ctx));
            });
        }
        ctx.link(&self.master);
        if let Some(subscribe) = self.subscribe.take() {
            ctx.send(&self.master, subscribe);
        }
    }

    fn exited(&mut self, pid: &Pid, ctx: &mut Context<'_, Self>) {
        if *pid == self.master {
            self.end("the master is gone", ctx);
        }
    }

    fn finalize(&mut self, ctx: &mut Context<'_, Self>) {
        if let Some(framework_id) = &self.framework_id {
            self.sessions.ended(framework_id, ctx.pid());
        }
    }
}

impl Handle<Event> for HttpScheduler {
    fn handle(&mut self, mut event: Event, ctx: &mut Context<'_, Self>) {
        self.taken = self.taken.wrapping_add(1);
        if self.taken.is_multiple_of(LOOK_EVERY) && ctx.waiting().messages > MAX_WAITING {
            return self.cut("too many events wait for it", ctx);
        }
        if *ctx.sender() != self.master {
            warn!(pid = %ctx.pid(), sender = %ctx.sender(), "dropped an event that is not the master's");
            return;
        }
        match event.r#type() {
            event::Type::Subscribed => {
                self.subscribed(&mut event, ctx);
                self.write(&event, ctx);
                self.heartbeat(ctx);
                ctx.every(HEARTBEAT_INTERVAL, Self::heartbeat);
            }
            event::Type::Error => {
                self.write(&event, ctx);
                self.end("the master refused the framework", ctx);
            }
            _ => self.write(&event, ctx),
        }
    }
}

/// An UPDATE_FRAMEWORK, of the gateway, which is told what came of it.
impl Handle<Call> for HttpScheduler {
    fn handle(&mut self, call: Call, ctx: &mut Context<'_, Self>) {
        (self.update)(ctx.pid().clone(), call, ctx.sender().clone());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};
    use tepui_protocol::{mesos::v1::FrameworkId, recordio::Decoder};
    use tepui_runtime::{
        BodyReader, Encoding, Id, Message as _, Node, NodeOptions, SimOptions, Simulation,
        Terminate, World, body_channel,
    };

    use super::*;

    /// Subscribes whoever asks.
    struct SmallMaster;

    impl Process for SmallMaster {
        fn declare(declaration: &mut Declaration<Self>) {
            declaration.message::<Call>();
        }
    }

    impl Handle<Call> for SmallMaster {
        fn handle(&mut self, _call: Call, ctx: &mut Context<'_, Self>) {
            let subscribed = event::Subscribed {
                framework_id: FrameworkId {
                    value: "f".to_owned(),
                },
                ..event::Subscribed::default()
            };
            ctx.reply(Event {
                r#type: Some(event::Type::Subscribed.into()),
                subscribed: Some(subscribed),
                ..Event::default()
            });
        }
    }

    struct Stage {
        simulation: Simulation,
        node: Node,
        sessions: Arc<SchedulerSessions>,
        adapter: Pid,
        reader: BodyReader,
        decoder: Decoder,
    }

    impl Stage {
        fn new() -> Self {
            let simulation = World::simulated(SimOptions::default());
            let node = Node::start(simulation.world(), NodeOptions::default()).unwrap();
            let master = node.spawn(Id::chosen("master"), SmallMaster).unwrap();
            let sessions = Arc::new(SchedulerSessions::new(8));
            let (writer, reader) = body_channel(1 << 20);
            let adapter = HttpScheduler::new(
                master.pid().clone(),
                Arc::clone(&sessions),
                "s".to_owned(),
                Call {
                    r#type: Some(call::Type::Subscribe.into()),
                    ..Call::default()
                },
                EventStream::new(writer, Encoding::Protobuf),
                sessions.admit().unwrap(),
                Arc::new(|_, _, _| {}),
            );
            let adapter = node.spawn(Id::prefix("http-scheduler"), adapter).unwrap();
            let adapter = adapter.pid().clone();
            Self {
                simulation,
                node,
                sessions,
                adapter,
                reader,
                decoder: Decoder::new(1 << 20),
            }
        }

        /// The types of the events that came since the last time, and whether the stream is over.
        fn events(&mut self) -> (Vec<event::Type>, bool) {
            let mut types = Vec::new();
            while let Some(next) = self.reader.next().now_or_never() {
                let Some(chunk) = next else {
                    return (types, true);
                };
                for record in self.decoder.push(&chunk.unwrap()).unwrap() {
                    types.push(Event::decode(Encoding::Protobuf, &record).unwrap().r#type());
                }
            }
            (types, false)
        }
    }

    #[test]
    fn heartbeats_come_at_once_and_every_15_seconds() {
        use event::Type::{Heartbeat, Subscribed};

        let mut stage = Stage::new();
        stage.simulation.run_for(Duration::from_millis(14_900));
        assert_eq!(stage.events(), (vec![Subscribed, Heartbeat], false));
        stage.simulation.run_for(Duration::from_millis(200));
        assert_eq!(stage.events(), (vec![Heartbeat], false));
        stage.simulation.run_for(Duration::from_secs(60));
        assert_eq!(stage.events(), (vec![Heartbeat; 4], false));
    }

    #[test]
    fn the_stream_is_known_before_its_client_can_read_subscribed_and_ends_with_the_master() {
        let mut stage = Stage::new();
        stage.simulation.run_for(Duration::from_secs(1));
        let session = stage.sessions.find("f").unwrap();
        assert_eq!(
            (session.pid, session.stream_id.as_str()),
            (stage.adapter.clone(), "s")
        );
        assert_eq!(stage.events().0.len(), 2);
        stage
            .node
            .terminate(&stage.node.pid_of("master"), Terminate::Now);
        stage.simulation.run_for(Duration::from_secs(1));
        assert_eq!(stage.events(), (Vec::new(), true));
        assert!(stage.sessions.find("f").is_none());
    }

    #[test]
    fn a_stream_for_which_too_much_waits_is_cut_and_counted() {
        let mut stage = Stage::new();
        stage.simulation.run_for(Duration::from_secs(1));
        let rescind = Event {
            r#type: Some(event::Type::Rescind.into()),
            ..Event::default()
        };
        let master = stage.node.pid_of("master");
        let burst = |stage: &mut Stage, events: u64| {
            for _ in 0..events {
                stage.node.send(&master, &stage.adapter, rescind.clone());
            }
            stage.simulation.run_for(Duration::from_secs(1));
        };
        let stuck = |stage: &Stage| {
            let metrics = stage.node.metrics().snapshot();
            metrics.get("http/scheduler_streams_stuck").copied()
        };
        burst(&mut stage, 100_000);
        assert_eq!(stuck(&stage), None);
        assert!(stage.node.has_process(stage.adapter.id()));
        assert!(stage.events().0.len() > 100_000);
        burst(&mut stage, MAX_WAITING + 2 * LOOK_EVERY);
        assert_eq!(stuck(&stage), Some(1.0));
        assert!(!stage.node.has_process(stage.adapter.id()));
    }

    #[test]
    fn events_of_anyone_but_the_master_are_dropped() {
        let mut stage = Stage::new();
        stage.simulation.run_for(Duration::from_secs(1));
        stage.events();
        let error = Event {
            r#type: Some(event::Type::Error.into()),
            ..Event::default()
        };
        stage
            .node
            .send(&stage.node.pid_of("stranger"), &stage.adapter, error);
        stage.simulation.run_for(Duration::from_secs(1));
        assert_eq!(stage.events(), (Vec::new(), false));
    }
}
