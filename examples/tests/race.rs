//! A race that no plain test sees, and what exploring says of it: the sample in the README, which is
//! compared with what this prints.

extern crate straggler_tokio as tokio;

#[path = "../../tests/common/child.rs"]
mod child;

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
async fn an_address_is_registered_twice() {
    let accounts = RwLock::default();
    let registering = [(); 2].map(|()| register(&accounts, "eve@example.com"));
    let settled = settle_all(registering).await;
    assert_eq!(settled.ok_count(), 1, "one address, one account");
}

#[test]
fn the_readme_shows_what_is_printed() {
    let ended = child::run("an_address_is_registered_twice");
    assert!(!ended.passed, "{ended:?}");
    let (_, report) = ended
        .stderr
        .split_once("explore: ")
        .expect("there is a report");
    let readme = include_str!("../../README.md");
    let (_, test) = include_str!("race.rs")
        .split_once("mod child;\n\n")
        .expect("it is below");
    let (test, _) = test.split_once("\n#[test]").expect("others follow");
    let test = test.replace("#[ignore = \"fails on purpose\"]\n", "");
    assert!(readme.contains(&test), "{test}");
    let report = format!("explore: {}", report.trim_end());
    assert!(readme.contains(&report), "{report}");
}

#[test]
fn in_the_plain_order_it_passes() {
    let variables = [("STRAGGLER_SEED", "plain")];
    let ended = child::run_with("an_address_is_registered_twice", &variables);
    assert!(ended.passed, "{ended:?}");
}
