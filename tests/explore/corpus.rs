//! The corpus of known bugs. `benches/corpus` runs it with more seeds, and prints how many runs each
//! bug takes.

use straggler::Explore;

use super::bugs::{BUGS, Bug};

#[test]
fn bugs_found_and_repaired_twins_pass() {
    expect_found(BUGS);
}

/// What the budget alone cannot find.
#[cfg(straggler_instrumented)]
#[test]
fn bugs_before_operations_found() {
    expect_found(super::bugs::BUGS_BEFORE_OPERATIONS);
}

fn expect_found(bugs: &[Bug]) {
    for Bug { name, body } in bugs {
        for seed in [1, 2] {
            let found = Explore::new().seed(seed).find(|| body(false));
            let failure = found.expect_err(name);
            assert!(failure.run() > 1, "{name}: the plain order shows nothing");
        }
        let explored = Explore::new().find(|| body(true));
        assert!(explored.is_ok(), "{name}: {explored:?}");
    }
}
