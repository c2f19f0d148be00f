//! The two ways in which a container tells that it is over: its init ends, or its memory does.

use std::sync::Arc;

use tepui_runtime::ProcessRef;

use super::{Ctx, Kernel};
use crate::core::{Figures, Input};
use crate::kernel::launcher::Launcher;
use crate::kernel::watcher::{Watch, Watcher};
use crate::process::Containerizer;

/// Watches a container's init and its memory. None where the init is gone.
pub(super) fn watch(
    launcher: &Launcher,
    watcher: &Watcher,
    id: &str,
    process: &ProcessRef<Containerizer<Kernel>>,
) -> Option<Vec<Watch>> {
    let pidfd = launcher.init(id)?.open()?;
    let mut watches: Vec<Watch> = watch_memory(launcher, watcher, id, process)
        .into_iter()
        .collect();
    if let Some(out_of_memory) = launcher.out_of_memory(id) {
        // It happened before anybody looked: under an earlier agent, or in the first moment.
        let (figures, id) = (Figures::from(out_of_memory), id.to_owned());
        process.dispatch(move |process, ctx| process.feed(Input::OutOfMemory { id, figures }, ctx));
    }
    let (process, of) = (process.clone(), id.to_owned());
    let told = move || {
        process.dispatch(move |process, ctx| process.feed(Input::Exited { id: of }, ctx));
    };
    match watcher.exit(pidfd, told) {
        Ok(watch) => watches.push(watch),
        Err(error) => {
            // Unwatched it would never end: it ends now.
            tracing::error!(container = id, %error, "it cannot be watched");
            return None;
        }
    }
    Some(watches)
}

/// Watches a container's memory, where it has any of its own.
fn watch_memory(
    launcher: &Launcher,
    watcher: &Watcher,
    id: &str,
    process: &ProcessRef<Containerizer<Kernel>>,
) -> Option<Watch> {
    let (version, cgroup) = launcher.memory(id)?;
    let (process, of) = (process.clone(), id.to_owned());
    let told = move || process.dispatch(move |process, ctx| memory_event(process, of, ctx));
    let watch = watcher.out_of_memory(version, &cgroup, told);
    watch
        .inspect_err(|error| tracing::warn!(container = id, %error, "memory is not watched"))
        .ok()
}

/// The kernel told that a container's memory is, or may be, used up.
fn memory_event(process: &mut Containerizer<Kernel>, id: String, ctx: &mut Ctx<'_>) {
    let (launcher, watcher) = (
        Arc::clone(&process.body.launcher),
        Arc::clone(&process.body.watcher),
    );
    let (myself, of) = (ctx.myself(), id.clone());
    ctx.blocking(
        move || {
            if let Some(out_of_memory) = launcher.memory_event(&of) {
                return Ok(out_of_memory);
            }
            // A lesser event; the next one may be the one, and may come while we look away.
            let watch = watch_memory(&launcher, &watcher, &of, &myself);
            match launcher.out_of_memory(&of) {
                Some(out_of_memory) => {
                    watch.into_iter().for_each(|watch| watcher.forget(watch));
                    Ok(out_of_memory)
                }
                None => Err(watch),
            }
        },
        move |process, event, ctx| match event {
            Ok(out_of_memory) => {
                let figures = Figures::from(out_of_memory);
                process.feed(Input::OutOfMemory { id, figures }, ctx);
            }
            Err(watch) => process.body.keep(id, watch),
        },
    );
}
