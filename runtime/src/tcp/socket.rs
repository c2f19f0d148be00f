//! The sockets' options, and binding with them.

use std::{
    io,
    net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener},
    os::fd::AsFd,
};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, bind,
    listen, setsockopt, socket, sockopt,
};

/// Seconds without a word from a peer after which the kernel asks whether it is there.
const KEEPALIVE_IDLE_S: u32 = 30;

/// Seconds between such questions.
const KEEPALIVE_INTERVAL_S: u32 = 10;

/// So many of them without an answer break the connection.
const KEEPALIVE_COUNT: u32 = 3;

/// Binds and listens, with the longest backlog the system allows: a thousand agents connect to a
/// new master at once.
pub(super) fn listener(ip: IpAddr, port: u16) -> io::Result<TcpListener> {
    let family = match ip {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    let fd = socket(
        family,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::Tcp,
    )?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    let address = SocketAddr::new(ip, port);
    match address {
        SocketAddr::V4(address) => bind_v4(&fd, address)?,
        SocketAddr::V6(address) => bind_v6(&fd, address)?,
    }
    listen(&fd, Backlog::MAXALLOWABLE)?;
    let listener = TcpListener::from(fd);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn bind_v4(fd: &impl std::os::fd::AsRawFd, address: SocketAddrV4) -> nix::Result<()> {
    bind(fd.as_raw_fd(), &SockaddrIn::from(address))
}

fn bind_v6(fd: &impl std::os::fd::AsRawFd, address: SocketAddrV6) -> nix::Result<()> {
    bind(fd.as_raw_fd(), &SockaddrIn6::from(address))
}

/// Sets what every connection has: no delay of small writes, and a peer that vanished without a
/// word is noticed within a minute.
pub(super) fn prepare(stream: &impl AsFd) -> io::Result<()> {
    setsockopt(stream, sockopt::TcpNoDelay, &true)?;
    setsockopt(stream, sockopt::KeepAlive, &true)?;
    setsockopt(stream, sockopt::TcpKeepIdle, &KEEPALIVE_IDLE_S)?;
    setsockopt(stream, sockopt::TcpKeepInterval, &KEEPALIVE_INTERVAL_S)?;
    setsockopt(stream, sockopt::TcpKeepCount, &KEEPALIVE_COUNT)?;
    Ok(())
}
