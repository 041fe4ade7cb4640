//! Which runtime a thread was started by.
//!
//! It is not always the one that the thread is in: blocking work may make a runtime of its own.

use std::cell::Cell;

use tokio::runtime::{Handle, Id};

thread_local! {
    static STARTED_BY: Cell<Option<Id>> = const { Cell::new(None) };
}

/// Notes that this thread was started by the runtime that it is in.
pub(crate) fn note() {
    let runtime = Handle::try_current().ok();
    STARTED_BY.set(runtime.map(|runtime| runtime.id()));
}

/// The runtime that started this thread, if it is one that a check made.
pub(crate) fn started_by() -> Option<Id> {
    STARTED_BY.get()
}
