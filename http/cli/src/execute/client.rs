//! A client of a master's scheduler API: calls out, a stream of events in. It blocks, and decides
//! nothing.

use std::io::{self, Read as _};
use std::time::Duration;

use bytes::Bytes;
use tepui_protocol::{
    mesos::v1::scheduler::{Call, Event},
    recordio::Decoder,
};
use tepui_runtime::{Address, Encoding, Message as _};
use ureq::{Agent, http};

/// The path below which every Mesos master serves it.
const PATH: &str = "/master/api/v1/scheduler";
const STREAM_ID: &str = "Mesos-Stream-Id";
/// How long a connection and an answer's head may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// An event may hold the offers of a whole cluster.
const EVENT_MAX: usize = 256 << 20;
/// Text of an error that is worth showing.
const ERROR_MAX: u64 = 4096;

/// Why the master does not serve a call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// It is not there, is not ready, or went away: to be tried again.
    #[error("{0}")]
    Unreachable(String),
    /// It says no.
    #[error("{status} {text}")]
    Refused {
        /// HTTP's status.
        status: u16,
        /// What it says.
        text: String,
    },
}

/// Where a master is and how it is spoken to.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: Agent,
    master: Address,
    encoding: Encoding,
}

/// The events of one subscription.
pub(crate) struct Events {
    /// What calls of this subscription carry.
    pub(crate) stream_id: String,
    reader: ureq::BodyReader<'static>,
    decoder: Decoder,
    encoding: Encoding,
    waiting: std::collections::VecDeque<Bytes>,
}

impl Client {
    /// A client that has not connected yet.
    pub(crate) fn new(master: Address, encoding: Encoding) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(PATIENCE))
            .timeout_send_body(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .build();
        Self {
            agent: Agent::new_with_config(config),
            master,
            encoding,
        }
    }

    /// Where the master is.
    pub(crate) fn master(&self) -> Address {
        self.master
    }

    /// Subscribes: opens a stream of events.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub(crate) fn subscribe(&self, call: &Call) -> Result<Events, ClientError> {
        let response = self.send(call, None)?;
        if response.status() != http::StatusCode::OK {
            return Err(refusal(response));
        }
        let header = response.headers().get(STREAM_ID);
        let stream_id = header
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| ClientError::Unreachable("the stream has no id".to_owned()))?
            .to_owned();
        Ok(Events {
            stream_id,
            reader: response.into_body().into_reader(),
            decoder: Decoder::new(EVENT_MAX),
            encoding: self.encoding,
            waiting: std::collections::VecDeque::new(),
        })
    }

    /// Makes a call of a subscription.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub(crate) fn call(&self, call: &Call, stream_id: &str) -> Result<(), ClientError> {
        let response = self.send(call, Some(stream_id))?;
        if response.status() == http::StatusCode::ACCEPTED {
            Ok(())
        } else {
            Err(refusal(response))
        }
    }

    fn send(
        &self,
        call: &Call,
        stream_id: Option<&str>,
    ) -> Result<http::Response<ureq::Body>, ClientError> {
        let unreachable = |problem: &dyn std::fmt::Display| {
            ClientError::Unreachable(format!("the master at {}: {problem}", self.master))
        };
        let body = call
            .encode(self.encoding)
            .map_err(|problem| unreachable(&problem))?;
        let mut request = self
            .agent
            .post(format!("http://{}{PATH}", self.master))
            .header("Content-Type", self.encoding.content_type())
            .header("Accept", self.encoding.content_type());
        if let Some(stream_id) = stream_id {
            request = request.header(STREAM_ID, stream_id);
        }
        request
            .send(&body[..])
            .map_err(|problem| unreachable(&problem))
    }
}

fn refusal(response: http::Response<ureq::Body>) -> ClientError {
    let status = response.status();
    let location = response.headers().get("Location").cloned();
    let mut text = String::new();
    let mut reader = response.into_body().into_reader().take(ERROR_MAX);
    let _cut = reader.read_to_string(&mut text);
    if let Some(location) = location.filter(|_| status.is_redirection()) {
        text = format!(
            "the leader is at {}",
            String::from_utf8_lossy(location.as_bytes())
        );
    }
    let text = text.trim().to_owned();
    if status == http::StatusCode::SERVICE_UNAVAILABLE {
        return ClientError::Unreachable(text);
    }
    ClientError::Refused {
        status: status.as_u16(),
        text,
    }
}

impl Events {
    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// The stream ended, or holds something else than events.
    pub(crate) fn next(&mut self) -> io::Result<Event> {
        loop {
            if let Some(record) = self.waiting.pop_front() {
                return Event::decode(self.encoding, &record).map_err(io::Error::other);
            }
            let mut piece = [0; 8192];
            let count = self.reader.read(&mut piece)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let records = self.decoder.push(&piece[..count]);
            self.waiting.extend(records.map_err(io::Error::other)?);
        }
    }
}
