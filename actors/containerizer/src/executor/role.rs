//! The role `executor`: the body of the command executor as a process of its own in a container.
//! A few plain threads with small stacks: one feeds the core, one reads the agent's events, one
//! sends calls, one waits for the task, and each check that is under way has one. Nothing is decided
//! here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tepui_protocol::mesos::v1::CommandInfo;
use tepui_protocol::mesos::v1::executor::{Call, Event};
use tepui_protocol::{json, recordio};

use crate::executor::core::checks::{Kind, Outcome, Probe, Request};
use crate::executor::core::{Core, Effect, Input, Timer, Turn};
use crate::executor::http::{Closer, Connection};
use crate::executor::probe::{self, Running};
use crate::executor::settings::Settings;
use crate::executor::task;

/// Stack of a helper thread; the deepest thing it does is to read JSON.
pub(crate) const STACK: usize = 512 << 10;
/// Longest event: a task with all its labels and data.
const EVENT_MAX: usize = 64 << 20;

/// Runs the role `executor`, by the environment that Mesos gives executors. Takes no arguments.
/// The exit status is 0 where the agent was told of the task's end, or had none to give.
#[must_use]
pub fn main_executor(_arguments: &[OsString]) -> ExitCode {
    ExitCode::from(run(std::env::vars_os().collect()))
}

/// Runs the role with these variables instead of the process' own; gives the exit status.
pub(crate) fn run(environment: BTreeMap<OsString, OsString>) -> u8 {
    let text = |text: &OsString| text.clone().into_string().ok();
    let variables: BTreeMap<String, String> = environment
        .iter()
        .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
        .collect();
    let settings = match Settings::from_environment(&variables) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("executor: {error}");
            return 1;
        }
    };
    let (inputs, received) = channel();
    match Role::start(settings, environment, inputs) {
        Ok(role) => role.run(&received),
        Err(error) => {
            eprintln!("executor: failed to start a thread: {error}");
            return 1;
        }
    }
    0
}

/// An input, and for those of a connection which one it was: an old one's end is no news.
type Fed = (Option<u64>, Input);

struct Role {
    core: Core,
    /// What the task inherits.
    environment: BTreeMap<OsString, OsString>,
    inputs: Sender<Fed>,
    subscriptions: Sender<(u64, Call)>,
    calls: Sender<Call>,
    /// The connection whose events count.
    generation: u64,
    events: Arc<Mutex<Option<Closer>>>,
    timers: BTreeMap<Timer, Instant>,
    task: Option<i32>,
    /// The commands of checks that are under way.
    probes: BTreeMap<Kind, Arc<Running>>,
}

impl Role {
    fn start(
        settings: Settings,
        environment: BTreeMap<OsString, OsString>,
        inputs: Sender<Fed>,
    ) -> std::io::Result<Role> {
        let agent = Agent::new(&settings);
        let events = Arc::new(Mutex::new(None));
        let (subscriptions, to_subscribe) = channel();
        let (reader, fed, closer) = (agent.clone(), inputs.clone(), Arc::clone(&events));
        thread("events", move || {
            reader.read_events(&to_subscribe, &fed, &closer)
        })?;
        let (calls, to_send) = channel();
        let closer = Arc::clone(&events);
        thread("calls", move || agent.send_calls(&to_send, &closer))?;
        Ok(Role {
            core: Core::new(settings),
            environment,
            inputs,
            subscriptions,
            calls,
            generation: 0,
            events,
            timers: BTreeMap::new(),
            task: None,
            probes: BTreeMap::new(),
        })
    }

    fn run(mut self, received: &Receiver<Fed>) {
        let mut next = Some(Input::Start);
        loop {
            if let Some(input) = next.take() {
                if matches!(input, Input::Ended { .. }) {
                    self.task = None;
                }
                let mut turn = Turn {
                    now: since_epoch(),
                    uuid: &mut random_uuid,
                };
                for effect in self.core.handle(input, &mut turn) {
                    if effect == Effect::Exit {
                        return;
                    }
                    self.perform(effect);
                }
            }
            next = self.next(received);
        }
    }

