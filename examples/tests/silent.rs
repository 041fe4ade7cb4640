//! Tests that pass or hang silently under `#[tokio::test]`, and the reports that the guide shows.

extern crate straggler_tokio as tokio;

#[path = "../../tests/common/child.rs"]
mod child;
mod guide;

use std::time::Duration;

use tokio::sync::{Mutex, oneshot};

/// A detached task panics.
#[straggler::test]
#[ignore = "fails on purpose"]
async fn account_opened() {
    tokio::spawn(async { panic!("no such table: accounts") });
    tokio::task::yield_now().await;
}

async fn balance() -> u64 {
    let (sender, receiver) = oneshot::channel();
    // Like a lost request whose sender is still in a map.
    std::mem::forget(sender);
    receiver.await.unwrap()
}

#[straggler::test(timeout = "1s")]
#[ignore = "fails on purpose"]
async fn balance_requested() {
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
async fn transfers_cross() {
    let (ada, bob) = (Mutex::new(100), Mutex::new(100));
    straggler::settle!(transfer(&ada, &bob), transfer(&bob, &ada));
}

/// A blocking closure runs for as long as there is a sender.
#[straggler::test]
#[ignore = "fails on purpose"]
async fn audit_log_written() {
    let (log, lines) = std::sync::mpsc::channel();
    tokio::task::spawn_blocking(move || lines.into_iter().collect::<Vec<&str>>().join("\n"));
    log.send("ada was registered").unwrap();
    // Like a service that is never dropped because of a reference cycle.
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
async fn invoice_paid() {
    pay(&straggler::Lock::new()).await;
}

#[test]
fn guide_shows_reports() {
    for test in [
        "account_opened",
        "balance_requested",
        // Only on Linux straggler knows of all threads, and where one blocks.
        #[cfg(target_os = "linux")]
        "transfers_cross",
        #[cfg(target_os = "linux")]
        "audit_log_written",
        "invoice_paid",
    ] {
        let ended = child::run(test);
        assert!(!ended.passed, "{ended:?}");
        let (_, report) = ended
            .stderr
            .split_once("leak_check: ")
            .expect("the test prints a report");
        guide::assert_shows(&format!("leak_check: {report}"), hide_ages);
    }
}

/// Replaces how long closures ran, how long tests made no progress, and how long tasks held locks or waited
/// for them.
fn hide_ages(text: &str) -> String {
    let hide = |line: &str| {
        if let Some((before, time)) = line.split_once("no progress for ") {
            let (_, after) = time.split_once(" before").unwrap_or_default();
            return format!("{before}no progress for [age] before{after}");
        }
        let mut ages = ["running for ", ", held for ", " by the test, waiting for "].into_iter();
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
