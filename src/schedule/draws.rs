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

    /// How many times a `select!` has asked in this run.
    static ASKED: Cell<u32> = const { Cell::new(0) };
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

        ASKED.set(0);
        Restore(ARE_DECIDED.replace(true))
    };
    run()
}

/// Decides which of its branches a `select!` polls first. `None` if tokio draws it.
#[cfg(straggler_instrumented)]
pub(super) fn first_branch(branches: u32) -> Option<u32> {
    let are_decided = are_decided();
    are_decided.then(|| {
        // Each branch in turn: a loop around a branch that is always ready must reach the others too.
        let asked = ASKED.replace(ASKED.get().wrapping_add(1));
        // The plain order decides nothing.
        let decided = steering::with_run(|run| run.decisions.first_branch(branches));
        let decided = decided.unwrap_or_default();
        let first = asked.wrapping_add(decided) % branches.max(1);
        if decided > 0 {
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
