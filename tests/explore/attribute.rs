//! `#[straggler::test(explore = 500)]`.

use super::*;

#[straggler::test(explore = 50)]
async fn a_test_may_return_a_result() -> Result<(), Box<dyn std::error::Error>> {
    let number: u8 = "1".parse()?;
    assert_eq!(number, 1);
    Ok(())
}

#[straggler::test(explore = 500)]
#[should_panic(expected = "one name, one account")]
async fn a_panic_in_some_run_is_what_is_expected() {
    two_registrations().await;
}

#[straggler::test(explore = 20, allow = 1, grace = "1s", flavor = "local")]
async fn it_has_the_other_options_too() {
    tokio::task::spawn_local(pending::<()>());
}

#[straggler::test(explore = 20)]
async fn the_clock_is_paused() {
    tokio::time::sleep(Duration::from_secs(1_000_000)).await;
}
