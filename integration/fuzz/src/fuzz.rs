//! Hostile input by the thousand: what strangers may send is mutated from valid seeds, so that most
//! of it gets past the first decoder, and given to the decoders, the gateway and the actors.
//! Whatever it is, nobody panics.
//!
//! Included by the program beside this, which runs as many inputs as one wants, and by a test of
//! `integration`, which runs a few. Not here: what an answer to a certain input has to be.

#[path = "listener.rs"]
mod listener;
#[path = "mutate.rs"]
mod mutate;
#[path = "stage.rs"]
mod stage;
#[path = "typed.rs"]
mod typed;
#[path = "watch.rs"]
mod watch;

use serde_json::Value;
use tepui_integration::Dice;
use tepui_protocol::mesos::v1::{agent, executor, scheduler};
use tepui_protocol::recordio::Decoder;
use tepui_protocol::resources::{Resources, parse};
use tepui_runtime::{Bytes, Encoding, Message};

use self::stage::Stage;
use self::watch::tell;
pub use self::watch::{Outcome, watch, watched};

/// What input is given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The reader of RecordIO.
    RecordIo,
    /// The scheduler API, in JSON.
    JsonCalls,
    /// The scheduler API, in protobuf.
    ProtobufCalls,
    /// An agent's executor API, in JSON and protobuf.
    ExecutorCalls,
    /// An agent's operator API, by which executors have containers of their own, in JSON and
    /// protobuf.
    AgentCalls,
    /// Master and agent, as processes that take messages in three encodings, the calls of
    /// schedulers and executors among them.
    Messages,
    /// The text of `--resources`.
    Resources,
}

/// All of them.
pub const TARGETS: [Target; 7] = [
    Target::RecordIo,
    Target::JsonCalls,
    Target::ProtobufCalls,
    Target::ExecutorCalls,
    Target::AgentCalls,
    Target::Messages,
    Target::Resources,
];

/// So many inputs are given to one simulated cluster.
const INPUTS_A_STAGE: usize = 200;
const RECORD_MAX: usize = 1 << 16;
const CALLS: &str = include_str!("../corpus/calls.json");
const EXECUTOR_CALLS: &str = include_str!("../corpus/executor_calls.json");
const AGENT_CALLS: &str = include_str!("../corpus/agent_calls.json");
/// What separates the parts of a text of resources.
const MARKS: [char; 10] = [';', ':', '[', ']', '{', '}', '(', ')', ',', '-'];

/// Gives a target so many inputs that follow from a seed.
///
/// # Panics
///
/// When one of them makes anybody panic, or a decoder disagrees with itself.
pub fn run(target: Target, inputs: usize, seed: u64) -> Outcome {
    let mut runner = Runner::new(target, seed);
    watched(&format!("{target:?}, seed {seed}"), inputs, |number| {
        runner.input(number)
    })
}

fn seeds(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("the corpus is JSON")
}

/// What is sent to one of the HTTP APIs.
fn calls(text: &str) -> Vec<Seed> {
    messages_of(text, "", "")
}

/// Calls as messages of this name.
fn messages_of(text: &str, to: &str, name: &str) -> Vec<Seed> {
    let seed = |body| Seed {
        to: to.to_owned(),
        name: name.to_owned(),
        body,
    };
    seeds(text).into_iter().map(seed).collect()
}

/// What master and agents tell each other, and what else they take as messages.
fn messages() -> Vec<Seed> {
    let seed = |mut seed: Value| Seed {
        to: seed["to"].as_str().expect("to whom").to_owned(),
        name: seed["name"].as_str().expect("a name").to_owned(),
        body: seed["body"].take(),
    };
    let internal = seeds(include_str!("../corpus/messages.json"));
    let mut all: Vec<Seed> = internal.into_iter().map(seed).collect();
    let name = <scheduler::Call as Message>::NAME;
    all.extend(messages_of(CALLS, "master", name));
    let name = <executor::Call as Message>::NAME;
    all.extend(messages_of(EXECUTOR_CALLS, "slave(1)", name));
    all
}

/// A valid input; of messages, whom it is for and what it is called.
struct Seed {
    to: String,
    name: String,
    body: Value,
}

struct Runner {
    target: Target,
    seed: u64,
    dice: Dice,
    seeds: Vec<Seed>,
    /// The seeds' bodies, of which others take parts.
    bodies: Vec<Value>,
    texts: Vec<&'static str>,
    /// Those of them that are no JSON.
    plain: Vec<&'static str>,
    stage: Option<Stage>,
}

impl Runner {
    fn new(target: Target, seed: u64) -> Runner {
        let seeds = match target {
            Target::JsonCalls | Target::ProtobufCalls | Target::RecordIo => calls(CALLS),
            Target::ExecutorCalls => calls(EXECUTOR_CALLS),
            Target::AgentCalls => calls(AGENT_CALLS),
            Target::Messages => messages(),
            Target::Resources => Vec::new(),
        };
        let texts: Vec<&str> = include_str!("../corpus/resources.txt").lines().collect();
        let is_plain = |text: &&str| !text.starts_with('[');
        Runner {
            target,
            seed,
            dice: Dice::new(seed ^ (target as u64) << 32),
            bodies: seeds.iter().map(|seed| seed.body.clone()).collect(),
            seeds,
            plain: texts.iter().copied().filter(is_plain).collect(),
            texts,
            stage: None,
        }
    }

