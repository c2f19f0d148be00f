//! What is wrong with a message, and where: one kind of error for all three encodings, so that
//! they say the same of the same mistake.
//!
//! Not here: who finds it (`walk`, `node`).

use std::fmt;

use serde::de::{Error, Expected, Unexpected};
use tepui_message::CodecError;

/// What is said of a required field that is absent, or null.
const MISSING: &str = "missing required field";

/// One step of a path.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A field, or a key of a map.
    Field(String),
    /// An element of a list.
    Index(usize),
}

/// What is wrong, and the way to it.
#[derive(Debug)]
pub(crate) struct Fault {
    problem: String,
    missing: bool,
    /// From the field at fault up to the root.
    path: Vec<Step>,
}

impl Fault {
    /// A fault at the place where it is found.
    pub(crate) fn new(problem: impl Into<String>) -> Fault {
        Fault {
            problem: problem.into(),
            missing: false,
            path: Vec::new(),
        }
    }

    /// The absence of the required value that stands here.
    pub(crate) fn missing() -> Fault {
        Fault {
            missing: true,
            ..Fault::new(MISSING)
        }
    }

    /// Whether a required field is missing, and nothing else is wrong.
    pub(crate) fn is_missing(&self) -> bool {
        self.missing
    }

    /// The fault as seen from the message, list or map around it.
    pub(crate) fn within(mut self, step: Step) -> Fault {
        self.path.push(step);
        self
    }

    /// The fault as seen from the message that has the field.
    pub(crate) fn within_field(self, name: &str) -> Fault {
        self.within(Step::Field(name.to_owned()))
    }

    /// The error that goes out.
    pub(crate) fn into_error(self, message: &str) -> CodecError {
        let path = self.path();
        CodecError::Decode {
            message: message.to_owned(),
            path,
            problem: self.problem,
        }
    }

    /// The path of the field, from the root: `task_infos[0].agent_id`.
    pub(crate) fn path(&self) -> String {
        let mut path = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.extend([".", name]),
                Step::Index(index) => path.extend(["[", &index.to_string(), "]"]),
            }
        }
        path
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if !path.is_empty() {
            write!(f, "at {path}: ")?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<T: fmt::Display>(problem: T) -> Fault {
        Fault::new(problem.to_string())
    }

    fn missing_field(name: &'static str) -> Fault {
        Fault::missing().within_field(name)
    }

    fn invalid_type(seen: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        match seen {
            Unexpected::Unit => Fault::missing(),
            _ => Fault::new(format!("invalid type: {seen}, expected {expected}")),
        }
    }
}
