//! How often the panic hook runs. The hook belongs to the process, so this has one of its own, and
//! one test.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::executor::block_on;
use straggler::settle_all;

static CALLS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn the_hook_runs_once_for_each_panic_when_it_happens() {
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

    // From here on a failed assertion has to be seen again.
    drop(std::panic::take_hook());
    assert_eq!(resumed, (1, true));
    assert_eq!(caught, (1, false));
    assert_eq!(several, (3, true));
    assert_eq!(resumed_by_hand, (1, true));
}

/// How often the hook was called, and whether there was a panic that went on.
fn calls_of(action: impl FnOnce()) -> (usize, bool) {
    let before = CALLS.load(Ordering::SeqCst);
    let panicked = catch_unwind(AssertUnwindSafe(action)).is_err();
    (CALLS.load(Ordering::SeqCst) - before, panicked)
}
