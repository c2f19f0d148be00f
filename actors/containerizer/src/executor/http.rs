//! The little of HTTP/1.1 that an executor needs towards its agent: a POST with an answer, and a
//! POST whose answer is a stream of pieces. It blocks, and knows nothing of executors.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Longest head of an answer.
const HEAD_MAX: usize = 16 << 10;
/// Longest body of an answer that is no stream; it is an error's text.
const BODY_MAX: usize = 64 << 10;
/// Longest piece of a stream: an event with all the labels and data that its task may have.
const CHUNK_MAX: u64 = 64 << 20;
/// How long an answer may take to begin. The stream behind it may be silent for as long as it likes.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// A connection to one server, kept for several requests.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Read from the stream and not used yet.
    buffer: Vec<u8>,
}

/// How an answer's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    /// Until the end of the connection.
    Close,
}

/// The pieces of an answer's body, as they come.
pub(crate) struct BodyPieces {
    connection: Connection,
    framing: Framing,
}

impl Connection {
    /// Connects to `ip:port`.
    pub(crate) fn open(endpoint: &str) -> io::Result<Connection> {
        let stream = TcpStream::connect(endpoint)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        stream.set_write_timeout(Some(ANSWER_WAIT))?;
        Ok(Connection {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Waits for an answer for as long as it takes.
    pub(crate) fn wait_for_ever(&mut self) -> io::Result<()> {
        self.stream.set_read_timeout(None)
    }

    /// A handle that closes this connection under a reader.
    pub(crate) fn closer(&self) -> io::Result<Closer> {
        Ok(Closer(self.stream.try_clone()?))
    }

    /// Sends a request and reads the whole answer: status and text.
    pub(crate) fn post(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<(u16, String)> {
        let (status, framing) = self.exchange(path, headers, body)?;
        let mut text = Vec::new();
        while let Some(piece) = self.piece(framing, text.len())? {
            text.extend_from_slice(&piece);
            if text.len() > BODY_MAX {
                return Err(malformed("the answer is too long"));
            }
        }
        Ok((status, String::from_utf8_lossy(&text).into_owned()))
    }

    /// Sends a request and reads the head of the answer.
    pub(crate) fn post_streaming(
        mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<(u16, BodyPieces)> {
        let (status, framing) = self.exchange(path, headers, body)?;
        if framing != Framing::Close && status == 200 {
            self.stream.set_read_timeout(None)?;
        }
        Ok((
            status,
            BodyPieces {
                connection: self,
                framing,
            },
        ))
    }

    fn exchange(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<(u16, Framing)> {
        let mut request = format!("POST {path} HTTP/1.1\r\n").into_bytes();
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n")?;
        }
        write!(request, "Content-Length: {}\r\n\r\n", body.len())?;
        request.extend_from_slice(body);
        self.stream.write_all(&request)?;
        loop {
            if let Some(head) = read_head(&self.buffer)? {
                self.buffer.drain(..head.length);
                // 100 and its like announce the answer.
                if head.status >= 200 {
                    return Ok((head.status, head.framing));
                }
                continue;
            }
            if self.buffer.len() > HEAD_MAX {
                return Err(malformed("the head of the answer is too long"));
            }
            self.fill()?;
        }
    }

    /// The next piece of a body of which `taken` bytes were read; `None` at its end.
    fn piece(&mut self, framing: Framing, taken: usize) -> io::Result<Option<Vec<u8>>> {
        match framing {
            Framing::Length(length) => {
                if taken >= length {
                    return Ok(None);
                }
                if self.buffer.is_empty() {
                    self.fill()?;
                }
                let count = self.buffer.len().min(length - taken);
                Ok(Some(self.buffer.drain(..count).collect()))
            }
            Framing::Close => {
                if self.buffer.is_empty() {
                    match self.fill() {
                        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                            return Ok(None);
                        }
                        filled => filled?,
                    }
                }
                Ok(Some(std::mem::take(&mut self.buffer)))
            }
            Framing::Chunked => self.chunk(),
        }
    }

    fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (start, size) = loop {
            match read_chunk_size(&self.buffer)? {
                Some(found) => break found,
                None => self.fill()?,
            }
        };
        let end = start + size + 2;
        // A chunk may be long: it need not be whole in memory twice.
        while self.buffer.len() < end {
            self.fill()?;
        }
        let chunk = self.buffer[start..start + size].to_vec();
        self.buffer.drain(..end);
        Ok((size > 0).then_some(chunk))
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut piece = [0; 4096];
        let count = loop {
            match self.stream.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                count => break count?,
            }
        };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(())
    }
}

impl BodyPieces {
    /// The next piece; `None` at the end.
    pub(crate) fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let piece = self.connection.piece(self.framing, 0)?;
        if let (Framing::Length(length), Some(piece)) = (&mut self.framing, &piece) {
            *length -= piece.len();
        }
        Ok(piece)
    }
}

/// Closes a connection from another thread.
pub(crate) struct Closer(TcpStream);

impl Closer {
    pub(crate) fn close(&self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

struct Head {
    length: usize,
    status: u16,
    framing: Framing,
}

fn read_head(buffer: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(malformed(&format!("the answer is no HTTP: {error}"))),
    };
    let status = response.code.unwrap_or_default();
    let header = |name: &str| {
        let mut all = response.headers.iter();
        let found = all.find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    let chunked = header("transfer-encoding").is_some_and(|value| value.contains("chunked"));
    let framing = match header("content-length").map(str::parse) {
        _ if chunked => Framing::Chunked,
        Some(Ok(length)) => Framing::Length(length),
        Some(Err(_)) => return Err(malformed("the answer has a bad length")),
        None if matches!(status, 100..200 | 204 | 304) => Framing::Length(0),
        None => Framing::Close,
    };
    Ok(Some(Head {
        length,
        status,
        framing,
    }))
}

/// Where a chunk starts behind its size, and that size; `None` where the line is not whole yet.
fn read_chunk_size(buffer: &[u8]) -> io::Result<Option<(usize, usize)>> {
    match httparse::parse_chunk_size(buffer) {
        Ok(httparse::Status::Complete((_, size))) if size > CHUNK_MAX => {
            Err(malformed("the answer has a chunk that is too long"))
        }
        Ok(httparse::Status::Complete((start, size))) => {
            let size = usize::try_from(size).map_err(io::Error::other)?;
            Ok(Some((start, size)))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(malformed("the answer has a bad chunk")),
    }
}

fn malformed(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(head: &str) -> (u16, Framing) {
        let head = read_head(format!("{head}\r\n\r\n").as_bytes())
            .unwrap()
            .unwrap();
        (head.status, head.framing)
    }

    #[test]
    fn the_framing_of_a_body_is_read_from_the_head() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 7";
        assert_eq!(framing(text), (200, Framing::Chunked));
        assert_eq!(
            framing("HTTP/1.1 202 Accepted\r\ncontent-length: 0"),
            (202, Framing::Length(0))
        );
        assert_eq!(
            framing("HTTP/1.1 204 No Content"),
            (204, Framing::Length(0))
        );
        assert_eq!(framing("HTTP/1.1 200 OK"), (200, Framing::Close));
    }

    #[test]
    fn a_chunk_has_a_size_and_not_more_than_can_be_held() {
        assert_eq!(read_chunk_size(b"1f\r\nx").unwrap(), Some((4, 31)));
        assert_eq!(read_chunk_size(b"1").unwrap(), None);
        for bad in [&b"x\r\n"[..], b"ffffffffffffffff\r\n", b"4000001\r\n"] {
            assert!(read_chunk_size(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn half_a_head_is_waited_for_and_garbage_is_not() {
        assert!(read_head(b"HTTP/1.1 200 OK\r\nConte").unwrap().is_none());
        assert!(read_head(b"what is this\r\n\r\n").is_err());
        assert!(read_head(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").is_err());
    }
}
