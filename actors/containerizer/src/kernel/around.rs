//! The namespaces of the container around another one, as its init has them. They are opened by the
//! agent, which knows that init, and entered by the `contain` role and the new init.

use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use crate::kernel::identity::ProcessIdentity;
use crate::launch::Namespaces;

/// What a container enters before it gets anything of its own: nothing, where it is in no other.
#[derive(Debug, Default)]
pub(crate) struct Around {
    pub(crate) enters: Namespaces,
    /// One for each that is entered, in the order of the fields.
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Around {
    /// Opens what a process is in and we are not, but for what the container has of its own and
    /// nobody has to go through.
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) fn of(init: &ProcessIdentity, own: Namespaces) -> Result<Around, String> {
        let gone = |error: &str| format!("the parent's init {} is gone: {error}", init.pid);
        let mut around = Around::default();
        let mut open = |name: &str| {
            let its = File::open(format!("/proc/{}/ns/{name}", init.pid))?;
            let other = is_other(&its.metadata()?, name)?;
            if other {
                around.descriptors.push(its.into());
            }
            std::io::Result::Ok(other)
        };
        let mut enter = |name| open(name).map_err(|error| gone(&error.to_string()));
        let enters = Namespaces {
            // One of its own is made below the parent's.
            pid: enter("pid")?,
            ipc: !own.ipc && enter("ipc")?,
            // One of its own begins as a copy of the parent's.
            mount: enter("mnt")?,
        };
        // What is open cannot change its meaning; what its pid means could have, until now.
        if !init.exists() {
            return Err(gone("another has its pid"));
        }
        around.enters = enters;
        Ok(around)
    }
}

fn is_other(its: &Metadata, name: &str) -> std::io::Result<bool> {
    let own = std::fs::metadata(format!("/proc/self/ns/{name}"))?;
    Ok((its.dev(), its.ino()) != (own.dev(), own.ino()))
}
