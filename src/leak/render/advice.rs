//! What to do about a report.

use std::fmt;

use crate::leak::render::blocking;
use crate::leak::report::Report;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::lock_state::LockState;
use crate::leak::report::verdict::Verdict;
use crate::trace::wait::Wait;

/// Says what to do about what the test fails by. The lines below its own are for what ranks lower.
pub(crate) fn write_advice(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    match report.verdict() {
        Verdict::Deadlocked { .. } => {
            f.write_str(DEADLOCKED)?;
            write_lock_line(f, report)
        }
        Verdict::Hung { .. } => {
            f.write_str(HUNG)?;
            write_lock_line(f, report)
        }
        Verdict::Late { .. } => f.write_str(LATE),
        Verdict::Stuck => f.write_str(STUCK),
        Verdict::Leaked => write_leaked(f, report),
        Verdict::Panicked => write_panicked(f, report),
        Verdict::BlockingLeaked => write_blocking(f, report),
        Verdict::ThreadsLeaked => f.write_str(THREADS_LEAKED),
        Verdict::LocksHeld => f.write_str(LOCKS_HELD),
        // Their reason says what to do.
        Verdict::NotRun(_) | Verdict::CheckFailed(_) => Ok(()),
    }
}

const DEADLOCKED: &str = "
All that is left waits for one another. What to do:
  take locks in the same order everywhere, and hold none while waiting for another task
  see that who is waited for is still there: a sender, a task that was aborted
  if a thread or another runtime is to answer, and takes a second: let the clock run, or use `spawn_blocking`";

const HUNG: &str = "
A test that waits for what never comes waits for ever. What to do:
  make sure that it is woken, also if an earlier step fails
  if it only needs more time: `timeout = \"..\"`";

const LATE: &str = "
It could not be given up in time: it was inside of one poll then, or came to its end just then. What
blocks its thread belongs in `spawn_blocking`. If it only needs more time: `timeout = \"..\"`";

const STUCK: &str = "
What to do:
  move what blocks a thread into `spawn_blocking`, and await that
  have what a `drop` waits for end before, by an `async fn` that the test awaits";

const THREADS_LEAKED: &str = "
A thread goes on when its `JoinHandle` is dropped, beside the next tests. What to do:
  give it a sign to stop, and `join()` it before the test ends: drop the sender, or set a flag
  or start it in `std::thread::scope`, which joins it";

const LOCKS_HELD: &str = "
Who waits for a lock that is never released waits for ever. What to do:
  drop the guard before the test ends, or call its `release()`
  keep no guard in a static, in a task that is left, or by `mem::forget`";

fn write_leaked(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let findings = report.findings();
    let waits_for_time = |task: &LeakedTask| match task.wait() {
        Wait::At(places) => places
            .iter()
            .any(|place| place.on().is_some_and(|on| on.starts_with("tokio::time"))),
        _ => false,
    };
    f.write_str(
        "
What outlives a test disturbs the next one. What to do:
  await the task's `JoinHandle` before the test ends, or `abort()` it and then await it",
    )?;
    if findings.tasks.iter().any(waits_for_time) {
        f.write_str("\n  give a task that sleeps in a loop a sign to stop: a `CancellationToken`")?;
    }
    if findings.tasks.iter().any(LeakedTask::is_background) {
        f.write_str(
            "\n  let the background task await something: only then can it be stopped for you",
        )?;
    } else {
        f.write_str(
            "\n  spawn a helper that is to run as long as the test by `straggler::background`",
        )?;
    }
    if blocking::total(findings) > 0 {
        f.write_str("\n  await blocking work, too: it cannot be stopped from outside")?;
    }
    write_thread_line(f, report)?;
    let files = findings.tasks.iter().map(|task| task.place().file());
    write_rule(f, report, files, findings.unseen, report.count())
}

fn write_panicked(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    f.write_str(
        "
A task that panics does not do its work, and only whoever awaits it finds out. What to do:
  fix what panics, or let the task return a `Result` that somebody looks at",
    )?;
    f.write_str(match report.test() {
        Some(_) => "\n  if the test is about panics: `#[straggler::test(panics = \"allow\")]`",
        None => "\n  if it is about panics: `LeakCheck::new().allow_panics()`",
    })
}

fn write_blocking(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let findings = report.findings();
    f.write_str(
        "
Blocking work cannot be stopped from outside: it goes on, beside the next tests. What to do:
  await its `JoinHandle` before the test ends
  give work that waits or loops a sign to stop: drop the sender, or set a flag
  if it only needs more time: `grace = \"..\"`",
    )?;
    write_thread_line(f, report)?;
    let files = findings.blocking.iter().map(|work| work.place().file());
    let count = blocking::total(findings) + findings.also_left;
    write_rule(f, report, files, findings.unseen_blocking, count)
}

/// Advises on threads where something else ranks higher.
fn write_thread_line(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    match report.threads() {
        [] => Ok(()),
        _ => f.write_str("\n  join threads, too: nothing else ends them before the process does"),
    }
}

/// Advises on locks where the test hangs and a lock may be why.
fn write_lock_line(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    if report.locks().iter().any(LockState::may_wait_for_itself) {
        f.write_str(
            "\n  a task that acquires a lock it already holds waits for itself: release it first",
        )?;
    }
    Ok(())
}

/// Names the rule that lets `count` things stay that were spawned in these files, `unseen` ones
/// among them.
fn write_rule<'a>(
    f: &mut fmt::Formatter<'_>,
    report: &Report,
    mut files: impl Iterator<Item = &'a str>,
    unseen: usize,
    count: usize,
) -> fmt::Result {
    let file = files.next();
    let file = file.filter(|file| unseen == 0 && files.all(|other| other == *file));
    f.write_str("\n  if it may stay: ")?;
    match (report.test(), file) {
        (Some(_), Some(file)) => write!(f, "`#[straggler::test(allow(\"{file}\"))]`"),
        (Some(_), None) => write!(f, "`#[straggler::test(allow = {count})]`"),
        (None, _) => write!(f, "`LeakCheck::new().allow({count})`"),
    }
}
