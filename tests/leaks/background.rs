//! Declared helpers.

use super::*;

#[test]
fn a_helper_is_stopped_and_is_no_leak() {
    assert_clean(|| async {
        let handle = straggler::background(async {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        yield_now().await;
        assert!(!handle.is_finished());
    });
}

#[test]
fn a_helper_that_panics_fails_the_check_though_the_body_is_fine() {
    for check in every_flavor() {
        let report = check.run(async {
            let helper = straggler::background(async { panic!("no such table") });
            assert!(helper.await.unwrap_err().is_panic());
        });
        let report = report.unwrap_err();
        assert_eq!(*report.verdict(), Verdict::Panicked);
        let [panic] = report.panics() else {
            panic!("{report}");
        };
        assert_eq!(
            (panic.message(), panic.spawned_at().unwrap().file()),
            (Some("no such table"), file!())
        );
        assert!(report.to_string().contains(": no such table"), "{report}");
    }
}

#[test]
fn a_helper_that_panics_does_not_hide_a_leak() {
    let report = LeakCheck::new().grace(SHORT).run(async {
        straggler::spawn(pending::<()>());
        straggler::background(async { panic!("no such table") });
        yield_now().await;
    });
    let report = report.unwrap_err();
    assert_eq!(*report.verdict(), Verdict::Leaked);
    assert!(report.to_string().contains(": no such table"), "{report}");
}

#[test]
fn a_helper_returns_what_it_returns() {
    assert_clean(|| async { assert_eq!(straggler::background(async { 7 }).await.unwrap(), 7) });
}

#[test]
fn a_helper_that_begins_after_the_body_is_stopped_too() {
    let check = LeakCheck::new().grace(Duration::from_secs(60));
    let body = async {
        straggler::spawn(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            straggler::background(pending::<()>());
        });
    };
    check.run(body).unwrap();
}

#[test]
fn outside_of_a_check_a_helper_is_a_task_like_any_other() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let output = runtime.block_on(async { straggler::background(async { 7 }).await });
    assert_eq!(output.unwrap(), 7);
}