    /// Gives one input, and says whether it got past the first decoder.
    fn input(&mut self, number: usize) -> bool {
        match self.target {
            Target::RecordIo => return self.records(),
            Target::Resources => return self.resources(),
            _ => {}
        }
        if number.is_multiple_of(INPUTS_A_STAGE) || !self.stage.as_ref().is_some_and(Stage::stands)
        {
            self.stage = Some(Stage::new(self.seed.wrapping_add(number as u64)));
        }
        let seed = self.dice.pick(&self.seeds);
        let mut tree = seed.body.clone();
        let changes = self.dice.between(1, 4);
        mutate::tree(&mut self.dice, &mut tree, &self.bodies, changes);
        let Some(stage) = &mut self.stage else {
            return false;
        };
        let json = stage.filled_in(&tree.to_string(), &seed.name);
        let encoding = match self.target {
            Target::JsonCalls => Encoding::Json,
            Target::ProtobufCalls => Encoding::Protobuf,
            Target::ExecutorCalls | Target::AgentCalls => {
                *self.dice.pick(&[Encoding::Json, Encoding::Protobuf])
            }
            _ => *self
                .dice
                .pick(&[Encoding::Json, Encoding::Protobuf, Encoding::MessagePack]),
        };
        let typed = match self.target {
            Target::ExecutorCalls => typed::encoded::<executor::Call>(json.as_bytes(), encoding),
            Target::AgentCalls => typed::encoded::<agent::Call>(json.as_bytes(), encoding),
            Target::Messages => typed::message(&seed.name, json.as_bytes(), encoding),
            _ => typed::encoded::<scheduler::Call>(json.as_bytes(), encoding),
        };
        // What has no type any more can only be sent as the text that it is.
        let (mut body, encoding) = match typed {
            Some(body) if encoding != Encoding::Json => (body, encoding),
            _ => (json.as_bytes().to_vec(), Encoding::Json),
        };
        if self.dice.percent(20) {
            mutate::bytes(&mut self.dice, &mut body);
        }
        let what = format!("{:?} {} {} {encoding:?}", self.target, seed.to, seed.name);
        tell(&what, &json, &body);
        match self.target {
            Target::ExecutorCalls => stage.agent_call("/slave(1)/api/v1/executor", body, encoding),
            Target::AgentCalls => stage.agent_call("/slave(1)/api/v1", body, encoding),
            Target::Messages => {
                let strange = self.dice.percent(20);
                stage.message(&seed.to, &seed.name, &body, encoding, strange)
            }
            _ => stage.call(body, encoding, tree["type"] == "SUBSCRIBE"),
        }
    }

    /// A few records, framed and mutated; read at once and in pieces, which has to be the same.
    fn records(&mut self) -> bool {
        let mut framed = Vec::new();
        for _ in 0..self.dice.between(1, 4) {
            let record = self.dice.pick(&self.bodies).to_string();
            framed.extend_from_slice(&tepui_protocol::recordio::encode(record.as_bytes()));
        }
        if self.dice.percent(60) {
            mutate::bytes(&mut self.dice, &mut framed);
        }
        tell("RecordIo", "", &framed);
        let mut whole = Decoder::new(RECORD_MAX);
        let at_once = whole.push(&framed);
        let mut decoder = Decoder::new(RECORD_MAX);
        let mut in_pieces: Vec<Bytes> = Vec::new();
        let mut failed = false;
        let mut rest = &framed[..];
        while !rest.is_empty() && !failed {
            let most = (rest.len() as u64).min(64);
            let (piece, behind) = rest.split_at(self.dice.between(1, most + 1) as usize);
            rest = behind;
            match decoder.push(piece) {
                Ok(records) => in_pieces.extend(records),
                Err(_) => failed = true,
            }
        }
        assert_eq!(failed, at_once.is_err(), "{framed:?}");
        let Ok(at_once) = at_once else {
            // What came whole before the fault is not lost to who reads in pieces.
            return !in_pieces.is_empty();
        };
        assert_eq!(at_once, in_pieces, "{framed:?}");
        !at_once.is_empty()
    }

    /// A text of resources: what is read of it is read again of what it is written as.
    fn resources(&mut self) -> bool {
        let seed = *self.dice.pick(&self.texts);
        let text = match serde_json::from_str::<Value>(seed) {
            Ok(mut tree) => {
                mutate::tree(&mut self.dice, &mut tree, &[], 1);
                tree.to_string()
            }
            Err(_) => mutate::text(&mut self.dice, seed, &self.plain, &MARKS),
        };
        let text = match self.dice.percent(10) {
            true => {
                let mut bytes = text.into_bytes();
                mutate::bytes(&mut self.dice, &mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            }
            false => text,
        };
        tell("Resources", &text, &[]);
        let Ok(resources) = parse(&text, "*") else {
            return false;
        };
        let again = Resources::from_proto(&resources.to_proto());
        assert_eq!(again.ok().as_ref(), Some(&resources), "{text:?}");
        true
    }
}
