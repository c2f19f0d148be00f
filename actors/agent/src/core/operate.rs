//! What an operator, or an executor for its tasks, asks of nested containers: to launch one, to
//! wait for its end, to kill it, to remove what is left of it.
//!
//! Who asks is answered by AgentOperated: of a launch when the container runs, of a wait when it
//! has ended. An asker that is gone meanwhile is forgotten.

use std::path::{Path, PathBuf};

use tepui_protocol::mesos::v1::agent::{Call, Response, response};
use tepui_protocol::mesos::v1::environment::{Variable, variable};
use tepui_protocol::mesos::v1::{CommandInfo, ContainerId, Environment};
use tepui_protocol::tepui::containerizer::{Launch, Launched, Terminated};
use tepui_protocol::tepui::operator::AgentOperated;
use tepui_runtime::Pid;

use super::agent_call::{Request, Wanted, request};
use super::effect::Sandbox;
use super::environment::DEFAULT_PATH;
use super::executor::ExecutorState;
use super::limitation::limitation;
use super::nested::{self, MAX_ENDED, MAX_LIVE, MAX_WAITING, Nest, Nested, NestedState, Waiter};
use super::{Core, Effect, Note, Outbound};

/// The signal that nothing survives.
const SIGKILL: i32 = 9;

/// The greatest number that a signal has on Linux.
const SIGNAL_MAX: i32 = 64;

/// Why something is not done: what HTTP has for it, and words for people.
type Refused = (u32, String);

impl Core {
    /// A call of the agent's operator API.
    pub(super) fn operate(&mut self, asker: Pid, call: Call) {
        let done = if !self.reconnecting {
            Err((503, "Agent has not finished recovery".to_owned()))
        } else {
            match request(call) {
                Ok(request) => self.request(&asker, request),
                Err(error) => Err((u32::from(error.status()), error.to_string())),
            }
        };
        match done {
            Ok(Some(answer)) => self.answer(&asker, answer),
            // It is answered later.
            Ok(None) => {}
            Err(refused) => self.refuse_operation(&asker, refused),
        }
    }

    fn request(&mut self, asker: &Pid, request: Request) -> Result<Option<AgentOperated>, Refused> {
        match request {
            Request::Launch(wanted) => self.launch_nested(asker, *wanted),
            Request::Wait { id, nested_form } => {
                let asker = asker.clone();
                self.wait_nested(&id, Waiter { asker, nested_form })
            }
            Request::Kill { id, signal } => self.kill_nested(&id, signal.unwrap_or(SIGKILL)),
            Request::Remove(id) => self.remove_nested(&id),
        }
    }

    /// The containers in the executor's in which this one is, while that executor is there.
    fn nest_mut(&mut self, id: &ContainerId) -> Option<&mut Nest> {
        let root = &id.root().value;
        let mut executors = self
            .frameworks
            .values_mut()
            .flat_map(|known| known.executors.values_mut());
        let executor = executors.find(|executor| executor.container == *root)?;
        (executor.state != ExecutorState::Terminated).then_some(&mut executor.nest)
    }

