//! Tests that do not end: what is printed, and what becomes of the process. Each in a process of its
//! own.

#![cfg(feature = "macros")]

#[path = "common/child.rs"]
mod child;

use std::sync::mpsc;
use std::time::Duration;

use straggler::LeakCheck;
use straggler::leak::{Verdict, Wait};

/// Blocks its thread until the sender is dropped.
fn block(receiver: &mpsc::Receiver<()>) {
    _ = receiver.recv();
}

/// Never returns.
fn block_for_ever() {
    let (_sender, receiver) = mpsc::channel();
    block(&receiver);
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn blocks_its_thread_for_ever() {
    straggler::spawn(std::future::pending::<()>());
    tokio::task::yield_now().await;
    block_for_ever();
}

#[straggler::test(timeout = "20ms", flavor = "multi_thread", worker_threads = 2)]
#[ignore = "fails on purpose"]
async fn blocks_its_thread_beside_workers() {
    let (_sender, receiver) = tokio::sync::oneshot::channel::<()>();
    straggler::spawn(async { _ = receiver.await });
    tokio::task::yield_now().await;
    block_for_ever();
}

/// Leaves a task that is polled for the first time when the body has ended.
#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leaves_a_task_that_blocks() {
    straggler::spawn(async { block_for_ever() });
}

/// Leaves a task that never ends to be dropped.
#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leaves_a_task_that_blocks_when_it_is_dropped() {
    struct Blocks;
    impl Drop for Blocks {
        fn drop(&mut self) {
            block_for_ever();
        }
    }

    let blocks = Blocks;
    straggler::spawn(async move {
        let _blocks = blocks;
        std::future::pending::<()>().await;
    });
    tokio::task::yield_now().await;
}

/// A task panics, and what waits for it blocks its thread.
#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn blocks_since_a_task_panicked() {
    _ = straggler::spawn(async { panic!("no such table") }).await;
    block_for_ever();
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn returns_an_error_too_late() -> Result<(), &'static str> {
    // Its time is over by then, however long this takes.
    std::thread::sleep(Duration::from_millis(100));
    Err("no such account")
}

/// Blocks its thread for so long that somebody has to speak for it, and then ends.
#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn blocks_its_thread_for_a_while() {
    std::thread::sleep(Duration::from_secs(2));
}

#[straggler::test]
#[ignore = "fails on purpose"]
async fn hangs() {
    std::future::pending::<()>().await;
}

#[straggler::test(timeout = "none")]
#[ignore = "run by another test"]
async fn takes_longer_than_others_may() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[test]
fn one_that_blocks_its_thread_is_told_of_by_another_thread_and_aborted() {
    for variables in [
        &[("STRAGGLER_ON_HANG", "abort")][..],
        &[("NEXTEST_EXECUTION_MODE", "process-per-test")],
    ] {
        let ended = child::run_with("blocks_its_thread_for_ever", variables);
        assert!(!ended.passed);
        let said = &ended.stderr;
        assert!(said.contains("did not end within 20ms"), "{said}");
        assert!(said.contains("it blocks its thread"), "{said}");
        assert!(said.contains("meanwhile 1 task is alive"), "{said}");
        assert!(said.contains("The process is aborted"), "{said}");
    }
}

#[test]
fn a_test_that_cannot_end_since_something_is_left_does_not_hang_without_a_word() {
    for test in [
        "leaves_a_task_that_blocks",
        "leaves_a_task_that_blocks_when_it_is_dropped",
    ] {
        let ended = child::run_with(test, &[("STRAGGLER_ON_HANG", "abort")]);
        assert!(!ended.passed);
        let said = &ended.stderr;
        assert!(said.contains("leak_check: 1 task outlived"), "{said}");
        assert!(said.contains("spawned at tests/leak_hangs.rs"), "{said}");
        assert!(said.contains("The process is aborted"), "{said}");
    }
}

#[test]
fn one_that_blocks_its_thread_is_told_of_with_the_tasks_that_panicked() {
    let abort = [("STRAGGLER_ON_HANG", "abort")];
    let ended = child::run_with("blocks_since_a_task_panicked", &abort);
    let said = &ended.stderr;
    let (_, report) = said.split_once("leak_check: ").unwrap();
    assert!(report.contains("no such table"), "{said}");
}

#[test]
fn the_error_of_a_test_that_is_late_is_told() {
    let ended = child::run("returns_an_error_too_late");
    assert!(!ended.passed);
    let said = &ended.stderr;
    assert!(said.contains("Error: \"no such account\""), "{said}");
    assert!(said.contains("ended after "), "{said}");
    let warned = child::run_with("returns_an_error_too_late", &[("STRAGGLER", "warn")]);
    assert!(!warned.passed, "{warned:?}");
}

#[test]
fn tasks_on_other_threads_say_where_they_wait() {
    let abort = [("STRAGGLER_ON_HANG", "abort")];
    let ended = child::run_with("blocks_its_thread_beside_workers", &abort);
    let said = &ended.stderr;
    assert!(said.contains("it blocks its thread"), "{said}");
    assert!(said.contains("on tokio::sync::oneshot::Receiver"), "{said}");
}

#[test]
fn one_that_ends_after_all_is_left_to_do_so() {
    let ended = child::run("blocks_its_thread_for_a_while");
    assert!(!ended.passed);
    let said = &ended.stderr;
    assert!(said.contains("it blocks its thread"), "{said}");
    assert!(said.contains("STRAGGLER_ON_HANG=abort"), "{said}");
    assert!(said.contains("ended after "), "{said}");
}

#[test]
fn the_environment_says_how_long_tests_may_take_that_do_not_say_so_themselves() {
    let short = [("STRAGGLER_TIMEOUT", "10ms")];
    let ended = child::run_with("hangs", &short);
    assert!(!ended.passed);
    assert!(
        ended.stderr.contains("did not end within 10ms"),
        "{ended:?}"
    );
    let ended = child::run_with("takes_longer_than_others_may", &short);
    assert!(ended.passed, "{ended:?}");
}

#[test]
fn a_task_that_blocks_its_thread_says_for_how_long() {
    let (sender, receiver) = mpsc::channel();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all();
    let check = LeakCheck::new().runtime(builder);
    let report = check.timeout(Duration::from_millis(50)).run(async move {
        let (begins, begun) = tokio::sync::oneshot::channel();
        straggler::spawn(async move {
            begins.send(()).unwrap();
            block(&receiver);
        });
        begun.await.unwrap();
        // Ends the task once the report is made: the body is dropped after that.
        let _sender = sender;
        std::future::pending::<()>().await;
    });
    let report = report.unwrap_err();
    assert!(matches!(report.verdict(), Verdict::Hung { .. }), "{report}");
    let Wait::Blocks(time) = report.tasks()[0].wait() else {
        panic!("{report}");
    };
    assert!(*time >= Duration::from_millis(50), "{report}");
}
