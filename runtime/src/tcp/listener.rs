//! Accepts connections, and serves each: libprocess messages here, everything else by [`Web`].
//!
//! ```text
//! accepted --first bytes are a message--> messages --another kind of request--> HTTP --> closed
//!          \--first bytes are not---------------------------------------------/
//! over the bound of connections: answered 503, closed
//! ```
//!
//! A connection that says nothing is kept: a libprocess peer that is only linked says nothing.

use std::{future::poll_fn, net::SocketAddr, pin::pin, rc::Rc, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures_util::future::select;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinSet,
    time::Instant,
};

use super::{
    READ_BYTES, Site,
    date::DateText,
    intake::{Intake, IntakeRules, Step},
    replay::Replay,
    socket,
    time::{sleep, timeout, timeout_at},
    web::Web,
    wire::put_reply,
};

/// How long accepting pauses after it failed, as it does when no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection on its way to the thread that will serve it.
pub(super) struct Accepted {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    number: u64,
    _permit: OwnedSemaphorePermit,
}

/// Accepts until the node ends, handing connections to the workers in turn.
pub(super) async fn accept(
    site: Arc<Site>,
    listener: std::net::TcpListener,
    workers: Vec<mpsc::UnboundedSender<Accepted>>,
) {
    let accepting = async {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(problem) => return tracing::error!(%problem, "cannot accept connections"),
        };
        for number in 0.. {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(problem) => {
                    tracing::warn!(%problem, "accepting a connection failed");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&site.connections).try_acquire_owned() else {
                refuse(&site, &stream);
                continue;
            };
            let worker = &workers[usize::try_from(number).unwrap_or_default() % workers.len()];
            let handed_over = socket::prepare(&stream).and_then(|()| stream.into_std());
            if let Ok(stream) = handed_over {
                // A worker is gone only with the node.
                let _ = worker.send(Accepted {
                    stream,
                    peer,
                    number,
                    _permit: permit,
                });
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
    put_reply(
        &mut answer,
        503,
        "too many connections",
        date.as_str(),
        true,
    );
    // What does not fit into an empty socket buffer is not worth waiting for.
    let _ = stream.try_write(&answer);
}

/// Serves the connections handed to one thread until the node ends.
pub(super) async fn work(site: Arc<Site>, mut accepted: mpsc::UnboundedReceiver<Accepted>) {
    let working = async {
        let Some(web) = Web::new(Arc::clone(&site)).await else {
            return tracing::error!("the HTTP server cannot start");
        };
        let web = Rc::new(web);
        let mut connections = JoinSet::new();
        while let Some(next) = accepted.recv().await {
            while connections.try_join_next().is_some() {}
            connections.spawn_local(serve(Arc::clone(&site), Rc::clone(&web), next));
        }
        while connections.join_next().await.is_some() {}
    };
    select(pin!(working), pin!(site.stopped())).await;
}

async fn serve(site: Arc<Site>, web: Rc<Web>, accepted: Accepted) {
    let Ok(mut stream) = TcpStream::from_std(accepted.stream) else {
        return;
    };
    let rules = IntakeRules {
        accepted: accepted.number,
        max_body_bytes: site.max_body_bytes,
        required_ip: site.require_peer_ip.then(|| accepted.peer.ip()),
    };
    let (fences, counters) = (Arc::clone(&site.fences), site.counters.intake.clone());
    let mut intake = Intake::new(site.node.clone(), fences, rules, counters);
    if let Some(front) = messages(&site, &mut stream, &mut intake).await {
        let stuck = site.counters.streams_stuck.clone();
        let stream = Replay::new(front, stream, site.limits.stall_timeout, stuck);
        web.serve(stream, Some(accepted.peer)).await;
    }
}

/// Serves libprocess messages; what was read beyond them if another kind of request follows.
async fn messages(
    site: &Site,
    stream: &mut TcpStream,
    intake: &mut Intake<crate::node::WeakNode>,
) -> Option<BytesMut> {
    let limits = &site.limits;
    let mut bytes = BytesMut::new();
    // Since when an incomplete message is waited for.
    let mut since: Option<Instant> = None;
    loop {
        bytes.reserve(READ_BYTES);
        let amid = intake.is_amid(&bytes);
        let read = stream.read_buf(&mut bytes);
        let count = if amid {
            let began = *since.get_or_insert_with(Instant::now);
            let Ok(read) = timeout_at(began + limits.head_timeout, read).await else {
                intake.time_out();
                close(site, stream, intake).await;
                return None;
            };
            read
        } else {
            since = None;
            read.await
        };
        if !matches!(count, Ok(1..)) {
            return None;
        }
        let handled = intake.handled();
        let step = intake.take(&mut bytes);
        if intake.handled() != handled || intake.is_in_body() {
            since = None;
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
    let written = timeout(site.limits.stall_timeout, stream.write_all(&intake.answers)).await;
    intake.answers.clear();
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
        let mut scrap = [0; 4096];
        while stream.read(&mut scrap).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _gone_either_way = timeout(site.limits.linger, rest).await;
}
