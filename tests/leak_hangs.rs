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

/// Needs its runtime when it is dropped.
struct Spawns;

impl Drop for Spawns {
    fn drop(&mut self) {
        drop(tokio::spawn(async {}));
    }
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn hangs_and_spawns_when_it_is_dropped() {
    let _spawns = Spawns;
    std::future::pending::<()>().await;
}

#[straggler::test(timeout = "20ms")]
#[should_panic(expected = "")]
#[ignore = "fails on purpose"]
async fn should_panic_and_hangs_and_spawns_when_it_is_dropped() {
    let _spawns = Spawns;
    std::future::pending::<()>().await;
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn hangs_and_blocks_when_it_is_dropped() {
    struct Blocks;
    impl Drop for Blocks {
        fn drop(&mut self) {
            block_for_ever();
        }
    }

    let _blocks = Blocks;
    std::future::pending::<()>().await;
}

/// Leaves a task that it may leave, and that takes long to be dropped.
#[straggler::test(allow = 1, grace = "20ms")]
#[ignore = "run by another test"]
async fn leaves_a_task_that_takes_long_to_be_dropped() {
    struct TakesLong;
    impl Drop for TakesLong {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_secs(7));
        }
    }

    let takes_long = TakesLong;
    straggler::spawn(async move {
        let _takes_long = takes_long;
        std::future::pending::<()>().await;
    });
    tokio::task::yield_now().await;
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn ends_too_late_and_leaves_a_task() {
    straggler::spawn(std::future::pending::<()>());
    _ = straggler::spawn(async { panic!("no such table") }).await;
    std::thread::sleep(Duration::from_millis(100));
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
fn one_that_blocks_its_thread_is_told_of_also_where_the_runner_captures_what_is_printed() {
    let variables = [("STRAGGLER_ON_HANG", "abort")];
    let ended = child::run_captured("blocks_its_thread_for_ever", &variables);
    assert!(!ended.passed);
    let said = &ended.stderr;
    assert!(said.contains("did not end within 20ms"), "{said}");
    assert!(said.contains("it blocks its thread"), "{said}");
}

#[test]
fn a_test_that_cannot_end_since_something_is_left_does_not_hang_without_a_word() {
    for (test, says) in [
        ("leaves_a_task_that_blocks", "does not come to its end"),
        (
            "leaves_a_task_that_blocks_when_it_is_dropped",
            "leak_check: 1 task outlived",
        ),
        (
            "hangs_and_blocks_when_it_is_dropped",
            "did not end within 20ms",
        ),
    ] {
        let ended = child::run_with(test, &[("STRAGGLER_ON_HANG", "abort")]);
        assert!(!ended.passed);
        let said = &ended.stderr;
        assert!(said.contains(says), "{said}");
        let is_left = said.contains("spawned at tests/leak_hangs.rs");
        assert_eq!(is_left, test.starts_with("leaves"), "{said}");
        assert!(said.contains("The process is aborted"), "{said}");
    }
}

#[test]
fn a_body_that_is_given_up_is_dropped_while_its_runtime_is_there() {
    for test in [
        "hangs_and_spawns_when_it_is_dropped",
        "should_panic_and_hangs_and_spawns_when_it_is_dropped",
    ] {
        let ended = child::run(test);
        assert!(!ended.passed);
        // The test runner has come to its end, too.
        assert!(ended.stdout.contains("1 failed"), "{ended:?}");
        let said = &ended.stderr;
        assert!(said.contains("did not end within 20ms"), "{said}");
        assert!(!said.contains("no reactor running"), "{said}");
    }
    let check = LeakCheck::new().timeout(Duration::from_millis(20));
    let report = check.run(async {
        let _spawns = Spawns;
        std::future::pending::<()>().await;
    });
    let report = report.unwrap_err();
    assert!(matches!(report.verdict(), Verdict::Hung { .. }), "{report}");
}

#[test]
fn one_that_takes_long_to_end_and_passes_is_warned_of() {
    let ended = child::run("leaves_a_task_that_takes_long_to_be_dropped");
    assert!(ended.passed, "{ended:?}");
    let said = &ended.stderr;
    assert!(said.contains("does not come to its end"), "{said}");
    assert!(said.contains("meanwhile 1 task is alive"), "{said}");
}

#[test]
fn one_that_is_late_is_told_of_with_its_tasks() {
    let ended = child::run("ends_too_late_and_leaves_a_task");
    assert!(!ended.passed);
    let said = &ended.stderr;
    let (_, report) = said.split_once("leak_check: ").unwrap();
    assert!(report.contains("at its end 1 task is alive"), "{said}");
    assert!(report.contains("no such table"), "{said}");
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
    assert!(said.contains(", longer than its timeout of "), "{said}");
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
    assert!(said.contains(", longer than its timeout of "), "{said}");
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
