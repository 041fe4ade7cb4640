//! A task that outlived its test.

use std::time::{Duration, Instant};

use crate::leak::record::task::{Kind, Task};
use crate::leak::report::spawned_by::{SpawnedBy, spawners};
use crate::trace::place::Place;
use crate::trace::symbols::{Call, Symbols};
use crate::trace::wait::Wait;

/// A task that outlived its test, or was alive when the test was given up.
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
    spawners: Vec<SpawnedBy>,
}

impl LeakedTask {
    /// What is known of a task `now`.
    pub(crate) fn new(task: &Task, now: Instant, symbols: &mut Symbols) -> Self {
        let place = task.spawned_at.into();
        let stack = task.stack.as_ref();
        Self {
            caller: stack.and_then(|stack| symbols.caller(stack, &place)),
            number: task.number,
            name: task.name.as_deref().map(str::to_owned),
            place,
            is_background: task.kind == Kind::Background,
            age: now.saturating_duration_since(task.spawned),
            polls: task.polls(),
            wait: task.wait(symbols),
            spawners: spawners(task),
        }
    }

    /// Returns the number of the task in its runtime. They go up in the order of the spawns.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns the name given by [`spawn_named`](crate::spawn_named).
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns where the task was spawned.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns the call in the user's own code that led to the spawn, if it was in a dependency.
    ///
    /// It is known with `--cfg tokio_unstable`.
    #[must_use]
    pub fn caller(&self) -> Option<&Call> {
        self.caller.as_ref()
    }

    /// Returns whether the task was spawned by [`background`](crate::background), and could not be
    /// stopped.
    #[must_use]
    pub fn is_background(&self) -> bool {
        self.is_background
    }

    /// Returns the time from the spawn to the report, which is real time.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.age
    }

    /// Returns how often the task was polled, without the polls that are only to find out where it
    /// waits, or `None` if it was not spawned through `straggler`.
    #[must_use]
    pub fn polls(&self) -> Option<usize> {
        self.polls
    }

    /// Returns what the task was doing.
    #[must_use]
    pub fn wait(&self) -> &Wait {
        &self.wait
    }

    /// Returns who spawned the task, then who spawned that one, and so on.
    #[must_use]
    pub fn spawned_by(&self) -> &[SpawnedBy] {
        &self.spawners
    }
}