    fn launch_nested(
        &mut self,
        asker: &Pid,
        wanted: Wanted,
    ) -> Result<Option<AgentOperated>, Refused> {
        let Wanted { id, command, .. } = &wanted;
        let parent = id.parent.as_deref().cloned().unwrap_or_default();
        let lost = || (400, format!("Parent container {parent} does not exist"));
        let switch_user = self.options.switch_user;
        let (framework, executor) = self.run_of(&id.root().value).ok_or_else(lost)?;
        let nest = self.nest_mut(id).ok_or_else(lost)?;
        let around = nest.get(&parent).map(|around| &around.state);
        match around {
            _ if parent.parent.is_none() => {}
            Some(NestedState::Running) => {}
            Some(NestedState::Launching(_) | NestedState::Ended(_)) | None => return Err(lost()),
        }
        let anew = match nest.get(id).map(|known| &known.state) {
            Some(NestedState::Launching(_) | NestedState::Running) => return Ok(Some(done(202))),
            Some(NestedState::Ended(_)) => nest.remove(id),
            None => Vec::new(),
        };
        let root = &id.root().value;
        if nest.live() >= MAX_LIVE {
            let why = format!("Container {root} has {MAX_LIVE} nested containers already");
            return Err((400, why));
        }
        if nest.untold() >= MAX_ENDED {
            let ended = format!("{MAX_ENDED} nested containers that ended");
            let why = format!("Container {root} has {ended}, and nobody asked how");
            return Err((400, why));
        }
        let around = nest.get(&parent).map(|around| around.user.clone());
        let parents = around.clone().flatten();
        if switch_user && around.is_some() && parents.is_none() && command.user.is_none() {
            // It was launched by an agent before this one. The executor's user may be another.
            let why = format!("The user of {parent} is not known any more: command.user: missing");
            return Err((400, why));
        }
        let known = self.frameworks.get(&framework);
        let run = known.and_then(|known| Some((known, known.executors.get(&executor)?)));
        let (known, run) = run.ok_or_else(lost)?;
        let user = command.user.clone().or(parents);
        let user = user.unwrap_or_else(|| run.user(&known.info));
        let user = switch_user.then_some(user);
        let root = run.directory.clone();
        let launched = run.launched;
        for id in anew {
            self.effect(Effect::RemoveContainer(id));
        }
        let state = NestedState::Launching(asker.clone());
        let nested = Nested::new(id.clone(), user.clone(), state);
        let place = (framework.as_str(), executor.as_str());
        let effects = self.launch_effects(place, wanted, user, root);
        let Some(nest) = self.nest_mut(&nested.id) else {
            return Err((500, "Unknown root container".to_owned()));
        };
        if launched {
            nest.insert(nested);
            self.effects.extend(effects);
        } else {
            nest.hold(&nested.id, effects);
            nest.insert(nested);
        }
        Ok(None)
    }

    /// Has a nested container of this framework and executor launched.
    fn launch_effects(
        &self,
        (framework, executor): (&str, &str),
        wanted: Wanted,
        user: Option<String>,
        root: PathBuf,
    ) -> [Effect; 2] {
        let directory = root.join(nested::sandbox(&wanted.id));
        let sandbox = Sandbox {
            container: wanted.id.to_string(),
            directory: directory.clone(),
            latest: None,
            within: Some(root),
            owner: user.clone(),
        };
        let Wanted {
            id,
            command,
            container,
            resources,
            limits,
        } = wanted;
        let launch = Launch {
            container_id: id,
            command: CommandInfo {
                environment: Some(environment(&command, &directory)),
                ..command
            },
            container,
            resources,
            limits,
            directory: directory.display().to_string(),
            user,
            builtin_executor: None,
            framework_id: super::framework_id(framework),
            executor_id: super::executor_id(executor),
            observer: Some(self.myself.to_string()),
        };
        [Effect::Sandbox(sandbox), Effect::Launch(Box::new(launch))]
    }

    /// The containerizer answered the launch of a nested container.
    pub(super) fn launched_nested(&mut self, id: &ContainerId, launched: Result<Launched, String>) {
        let (pid, failed) = match &launched {
            Ok(Launched { pid, error, .. }) => (*pid, error.clone()),
            Err(error) => (None, Some(error.clone())),
        };
        let unsure = launched.is_err();
        let nest = self.nest_mut(id);
        let Some(nested) = nest.and_then(|nest| nest.get_mut(id)) else {
            // Its executor ended while the launch went on.
            if failed.is_none() || unsure {
                self.effect(Effect::KillContainer(id.clone(), SIGKILL));
            }
            return;
        };
        let NestedState::Launching(asker) = &nested.state else {
            return;
        };
        let asker = asker.clone();
        let Some(error) = failed else {
            nested.state = NestedState::Running;
            nested.pid = pid;
            self.answer(&asker, done(200));
            return;
        };
        let waiters = std::mem::take(&mut nested.waiters);
        if let Some(nest) = self.nest_mut(id) {
            nest.take(id);
        }
        self.note(Note::LaunchFailed {
            container: id.to_string(),
            error: error.clone(),
        });
        if unsure {
            // Nobody knows what of it is there.
            self.effect(Effect::KillContainer(id.clone(), SIGKILL));
        }
        // As by Mesos, its end has no status then.
        let end = Terminated {
            message: Some(format!("Failed to launch container: {error}")),
            ..Terminated::default()
        };
        self.refuse_operation(&asker, (400, error));
        for waiter in waiters {
            self.answer(&waiter.asker, ended(&end, waiter.nested_form));
        }
    }

