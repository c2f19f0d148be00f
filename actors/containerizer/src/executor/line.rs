//! The line between an executor's role and its agent, and what else both roles need of the kernel:
//! threads with small stacks, timers, time and chance. Nothing is decided here.
//!
//! Two threads belong to a line: one reads the agent's events, one sends calls. Each question about
//! a container has a thread and a connection of its own, because it is answered when that container
//! has started or ended.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tepui_protocol::mesos::v1::agent;
use tepui_protocol::mesos::v1::executor::{Call, Event};
use tepui_protocol::{json, recordio};

use crate::executor::http::{Closer, Connection};
use crate::executor::settings::Settings;

/// Stack of a helper thread; the deepest thing it does is to read JSON.
pub(crate) const STACK: usize = 512 << 10;
/// Longest event: a task with all its labels and data.
const EVENT_MAX: usize = 64 << 20;

/// An input, and for those of a connection which one it was: an old one's end is no news.
pub(crate) type Fed<I> = (Option<u64>, I);

/// What comes over the line by itself.
pub(crate) enum News {
    Event(Box<Event>),
    /// The subscription could not be made, or ended.
    Disconnected,
}

/// The subscription and the calls beside it.
pub(crate) struct Line {
    subscriptions: Sender<(u64, Call)>,
    calls: Sender<Call>,
    /// The connection whose events count.
    generation: u64,
    events: Arc<Mutex<Option<Closer>>>,
}

impl Line {
    /// Starts the threads of a line; they end when it is dropped.
    ///
    /// # Errors
    /// The kernel gave no thread.
    pub(crate) fn start<I: From<News> + Send + 'static>(
        agent: Agent,
        inputs: &Sender<Fed<I>>,
    ) -> std::io::Result<Line> {
        let events = Arc::new(Mutex::new(None));
        let (subscriptions, to_subscribe) = channel();
        let (reader, fed, closer) = (agent.clone(), inputs.clone(), Arc::clone(&events));
        thread("events", move || {
            reader.read_events(&to_subscribe, &fed, &closer)
        })?;
        let (calls, to_send) = channel();
        let closer = Arc::clone(&events);
        thread("calls", move || agent.send_calls(&to_send, &closer))?;
        Ok(Line {
            subscriptions,
            calls,
            generation: 0,
            events,
        })
    }

    /// Makes a new subscription, whose events are the ones that count from now on.
    pub(crate) fn subscribe(&mut self, call: Call) {
        self.generation += 1;
        let _ = self.subscriptions.send((self.generation, call));
    }

    /// Sends a call, after those before it.
    pub(crate) fn send(&self, call: Call) {
        let _ = self.calls.send(call);
    }

    /// What comes from a connection counts only if that is the one in use.
    pub(crate) fn accept<I>(&self, (generation, input): Fed<I>) -> Option<I> {
        let counts = generation.is_none_or(|generation| generation == self.generation);
        counts.then_some(input)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        close(&self.events);
    }
}

/// The agent's APIs: that for executors, and that for their containers.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    /// The role's name, in what it says.
    name: &'static str,
    endpoint: String,
    /// The id of the agent's own process, whatever number it has on its node.
    id: String,
    authorization: Option<String>,
}

impl Agent {
    pub(crate) fn new(name: &'static str, settings: &Settings) -> Agent {
        let id = settings.agent_pid.split('@').next().unwrap_or("slave(1)");
        Agent {
            name,
            endpoint: settings.agent_endpoint.clone(),
            id: id.to_owned(),
            authorization: settings
                .authentication_token
                .as_ref()
                .map(|token| format!("Bearer {token}")),
        }
    }

    fn executor_api(&self) -> String {
        format!("/{}/api/v1/executor", self.id)
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let mut headers = vec![
            ("Host", self.endpoint.as_str()),
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
        ];
        headers.extend(
            self.authorization
                .iter()
                .map(|value| ("Authorization", value.as_str())),
        );
        headers
    }

