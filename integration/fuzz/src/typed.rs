//! JSON made into what its type is in another encoding, and that the three encodings agree on it.

use tepui_protocol::Schema;
use tepui_protocol::json;
use tepui_protocol::mesos::internal::{
    AgentRegistered, AgentReregistered, ExecutorToFramework, ExitedExecutor, FrameworkToExecutor,
    KillTask, PingAgent, PongAgent, RegisterAgent, ReregisterAgent, RunTask, RunTaskGroup,
    Shutdown, ShutdownExecutor, ShutdownFramework, StatusUpdateAcknowledgement,
    StatusUpdateMessage, UnregisterAgent, UpdateAgent, UpdateFramework,
};
use tepui_protocol::mesos::v1::{executor, scheduler};
use tepui_runtime::{Encoding, Message};

/// The bytes of a message that JSON says, if it says one.
///
/// # Panics
///
/// When what is written in an encoding is not read again as what it was.
pub fn encoded<M: Schema + Message + PartialEq>(
    text: &[u8],
    encoding: Encoding,
) -> Option<Vec<u8>> {
    let message: M = json::from_slice(text).ok()?;
    let bytes = Message::encode(&message, encoding).expect("what was read can be written");
    let again = <M as Message>::decode(encoding, &bytes).expect("what was written can be read");
    // What is no number is not equal to itself.
    let is_same = again == message || format!("{again:?}") == format!("{message:?}");
    assert!(
        is_same,
        "{encoding:?}: {message:?} is read again as {again:?}"
    );
    Some(bytes.to_vec())
}

/// As [`encoded`], for a message between nodes by its name.
pub fn message(name: &str, text: &[u8], encoding: Encoding) -> Option<Vec<u8>> {
    macro_rules! by_name {
        ($($type:ty),* $(,)?) => {
            $(if name == <$type as Message>::NAME {
                return encoded::<$type>(text, encoding);
            })*
        };
    }
    by_name!(
        AgentRegistered,
        AgentReregistered,
        ExecutorToFramework,
        ExitedExecutor,
        FrameworkToExecutor,
        KillTask,
        PingAgent,
        PongAgent,
        RegisterAgent,
        ReregisterAgent,
        RunTask,
        RunTaskGroup,
        Shutdown,
        ShutdownExecutor,
        ShutdownFramework,
        StatusUpdateAcknowledgement,
        StatusUpdateMessage,
        UnregisterAgent,
        UpdateAgent,
        UpdateFramework,
        executor::Call,
        scheduler::Call,
    );
    panic!("the corpus has a message {name}, which is not in this list");
}
