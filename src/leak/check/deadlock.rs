//! Detects that a test can never end.

use std::thread;
use std::time::{Duration, Instant};

use crate::leak::check::outsiders;
use crate::leak::check::watchdog::Watched;
use crate::leak::check::watched::RunningTest;
use crate::leak::record::task::Task;
use crate::leak::report::Report;
use crate::leak::report::findings::Ending;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::lock_state::LockState;
use crate::leak::report::verdict::Verdict;
use crate::trace::symbols::Symbols;
use crate::trace::wait::Wait;

/// Returns a report if the probed body can never end: the clock is paused, the body and all tasks
/// wait for each other, and nothing outside their runtime may end a wait. Returns `None` if any of
/// them may still run.
///
/// The future has to run in the runtime of the check, which has one thread.
pub(crate) async fn find_deadlock(test: &RunningTest, watched: &Watched) -> Option<Report> {
    let census = &test.scope.census;
    let (begun, clock) = (Instant::now(), tokio::time::Instant::now());
    // A clock that does not advance in a millisecond of real time is paused.
    while begun.elapsed() < Duration::from_millis(1) {
        thread::sleep(Duration::from_millis(1));
    }
    // Untracked tasks have no trace, and may wait for anything.
    if !clock.elapsed().is_zero() || census.unseen() > 0 {
        return None;
    }
    // A schedule that deadlocks is run again, so an outsider would have to interfere each time.
    // Asked before the answers, for which the check may start a thread itself.
    if !test.is_explored && outsiders::may_run(test) {
        return None;
    }
    census.await_wakeable_answers().await;
    // Blocking work may be about to wake a task.
    if test.threads.now() > 0 || census.has_blocking() {
        return None;
    }
    let report = watched.pause(|| listed(test));
    if !only_tasks_can_end(&report) {
        return None;
    }
    let tasks = census.tasks();
    if !tasks.iter().any(|task| task.is_unwakeable()) {
        return Some(report);
    }
    // These were spared so far. The test has failed, so they may be asked whether they were ready.
    let spared = tasks.iter().filter(|task| task.is_unwakeable());
    spared.for_each(|task| Task::probe(task));
    census.await_answers().await;
    Some(watched.pause(|| listed(test)))
}

fn listed(test: &RunningTest) -> Report {
    let mut symbols = Symbols::default();
    let wait = test.body.wait(&mut symbols);
    test.scope
        .with_tasks(Ending::Deadlocked { wait }, &mut symbols)
}

/// Returns whether everything in the report of a test that did not end waits for something that only
/// a task can bring about.
pub(crate) fn only_tasks_can_end(report: &Report) -> bool {
    let Some(Verdict::Deadlocked { wait } | Verdict::Hung { wait, .. }) = report.ending() else {
        return false;
    };
    let mut waits = report.tasks().iter().map(LeakedTask::wait);
    let mut locks = report.locks().iter();
    wait.is_for_tasks()
        && waits.all(Wait::is_for_tasks)
        && report.unseen() == 0
        && report.blocking().is_empty()
        && !locks.any(LockState::may_be_released_elsewhere)
}