    /// Asks the agent about a container, and waits for the answer for as long as it takes: status
    /// and body.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn ask(&self, call: &agent::Call) -> Result<(u16, String), String> {
        let body = json::to_vec(call).map_err(|error| error.to_string())?;
        let mut headers = self.headers();
        headers.push(("Connection", "close"));
        let answer = Connection::open(&self.endpoint).and_then(|mut connection| {
            connection.wait_for_ever()?;
            connection.post(&format!("/{}/api/v1", self.id), &headers, &body)
        });
        answer.map_err(|error| error.to_string())
    }

    /// Subscribes as often as it is told, and feeds the events of the newest subscription.
    fn read_events<I: From<News>>(
        &self,
        subscriptions: &Receiver<(u64, Call)>,
        inputs: &Sender<Fed<I>>,
        closer: &Mutex<Option<Closer>>,
    ) {
        for (generation, call) in subscriptions {
            let feed = |event| {
                let event = News::Event(Box::new(event)).into();
                inputs.send((Some(generation), event)).is_ok()
            };
            if let Err(error) = self.subscribe(&call, closer, feed) {
                let Agent { name, endpoint, .. } = self;
                eprintln!("{name}: lost the agent at {endpoint}: {error}");
            }
            close(closer);
            if inputs
                .send((Some(generation), News::Disconnected.into()))
                .is_err()
            {
                return;
            }
        }
    }

    fn subscribe(
        &self,
        call: &Call,
        closer: &Mutex<Option<Closer>>,
        feed: impl Fn(Event) -> bool,
    ) -> Result<(), String> {
        let body = json::to_vec(call).map_err(|error| error.to_string())?;
        let connection = Connection::open(&self.endpoint).map_err(|error| error.to_string())?;
        let own = connection.closer().map_err(|error| error.to_string())?;
        *closer.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
        let lost = self.follow(connection, &body, feed);
        // Where the closer was taken it was the executor that hung up, which is no loss.
        let hung_up = closer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none();
        if hung_up { Ok(()) } else { lost }
    }

    fn follow(
        &self,
        connection: Connection,
        body: &[u8],
        feed: impl Fn(Event) -> bool,
    ) -> Result<(), String> {
        let answer = connection.post_streaming(&self.executor_api(), &self.headers(), body);
        let (status, mut pieces) = answer.map_err(|error| error.to_string())?;
        if status != 200 {
            return Err(format!("SUBSCRIBE was answered with {status}"));
        }
        let mut decoder = recordio::Decoder::new(EVENT_MAX);
        while let Some(piece) = pieces.next_piece().map_err(|error| error.to_string())? {
            for record in decoder.push(&piece).map_err(|error| error.to_string())? {
                let event = json::from_slice(&record).map_err(|error| error.to_string())?;
                if !feed(event) {
                    return Ok(());
                }
            }
        }
        Err("the stream of events ended".to_owned())
    }

    /// Sends calls one after another, over one connection as long as it lasts. A call that is not
    /// taken ends the subscription too: with the next one everything unacknowledged is sent again.
    fn send_calls(&self, calls: &Receiver<Call>, closer: &Mutex<Option<Closer>>) {
        let (mut kept, name) = (None, self.name);
        for call in calls {
            let Ok(body) = json::to_vec(&call) else {
                continue;
            };
            let answer = self.send_call(&mut kept, &body);
            match answer {
                Ok((202 | 200, _)) => {}
                // It is our call that is wrong; it would be wrong again.
                Ok((400, text)) => eprintln!("{name}: the agent refused an update: {text}"),
                Ok((status, text)) => {
                    eprintln!("{name}: an update was answered with {status}: {text}");
                    close(closer);
                }
                Err(error) => {
                    eprintln!("{name}: an update could not be sent: {error}");
                    close(closer);
                }
            }
        }
    }

    fn send_call(
        &self,
        kept: &mut Option<Connection>,
        body: &[u8],
    ) -> std::io::Result<(u16, String)> {
        if let Some(mut connection) = kept.take()
            && let Ok(answer) = connection.post(&self.executor_api(), &self.headers(), body)
        {
            *kept = Some(connection);
            return Ok(answer);
        }
        // The kept one may have been closed by the agent for being idle: once more on a new one.
        let mut connection = Connection::open(&self.endpoint)?;
        let answer = connection.post(&self.executor_api(), &self.headers(), body)?;
        *kept = Some(connection);
        Ok(answer)
    }
}

fn close(closer: &Mutex<Option<Closer>>) {
    if let Some(closer) = closer.lock().unwrap_or_else(PoisonError::into_inner).take() {
        closer.close();
    }
}

/// Says that there was no thread.
pub(crate) fn no_thread(error: std::io::Error) -> String {
    format!("failed to start a thread: {error}")
}

/// What becomes due for a role, by name.
pub(crate) struct Timers<T>(BTreeMap<T, Instant>);

impl<T> Default for Timers<T> {
    fn default() -> Timers<T> {
        Timers(BTreeMap::new())
    }
}

/// Why a role wakes up.
pub(crate) enum Woken<T, I> {
    Due(T),
    Fed(Fed<I>),
    /// For nothing.
    Idle,
}

impl<T: Copy + Ord> Timers<T> {
    /// Replaces one of the same name.
    pub(crate) fn arm(&mut self, timer: T, after: Duration) {
        self.0.insert(timer, Instant::now() + after);
    }

    pub(crate) fn cancel(&mut self, timer: T) {
        self.0.remove(&timer);
    }

    /// Waits for the next input, or until a timer is due, which is forgotten with that.
    pub(crate) fn receive<I>(&mut self, inputs: &Receiver<Fed<I>>) -> Woken<T, I> {
        let due = self.0.iter().min_by_key(|(_, at)| **at);
        let due = due.map(|(timer, at)| (*timer, *at));
        let wait = due.map_or(Duration::from_secs(3600), |(_, at)| {
            at.saturating_duration_since(Instant::now())
        });
        match inputs.recv_timeout(wait) {
            Ok(fed) => Woken::Fed(fed),
            Err(RecvTimeoutError::Timeout) => match due {
                Some((timer, at)) if at <= Instant::now() => {
                    self.0.remove(&timer);
                    Woken::Due(timer)
                }
                _ => Woken::Idle,
            },
            // A role holds a sender itself, so that this does not come.
            Err(RecvTimeoutError::Disconnected) => Woken::Idle,
        }
    }
}

/// Runs this on a thread of its own.
///
/// # Errors
/// The kernel gave none.
pub(crate) fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(run)
        .map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the executor is a process of its own, with no runtime that could own its time"
)]
pub(crate) fn since_epoch() -> Duration {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Ok(mut source) = std::fs::File::open("/dev/urandom") {
        let _ = source.read_exact(&mut bytes);
    }
    bytes
}

/// A random time up to this.
pub(crate) fn random_part(most: Duration) -> Duration {
    let part = f64::from(u32::from_ne_bytes(random_bytes())) / f64::from(u32::MAX);
    most.mul_f64(part)
}

/// A version 4 UUID.
pub(crate) fn random_uuid() -> [u8; 16] {
    let mut bytes: [u8; 16] = random_bytes();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    bytes
}
