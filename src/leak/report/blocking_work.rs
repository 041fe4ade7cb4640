//! A `spawn_blocking` closure that outlived its test.

use std::time::{Duration, Instant};

use crate::leak::record::task::Task;
use crate::leak::report::spawned_by::{SpawnedBy, spawners};
use crate::trace::blocked::Blocked;
use crate::trace::place::Place;
use crate::trace::symbols::Symbols;

/// A `spawn_blocking` closure that outlived its test.
///
/// In the report of a test that hangs, it is a closure that had not returned when the report was made.
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
    blocked: Option<Blocked>,
    spawners: Vec<SpawnedBy>,
}

impl BlockingWork {
    /// Describes a tracked closure as of `now`.
    pub(crate) fn new(task: &Task, now: Instant, symbols: &mut Symbols) -> Self {
        Self {
            number: task.number,
            place: task.place(),
            is_queued: !task.has_begun(),
            age: now.saturating_duration_since(task.spawned),
            blocked: task.blocked(symbols),
            spawners: spawners(task),
        }
    }

    /// Returns the number of the closure in its runtime, from 1. Tasks share the same numbering.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns the place that called `spawn_blocking`.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns whether the closure had not started.
    ///
    /// A queued closure waits for a thread: all `max_blocking_threads` of the runtime are busy.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.is_queued
    }

    /// Returns the real time from the call to the report.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.age
    }

    /// Returns where the closure is, or `None` if it is queued or has just returned.
    #[must_use]
    pub fn blocked(&self) -> Option<&Blocked> {
        self.blocked.as_ref()
    }

    /// Returns the chain of spawners, the direct one first.
    #[must_use]
    pub fn spawned_by(&self) -> &[SpawnedBy] {
        &self.spawners
    }
}
