//! Carries out one effect: sends, asks, timers, log lines.

use std::time::Duration;

use tepui_invariants::PlantedBug;
use tepui_protocol::mesos::v1::ContainerId;
use tepui_protocol::mesos::v1::TaskState;
use tepui_protocol::tepui::containerizer::{
    Destroy, Kill, Launch, Launched, Recover, Recovered, Remove, Update, Updated,
};
use tepui_runtime::{AskError, Context, Pid};

use super::AgentProcess;
use crate::core::{Effect, Input, Note, Outbound};

/// How long the containerizer may look for what an earlier agent left.
const RECOVER_DEADLINE: Duration = Duration::from_secs(600);

/// How long the launch of a nested container may take: its files may have to be fetched. (For an
/// executor's the time within which it has to subscribe counts.)
const NESTED_DEADLINE: Duration = Duration::from_secs(3600);

/// How long it may take to change a container's limits.
const UPDATE_DEADLINE: Duration = Duration::from_secs(60);

impl AgentProcess {
    pub(super) fn carry(&mut self, effect: Effect, ctx: &mut Context<'_, Self>) {
        match effect {
            Effect::Send(_, Outbound::Status(message))
                if !self.core.is_to_be_sent(&message.update) => {}
            Effect::Send(to, message) => send(&to, message, ctx),
            Effect::Link(to) => ctx.link(&to),
            Effect::Timer(after, timer) => {
                ctx.delay(after, move |agent, ctx| {
                    agent.feed(Input::Timer(timer), ctx)
                });
            }
            Effect::Note(note) => {
                self.metrics.count(&note);
                log(ctx.pid(), &note);
            }
            Effect::RecoverContainers(recover) => self.recover(recover, ctx),
            Effect::Launch(launch) => self.launch(*launch, ctx),
            Effect::UpdateContainer(number, update) => self.update(number, update, ctx),
            Effect::Destroy(container) => {
                let container_id = ContainerId {
                    value: container,
                    ..ContainerId::default()
                };
                ctx.send(&self.containerizer, Destroy { container_id });
            }
            Effect::KillContainer(container_id, signal) => {
                let kill = Kill {
                    container_id,
                    signal,
                };
                ctx.send(&self.containerizer, kill);
            }
            Effect::RemoveContainer(container_id) => {
                ctx.send(&self.containerizer, Remove { container_id });
            }
            Effect::Exit(how) => self.end(how, ctx),
            Effect::MeasureDisk => self.measure(ctx),
            // Done in the blocking job that this effect would have been behind.
            Effect::Disk(_)
            | Effect::Sandbox(_)
            | Effect::Collect(_)
            | Effect::RemoveSandbox(..) => {}
        }
    }

    fn recover(&mut self, recover: Recover, ctx: &mut Context<'_, Self>) {
        ctx.ask(
            &self.containerizer,
            recover,
            RECOVER_DEADLINE,
            |agent, answer: Result<Recovered, AskError>, ctx| {
                let alive = match answer {
                    Ok(Recovered {
                        error: Some(error), ..
                    }) => Err(error),
                    Ok(Recovered { alive, orphans, .. }) => {
                        for orphan in orphans {
                            tracing::info!(container = %orphan, "destroyed an orphan");
                        }
                        Ok(alive)
                    }
                    Err(error) => Err(error.to_string()),
                };
                agent.feed(Input::ContainersRecovered(alive), ctx);
            },
        );
    }

    fn launch(&mut self, launch: Launch, ctx: &mut Context<'_, Self>) {
        let container = launch.container_id.clone();
        let deadline = match container.parent {
            None => self.launch_deadline,
            Some(_) => NESTED_DEADLINE,
        };
        ctx.ask(
            &self.containerizer,
            launch,
            deadline,
            move |agent, answer: Result<Launched, AskError>, ctx| {
                let answer = answer.map_err(|error| error.to_string());
                agent.feed(Input::Launched(container, answer), ctx);
            },
        );
    }

    fn update(&mut self, number: u64, update: Update, ctx: &mut Context<'_, Self>) {
        if self.planted.has(PlantedBug::LimitsKept) {
            // All goes on as if the containerizer had been told.
            ctx.delay(Duration::ZERO, move |agent, ctx| {
                agent.feed(Input::ContainerUpdated(number, Updated::default()), ctx);
            });
            return;
        }
        ctx.ask(
            &self.containerizer,
            update,
            UPDATE_DEADLINE,
            move |agent, answer: Result<Updated, AskError>, ctx| {
                let updated = answer.unwrap_or_else(|error| Updated {
                    error: Some(error.to_string()),
                    ..Updated::default()
                });
                agent.feed(Input::ContainerUpdated(number, updated), ctx);
            },
        );
    }
}

fn send(to: &Pid, message: Outbound, ctx: &mut Context<'_, AgentProcess>) {
    match message {
        Outbound::Register(message) => ctx.send(to, *message),
        Outbound::Reregister(message) => ctx.send(to, *message),
        Outbound::Unregister(message) => ctx.send(to, message),
        Outbound::Update(message) => ctx.send(to, *message),
        Outbound::Status(message) => ctx.send(to, *message),
        Outbound::ExitedExecutor(message) => ctx.send(to, message),
        Outbound::Message(message) => ctx.send(to, *message),
        Outbound::Pong(message) => ctx.send(to, message),
        Outbound::Event(message) => ctx.send(to, *message),
        Outbound::Operated(message) => ctx.send(to, *message),
    }
}

/// One line for each change.
fn log(pid: &Pid, note: &Note) {
    match note {
        Note::Agent { agent, state, why } => {
            let id = agent.as_deref().unwrap_or("");
            tracing::info!(agent = id, %pid, ?state, why, "agent changed");
        }
        Note::Framework { framework, what } => {
            tracing::info!(framework, what, "framework changed");
        }
        Note::Executor {
            framework,
            executor,
            container,
            state,
            why,
        } => {
            let why = first_line(why);
            tracing::info!(
                framework,
                executor,
                container,
                ?state,
                why,
                "executor changed"
            );
        }
        Note::Task {
            framework,
            task,
            state,
            why,
        } => {
            let (state, why) = (TaskState::as_str_name(state), first_line(why));
            tracing::info!(framework, task, state, why, "task changed");
        }
        Note::Refused { what, .. } => tracing::warn!(what, "refused"),
        Note::LaunchFailed { container, error } => {
            tracing::warn!(container, error, "container not launched");
        }
        Note::FrameworkMessage(Err(what)) => tracing::warn!(what, "not delivered"),
        Note::Collected { removed, failed } => {
            for why in failed {
                tracing::warn!("{why}");
            }
            if *removed > 0 {
                tracing::info!(removed, "folders of what ended are removed");
            }
        }
        Note::Info(what) => tracing::info!("{what}"),
        Note::ValidUpdate | Note::FrameworkMessage(Ok(())) => {}
    }
}

/// A message may go on with a page of figures, which its framework gets.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
