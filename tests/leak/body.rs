//! The body's own outcome.

use super::*;

#[test]
fn body_panic_keeps_payload_despite_leak() {
    let check = LeakCheck::new().grace(SHORT);
    let panicking = || {
        check.run(async {
            straggler::spawn(pending::<()>());
            std::panic::panic_any(7);
        })
    };
    let payload = catch_unwind(AssertUnwindSafe(panicking)).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&7));
}

#[test]
fn panic_in_check_reported_as_check_failed() {
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let mut builder = Builder::new_current_thread();
    // The check keeps a paused clock from advancing with a blocking closure, which needs a thread.
    builder.enable_time().start_paused(true);
    builder.thread_name_fn(move || {
        assert!(!over.load(SeqCst), "in the middle of the check");
        "blocking".to_owned()
    });
    let report = LeakCheck::new().runtime(builder).run(async move {
        tokio::spawn(pending::<()>());
        is_over.store(true, SeqCst);
    });
    let report = report.unwrap_err();
    assert!(
        matches!(report.verdict(), Verdict::CheckFailed(_)),
        "{report}"
    );
    assert!(
        report
            .to_string()
            .contains("panicked: in the middle of the check"),
        "{report}"
    );
}

#[test]
fn body_not_run_inside_runtime() {
    let ran = Arc::new(AtomicBool::new(false));
    let runs = Arc::clone(&ran);
    let outer = LeakCheck::new()
        .run(async { LeakCheck::new().run(async move { runs.store(true, SeqCst) }) });
    let report = outer.unwrap().unwrap_err();
    assert!(matches!(report.verdict(), Verdict::NotRun(_)));
    let text = report.to_string();
    assert!(
        text.contains("inside of a tokio runtime") && text.contains("LeakCheck::watch"),
        "{text}"
    );
    assert!(!ran.load(SeqCst));
}
