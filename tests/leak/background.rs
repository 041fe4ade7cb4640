//! Helpers declared with `straggler::background`.

use super::*;

#[test]
fn helper_stopped_without_leak() {
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
fn helper_panic_fails_check() {
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
fn helper_panic_ranks_above_leak() {
    let report = LeakCheck::new().grace(SHORT).run(async {
        straggler::spawn(pending::<()>());
        straggler::background(async { panic!("no such table") });
        yield_now().await;
    });
    let report = report.unwrap_err();
    assert_eq!((report.verdict(), report.count()), (&Verdict::Panicked, 1));
    assert!(report.to_string().contains(": no such table"), "{report}");
}

#[test]
fn helper_output_returned_by_handle() {
    assert_clean(|| async { assert_eq!(straggler::background(async { 7 }).await.unwrap(), 7) });
}

#[test]
fn helper_spawned_after_body_stopped() {
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
fn helper_outside_check_is_plain_task() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let output = runtime.block_on(async { straggler::background(async { 7 }).await });
    assert_eq!(output.unwrap(), 7);
}
