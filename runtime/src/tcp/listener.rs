//! Accepts connections, and serves each: libprocess messages here, everything else by [`Web`].
//!
//! ```text
//! accepted --first bytes are a message--> messages --another kind of request--> HTTP --> closed
//!          \--first bytes are not---------------------------------------------/
//! no room (`room`): the oldest that said nothing is closed, or the new one is answered 503
//! ```
//!
//! A connection that says nothing is kept while there is room: a libprocess peer that is only
//! linked says nothing. It costs no buffer: one is taken when there is something to read, and given
//! back when all of it was.

use std::{
    cell::OnceCell, future::poll_fn, io, net::SocketAddr, pin::pin, rc::Rc, sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use futures_util::future::{Either, select};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::Instant,
};

use super::{
    Site,
    arriving::Share,
    date::DateText,
    intake::{Intake, IntakeRules, Step},
    replay::Replay,
    room::{Place, Quiet},
    socket,
    time::{sleep, timeout, timeout_at},
    web::Web,
    wire::{Fields, put_reply},
};

/// A connection is read in pieces of the first size, and while these are full, of the second: some
/// hundred small messages.
const MIN_READ_BYTES: usize = 4 * 1024;
const MAX_READ_BYTES: usize = 64 * 1024;

/// How long accepting pauses after it failed, as it does when no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection on its way to the thread that will serve it.
pub(super) struct Accepted {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    number: u64,
    place: Place,
    quiet: Quiet,
}

/// Accepts until the node ends, handing connections to the workers in turn.
pub(super) async fn accept(
    site: Arc<Site>,
    listener: std::net::TcpListener,
    workers: Vec<mpsc::UnboundedSender<Box<Accepted>>>,
) {
    let accepting = async {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(problem) => return tracing::error!(%problem, "cannot accept connections"),
        };
        site.opened().await;
        for number in 0.. {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(problem) => {
                    tracing::warn!(%problem, "accepting a connection failed");
                    // It may be that no file is left.
                    if site.room.make_room() {
                        site.counters.made_room.increment(1);
                    }
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some((place, made)) = site.room.place().await else {
                refuse(&site, &stream);
                continue;
            };
            site.counters.made_room.increment(u64::from(made));
            let quiet = site.room.quiet(number);
            let worker = &workers[usize::try_from(number).unwrap_or_default() % workers.len()];
            let handed_over = socket::prepare(&stream).and_then(|()| stream.into_std());
            if let Ok(stream) = handed_over {
                // A worker is gone only with the node.
                let _ = worker.send(Box::new(Accepted {
                    stream,
                    peer,
                    number,
                    place,
                    quiet,
                }));
            }
        }
    };
    select(pin!(accepting), pin!(site.stopped())).await;
}

/// Answers a connection over the bound without waiting for anything.
fn refuse(site: &Site, stream: &TcpStream) {
    site.counters.over_limit.increment(1);
    let mut date = DateText::default();
    date.refresh();
    let mut answer = BytesMut::new();
    let fields = Fields {
        date: date.as_str(),
        close: true,
        frames: false,
    };
    put_reply(&mut answer, 503, "too many connections", fields);
    // What does not fit into an empty socket buffer is not worth waiting for.
    let _ = stream.try_write(&answer);
}

/// Serves the connections handed to one thread until the node ends.
pub(super) async fn work(site: Arc<Site>, mut accepted: mpsc::UnboundedReceiver<Box<Accepted>>) {
    let working = async {
        let web = Rc::new(OnceCell::new());
        let mut connections = JoinSet::new();
        while let Some(next) = accepted.recv().await {
            while connections.try_join_next().is_some() {}
            connections.spawn_local(serve(Arc::clone(&site), Rc::clone(&web), next));
        }
        while connections.join_next().await.is_some() {}
    };
    select(pin!(working), pin!(site.stopped())).await;
}

/// The HTTP server of a thread, made when the first request comes: most agents see none.
async fn server<'w>(site: &Arc<Site>, web: &'w OnceCell<Web>) -> Option<&'w Web> {
    if web.get().is_none() {
        match Web::new(Arc::clone(site)).await {
            // Two requests may have come at once; either server will do.
            Some(made) => drop(web.set(made)),
            None => tracing::error!("the HTTP server cannot start"),
        }
    }
    web.get()
}

