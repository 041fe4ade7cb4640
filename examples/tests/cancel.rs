//! A transfer that loses money if it is cancelled half-way, and the report that the guide shows.

#[path = "../../tests/common/child.rs"]
mod child;
mod guide;

use straggler::cancellable;
use tokio::sync::Mutex;

async fn transfer(from: &Mutex<i32>, to: &Mutex<i32>, amount: i32) {
    *from.lock().await -= amount;
    *to.lock().await += amount;
}

#[straggler::test(cancel)]
#[ignore = "fails on purpose"]
async fn transfer_keeps_total() {
    let (ada, bob) = (Mutex::new(100), Mutex::new(0));
    cancellable(transfer(&ada, &bob, 40)).await;
    let total = *ada.lock().await + *bob.lock().await;
    assert_eq!(total, 100, "money was lost");
}

#[test]
fn guide_shows_sample_and_its_report() {
    let ended = child::run("transfer_keeps_total");
    assert!(!ended.passed, "{ended:?}");
    let (_, report) = ended
        .stderr
        .split_once("explore: ")
        .expect("the test prints a report");
    guide::assert_shows(&guide::sample(include_str!("cancel.rs")), str::to_owned);
    guide::assert_shows(&format!("explore: {report}"), str::to_owned);
}

#[test]
fn transfer_passes_if_nothing_cancels() {
    let variables = [("STRAGGLER_SEED", "plain")];
    let ended = child::run_with("transfer_keeps_total", &variables);
    assert!(ended.passed, "{ended:?}");
}
