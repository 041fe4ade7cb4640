//! Exploration by the attribute: `#[straggler::test(explore = 500)]`.

use super::*;

#[straggler::test(explore = 50)]
async fn test_may_return_result() -> Result<(), Box<dyn std::error::Error>> {
    let number: u8 = "1".parse()?;
    assert_eq!(number, 1);
    Ok(())
}

#[straggler::test(explore = 500)]
#[should_panic(expected = "one name, one account")]
async fn should_panic_satisfied_by_any_run() {
    two_registrations().await;
}

#[straggler::test(
    explore = 20,
    allow = 1,
    grace = "1s",
    flavor = "local",
    unscheduled = "allow"
)]
async fn other_options_apply() {
    tokio::task::spawn_local(pending::<()>());
}

#[straggler::test(explore = 20)]
async fn clock_is_paused() {
    tokio::time::sleep(Duration::from_secs(1_000_000)).await;
}

#[straggler::test(explore = 20, require_overlap)]
async fn required_overlap_passes() {
    let _ = settle_all([yield_now(), yield_now()]).await;
}

#[straggler::test(explore = 20, require_overlap)]
#[ignore = "fails on purpose"]
async fn no_overlap() {
    let _ = settle_all([yield_now()]).await;
}

#[test]
fn required_overlap_fails_sequential_test() {
    let ended = child::run("attribute::no_overlap");
    assert!(!ended.passed, "{ended:?}");
    assert!(ended.stderr.contains("were in flight at once"), "{ended:?}");
    for variable in [("STRAGGLER_RUNS", "1"), ("STRAGGLER_SEED", "0x5")] {
        let ended = child::run_with("attribute::no_overlap", &[variable]);
        assert!(ended.passed, "{ended:?}");
        assert!(ended.stderr.contains("was not checked"), "{ended:?}");
    }
}
