//! A scheduler that speaks the HTTP API over the simulated network: JSON, RecordIO, one stream of
//! events, and calls one after another.
//!
//! ```text
//!   waiting --(pause)--> SUBSCRIBE posted --(200)--> stream --(SUBSCRIBED)--> subscribed
//!      ^                      | refused, broken         | ends, breaks           | ends, breaks
//!      +----------------------+-------------------------+------------------------+
//!                                            ERROR, TEARDOWN answered --> over
//! ```
//!
//! It gives the same [`Scheduler`] the same events as `tepui_framework`'s actor does, so any
//! scheduler runs on it unchanged. Not here: what a scheduler decides.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{AbortHandle, Abortable};
use tepui_framework::{Driver, Scheduler, deliver};
use tepui_protocol::mesos::v1::scheduler::call::{self, Subscribe};
use tepui_protocol::mesos::v1::scheduler::{Call, Event, event};
use tepui_protocol::recordio::Decoder;
use tepui_runtime::{
    Address, Body, Bytes, Context, Declaration, Encoding, HttpError, Id, Message as _, Network,
    Node, Pid, Process, ProcessRef, Request, Response, SpawnError,
};

use crate::wishes;

/// The longest record of events that it reads, in bytes.
const RECORD_LIMIT: usize = 64 << 20;
/// The pause before the next SUBSCRIBE is this, and up to as much again.
const PAUSE: Duration = Duration::from_secs(1);
/// A stream on which nothing came for so long is given up: the master says at least a heartbeat
/// every 15 s.
const SILENCE: Duration = Duration::from_secs(75);
/// The path of the scheduler API.
const PATH: &str = "/api/v1/scheduler";

/// A running scheduler on the HTTP API.
#[derive(Debug)]
pub struct HttpFramework<S: Scheduler> {
    process: ProcessRef<HttpClient<S>>,
}

impl<S: Scheduler> HttpFramework<S> {
    /// The PID of the actor, of which the master knows nothing.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        self.process.pid()
    }

    /// Calls into the scheduler from outside, as an event of its own.
    pub fn call(&self, call: impl FnOnce(&mut S, &mut Driver<'_>) + Send + 'static) {
        self.process
            .dispatch(move |client, ctx| client.run(ctx, call));
    }
}

/// Starts a scheduler that subscribes over HTTP to the master at an address, at first with these
/// words; what its calls change is in those of the next time. With `acknowledge`, updates are
/// acknowledged before [`Scheduler::update`]'s own calls.
///
/// # Errors
/// [`SpawnError`] where the node is down.
pub fn spawn_http<S: Scheduler>(
    node: &Node,
    network: &Network,
    master: Address,
    words: Subscribe,
    scheduler: S,
    acknowledge: bool,
) -> Result<HttpFramework<S>, SpawnError> {
    let client = HttpClient {
        scheduler,
        network: network.clone(),
        master,
        words,
        acknowledge,
        attempt: 0,
        stream: None,
        calls: VecDeque::new(),
        posting: false,
        over: false,
    };
    Ok(HttpFramework {
        process: node.spawn(Id::prefix("http-client"), client)?,
    })
}

/// The actor around a scheduler.
struct HttpClient<S> {
    scheduler: S,
    network: Network,
    master: Address,
    /// What its SUBSCRIBE says; it has an id once the master gave one.
    words: Subscribe,
    acknowledge: bool,
    /// Tells what belongs to the present stream from what belongs to an earlier one.
    attempt: u64,
    stream: Option<Stream>,
    /// Calls that wait for the one before them to be answered.
    calls: VecDeque<Call>,
    posting: bool,
    /// The scheduler is done: the actor ends when its last call is answered.
    over: bool,
}

/// The stream of events. Dropped, it is closed.
struct Stream {
    reading: AbortHandle,
    id: String,
    decoder: Decoder,
    subscribed: bool,
    /// Whether anything came since the last look.
    alive: bool,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

type Ctx<'a, S> = Context<'a, HttpClient<S>>;

impl<S: Scheduler> Process for HttpClient<S> {
    fn declare(_declaration: &mut Declaration<Self>) {}

