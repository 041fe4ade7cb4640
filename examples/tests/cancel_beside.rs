//! A registration that hangs if the other one goes before it and is cancelled, and the report that the guide shows.

#[path = "../../tests/common/child.rs"]
mod child;
mod guide;

use std::cell::Cell;

use straggler::{cancellable, settle};
use tokio::sync::{Mutex, Notify};

#[derive(Default)]
struct Accounts {
    is_busy: Cell<bool>,
    is_free: Notify,
    emails: Mutex<Vec<&'static str>>,
}

impl Accounts {
    async fn register(&self, email: &'static str) {
        while self.is_busy.replace(true) {
            self.is_free.notified().await;
        }
        self.emails.lock().await.push(email);
        self.is_busy.set(false);
        self.is_free.notify_one();
    }
}

#[straggler::test(explore = 500, cancel)]
#[ignore = "fails on purpose"]
async fn ada_is_registered() {
    let accounts = Accounts::default();
    let ada = accounts.register("ada@example.com");
    let bob = cancellable(accounts.register("bob@example.com"));
    settle!(ada, bob);
    assert!(accounts.emails.lock().await.contains(&"ada@example.com"));
}

#[test]
fn guide_shows_sample_and_its_report() {
    let ended = child::run("ada_is_registered");
    assert!(!ended.passed, "{ended:?}");
    let (_, report) = ended
        .stderr
        .split_once("explore: ")
        .expect("the test prints a report");
    guide::assert_shows(
        &guide::sample(include_str!("cancel_beside.rs")),
        str::to_owned,
    );
    guide::assert_shows(&format!("explore: {report}"), str::to_owned);
}

#[test]
fn either_alone_is_not_enough() {
    for seed in ["plain", "cancel:0", "cancel:1", "cancel:2", "cancel:3"] {
        let variables = [("STRAGGLER_SEED", seed)];
        let ended = child::run_with("ada_is_registered", &variables);
        assert!(ended.passed, "{ended:?}");
    }
}
