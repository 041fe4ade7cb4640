//! The `# Cancel safety` section of each public future, asserted wherever the future can be dropped.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use futures::{FutureExt, poll};
use straggler::tokio::task::JoinSet;
use straggler::{Rendezvous, cancellable, joined};
use tokio::runtime::Handle;

use super::*;

/// A future that yields a few times, and whose output holds the token as it does itself.
async fn hold(token: Arc<()>) -> Result<Arc<()>, Arc<()>> {
    for _ in 0..3 {
        yield_now().await;
    }
    Ok(token)
}

fn holders(token: &Arc<()>) -> [impl Future<Output = Result<Arc<()>, Arc<()>>> + use<>; 3] {
    [(); 3].map(|()| hold(Arc::clone(token)))
}

/// Cancels what `join` makes of futures that hold a token, and asserts that nothing holds it any longer.
async fn drops_all<F: Future>(join: impl FnOnce(&Arc<()>) -> F) {
    let token = Arc::default();
    cancellable(join(&token)).await;
    assert_eq!(Arc::strong_count(&token), 1, "a future or output is left");
}

/// Cancels what `join` makes of a future that counts itself when it is done, and asserts that it does not go
/// on as a task.
async fn aborts_all<F: Future>(join: impl FnOnce(&Arc<AtomicUsize>) -> F) {
    let done = Arc::default();
    let is_cancelled = cancellable(join(&done)).await.is_none();
    let then = done.load(SeqCst);
    for _ in 0..10 {
        yield_now().await;
    }
    assert_eq!(done.load(SeqCst), then, "a task went on");
    assert!(
        is_cancelled || then == 3,
        "without a cancellation all are done"
    );
}

async fn count(done: Arc<AtomicUsize>) {
    for _ in 0..3 {
        yield_now().await;
    }
    done.fetch_add(1, SeqCst);
}

/// Cancels a future that is passed by `&mut`, and resumes it.
async fn resume<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut output = None;
    cancellable(async { output = Some(future.as_mut().await) }).await;
    match output {
        Some(output) => output,
        None => future.await,
    }
}

#[straggler::test(cancel)]
async fn settle_all_drops_futures_and_outputs() {
    drops_all(|token| settle_all(holders(token))).await;
}

#[straggler::test(cancel)]
async fn settle_all_resumed_by_mut() {
    let token = Arc::default();
    let settled = resume(settle_all(holders(&token))).await;
    assert_eq!(settled.ok_count(), 3);
}

#[straggler::test(cancel)]
async fn barrier_drops_futures_and_results() {
    drops_all(|token| barrier(holders(token))).await;
}

#[straggler::test(cancel)]
async fn settle_macro_drops_futures() {
    drops_all(|token| {
        let [first, second, third] = holders(token);
        async move { settle!(first, second, third) }
    })
    .await;
}

#[straggler::test(cancel)]
async fn barrier_macro_drops_futures() {
    drops_all(|token| {
        let [first, second, third] = holders(token);
        async move { straggler::barrier!(first, second, third) }
    })
    .await;
}

#[straggler::test(cancel)]
async fn start_together_drops_futures() {
    drops_all(|token| settle_all(holders(token)).start_together()).await;
}

#[straggler::test(cancel)]
async fn catch_unwind_drops_futures() {
    drops_all(|token| settle_all(holders(token)).catch_unwind()).await;
}

#[straggler::test(cancel)]
async fn deadline_drops_futures_and_outputs() {
    drops_all(|token| settle_all(holders(token)).deadline(pending::<()>())).await;
}

#[straggler::test(cancel)]
async fn timeout_drops_futures_and_outputs() {
    drops_all(|token| settle_all(holders(token)).timeout(Duration::from_secs(1))).await;
}

#[straggler::test(cancel)]
async fn spawned_aborts_tasks() {
    aborts_all(|done| settle_all([(); 3].map(|()| count(Arc::clone(done)))).spawned()).await;
}

#[straggler::test(cancel)]
async fn join_set_join_all_aborts_tasks() {
    aborts_all(|done| {
        let tasks: JoinSet<_> = [(); 3]
            .map(|()| count(Arc::clone(done)))
            .into_iter()
            .collect();
        tasks.join_all()
    })
    .await;
}

#[straggler::test(cancel)]
async fn joined_detaches_task() {
    let done = Arc::new(AtomicUsize::new(0));
    let counting = count(Arc::clone(&done));
    let task = straggler::spawn(async {
        counting.await;
        Ok::<_, &str>(7)
    });
    cancellable(joined(task)).await;
    while done.load(SeqCst) == 0 {
        yield_now().await;
    }
}