    fn initialize(&mut self, ctx: &mut Ctx<'_, S>) {
        self.subscribe(ctx);
        ctx.every(SILENCE, |client, ctx| {
            let silent = client
                .stream
                .as_mut()
                .is_some_and(|stream| !std::mem::replace(&mut stream.alive, false));
            if silent {
                client.lost(client.attempt, ctx);
            }
        });
    }
}

impl<S: Scheduler> HttpClient<S> {
    fn request(&self, call: &Call, stream_id: Option<&str>) -> Option<Request> {
        let encoding = Encoding::Json;
        let mut request = Request::new("POST", PATH);
        request.body = call.encode(encoding).ok()?;
        for name in ["Content-Type", "Accept"] {
            request.headers.append(name, encoding.content_type());
        }
        if let Some(id) = stream_id {
            request.headers.append("Mesos-Stream-Id", id);
        }
        Some(request)
    }

    fn subscribe(&mut self, ctx: &Ctx<'_, S>) {
        self.attempt += 1;
        let attempt = self.attempt;
        let call = Call {
            framework_id: self.words.framework_info.id.clone(),
            r#type: Some(call::Type::Subscribe.into()),
            subscribe: Some(self.words.clone()),
            ..Call::default()
        };
        let Some(request) = self.request(&call, None) else {
            return;
        };
        let answer = self.network.request(ctx.node(), self.master, request);
        let myself = ctx.myself();
        let (reading, registration) = AbortHandle::new_pair();
        self.stream = Some(Stream {
            reading,
            id: String::new(),
            decoder: Decoder::new(RECORD_LIMIT),
            subscribed: false,
            alive: true,
        });
        let read = async move {
            if let Some((id, mut body)) = opened(answer.await) {
                myself.dispatch(move |client, _| client.opened(attempt, id));
                while let Some(Ok(piece)) = body.next().await {
                    myself.dispatch(move |client, ctx| client.piece(attempt, &piece, ctx));
                }
            }
            myself.dispatch(move |client, ctx| client.lost(attempt, ctx));
        };
        ctx.node().world().spawn(async move {
            let _closed = Abortable::new(read, registration).await;
        });
    }

    fn opened(&mut self, attempt: u64, id: String) {
        if attempt == self.attempt
            && let Some(stream) = &mut self.stream
        {
            stream.id = id;
        }
    }

    fn piece(&mut self, attempt: u64, piece: &Bytes, ctx: &mut Ctx<'_, S>) {
        let Some(stream) = self.stream.as_mut().filter(|_| attempt == self.attempt) else {
            return;
        };
        stream.alive = true;
        let Ok(records) = stream.decoder.push(piece) else {
            return self.lost(attempt, ctx);
        };
        for record in records {
            match Event::decode(Encoding::Json, &record) {
                Ok(event) => self.event(event, ctx),
                Err(problem) => {
                    tracing::warn!(%problem, "an event cannot be read");
                    return self.lost(attempt, ctx);
                }
            }
        }
    }

    /// The stream ended, broke, was not given, or is not of use.
    fn lost(&mut self, attempt: u64, ctx: &mut Ctx<'_, S>) {
        if attempt != self.attempt || self.over {
            return;
        }
        let Some(stream) = self.stream.take() else {
            return;
        };
        self.calls.clear();
        if stream.subscribed {
            self.run(ctx, |scheduler, driver| scheduler.disconnected(driver));
        }
        drop(stream);
        let most = u64::try_from(PAUSE.as_nanos()).unwrap_or(u64::MAX);
        let pause = PAUSE + Duration::from_nanos(ctx.random_below(most));
        ctx.delay(pause, move |client, ctx| {
            if client.attempt == attempt && !client.over {
                client.subscribe(ctx);
            }
        });
    }

