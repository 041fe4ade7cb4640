//! Whether anything outside a test's runtime may still end one of its waits: another test, or a
//! thread that Straggler does not know.

use std::ptr;
use std::sync::Arc;

use crate::leak::check::watched::RunningTest;
use crate::leak::check::{drain, watchdog};
use crate::leak::record::os_threads;

/// The threads of a process beside its tests: the main thread and the watchdog.
const WITHOUT_TESTS: usize = 2;

/// Returns whether another test or an unknown thread may run, or `true` if that is unknown.
///
/// Another test may hold a `static` lock, and a plain thread may send the answer that a test waits
/// for. Tests that stand still themselves end no wait.
pub(crate) fn may_run(test: &RunningTest) -> bool {
    let tests = watchdog::tests();
    let is_own = |other: &Arc<dyn watchdog::Test>| ptr::addr_eq(Arc::as_ptr(other), test);
    if !tests
        .iter()
        .all(|other| is_own(other) || other.stands_still())
    {
        return true;
    }
    has_unknown_thread()
}

/// Returns whether a thread runs that belongs to no test and not to Straggler, or `true` if that is unknown.
pub(crate) fn has_unknown_thread() -> bool {
    let known = || {
        let tests = watchdog::tests();
        let of_tests = tests.iter().map(|test| test.thread_count());
        of_tests.sum::<usize>() + WITHOUT_TESTS + drain::thread_count()
    };
    let before = known();
    // Only Linux lists the threads of a process.
    let Ok(threads) = os_threads::ids() else {
        return true;
    };
    // A thread that ended or began meanwhile must not hide another.
    threads.len() > before.min(known())
}
