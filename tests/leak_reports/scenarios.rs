//! Tests that leave tasks behind. Their lines stand in the snapshots.

use std::time::Duration;

use super::tokio;
use tokio::sync::oneshot;

/// Waits for ever: nobody sends.
async fn wait_for_an_answer() {
    let (sender, receiver) = oneshot::channel::<()>();
    Box::leak(Box::new(sender));
    _ = receiver.await;
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn one_leak() {
    tokio::spawn(wait_for_an_answer());
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn equal_leaks() {
    for _ in 0..7 {
        tokio::spawn(wait_for_an_answer());
    }
    tokio::spawn(std::future::pending::<()>());
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn a_chain_of_spawns() {
    let parent = tokio::spawn(async {
        tokio::spawn(async { drop(tokio::spawn(wait_for_an_answer())) });
    });
    parent.await.unwrap();
}

#[straggler::test(grace = "20ms", start_paused = true)]
#[ignore = "fails on purpose"]
async fn a_paused_clock() {
    tokio::spawn(async {
        loop {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
    });
}

#[straggler::test(grace = "20ms", flavor = "multi_thread", worker_threads = 2)]
#[ignore = "fails on purpose"]
async fn a_test_that_returns_ok() -> Result<(), &'static str> {
    tokio::spawn(wait_for_an_answer());
    Ok(())
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn a_test_that_returns_an_error() -> Result<(), &'static str> {
    tokio::spawn(wait_for_an_answer());
    Err("no such account")
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn a_test_that_panics() {
    tokio::spawn(wait_for_an_answer());
    panic!("no such account");
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn a_test_that_panics_as_it_should() {
    tokio::spawn(wait_for_an_answer());
    panic!("no such account");
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "wait_for_an_answer")]
async fn a_test_that_should_panic_and_does_not() {
    tokio::spawn(wait_for_an_answer());
}

#[straggler::test(grace = "20ms", allow("tests/nowhere.rs", "src" = 2), allow = 1)]
#[ignore = "fails on purpose"]
async fn more_than_is_allowed() {
    tokio::spawn(wait_for_an_answer());
    tokio::spawn(wait_for_an_answer());
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn a_test_that_hangs() {
    tokio::spawn(wait_for_an_answer());
    let questions = [wait_for_an_answer(), wait_for_an_answer()];
    let asking = straggler::settle_all(questions).named(|index| ["ada", "bob"][index]);
    assert_eq!(asking.await.len(), 2);
}

#[straggler::test(timeout = "50ms", start_paused = true)]
#[ignore = "fails on purpose"]
#[should_panic(expected = "did not end")]
async fn a_test_that_hangs_and_should_panic() {
    wait_for_an_answer().await;
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn a_leak_that_panics_when_it_is_dropped() {
    struct PanicsInDrop;
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("the account was not closed");
        }
    }

    tokio::spawn(async {
        let _account = PanicsInDrop;
        wait_for_an_answer().await;
    });
}

/// Blocks its thread for ever.
fn block() {
    loop {
        std::thread::park();
    }
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn blocking_work() {
    tokio::task::spawn_blocking(block);
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn blocking_work_of_several_places() {
    let parent = tokio::spawn(async {
        for _ in 0..7 {
            tokio::task::spawn_blocking(block);
        }
    });
    parent.await.unwrap();
    tokio::task::spawn_blocking(block);
    // Past straggler, in each depth.
    tokio::runtime::Handle::current().spawn_blocking(block);
}

#[straggler::test(grace = "20ms", allow("tests/nowhere.rs"), allow = 1)]
#[ignore = "fails on purpose"]
#[should_panic(expected = "spawn_blocking")]
async fn blocking_work_and_a_task_that_is_allowed() {
    tokio::spawn(wait_for_an_answer());
    tokio::task::spawn_blocking(block);
}

#[straggler::test(grace = "20ms", flavor = "multi_thread", worker_threads = 2)]
#[ignore = "fails on purpose"]
async fn a_leak_and_blocking_work() {
    tokio::spawn(wait_for_an_answer());
    tokio::task::spawn_blocking(block);
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn a_test_that_hangs_and_blocks() {
    tokio::task::spawn_blocking(block).await.unwrap();
}

#[straggler::test(grace = "20ms", threads = "deny")]
#[ignore = "fails on purpose"]
async fn threads() {
    std::thread::spawn(block);
    std::thread::spawn(block);
    let named = std::thread::Builder::new().name("janitor".to_owned());
    named.spawn(block).unwrap();
}

#[straggler::test(grace = "20ms", threads = "deny")]
#[ignore = "fails on purpose"]
async fn all_that_can_be_left() {
    tokio::spawn(wait_for_an_answer());
    tokio::task::spawn_blocking(block);
    std::thread::spawn(block);
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn a_lock_that_is_forgotten() {
    std::mem::forget(straggler::Lock::new().acquire().await);
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn a_lock_that_a_leaked_task_keeps() {
    static LOCK: straggler::Lock = straggler::Lock::new();
    let (holds, held) = oneshot::channel();
    tokio::spawn(async {
        let _guard = LOCK.acquire().await;
        holds.send(()).unwrap();
        wait_for_an_answer().await;
    });
    held.await.unwrap();
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn a_lock_that_is_acquired_twice() {
    let lock = straggler::Lock::new();
    let _guard = lock.acquire().await;
    drop(lock.acquire().await);
}