    fn event(&mut self, event: Event, ctx: &mut Ctx<'_, S>) {
        let is_subscribed = self.stream.as_ref().is_some_and(|stream| stream.subscribed);
        match event.r#type() {
            event::Type::Subscribed => {
                let Some(subscribed) = event.subscribed else {
                    return;
                };
                if let Some(stream) = &mut self.stream {
                    stream.subscribed = true;
                }
                let id = subscribed.framework_id.clone();
                self.words.framework_info.id = Some(id);
                self.run(ctx, |scheduler, driver| {
                    let master = subscribed.master_info.as_ref();
                    scheduler.subscribed(driver, &subscribed.framework_id, master);
                });
            }
            event::Type::Error => {
                let message = event.error.map(|error| error.message).unwrap_or_default();
                self.run(ctx, |scheduler, driver| scheduler.error(driver, message));
                ctx.terminate();
            }
            event::Type::Update if is_subscribed => {
                let Some(update) = event.update else { return };
                if self.acknowledge {
                    let status = update.status.clone();
                    self.run(ctx, |_, driver| driver.acknowledge(&status));
                }
                self.run(ctx, |scheduler, driver| {
                    scheduler.update(driver, update.status);
                });
            }
            _ if is_subscribed => {
                self.run(ctx, |scheduler, driver| deliver(scheduler, driver, event));
            }
            _ => {}
        }
    }

    /// A method of its own: one that is generic over the work would be so without end.
    fn wake(&mut self, ctx: &mut Ctx<'_, S>) {
        self.run(ctx, |scheduler, driver| scheduler.wake(driver));
    }

    /// Lets the scheduler work, and posts what it calls.
    fn run(&mut self, ctx: &mut Ctx<'_, S>, work: impl FnOnce(&mut S, &mut Driver<'_>)) {
        let id = self.words.framework_info.id.clone();
        let mut driver = Driver::new(id.as_ref(), ctx.now());
        work(&mut self.scheduler, &mut driver);
        let asked = driver.finish();
        for call in &asked.calls {
            wishes::heed(&mut self.words, call);
        }
        if self.stream.as_ref().is_some_and(|stream| stream.subscribed) {
            self.calls.extend(asked.calls);
        }
        for pause in asked.wakes {
            ctx.delay(pause, Self::wake);
        }
        self.over |= asked.stopped;
        self.post(ctx);
    }

    fn post(&mut self, ctx: &mut Ctx<'_, S>) {
        if self.posting {
            return;
        }
        let next = self.calls.pop_front();
        let stream_id = self.stream.as_ref().map(|stream| stream.id.as_str());
        let Some(request) = next.and_then(|call| self.request(&call, stream_id)) else {
            if self.over {
                ctx.terminate();
            }
            return;
        };
        self.posting = true;
        let answer = self.network.request(ctx.node(), self.master, request);
        let myself = ctx.myself();
        ctx.node().world().spawn(async move {
            let answer = answer.await;
            myself.dispatch(move |client, ctx| client.answered(answer, ctx));
        });
    }

    fn answered(&mut self, answer: Result<Response, HttpError>, ctx: &mut Ctx<'_, S>) {
        match answer {
            Ok(Response {
                status: 200..=299, ..
            }) => {}
            Ok(refused) => {
                tracing::debug!(status = refused.status, body = ?refused.body, "a call was refused");
            }
            Err(problem) => tracing::debug!(%problem, "a call was lost"),
        }
        self.posting = false;
        self.post(ctx);
    }
}

/// The id and the body of a stream that was opened.
fn opened(answer: Result<Response, HttpError>) -> Option<(String, tepui_runtime::BodyReader)> {
    let response = answer.ok().filter(|response| response.status == 200)?;
    let id = response.header("Mesos-Stream-Id")?.to_owned();
    match response.body {
        Body::Stream(body) => Some((id, body)),
        _ => None,
    }
}

#[cfg(test)]
#[path = "http_client_tests.rs"]
mod tests;
