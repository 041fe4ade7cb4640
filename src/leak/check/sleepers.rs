//! Whether everything that is left of a test sleeps for longer than it may.

use std::time::Duration;

use tokio::runtime::RuntimeFlavor;

use crate::leak::check::census::Census;
use crate::leak::check::outsiders;
use crate::leak::check::watched::RunningTest;
use crate::trace::symbols::Symbols;

/// Returns whether probably nothing that is left can end within this time: each task waits for a timer
/// that fires later, or for something that nothing can wake, and no thread may abort it.
///
/// Returns `false` if any of that is unknown. Every task that was due has to have had its turn.
pub(crate) fn may_outlast(test: &RunningTest, time: Duration) -> bool {
    let census = &test.scope.census;
    // The workers of another flavor run tasks meanwhile, and look like blocking threads.
    if census.runtime.runtime_flavor() != RuntimeFlavor::CurrentThread
        || test.threads.now() > 0
        || census.has_blocking()
        || census.unseen() > 0
    {
        return false;
    }
    let tasks = census.tasks();
    // Without a task only a lock is left, and whoever has its guard may release it.
    !tasks.is_empty()
        && tasks.iter().all(|task| task.may_outlast(time))
        // Other tests may run: they would need the handles of this one.
        && !outsiders::has_unknown_thread()
}

/// Returns whether it is certain. A `select!` may have dropped the timer, so this polls the tasks that have
/// one; a task that nothing can wake could be healed by that, and is spared.
pub(crate) async fn outlast(census: &Census, time: Duration) -> bool {
    let mut tasks = census.tasks();
    tasks.retain(|task| !task.is_unwakeable());
    if tasks.is_empty() {
        return true;
    }
    census.probe_wakeable_tasks();
    census.await_wakeable_answers().await;
    let mut symbols = Symbols::default();
    let mut tasks = tasks.iter();
    tasks.all(|task| task.outlasts(time, &mut symbols))
}
