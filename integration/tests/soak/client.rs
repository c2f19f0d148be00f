//! A connection of a scheduler to a master by HTTP and JSON: its stream of events and its calls.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};
use tepui_protocol::recordio::Decoder;

const RECORD_MAX: usize = 16 << 20;

/// What makes calls, over a connection that stays open.
pub struct Client {
    address: String,
    connection: BufReader<TcpStream>,
    stream_id: String,
    pub framework_id: String,
}

impl Client {
    /// Subscribes; each event is given to `tell`, on a thread of its own, and `None` at the end.
    pub fn subscribe(
        address: &str,
        info: &Value,
        mut tell: impl FnMut(Option<Value>) + Send + 'static,
    ) -> Client {
        let mut call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}});
        if let Some(id) = info.get("id") {
            call["framework_id"] = id.clone();
        }
        let mut stream = BufReader::new(TcpStream::connect(address).expect("a master"));
        post(&mut stream, address, "", &call);
        let (status, headers) = read_head(&mut stream);
        assert_eq!(status, 200, "{headers:?}");
        let stream_id = header(&headers, "Mesos-Stream-Id").expect("an id of the stream");
        let (first, subscribed) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut decoder = Decoder::new(RECORD_MAX);
            while let Some(chunk) = read_chunk(&mut stream) {
                for record in decoder.push(&chunk).expect("records are well framed") {
                    let event: Value = serde_json::from_slice(&record).expect("JSON");
                    let _ = first.send(event["subscribed"]["framework_id"].clone());
                    tell(Some(event));
                }
            }
            tell(None);
        });
        let id = subscribed.recv().expect("an event");
        Client {
            address: address.to_owned(),
            connection: BufReader::new(TcpStream::connect(address).expect("a master")),
            stream_id,
            framework_id: id["value"]
                .as_str()
                .expect("SUBSCRIBED is first")
                .to_owned(),
        }
    }

    /// Makes a call of this framework, which the master has to take.
    pub fn call(&mut self, mut call: Value) {
        call["framework_id"] = json!({"value": self.framework_id});
        let id = format!("Mesos-Stream-Id: {}\r\n", self.stream_id);
        post(&mut self.connection, &self.address, &id, &call);
        let (status, headers) = read_head(&mut self.connection);
        let length = header(&headers, "Content-Length").map_or(0, |it| it.parse().expect("one"));
        let mut body = vec![0; length];
        self.connection.read_exact(&mut body).expect("the body");
        let body = String::from_utf8_lossy(&body);
        assert_eq!(status, 202, "{call}: {body}");
    }

    /// Launches on an offer; the rest is not offered again for so many seconds.
    pub fn launch(&mut self, offer: &Value, launch: Value, refuse_seconds: u64) {
        let accept = json!({
            "offer_ids": [offer["id"]],
            "operations": [launch],
            "filters": {"refuse_seconds": refuse_seconds},
        });
        self.call(json!({"type": "ACCEPT", "accept": accept}));
    }

    /// Acknowledges a status, if it asks for it.
    pub fn acknowledge(&mut self, status: &Value) {
        let Some(uuid) = status.get("uuid") else {
            return;
        };
        let acknowledge = json!({
            "agent_id": status["agent_id"],
            "task_id": status["task_id"],
            "uuid": uuid,
        });
        self.call(json!({"type": "ACKNOWLEDGE", "acknowledge": acknowledge}));
    }
}

fn post(to: &mut BufReader<TcpStream>, address: &str, header: &str, call: &Value) {
    let body = call.to_string();
    let head = format!(
        "POST /api/v1/scheduler HTTP/1.1\r\nHost: {address}\r\n{header}\
         Content-Type: application/json\r\nAccept: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let written = to.get_mut().write_all((head + &body).as_bytes());
    written.expect("the master reads");
}

fn read_head(from: &mut BufReader<TcpStream>) -> (u16, Vec<String>) {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).expect("a head");
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let first = lines.first().cloned().unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    (status.unwrap_or_default(), lines)
}

fn header(lines: &[String], name: &str) -> Option<String> {
    lines
        .iter()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_owned())
}

/// The next chunk of a body; `None` behind the last one, and where the connection breaks.
fn read_chunk(from: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut size = String::new();
    from.read_line(&mut size).ok()?;
    let size = usize::from_str_radix(size.trim_end(), 16).ok()?;
    let mut chunk = vec![0; size + 2];
    from.read_exact(&mut chunk).ok()?;
    chunk.truncate(size);
    (size > 0).then_some(chunk)
}
