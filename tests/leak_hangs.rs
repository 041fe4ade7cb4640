//! Tests that hang: what they print, and how the process ends. Each runs in a child process, which
//! some of them abort.

#![cfg(feature = "macros")]

#[path = "leak_hangs/blocks.rs"]
mod blocks;
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
fn block_forever() {
    let (_sender, receiver) = mpsc::channel();
    block(&receiver);
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn blocked_thread() {
    straggler::spawn(std::future::pending::<()>());
    tokio::task::yield_now().await;
    block_forever();
}

#[straggler::test(timeout = "20ms", flavor = "multi_thread", worker_threads = 2)]
#[ignore = "fails on purpose"]
async fn blocked_thread_beside_workers() {
    let (_sender, receiver) = tokio::sync::oneshot::channel::<()>();
    straggler::spawn(async { _ = receiver.await });
    tokio::task::yield_now().await;
    block_forever();
}

/// The leftover task blocks in its first poll, after the body has ended.
#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leftover_task_blocks_in_poll() {
    straggler::spawn(async { block_forever() });
}

/// The leftover task blocks while the runtime drops it.
#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leftover_task_blocks_in_drop() {
    struct Blocks;
    impl Drop for Blocks {
        fn drop(&mut self) {
            block_forever();
        }
    }

    let blocks = Blocks;
    straggler::spawn(async move {
        let _blocks = blocks;
        std::future::pending::<()>().await;
    });
    tokio::task::yield_now().await;
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn untracked_task_blocks() {
    _ = tokio::spawn(async { block_forever() }).await;
}

