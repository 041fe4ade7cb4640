//! What a leak check found.

use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use super::blocking::BlockingWork;
use super::calls::{Call, Symbols};
use super::locks::HeldLock;
use super::panics::Panicked;
use super::place::Place;
use super::task::{Kind, Spawner, Task};
use super::threads::LeakedThread;
use super::wait::Wait;

/// What a leak check found: which tasks, blocking work and threads outlived the test, where they
/// come from and where they wait.
///
/// `Display` tells all of it, with what to do in the last lines; so does `Debug`, since tests
/// `unwrap()`. The methods tell it one by one.
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use std::time::Duration;
///
/// use straggler::LeakCheck;
/// use straggler::leak::Verdict;
///
/// let check = LeakCheck::new().grace(Duration::ZERO).allow(1).allow_at("src/pool.rs");
/// let report = check.run(async {
///     straggler::spawn(pending::<()>());
///     straggler::spawn(pending::<()>());
/// });
/// let report = report.unwrap_err();
///
/// assert_eq!(*report.verdict(), Verdict::Leaked);
/// assert_eq!((report.count(), report.allowed()), (2, 1));
/// assert_eq!((report.tasks().len(), report.unseen()), (2, 0));
/// assert_eq!(report.unused_rules(), ["allow(\"src/pool.rs\")"]);
/// assert!(report.panics().is_empty() && report.threads().is_empty());
/// assert!(report.blocking().is_empty() && report.unseen_blocking() == 0);
/// assert!(!report.clock_stood_still());
///
/// // The test has no name without the attribute: the text names the place of the check.
/// assert_eq!(report.test(), None);
/// assert!(report.to_string().contains(&report.place().to_string()));
/// assert!(report.to_string().contains("2 tasks outlived"));
/// ```
#[derive(Clone, thiserror::Error)]
#[error("{}", super::text::Text(self))]
pub struct Report(Box<Findings>);

#[derive(Clone)]
pub(super) struct Findings {
    pub(super) test: Option<&'static str>,
    pub(super) place: Place,
    pub(super) verdict: Verdict,
    pub(super) tasks: Vec<LeakedTask>,
    pub(super) unseen: usize,
    pub(super) allowed: usize,
    pub(super) panics: Vec<TaskPanic>,
    /// How many that are left are allowed, and not in this report. They take up what is allowed.
    pub(super) besides: usize,
    /// Those on record.
    pub(super) blocking: Vec<BlockingWork>,
    pub(super) unseen_blocking: usize,
    /// How many of the latter may be tasks instead, which are counted among the unseen.
    pub(super) may_be_tasks: usize,
    pub(super) threads: Vec<LeakedThread>,
    /// Why the threads that are left could not be found out, if so.
    pub(super) threads_unknown: Option<String>,
    pub(super) locks: Vec<HeldLock>,
    /// Whether the clock was paused, and so stood still in the grace period.
    pub(super) clock_stood_still: bool,
    pub(super) unused_rules: Vec<String>,
    /// Whether there are rules for places, which tasks that are not seen cannot match.
    pub(super) places_were_needed: bool,
}

impl Findings {
    /// A verdict, and nothing else.
    pub(super) fn new(test: Option<&'static str>, place: &Location<'_>, verdict: Verdict) -> Self {
        Self {
            test,
            place: place.into(),
            verdict,
            tasks: Vec::new(),
            unseen: 0,
            allowed: 0,
            besides: 0,
            panics: Vec::new(),
            blocking: Vec::new(),
            unseen_blocking: 0,
            may_be_tasks: 0,
            threads: Vec::new(),
            threads_unknown: None,
            locks: Vec::new(),
            clock_stood_still: false,
            unused_rules: Vec::new(),
            places_were_needed: false,
        }
    }
}

