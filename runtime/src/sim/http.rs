//! HTTP over the simulated network: the same routes and handlers as behind a listener, with the
//! network's latency, cuts, blocks and crashes acting on every request and every piece of a stream.
//!
//! ```text
//! request --latency--> the server's handler --latency--> head --> piece, piece ... --> end
//!     \ the client drops the answer, its stream, or its host goes: the handler is dropped, the
//!       stream's writer is told
//!       \ the connection breaks: the client's answer is an error, or its stream ends with one
//! ```
//!
//! A client that does not read has at most [`WINDOW_BYTES`] under way or waiting with it; then the
//! server's stream fills. Not here: bytes, header framing, connections that are kept.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::{AbortHandle, Abortable};
use rustc_hash::FxHashMap;

use super::exchanges::{Direction, Due, Exchanges};
use super::network::{Network, locked};
use super::wires::{Arrival, Way};
use crate::address::{Address, Pid};
use crate::http::{self, Body, BodyReader, BodyWriter, Request, Response, body_channel};
use crate::node::Node;
use crate::oneshot;
use crate::world::{HttpPacket, World};

/// What a stream may have under way and unread at its client, as the buffers of two sockets.
const WINDOW_BYTES: usize = 64 << 10;

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The client's own node is down.
    #[error("the node is down")]
    Down,
    /// No connection was made, or it broke before the answer; the request may have been served.
    #[error("the connection to {to} broke")]
    Broken {
        /// Where the request was sent.
        to: Address,
    },
}

enum Packet {
    Request(Request),
    /// The client has read so many bytes.
    Credit(usize),
    /// The client has no more interest.
    Left,
    Head(u16, Vec<(String, String)>, Content),
    Piece(Bytes),
    End,
}

enum Content {
    Whole(Body),
    Stream,
}

impl Packet {
    /// Its name in a trace, and the bytes of its body.
    fn shown(&self) -> (Cow<'static, str>, &[u8]) {
        match self {
            Packet::Request(request) => {
                let Request { method, path, .. } = request;
                (format!("{} {path}", method.as_str()).into(), &request.body)
            }
            Packet::Credit(_) => ("HTTP read".into(), &[]),
            Packet::Left => ("HTTP closed".into(), &[]),
            Packet::Head(status, _, content) => {
                let body: &[u8] = match content {
                    Content::Whole(Body::Bytes(bytes)) => bytes,
                    _ => &[],
                };
                (format!("HTTP {status}").into(), body)
            }
            Packet::Piece(piece) => ("HTTP piece".into(), piece),
            Packet::End => ("HTTP end".into(), &[]),
        }
    }
}

/// How much of a stream is under way, and who waits for it to become less.
#[derive(Default)]
struct Window {
    out: usize,
    waker: Option<Waker>,
}

/// What hangs on an exchange at its two ends.
#[derive(Default)]
struct Ends {
    answer: Option<oneshot::Sender<Result<Response, HttpError>>>,
    /// The client's end of a streamed body.
    stream: Option<BodyWriter>,
    /// Bytes that are with the client and not acknowledged.
    unread: usize,
    /// Ends what serves the request.
    serving: Option<AbortHandle>,
    window: Arc<Mutex<Window>>,
}

/// The state of HTTP on the network.
pub(super) struct Http {
    exchanges: Exchanges<Packet>,
    ends: FxHashMap<u64, Ends>,
}

impl Default for Http {
    fn default() -> Http {
        Http {
            exchanges: Exchanges::new(),
            ends: FxHashMap::default(),
        }
    }
}

/// The client's interest in its answer: gone with this.
struct Interest {
    network: Network,
    world: World,
    number: u64,
    /// A stream that was handed on is the interest instead.
    handed_on: bool,
}

impl Drop for Interest {
    fn drop(&mut self) {
        if !self.handed_on {
            let (network, world) = (&self.network, &self.world);
            network.post(world, self.number, Direction::Up, Packet::Left);
        }
    }
}

