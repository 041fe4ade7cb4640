//! What a leak check found.

pub(crate) mod acquisition;
pub(crate) mod blocking_work;
pub(crate) mod findings;
pub(crate) mod leaked_task;
pub(crate) mod leaked_thread;
pub(crate) mod lock_state;
pub(crate) mod role;
pub(crate) mod spawned_by;
pub(crate) mod task_panic;
pub(crate) mod verdict;

use std::error::Error;
use std::fmt;
use std::panic::Location;

use self::blocking_work::BlockingWork;
use self::findings::{Ending, Findings};
use self::leaked_task::LeakedTask;
use self::leaked_thread::LeakedThread;
use self::lock_state::LockState;
use self::task_panic::TaskPanic;
use self::verdict::Verdict;
use crate::leak::settings::environment::{Environment, Mode};
use crate::trace::place::Place;

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
#[derive(Clone)]
pub struct Report(Box<Ranked>);

#[derive(Clone)]
struct Ranked {
    place: Place,
    verdict: Verdict,
    findings: Findings,
}

impl Report {
    /// Ranks what was found. Returns `None` if nothing is wrong.
    pub(crate) fn rank(findings: Findings) -> Option<Self> {
        let verdict = Verdict::rank(&findings)?;
        Some(Self::with(verdict, findings))
    }

    /// The report of a test that did not end by itself and in time.
    pub(crate) fn of_ending(ending: Ending, findings: Findings) -> Self {
        let verdict = ending.verdict();
        let ending = Some(ending);
        Self::with(verdict, Findings { ending, ..findings })
    }

    /// The report of a test that was not run.
    pub(crate) fn not_run(
        test: Option<&'static str>,
        place: &'static Location<'static>,
        reason: impl Into<String>,
    ) -> Self {
        Self::of_ending(Ending::NotRun(reason.into()), Findings::none(test, place))
    }

    fn with(verdict: Verdict, findings: Findings) -> Self {
        Self(Box::new(Ranked {
            place: findings.place.into(),
            verdict,
            findings,
        }))
    }

    pub(crate) fn findings(&self) -> &Findings {
        &self.0.findings
    }

    /// Adds to what was found and ranks it anew.
    pub(crate) fn amend(self, amend: impl FnOnce(&mut Findings)) -> Self {
        let Ranked {
            verdict,
            mut findings,
            ..
        } = *self.0;
        amend(&mut findings);
        Self::with(Verdict::rank(&findings).unwrap_or(verdict), findings)
    }

    /// Returns whether the environment lets the test pass with this report, which is printed.
    pub(crate) fn only_warns(&self) -> bool {
        let is_left = match self.verdict() {
            Verdict::Hung { .. }
            | Verdict::Deadlocked { .. }
            | Verdict::Late { .. }
            | Verdict::NotRun(_) => false,
            Verdict::Leaked
            | Verdict::Panicked
            | Verdict::BlockingLeaked
            | Verdict::ThreadsLeaked
            | Verdict::LocksHeld
            | Verdict::Stuck
            | Verdict::CheckFailed(_) => true,
        };
        is_left && Environment::read().is_ok_and(|environment| environment.mode == Mode::Warn)
    }

    /// Returns whether a test that should panic, and did, passes with this report: that a task
    /// panicked may be why the body did.
    pub(crate) fn may_accompany_panic(&self) -> bool {
        self.only_warns() || self.has_panics_alone()
    }

    /// Returns what the check came to.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.0.verdict
    }

    /// Returns the path of the test, if it has `#[leak_check]`.
    #[must_use]
    pub fn test(&self) -> Option<&str> {
        self.0.findings.test
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
        self.0.findings.tasks.len() + self.0.findings.unseen
    }

    /// Returns the tasks of which is known where they were spawned, in the order of that.
    #[must_use]
    pub fn tasks(&self) -> &[LeakedTask] {
        &self.0.findings.tasks
    }

    /// Returns how many more there are, of which this build sees nothing but that they exist.
    #[must_use]
    pub fn unseen(&self) -> usize {
        self.0.findings.unseen
    }

    /// Returns the tasks that panicked.
    #[must_use]
    pub fn panics(&self) -> &[TaskPanic] {
        &self.0.findings.panics
    }

    /// Whether nothing was found but tasks that panicked.
    pub(crate) fn has_panics_alone(&self) -> bool {
        let findings = self.findings();
        *self.verdict() == Verdict::Panicked
            && findings.blocking.is_empty()
            && findings.unseen_blocking == 0
            && findings.threads.is_empty()
            && findings.locks.is_empty()
    }

    /// Returns the blocking work that outlived the test, or was under way when its time was up, and
    /// of which is known where it was spawned: closures of
    /// [`straggler::spawn_blocking`](crate::spawn_blocking).
    #[must_use]
    pub fn blocking(&self) -> &[BlockingWork] {
        &self.0.findings.blocking
    }

    /// Returns how many more closures there are, of which is seen only that they are there.
    ///
    /// They are told by the threads of the runtime that do not stop. Where the runtime has workers,
    /// and tasks are left that this build does not see, some may be such tasks that block a worker.
    #[must_use]
    pub fn unseen_blocking(&self) -> usize {
        self.0.findings.unseen_blocking
    }

    /// Returns the threads that outlived the test, if it
    /// [denies](crate::LeakCheck::deny_threads) them.
    #[must_use]
    pub fn threads(&self) -> &[LeakedThread] {
        &self.0.findings.threads
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
    /// let holder = report.locks()[0].holder().unwrap();
    /// assert!(holder.place().file().ends_with(".rs"));
    /// ```
    #[must_use]
    pub fn locks(&self) -> &[LockState] {
        &self.0.findings.locks
    }

    /// Returns how many tasks and closures of blocking work were allowed to remain, besides those
    /// that a rule for a place allows.
    #[must_use]
    pub fn allowed(&self) -> usize {
        self.0.findings.allowed
    }

    /// Returns whether the clock was paused when the test had ended, and so stood still in the grace
    /// period.
    #[must_use]
    pub fn clock_stood_still(&self) -> bool {
        self.0.findings.clock_stood_still
    }

    /// Returns the rules that allowed nothing, as they are written in the attribute.
    #[must_use]
    pub fn unused_rules(&self) -> &[String] {
        &self.0.findings.unused_rules
    }
}

impl Error for Report {}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
