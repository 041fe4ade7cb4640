//! Blocking work that is not on record: counted by the threads of the runtime that do not stop.

use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::leak::record::session::Session;
use crate::leak::record::thread_count::ThreadCount;

/// How often is looked at threads that have not stopped in time, a millisecond apart: on a busy
/// machine all of it may have passed before one of them got a processor.
const LOOKS: usize = 20;

/// How much blocking work is left that is not on record, when the runtime has been shut down and had
/// time to stop its threads.
///
/// A thread that has not stopped is in a closure, or in a poll or the drop of a task: all other tasks
/// are gone. In builds with hooks it is also seen how many closures wait for a thread.
pub(crate) fn unseen_work(threads: &ThreadCount, runtime: &Handle, session: &Session) -> usize {
    let look = || {
        let on_record = session.at_work();
        let threads = threads.now();
        let queued = queue_depth(runtime).saturating_sub(on_record.queued);
        threads.saturating_sub(on_record.running) + queued
    };
    for _ in 0..LOOKS {
        // Whoever waits, waits for a thread that is busy.
        if threads.now() == 0 || look() == 0 {
            return 0;
        }
        thread::sleep(Duration::from_millis(1));
    }
    look()
}

#[cfg(tokio_unstable)]
fn queue_depth(runtime: &Handle) -> usize {
    runtime.metrics().blocking_queue_depth()
}

#[cfg(not(tokio_unstable))]
fn queue_depth(_: &Handle) -> usize {
    0
}
