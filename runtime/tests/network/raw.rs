//! A connection as curl or a libprocess of another make would use it: bytes out, bytes in.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use tepui_runtime::Node;

use crate::support::PATIENCE;

pub(crate) struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// An answer: status, header lines, body.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

impl Raw {
    pub(crate) fn connect(node: &Node) -> Raw {
        Raw::of(TcpStream::connect(SocketAddr::from(node.address())).unwrap())
    }

    pub(crate) fn of(stream: TcpStream) -> Raw {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Raw {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).unwrap();
    }

    /// Sends as much as the other side takes before it closes.
    pub(crate) fn try_send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).ok();
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn close_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    fn more(&mut self) -> usize {
        let mut piece = [0; 65_536];
        let count = self.stream.read(&mut piece).unwrap();
        self.unread.extend(&piece[..count]);
        count
    }

    /// Reads up to and with `end`.
    pub(crate) fn read_until(&mut self, end: &str) -> String {
        loop {
            let found = self
                .unread
                .windows(end.len())
                .position(|window| window == end.as_bytes());
            if let Some(at) = found {
                let rest = self.unread.split_off(at + end.len());
                let taken = std::mem::replace(&mut self.unread, rest);
                return String::from_utf8(taken).unwrap();
            }
            let so_far = String::from_utf8_lossy(&self.unread).into_owned();
            assert!(self.more() > 0, "closed before {end:?}, after {so_far:?}");
        }
    }

    pub(crate) fn read_exact(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            assert!(self.more() > 0, "closed too early");
        }
        let rest = self.unread.split_off(count);
        std::mem::replace(&mut self.unread, rest)
    }

    /// Reads one answer with a Content-Length.
    pub(crate) fn answer(&mut self) -> Answer {
        let head = self.read_until("\r\n\r\n");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: String::new(),
        };
        let length = answer
            .header("Content-Length")
            .map(|text| text.parse().unwrap());
        answer.body = String::from_utf8(self.read_exact(length.unwrap_or(0))).unwrap();
        answer
    }

    /// Everything until the other side closes; a reset is a close as well.
    pub(crate) fn rest(&mut self) -> String {
        let mut piece = [0; 65_536];
        while let Ok(count @ 1..) = self.stream.read(&mut piece) {
            self.unread.extend(&piece[..count]);
        }
        let closed = self.stream.take_error().unwrap().is_none();
        assert!(closed, "neither closed nor reset in time");
        String::from_utf8_lossy(&std::mem::take(&mut self.unread)).into_owned()
    }
}

/// A message from nobody, as with curl.
pub(crate) fn post(path: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nLibprocess-From: @0.0.0.0:0\r\n{fields}\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

pub(crate) const JSON: &str = "Content-Type: application/json\r\n";
