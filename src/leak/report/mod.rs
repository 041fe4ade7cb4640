//! The report of a leak check, and the values in it.

pub(crate) mod acquisition;
pub(crate) mod blocking_work;
pub(crate) mod findings;
pub(crate) mod leaked_task;
pub(crate) mod leaked_thread;
pub(crate) mod lock_state;
pub(crate) mod role;
pub(crate) mod spawned_by;
pub(crate) mod standstill;
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
use self::role::Role;
use self::task_panic::TaskPanic;
use self::verdict::Verdict;
use crate::leak::settings::environment::{Environment, Mode};
use crate::trace::place::Place;

/// The findings of a leak check: what outlived the test, where it was spawned, and where it waits.
///
/// `Display` writes the whole report: what is wrong, where, and what to do. `Debug` writes the same, so
/// that `unwrap()` in a test prints it.
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
    /// The verdict on how the test ended, if not by itself and in time.
    ending: Option<Verdict>,
    findings: Findings,
}

impl Report {
    /// Ranks the findings. Returns `None` if nothing is wrong.
    pub(crate) fn rank(findings: Findings) -> Option<Self> {
        let verdict = Verdict::rank(&findings)?;
        Some(Self::with(verdict, findings))
    }

    /// Reports a test that did not end by itself and in time.
    pub(crate) fn of_ending(ending: Ending, findings: Findings) -> Self {
        let verdict = Verdict::of_ending(&ending);
        let ending = Some(ending);
        Self::with(verdict, Findings { ending, ..findings })
    }

