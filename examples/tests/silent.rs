//! Tests that `#[tokio::test]` would let pass, or hang in without a word, and what the leak check says
//! of each: the samples in the README, which are compared with what these print.

extern crate straggler_tokio as tokio;

#[path = "../../tests/common/child.rs"]
mod child;

use std::time::Duration;

use tokio::sync::{Mutex, oneshot};

/// An account keeper that panics where nobody looks.
#[straggler::test]
#[ignore = "fails on purpose"]
async fn an_account_is_opened() {
    tokio::spawn(async { panic!("no such table: accounts") });
    tokio::task::yield_now().await;
}

async fn balance() -> u64 {
    let (sender, receiver) = oneshot::channel();
    // As in a request that was lost, and whose sender is still in some map.
    std::mem::forget(sender);
    receiver.await.unwrap()
}

#[straggler::test(timeout = "1s")]
#[ignore = "fails on purpose"]
async fn a_balance_is_asked_for() {
    assert_eq!(balance().await, 100);
}

async fn transfer(from: &Mutex<u64>, to: &Mutex<u64>) {
    let mut from = from.lock().await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut to = to.lock().await;
    *from -= 1;
    *to += 1;
}

#[straggler::test(start_paused = true)]
#[ignore = "fails on purpose"]
async fn two_transfers_cross() {
    let (ada, bob) = (Mutex::new(100), Mutex::new(100));
    straggler::settle!(transfer(&ada, &bob), transfer(&bob, &ada));
}

#[test]
fn the_readme_shows_what_is_printed() {
    for test in [
        "an_account_is_opened",
        "a_balance_is_asked_for",
        "two_transfers_cross",
    ] {
        let ended = child::run(test);
        assert!(!ended.passed, "{ended:?}");
        let (_, report) = ended
            .stderr
            .split_once("leak_check: ")
            .expect("there is a report");
        let report = format!("leak_check: {}", report.trim_end());
        let readme = include_str!("../../README.md");
        assert!(readme.contains(&report), "{report}");
    }
}
