//! The actor that writes for `tepui run`: it follows the tasks' output in their sandboxes and says
//! the lines about them, so that all writing is in one order and none of it holds up the scheduler.
//!
//! ```text
//!   following --tick--> pumping --done--> following
//!       |                                    |
//!       +---------------- finish ------------+--> last pump --> told, ended
//! ```

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::Path,
    time::Duration,
};

use tepui_runtime::{Context, Declaration, Process};
use tokio::sync::oneshot;

use super::output::Output;

/// How often the sandboxes are looked at: short enough that output seems to come at once.
const TICK: Duration = Duration::from_millis(40);

/// Writes what comes.
pub(crate) struct Pump {
    /// By instance; empty while a pump is under way.
    outputs: BTreeMap<usize, Output>,
    /// Instances of which the output is known.
    followed: Vec<bool>,
    lines: Vec<String>,
    pumping: bool,
    /// No lines about tasks.
    quiet: bool,
    /// Who is told when the last was written.
    finish: Option<oneshot::Sender<()>>,
    /// Told once if stdout cannot be written any more.
    broken: Option<oneshot::Sender<()>>,
}

impl Pump {
    /// A pump for so many instances.
    pub(crate) fn new(instances: usize, quiet: bool, broken: oneshot::Sender<()>) -> Self {
        Self {
            outputs: BTreeMap::new(),
            followed: vec![false; instances],
            lines: Vec::new(),
            pumping: false,
            quiet,
            finish: None,
            broken: Some(broken),
        }
    }

    /// Says a line on stderr.
    pub(crate) fn say(&mut self, line: String, ctx: &mut Context<'_, Self>) {
        if !self.quiet {
            self.lines.push(line);
        }
        self.pump(ctx);
    }

    /// Follows the output of an instance in this sandbox; done once for each.
    pub(crate) fn follow(&mut self, instance: usize, sandbox: &Path, ctx: &mut Context<'_, Self>) {
        let several = self.followed.len() > 1;
        if let Some(followed) = self.followed.get_mut(instance)
            && !std::mem::replace(followed, true)
        {
            let prefix = several.then(|| format!("[{instance}] "));
            self.outputs.insert(instance, Output::new(sandbox, prefix));
            self.pump(ctx);
        }
    }

    /// Writes all that is there, tells `done`, and ends.
    pub(crate) fn finish(&mut self, done: oneshot::Sender<()>, ctx: &mut Context<'_, Self>) {
        self.finish = Some(done);
        self.pump(ctx);
    }

    fn pump(&mut self, ctx: &mut Context<'_, Self>) {
        if self.pumping {
            return;
        }
        self.pumping = true;
        let last = self.finish.is_some();
        let lines = std::mem::take(&mut self.lines);
        let mut outputs = std::mem::take(&mut self.outputs);
        let disk = ctx.disk();
        ctx.blocking(
            move || {
                let (mut stdout, mut stderr) = (io::stdout().lock(), io::stderr().lock());
                for line in lines {
                    // With stderr closed there is nobody to tell.
                    let _ = writeln!(stderr, "tepui: {line}");
                }
                let write =
                    |output: &mut Output| output.pump(&*disk, &mut stdout, &mut stderr, last);
                let written: io::Result<()> = outputs.values_mut().try_for_each(write);
                (outputs, written, last)
            },
            |pump, (outputs, written, last), ctx| pump.pumped(outputs, &written, last, ctx),
        );
    }

    fn pumped(
        &mut self,
        outputs: BTreeMap<usize, Output>,
        written: &io::Result<()>,
        last: bool,
        ctx: &mut Context<'_, Self>,
    ) {
        self.pumping = false;
        if written.is_ok() {
            self.outputs.extend(outputs);
        } else if let Some(broken) = self.broken.take() {
            let _gone = broken.send(());
        }
        if last {
            if let Some(done) = self.finish.take() {
                let _gone = done.send(());
            }
            ctx.terminate();
        } else if self.finish.is_some() || !self.lines.is_empty() {
            self.pump(ctx);
        }
    }
}

impl Process for Pump {
    fn declare(_declaration: &mut Declaration<Self>) {}

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        ctx.every(TICK, |pump, ctx| {
            if !pump.outputs.is_empty() {
                pump.pump(ctx);
            }
        });
    }
}
