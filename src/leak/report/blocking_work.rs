//! Blocking work that outlived its test.

use std::time::{Duration, Instant};

use crate::leak::record::task::Task;
use crate::leak::report::spawned_by::{SpawnedBy, spawners};
use crate::trace::place::Place;

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
    pub(crate) fn new(task: &Task, now: Instant) -> Self {
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