    fn wait_nested(
        &mut self,
        id: &ContainerId,
        waiter: Waiter,
    ) -> Result<Option<AgentOperated>, Refused> {
        let nest = self.nest_mut(id).ok_or_else(|| not_found(id))?;
        let nested = nest.get_mut(id).ok_or_else(|| not_found(id))?;
        if let NestedState::Ended(end) = &nested.state {
            nested.told = true;
            return Ok(Some(ended(end, waiter.nested_form)));
        }
        let mut pushed_out = None;
        if nested.waiters.len() >= MAX_WAITING {
            // One that may be gone without anybody having told makes room.
            match nested.waiters.iter().position(|old| !old.is_linked()) {
                Some(place) => pushed_out = Some(nested.waiters.remove(place)),
                None => return Err(too_many(id)),
            }
        }
        let link = waiter.is_linked().then(|| waiter.asker.clone());
        nested.waiters.push(waiter);
        if let Some(to) = link {
            self.effect(Effect::Link(to));
        }
        if let Some(old) = pushed_out {
            self.refuse_operation(&old.asker, too_many(id));
        }
        Ok(None)
    }

    fn kill_nested(
        &mut self,
        id: &ContainerId,
        signal: i32,
    ) -> Result<Option<AgentOperated>, Refused> {
        let state = self
            .nest_mut(id)
            .and_then(|nest| nest.get(id))
            .map(|nested| &nested.state);
        let has_process = match state {
            Some(NestedState::Running) => true,
            Some(NestedState::Launching(_)) => false,
            Some(NestedState::Ended(_)) | None => {
                let why = format!("Container '{id}' cannot be found (or is already killed)");
                return Err((404, why));
            }
        };
        if !(0..=SIGNAL_MAX).contains(&signal) {
            let why = "Unable to send signal to container: Invalid argument".to_owned();
            return Err((500, why));
        }
        // Signal 0 asks only whether there is such a container.
        if signal == 0 {
            return Ok(Some(done(200)));
        }
        if let Some(given_up) = self.nest_mut(id).and_then(|nest| nest.give_up(id)) {
            self.tell_given_up(&given_up, &format!("Container {id} was killed"));
        } else {
            // What has no process yet that could take a signal is ended.
            let signal = if has_process { signal } else { SIGKILL };
            self.effect(Effect::KillContainer(id.clone(), signal));
        }
        Ok(Some(done(200)))
    }

    fn remove_nested(&mut self, id: &ContainerId) -> Result<Option<AgentOperated>, Refused> {
        let Some(nest) = self.nest_mut(id) else {
            return Err((500, "Unknown root container".to_owned()));
        };
        let state = nest.get(id).map(|nested| &nested.state);
        if let Some(NestedState::Launching(_) | NestedState::Running) = state {
            return Err((500, "Nested container has not terminated yet".to_owned()));
        }
        let removed = nest.remove(id);
        let root = self.run_of(&id.root().value);
        let sandbox = root.and_then(|(framework, executor)| {
            let run = self.executor(&framework, &executor)?;
            let (root, path) = (run.directory.clone(), nested::sandbox(id));
            Some(Effect::RemoveSandbox(root, path))
        });
        for id in removed {
            self.effect(Effect::RemoveContainer(id));
        }
        self.effects.extend(sandbox);
        Ok(Some(done(200)))
    }

    /// A nested container has ended: who waited for it is told.
    pub(super) fn nested_terminated(&mut self, terminated: Terminated) {
        let id = terminated.container_id.clone();
        let Some(nest) = self.nest_mut(&id) else {
            return;
        };
        let launching = match nest.get(&id).map(|nested| &nested.state) {
            Some(NestedState::Launching(asker)) => Some(asker.clone()),
            _ => None,
        };
        let waiters = nest.end(terminated.clone());
        let forgotten = nest.forget_oldest();
        for waiter in waiters {
            self.answer(&waiter.asker, ended(&terminated, waiter.nested_form));
        }
        if let Some(asker) = launching {
            // It has run, though the word of that has not come.
            self.answer(&asker, done(200));
        }
        for id in forgotten {
            self.effect(Effect::RemoveContainer(id));
        }
    }

