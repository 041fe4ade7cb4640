//! Tests that have findings. Their lines stand in the snapshots.

use std::future::pending;
use std::time::Duration;
use std::{env, fs, thread};

use straggler::LeakCheck;
use tokio::sync::oneshot;
use tokio::task::yield_now;

/// Waits for ever: nobody sends.
async fn wait_for_an_answer() {
    let (sender, receiver) = oneshot::channel::<()>();
    Box::leak(Box::new(sender));
    _ = receiver.await;
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leaks() {
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
async fn leaks_from_one_place_in_several_ways() {
    let spawn = |name| straggler::spawn_named(name, wait_for_an_answer());
    for name in ["ada", "bob", "ada", "eve", "mallory"] {
        spawn(name);
    }
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leaks_in_many_places() {
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
async fn leaks_unseen() {
    tokio::spawn(wait_for_an_answer());
    tokio::spawn(wait_for_an_answer());
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leaks_and_panics() {
    straggler::spawn(wait_for_an_answer());
    panic!("no such account");
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leaks_and_returns_an_error() -> Result<(), &'static str> {
    straggler::spawn(wait_for_an_answer());
    Err("no such account")
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn leaks_and_panics_as_it_should() {
    straggler::spawn(wait_for_an_answer());
    panic!("no such account");
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn leaks_and_should_panic() {
    straggler::spawn(wait_for_an_answer());
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leaks_and_has_begun_a_line() {
    straggler::spawn(wait_for_an_answer());
    print!("no such account: ");
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn hangs() {
    straggler::spawn(wait_for_an_answer());
    let questions = [wait_for_an_answer(), wait_for_an_answer()];
    let asking = straggler::settle_all(questions).named(|index| ["ada", "bob"][index]);
    assert_eq!(asking.await.len(), 2);
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn is_late() {
    // Its time is over by then, however long this takes.
    thread::sleep(Duration::from_millis(100));
}

#[straggler::test]
#[ignore = "fails on purpose"]
async fn has_helpers_that_panic() {
    for message in ["no such table", "no such column", "no such table"] {
        straggler::background(async move { panic!("{message}") });
    }
    yield_now().await;
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leaks_and_has_a_helper_that_panics() {
    straggler::spawn(wait_for_an_answer());
    straggler::background(async { panic!("no such table") });
    yield_now().await;
}

#[straggler::test]
#[ignore = "fails on purpose"]
async fn has_tasks_that_panic() {
    for number in [2, 0, 0] {
        _ = straggler::spawn(async move { assert_eq!(1 + 1, number, "the sum") }).await;
    }
    _ = straggler::spawn_blocking(|| panic!("no such file")).await;
    _ = tokio::spawn(async { panic!("no such table") }).await;
}

#[straggler::test]
#[ignore = "run by another test"]
#[should_panic(expected = "no such account")]
async fn panics_as_it_should_and_so_does_a_task() {
    _ = straggler::spawn(async { panic!("no such account") }).await;
    panic!("no such account");
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn panics_as_it_should_and_leaves_blocking_work() {
    straggler::spawn_blocking(never_ends);
    _ = straggler::spawn(async { panic!("no such account") }).await;
    panic!("no such account");
}

#[straggler::test(explore = 3, grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leaks_in_every_run() {
    straggler::spawn(wait_for_an_answer());
}

#[straggler::test(start_paused = true)]
#[ignore = "fails on purpose"]
async fn deadlocks() {
    straggler::spawn(wait_for_an_answer());
    wait_for_an_answer().await;
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leaves_blocking_work() {
    for _ in 0..2 {
        straggler::spawn_blocking(never_ends);
    }
    tokio::task::spawn_blocking(never_ends);
}

#[straggler::test(threads = "deny")]
#[ignore = "fails on purpose, on Linux"]
async fn leaves_threads() {
    for name in ["mails", "log", "mails"] {
        let thread = thread::Builder::new().name(name.to_owned());
        thread.spawn(never_ends).unwrap();
    }
    thread::spawn(never_ends);
}

fn never_ends() {
    loop {
        thread::park();
    }
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn blocks_its_thread() {
    never_ends();
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn blocks_its_thread_until_it_is_given_up() {
    let findings = env::var("STRAGGLER_REPORT").unwrap();
    while fs::metadata(&findings).map_or(0, |file| file.len()) == 0 {
        thread::yield_now();
    }
}

#[test]
#[ignore = "run by another test"]
fn a_check_without_the_attribute() {
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
async fn is_clean() {
    straggler::spawn(yield_now()).await.unwrap();
}

/// Tests whose objects are long, some 30 kB each.
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
async fn holds_locks() {
    let (accounts, audit) = (straggler::Lock::new(), straggler::Lock::new());
    for lock in [&accounts, &audit] {
        std::mem::forget(lock.acquire().await);
    }
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn hangs_on_a_lock() {
    let lock = straggler::Lock::new();
    let _guard = lock.acquire().await;
    drop(lock.acquire().await);
}

#[straggler::test(explore = 3)]
#[ignore = "fails on purpose"]
async fn panics_in_a_run() {
    panic!("50 % of it:\nno such account");
}

#[straggler::test(explore = 3)]
#[ignore = "fails on purpose"]
async fn returns_an_error_in_a_run() -> Result<(), &'static str> {
    Err("no such account")
}

#[straggler::test(explore = 3, grace = "0s")]
#[ignore = "fails on purpose"]
async fn leaks_and_panics_in_a_run() {
    straggler::spawn(wait_for_an_answer());
    panic!("no such account");
}

#[straggler::test(explore = 3, grace = "0s")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn leaks_and_panics_in_a_run_as_it_should() {
    straggler::spawn(wait_for_an_answer());
    panic!("no such account");
}

#[straggler::test(explore = 3)]
#[ignore = "run by another test"]
#[should_panic(expected = "no such account")]
async fn panics_in_a_run_as_it_should() {
    panic!("no such account");
}

#[straggler::test(explore = 3)]
#[ignore = "run by another test"]
#[should_panic(expected = "no such account")]
async fn panics_in_a_run_as_it_should_and_so_does_a_task() {
    _ = straggler::spawn(async { panic!("no such account") }).await;
    panic!("no such account");
}

#[straggler::test(explore = 3, require_overlap)]
#[ignore = "fails on purpose"]
async fn has_no_overlap() {}

#[test]
#[ignore = "fails on purpose"]
fn explores_without_the_attribute() {
    straggler::Explore::new()
        .runs(3)
        .run(|| async { assert_eq!(1 + 1, 3, "no such account") });
}