    /// The next input: what was received, or a timer that is due.
    fn next(&mut self, received: &Receiver<Fed>) -> Option<Input> {
        let due = self
            .timers
            .iter()
            .min_by_key(|(_, at)| **at)
            .map(|(timer, at)| (*timer, *at));
        let wait = due.map_or(Duration::from_secs(3600), |(_, at)| {
            at.saturating_duration_since(Instant::now())
        });
        match received.recv_timeout(wait) {
            Ok(fed) => self.accept(fed),
            Err(RecvTimeoutError::Timeout) => {
                let (timer, _) = due.filter(|(_, at)| *at <= Instant::now())?;
                self.timers.remove(&timer);
                Some(Input::Due(timer))
            }
            // We hold a sender ourselves, so that this does not come.
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// What comes from a connection counts only if that is the one in use.
    fn accept(&self, (generation, input): Fed) -> Option<Input> {
        let counts = generation.is_none_or(|generation| generation == self.generation);
        counts.then_some(input)
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Subscribe(call) => {
                self.generation += 1;
                let _ = self.subscriptions.send((self.generation, *call));
            }
            Effect::Send(call) => drop(self.calls.send(*call)),
            Effect::StartTask(command) => self.start_task(&command),
            Effect::Signal(signal) => {
                if let Some(pid) = self.task {
                    task::signal(pid, signal);
                }
            }
            Effect::Probe(probe) => self.probe(*probe),
            Effect::Abandon(kind) => {
                if let Some(running) = self.probes.remove(&kind) {
                    running.kill();
                }
            }
            Effect::Arm(timer, after) => drop(self.timers.insert(timer, Instant::now() + after)),
            Effect::ArmWithin(timer, most) => {
                let part = f64::from(random_u32()) / f64::from(u32::MAX);
                self.timers
                    .insert(timer, Instant::now() + most.mul_f64(part));
            }
            Effect::Cancel(timer) => drop(self.timers.remove(&timer)),
            Effect::Exit => {}
        }
    }

    fn start_task(&mut self, command: &CommandInfo) {
        let inputs = self.inputs.clone();
        let child = match task::start(command, &self.environment) {
            Ok(child) => child,
            Err(error) => {
                let _ = inputs.send((None, Input::NotStarted { error }));
                return;
            }
        };
        self.task = i32::try_from(child.id()).ok();
        let _ = inputs.send((None, Input::Started));
        let waiting = thread("task", move || {
            // Without a status it counts as killed.
            let status = task::wait(child).unwrap_or(crate::launch::STATUS_KILLED);
            let out_of_memory = task::out_of_memory();
            let _ = inputs.send((
                None,
                Input::Ended {
                    status,
                    out_of_memory,
                },
            ));
        });
        if let Err(error) = waiting {
            let error = format!("failed to start a thread: {error}");
            let _ = self.inputs.send((None, Input::NotStarted { error }));
        }
    }

    /// Carries out a check on a thread of its own.
    fn probe(&mut self, probe: Probe) {
        let Probe {
            kind,
            number,
            request,
            timeout,
        } = probe;
        let inputs = self.inputs.clone();
        let tell = move |outcome| {
            if let Outcome::Failed(problem) = &outcome {
                eprintln!("executor: {kind:?} {number} could not be carried out: {problem}");
            }
            let probed = Input::Probed {
                kind,
                number,
                outcome,
            };
            let _ = inputs.send((None, probed));
        };
        let told = tell.clone();
        let started = match request {
            Request::Command(command) => match Running::start(&command, &self.environment) {
                Ok((running, child)) => {
                    let running = Arc::new(running);
                    self.probes.insert(kind, Arc::clone(&running));
                    thread("check", move || tell(running.wait(child)))
                }
                Err(problem) => {
                    tell(Outcome::Failed(problem));
                    return;
                }
            },
            Request::Http(url) => thread("check", move || tell(probe::get(&url, timeout))),
            Request::Tcp(endpoint) => {
                thread("check", move || tell(probe::connect(&endpoint, timeout)))
            }
        };
        if let Err(error) = started {
            told(Outcome::Failed(format!(
                "failed to start a thread: {error}"
            )));
        }
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        close(&self.events);
    }
}

/// The agent's executor API.
#[derive(Clone)]
struct Agent {
    endpoint: String,
    path: String,
    authorization: Option<String>,
}

impl Agent {
    fn new(settings: &Settings) -> Agent {
        // Below the agent's own process, whatever number it has on its node.
        let id = settings.agent_pid.split('@').next().unwrap_or("slave(1)");
        Agent {
            endpoint: settings.agent_endpoint.clone(),
            path: format!("/{id}/api/v1/executor"),
            authorization: settings
                .authentication_token
                .as_ref()
                .map(|token| format!("Bearer {token}")),
        }
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

    /// Subscribes as often as it is told, and feeds the events of the newest subscription.
    fn read_events(
        &self,
        subscriptions: &Receiver<(u64, Call)>,
        inputs: &Sender<Fed>,
        closer: &Mutex<Option<Closer>>,
    ) {
        for (generation, call) in subscriptions {
            let feed = |event| {
                let event = Input::Event(Box::new(event));
                inputs.send((Some(generation), event)).is_ok()
            };
            if let Err(error) = self.subscribe(&call, closer, feed) {
                eprintln!("executor: lost the agent at {}: {error}", self.endpoint);
            }
            close(closer);
            if inputs
                .send((Some(generation), Input::Disconnected))
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
        let answer = connection.post_streaming(&self.path, &self.headers(), body);
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
        let mut kept = None;
        for call in calls {
            let Ok(body) = json::to_vec(&call) else {
                continue;
            };
            let answer = self.send_call(&mut kept, &body);
            match answer {
                Ok((202 | 200, _)) => {}
                // It is our call that is wrong; it would be wrong again.
                Ok((400, text)) => eprintln!("executor: the agent refused an update: {text}"),
                Ok((status, text)) => {
                    eprintln!("executor: an update was answered with {status}: {text}");
                    close(closer);
                }
                Err(error) => {
                    eprintln!("executor: an update could not be sent: {error}");
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
            && let Ok(answer) = connection.post(&self.path, &self.headers(), body)
        {
            *kept = Some(connection);
            return Ok(answer);
        }
        // The kept one may have been closed by the agent for being idle: once more on a new one.
        let mut connection = Connection::open(&self.endpoint)?;
        let answer = connection.post(&self.path, &self.headers(), body)?;
        *kept = Some(connection);
        Ok(answer)
    }
}

fn close(closer: &Mutex<Option<Closer>>) {
    if let Some(closer) = closer.lock().unwrap_or_else(PoisonError::into_inner).take() {
        closer.close();
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
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
fn since_epoch() -> Duration {
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

fn random_u32() -> u32 {
    u32::from_ne_bytes(random_bytes())
}

/// A version 4 UUID.
fn random_uuid() -> [u8; 16] {
    let mut bytes: [u8; 16] = random_bytes();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    bytes
}
