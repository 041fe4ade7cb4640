//! How often the panic hook runs. The hook is process-wide, so this binary has a single test.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::executor::block_on;
use straggler::settle_all;

static CALLS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn hook_runs_once_per_panic() {
    std::panic::set_hook(Box::new(|_| {
        CALLS.fetch_add(1, Ordering::SeqCst);
    }));
    let panics =
        |count: usize| settle_all((0..5).map(move |index| async move { assert!(index >= count) }));

    let resumed = calls_of(|| drop(block_on(panics(1))));
    let caught = calls_of(|| drop(block_on(panics(1).catch_unwind())));
    let several = calls_of(|| drop(block_on(panics(3))));
    let resumed_by_hand = calls_of(|| {
        let settled = block_on(panics(1).catch_unwind());
        if let Err(panic) = settled.into_result() {
            panic.resume();
        }
    });

    // Restores the default hook, so that a failed assertion below is printed.
    drop(std::panic::take_hook());
    assert_eq!(resumed, (1, true));
    assert_eq!(caught, (1, false));
    assert_eq!(several, (3, true));
    assert_eq!(resumed_by_hand, (1, true));
}

/// The number of hook calls, and whether `action` panicked.
fn calls_of(action: impl FnOnce()) -> (usize, bool) {
    let before = CALLS.load(Ordering::SeqCst);
    let panicked = catch_unwind(AssertUnwindSafe(action)).is_err();
    (CALLS.load(Ordering::SeqCst) - before, panicked)
}
