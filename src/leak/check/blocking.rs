//! Counts untracked blocking work, by the threads of the runtime that do not stop.

use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::leak::record::session::Session;
use crate::leak::record::thread_count::ThreadCount;

/// How often to recount threads that have not stopped, a millisecond apart. On a busy machine the
/// whole shutdown may pass before an idle thread gets a processor to stop on.
const LOOKS: usize = 20;

/// Returns how much untracked blocking work is left after the runtime has shut down.
///
/// A thread that has not stopped runs a closure, or polls or drops a task: the shutdown has dropped
/// all other tasks. Closures that wait for a thread are counted only with `--cfg tokio_unstable`.
pub(crate) fn unseen_work(threads: &ThreadCount, runtime: &Handle, session: &Session) -> usize {
    let count = || {
        let recorded = session.at_work();
        let threads = threads.now();
        let queued = queue_depth(runtime).saturating_sub(recorded.queued);
        threads.saturating_sub(recorded.running) + queued
    };
    for _ in 0..LOOKS {
        // Without threads nothing is queued either: a closure waits only while all threads are
        // busy.
        if threads.now() == 0 || count() == 0 {
            return 0;
        }
        thread::sleep(Duration::from_millis(1));
    }
    count()
}

#[cfg(tokio_unstable)]
fn queue_depth(runtime: &Handle) -> usize {
    runtime.metrics().blocking_queue_depth()
}

#[cfg(not(tokio_unstable))]
fn queue_depth(_: &Handle) -> usize {
    0
}
