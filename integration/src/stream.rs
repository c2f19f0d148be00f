//! A framework by hand: `curl` holds the subscription, its records are read as JSON.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tepui_protocol::recordio::Decoder;

const PATIENCE: Duration = Duration::from_secs(60);
const RECORD_MAX: usize = 16 << 20;

/// A subscription to the scheduler API, held by `curl`.
#[derive(Debug)]
pub struct Subscription {
    curl: Child,
    events: Receiver<Value>,
    url: String,
    stream_id: String,
    framework_id: String,
}

impl Subscription {
    /// Subscribes a framework at `master` (`ip:port`) and waits until it is subscribed.
    ///
    /// # Panics
    ///
    /// When the master does not answer as Mesos does.
    pub fn open(master: &str, framework_info: &Value) -> Subscription {
        let url = format!("http://{master}/api/v1/scheduler");
        let call = serde_json::json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": framework_info}});
        let mut curl = Command::new("curl")
            .args([
                "-sS",
                "-N",
                "-i",
                "-X",
                "POST",
                "-H",
                "Content-Type: application/json",
            ])
            .args([
                "-H",
                "Accept: application/json",
                "-d",
                &call.to_string(),
                &url,
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl is installed");
        let mut stdout = curl.stdout.take().expect("stdout is a pipe");
        let head = read_head(&mut stdout);
        assert!(head.starts_with("HTTP/1.1 200"), "subscribed: {head}");
        let stream_id = head
            .lines()
            .find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("Mesos-Stream-Id")
                    .then(|| value.trim().to_owned())
            })
            .unwrap_or_else(|| panic!("no Mesos-Stream-Id in {head}"));
        let (sender, events) = channel();
        std::thread::spawn(move || {
            let mut decoder = Decoder::new(RECORD_MAX);
            let mut piece = [0; 65536];
            while let Ok(length @ 1..) = stdout.read(&mut piece) {
                for record in decoder
                    .push(&piece[..length])
                    .expect("records are well framed")
                {
                    let event = serde_json::from_slice(&record).expect("records are JSON");
                    let _ = sender.send(event);
                }
            }
        });
        let mut subscription = Subscription {
            curl,
            events,
            url,
            stream_id,
            framework_id: String::new(),
        };
        let subscribed = subscription.wait_for("SUBSCRIBED", |_| true);
        let id = &subscribed["subscribed"]["framework_id"]["value"];
        subscription.framework_id = id.as_str().expect("an id").to_owned();
        subscription
    }

    /// The id that the master gave.
    pub fn framework_id(&self) -> &str {
        &self.framework_id
    }

    /// Waits for the first event of a type that `wanted` accepts; others are passed over.
    ///
    /// # Panics
    ///
    /// When none comes within a minute.
    pub fn wait_for(&mut self, kind: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut passed = Vec::new();
        loop {
            match self.events.recv_timeout(PATIENCE) {
                Ok(event) if event["type"] == kind && wanted(&event) => return event,
                Ok(event) => passed.push(event),
                Err(error) => panic!("no {kind} ({error}) among {passed:#?}"),
            }
        }
    }

    /// Makes a call of this framework and gives the status of its answer.
    ///
    /// # Panics
    ///
    /// When curl cannot be run.
    pub fn call(&self, mut call: Value) -> u16 {
        call["framework_id"] = serde_json::json!({"value": self.framework_id});
        let output = Command::new("curl")
            .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST"])
            .args(["-H", "Content-Type: application/json"])
            .args(["-H", &format!("Mesos-Stream-Id: {}", self.stream_id)])
            .args(["-d", &call.to_string(), &self.url])
            .output()
            .expect("curl is installed");
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .expect("curl prints a status")
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}

/// Reads up to the empty line that ends the head of an answer.
fn read_head(stdout: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stdout.read_exact(&mut byte).expect("an answer has a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("a head is text")
}
