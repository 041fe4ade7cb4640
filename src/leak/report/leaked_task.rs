//! A task that outlived its test.

use std::time::{Duration, Instant};

use crate::leak::record::task::{Kind, Task};
use crate::leak::report::spawned_by::{SpawnedBy, spawners};
use crate::trace::call::Call;
use crate::trace::place::Place;
use crate::trace::symbols::Symbols;
use crate::trace::wait::Wait;

/// A tracked task that outlived its test.
///
/// In the report of a test that hangs, it is a task that was alive when the report was made.
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use std::time::{Duration, Instant};
///
/// use straggler::LeakCheck;
/// use straggler::leak::{SpawnedBy, Wait};
///
/// let started = Instant::now();
/// let check = LeakCheck::new().grace(Duration::ZERO);
/// let report = check.run(async { drop(straggler::spawn_named("janitor", pending::<()>())) });
/// let report = report.unwrap_err();
///
/// let task = &report.tasks()[0];
/// assert_eq!((task.number(), task.name()), (1, Some("janitor")));
/// assert_eq!((task.polls(), task.wait()), (Some(1), &Wait::Unwakeable));
/// assert_eq!(task.spawned_by(), [SpawnedBy::Test]);
/// assert!(task.place().file().ends_with(".rs") && task.caller().is_none());
/// assert!(!task.is_background() && task.age() <= started.elapsed());
/// assert_eq!(task.fires_in(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakedTask {
    number: usize,
    name: Option<String>,
    place: Place,
    caller: Option<Call>,
    is_background: bool,
    age: Duration,
    polls: Option<usize>,
    wait: Wait,
    fires_in: Option<Duration>,
    spawners: Vec<SpawnedBy>,
    is_in_spawn: bool,
}

impl LeakedTask {
    /// Describes a tracked task as of `now`.
    pub(crate) fn new(task: &Task, now: Instant, symbols: &mut Symbols) -> Self {
        let wait = task.wait(symbols);
        Self {
            number: task.number,
            name: task.name.as_deref().map(str::to_owned),
            place: task.place(),
            caller: task.caller(symbols),
            is_background: task.kind == Kind::Background,
            age: now.saturating_duration_since(task.spawned),
            polls: task.polls(),
            fires_in: task.fires_in().filter(|_| wait.timer().is_some()),
            wait,
            spawners: spawners(task),
            is_in_spawn: task.is_in_spawn(),
        }
    }

    /// Returns the number of the task in its runtime, from 1 in the order of the spawns.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns the name given to [`spawn_named`](crate::spawn_named), or `None`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the place that spawned the task.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns the call in the user's own code behind a spawn inside a dependency.
    ///
    /// Returns `None` for other spawns, and in a build without `--cfg tokio_unstable`.
    #[must_use]
    pub fn caller(&self) -> Option<&Call> {
        self.caller.as_ref()
    }

    /// Returns whether [`background`](crate::background) spawned the task.
    ///
    /// Straggler stops such a task at its next `.await` after the body ends; this one reached none.
    #[must_use]
    pub fn is_background(&self) -> bool {
        self.is_background
    }

    /// Returns the real time from the spawn to the report.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.age
    }

    /// Returns how often the task was polled.
    ///
    /// Polls that only trace where the task waits do not count. Returns `None` if the task was not spawned
    /// through straggler.
    #[must_use]
    pub fn polls(&self) -> Option<usize> {
        self.polls
    }

    /// Returns what the task was doing: waiting (and where), busy, or blocking its thread.
    #[must_use]
    pub fn wait(&self) -> &Wait {
        &self.wait
    }

    /// Returns the time after the grace at which the timer fires that the task waits for, on the clock of
    /// its runtime.
    ///
    /// Only builds of `cargo straggler` can tell. Returns `None` in all others, and if the task waits for no
    /// timer.
    #[must_use]
    pub fn fires_in(&self) -> Option<Duration> {
        self.fires_in
    }

    /// Whether it runs inside its spawn, on top of its spawner.
    pub(crate) fn is_in_spawn(&self) -> bool {
        self.is_in_spawn
    }

    /// Returns the chain of spawners, the direct one first.
    #[must_use]
    pub fn spawned_by(&self) -> &[SpawnedBy] {
        &self.spawners
    }
}
