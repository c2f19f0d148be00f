//! The messages that an agent takes; each becomes an input of the core.

use tepui_protocol::mesos::internal::{
    AgentRegistered, AgentReregistered, FrameworkToExecutor, KillTask, PingAgent, RunTask,
    RunTaskGroup, Shutdown, ShutdownExecutor, ShutdownFramework, StatusUpdateAcknowledgement,
    UpdateFramework,
};
use tepui_protocol::mesos::v1::executor::Call;
use tepui_protocol::tepui::containerizer::Terminated;
use tepui_protocol::tepui::operator::OperateAgent;
use tepui_runtime::{Context, Declaration, Handle, Pid, Process};

use super::AgentProcess;
use crate::checkpoint::read;
use crate::core::{FromMaster, Input};

impl Process for AgentProcess {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration
            .message::<AgentRegistered>()
            .message::<AgentReregistered>()
            .message::<PingAgent>()
            .message::<RunTask>()
            .message::<RunTaskGroup>()
            .message::<KillTask>()
            .message::<ShutdownFramework>()
            .message::<ShutdownExecutor>()
            .message::<Shutdown>()
            .message::<UpdateFramework>()
            .message::<StatusUpdateAcknowledgement>()
            .message::<FrameworkToExecutor>()
            .message::<Call>()
            .inward::<OperateAgent>()
            .inward::<Terminated>();
    }

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        ctx.link(&self.containerizer);
        let disk = ctx.disk();
        let paths = self.paths.clone();
        ctx.blocking(
            move || read::read(&*disk, &paths),
            |agent, state, ctx| match state {
                Ok(state) => agent.feed(Input::Recovered(Box::new(state)), ctx),
                Err(error) => agent.end(Err(error.to_string()), ctx),
            },
        );
    }

    fn exited(&mut self, pid: &Pid, ctx: &mut Context<'_, Self>) {
        if *pid == self.containerizer {
            self.end(Err(format!("the containerizer {pid} is gone")), ctx);
        } else {
            self.feed(Input::Exited(pid.clone()), ctx);
        }
    }
}

/// Messages of the master.
macro_rules! from_master {
    ($($message:ident => $input:expr),* $(,)?) => {$(
        impl Handle<$message> for AgentProcess {
            fn handle(&mut self, message: $message, ctx: &mut Context<'_, Self>) {
                let from = ctx.sender().clone();
                let wrap: fn($message) -> FromMaster = $input;
                self.feed(Input::Master(from, wrap(message)), ctx);
            }
        }
    )*};
}

from_master! {
    AgentRegistered => FromMaster::Registered,
    AgentReregistered => FromMaster::Reregistered,
    PingAgent => FromMaster::Ping,
    RunTask => |message| FromMaster::RunTask(Box::new(message)),
    RunTaskGroup => |message| FromMaster::RunTaskGroup(Box::new(message)),
    KillTask => FromMaster::KillTask,
    ShutdownFramework => FromMaster::ShutdownFramework,
    ShutdownExecutor => FromMaster::ShutdownExecutor,
    Shutdown => FromMaster::Shutdown,
    UpdateFramework => |message| FromMaster::UpdateFramework(Box::new(message)),
    StatusUpdateAcknowledgement => FromMaster::Acknowledgement,
    FrameworkToExecutor => FromMaster::Message,
}

impl Handle<Call> for AgentProcess {
    fn handle(&mut self, call: Call, ctx: &mut Context<'_, Self>) {
        let from = ctx.sender().clone();
        self.feed(Input::Executor(from, call), ctx);
    }
}

impl Handle<OperateAgent> for AgentProcess {
    fn handle(&mut self, message: OperateAgent, ctx: &mut Context<'_, Self>) {
        let from = ctx.sender().clone();
        self.feed(Input::Operate(from, Box::new(message.call)), ctx);
    }
}

impl Handle<Terminated> for AgentProcess {
    fn handle(&mut self, terminated: Terminated, ctx: &mut Context<'_, Self>) {
        if *ctx.sender() == self.containerizer {
            self.feed(Input::Terminated(terminated), ctx);
        } else {
            let container = terminated.container_id.value;
            tracing::warn!(container, from = %ctx.sender(), "not the containerizer's word");
        }
    }
}
