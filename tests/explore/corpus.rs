//! The corpus of known bugs. `benches/corpus` runs it with more seeds, and prints how many runs each
//! bug takes.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use straggler::Explore;
use tokio::sync::Mutex;
use tokio::task::coop;

use super::bugs::{BUGS, BUGS_WHILE_HELD, Bug};
use super::shrink;

#[test]
fn bugs_found_and_repaired_twins_pass() {
    expect_found(BUGS);
    if yields_while_held() {
        expect_found(BUGS_WHILE_HELD);
    }
}

/// Whether a lock that finds no budget is taken when it yields, as from tokio 1.54 on.
fn yields_while_held() -> bool {
    let lock = Mutex::new(());
    let mut locks = pin!(lock.lock());
    tokio_test::block_on(poll_fn(|context| {
        while coop::has_budget_remaining() {
            if let Poll::Ready(unit) = coop::poll_proceed(context) {
                unit.made_progress();
            }
        }
        assert!(locks.as_mut().poll(context).is_pending());
        Poll::Ready(lock.try_lock().is_err())
    }))
}

/// What the budget alone cannot find.
#[cfg(straggler_instrumented)]
#[test]
fn bugs_before_operations_found() {
    expect_found(super::bugs::BUGS_BEFORE_OPERATIONS);
}

/// How many forced reorderings a failing schedule may have: the median of a corpus, and each.
const MEDIAN: usize = 2;
const MOST: usize = 5;

fn expect_found(bugs: &[Bug]) {
    let mut reorderings = Vec::new();
    for Bug { name, body } in bugs {
        for seed in [1, 2] {
            let found = Explore::new().seed(seed).find(|| body(false));
            let failure = found.expect_err(name);
            assert!(failure.run() > 1, "{name}: the plain order shows nothing");
            let forced = shrink::reorderings(&failure);
            assert!(forced <= MOST, "{name}: {failure}");
            reorderings.push(forced);
        }
        let explored = Explore::new().find(|| body(true));
        assert!(explored.is_ok(), "{name}: {explored:?}");
    }
    reorderings.sort_unstable();
    assert!(
        reorderings[reorderings.len() / 2] <= MEDIAN,
        "{reorderings:?}"
    );
}
