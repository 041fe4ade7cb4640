//! The runtime that started a thread.
//!
//! The thread may currently be inside another one: blocking work may build its own runtime.

use std::cell::Cell;

use tokio::runtime::{Handle, Id};

thread_local! {
    static STARTED_BY: Cell<Option<Id>> = const { Cell::new(None) };
}

/// Records the current runtime as the one that started this thread.
pub(crate) fn note() {
    let runtime = Handle::try_current().ok();
    STARTED_BY.set(runtime.map(|runtime| runtime.id()));
}

/// Returns the runtime that started this thread, if a check built it.
pub(crate) fn started_by() -> Option<Id> {
    STARTED_BY.get()
}
