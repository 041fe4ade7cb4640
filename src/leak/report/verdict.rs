//! The verdict on a test, and the one place that decides it.

use std::time::Duration;

use crate::leak::report::findings::{Ending, Findings};
use crate::trace::wait::Wait;

/// The reason why a test fails its leak check.
///
/// A test can have several findings. The verdict names the highest-ranking one: causes rank above
/// consequences. The [`Report`](crate::leak::Report) has the others too.
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
/// let timeout = Duration::from_millis(10);
/// let report = LeakCheck::new().timeout(timeout).run(pending::<()>()).unwrap_err();
/// assert!(matches!(report.verdict(), Verdict::Hung { timeout: of, .. } if *of == timeout));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The body did not end within its timeout, and no task had panicked.
    Hung {
        /// The timeout of the test.
        timeout: Duration,
        /// Where the body waits.
        wait: Wait,
    },
    /// The body cannot end: the clock is paused, and no task in its runtime can make progress. No task had
    /// panicked.
    Deadlocked {
        /// Where the body waits.
        wait: Wait,
    },
    /// The body ended, but too late: the timeout found it inside a poll and could not cancel it. No task
    /// panicked.
    Late {
        /// The timeout of the test.
        timeout: Duration,
        /// The time that the body took.
        took: Duration,
    },
    /// A task panicked. Tasks may have outlived the test too, or the body may not have ended: see
    /// [`Report::ending`](crate::leak::Report::ending).
    Panicked,
    /// A task outlived the test. None panicked, except while the runtime dropped it.
    Leaked,
    /// A `spawn_blocking` closure outlived the test; no task did, and none panicked.
    BlockingLeaked,
    /// A [`Lock`](crate::Lock) acquired in the test is still held. No task or closure outlived the test.
    LocksHeld,
    /// A thread outlived a test that [denies](crate::LeakCheck::deny_threads) them, and nothing else did.
    ThreadsLeaked,
    /// The body ended, but a leftover blocks the test's thread, in a poll or in a `drop`. No task panicked.
    Stuck,
    /// The test did not run, for this reason: for example, a setting is invalid.
    NotRun(String),
    /// The test ran, but the check failed, for this reason: it panicked, or could not list the threads.
    CheckFailed(String),
}

impl Verdict {
    /// Picks the finding that decides the verdict, or `None` if nothing is wrong.
    pub(crate) fn rank(findings: &Findings) -> Option<Self> {
        Self::ranked(findings).into_iter().next()
    }

    /// Lists what was found, the highest rank first.
    ///
    /// Causes come before consequences: a task that panicked leaves others waiting, the body too, and a
    /// leaked task keeps a lock, not the other way round.
    pub(crate) fn ranked(findings: &Findings) -> Vec<Self> {
        // Without `..`: a new kind of finding needs a rank, or a reason to have none.
        let Findings {
            test: _,
            place: _,
            ending,
            standstill: _,
            test_thread: _,
            tasks,
            unseen,
            allowed: _,
            panics,
            panics_at_shutdown,
            also_left: _,
            blocking,
            unseen_blocking,
            unseen_blocked: _,
            may_be_tasks: _,
            threads,
            threads_unknown,
            locks,
            waited: _,
            clock_stood_still: _,
            may_be_deadlock: _,
            unused_rules: _,
            is_shared: _,
            assumed: _,
            has_tracked: _,
            rules: _,
        } = findings;
        let has_tasks = !tasks.is_empty() || *unseen > 0;
        let has_blocking = !blocking.is_empty() || *unseen_blocking > 0;
        let has_panics = !panics.is_empty();
        // A leaked task that panics when the runtime drops it does so because it leaked.
        let is_cause = panics.len() > *panics_at_shutdown;
        let kinds = [
            (has_tasks, Self::Leaked),
            (has_panics && !is_cause, Self::Panicked),
            (has_blocking, Self::BlockingLeaked),
            (!locks.is_empty(), Self::LocksHeld),
            (!threads.is_empty(), Self::ThreadsLeaked),
        ];
        let cause = (has_panics && is_cause).then_some(Self::Panicked);
        let ending = ending.as_ref().map(Self::of_ending);
        let found = kinds
            .into_iter()
            .filter_map(|(is_found, kind)| is_found.then_some(kind));
        // A search that failed is a note on other findings, and a verdict only without any.
        let failed = threads_unknown.clone().map(Self::CheckFailed);
        let cause = cause.into_iter().chain(ending);
        cause.chain(found).chain(failed).collect()
    }

    /// The verdict on a test that did not end by itself and in time.
    pub(crate) fn of_ending(ending: &Ending) -> Self {
        match ending.clone() {
            Ending::Hung { timeout, wait } => Self::Hung { timeout, wait },
            Ending::Deadlocked { wait } => Self::Deadlocked { wait },
            Ending::Late { timeout, took } => Self::Late { timeout, took },
            Ending::Stuck => Self::Stuck,
            Ending::NotRun(reason) => Self::NotRun(reason),
            Ending::CheckFailed(reason) => Self::CheckFailed(reason),
        }
    }
}
