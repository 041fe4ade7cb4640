//! What a check came to, and which finding decides it.

use std::time::Duration;

use crate::leak::report::findings::Findings;
use crate::trace::wait::Wait;

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
    /// Ranks everything that was found, causes before consequences. Returns `None` if nothing is
    /// wrong.
    ///
    /// This is the one place that decides what a test fails by.
    pub(crate) fn rank(findings: &Findings) -> Option<Self> {
        let ending = findings.ending.as_ref();
        let has_tasks = !findings.tasks.is_empty() || findings.unseen > 0;
        let has_panics = !findings.panics.is_empty();
        let has_blocking = !findings.blocking.is_empty() || findings.unseen_blocking > 0;
        let has_threads = !findings.threads.is_empty();
        let has_locks = !findings.locks.is_empty();
        let found = (has_tasks, has_panics, has_blocking, has_threads, has_locks);
        Some(match (ending, found, &findings.threads_unknown) {
            (Some(ending), ..) => ending.verdict(),
            (None, (true, ..), _) => Self::Leaked,
            (None, (false, true, ..), _) => Self::Panicked,
            (None, (false, false, true, ..), _) => Self::BlockingLeaked,
            (None, (false, false, false, true, _), _) => Self::ThreadsLeaked,
            (None, (false, false, false, false, true), _) => Self::LocksHeld,
            (None, (false, false, false, false, false), Some(reason)) => {
                Self::CheckFailed(reason.clone())
            }
            (None, (false, false, false, false, false), None) => return None,
        })
    }

    /// Whether the test is not at its end: what is alive has not outlived it.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(
            self,
            Self::Hung { .. } | Self::Deadlocked { .. } | Self::Stuck
        )
    }
}
