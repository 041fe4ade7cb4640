//! Everything a leak check found, before one of the findings becomes the verdict.

use std::panic::Location;
use std::time::Duration;

use crate::leak::report::blocking_work::BlockingWork;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::leaked_thread::LeakedThread;
use crate::leak::report::lock_state::LockState;
use crate::leak::report::standstill::Standstill;
use crate::leak::report::task_panic::TaskPanic;
use crate::leak::settings::rules::Rules;
use crate::trace::blocked::Blocked;
use crate::trace::wait::Wait;

/// Everything a leak check found.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the facts are independent")]
pub(crate) struct Findings {
    pub(crate) test: Option<&'static str>,
    pub(crate) place: &'static Location<'static>,
    /// `None` if the body ended by itself and in time.
    pub(crate) ending: Option<Ending>,
    /// The last polls before the timeout of a test that hung.
    pub(crate) standstill: Option<Standstill>,
    /// Where the thread of the test is, if something blocks it that no other finding locates.
    pub(crate) test_thread: Option<Blocked>,
    pub(crate) tasks: Vec<LeakedTask>,
    /// Untracked tasks.
    pub(crate) unseen: usize,
    /// Whether straggler tracks other spawns of the test.
    pub(crate) has_tracked: bool,
    /// The `allow = n` of the test.
    pub(crate) allowed: usize,
    pub(crate) panics: Vec<TaskPanic>,
    /// How many of them, the last ones, happened while the runtime dropped its tasks.
    pub(crate) panics_at_shutdown: usize,
    /// Leftovers within `allowed`. They are not listed, but use up the allowance.
    pub(crate) also_left: usize,
    /// Tracked closures.
    pub(crate) blocking: Vec<BlockingWork>,
    /// Untracked closures, counted by the runtime's threads that did not stop.
    pub(crate) unseen_blocking: usize,
    /// Where those threads are, as far as it is known.
    pub(crate) unseen_blocked: Vec<Blocked>,
    /// How many of `unseen_blocking` may be tasks that block a worker. `unseen` counts those too.
    pub(crate) may_be_tasks: usize,
    pub(crate) threads: Vec<LeakedThread>,
    /// Why the search for leaked threads failed, if it did.
    pub(crate) threads_unknown: Option<String>,
    pub(crate) locks: Vec<LockState>,
    /// How long the check waited in vain for leftovers to end, in real time.
    pub(crate) waited: Option<Duration>,
    /// Whether the clock was paused and so did not advance during the grace period.
    pub(crate) clock_stood_still: bool,
    /// Whether the test hung on a paused clock, and everything in its runtime waits for something else there.
    pub(crate) may_be_deadlock: bool,
    pub(crate) unused_rules: Vec<String>,
    /// Whether another watch of the runtime was open too: findings may be its test's.
    pub(crate) is_shared: bool,
    /// How many leftovers rules with a place allowed, though nobody knows where they were spawned.
    pub(crate) assumed: usize,
    /// The rules of the test, if it left more than they allow.
    pub(crate) rules: Rules,
}

impl Findings {
    /// Returns empty findings.
    pub(crate) fn none(test: Option<&'static str>, place: &'static Location<'static>) -> Self {
        Self {
            test,
            place,
            ending: None,
            standstill: None,
            test_thread: None,
            tasks: Vec::new(),
            unseen: 0,
            has_tracked: false,
            allowed: 0,
            also_left: 0,
            panics: Vec::new(),
            panics_at_shutdown: 0,
            blocking: Vec::new(),
            unseen_blocking: 0,
            unseen_blocked: Vec::new(),
            may_be_tasks: 0,
            threads: Vec::new(),
            threads_unknown: None,
            locks: Vec::new(),
            waited: None,
            clock_stood_still: false,
            may_be_deadlock: false,
            unused_rules: Vec::new(),
            is_shared: false,
            assumed: 0,
            rules: Rules::default(),
        }
    }
}

/// How a test ended, if not by itself and in time.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    Hung { timeout: Duration, wait: Wait },
    Deadlocked { wait: Wait },
    Late { timeout: Duration, took: Duration },
    Stuck,
    NotRun(String),
    CheckFailed(String),
}