/// What a check came to that is not clean.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The body did not end in time.
    Hung {
        /// The time it had.
        timeout: Duration,
        /// Where it waits.
        wait: Wait,
    },
    /// The body cannot end: the clock is paused, and nothing in its runtime is left that could run.
    Deadlocked {
        /// Where the body waits.
        wait: Wait,
    },
    /// The body ended, but too late: it was inside of one poll when its time was over.
    Late {
        /// The time it had.
        timeout: Duration,
        /// The time it took.
        took: Duration,
    },
    /// Tasks outlived the test.
    Leaked,
    /// No task outlived the test, but one panicked.
    Panicked,
    /// No task outlived the test, but blocking work did: a closure of `spawn_blocking`.
    BlockingLeaked,
    /// Nothing outlived the test but threads, which it
    /// [denies](crate::LeakCheck::deny_threads).
    ThreadsLeaked,
    /// Nothing outlived the test, but a [`Lock`](crate::Lock) is still held that was acquired in it.
    LocksHeld,
    /// The body has ended, but the test does not come to its end: something that it left behind blocks
    /// its thread, in a poll or when it is dropped.
    Stuck,
    /// The test was not run, for this reason.
    NotRun(String),
    /// The test was run, but what it left behind could not be found out, for this reason: the check
    /// panicked, or its threads could not be listed.
    CheckFailed(String),
}

impl Verdict {
    /// Whether the test is not at its end: what is alive has not outlived it.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(
            self,
            Self::Hung { .. } | Self::Deadlocked { .. } | Self::Stuck
        )
    }
}

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

/// Who spawned a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpawnedBy {
    /// The body of the test.
    Test,
    /// Another task, which may have ended since.
    Task {
        /// Its number in this test.
        number: usize,
        /// Its name, if it has one.
        name: Option<String>,
        /// Where it was spawned itself.
        place: Place,
    },
    /// A task of which this build does not see where it was spawned.
    UnknownTask,
    /// No task: a thread outside of the runtime, or, where the runtime is somebody else's, what it
    /// blocks on.
    NoTask,
}

/// A task that ended by a panic.
///
/// Of a task that was not spawned through `straggler` only the panic itself is known, and with
/// `--cfg tokio_unstable` also where it was spawned.
///
/// # Examples
///
/// ```
/// use straggler::LeakCheck;
/// use straggler::leak::SpawnedBy;
///
/// let report = LeakCheck::new().run(async {
///     let reader = straggler::spawn_named("reader", async { panic!("no such table") });
///     assert!(reader.await.unwrap_err().is_panic());
/// });
/// let report = report.unwrap_err();
///
/// let panic = &report.panics()[0];
/// assert_eq!(panic.message(), Some("no such table"));
/// assert_eq!((panic.number(), panic.name()), (Some(1), Some("reader")));
/// assert_eq!(panic.spawned_by(), [SpawnedBy::Test]);
/// assert!(!panic.is_background() && !panic.is_blocking() && panic.caller().is_none());
///
/// let (spawned_at, panicked_at) = (panic.spawned_at().unwrap(), panic.place().unwrap());
/// assert_eq!(spawned_at.line(), panicked_at.line());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPanic {
    message: Option<String>,
    place: Option<Place>,
    task: Option<PanickedTask>,
}

/// What is known of the task that panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PanickedTask {
    number: usize,
    name: Option<String>,
    spawned_at: Place,
    caller: Option<Call>,
    is_background: bool,
    is_blocking: bool,
    spawners: Vec<SpawnedBy>,
}

impl Report {
    /// The report of a test that was not run.
    pub(super) fn not_run(
        test: Option<&'static str>,
        place: &Location<'_>,
        reason: impl Into<String>,
    ) -> Self {
        Self::new(Findings::new(test, place, Verdict::NotRun(reason.into())))
    }

    pub(super) fn new(findings: Findings) -> Self {
        Self(Box::new(findings))
    }

    pub(super) fn findings(&self) -> &Findings {
        &self.0
    }