    /// Reports a test that did not run.
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
            ending: findings.ending.as_ref().map(Verdict::of_ending),
            findings,
        }))
    }

    pub(crate) fn findings(&self) -> &Findings {
        &self.0.findings
    }

    /// Adds findings and ranks them anew.
    pub(crate) fn amend(self, amend: impl FnOnce(&mut Findings)) -> Self {
        let Ranked {
            verdict,
            mut findings,
            ..
        } = *self.0;
        amend(&mut findings);
        Self::with(Verdict::rank(&findings).unwrap_or(verdict), findings)
    }

    /// Whether `STRAGGLER=warn` lets the test pass with this report.
    ///
    /// A hang, a late end and an invalid setting still fail the test: they are not leftovers.
    pub(crate) fn only_warns(&self) -> bool {
        let is_left = |kind: &Verdict| match kind {
            Verdict::Hung { .. }
            | Verdict::Deadlocked { .. }
            | Verdict::Late { .. }
            | Verdict::NotRun(_) => false,
            Verdict::Panicked
            | Verdict::Leaked
            | Verdict::BlockingLeaked
            | Verdict::LocksHeld
            | Verdict::ThreadsLeaked
            | Verdict::Stuck
            | Verdict::CheckFailed(_) => true,
        };
        self.ranked().iter().all(is_left)
            && Environment::read().is_ok_and(|environment| environment.mode == Mode::Warn)
    }

    /// Whether a test that should panic, and did, passes with this report.
    ///
    /// It does if only tasks panicked: one of those may be the panic that the test expects.
    pub(crate) fn role_beside_panic(&self) -> Role {
        if self.has_panics_alone() {
            Role::Expected
        } else if self.only_warns() {
            Role::Warns
        } else {
            Role::Fails
        }
    }

    /// Lists what was found, the verdict first.
    pub(crate) fn ranked(&self) -> Vec<Verdict> {
        Verdict::ranked(self.findings())
    }

    /// Returns why the test fails: the finding that ranks highest.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.0.verdict
    }

    /// Returns how the test ended if it did not end by itself and in time: it hung, for example.
    ///
    /// This is the verdict, unless a task panicked before: that may be why the test hung.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::pending;
    /// use std::thread;
    /// use std::time::Duration;
    ///
    /// use straggler::LeakCheck;
    /// use straggler::leak::Verdict;
    ///
    /// let check = LeakCheck::new().timeout(Duration::from_millis(10));
    /// let report = check.run(async {
    ///     let panics = straggler::spawn_blocking(|| panic!("no such table"));
    ///     while !panics.is_finished() {
    ///         thread::yield_now();
    ///     }
    ///     pending::<()>().await;
    /// });
    /// let report = report.unwrap_err();
    ///
    /// assert_eq!(*report.verdict(), Verdict::Panicked);
    /// assert!(matches!(report.ending(), Some(Verdict::Hung { .. })));
    /// ```
    #[must_use]
    pub fn ending(&self) -> Option<&Verdict> {
        self.0.ending.as_ref()
    }

    /// Returns the verdict on the test itself, or else that on its leftovers.
    pub(crate) fn on_test(&self) -> &Verdict {
        self.ending().unwrap_or(self.verdict())
    }

    /// Whether the panics of tasks rank above all else: they come first in every format.
    pub(crate) fn has_panics_first(&self) -> bool {
        *self.verdict() == Verdict::Panicked
    }

    /// Whether the test had not ended: its live tasks are not leaked, at least not yet.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(
            self.ending(),
            Some(Verdict::Hung { .. } | Verdict::Deadlocked { .. } | Verdict::Stuck)
        )
    }

    /// Returns the path of the test, or `None` without `#[straggler::test]`.
    #[must_use]
    pub fn test(&self) -> Option<&str> {
        self.0.findings.test
    }

    /// Returns the place of the test's attribute, or of the call that began the check.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Returns the number of leaked tasks, tracked or not.
    ///
    /// Tasks that [`LeakCheck::allow_at`](crate::LeakCheck::allow_at) allows do not count. Up to the limit
    /// of [`LeakCheck::allow`](crate::LeakCheck::allow) the number is 0; beyond it, all of them count. In the
    /// report of a test that hangs, it is the number of tasks that were alive.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.findings.tasks.len() + self.0.findings.unseen
    }

    /// Returns the tracked tasks in the order of their spawns.
    #[must_use]
    pub fn tasks(&self) -> &[LeakedTask] {
        &self.0.findings.tasks
    }

    /// Returns the number of untracked tasks. This build knows nothing else about them.
    ///
    /// [`self_test`](crate::leak::self_test()) returns what a build can see.
    #[must_use]
    pub fn unseen(&self) -> usize {
        self.0.findings.unseen
    }

    /// Returns the tasks that panicked, the first panic first.
    #[must_use]
    pub fn panics(&self) -> &[TaskPanic] {
        &self.0.findings.panics
    }

    /// Whether all findings are panics of tasks.
    pub(crate) fn has_panics_alone(&self) -> bool {
        let mut found = self.ranked().into_iter();
        found.all(|kind| kind == Verdict::Panicked) && *self.verdict() == Verdict::Panicked
    }

    /// Returns the leaked closures of [`straggler::spawn_blocking`](crate::spawn_blocking), in the order of
    /// their spawns.
    #[must_use]
    pub fn blocking(&self) -> &[BlockingWork] {
        &self.0.findings.blocking
    }

    /// Returns the number of untracked closures. This build knows nothing else about them.
    ///
    /// Straggler counts the runtime's threads that do not stop. In a multi-thread runtime with untracked
    /// tasks, some of these may be workers that such a task blocks.
    #[must_use]
    pub fn unseen_blocking(&self) -> usize {
        self.0.findings.unseen_blocking
    }

    /// Returns the leaked threads. Empty unless the test
    /// [denies](crate::LeakCheck::deny_threads) them.
    #[must_use]
    pub fn threads(&self) -> &[LeakedThread] {
        &self.0.findings.threads
    }

    /// Returns each [`straggler::Lock`](crate::Lock) that was acquired in the test and is still held.
    ///
    /// In the report of a test that hangs, these are the locks that were held or waited for. Straggler
    /// does not see other locks, such as [`tokio::sync::Mutex`](https://docs.rs/tokio/1/tokio/sync/struct.Mutex.html).
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

    /// Returns the limit of [`LeakCheck::allow`](crate::LeakCheck::allow), or 0 if it was not exceeded.
    ///
    /// The limit counts tasks and closures together.
    #[must_use]
    pub fn allowed(&self) -> usize {
        self.0.findings.allowed
    }

    /// Returns whether the clock was paused during the grace period, so that no sleep could complete.
    #[must_use]
    pub fn clock_stood_still(&self) -> bool {
        self.0.findings.clock_stood_still
    }

    /// Returns the rules that allowed nothing, as the attribute writes them.
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