impl Network {
    /// Sends a request from a node to an address, its path that of the URL without the query. The
    /// answer of a handler that streams has a stream as its body, whose pieces come in order as the
    /// network brings them. Dropping the future, or the stream, is leaving: the server is told.
    ///
    /// The future may be polled by anybody; a process hands it to [`World::spawn`].
    ///
    /// # Errors
    /// [`HttpError`].
    pub fn request(
        &self,
        from: &Node,
        to: Address,
        request: Request,
    ) -> impl Future<Output = Result<Response, HttpError>> + Send + 'static + use<> {
        let (sender, receiver) = oneshot::channel();
        let world = from.world().clone();
        let begun = self.begin(from, to, sender);
        let network = self.clone();
        let interest = begun.map(|number| {
            self.post(&world, number, Direction::Up, Packet::Request(request));
            Interest {
                network,
                world,
                number,
                handed_on: false,
            }
        });
        async move {
            let Some(mut interest) = interest else {
                return Err(HttpError::Down);
            };
            let answer = receiver.await.unwrap_or(Err(HttpError::Down));
            if let Ok(response) = &answer {
                interest.handed_on = matches!(response.body, Body::Stream(_));
            }
            answer
        }
    }

    fn begin(
        &self,
        from: &Node,
        to: Address,
        answer: oneshot::Sender<Result<Response, HttpError>>,
    ) -> Option<u64> {
        let world = from.world();
        let (number, due) = {
            let wires = locked(&self.0.wires);
            let here = from.address();
            let host = wires.host(here).filter(|_| !from.is_down())?;
            let latency = wires.latency((here, to), |n| self.0.random.below(n));
            let mut http = locked(&self.0.http);
            let (number, due) =
                http.exchanges
                    .begin(world.now(), (here, host), to, &wires, latency);
            let ends = Ends {
                answer: Some(answer),
                ..Ends::default()
            };
            http.ends.insert(number, ends);
            (number, due)
        };
        self.ring(world, due);
        Some(number)
    }

    /// Sends a packet of an exchange, or breaks it if the weather is so; nothing if it is over, or
    /// the sender's host is gone.
    fn post(&self, world: &World, number: u64, direction: Direction, packet: Packet) {
        let due = {
            let wires = locked(&self.0.wires);
            let mut http = locked(&self.0.http);
            let Some(way) = http.exchanges.way_of_sender(number, direction, &wires) else {
                return;
            };
            let latency = wires.latency(way, |n| self.0.random.below(n));
            let cuts = u64::from(wires.weather.cuts_per_million);
            if cuts > 0 && self.0.random.below(1_000_000) < cuts {
                Err(())
            } else {
                let now = world.now();
                Ok(http.exchanges.send(now, number, direction, packet, latency))
            }
        };
        match due {
            Ok(due) => self.ring(world, due),
            Err(()) => self.break_off(number),
        }
    }

    fn ring(&self, world: &World, due: impl IntoIterator<Item = Due>) {
        for due in due {
            let (network, then) = (self.clone(), world.clone());
            let at = match due {
                Due::Arrive(at, ..) | Due::TimeOut(at, _) => at,
            };
            let ring = move || match due {
                Due::Arrive(_, number, direction) => network.arrived(&then, number, direction),
                Due::TimeOut(_, number) => network.timed_out(number),
            };
            world.set_alarm(at, Box::new(ring));
        }
    }

    fn timed_out(&self, number: u64) {
        let broken = {
            let wires = locked(&self.0.wires);
            locked(&self.0.http).exchanges.time_out(number, &wires)
        };
        if broken {
            self.break_off(number);
        }
    }

    fn arrived(&self, world: &World, number: u64, direction: Direction) {
        let arrival = {
            let wires = locked(&self.0.wires);
            let mut http = locked(&self.0.http);
            http.exchanges
                .arrive(world.now(), number, direction, &wires)
        };
        match arrival {
            Arrival::Nothing => {}
            Arrival::Reset => self.break_off(number),
            Arrival::Here(packet) => {
                self.show(world, number, direction, &packet);
                self.take(world, number, packet);
            }
        }
    }

    /// Has the world hear of a packet that is at its end.
    fn show(&self, world: &World, number: u64, direction: Direction, packet: &Packet) {
        let way = locked(&self.0.http).exchanges.way(number, direction);
        if let Some((from, to)) = way {
            let id = format!("http({number})");
            let (name, body) = packet.shown();
            world.packet(
                &Pid::new(&id, from),
                &Pid::new(&id, to),
                HttpPacket { name: &name, body },
            );
        }
    }

    fn take(&self, world: &World, number: u64, packet: Packet) {
        match packet {
            Packet::Request(request) => self.serve(world, number, request),
            Packet::Credit(bytes) => {
                let window = locked(&self.0.http)
                    .ends
                    .get(&number)
                    .map(|ends| Arc::clone(&ends.window));
                let waker = window.and_then(|window| {
                    let mut window = locked(&window);
                    window.out = window.out.saturating_sub(bytes);
                    window.waker.take()
                });
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Packet::Left => drop(self.over(number)),
            Packet::Head(status, headers, content) => {
                self.head(world, number, status, headers, content);
            }
            Packet::Piece(piece) => self.piece(world, number, piece),
            Packet::End => drop(self.over(number)),
        }
    }

    /// Ends an exchange, and gives what hung on it: what serves it is stopped when that is dropped.
    fn over(&self, number: u64) -> Option<Ends> {
        let mut http = locked(&self.0.http);
        http.exchanges.end(number);
        let mut ends = http.ends.remove(&number)?;
        drop(http);
        if let Some(serving) = ends.serving.take() {
            serving.abort();
        }
        Some(ends)
    }

    /// An exchange breaks: both sides are told.
    fn break_off(&self, number: u64) {
        let way = locked(&self.0.http).exchanges.way(number, Direction::Up);
        let Some(mut ends) = self.over(number) else {
            return;
        };
        if let (Some(answer), Some((_, to))) = (ends.answer.take(), way) {
            answer.send(Err(HttpError::Broken { to }));
        }
        if let Some(stream) = ends.stream.take() {
            stream.abort();
        }
    }

    /// The request is with the server: a task of the world answers it.
    fn serve(&self, world: &World, number: u64, request: Request) {
        let node = {
            let host = locked(&self.0.http).exchanges.server(number);
            host.and_then(|host| self.node(host))
        };
        let Some(node) = node.filter(|node| !node.is_down()) else {
            return self.break_off(number);
        };
        let (handle, registration) = AbortHandle::new_pair();
        let window = {
            let mut http = locked(&self.0.http);
            let Some(ends) = http.ends.get_mut(&number) else {
                return;
            };
            ends.serving = Some(handle);
            Arc::clone(&ends.window)
        };
        let (network, world) = (self.clone(), world.clone());
        let at = world.clone();
        let serving = async move {
            let response = http::answer(&node, request).await;
            drop(node);
            network.respond(&at, number, response, &window).await;
        };
        world.spawn(async move {
            // What is left of it is dropped here when the client goes away.
            let _stopped = Abortable::new(serving, registration).await;
        });
    }

    async fn respond(
        &self,
        world: &World,
        number: u64,
        response: Response,
        window: &Mutex<Window>,
    ) {
        let Response {
            status,
            headers,
            body,
        } = response;
        let down = |packet| self.post(world, number, Direction::Down, packet);
        let stream = match body {
            Body::Stream(stream) => stream,
            whole => return down(Packet::Head(status, headers, Content::Whole(whole))),
        };
        let network = self.clone();
        stream.on_abort(Box::new(move || network.break_off(number)));
        down(Packet::Head(status, headers, Content::Stream));
        self.pump(world, number, stream, window).await;
    }

    /// Sends the pieces of a stream as the window lets it.
    async fn pump(
        &self,
        world: &World,
        number: u64,
        mut stream: BodyReader,
        window: &Mutex<Window>,
    ) {
        loop {
            poll_fn(|cx| {
                let mut window = locked(window);
                if window.out < WINDOW_BYTES {
                    return Poll::Ready(());
                }
                window.waker = Some(cx.waker().clone());
                Poll::Pending
            })
            .await;
            match stream.next().await {
                Some(Ok(piece)) => {
                    locked(window).out += piece.len();
                    self.post(world, number, Direction::Down, Packet::Piece(piece));
                }
                Some(Err(_aborted)) => return self.break_off(number),
                None => return self.post(world, number, Direction::Down, Packet::End),
            }
        }
    }

    fn head(
        &self,
        world: &World,
        number: u64,
        status: u16,
        headers: Vec<(String, String)>,
        content: Content,
    ) {
        let answer = {
            let mut http = locked(&self.0.http);
            http.ends.get_mut(&number).and_then(|it| it.answer.take())
        };
        let body = match content {
            Content::Whole(body) => {
                drop(self.over(number));
                body
            }
            Content::Stream => {
                // The window bounds it.
                let (writer, reader) = body_channel(usize::MAX);
                let (network, world) = (self.clone(), world.clone());
                writer.on_closed(Box::new(move || {
                    network.post(&world, number, Direction::Up, Packet::Left);
                }));
                if let Some(ends) = locked(&self.0.http).ends.get_mut(&number) {
                    ends.stream = Some(writer);
                }
                Body::Stream(reader)
            }
        };
        if let Some(answer) = answer {
            answer.send(Ok(Response {
                status,
                headers,
                body,
            }));
        }
    }

    fn piece(&self, world: &World, number: u64, piece: Bytes) {
        let stream = {
            let mut http = locked(&self.0.http);
            let Some(ends) = http.ends.get_mut(&number) else {
                return;
            };
            ends.unread += piece.len();
            ends.stream.take()
        };
        let Some(stream) = stream else { return };
        // Fails if the client has left: that is under way to the server already.
        let _left = stream.write(piece);
        let (network, at) = (self.clone(), world.clone());
        stream.on_drained(Box::new(move || {
            let unread = {
                let mut http = locked(&network.0.http);
                let ends = http.ends.get_mut(&number);
                ends.map_or(0, |ends| std::mem::take(&mut ends.unread))
            };
            network.post(&at, number, Direction::Up, Packet::Credit(unread));
        }));
        if let Some(ends) = locked(&self.0.http).ends.get_mut(&number) {
            ends.stream = Some(stream);
        }
    }

    /// The world ends, and with it whatever hangs on an exchange and holds the world.
    pub(crate) fn forget_requests(&self) {
        let http = std::mem::take(&mut *locked(&self.0.http));
        drop(http);
    }

    /// The requests that one node sent to another break.
    pub(super) fn cut_requests(&self, way: Way) {
        let numbers = locked(&self.0.http).exchanges.between(way);
        for number in numbers {
            self.break_off(number);
        }
    }

    pub(super) fn block_requests(&self, world: &World, way: Way) {
        let at = world.now() + locked(&self.0.wires).weather.detection;
        let due = locked(&self.0.http).exchanges.block(at, way);
        self.ring(world, due);
    }

    pub(super) fn free_requests(&self, world: &World, way: Way) {
        let due = {
            let wires = locked(&self.0.wires);
            let mut http = locked(&self.0.http);
            if http.ends.is_empty() {
                return;
            }
            let latency = wires.latency(way, |n| self.0.random.below(n));
            http.exchanges.free(world.now(), way, latency)
        };
        self.ring(world, due);
    }

    /// A host goes. What it serves ends at once, what it asked for is told at once, and the other
    /// sides notice: soon of a shutdown, of a crash after the detection time.
    pub(super) fn leave_requests(&self, world: &World, host: u64, crashed: bool) {
        let after: Duration = {
            let weather = locked(&self.0.wires).weather;
            if crashed {
                weather.detection
            } else {
                weather.max_latency
            }
        };
        let (served, begun) = locked(&self.0.http).exchanges.of_host(host);
        let at = world.now() + after;
        let mut due = Vec::new();
        for number in served {
            let mut http = locked(&self.0.http);
            let serving = http
                .ends
                .get_mut(&number)
                .and_then(|ends| ends.serving.take());
            drop(http);
            if let Some(serving) = serving {
                serving.abort();
            }
            due.push(Due::TimeOut(at, number));
        }
        for number in begun {
            let mut http = locked(&self.0.http);
            let ends = http.ends.get_mut(&number);
            let client = ends.map(|ends| (ends.answer.take(), ends.stream.take()));
            drop(http);
            let Some((answer, stream)) = client else {
                continue;
            };
            if let Some(answer) = answer {
                answer.send(Err(HttpError::Down));
            }
            if let Some(stream) = stream {
                stream.abort();
            }
            due.push(Due::TimeOut(at, number));
        }
        self.ring(world, due);
    }
}
