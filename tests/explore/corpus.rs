//! The corpus of known bugs: each is found, and none in its repaired twin. `benches/corpus` does the
//! same more often, and prints in how many runs.

use straggler::Explore;

use super::bugs::{BUGS, Bug};

#[test]
fn each_bug_is_found_and_none_in_its_repaired_twin() {
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
