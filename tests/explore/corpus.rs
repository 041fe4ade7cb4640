//! The corpus of known bugs. `benches/corpus` runs it with more seeds, and prints how many runs each
//! bug takes.

use straggler::Explore;

use super::bugs::{BUGS, Bug};

#[test]
fn bugs_found_and_repaired_twins_pass() {
    for Bug { name, body } in BUGS {
        for seed in [1, 2] {
            let found = Explore::new().seed(seed).find(|| body(false));
            let failure = found.expect_err(name);
            assert!(failure.run() > 1, "{name}: the plain order shows nothing");
        }
        let explored = Explore::new().find(|| body(true));
        assert!(explored.is_ok(), "{name}: {explored:?}");
    }
}
