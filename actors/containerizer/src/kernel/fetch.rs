//! The fetcher: brings the URIs of a command into its sandbox before the command starts. It is a
//! role of this binary, so that it runs as the task's user, and can be killed at any moment.
//! Nothing is cached: `cache` of a URI asks for speed only, and the log says that it had none.

mod archive;
mod http;
pub(crate) mod process;
pub(crate) mod role;
mod sandbox;
mod uri;

pub(crate) use self::http::redirected;
