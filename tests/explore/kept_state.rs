//! State that outlives a run: a run fails although its schedule is not at fault.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;

const KEPT: &str = "something outlives a run";

#[test]
fn state_kept_between_runs_reported() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let failure = Explore::new().find(|| async {
        yield_now().await;
        assert!(RUNS.fetch_add(1, Relaxed) < 4, "a static counts the runs");
    });
    let failure = failure.unwrap_err();
    assert_eq!(failure.run(), 5, "{failure}");
    assert!(failure.message().unwrap().contains("counts the runs"));
    let text = failure.to_string();
    assert!(text.contains(KEPT), "{text}");
    assert!(!text.contains("minimal failing schedule"), "{text}");
    assert!(!failure.schedule().steps().is_empty(), "{text}");
}

#[test]
fn state_kept_by_failing_run_reported() {
    // The first failure poisons the rest, as a broken file would.
    static IS_BROKEN: AtomicUsize = AtomicUsize::new(0);
    let failure = Explore::new().find(|| async {
        assert_eq!(IS_BROKEN.load(Relaxed), 0, "broken");
        let users = RwLock::default();
        let both = [register(&users, "eve"), register(&users, "eve")];
        if settle_all(both).await.ok_count() == 2 {
            IS_BROKEN.store(1, Relaxed);
            straggler::spawn(pending::<()>());
        }
    });
    let text = failure.unwrap_err().to_string();
    assert!(text.contains(KEPT), "{text}");
}

#[test]
fn race_keeps_no_state() {
    let text = Explore::new()
        .find(two_registrations)
        .unwrap_err()
        .to_string();
    assert!(!text.contains(KEPT), "{text}");
}

#[test]
fn deadlock_keeps_no_state() {
    let failure = Explore::new().find(deadlocks::opposite_order_in_tasks);
    let text = failure.unwrap_err().to_string();
    assert!(!text.contains(KEPT), "{text}");
}
