//! Two transfers that deadlock, and the `Unsettled` report that the guide shows.

mod guide;

use std::future::{pending, ready};
use std::time::Duration;

use futures::FutureExt;
use straggler::{Unsettled, settle_all};
use tokio::sync::Mutex;
use tokio::task::yield_now;

/// Moves an amount between two accounts.
async fn transfer(from: &Mutex<i32>, to: &Mutex<i32>, amount: i32) -> Result<(), &'static str> {
    let mut from = from.lock().await;
    yield_now().await; // a database round trip
    let mut to = to.lock().await;
    *from -= amount;
    *to += amount;
    Ok(())
}

async fn run_transfers() -> Unsettled<Result<(), &'static str>> {
    let (ada, bob) = (Mutex::new(7), Mutex::new(7));
    let work = [
        ("ada to bob", transfer(&ada, &bob, 1).boxed()),
        ("bob to ada", transfer(&bob, &ada, 2).boxed()),
        ("forgetful", pending().boxed()),
        ("auditor", ready(Err("closed")).boxed()),
    ];
    let (names, work): (Vec<_>, Vec<_>) = work.into_iter().unzip();
    let settling = settle_all(work).named(|index| names[index]);
    let settled = settling.timeout(Duration::from_secs(1)).await;
    settled.expect_err("the transfers deadlock")
}

#[tokio::test(start_paused = true)]
async fn guide_shows_unsettled_report() {
    let unsettled = format!("{:?}", run_transfers().await);
    guide::assert_shows(&unsettled, str::to_owned);
}