    /// The executor's container has ended, and all in it with it.
    pub(super) fn forget_nested(&mut self, framework: &str, executor: &str) {
        let Some(executor) = self.executor_mut(framework, executor) else {
            return;
        };
        for nested in executor.nest.clear() {
            let parent = nested.id.parent.as_deref().cloned().unwrap_or_default();
            let why = format!("Parent container {parent} does not exist");
            self.tell_given_up(&nested, &why);
        }
    }

    /// Whoever had it launched, or waits for its end, will not hear of it any more.
    fn tell_given_up(&mut self, nested: &Nested, why: &str) {
        if let NestedState::Launching(asker) = &nested.state {
            self.refuse_operation(asker, (400, why.to_owned()));
        }
        for waiter in &nested.waiters {
            self.refuse_operation(&waiter.asker, not_found(&nested.id));
        }
    }

    /// These were found alive by an agent that has just started.
    pub(super) fn nested_recovered(&mut self, alive: &[ContainerId]) {
        for id in alive.iter().filter(|id| id.parent.is_some()) {
            // One that has ended meanwhile was told to have.
            if let Some(nest) = self.nest_mut(id)
                && nest.get(id).is_none()
            {
                nest.insert(Nested::new(id.clone(), None, NestedState::Running));
            }
        }
    }

    /// A process is gone: it waits for nothing any more.
    pub(super) fn forget_waiter(&mut self, pid: &Pid) {
        let known = self.frameworks.values_mut();
        for executor in known.flat_map(|known| known.executors.values_mut()) {
            executor.nest.forget_asker(pid);
        }
    }

    fn answer(&mut self, to: &Pid, answer: AgentOperated) {
        let message = Outbound::Operated(Box::new(answer));
        self.effect(Effect::Send(to.clone(), message));
    }

    fn refuse_operation(&mut self, to: &Pid, (status, problem): Refused) {
        let answer = AgentOperated {
            status,
            problem: Some(problem),
            response: None,
        };
        self.answer(to, answer);
    }
}

fn not_found(id: &ContainerId) -> Refused {
    (404, format!("Container {id} cannot be found"))
}

fn too_many(id: &ContainerId) -> Refused {
    let why = format!("{MAX_WAITING} wait for the end of container {id} already");
    (503, why)
}

fn done(status: u32) -> AgentOperated {
    AgentOperated {
        status,
        problem: None,
        response: None,
    }
}

/// How a container ended, as the form of the question wants it told.
fn ended(end: &Terminated, nested_form: bool) -> AgentOperated {
    let Terminated {
        status: exit_status,
        state,
        reason,
        ..
    } = *end;
    let limitation = limitation(&end.limited_resources);
    let message = end.message.clone();
    let mut response = Response::default();
    if nested_form {
        response.r#type = Some(response::Type::WaitNestedContainer as i32);
        response.wait_nested_container = Some(response::WaitNestedContainer {
            exit_status,
            state,
            reason,
            limitation,
            message,
        });
    } else {
        response.r#type = Some(response::Type::WaitContainer as i32);
        response.wait_container = Some(response::WaitContainer {
            exit_status,
            state,
            reason,
            limitation,
            message,
        });
    }
    AgentOperated {
        response: Some(response),
        ..done(200)
    }
}

/// What the command of a nested container sees: nothing of the agent's environment nor of the
/// executor's, as in Mesos.
fn environment(command: &CommandInfo, directory: &Path) -> Environment {
    let variable = |name: &str, value: String| Variable {
        name: name.to_owned(),
        value: Some(value),
        r#type: Some(variable::Type::Value as i32),
        ..Variable::default()
    };
    let mut variables = vec![
        variable("MESOS_SANDBOX", directory.display().to_string()),
        variable("PATH", DEFAULT_PATH.to_owned()),
    ];
    for own in command.environment.iter().flat_map(|it| &it.variables) {
        variables.retain(|variable| variable.name != own.name);
        variables.push(variable(&own.name, own.value().to_owned()));
    }
    Environment { variables }
}
