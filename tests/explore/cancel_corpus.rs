//! The corpus of known cancellation bugs.

use straggler::Explore;

use super::bugs::Bug;
use super::cancel_bugs::CANCELLATION_BUGS;

#[test]
fn cancellation_bugs_found() {
    for Bug { name, body, .. } in CANCELLATION_BUGS {
        let failure = match Explore::new().cancel().find(|| body(false)) {
            Ok(explored) => panic!("{name}: {explored:?}"),
            Err(failure) => failure,
        };
        let seed = failure.seed().to_string();
        assert!(
            seed.starts_with("cancel:") && !seed.contains(','),
            "{name}: not within the runs that cancel once: {failure}"
        );
    }
}

#[test]
fn repaired_cancellation_bugs_pass() {
    for Bug { name, body, .. } in CANCELLATION_BUGS {
        let explored = Explore::new().cancel().find(|| body(true));
        let explored = explored.unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert_eq!(explored.note(), None, "{name}");
    }
}
