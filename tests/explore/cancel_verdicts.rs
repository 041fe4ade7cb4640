//! What the report of a cancelled run says of a hang or a leftover, and what it only suspects.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use straggler::{cancellable, settle};
use tokio::sync::{Notify, Semaphore, mpsc};

use super::*;

/// The text of the failure of a body whose operations are cancelled.
fn cancel<R: Future<Output = ()>>(body: impl FnMut() -> R) -> String {
    Explore::new().cancel().find(body).unwrap_err().to_string()
}

#[track_caller]
fn assert_says(text: &str, says: &str) {
    assert!(text.contains(says), "{text}");
}

async fn take_permit(permits: &Semaphore) {
    permits.acquire().await.unwrap().forget();
    yield_now().await;
    permits.add_permits(1);
}

async fn forget_guard(lock: &Lock) {
    let guard = lock.acquire().await;
    let guard = mem::ManuallyDrop::new(guard);
    yield_now().await;
    drop(mem::ManuallyDrop::into_inner(guard));
}

#[test]
fn second_attempt_hangs() {
    let text = cancel(|| async {
        let permits = Semaphore::new(1);
        while cancellable(take_permit(&permits)).await.is_none() {}
    });
    assert_says(
        &text,
        "A later operation of the same type hangs: if it is a second attempt, the operation is not restartable. Suspected: a permit of that semaphore was not \
         returned.",
    );
}

#[test]
fn other_operation_hangs() {
    let text = cancel(|| async {
        let permits = Semaphore::new(1);
        cancellable(take_permit(&permits)).await;
        cancellable(async { drop(permits.acquire().await) }).await;
    });
    assert_says(
        &text,
        "The operation that began after the cancelled one hangs.",
    );
}

/// Both had begun when the first one was cancelled.
#[test]
fn operation_beside_cancelled_one_is_no_second_attempt() {
    let take_after = async |turns, permits: &Semaphore| {
        for _ in 0..turns {
            yield_now().await;
        }
        take_permit(permits).await;
    };
    let text = cancel(|| async {
        let permits = Semaphore::new(1);
        let take = |turns| cancellable(take_after(turns, &permits));
        settle!(take(1), take(2));
    });
    assert_says(
        &text,
        "After one call of `explore::cancel_verdicts::take_permit` was cancelled, another one hangs.",
    );
}

#[test]
fn second_call_outside_an_operation_hangs() {
    let text = cancel(|| async {
        let permits = Semaphore::new(1);
        if cancellable(take_permit(&permits)).await.is_none() {
            take_permit(&permits).await;
        }
    });
    assert_says(
        &text,
        "After one call of `explore::cancel_verdicts::take_permit` was cancelled, another one hangs.",
    );
}

#[test]
fn body_with_operation_inside_is_no_second_call() {
    let text = cancel(|| async {
        let permits = Semaphore::new(1);
        let operation = async {
            permits.acquire().await.unwrap().forget();
            yield_now().await;
            permits.add_permits(1);
        };
        cancellable(operation).await;
        drop(permits.acquire().await);
    });
    assert_says(
        &text,
        "After the cancellation the body hangs. Suspected: a permit",
    );
}

#[test]
fn guard_of_waited_lock_never_released() {
    let text = cancel(|| async {
        let lock = Lock::new();
        while cancellable(forget_guard(&lock)).await.is_none() {}
    });
    assert_says(
        &text,
        "A later operation of the same type hangs: if it is a second attempt, the operation is not restartable. The cancelled operation acquired a lock at \
         tests/explore/cancel_verdicts.rs:28:",
    );
    assert_says(&text, "its guard was never released");
}

#[test]
fn guard_of_held_lock_never_released() {
    let text = cancel(|| async {
        let lock = Lock::new();
        cancellable(forget_guard(&lock)).await;
    });
    assert_says(
        &text,
        "The cancelled operation acquired a lock at tests/explore/cancel_verdicts.rs:28:",
    );
    assert!(!text.contains("JoinSet"), "{text}");
}

/// The body itself holds the lock, so the operation is not to blame.
#[test]
fn guard_of_body_not_blamed_on_operation() {
    let text = cancel(|| async {
        let lock = Lock::new();
        let held = lock.acquire().await;
        let done = cancellable(yield_now()).await;
        if done.is_none() {
            mem::forget(held);
        }
    });
    assert!(!text.contains("The cancelled operation acquired"), "{text}");
}

