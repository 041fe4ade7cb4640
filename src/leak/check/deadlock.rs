//! Detects that a test can never end.

use std::thread;
use std::time::{Duration, Instant};

use crate::leak::check::scope::Scope;
use crate::leak::record::task::Task;
use crate::leak::record::thread_count::ThreadCount;
use crate::leak::report::Report;
use crate::leak::report::findings::Ending;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::lock_state::LockState;
use crate::trace::symbols::Symbols;
use crate::trace::wait::Wait;

/// Returns a report if the probed body can never end: the clock is paused, and the body and all
/// tasks wait for each other. Returns `None` if any of them may still run.
///
/// The future has to run in the runtime of the check, which has one thread.
pub(crate) async fn find_deadlock(
    scope: &Scope,
    body: &Task,
    threads: &ThreadCount,
) -> Option<Report> {
    let (begun, clock) = (Instant::now(), tokio::time::Instant::now());
    // A clock that does not advance in a millisecond of real time is paused.
    while begun.elapsed() < Duration::from_millis(1) {
        thread::sleep(Duration::from_millis(1));
    }
    // Untracked tasks have no trace, and may wait for anything.
    if !clock.elapsed().is_zero() || scope.census.unseen() > 0 {
        return None;
    }
    scope.census.await_traces().await;
    // Blocking work may be about to wake a task.
    if threads.now() > 0 || scope.census.has_blocking() {
        return None;
    }
    let mut symbols = Symbols::default();
    let wait = body.wait(&mut symbols);
    let report = scope.with_tasks(Ending::Deadlocked { wait: wait.clone() }, &mut symbols);
    let mut waits = report.tasks().iter().map(LeakedTask::wait);
    let mut locks = report.locks().iter();
    let is_deadlock = wait.is_for_tasks()
        && waits.all(Wait::is_for_tasks)
        && report.unseen() == 0
        && !locks.any(LockState::may_be_released_elsewhere);
    is_deadlock.then_some(report)
}
