//! Threads for work that blocks: made when there is work and no thread waits, up to a bound, gone
//! again after ten seconds without any. Work beyond the bound waits in order.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const IDLE: Duration = Duration::from_secs(10);

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    threads: usize,
    waiting: usize,
    stopped: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
}

/// A bounded pool of threads.
pub(crate) struct Pool(Arc<Shared>);

impl Pool {
    pub(crate) fn new(limit: usize) -> Pool {
        let limit = limit.max(1);
        Pool(Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            limit,
        }))
    }

    /// Queues work. Work is not refused: its callers are processes, whose own mailboxes bound it.
    pub(crate) fn run(&self, work: Work) {
        let mut state = self.0.lock();
        if state.stopped {
            return;
        }
        state.queue.push_back(work);
        if state.queue.len() <= state.waiting {
            drop(state);
            self.0.changed.notify_one();
        } else if state.threads < self.0.limit {
            state.threads += 1;
            drop(state);
            let shared = Arc::clone(&self.0);
            let name = "tepui-blocking".to_owned();
            let spawned = std::thread::Builder::new()
                .name(name)
                .spawn(move || shared.serve());
            if let Err(error) = spawned {
                tracing::error!(%error, "cannot start a thread for blocking work");
                self.0.lock().threads -= 1;
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let left = {
            let mut state = self.0.lock();
            state.stopped = true;
            std::mem::take(&mut state.queue)
        };
        drop(left);
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.queue.pop_front() {
                drop(state);
                if catch_unwind(AssertUnwindSafe(work)).is_err() {
                    tracing::error!("blocking work panicked");
                }
                state = self.lock();
                continue;
            }
            if state.stopped {
                break;
            }
            state.waiting += 1;
            let (guard, timeout) = self
                .changed
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = guard;
            state.waiting -= 1;
            if timeout.timed_out() && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn no_more_threads_than_the_limit_work_at_once() {
        let pool = Pool::new(2);
        let (started, starts) = mpsc::channel();
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        for _ in 0..5 {
            let (started, gate) = (started.clone(), Arc::clone(&gate));
            pool.run(Box::new(move || {
                started.send(()).unwrap();
                let mut open = gate.0.lock().unwrap();
                while !*open {
                    open = gate.1.wait(open).unwrap();
                }
            }));
        }
        starts.recv().unwrap();
        starts.recv().unwrap();
        assert_eq!(pool.0.lock().threads, 2);
        assert_eq!(pool.0.lock().queue.len(), 3);
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        for _ in 0..3 {
            starts.recv().unwrap();
        }
    }

    #[test]
    fn a_panic_costs_no_thread() {
        let pool = Pool::new(1);
        let (sender, receiver) = mpsc::channel();
        pool.run(Box::new(|| panic!("on purpose")));
        pool.run(Box::new(move || sender.send(7).unwrap()));
        assert_eq!(receiver.recv().unwrap(), 7);
    }
}
