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

/// An audit log that is written for as long as somebody has a sender.
#[straggler::test]
#[ignore = "fails on purpose"]
async fn an_audit_log_is_written() {
    let (log, lines) = std::sync::mpsc::channel();
    tokio::task::spawn_blocking(move || lines.into_iter().collect::<Vec<&str>>().join("\n"));
    log.send("ada was registered").unwrap();
    // As in a service that is never dropped, since it has itself in a cycle.
    std::mem::forget(log);
}

async fn pay(till: &straggler::Lock) {
    let _guard = till.acquire().await;
    print_receipt(till).await;
}

async fn print_receipt(till: &straggler::Lock) {
    let _guard = till.acquire().await;
}

#[straggler::test(timeout = "1s")]
#[ignore = "fails on purpose"]
async fn an_invoice_is_paid() {
    pay(&straggler::Lock::new()).await;
}

#[test]
fn the_readme_shows_what_is_printed() {
    let readme = hide_ages(include_str!("../../README.md"));
    for test in [
        "an_account_is_opened",
        "a_balance_is_asked_for",
        "two_transfers_cross",
        "an_audit_log_is_written",
        "an_invoice_is_paid",
    ] {
        let ended = child::run(test);
        assert!(!ended.passed, "{ended:?}");
        let (_, report) = ended
            .stderr
            .split_once("leak_check: ")
            .expect("there is a report");
        let report = hide_ages(&format!("leak_check: {}", report.trim_end()));
        assert!(readme.contains(&report), "{report}");
    }
}

/// Leaves out how long blocking work was at work, and locks were held and waited for.
fn hide_ages(text: &str) -> String {
    let hide = |line: &str| {
        let mut ages = ["at work for ", ", held for ", " by the test, for "].into_iter();
        let shown = ages.find_map(|age| match line.split_once(age) {
            Some((before, time)) if time.ends_with("ms") || time.ends_with('s') => {
                Some(format!("{before}{age}[age]"))
            }
            _ => None,
        });
        shown.unwrap_or_else(|| line.to_owned())
    };
    text.lines().map(hide).collect::<Vec<_>>().join("\n")
}