#[straggler::test(timeout = "20ms", flavor = "multi_thread", worker_threads = 2)]
#[ignore = "fails on purpose"]
async fn untracked_task_blocks_worker() {
    _ = tokio::spawn(async { block_forever() }).await;
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn untracked_closure_blocks() {
    drop(tokio::task::spawn_blocking(block_forever));
}

#[straggler::test(grace = "600s")]
#[ignore = "fails on purpose"]
async fn leftovers_cannot_end_within_grace() {
    straggler::spawn(std::future::pending::<()>());
}

/// Needs a runtime when dropped.
struct Spawns;

impl Drop for Spawns {
    fn drop(&mut self) {
        drop(tokio::spawn(async {}));
    }
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn hang_that_spawns_in_drop() {
    let _spawns = Spawns;
    std::future::pending::<()>().await;
}

#[straggler::test(timeout = "20ms")]
#[should_panic(expected = "")]
#[ignore = "fails on purpose"]
async fn should_panic_hang_that_spawns_in_drop() {
    let _spawns = Spawns;
    std::future::pending::<()>().await;
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn hang_that_blocks_in_drop() {
    struct Blocks;
    impl Drop for Blocks {
        fn drop(&mut self) {
            block_forever();
        }
    }

    let _blocks = Blocks;
    std::future::pending::<()>().await;
}

/// The leaked task is allowed, but dropping it takes long.
#[straggler::test(allow = 1, grace = "20ms")]
#[ignore = "run by another test"]
async fn allowed_leak_with_slow_drop() {
    struct TakesLong;
    impl Drop for TakesLong {
        fn drop(&mut self) {
            // Outlasts the report, for which a busy machine takes long to find lines.
            std::thread::sleep(Duration::from_secs(25));
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
async fn late_with_leak_and_task_panic() {
    straggler::spawn(std::future::pending::<()>());
    _ = straggler::spawn(async { panic!("no such table") }).await;
    std::thread::sleep(Duration::from_millis(100));
}

/// Blocks its thread after a task has panicked.
#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn blocked_thread_after_task_panic() {
    _ = straggler::spawn(async { panic!("no such table") }).await;
    block_forever();
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn late_error() -> Result<(), &'static str> {
    // However long this sleep takes, the timeout has passed after it.
    std::thread::sleep(Duration::from_millis(100));
    Err("no such account")
}

/// Blocks its thread until the watchdog reports it, and then ends.
#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn temporarily_blocked_thread() {
    std::thread::sleep(Duration::from_secs(15));
}

/// Waits, but takes long to say where when it is asked, which is its second poll.
#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn slow_answer() {
    let mut polls = 0;
    let mut waker = None;
    std::future::poll_fn(|context| {
        waker = Some(context.waker().clone());
        polls += 1;
        if polls > 1 {
            std::thread::sleep(Duration::from_millis(1200));
        }
        std::task::Poll::<()>::Pending
    })
    .await;
}

#[straggler::test]
#[ignore = "fails on purpose"]
async fn hang() {
    std::future::pending::<()>().await;
}

#[straggler::test(timeout = "none")]
#[ignore = "run by another test"]
async fn slow_test_without_timeout() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// It would wait for ten minutes. Beside other tests, which may wake what is left, it has to.
#[test]
#[cfg(target_os = "linux")]
fn leftovers_that_cannot_end_reported_at_once() {
    let ended = child::run("leftovers_cannot_end_within_grace");
    assert!(!ended.passed);
    let stderr = ended.stderr;
    assert!(stderr.contains("1 task outlived the test"), "{stderr}");
}

#[test]
fn blocked_test_reported_and_aborted() {
    for variables in [
        &[("STRAGGLER_ON_HANG", "abort")][..],
        &[("NEXTEST_EXECUTION_MODE", "process-per-test")],
    ] {
        let ended = child::run_with("blocked_thread", variables);
        assert!(!ended.passed);
        let said = &ended.stderr;
        assert!(said.contains("did not end within 20ms"), "{said}");
        assert!(said.contains("it blocks its thread"), "{said}");
        assert!(said.contains("still alive: 1 task"), "{said}");
        assert!(said.contains("Aborting the process"), "{said}");
    }
}

#[test]
fn slow_answer_does_not_block() {
    let ended = child::run_with("slow_answer", &[("STRAGGLER_ON_HANG", "abort")]);
    let said = &ended.stderr;
    assert!(said.contains("did not end within 20ms"), "{said}");
    assert!(said.contains("it waits at"), "{said}");
    assert!(!said.contains("blocks its thread"), "{said}");
    assert!(!said.contains("Aborting"), "{said}");
}

/// Runs a test that blocks its thread, and returns its report.
#[cfg(target_os = "linux")]
fn report_of(test: &str) -> String {
    let ended = child::run_with(test, &[("STRAGGLER_ON_HANG", "abort")]);
    assert!(!ended.passed);
    assert!(ended.stderr.contains("it blocks its thread"), "{ended:?}");
    ended.stderr
}

#[cfg(target_os = "linux")]
#[test]
fn blocked_thread_located() {
    if !straggler::leak::self_test().sees_lines() {
        return;
    }
    for (test, calling, advice) in [
        (
            "on_mutex",
            ", calling std::sync::Mutex::lock",
            "release the lock that it waits for",
        ),
        (
            "on_channel",
            ", calling std::sync::mpsc::Receiver::recv",
            "use a channel of `tokio::sync`",
        ),
        (
            "in_sleep",
            ", calling std::thread::sleep",
            "await `tokio::time::sleep`",
        ),
        (
            "in_block_on",
            ", calling futures_executor::local_pool::block_on",
            "await the future in place of calling `block_on`",
        ),
        (
            "on_thread",
            ", calling std::thread::JoinHandle::join",
            "wait for the thread in `spawn_blocking`",
        ),
        (
            "in_read",
            ", calling std::net::TcpStream::read",
            "use tokio's I/O",
        ),
        // A thread that runs is in any function by chance.
        ("in_loop", "", "let the loop await something"),
    ] {
        let said = report_of(&format!("blocks::{test}"));
        let calls: Vec<_> = said
            .lines()
            .filter_map(|line| {
                line.trim()
                    .strip_prefix("at ")
                    .or(line.trim().strip_prefix("called at "))
            })
            .collect();
        // Only the user's calls within the body.
        let [innermost, body] = calls.as_slice() else {
            panic!("{said}");
        };
        assert!(
            innermost.starts_with("tests/leak_hangs/blocks.rs:"),
            "{said}"
        );
        let function = innermost.split_once(" in leak_hangs::blocks::").unwrap().1;
        assert_eq!(
            function.trim_start_matches(char::is_alphabetic),
            calling,
            "{said}"
        );
        assert!(
            body.ends_with(&format!(" in leak_hangs::blocks::{test}")),
            "{said}"
        );
        assert!(said.contains(&format!("What to do:\n  {advice}")), "{said}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn lock_held_across_eager_spawn_located() {
    let said = report_of("blocks::on_lock_of_spawner");
    let step =
        "if the spawner of #1 holds the lock that it waits for: drop the guard before the spawn";
    assert!(said.contains(step), "{said}");
    if straggler::leak::self_test().sees_lines() {
        let lines = [
            "calling std::sync::Mutex::lock",
            "in leak_hangs::blocks::on_lock_of_spawner",
        ];
        assert!(lines.iter().all(|line| said.contains(line)), "{said}");
    }
}

/// Nothing is known of an untracked task, but of the thread that it blocks.
#[cfg(target_os = "linux")]
#[test]
fn untracked_blocking_located() {
    if !straggler::leak::self_test().sees_lines() {
        return;
    }
    let abort = [("STRAGGLER_ON_HANG", "abort")];
    let at = "  at tests/leak_hangs.rs:";
    let calling = " in leak_hangs::block, calling std::sync::mpsc::Receiver::recv\n";
    for (test, before) in [
        (
            "untracked_task_blocks",
            "the thread of the test is blocked\n\n",
        ),
        (
            "leftover_task_blocks_in_drop",
            "the thread of the test is blocked\n\n",
        ),
        (
            "hang_that_blocks_in_drop",
            "the thread of the test is blocked\n\n",
        ),
        // With hooks the report lists the task itself, as untracked.
        #[cfg(not(tokio_unstable))]
        (
            "untracked_task_blocks_worker",
            "a task may block it instead)\n   ",
        ),
        ("untracked_closure_blocks", "1 untracked closure\n   "),
    ] {
        let said = child::run_with(test, &abort).stderr;
        let place = said.split_once(before).map(|(_, place)| place);
        let place = place.unwrap_or_else(|| panic!("{said}"));
        let line = place.split_inclusive('\n').next().unwrap();
        assert!(line.starts_with(at) && line.ends_with(calling), "{said}");
    }
}

#[test]
fn blocked_test_report_bypasses_capture() {
    let variables = [("STRAGGLER_ON_HANG", "abort")];
    let ended = child::run_captured("blocked_thread", &variables);
    assert!(!ended.passed);
    let said = &ended.stderr;
    assert!(said.contains("did not end within 20ms"), "{said}");
    assert!(said.contains("it blocks its thread"), "{said}");
}

#[test]
fn blocked_shutdown_reported_and_aborted() {
    for (test, says) in [
        (
            "leftover_task_blocks_in_poll",
            "is stuck: its body has ended",
        ),
        (
            "leftover_task_blocks_in_drop",
            "leak_check: 1 task outlived",
        ),
        ("hang_that_blocks_in_drop", "did not end within 20ms"),
    ] {
        let ended = child::run_with(test, &[("STRAGGLER_ON_HANG", "abort")]);
        assert!(!ended.passed);
        let said = &ended.stderr;
        assert!(said.contains(says), "{said}");
        let is_left = said.contains("spawned at tests/leak_hangs.rs");
        assert_eq!(is_left, test.starts_with("leftover"), "{said}");
        assert!(said.contains("Aborting the process"), "{said}");
    }
}

#[test]
fn hung_body_dropped_inside_runtime() {
    for test in [
        "hang_that_spawns_in_drop",
        "should_panic_hang_that_spawns_in_drop",
    ] {
        let ended = child::run(test);
        assert!(!ended.passed);
        // The test runner got to its summary, so nothing hung.
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
fn slow_shutdown_warns_and_passes() {
    let ended = child::run("allowed_leak_with_slow_drop");
    assert!(ended.passed, "{ended:?}");
    let said = &ended.stderr;
    assert!(said.contains("is stuck: its body has ended"), "{said}");
    assert!(said.contains("still alive: 1 task"), "{said}");
}

#[test]
fn late_test_report_lists_tasks() {
    let ended = child::run("late_with_leak_and_task_panic");
    assert!(!ended.passed);
    let said = &ended.stderr;
    let (_, report) = said.split_once("leak_check: ").unwrap();
    assert!(
        report.contains("still alive when it ended: 1 task"),
        "{said}"
    );
    assert!(report.contains("no such table"), "{said}");
}

#[test]
fn blocked_test_report_lists_task_panics() {
    let abort = [("STRAGGLER_ON_HANG", "abort")];
    let ended = child::run_with("blocked_thread_after_task_panic", &abort);
    let said = &ended.stderr;
    let (_, report) = said.split_once("leak_check: ").unwrap();
    assert!(report.contains("no such table"), "{said}");
}

#[test]
fn late_test_report_keeps_error() {
    let ended = child::run("late_error");
    assert!(!ended.passed);
    let said = &ended.stderr;
    assert!(said.contains("Error: \"no such account\""), "{said}");
    assert!(said.contains(", longer than its timeout of "), "{said}");
    let warned = child::run_with("late_error", &[("STRAGGLER", "warn")]);
    assert!(!warned.passed, "{warned:?}");
}

#[test]
fn worker_tasks_located_beside_blocked_body() {
    let abort = [("STRAGGLER_ON_HANG", "abort")];
    let ended = child::run_with("blocked_thread_beside_workers", &abort);
    let said = &ended.stderr;
    assert!(said.contains("it blocks its thread"), "{said}");
    assert!(said.contains("on tokio::sync::oneshot::Receiver"), "{said}");
}

#[test]
fn blocked_test_may_end_without_abort() {
    let ended = child::run("temporarily_blocked_thread");
    assert!(!ended.passed);
    let said = &ended.stderr;
    assert!(said.contains("it blocks its thread"), "{said}");
    assert!(said.contains("STRAGGLER_ON_HANG=abort"), "{said}");
    assert!(said.contains(", longer than its timeout of "), "{said}");
}

#[test]
fn environment_timeout_applies_unless_overridden() {
    let short = [("STRAGGLER_TIMEOUT", "10ms")];
    let ended = child::run_with("hang", &short);
    assert!(!ended.passed);
    assert!(
        ended.stderr.contains("did not end within 10ms"),
        "{ended:?}"
    );
    let ended = child::run_with("slow_test_without_timeout", &short);
    assert!(ended.passed, "{ended:?}");
}

#[test]
fn blocking_task_reported_with_duration() {
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
        // The body is dropped after the report is made, which ends the task.
        let _sender = sender;
        std::future::pending::<()>().await;
    });
    let report = report.unwrap_err();
    assert!(matches!(report.verdict(), Verdict::Hung { .. }), "{report}");
    let Wait::Blocks(blocked) = report.tasks()[0].wait() else {
        panic!("{report}");
    };
    assert!(blocked.time() >= Duration::from_millis(50), "{report}");
}
