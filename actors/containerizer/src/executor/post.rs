//! What an executor that comes with the agent owes to its agent, whatever runs its tasks: to
//! subscribe, and to tell each update until it is acknowledged. Times and effects are the cores'.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tepui_protocol::mesos::v1::executor::{Call, call};
use tepui_protocol::mesos::v1::{
    ExecutorId, FrameworkId, FrameworkInfo, KillPolicy, TaskId, TaskInfo, TaskState, TaskStatus,
    framework_info, task_status,
};

use crate::executor::settings::Settings;

/// Mesos' grace where neither the task nor the kill has a kill policy.
pub(crate) const KILL_GRACE_PERIOD: Duration = Duration::from_secs(3);
/// How long the acknowledgements of the last updates are waited for.
pub(crate) const ACKNOWLEDGEMENT_WAIT: Duration = Duration::from_secs(60);

/// What the world gives for one input: the time since the Unix epoch, and uuids.
pub(crate) struct Turn<'a> {
    pub(crate) now: Duration,
    pub(crate) uuid: &'a mut dyn FnMut() -> [u8; 16],
}

/// The agent as an executor knows it.
#[derive(Debug)]
pub(crate) struct Post {
    settings: Settings,
    subscribed: bool,
    /// An attempt to subscribe failed, and the agent is being waited for.
    recovering: bool,
    framework: Option<FrameworkInfo>,
    /// Updates that are not acknowledged, oldest first.
    updates: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    update: call::Update,
    /// It was sent since the connection was last lost.
    told: bool,
}

impl Post {
    pub(crate) fn new(settings: Settings) -> Post {
        Post {
            settings,
            subscribed: false,
            recovering: false,
            framework: None,
            updates: VecDeque::new(),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        self.subscribed
    }

    /// Every update was acknowledged.
    pub(crate) fn is_settled(&self) -> bool {
        self.updates.is_empty()
    }

    /// SUBSCRIBE, with the tasks of which no update was acknowledged yet; `None` where there is a
    /// subscription.
    pub(crate) fn subscribe(&mut self, unacknowledged_tasks: Vec<TaskInfo>) -> Option<Call> {
        if self.subscribed {
            return None;
        }
        let tell = |kept: &mut Kept| {
            kept.told = true;
            kept.update.clone()
        };
        let subscribe = call::Subscribe {
            unacknowledged_tasks,
            unacknowledged_updates: self.updates.iter_mut().map(tell).collect(),
        };
        Some(Call {
            subscribe: Some(subscribe),
            ..self.call(call::Type::Subscribe)
        })
    }

    /// Gives the calls that tell what happened since SUBSCRIBE was sent.
    pub(crate) fn subscribed(&mut self, framework: FrameworkInfo) -> Vec<Call> {
        self.framework = Some(framework);
        self.subscribed = true;
        self.recovering = false;
        let untold = self.updates.iter_mut().filter(|kept| !kept.told);
        let untold = untold.map(|kept| {
            kept.told = true;
            kept.update.clone()
        });
        let untold: Vec<call::Update> = untold.collect();
        untold.into_iter().map(|it| self.update_call(it)).collect()
    }

    pub(crate) fn disconnected(&mut self) {
        self.subscribed = false;
    }

    /// The agent is waited for from now on; whether it was not already.
    pub(crate) fn recover(&mut self) -> bool {
        !std::mem::replace(&mut self.recovering, true)
    }

    /// Whether the framework wants to be told of TASK_KILLING.
    pub(crate) fn tells_killing(&self) -> bool {
        let wanted = framework_info::capability::Type::TaskKillingState;
        let framework = self.framework.iter();
        let mut capabilities = framework.flat_map(|framework| &framework.capabilities);
        capabilities.any(|capability| capability.r#type() == wanted)
    }

    fn call(&self, kind: call::Type) -> Call {
        Call {
            framework_id: FrameworkId {
                value: self.settings.framework_id.clone(),
            },
            executor_id: ExecutorId {
                value: self.settings.executor_id.clone(),
            },
            r#type: Some(kind as i32),
            ..Call::default()
        }
    }

    /// A status as executors make it.
    pub(crate) fn status(
        &self,
        task_id: &TaskId,
        state: TaskState,
        message: &str,
        turn: &mut Turn<'_>,
    ) -> TaskStatus {
        TaskStatus {
            task_id: task_id.clone(),
            state: state as i32,
            message: (!message.is_empty()).then(|| message.to_owned()),
            source: Some(task_status::Source::Executor as i32),
            executor_id: Some(ExecutorId {
                value: self.settings.executor_id.clone(),
            }),
            timestamp: Some(turn.now.as_secs_f64()),
            uuid: Some(Bytes::copy_from_slice(&(turn.uuid)())),
            ..TaskStatus::default()
        }
    }

    /// Keeps an update until it is acknowledged, and gives the call that tells it if the agent is
    /// there; else it goes with the next SUBSCRIBE.
    pub(crate) fn update(&mut self, status: TaskStatus) -> Option<Call> {
        let update = call::Update { status };
        self.updates.push_back(Kept {
            update: update.clone(),
            told: self.subscribed,
        });
        self.subscribed.then(|| self.update_call(update))
    }

    fn update_call(&self, update: call::Update) -> Call {
        Call {
            update: Some(update),
            ..self.call(call::Type::Update)
        }
    }

    /// Whether an update was still to be acknowledged.
    pub(crate) fn acknowledged(&mut self, uuid: &Bytes) -> bool {
        let before = self.updates.len();
        self.updates
            .retain(|kept| kept.update.status.uuid.as_ref() != Some(uuid));
        self.updates.len() < before
    }
}

/// The grace that a task asks for, or Mesos' own.
pub(crate) fn own_grace(task: &TaskInfo) -> Duration {
    grace_period(task.kill_policy.as_ref()).unwrap_or(KILL_GRACE_PERIOD)
}

/// TaskInfo.max_completion_time; no time at all is no limit.
pub(crate) fn completion_limit(task: &TaskInfo) -> Option<Duration> {
    let nanoseconds = task.max_completion_time.as_ref()?.nanoseconds;
    let nanoseconds = u64::try_from(nanoseconds).ok().filter(|limit| *limit > 0)?;
    Some(Duration::from_nanos(nanoseconds))
}

/// The grace that a policy asks for.
pub(crate) fn grace_period(policy: Option<&KillPolicy>) -> Option<Duration> {
    let nanoseconds = policy?.grace_period.as_ref()?.nanoseconds;
    Some(Duration::from_nanos(
        u64::try_from(nanoseconds).unwrap_or(0),
    ))
}
