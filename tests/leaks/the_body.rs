//! What becomes of the body's own outcome.

use super::*;

#[test]
fn lets_its_panic_go_on_with_its_payload_also_with_a_leak() {
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
fn is_not_clean_where_the_check_itself_panics() {
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let mut builder = Builder::new_current_thread();
    // The check holds a paused clock by blocking work, for which there has to be a thread.
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
fn is_not_run_inside_of_a_runtime() {
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
