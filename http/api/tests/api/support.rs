//! A client that speaks HTTP over a raw socket, so that what is tested is what is on the wire.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use tepui_protocol::recordio::Decoder;
use tepui_runtime::{Address, Bytes};

/// Far longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// One response, whose body is read as it comes.
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    reader: BufReader<TcpStream>,
    decoder: Option<Decoder>,
    records: VecDeque<Bytes>,
}

/// Sends a request on a connection of its own.
pub(crate) fn request(
    address: Address,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    Reply::read(send(address, method, path, headers, body))
}

/// The same, and leaves the answer to be read.
pub(crate) fn send(
    address: Address,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> TcpStream {
    let mut socket = connect(address);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(body).unwrap();
    socket
}

#[expect(
    clippy::disallowed_methods,
    reason = "a client from outside, not a part of the system"
)]
fn connect(address: Address) -> TcpStream {
    let socket = TcpStream::connect((address.ip, address.port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

impl Reply {
    pub(crate) fn read(socket: TcpStream) -> Self {
        let mut reader = BufReader::new(socket);
        let status = line(&mut reader)
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let mut headers = Vec::new();
        loop {
            let field = line(&mut reader);
            if field.is_empty() {
                break;
            }
            let (name, value) = field.split_once(':').unwrap();
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        let decoder = Some(Decoder::new(16 << 20));
        Self {
            status,
            headers,
            reader,
            decoder,
            records: VecDeque::new(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A body with a length, as text.
    pub(crate) fn text(&mut self) -> String {
        let length: usize = self.header("content-length").unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    /// The whole of a body, whether it has a length or comes in chunks.
    pub(crate) fn body(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        if let Some(length) = self.header("content-length") {
            body.resize(length.parse().unwrap(), 0);
            self.reader.read_exact(&mut body).unwrap();
            return body;
        }
        while let Some(chunk) = self.chunk() {
            body.extend(chunk);
        }
        body
    }

    /// The next record of a stream; `None` at its end.
    pub(crate) fn record(&mut self) -> Option<Bytes> {
        while self.records.is_empty() {
            let Some(chunk) = self.chunk() else {
                if let Some(decoder) = self.decoder.take() {
                    decoder.finish().unwrap();
                }
                return None;
            };
            self.records
                .extend(self.decoder.as_mut()?.push(&chunk).unwrap());
        }
        self.records.pop_front()
    }

    /// The next record as JSON.
    pub(crate) fn json(&mut self) -> serde_json::Value {
        serde_json::from_slice(&self.record().expect("the stream goes on")).unwrap()
    }

    /// Whether the connection ends without the end of the stream.
    pub(crate) fn is_cut(&mut self) -> bool {
        let mut rest = Vec::new();
        let read = self.reader.read_to_end(&mut rest);
        read.is_err() || !rest.ends_with(b"0\r\n\r\n")
    }

    fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = usize::from_str_radix(&line(&mut self.reader), 16).unwrap();
        let mut chunk = vec![0; size];
        self.reader.read_exact(&mut chunk).unwrap();
        assert_eq!(line(&mut self.reader), "");
        (size > 0).then_some(chunk)
    }
}

fn line(reader: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}
