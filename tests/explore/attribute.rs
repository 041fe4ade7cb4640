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

#[straggler::test(explore = 20, require_overlap)]
async fn overlap_may_be_required() {
    let _ = settle_all([yield_now(), yield_now()]).await;
}

#[straggler::test(explore = 20, require_overlap)]
#[ignore = "fails on purpose"]
async fn has_no_overlap() {
    let _ = settle_all([yield_now()]).await;
}

#[test]
fn a_test_without_the_overlap_that_is_required_fails() {
    let ended = child::run("attribute::has_no_overlap");
    assert!(!ended.passed, "{ended:?}");
    assert!(
        ended.stderr.contains("were seen in flight at once"),
        "{ended:?}"
    );
    for variable in [("STRAGGLER_RUNS", "1"), ("STRAGGLER_SEED", "0x5")] {
        let ended = child::run_with("attribute::has_no_overlap", &[variable]);
        assert!(ended.passed, "{ended:?}");
        assert!(ended.stderr.contains("was not looked at"), "{ended:?}");
    }
}
