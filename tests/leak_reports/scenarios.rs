//! Tests with findings. The snapshots contain their line numbers.

use std::time::Duration;

use super::tokio;
use tokio::sync::oneshot;

/// Waits forever: the sender is leaked.
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
async fn spawn_chain() {
    let parent = tokio::spawn(async {
        tokio::spawn(async { drop(tokio::spawn(wait_for_an_answer())) });
    });
    parent.await.unwrap();
}

#[straggler::test(grace = "20ms", start_paused = true)]
#[ignore = "fails on purpose"]
async fn paused_clock() {
    tokio::spawn(async {
        loop {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
    });
}

#[straggler::test(grace = "20ms", flavor = "multi_thread", worker_threads = 2)]
#[ignore = "fails on purpose"]
async fn leak_and_ok() -> Result<(), &'static str> {
    tokio::spawn(wait_for_an_answer());
    Ok(())
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leak_and_error() -> Result<(), &'static str> {
    tokio::spawn(wait_for_an_answer());
    Err("no such account")
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leak_and_panic() {
    tokio::spawn(wait_for_an_answer());
    panic!("no such account");
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn leak_and_expected_panic() {
    tokio::spawn(wait_for_an_answer());
    panic!("no such account");
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "wait_for_an_answer")]
async fn leak_and_missing_panic() {
    tokio::spawn(wait_for_an_answer());
}

#[straggler::test(grace = "20ms", allow("tests/nowhere.rs" = 1), allow = 1)]
#[ignore = "fails on purpose"]
async fn allowance_exceeded() {
    let leaks = [(); 3].map(|()| tokio::spawn(wait_for_an_answer()));
    drop(leaks);
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn hang() {
    tokio::spawn(wait_for_an_answer());
    let questions = [wait_for_an_answer(), wait_for_an_answer()];
    let asking = straggler::settle_all(questions).named(|index| ["ada", "bob"][index]);
    assert_eq!(asking.await.len(), 2);
}

#[straggler::test(timeout = "50ms", start_paused = true)]
#[ignore = "fails on purpose"]
#[should_panic(expected = "did not end")]
async fn hang_and_should_panic() {
    wait_for_an_answer().await;
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn leak_panics_in_drop() {
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

/// Blocks its thread forever.
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
async fn blocking_work_at_several_places() {
    let parent = tokio::spawn(async {
        for _ in 0..7 {
            tokio::task::spawn_blocking(block);
        }
    });
    parent.await.unwrap();
    tokio::task::spawn_blocking(block);
    // A closure spawned through a `Handle` is not tracked at any level of detail.
    tokio::runtime::Handle::current().spawn_blocking(block);
}

#[straggler::test(grace = "20ms", allow = 1)]
#[ignore = "fails on purpose"]
#[should_panic(expected = "spawn_blocking")]
async fn blocking_work_and_allowed_task() {
    tokio::spawn(wait_for_an_answer());
    tokio::task::spawn_blocking(block);
}

#[straggler::test(grace = "20ms", flavor = "multi_thread", worker_threads = 2)]
#[ignore = "fails on purpose"]
async fn leak_and_blocking_work() {
    tokio::spawn(wait_for_an_answer());
    tokio::task::spawn_blocking(block);
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn hang_and_blocking_work() {
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
async fn every_kind_of_leak() {
    tokio::spawn(wait_for_an_answer());
    tokio::task::spawn_blocking(block);
    std::thread::spawn(block);
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn forgotten_lock() {
    std::mem::forget(straggler::Lock::new().acquire().await);
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn lock_held_by_leaked_task() {
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
async fn lock_acquired_twice() {
    let lock = straggler::Lock::new();
    let _guard = lock.acquire().await;
    drop(lock.acquire().await);
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn panic_and_leak() {
    tokio::spawn(async { panic!("no such account") });
    tokio::spawn(wait_for_an_answer());
    tokio::task::yield_now().await;
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn expected_panic_and_panic_and_leak() {
    tokio::spawn(wait_for_an_answer());
    let task = tokio::spawn(async { panic!("no such account") });
    task.await.unwrap();
}

#[straggler::test]
#[ignore = "fails on purpose"]
async fn equal_panics() {
    for _ in 0..16 {
        _ = tokio::spawn(async { panic!("no such account") }).await;
    }
}

#[straggler::test(start_paused = true)]
#[ignore = "fails on purpose"]
async fn panic_and_hang() {
    tokio::spawn(async { panic!("no such account") });
    tokio::task::yield_now().await;
    wait_for_an_answer().await;
}

#[straggler::test]
#[ignore = "fails on purpose"]
async fn output_panics_in_drop() {
    struct Account;
    impl Drop for Account {
        fn drop(&mut self) {
            panic!("the account was not closed");
        }
    }

    drop(tokio::spawn(async { Account }));
    tokio::task::yield_now().await;
}

/// Leaks a task that a dependency spawns, for another task.
#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn spawn_in_dependency() {
    let parent = tokio::spawn(async {
        let questions = std::iter::once(wait_for_an_answer());
        // Dropping the queue would abort the task.
        std::mem::forget(questions.collect::<tokio_util::task::JoinQueue<()>>());
    });
    parent.await.unwrap();
}

/// Polls a future until it holds a lock, then keeps it and waits for the lock.
async fn keep_future_that_holds(lock: &tokio::sync::Mutex<()>) {
    let mut holds = std::pin::pin!(async {
        let _guard = lock.lock().await;
        wait_for_an_answer().await;
    });
    tokio::select! {
        biased;
        () = &mut holds => {}
        () = std::future::ready(()) => {}
    }
    drop(lock.lock().await);
}

#[straggler::test(start_paused = true)]
#[ignore = "fails on purpose"]
async fn deadlock_on_kept_future() {
    keep_future_that_holds(&tokio::sync::Mutex::new(())).await;
}

#[straggler::test(timeout = "50ms")]
#[ignore = "fails on purpose"]
async fn hang_on_kept_future() {
    keep_future_that_holds(&tokio::sync::Mutex::new(())).await;
}

/// The only wait for a lock is a task's.
#[straggler::test(start_paused = true)]
#[ignore = "fails on purpose"]
async fn deadlock_of_lock_and_task() {
    static LOCK: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _guard = LOCK.lock().await;
    // Without tracking, the check could not tell that it is a deadlock.
    let task = straggler::spawn(async { drop(LOCK.lock().await) });
    task.await.unwrap();
}

/// A helper of the tests and code of the library, in one file.
mod of_unit_tests {
    use super::{tokio, wait_for_an_answer};

    #[straggler::test(grace = "20ms", allow("tests/leak_reports/scenarios.rs" = 1))]
    #[ignore = "fails on purpose"]
    async fn rule_without_room() {
        tokio::spawn(wait_for_an_answer());
        tokio::spawn(wait_for_an_answer());
    }
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn timers() {
    const LONG: Duration = Duration::from_secs(3600);

    tokio::spawn(async { tokio::time::timeout(LONG, wait_for_an_answer()).await });
    tokio::spawn(async { tokio::time::sleep(LONG).await });
    tokio::spawn(async {
        let mut interval = tokio::time::interval(LONG);
        loop {
            interval.tick().await;
        }
    });
}
