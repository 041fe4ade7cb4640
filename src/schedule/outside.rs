//! What a test uses that no schedule decides: sockets, processes, files, blocking work.
//!
//! Only an instrumented tokio tells.

use std::cell::Cell;

use crate::schedule::points;

thread_local! {
    static USED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Runs a body on this thread, and returns the first thing of that kind that it or one of its tasks used.
pub(crate) async fn watch<T>(
    body: impl Future<Output = T>,
    used: &Cell<Option<&'static str>>,
) -> T {
    points::install();
    USED.take();
    let output = body.await;
    used.set(USED.take());
    output
}

/// Notes a use.
#[cfg_attr(
    not(straggler_instrumented),
    allow(dead_code, reason = "nothing tells")
)]
pub(crate) fn note(what: &'static str) {
    let note = |used: &Cell<Option<_>>| used.set(used.get().or(Some(what)));
    // Ignored while the thread exits.
    _ = USED.try_with(note);
}
