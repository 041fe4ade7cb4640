//! A registration that is right in every schedule, and what the guide shows of it.

mod guide;

use straggler::settle_all;
use tokio::sync::RwLock;

async fn register(accounts: &RwLock<Vec<String>>, email: &str) -> Result<(), &'static str> {
    let mut accounts = accounts.write().await;
    if accounts.iter().any(|account| account == email) {
        return Err("409: already registered");
    }
    accounts.push(email.to_owned());
    Ok(())
}

#[straggler::test(explore = "exhaustive")]
async fn address_registered_once() {
    let accounts = RwLock::default();
    let registering = [(); 2].map(|()| register(&accounts, "eve@example.com"));
    let settled = settle_all(registering).await;
    assert_eq!(settled.ok_count(), 1, "one address, one account");
}

#[test]
fn guide_shows_sample_and_its_result() {
    let binary = std::env::current_exe().expect("this test has a binary");
    let output = std::process::Command::new(binary)
        .args(["address_registered_once", "--exact", "--nocapture"])
        .env_remove("STRAGGLER")
        .env_remove("STRAGGLER_RUNS")
        .env_remove("STRAGGLER_SEED")
        .output()
        .expect("the binary of this test can be run again");
    assert!(output.status.success(), "{output:?}");
    guide::assert_shows(&guide::sample(include_str!("exhaustive.rs")), str::to_owned);
    guide::assert_shows(&String::from_utf8_lossy(&output.stderr), str::to_owned);
}
