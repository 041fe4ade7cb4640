//! Advice on code that blocks its thread, based on what blocks it.

use crate::leak::report::Report;
use crate::leak::report::blocking_work::BlockingWork;
use crate::trace::blocked::{Blocked, Blocker};
use crate::trace::wait::Wait;

pub(super) const UNBLOCK: &str =
    "move the blocking call into `spawn_blocking` and await that, or make an async call";

/// What to do about code that blocks a thread of the runtime.
pub(super) fn unblock(by: Blocker) -> &'static str {
    match by {
        Blocker::Lock => {
            "release the lock that it waits for: drop its guard before an `.await`, or use \
             `tokio::sync::Mutex`"
        }
        Blocker::Channel => {
            "use a channel of `tokio::sync`, or move the call into `spawn_blocking` and await that"
        }
        Blocker::Sleep => "await `tokio::time::sleep` in place of `std::thread::sleep`",
        Blocker::BlockOn => "await the future in place of calling `block_on`",
        Blocker::Thread => {
            "wait for the thread in `spawn_blocking` and await that, or let it answer through a \
             `tokio::sync::oneshot`"
        }
        Blocker::Io => {
            "use tokio's I/O (`tokio::net`, `tokio::fs`, `tokio::process`), or move the call into \
             `spawn_blocking` and await that"
        }
        Blocker::Busy => {
            "let the loop await something, such as `tokio::task::yield_now()`, or move the computation \
             into `spawn_blocking` and await that"
        }
        Blocker::Other | Blocker::Unknown => UNBLOCK,
    }
}

/// How to make a `spawn_blocking` closure return.
pub(super) fn let_return(by: Blocker) -> &'static str {
    match by {
        Blocker::Lock => "release the lock that it waits for",
        Blocker::Channel => "drop the other end of the channel that it waits for",
        Blocker::Sleep => {
            "let it wait with `recv_timeout` in place of `sleep`, and drop the sender at the end of the test"
        }
        Blocker::BlockOn => "end the future that its `block_on` runs, with a `CancellationToken`",
        Blocker::Thread => "let the thread that it waits for end, or unpark it",
        Blocker::Io => "close the other end of what it reads or writes, or set a timeout there",
        Blocker::Busy => "let it check a flag in its loop, and set the flag at the end of the test",
        Blocker::Other | Blocker::Unknown => "drop its sender, or set a flag that it checks",
    }
}

/// What the closures of a report are blocked by.
pub(super) fn closure_blocker(report: &Report) -> Blocker {
    let blocked = report.blocking().iter().filter_map(BlockingWork::blocked);
    let unseen = report.findings().unseen_blocked.iter();
    alike(blocked.chain(unseen).map(Blocked::by))
}

/// What the tasks of a report that block their threads are blocked by.
pub(super) fn blockers(report: &Report) -> impl Iterator<Item = Blocker> {
    report.tasks().iter().filter_map(|task| match task.wait() {
        Wait::Blocks(blocked) => Some(blocked.by()),
        _ => None,
    })
}

/// What they all are blocked by, if it is the same.
pub(super) fn alike(mut blockers: impl Iterator<Item = Blocker>) -> Blocker {
    let first = blockers.next().unwrap_or(Blocker::Unknown);
    if blockers.all(|other| other == first) {
        first
    } else {
        Blocker::Unknown
    }
}
