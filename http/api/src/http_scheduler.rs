//! The actor that is a framework's PID while the framework itself is at the other end of an HTTP
//! stream: one per stream, on the master's node, named `http-scheduler(N)`.
//!
//! It forwards the framework's calls to the master and writes the master's events into the stream.
//! What only HTTP has lives here and nowhere else: the stream's id, heartbeats, and the end of the
//! stream. It decides nothing about the cluster.
//!
//! ```text
//!   subscribing --SUBSCRIBED--> subscribed --+-- ERROR event, TEARDOWN call --> ended
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
    sessions::{Admission, Session, Sessions},
    stream::{EventStream, StreamEnd},
};

/// How often a scheduler's stream carries a heartbeat, the first at once after SUBSCRIBED: Mesos'
/// `DEFAULT_HEARTBEAT_INTERVAL`.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

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
    _admission: Admission,
}

impl HttpScheduler {
    pub(crate) fn new(
        master: Pid,
        sessions: Arc<SchedulerSessions>,
        stream_id: String,
        subscribe: Call,
        stream: EventStream,
        admission: Admission,
    ) -> Self {
        Self {
            master,
            sessions,
            stream_id,
            subscribe: Some(subscribe),
            stream: Some(stream),
            framework_id: None,
            _admission: admission,
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
            Err(stuck) => {
                ctx.metrics()
                    .counter("http/scheduler_streams_stuck")
                    .increment(1);
                warn!(pid = %ctx.pid(), framework = self.framework_id, reason = %stuck,
                    "cutting a scheduler's stream");
                if let Some(stream) = self.stream.take() {
                    stream.abort();
                }
                self.end("it was cut", ctx);
            }
        }
    }

    fn end(&mut self, reason: &str, ctx: &mut Context<'_, Self>) {
        info!(pid = %ctx.pid(), framework = self.framework_id, reason, "scheduler's stream ended");
        self.stream = None;
        ctx.terminate();
    }
}

impl Process for HttpScheduler {
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
