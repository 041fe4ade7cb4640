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
        let mut found = Vec::new();
        if has_panics && is_cause {
            found.push(Self::Panicked);
        }
        if let Some(ending) = ending {
            found.push(Self::of_ending(ending));
        }
        if has_tasks {
            found.push(Self::Leaked);
        }
        if has_panics && !is_cause {
            found.push(Self::Panicked);
        }
        if has_blocking {
            found.push(Self::BlockingLeaked);
        }
        if !locks.is_empty() {
            found.push(Self::LocksHeld);
        }
        if !threads.is_empty() {
            found.push(Self::ThreadsLeaked);
        }
        // A search that failed is a note on other findings, and a verdict only without any.
        if let Some(reason) = threads_unknown {
            found.push(Self::CheckFailed(reason.clone()));
        }
        found
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