async fn serve(site: Arc<Site>, web: Rc<OnceCell<Web>>, accepted: Box<Accepted>) {
    let Accepted {
        stream,
        peer,
        number,
        place: _place,
        quiet,
    } = *accepted;
    let Ok(mut stream) = TcpStream::from_std(stream) else {
        return;
    };
    let rules = IntakeRules {
        accepted: number,
        max_body_bytes: site.max_body_bytes,
        required_ip: site.require_peer_ip.then(|| peer.ip()),
        frames: site.frames,
    };
    let (fences, counters) = (Arc::clone(&site.fences), site.counters.intake.clone());
    let share = Share::of(&site.arriving);
    let mut intake = Intake::new(site.node.clone(), fences, rules, share, counters);
    let front = messages(&site, &mut stream, &mut intake, quiet).await;
    if let Some(front) = front
        && let Some(web) = server(&site, &web).await
    {
        drop(intake);
        let stuck = site.counters.streams_stuck.clone();
        let stream = Replay::new(front, stream, &site.limits, stuck);
        web.serve(stream, Some(peer)).await;
    }
}

/// Waits until there is something to read; false if the connection has to make room.
async fn readable(stream: &TcpStream, quiet: &mut Option<Quiet>) -> io::Result<bool> {
    let Some(waiting) = quiet else {
        return stream.readable().await.map(|()| true);
    };
    match select(pin!(stream.readable()), &mut waiting.leave).await {
        Either::Left((ready, _)) => ready.map(|()| true),
        Either::Right(_) => Ok(false),
    }
}

/// Serves libprocess messages; what was read beyond them if another kind of request follows.
async fn messages(
    site: &Site,
    stream: &mut TcpStream,
    intake: &mut Intake<crate::node::WeakNode>,
    quiet: Quiet,
) -> Option<BytesMut> {
    let limits = &site.limits;
    let mut quiet = Some(quiet);
    let mut bytes = BytesMut::new();
    let mut piece = MIN_READ_BYTES;
    // Since when an incomplete message is waited for.
    let mut since: Option<Instant> = None;
    loop {
        if intake.is_amid(&bytes) {
            let began = *since.get_or_insert_with(Instant::now);
            let waited = timeout_at(began + limits.head_timeout, stream.readable()).await;
            if waited.is_err() {
                intake.time_out();
                close(site, stream, intake).await;
                return None;
            }
        } else {
            since = None;
            if !readable(stream, &mut quiet).await.unwrap_or(false) {
                return None;
            }
        }
        bytes.reserve(piece);
        let step = match stream.try_read_buf(&mut bytes) {
            Ok(count @ 1..) => {
                quiet = None;
                // Who sends much is read in large pieces.
                piece = if count >= piece {
                    MAX_READ_BYTES
                } else {
                    MIN_READ_BYTES
                };
                let handled = intake.handled();
                let step = intake.take(&mut bytes);
                if intake.handled() != handled || intake.is_in_body() {
                    since = None;
                }
                step
            }
            Err(problem) if problem.kind() == io::ErrorKind::WouldBlock => Step::More,
            Ok(_) | Err(_) => return None,
        };
        if bytes.is_empty() && piece == MIN_READ_BYTES {
            bytes = BytesMut::new();
        }
        match step {
            Step::More => {
                flush(site, stream, intake).await?;
                poll_fn(|cx| intake.poll_available(cx)).await;
            }
            Step::Http => {
                flush(site, stream, intake).await?;
                return Some(bytes);
            }
            Step::Close => {
                close(site, stream, intake).await;
                return None;
            }
            Step::Superseded => {
                site.counters.superseded.increment(1);
                return None;
            }
        }
    }
}

/// Sends the answers; `None` if the peer is gone, or does not read them.
async fn flush(
    site: &Site,
    stream: &mut TcpStream,
    intake: &mut Intake<crate::node::WeakNode>,
) -> Option<()> {
    if intake.answers.is_empty() {
        return Some(());
    }
    let answers = std::mem::take(&mut intake.answers);
    let written = timeout(site.limits.stall_timeout, stream.write_all(&answers)).await;
    match written {
        Ok(written) => written.ok(),
        Err(_stuck) => {
            site.counters.streams_stuck.increment(1);
            None
        }
    }
}

/// Sends the answers and closes, reading on for a moment: to close with something unread would
/// reset the connection, and the peer might lose the answer.
async fn close(site: &Site, stream: &mut TcpStream, intake: &mut Intake<crate::node::WeakNode>) {
    if flush(site, stream, intake).await.is_none() {
        return;
    }
    let rest = async {
        stream.shutdown().await?;
        // Not in the future itself, of which each connection has one.
        let mut scrap = vec![0; 4096];
        while stream.read(&mut scrap).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _gone_either_way = timeout(site.limits.linger, rest).await;
}
