//! Two transfers that lock each other out, and what `Unsettled` says of them: the sample in the
//! README, which is compared with what this prints.

use std::future::{pending, ready};
use std::time::Duration;

use futures::FutureExt;
use straggler::{Unsettled, settle_all};
use tokio::sync::Mutex;
use tokio::task::yield_now;

/// Moves an amount between two accounts.
async fn transfer(from: &Mutex<i32>, to: &Mutex<i32>, amount: i32) -> Result<(), &'static str> {
    let mut from = from.lock().await;
    // The database is asked whether they may.
    yield_now().await;
    let mut to = to.lock().await;
    *from -= amount;
    *to += amount;
    Ok(())
}

async fn a_day_at_the_bank() -> Unsettled<Result<(), &'static str>> {
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
    settled.expect_err("each transfer waits for the other")
}

#[tokio::test(start_paused = true)]
async fn the_readme_shows_what_is_printed() {
    let unsettled = format!("{:?}", a_day_at_the_bank().await);
    assert!(
        include_str!("../../README.md").contains(&unsettled),
        "{unsettled}"
    );
}
