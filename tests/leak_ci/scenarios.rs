//! Tests with findings. The snapshots contain their line numbers.

use std::future::pending;
use std::time::Duration;
use std::{env, fs, thread};

use straggler::LeakCheck;
use tokio::sync::oneshot;
use tokio::task::yield_now;

/// Waits forever: the sender is leaked.
async fn wait_for_an_answer() {
    let (sender, receiver) = oneshot::channel::<()>();
    Box::leak(Box::new(sender));
    _ = receiver.await;
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leaked_tasks() {
    for _ in 0..3 {
        straggler::spawn(wait_for_an_answer());
    }
    let parent = straggler::spawn_named("50 %, or\nmore: all", async {
        straggler::spawn(async {
            loop {
                yield_now().await;
            }
        });
        pending::<()>().await;
    });
    yield_now().await;
    drop(parent);
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leaked_tasks_of_one_place() {
    let spawn = |name| straggler::spawn_named(name, wait_for_an_answer());
    for name in ["ada", "bob", "ada", "eve", "mallory"] {
        spawn(name);
    }
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leaked_tasks_of_many_places() {
    straggler::spawn(wait_for_an_answer());
    straggler::spawn(wait_for_an_answer());
    straggler::spawn(wait_for_an_answer());
    straggler::spawn(wait_for_an_answer());
    straggler::spawn(wait_for_an_answer());
    straggler::spawn(wait_for_an_answer());
    straggler::spawn(wait_for_an_answer());
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leaked_untracked_tasks() {
    tokio::spawn(wait_for_an_answer());
    tokio::spawn(wait_for_an_answer());
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leak_and_panic() {
    straggler::spawn(wait_for_an_answer());
    panic!("no such account");
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leak_and_error() -> Result<(), &'static str> {
    straggler::spawn(wait_for_an_answer());
    Err("no such account")
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn leak_and_expected_panic() {
    straggler::spawn(wait_for_an_answer());
    panic!("no such account");
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn leak_and_missing_panic() {
    straggler::spawn(wait_for_an_answer());
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leak_after_partial_line() {
    straggler::spawn(wait_for_an_answer());
    print!("no such account: ");
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn hang() {
    straggler::spawn(wait_for_an_answer());
    let questions = [wait_for_an_answer(), wait_for_an_answer()];
    let asking = straggler::settle_all(questions).named(|index| ["ada", "bob"][index]);
    assert_eq!(asking.await.len(), 2);
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn late() {
    // However long this sleep takes, the timeout has passed after it.
    thread::sleep(Duration::from_millis(100));
}

#[straggler::test]
#[ignore = "fails on purpose"]
async fn helper_panics() {
    for message in ["no such table", "no such column", "no such table"] {
        straggler::background(async move { panic!("{message}") });
    }
    yield_now().await;
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leak_and_helper_panic() {
    straggler::spawn(wait_for_an_answer());
    straggler::background(async { panic!("no such table") });
    yield_now().await;
}

#[straggler::test]
#[ignore = "fails on purpose"]
async fn task_panics() {
    for number in [2, 0, 0] {
        _ = straggler::spawn(async move { assert_eq!(1 + 1, number, "the sum") }).await;
    }
    _ = straggler::spawn_blocking(|| panic!("no such file")).await;
    _ = tokio::spawn(async { panic!("no such table") }).await;
}

#[straggler::test]
#[ignore = "run by another test"]
#[should_panic(expected = "no such account")]
async fn expected_panic_and_task_panic() {
    _ = straggler::spawn(async { panic!("no such account") }).await;
    panic!("no such account");
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn expected_panic_and_blocking_work() {
    straggler::spawn_blocking(park_forever);
    _ = straggler::spawn(async { panic!("no such account") }).await;
    panic!("no such account");
}

#[straggler::test(explore = 3, grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leak_in_every_run() {
    straggler::spawn(wait_for_an_answer());
}

#[straggler::test(start_paused = true)]
#[ignore = "fails on purpose"]
async fn deadlock() {
    straggler::spawn(wait_for_an_answer());
    wait_for_an_answer().await;
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn blocking_work() {
    for _ in 0..2 {
        straggler::spawn_blocking(park_forever);
    }
    tokio::task::spawn_blocking(park_forever);
}

#[straggler::test(threads = "deny")]
#[ignore = "fails on purpose, on Linux"]
async fn threads() {
    for name in ["mails", "log", "mails"] {
        let thread = thread::Builder::new().name(name.to_owned());
        thread.spawn(park_forever).unwrap();
    }
    thread::spawn(park_forever);
}

fn park_forever() {
    loop {
        thread::park();
    }
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn blocked_thread() {
    park_forever();
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn blocked_thread_until_timeout() {
    let findings = env::var("STRAGGLER_REPORT").unwrap();
    while fs::metadata(&findings).map_or(0, |file| file.len()) == 0 {
        thread::yield_now();
    }
}

#[test]
#[ignore = "run by another test"]
fn plain_check() {
    let left = async { drop(straggler::spawn(wait_for_an_answer())) };
    let checked = LeakCheck::new().grace(Duration::ZERO).run(left);
    if env::var("STRAGGLER").unwrap() == "warn" {
        checked.unwrap();
    } else {
        assert_eq!(checked.unwrap_err().count(), 1);
    }
}

#[straggler::test]
#[ignore = "run by another test"]
async fn clean() {
    straggler::spawn(yield_now()).await.unwrap();
}

/// Tests with objects of about 30 kB each, to tell torn lines.
mod long {
    use super::*;

    async fn leave_a_hundred() {
        for number in 0..100 {
            straggler::spawn_named(format!("number {number}"), pending::<()>());
        }
        yield_now().await;
    }

    #[straggler::test(grace = "1ms")]
    #[ignore = "fails on purpose"]
    async fn one() {
        leave_a_hundred().await;
    }

    #[straggler::test(grace = "1ms")]
    #[ignore = "fails on purpose"]
    async fn two() {
        leave_a_hundred().await;
    }

    #[straggler::test(grace = "1ms")]
    #[ignore = "fails on purpose"]
    async fn three() {
        leave_a_hundred().await;
    }

    #[straggler::test(grace = "1ms")]
    #[ignore = "fails on purpose"]
    async fn four() {
        leave_a_hundred().await;
    }
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn held_locks() {
    let (accounts, audit) = (straggler::Lock::new(), straggler::Lock::new());
    for lock in [&accounts, &audit] {
        std::mem::forget(lock.acquire().await);
    }
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn hang_on_lock() {
    let lock = straggler::Lock::new();
    let _guard = lock.acquire().await;
    drop(lock.acquire().await);
}

#[straggler::test(explore = 3)]
#[ignore = "fails on purpose"]
async fn panic_in_run() {
    panic!("50 % of it:\nno such account");
}

#[straggler::test(explore = 3)]
#[ignore = "fails on purpose"]
async fn error_in_run() -> Result<(), &'static str> {
    Err("no such account")
}

#[straggler::test(explore = 3, grace = "0s")]
#[ignore = "fails on purpose"]
async fn leak_and_panic_in_run() {
    straggler::spawn(wait_for_an_answer());
    panic!("no such account");
}

#[straggler::test(explore = 3, grace = "0s")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn leak_and_expected_panic_in_run() {
    straggler::spawn(wait_for_an_answer());
    panic!("no such account");
}

#[straggler::test(explore = 3)]
#[ignore = "run by another test"]
#[should_panic(expected = "no such account")]
async fn expected_panic_in_run() {
    panic!("no such account");
}

#[straggler::test(explore = 3)]
#[ignore = "run by another test"]
#[should_panic(expected = "no such account")]
async fn expected_panic_and_task_panic_in_run() {
    _ = straggler::spawn(async { panic!("no such account") }).await;
    panic!("no such account");
}

#[straggler::test(explore = 3, require_overlap)]
#[ignore = "fails on purpose"]
async fn no_overlap() {}

#[test]
#[ignore = "fails on purpose"]
fn plain_exploration() {
    straggler::Explore::new()
        .runs(3)
        .run(|| async { assert_eq!(1 + 1, 3, "no such account") });
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn panic_and_leak() {
    straggler::spawn(async { panic!("no such account") });
    straggler::spawn(wait_for_an_answer());
    tokio::task::yield_now().await;
}

#[straggler::test(grace = "0s")]
#[ignore = "fails on purpose"]
async fn leaked_tasks_of_many_names() {
    for number in 0..1_000 {
        straggler::spawn_named(format!("{number} {}", "a".repeat(100_000)), pending::<()>());
    }
}

/// Awaits itself `depth` times.
fn nested(depth: usize) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        match depth {
            0 => wait_for_an_answer().await,
            _ => nested(depth - 1).await,
        }
    })
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn long_chain_hangs() {
    nested(500).await;
}

#[straggler::test(explore = 3)]
#[ignore = "run by another test"]
async fn clean_run() {
    yield_now().await;
}

#[straggler::test]
#[should_panic(expected = "no such account")]
#[ignore = "run by another test"]
async fn expected_panic() {
    panic!("no such account");
}

#[straggler::test]
#[ignore = "fails on purpose"]
async fn body_panics() {
    panic!("no such account");
}

#[straggler::test(start_paused = true)]
#[ignore = "fails on purpose"]
async fn panic_and_deadlock() {
    straggler::spawn(async { panic!("no such account") });
    tokio::task::yield_now().await;
    wait_for_an_answer().await;
}

#[straggler::test(explore = 20)]
#[ignore = "fails on purpose"]
async fn race_in_run() {
    let count = tokio::sync::Mutex::new(0);
    let add = async || {
        let before = *count.lock().await;
        *count.lock().await = before + 1;
    };
    straggler::settle!(add(), add());
    assert_eq!(count.into_inner(), 2);
}
