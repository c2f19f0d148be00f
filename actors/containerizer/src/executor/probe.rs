//! How a check is carried out in the container: a command, a request, a connection. It blocks, and
//! knows nothing of when that is done or what comes of it: the core decides that.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use tepui_protocol::mesos::v1::CommandInfo;
use ureq::config::AutoHeaderValue;
use ureq::http::header;
use ureq::tls::TlsConfig;
use url::Url;

use crate::executor::checks::{Outcome, Request};
use crate::executor::task;
use crate::kernel::{fetch, tree};

/// As many redirects are followed, as curl does.
const REDIRECTS_MAX: u32 = 50;
/// How much later than the core a request gives up by itself.
const SPARE: Duration = Duration::from_secs(1);

/// A check's command that runs.
#[derive(Debug)]
pub(crate) struct Running {
    /// Gone as soon as the kernel may give the number to another process.
    pid: Mutex<Option<i32>>,
}

impl Running {
    /// Starts a check's command as the task's was: in the sandbox and a session of its own. What
    /// it says goes to the sandbox' `stderr`.
    ///
    /// # Errors
    /// Why it could not be started.
    pub(crate) fn start(
        info: &CommandInfo,
        environment: &BTreeMap<OsString, OsString>,
    ) -> Result<(Running, Child), String> {
        let child = task::start_with(info, environment, |command: &mut Command| {
            let stderr = io::stderr().as_fd().try_clone_to_owned();
            command.stdout(stderr.map_or_else(|_| Stdio::null(), Stdio::from));
        })?;
        let pid = Mutex::new(i32::try_from(child.id()).ok());
        Ok((Running { pid }, child))
    }

    /// Waits for the end of the command.
    pub(crate) fn wait(&self, child: Child) -> Outcome {
        // First without reaping, so that whoever kills it meanwhile kills no other process.
        while waitid(
            Id::Pid(nix::unistd::Pid::from_raw(child.id().cast_signed())),
            WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT,
        ) == Err(Errno::EINTR)
        {}
        let mut pid = self.pid.lock().unwrap_or_else(PoisonError::into_inner);
        *pid = None;
        match task::wait(child) {
            Ok(status) => Outcome::Ended(status),
            Err(error) => Outcome::Failed(format!("failed to wait for the command: {error}")),
        }
    }

    /// Kills all of its processes, if it still runs.
    pub(crate) fn kill(&self) {
        let pid = self.pid.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = *pid {
            tree::signal_tree(pid, libc::SIGKILL);
        }
    }
}

/// Carries out a check that asks by network.
pub(crate) fn by_network(request: &Request, timeout: Option<Duration>) -> Outcome {
    match request {
        Request::Http(url) => get(url, timeout),
        Request::Tcp(endpoint) => connect(endpoint, timeout),
        Request::Command(_) => Outcome::Failed("a command is not asked by network".to_owned()),
    }
}

/// Connects to `ip:port`, and hangs up.
fn connect(endpoint: &str, timeout: Option<Duration>) -> Outcome {
    let address: SocketAddr = match endpoint.parse() {
        Ok(address) => address,
        Err(error) => return Outcome::Failed(format!("'{endpoint}': {error}")),
    };
    let stream = match timeout {
        Some(timeout) => TcpStream::connect_timeout(&address, timeout.saturating_add(SPARE)),
        None => TcpStream::connect(address),
    };
    Outcome::Connected(stream.is_ok())
}

/// Gets `url` as Mesos has curl do: whoever answers over https is believed, redirects are followed,
/// and the body is read to its end.
fn get(url: &str, timeout: Option<Duration>) -> Outcome {
    match try_get(url, timeout.map(|timeout| timeout.saturating_add(SPARE))) {
        Ok(status) => Outcome::Answered(status),
        Err(problem) => Outcome::Failed(problem),
    }
}

fn try_get(url: &str, timeout: Option<Duration>) -> Result<u16, String> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_idle_connections(0)
        .accept_encoding(AutoHeaderValue::None)
        .user_agent("tepui-executor")
        // The task is asked, and not a proxy that its environment names.
        .proxy(None)
        .timeout_global(timeout)
        .tls_config(TlsConfig::builder().disable_verification(true).build())
        .build()
        .new_agent();
    // What a URL cannot have as it is gets encoded.
    let parsed = Url::parse(url).map_err(|error| format!("'{url}': {error}"))?;
    let mut url = String::from(parsed);
    for _ in 0..=REDIRECTS_MAX {
        let asked = agent.get(&url).call();
        let mut response = asked.map_err(|error| error.to_string())?;
        let mut body = response.body_mut().as_reader();
        let read = io::copy(&mut body, &mut io::sink());
        read.map_err(|error| format!("the answer broke off: {error}"))?;
        let status = response.status().as_u16();
        let location = response.headers().get(header::LOCATION);
        let elsewhere = matches!(status, 301..=303 | 307 | 308);
        let Some(location) = location.filter(|_| elsewhere) else {
            return Ok(status);
        };
        url = fetch::redirected(&url, &String::from_utf8_lossy(location.as_bytes()))?;
    }
    Err(format!(
        "the server redirects more than {REDIRECTS_MAX} times"
    ))
}

#[cfg(test)]
mod tests;