#[test]
fn missing_message_suspected() {
    let text = cancel(|| async {
        let told = Notify::new();
        cancellable(async {
            yield_now().await;
            told.notify_one();
        })
        .await;
        told.notified().await;
    });
    assert_says(
        &text,
        "Suspected: the cancelled operation no longer sends what is awaited.",
    );
    let text = cancel(|| async {
        let (send, mut receive) = mpsc::channel(1);
        cancellable(async {
            yield_now().await;
            send.send(7).await.unwrap();
        })
        .await;
        receive.recv().await;
    });
    assert_says(
        &text,
        "Suspected: the cancelled operation no longer sends what is awaited.",
    );
}

/// An operation that a `select!` dropped before is none that hangs.
#[test]
fn operation_dropped_by_body_does_not_hang() {
    let text = cancel(|| async {
        let permits = Semaphore::new(1);
        cancellable(take_permit(&permits)).await;
        tokio::select! {
            biased;
            _ = cancellable(take_permit(&permits)) => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        drop(permits.acquire().await);
    });
    assert!(!text.contains("not restartable"), "{text}");
    assert_says(&text, "After the cancellation the body hangs.");
}

const SPAWN: &str = "spawn the change as a task, which completes even if its caller is cancelled, and let the test wait \
                     for it before it asserts";

const ONE_STEP: &str = "make the whole change after the last `.await`";

#[test]
fn half_done_change_advised() {
    let text = cancel(|| async {
        let half = Cell::new(false);
        cancellable(async {
            half.set(true);
            yield_now().await;
            half.set(false);
        })
        .await;
        assert!(!half.get(), "half done");
    });
    for advice in [
        ONE_STEP,
        "undo the first part in the `drop` of a guard, which cannot await",
        SPAWN,
    ] {
        assert_says(&text, advice);
    }
}

/// The operation has spawned the change already.
#[test]
fn awaited_task_not_advised_again() {
    let text = cancel(|| async {
        let half = Arc::new(AtomicBool::new(false));
        let change = async || {
            half.store(true, Relaxed);
            let half = Arc::clone(&half);
            let task = straggler::spawn(async move {
                yield_now().await;
                half.store(false, Relaxed);
            });
            task.await.unwrap();
        };
        cancellable(change()).await;
        assert!(!half.load(Relaxed), "half done");
    });
    assert!(!text.contains("spawn the change"), "{text}");
    assert_says(
        &text,
        "if the awaited task completes the change: let the test wait for that task before it asserts",
    );
}

/// What the check advises on any deadlock does not fit a cancellation whose cause is suspected.
#[test]
fn diagnosis_replaces_general_advice() {
    let text = cancel(|| async {
        let permits = Semaphore::new(1);
        cancellable(take_permit(&permits)).await;
        drop(permits.acquire().await);
    });
    assert_says(
        &text,
        "Suspected: a permit of that semaphore was not returned. Keep the permit of `acquire` in a variable of the \
         operation, whose drop returns it; do not `forget()` it.",
    );
    for other in ["What to do", "holds the lock", ONE_STEP] {
        assert!(!text.contains(other), "{text}");
    }
}

/// Nothing is suspected of a wait that nobody knows.
#[test]
fn general_advice_kept_without_diagnosis() {
    let text = cancel(|| async {
        let is_done = Cell::new(false);
        cancellable(async {
            yield_now().await;
            is_done.set(true);
        })
        .await;
        if !is_done.get() {
            pending::<()>().await;
        }
    });
    assert_says(&text, "What to do:\n");
    assert_says(&text, "took something and did not give it back");
}

#[test]
fn failure_without_cancellation_says_so() {
    let is_mended = false;
    let body = || async {
        cancellable(yield_now()).await;
        assert!(is_mended, "always");
    };
    for explore in [
        Explore::new().cancel(),
        Explore::new().cancel_in_schedules(),
        Explore::new().cancel().replay("plain".parse().unwrap()),
    ] {
        let text = explore.find(body).unwrap_err().to_string();
        assert_says(&text, " failed before anything was cancelled\n");
        assert_says(&text, "The test fails without a cancellation too");
        for other in ["in run 1", "plain order", "reordering"] {
            assert!(!text.contains(other), "{text}");
        }
    }
}
