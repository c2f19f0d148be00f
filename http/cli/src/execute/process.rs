//! The process of `tepui execute`: waits for the master's events, gives them to the core, and
//! carries its effects out.
//!
//! ```text
//!   connecting --200--> reading --next event--> reading
//!       ^                  |
//!       +---- a pause -----+ (the stream ends, or is silent for five heartbeats)
//! ```
//!
//! Calls go out one after the other, in the order in which the core asked for them.

use std::{collections::VecDeque, time::Duration};

use tepui_protocol::mesos::v1::scheduler::{Call, Event};
use tepui_runtime::{Context, Declaration, Process, Timer};
use tokio::sync::oneshot;

use super::{
    client::{Client, ClientError, Events},
    core::{Core, Effect},
};
use crate::say;

/// The pause before the master is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a master says that it is there, where it does not say how often.
const HEARTBEAT: f64 = 15.0;
/// So many missing heartbeats mean that the connection is dead.
const MISSING: f64 = 5.0;

/// The process.
pub(crate) struct Execute {
    core: Core,
    client: Client,
    /// Told whether the task finished, once all is over.
    done: Option<oneshot::Sender<bool>>,
    /// Which of the connections is the present one.
    connection: u64,
    stream_id: String,
    calls: VecDeque<Call>,
    calling: bool,
    result: Option<bool>,
    heartbeat: Duration,
    silence: Option<Timer>,
    /// What was said last of an unreachable master, not to be said again and again.
    said: String,
}

impl Execute {
    pub(crate) fn new(core: Core, client: Client, done: oneshot::Sender<bool>) -> Self {
        Self {
            core,
            client,
            done: Some(done),
            connection: 0,
            stream_id: String::new(),
            calls: VecDeque::new(),
            calling: false,
            result: None,
            heartbeat: Duration::from_secs_f64(HEARTBEAT),
            silence: None,
            said: String::new(),
        }
    }

    fn connect(&mut self, ctx: &mut Context<'_, Self>) {
        self.connection += 1;
        let (client, call) = (self.client.clone(), self.core.subscribe());
        ctx.blocking(
            move || client.subscribe(&call),
            |execute, subscribed, ctx| match subscribed {
                Ok(events) => {
                    execute.said.clear();
                    execute.stream_id.clone_from(&events.stream_id);
                    execute.read(events, ctx);
                }
                Err(ClientError::Unreachable(problem)) => execute.lost(problem, ctx),
                Err(refused) => execute.refused(&refused, ctx),
            },
        );
    }

    fn read(&mut self, mut events: Events, ctx: &mut Context<'_, Self>) {
        let connection = self.connection;
        self.listen(ctx);
        ctx.blocking(
            move || {
                let next = events.next();
                (events, next)
            },
            move |execute, (events, next), ctx| {
                if execute.connection != connection || execute.result.is_some() {
                    return;
                }
                match next {
                    Ok(event) => {
                        execute.event(event, ctx);
                        execute.read(events, ctx);
                    }
                    Err(problem) => execute.lost(problem.to_string(), ctx),
                }
            },
        );
    }

    /// Waits anew for the master to say something.
    fn listen(&mut self, ctx: &mut Context<'_, Self>) {
        if let Some(timer) = self.silence.take() {
            ctx.cancel(timer);
        }
        let patience = self.heartbeat.mul_f64(MISSING);
        let timer = ctx.delay(patience, |execute, ctx| {
            execute.silence = None;
            execute.lost("it is silent".to_owned(), ctx);
        });
        self.silence = Some(timer);
    }

    fn event(&mut self, event: Event, ctx: &mut Context<'_, Self>) {
        let subscribed = event.subscribed.as_ref();
        if let Some(seconds) = subscribed.and_then(|it| it.heartbeat_interval_seconds) {
            let told = Duration::try_from_secs_f64(seconds).ok();
            self.heartbeat = told
                .filter(|told| !told.is_zero())
                .unwrap_or(Duration::from_secs_f64(HEARTBEAT));
        }
        let effects = self.core.event(event);
        self.perform(effects, ctx);
    }

    /// The connection is gone: another one, after a pause.
    fn lost(&mut self, problem: String, ctx: &mut Context<'_, Self>) {
        if self.result.is_some() {
            return;
        }
        self.connection += 1;
        self.calls.clear();
        if let Some(timer) = self.silence.take() {
            ctx.cancel(timer);
        }
        if problem != self.said {
            let master = self.client.master();
            say::err(format_args!(
                "tepui execute: no connection to the master at {master}, trying again: {problem}"
            ));
            self.said = problem;
        }
        let connection = self.connection;
        ctx.delay(PAUSE, move |execute, ctx| {
            if execute.connection == connection {
                execute.connect(ctx);
            }
        });
    }

    fn refused(&mut self, refused: &ClientError, ctx: &mut Context<'_, Self>) {
        say::err(format_args!("tepui execute: the master refuses: {refused}"));
        self.result = Some(false);
        self.calls.clear();
        self.next_call(ctx);
    }

    fn perform(&mut self, effects: Vec<Effect>, ctx: &mut Context<'_, Self>) {
        for effect in effects {
            match effect {
                Effect::Print(text) => say::out(text),
                Effect::Warn(text) => say::err(format_args!("tepui execute: {text}")),
                Effect::Call(call) => self.calls.push_back(*call),
                Effect::KillAfter(after) => {
                    ctx.delay(after, |execute, ctx| {
                        let effects = execute.core.kill();
                        execute.perform(effects, ctx);
                    });
                }
                Effect::Finish(success) => self.result = self.result.or(Some(success)),
            }
        }
        self.next_call(ctx);
    }

    /// Makes the next call, or ends where there is none and all is over.
    fn next_call(&mut self, ctx: &mut Context<'_, Self>) {
        if self.calling {
            return;
        }
        let Some(call) = self.calls.pop_front() else {
            if let Some(success) = self.result
                && let Some(done) = self.done.take()
            {
                // Only a command that ended already does not hear it.
                let _gone = done.send(success);
                ctx.terminate();
            }
            return;
        };
        self.calling = true;
        let (client, stream_id) = (self.client.clone(), self.stream_id.clone());
        ctx.blocking(
            move || client.call(&call, &stream_id),
            |execute, answer, ctx| {
                execute.calling = false;
                match answer {
                    Err(refused @ ClientError::Refused { .. }) if execute.result.is_none() => {
                        execute.refused(&refused, ctx);
                    }
                    // Whether the master is there is for the stream of events to say.
                    Err(_) | Ok(()) => execute.next_call(ctx),
                }
            },
        );
    }
}

impl Process for Execute {
    fn declare(_declaration: &mut Declaration<Self>) {}

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        self.connect(ctx);
    }
}
