//! The random numbers that tokio draws while a body is explored.
//!
//! By default `tokio::select!` draws the branch that it polls first, so that a seed does not repeat the run. In a build
//! with scheduling points the run decides instead, and whatever else tokio draws is 0.

#[cfg(straggler_instrumented)]
use std::cell::Cell;

#[cfg(straggler_instrumented)]
use crate::schedule::recorder::Action;
#[cfg(straggler_instrumented)]
use crate::schedule::steering;

#[cfg(straggler_instrumented)]
thread_local! {
    /// Whether this thread explores.
    static ARE_DECIDED: Cell<bool> = const { Cell::new(false) };
}

/// Decides what tokio draws on this thread while `run` runs.
pub(crate) fn decided<R>(run: impl FnOnce() -> R) -> R {
    #[cfg(straggler_instrumented)]
    let _restore = {
        struct Restore(bool);
        impl Drop for Restore {
            fn drop(&mut self) {
                ARE_DECIDED.set(self.0);
            }
        }

        Restore(ARE_DECIDED.replace(true))
    };
    run()
}

/// Decides which of its branches a `select!` polls first. `None` if tokio draws it.
#[cfg(straggler_instrumented)]
pub(super) fn first_branch(branches: u32) -> Option<u32> {
    let are_decided = are_decided();
    are_decided.then(|| {
        let first = steering::with_run(|run| run.decisions.first_branch(branches));
        // The plain order decides nothing.
        let first = first.unwrap_or_default();
        if first > 0 {
            steering::record_polled(|| Action::SelectsFrom(first));
        }
        first
    })
}

/// Returns whether tokio draws nothing on this thread.
#[cfg(straggler_instrumented)]
pub(super) fn are_decided() -> bool {
    // A thread that exits explores no longer.
    ARE_DECIDED.try_with(Cell::get).unwrap_or(false)
}