    pub(super) fn into_findings(self) -> Findings {
        *self.0
    }

    /// Returns what the check came to.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.0.verdict
    }

    /// Returns the path of the test, if it has `#[leak_check]`.
    #[must_use]
    pub fn test(&self) -> Option<&str> {
        self.0.test
    }

    /// Returns where the test stands, or where the check was begun.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Returns how many tasks outlived the test that no rule for a place allows, seen or not; or how
    /// many were alive when the time of the test was up.
    ///
    /// Of a test that ended it is above what [`LeakCheck::allow`](crate::LeakCheck::allow) allows,
    /// unless no task outlived the test.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.tasks.len() + self.0.unseen
    }

    /// Returns the tasks of which is known where they were spawned, in the order of that.
    #[must_use]
    pub fn tasks(&self) -> &[LeakedTask] {
        &self.0.tasks
    }

    /// Returns how many more there are, of which this build sees nothing but that they exist.
    #[must_use]
    pub fn unseen(&self) -> usize {
        self.0.unseen
    }

    /// Returns the tasks that panicked.
    #[must_use]
    pub fn panics(&self) -> &[TaskPanic] {
        &self.0.panics
    }

    /// Whether nothing was found but tasks that panicked.
    pub(crate) fn has_panics_alone(&self) -> bool {
        let Findings {
            blocking,
            unseen_blocking,
            threads,
            locks,
            ..
        } = &*self.0;
        self.0.verdict == Verdict::Panicked
            && blocking.is_empty()
            && *unseen_blocking == 0
            && threads.is_empty()
            && locks.is_empty()
    }

    /// Adds tasks that panicked. These rank above blocking work, threads and locks.
    pub(super) fn add_panics(&mut self, panics: Vec<TaskPanic>) {
        let findings = &mut *self.0;
        if matches!(
            findings.verdict,
            Verdict::BlockingLeaked | Verdict::ThreadsLeaked | Verdict::LocksHeld
        ) {
            findings.verdict = Verdict::Panicked;
        }
        findings.panics.extend(panics);
    }

    /// Returns the blocking work that outlived the test, or was under way when its time was up, and
    /// of which is known where it was spawned: closures of
    /// [`straggler::spawn_blocking`](crate::spawn_blocking).
    #[must_use]
    pub fn blocking(&self) -> &[BlockingWork] {
        &self.0.blocking
    }

    /// Returns how many more closures there are, of which is seen only that they are there.
    ///
    /// They are told by the threads of the runtime that do not stop. Where the runtime has workers,
    /// and tasks are left that this build does not see, some may be such tasks that block a worker.
    #[must_use]
    pub fn unseen_blocking(&self) -> usize {
        self.0.unseen_blocking
    }

    /// Returns the threads that outlived the test, if it
    /// [denies](crate::LeakCheck::deny_threads) them.
    #[must_use]
    pub fn threads(&self) -> &[LeakedThread] {
        &self.0.threads
    }

    /// Returns the locks that were acquired in the test and are still held; or those that were held
    /// or waited for when the time of the test was up.
    ///
    /// They are those of [`straggler::Lock`](crate::Lock), and no others.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::{LeakCheck, Lock};
    ///
    /// let report = LeakCheck::new()
    ///     .run(async { std::mem::forget(Lock::new().acquire().await) })
    ///     .unwrap_err();
    ///
    /// let holder = report.held_locks()[0].holder().unwrap();
    /// assert!(holder.place().file().ends_with(".rs"));
    /// ```
    #[must_use]
    pub fn held_locks(&self) -> &[HeldLock] {
        &self.0.locks
    }

    /// Returns how many tasks and closures of blocking work were allowed to remain, besides those
    /// that a rule for a place allows.
    #[must_use]
    pub fn allowed(&self) -> usize {
        self.0.allowed
    }

    /// Returns whether the clock was paused when the test had ended, and so stood still in the grace
    /// period.
    #[must_use]
    pub fn clock_stood_still(&self) -> bool {
        self.0.clock_stood_still
    }

    /// Returns the rules that allowed nothing, as they are written in the attribute.
    #[must_use]
    pub fn unused_rules(&self) -> &[String] {
        &self.0.unused_rules
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl LeakedTask {
    /// What is known of a task `now`.
    pub(super) fn new(task: &Task, now: Instant, symbols: &mut Symbols) -> Self {
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

impl TaskPanic {
    /// Returns `None` of a panic that did not end the task: it was caught inside of it.
    pub(super) fn of(panicked: &Panicked, symbols: &mut Symbols) -> Option<Self> {
        let calls = panicked.calls.as_ref();
        if calls.is_some_and(|calls| !symbols.end_a_task(calls)) {
            return None;
        }
        let task = panicked.task.as_ref().map(|task| {
            let spawned_at = task.spawned_at.into();
            let stack = task.stack.as_ref();
            PanickedTask {
                number: task.number,
                name: task.name.as_deref().map(str::to_owned),
                caller: stack.and_then(|stack| symbols.caller(stack, &spawned_at)),
                spawned_at,
                is_background: task.kind == Kind::Background,
                is_blocking: task.kind == Kind::Blocking,
                spawners: spawners(task),
            }
        });
        Some(Self {
            message: panicked.message.clone(),
            place: panicked.place.clone(),
            task,
        })
    }

    /// Returns the message of the panic, or `None` if its payload is no string.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Returns where it panicked, or `None` if no hook saw it: `resume_unwind` calls none, and a
    /// test may have replaced it.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Returns the number of the task, as [`LeakedTask::number`] does, if it is on record.
    #[must_use]
    pub fn number(&self) -> Option<usize> {
        self.task.as_ref().map(|task| task.number)
    }

    /// Returns the name of the task, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.task.as_ref()?.name.as_deref()
    }

    /// Returns where the task was spawned, if it is on record.
    #[must_use]
    pub fn spawned_at(&self) -> Option<&Place> {
        self.task.as_ref().map(|task| &task.spawned_at)
    }

    /// Returns the line of the user's code that led to the spawn, if that was made in a dependency.
    #[must_use]
    pub fn caller(&self) -> Option<&Call> {
        self.task.as_ref()?.caller.as_ref()
    }

    /// Returns whether the task was spawned by [`background`](crate::background).
    #[must_use]
    pub fn is_background(&self) -> bool {
        self.task.as_ref().is_some_and(|task| task.is_background)
    }

    /// Returns whether it is known to be a closure on a thread for blocking work.
    #[must_use]
    pub fn is_blocking(&self) -> bool {
        self.task.as_ref().is_some_and(|task| task.is_blocking)
    }

    /// Returns who spawned the task, the nearest first; nobody if it is not on record.
    #[must_use]
    pub fn spawned_by(&self) -> &[SpawnedBy] {
        self.task.as_ref().map_or(&[], |task| &task.spawners)
    }
}

/// Who spawned a task, then who spawned that one, and so on.
pub(super) fn spawners(task: &Task) -> Vec<SpawnedBy> {
    let mut spawners = Vec::new();
    let mut spawner = &task.spawner;
    loop {
        spawners.push(spawner.into());
        match spawner {
            Spawner::Task(task) if task.kind != Kind::Body => spawner = &task.spawner,
            _ => return spawners,
        }
    }
}

impl From<&Spawner> for SpawnedBy {
    fn from(spawner: &Spawner) -> Self {
        match spawner {
            Spawner::Task(task) if task.kind == Kind::Body => Self::Test,
            Spawner::Task(task) => Self::Task {
                number: task.number,
                name: task.name.as_deref().map(str::to_owned),
                place: task.spawned_at.into(),
            },
            Spawner::Unknown => Self::UnknownTask,
            Spawner::Thread => Self::NoTask,
        }
    }
}
