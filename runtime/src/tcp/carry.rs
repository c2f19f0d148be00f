//! The task of one outgoing connection: connects, writes what gathers, reads the answers.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use bytes::{Buf as _, BytesMut};
use futures_util::future::{Either, select};
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, tcp::ReadHalf},
};

use super::{
    Site,
    outgoing::{Peer, Work},
    socket,
    time::timeout,
    wire::{Reply, ReplyReader},
};
use crate::ask::Hop;

/// Answers are read in pieces of this size; they are few bytes each.
const READ_BYTES: usize = 8 * 1024;

/// How a connection came to its end.
enum End {
    /// Nobody needed it any more; nobody is told.
    Idle,
    /// The node is shutting down and everything is written.
    Finished,
    /// It broke, and why.
    Broken(io::Error),
}

/// Runs a connection to its end, and tells the node if it broke.
pub(super) async fn carry(site: Arc<Site>, peer: Arc<Peer>) {
    let end = match connect(&site, &peer).await {
        Ok(mut stream) => converse(&site, &peer, &mut stream).await,
        Err(problem) => End::Broken(problem),
    };
    let ended = peer.end();
    site.peers.remove(&peer);
    let End::Broken(problem) = end else { return };
    let address = peer.address;
    site.counters.broken.increment(1);
    if ended.stuck {
        site.counters.stuck.increment(1);
    }
    tracing::info!(%address, %problem, unanswered = ended.unanswered, "connection broke");
    if let Some(node) = site.node.upgrade() {
        node.disconnected(address);
    }
}

async fn connect(site: &Site, peer: &Peer) -> io::Result<TcpStream> {
    let connecting = TcpStream::connect(std::net::SocketAddr::from(peer.address));
    let stream = timeout(site.limits.connect_timeout, connecting).await??;
    socket::prepare(&stream)?;
    Ok(stream)
}

async fn converse(site: &Site, peer: &Peer, stream: &mut TcpStream) -> End {
    let (mut reading, mut writing) = stream.split();
    let end = {
        let read = pin!(read(site, peer, &reading));
        let write = pin!(write(site, peer, &mut writing));
        match select(write, read).await {
            Either::Left((end, _)) => end,
            Either::Right((problem, _)) => End::Broken(problem),
        }
    };
    if !matches!(end, End::Broken(_)) {
        // Closing with answers unread would reset the connection and could take messages along.
        let rest = async {
            writing.shutdown().await?;
            // Not in the future itself, of which each connection has one.
            let mut scrap = vec![0; 4096];
            while reading.read(&mut scrap).await? > 0 {}
            io::Result::Ok(())
        };
        let _gone_either_way = timeout(site.limits.linger, rest).await;
    }
    end
}

/// Writes whatever has gathered, until the connection is to end.
async fn write(site: &Site, peer: &Peer, stream: &mut (impl AsyncWrite + Unpin)) -> End {
    loop {
        let work = poll_fn(|cx| peer.poll_work(cx));
        match timeout(site.limits.idle_timeout, work).await {
            Ok(Work::Write(mut bytes)) => {
                while bytes.has_remaining() {
                    match poll_fn(|cx| write_some(peer, stream, &bytes, cx)).await {
                        Ok(count) => bytes.advance(count),
                        Err(problem) => return End::Broken(problem),
                    }
                }
                peer.reuse(bytes);
            }
            Ok(Work::Finish) => return End::Finished,
            Ok(Work::Stuck) => return End::Broken(stuck()),
            Err(_idle) => {
                let linked = || {
                    site.node
                        .upgrade()
                        .is_some_and(|node| node.is_linked_to(peer.address))
                };
                if peer.close_if_idle(linked) {
                    return End::Idle;
                }
            }
        }
    }
}

fn write_some(
    peer: &Peer,
    stream: &mut (impl AsyncWrite + Unpin),
    bytes: &BytesMut,
    cx: &mut std::task::Context<'_>,
) -> Poll<io::Result<usize>> {
    match Pin::new(stream).poll_write(cx, bytes) {
        Poll::Ready(Ok(0)) => Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero))),
        Poll::Ready(done) => Poll::Ready(done),
        Poll::Pending => peer.poll_stuck(cx).map(|()| Err(stuck())),
    }
}

fn stuck() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the peer does not read as fast as it is sent to",
    )
}

/// Reads answers until the connection ends; why it did.
async fn read(site: &Site, peer: &Peer, stream: &ReadHalf<'_>) -> io::Error {
    let mut bytes = BytesMut::new();
    let mut reader = ReplyReader::default();
    loop {
        // An idle connection keeps no buffer.
        if bytes.is_empty() {
            bytes = BytesMut::new();
        }
        if let Err(problem) = stream.readable().await {
            return problem;
        }
        bytes.reserve(READ_BYTES);
        match stream.try_read_buf(&mut bytes) {
            Ok(0) => return io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed it"),
            Ok(_) => {}
            Err(problem) if problem.kind() == io::ErrorKind::WouldBlock => continue,
            Err(problem) => return problem,
        }
        let mut replies = Vec::new();
        let trouble = loop {
            match reader.read(&mut bytes) {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break None,
                Err(_bad) => break Some("the peer's answer is neither HTTP nor a frame"),
            }
        };
        let last = replies.iter().any(|reply| reply.last);
        settle(site, peer, replies);
        if let Some(trouble) = trouble {
            return io::Error::new(io::ErrorKind::InvalidData, trouble);
        }
        if last {
            return io::Error::new(io::ErrorKind::ConnectionAborted, "the peer closes it");
        }
    }
}

/// Counts answers, and tells a refused ask.
fn settle(site: &Site, peer: &Peer, replies: Vec<Reply>) {
    for reply in &replies {
        match reply.status {
            200..300 => {}
            404 => site.counters.refused_404.increment(1),
            400 => site.counters.refused_400.increment(1),
            _ => site.counters.refused_other.increment(1),
        }
        site.counters.answered.increment(reply.count.into());
    }
    for (from, reply) in peer.answered(replies) {
        if !reply.is_accepted()
            && let Some(node) = site.node.upgrade()
        {
            node.refused(&from, Hop::Node(peer.address), reply.status, &reply.reason);
        }
    }
}