#[straggler::test(cancel)]
async fn joined_resumed_by_mut() {
    let task = straggler::spawn(async {
        yield_now().await;
        Ok::<_, &str>(7)
    });
    assert_eq!(resume(joined(task)).await.ok(), Some(7));
}

#[straggler::test(cancel)]
async fn checkpoint_may_be_passed_again() {
    let passed = Cell::new(false);
    cancellable(checkpoint("once")).await;
    cancellable(async {
        checkpoint("twice").await;
        passed.set(true);
    })
    .await;
    checkpoint("again").await;
}

#[straggler::test(cancel)]
async fn cancellable_drops_future() {
    drops_all(|token| cancellable(hold(Arc::clone(token)))).await;
}

#[straggler::test(cancel)]
async fn acquire_leaves_queue() {
    let lock = Lock::new();
    let guard = lock.acquire().await;
    settle!(
        cancellable(async { lock.acquire().await.release() }),
        // Behind the one that is cancelled.
        async { lock.acquire().await.release() },
        async {
            for _ in 0..3 {
                yield_now().await;
            }
            guard.release();
        },
    );
    assert!(!lock.is_locked());
}

#[straggler::test(cancel)]
async fn acquire_passes_lock_on() {
    let lock = Lock::new();
    let guard = lock.acquire().await;
    let operation = async {
        let mut waiting = pin!(lock.acquire());
        for _ in 0..3 {
            assert!(poll!(&mut waiting).is_pending());
            yield_now().await;
        }
        guard.release();
        // If it is cancelled here, it was handed the lock but has not seen it.
        yield_now().await;
        waiting.await.release();
    };
    settle!(cancellable(operation), async {
        lock.acquire().await.release();
    });
    assert!(!lock.is_locked());
}

#[straggler::test(cancel)]
async fn wait_withdraws_arrival() {
    let rendezvous = Rendezvous::new(2);
    let [mut ada, mut bob] = [(); 2].map(|()| rendezvous.join());
    let is_released = Cell::new(false);
    let (first, second) = settle!(
        async {
            let mut arrival = None;
            cancellable(async { arrival = Some(ada.wait().await) }).await;
            if let Some(arrival) = arrival {
                return arrival;
            }
            for _ in 0..10 {
                yield_now().await;
            }
            assert!(!is_released.get(), "the other one did not wait");
            ada.wait().await
        },
        async {
            for _ in 0..5 {
                yield_now().await;
            }
            let arrival = bob.wait().await;
            is_released.set(true);
            arrival
        },
    );
    assert_eq!(first.unwrap().round(), 0);
    assert_eq!(second.unwrap().round(), 0);
}

#[straggler::test(cancel)]
async fn wait_keeps_outcome_of_full_round() {
    let rendezvous = Rendezvous::new(2);
    let [mut ada, mut bob] = [(); 2].map(|()| rendezvous.join());
    let (mut is_full, mut arrival) = (false, None);
    let operation = async {
        let mut waiting = pin!(ada.wait());
        assert!(poll!(&mut waiting).is_pending());
        bob.wait().await.unwrap();
        is_full = true;
        // If it is cancelled here, all have arrived but it has not seen that.
        yield_now().await;
        arrival = Some(waiting.await);
    };
    cancellable(operation).await;
    if is_full {
        let arrival = arrival.or_else(|| ada.wait().now_or_never());
        assert_eq!(arrival.expect("it is ready at once").unwrap().round(), 0);
    }
}

#[straggler::test(cancel)]
async fn cancelled_participant_breaks_rendezvous() {
    let rendezvous = Rendezvous::new(2);
    let (mut ada, mut bob) = (rendezvous.join_named("ada"), rendezvous.join_named("bob"));
    let (arrived, other) = settle!(
        cancellable(async move { ada.wait().await.is_ok() }),
        async {
            yield_now().await;
            bob.wait().await
        },
    );
    match other {
        Ok(_) => assert_ne!(arrived, Some(false)),
        Err(broken) => assert_eq!(broken.name(), Some("ada")),
    }
}

#[straggler::test(cancel)]
async fn verify_may_be_called_again() {
    let watch = LeakCheck::watch(&Handle::current());
    let is_stopped = Arc::new(AtomicBool::new(false));
    let task = straggler::spawn({
        let is_stopped = Arc::clone(&is_stopped);
        async move {
            while !is_stopped.load(SeqCst) {
                yield_now().await;
            }
        }
    });
    let ending = async {
        yield_now().await;
        is_stopped.store(true, SeqCst);
        watch.verify().await.unwrap();
    };
    cancellable(ending).await;
    is_stopped.store(true, SeqCst);
    watch.verify().await.unwrap();
    assert!(task.is_finished());
}
