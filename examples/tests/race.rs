//! A race that no plain test finds, and the report of the exploration that the guide shows.

extern crate straggler_tokio as tokio;

#[path = "../../tests/common/child.rs"]
mod child;
mod guide;

use straggler::settle_all;
use tokio::sync::RwLock;

async fn register(accounts: &RwLock<Vec<String>>, email: &str) -> Result<(), &'static str> {
    if accounts.read().await.iter().any(|account| account == email) {
        return Err("409: already registered");
    }
    accounts.write().await.push(email.to_owned());
    Ok(())
}

#[straggler::test(explore = 500)]
#[ignore = "fails on purpose"]
async fn address_registered_once() {
    let accounts = RwLock::default();
    let registering = [(); 2].map(|()| register(&accounts, "eve@example.com"));
    let settled = settle_all(registering).await;
    assert_eq!(settled.ok_count(), 1, "one address, one account");
}

#[test]
fn guide_shows_sample_and_its_report() {
    let ended = child::run("address_registered_once");
    assert!(!ended.passed, "{ended:?}");
    let (_, report) = ended
        .stderr
        .split_once("explore: ")
        .expect("the test prints a report");
    guide::assert_shows(&guide::sample(include_str!("race.rs")), str::to_owned);
    guide::assert_shows(&format!("explore: {report}"), str::to_owned);
}

#[test]
fn race_passes_in_plain_order() {
    let variables = [("STRAGGLER_SEED", "plain")];
    let ended = child::run_with("address_registered_once", &variables);
    assert!(ended.passed, "{ended:?}");
}
