//! `/logging/toggle`: how much the daemon logs, and more of it for a while.
//!
//! ```text
//!   as started --level, duration--> raised --the duration is over--> as started
//!                                     \--another level, another duration--/
//! ```

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tepui_runtime::{
    Context, Declaration, Id, Node, Process, ProcessRef, SpawnError, Timer,
    http::{Handler, Request, Response},
};

use crate::{checks::Refusal, options::Verbosity, units::parse_duration};

/// The level of a daemon as it was started.
const ORIGINAL: u32 = 0;

/// Takes the level back when its time is over.
struct Raised {
    verbosity: Verbosity,
    /// Runs while the level is another than the one it was started with.
    back: Option<Timer>,
}

impl Process for Raised {
    fn declare(_declaration: &mut Declaration<Self>) {}
}

impl Raised {
    fn set(&mut self, level: u32, duration: Duration, ctx: &mut Context<'_, Self>) {
        if let Some(back) = self.back.take() {
            ctx.cancel(back);
        }
        (self.verbosity.set)(level);
        if level != ORIGINAL {
            self.back = Some(ctx.delay(duration, |raised, _| {
                raised.back = None;
                (raised.verbosity.set)(ORIGINAL);
            }));
        }
    }
}

/// The process that takes the level back is started with the first change.
#[derive(Default)]
struct Raising(OnceLock<ProcessRef<Raised>>);

impl Raising {
    fn process(
        &self,
        node: &Node,
        verbosity: Verbosity,
    ) -> Result<&ProcessRef<Raised>, SpawnError> {
        if let Some(process) = self.0.get() {
            return Ok(process);
        }
        let raised = Raised {
            verbosity,
            back: None,
        };
        let started = node.spawn(Id::prefix("logging"), raised)?;
        Ok(self.0.get_or_init(|| started))
    }
}

pub(crate) fn logging(verbosity: Option<Verbosity>) -> Handler {
    let raising = Arc::new(Raising::default());
    Arc::new(move |request, node| {
        let raising = Arc::clone(&raising);
        Box::pin(async move {
            toggle(&request, &node, verbosity, &raising).unwrap_or_else(Response::from)
        })
    })
}

/// Mesos' order of checks, and its words.
fn toggle(
    request: &Request,
    node: &Node,
    verbosity: Option<Verbosity>,
    raising: &Raising,
) -> Result<Response, Refusal> {
    let refuse = |text: String| Refusal::BadRequest(format!("{text}.\n"));
    let (level, duration) = match (request.query.get("level"), request.query.get("duration")) {
        (None, None) => {
            let level = verbosity.map_or(ORIGINAL, |it| (it.level)());
            return Ok(Response::text(200, format!("{level}\n")));
        }
        (Some(_), None) => return Err(refuse("Expecting 'duration=value' in query".to_owned())),
        (None, Some(_)) => return Err(refuse("Expecting 'level=value' in query".to_owned())),
        (Some(level), Some(duration)) => (level, duration),
    };
    let number: i32 = level
        .parse()
        .map_err(|_| refuse(format!("Failed to convert '{level}' to number")))?;
    let number = u32::try_from(number).map_err(|_| refuse(format!("Invalid level '{number}'")))?;
    let duration = parse_duration(duration).map_err(refuse)?;
    let Some(verbosity) = verbosity else {
        return Err(refuse("The log of this program has one level".to_owned()));
    };
    let process = raising
        .process(node, verbosity)
        .map_err(|problem| Refusal::Internal(problem.to_string()))?;
    process.dispatch(move |raised, ctx| raised.set(number, duration, ctx));
    Ok(Response::ok())
}
