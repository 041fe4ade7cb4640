//! Whether anything outside a test's runtime may still end one of its waits: another test, or a
//! thread that Straggler does not know.

use std::ptr;
use std::sync::Arc;

use crate::leak::check::watchdog;
use crate::leak::check::watched::RunningTest;
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
    let of_tests: usize = tests.iter().map(|test| test.thread_count()).sum();
    // Only Linux lists the threads of a process.
    os_threads::ids().map_or(true, |threads| threads.len() > WITHOUT_TESTS + of_tests)
}
