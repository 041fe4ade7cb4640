//! The clock of a run: a body may pause it, and clean-up may wait for it.

use tokio::time::{pause, sleep};

use super::*;

/// Would take years on a running clock.
async fn sleeps_long() {
    sleep(Duration::from_secs(100_000_000)).await;
}

#[straggler::test(explore = 20)]
async fn body_pauses_clock() {
    pause();
    sleeps_long().await;
}

#[straggler::test(explore = 2)]
#[ignore = "belongs to pause_in_body_prints_nothing"]
async fn pauses() {
    pause();
}

#[test]
fn pause_in_body_prints_nothing() {
    for mode in ["deny", "off"] {
        let ended = child::run_with("clock::pauses", &[("STRAGGLER", mode)]);
        assert!(ended.passed, "{mode}: {ended:?}");
        assert!(!ended.stderr.contains("frozen"), "{mode}: {ended:?}");
    }
}

#[test]
fn pause_accepted_in_task() {
    let explored = Explore::new().runs(20).find(|| async {
        let pauses = straggler::spawn(async { pause() });
        pauses.await.unwrap();
        sleeps_long().await;
    });
    assert_eq!(explored.unwrap().runs(), 20);
}

#[test]
fn race_found_and_replayed_after_pause() {
    let body = || async {
        pause();
        two_registrations().await;
    };
    let found = Explore::new().find(body).unwrap_err();
    assert!(found.run() > 1, "{found}");
    assert_eq!(shrink::reorderings(&found), 1, "{found}");
    let again = Explore::new().replay(found.seed().clone()).find(body);
    assert_eq!(again.unwrap_err().schedule(), found.schedule());
}

#[test]
fn second_pause_fails() {
    let failure = Explore::new().find(|| async {
        pause();
        pause();
    });
    let failure = failure.unwrap_err();
    let message = failure.message().unwrap();
    assert!(message.contains("already frozen"), "{failure}");
}

/// Leaves a task that ends after this time.
fn left_for(time: Duration) {
    straggler::spawn(sleep(time));
}

#[test]
fn clean_up_sleeps_in_virtual_time() {
    let explored = Explore::new().runs(20).find(|| async {
        left_for(Duration::from_millis(100));
    });
    assert!(explored.is_ok(), "{explored:?}");
}

#[test]
fn sleep_longer_than_grace_leaks() {
    let failure = Explore::new().find(|| async {
        left_for(Duration::from_secs(60));
    });
    let failure = failure.unwrap_err();
    assert_eq!(verdict(&failure), &Verdict::Leaked);
}
