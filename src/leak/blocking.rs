//! Blocking work that outlives a test: on record if it is tracked, else told by the threads of the
//! runtime that do not stop.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::groups;
use super::place::Place;
use super::report::{Findings, SpawnedBy, Verdict, spawners};
use super::session::Session;
use super::task::Task;
use super::text::{Age, LISTED, SHADOW, write_numbers, write_rule, write_spawners};
use super::thread_count::ThreadCount;
use super::threads;

/// How often is looked at threads that have not stopped in time, a millisecond apart: on a busy
/// machine all of it may have passed before one of them got a processor.
const LOOKS: usize = 20;

/// Blocking work that outlived its test, or was at work when the test was given up: a closure of
/// `spawn_blocking`.
///
/// # Examples
///
/// ```
/// use std::sync::mpsc;
/// use std::time::{Duration, Instant};
///
/// use straggler::LeakCheck;
/// use straggler::leak::SpawnedBy;
/// use tokio::sync::oneshot;
///
/// let started = Instant::now();
/// let (stop, stopped) = mpsc::channel::<()>();
/// let check = LeakCheck::new().grace(Duration::ZERO);
/// let report = check.run(async {
///     let (begins, begun) = oneshot::channel();
///     straggler::spawn_blocking(move || {
///         begins.send(()).unwrap();
///         stopped.recv()
///     });
///     begun.await.unwrap();
/// });
/// drop(stop);
///
/// let report = report.unwrap_err();
/// let work = &report.blocking()[0];
/// assert_eq!((work.number(), work.is_queued()), (1, false));
/// assert_eq!(work.spawned_by(), [SpawnedBy::Test]);
/// assert!(work.place().file().ends_with(".rs"));
/// assert!(work.age() <= started.elapsed());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockingWork {
    number: usize,
    place: Place,
    is_queued: bool,
    age: Duration,
    spawners: Vec<SpawnedBy>,
}

impl BlockingWork {
    /// What is known of a closure on record `now`.
    pub(super) fn new(task: &Task, now: Instant) -> Self {
        Self {
            number: task.number,
            place: task.spawned_at.into(),
            is_queued: !task.has_begun(),
            age: now.saturating_duration_since(task.spawned),
            spawners: spawners(task),
        }
    }

    /// Returns the number of the closure in its runtime. Tasks are counted by the same numbers.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns where `spawn_blocking` was called.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns whether it had not begun yet, and waited for a thread: the runtime had as many as
    /// `max_blocking_threads` allows, all of them busy.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.is_queued
    }

    /// Returns the time from the call to the report, which is real time.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.age
    }

    /// Returns who spawned it, then who spawned that one, and so on.
    #[must_use]
    pub fn spawned_by(&self) -> &[SpawnedBy] {
        &self.spawners
    }
}

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

/// What is at work on the threads of a runtime, or waits for one, and is on record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AtWork {
    /// Closures, and tasks: when the runtime has been shut down these are in a poll or a drop.
    pub(crate) running: usize,
    /// Closures.
    pub(crate) queued: usize,
}

#[cfg(tokio_unstable)]
fn queue_depth(runtime: &Handle) -> usize {
    runtime.metrics().blocking_queue_depth()
}

#[cfg(not(tokio_unstable))]
fn queue_depth(_: &Handle) -> usize {
    0
}

/// How many closures a report speaks of.
pub(super) fn count(findings: &Findings) -> usize {
    findings.blocking.len() + findings.unseen_blocking
}

/// `` 1 `spawn_blocking` closure ``, `` 2 `spawn_blocking` closures ``.
pub(super) fn closures(count: usize) -> String {
    format!(
        "{count} `spawn_blocking` closure{}",
        if count == 1 { "" } else { "s" }
    )
}

/// Writes which closures are left, below what ranks higher.
pub(super) fn write_section(f: &mut fmt::Formatter<'_>, findings: &Findings) -> fmt::Result {
    let unseen = findings.unseen_blocking;
    match (count(findings), &findings.verdict) {
        (0, _) => return Ok(()),
        (_, Verdict::BlockingLeaked) => f.write_str("\n")?,
        (1, _) => write!(f, "\n\nbesides {} has not ended:\n", closures(1))?,
        (count, _) => write!(f, "\n\nbesides {} have not ended:\n", closures(count))?,
    }
    let groups = groups::of_blocking(&findings.blocking);
    for group in groups.iter().take(LISTED) {
        write_group(f, group)?;
    }
    if groups.len() > LISTED {
        let more: usize = groups[LISTED..].iter().map(Vec::len).sum();
        write!(f, "\n  and {more} more, spawned elsewhere")?;
    }
    if unseen == 0 {
        return Ok(());
    }
    let and = if groups.is_empty() { "" } else { "and " };
    match unseen {
        1 => write!(f, "\n  {and}1 that was not spawned through straggler")?,
        _ => write!(
            f,
            "\n  {and}{unseen} that were not spawned through straggler"
        )?,
    }
    match findings.may_be_tasks {
        0 => Ok(()),
        _ => f.write_str(
            "\n     (told by threads that do not stop: it may also be a task that blocks its thread)",
        ),
    }
}

/// Writes of closures that are alike where they were spawned, and how far they are.
pub(super) fn write_group(f: &mut fmt::Formatter<'_>, group: &[&BlockingWork]) -> fmt::Result {
    let first = group[0];
    write_numbers(f, "closures", group.iter().map(|work| work.number()))?;
    write!(f, " spawned at {}", first.place())?;
    write_spawners(f, first.spawned_by())?;
    let does = if first.is_queued() {
        "has waited for a thread"
    } else {
        "at work"
    };
    write!(f, "\n     {does} for {}", Age(first.age()))
}

/// Says how to see more of the closures that are left, unless it `is_said` of tasks.
pub(super) fn write_note(
    f: &mut fmt::Formatter<'_>,
    findings: &Findings,
    is_said: bool,
) -> fmt::Result {
    if findings.unseen_blocking == 0 {
        return Ok(());
    }
    if !is_said {
        write!(f, "\nTo see where `spawn_blocking` was called: {SHADOW}")?;
    }
    f.write_str(
        "
Blocking work that is spawned by the method of a `Handle` or in a dependency is only counted, and so
is tokio's own, for files, standard input and look-ups of names.
",
    )
}

/// Says what to do where nothing ranks higher than blocking work.
pub(super) fn write_advice(f: &mut fmt::Formatter<'_>, findings: &Findings) -> fmt::Result {
    f.write_str(
        "
Blocking work cannot be stopped from outside: it goes on, beside the next tests. What to do:
  await its `JoinHandle` before the test ends
  give work that waits or loops a sign to stop: drop the sender, or set a flag
  if it only needs more time: `grace = \"..\"`",
    )?;
    threads::write_advice(f, findings)?;
    let files = findings.blocking.iter().map(|work| work.place().file());
    let (unseen, count) = (findings.unseen_blocking, count(findings) + findings.besides);
    write_rule(f, findings, files, unseen, count)
}
