//! The scheduler of `tepui run`: gives offers and updates to the core and carries its effects out.

use std::{path::PathBuf, sync::Arc};

use tepui_framework::{Driver, Scheduler};
use tepui_protocol::mesos::v1::{FrameworkId, MasterInfo, Offer, TaskStatus};
use tepui_runtime::ProcessRef;
use tokio::sync::oneshot;

use super::{
    core::{Effect, Run},
    pump::Pump,
};

/// Finds the sandbox of the executor that an update comes from.
pub(crate) type FindSandbox =
    Arc<dyn Fn(&FrameworkId, &TaskStatus) -> Option<PathBuf> + Send + Sync>;

/// The scheduler.
pub(crate) struct RunScheduler {
    run: Run,
    pump: ProcessRef<Pump>,
    sandbox: FindSandbox,
    /// Told the exit status once all is over.
    done: Option<oneshot::Sender<u8>>,
}

impl RunScheduler {
    pub(crate) fn new(
        run: Run,
        pump: ProcessRef<Pump>,
        sandbox: FindSandbox,
        done: oneshot::Sender<u8>,
    ) -> Self {
        Self {
            run,
            pump,
            sandbox,
            done: Some(done),
        }
    }

    /// The user wants it to end, with this exit status.
    pub(crate) fn interrupt(&mut self, driver: &mut Driver<'_>, status: u8) {
        let effects = self.run.interrupt(status);
        self.perform(driver, effects);
    }

    /// The cluster cannot go on.
    pub(crate) fn fail(&mut self, driver: &mut Driver<'_>, problem: &str) {
        let effects = self.run.failed(problem);
        self.perform(driver, effects);
    }

    fn perform(&mut self, driver: &mut Driver<'_>, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Launch { offer, tasks } => driver.launch(&offer, tasks),
                Effect::Decline(offers) => {
                    driver.decline_with(offers.into_iter().map(|offer| offer.id).collect(), None);
                }
                Effect::Suppress => driver.suppress(Vec::new()),
                Effect::Kill { task_id, agent_id } => driver.kill(task_id, Some(agent_id), None),
                Effect::Follow { instance, status } => self.follow(driver, instance, &status),
                Effect::Say(line) => self.pump.dispatch(move |pump, ctx| pump.say(line, ctx)),
                Effect::Finish(status) => {
                    if let Some(done) = self.done.take() {
                        let _gone = done.send(status);
                    }
                }
            }
        }
    }

    fn follow(&self, driver: &Driver<'_>, instance: usize, status: &TaskStatus) {
        let sandbox = driver
            .framework_id()
            .and_then(|id| (self.sandbox)(id, status));
        if let Some(sandbox) = sandbox {
            self.pump
                .dispatch(move |pump, ctx| pump.follow(instance, &sandbox, ctx));
        }
    }
}

impl Scheduler for RunScheduler {
    fn subscribed(
        &mut self,
        driver: &mut Driver<'_>,
        framework_id: &FrameworkId,
        _master: Option<&MasterInfo>,
    ) {
        let effects = self.run.subscribed(framework_id);
        self.perform(driver, effects);
    }

    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        let effects = self.run.offered(offers);
        self.perform(driver, effects);
    }

    fn update(&mut self, driver: &mut Driver<'_>, status: TaskStatus) {
        let effects = self.run.updated(&status);
        self.perform(driver, effects);
    }

    fn error(&mut self, driver: &mut Driver<'_>, message: String) {
        self.fail(driver, &format!("the master says: {message}"));
    }
}
