//! What an operation that is cancelled may have inside.

use std::cell::Cell;
use std::time::Duration;

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt as _};
use straggler::{Explore, barrier, cancellable, settle, settle_all};
use tokio::sync::{Mutex, Notify, broadcast, mpsc, watch};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

/// Does something in two steps, with an operation of tokio in between that has not to wait.
struct TwoSteps {
    is_half: Cell<bool>,
    lock: Mutex<()>,
}

impl TwoSteps {
    fn new() -> Self {
        Self {
            is_half: Cell::new(false),
            lock: Mutex::new(()),
        }
    }

    async fn run(&self) {
        self.is_half.set(true);
        drop(self.lock.lock().await);
        self.is_half.set(false);
    }
}

/// Asserts that a cancellation between the two steps of an operation is found, where `inside` runs them.
#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "closures read better without `&`"
)]
fn expect_half(inside: impl AsyncFn(&TwoSteps)) {
    let found = Explore::new().cancel().find(|| async {
        let steps = TwoSteps::new();
        cancellable(inside(&steps)).await;
        assert!(!steps.is_half.get(), "half done");
    });
    let failure = found.expect_err("it can be cancelled between the two steps");
    let message = failure.message();
    assert!(
        message.is_some_and(|message| message.contains("half done")),
        "{failure}"
    );
    let seed = failure.seed().to_string();
    assert!(!seed.contains(','), "by one cancellation: {seed}");
}

#[test]
fn first_operation_cancelled() {
    expect_half(TwoSteps::run);
}

#[test]
fn operation_after_a_yield_cancelled() {
    expect_half(async |steps| {
        yield_now().await;
        steps.run().await;
    });
}

#[test]
fn operation_after_a_notification_cancelled() {
    expect_half(async |steps| {
        let notify = Notify::new();
        notify.notify_one();
        notify.notified().await;
        steps.run().await;
    });
}

#[test]
fn operation_after_another_cancelled() {
    expect_half(async |steps| {
        drop(steps.lock.lock().await);
        steps.run().await;
    });
}

#[test]
fn operation_after_a_timer_cancelled() {
    expect_half(async |steps| {
        sleep(Duration::from_secs(7)).await;
        steps.run().await;
    });
}

/// `select!` asks for budget before it polls a branch, so only a scheduling point comes between.
#[cfg(straggler_instrumented)]
#[test]
fn branch_of_select_cancelled() {
    expect_half(async |steps| {
        tokio::select! {
            () = steps.run() => {}
            () = sleep(Duration::from_secs(7)) => {}
        }
    });
}

#[test]
fn handler_of_select_cancelled() {
    expect_half(async |steps| {
        let (send, mut receive) = mpsc::channel(1);
        send.send(7).await.unwrap();
        tokio::select! {
            _ = receive.recv() => steps.run().await,
            () = sleep(Duration::from_secs(7)) => {}
        }
    });
}

#[test]
fn operation_in_timeout_cancelled() {
    expect_half(async |steps| {
        let second = Duration::from_secs(1);
        timeout(second, steps.run()).await.unwrap();
    });
}

#[test]
fn futures_of_joins_cancelled() {
    expect_half(async |steps| {
        join_all([steps.run()]).await;
    });
    expect_half(async |steps| {
        FuturesUnordered::from_iter([steps.run()])
            .collect::<()>()
            .await;
    });
    expect_half(async |steps| {
        _ = settle_all([steps.run()]).await;
    });
    expect_half(async |steps| {
        let run = async {
            steps.run().await;
            Ok::<_, ()>(())
        };
        barrier([run]).await.unwrap();
    });
    expect_half(async |steps| {
        tokio::join!(steps.run(), yield_now());
    });
}

#[test]
fn operation_after_blocking_work_cancelled() {
    expect_half(async |steps| {
        let seven = straggler::spawn_blocking(|| 7).await.unwrap();
        assert_eq!(seven, 7);
        steps.run().await;
    });
}

/// The body holds the lock that the operation waits for.
#[test]
fn wait_for_the_body_cancelled() {
    expect_half(async |steps| {
        let held = steps.lock.lock().await;
        let release = async {
            yield_now().await;
            yield_now().await;
            drop(held);
        };
        tokio::join!(steps.run(), release);
    });
}

/// A task of the operation that ends by itself is no leak, and the operation may be cancelled around it.
#[test]
fn task_outlives_cancelled_operation() {
    let explored = Explore::new().cancel().find(|| async {
        let (send, mut receive) = mpsc::channel(1);
        let transfer = async {
            let task = straggler::spawn(async move {
                yield_now().await;
                send.send("done").await.unwrap();
            });
            task.await.unwrap();
        };
        let done = cancellable(transfer).await;
        // Either it never began, or the task goes on.
        let message = receive.recv().await;
        assert!(message == Some("done") || done.is_none(), "{message:?}");
    });
    assert_eq!(explored.unwrap().note(), None);
}

/// One branch of a join goes on while the other waits for it.
#[test]
fn branches_that_wait_for_each_other_end() {
    let explored = Explore::new().cancel().find(|| async {
        let (lock, notify) = (Mutex::new(0), Notify::new());
        let (send, mut receive) = mpsc::channel(1);
        let work = async {
            for _ in 0..3 {
                *lock.lock().await += 1;
            }
            send.send("done").await.unwrap();
            notify.notify_one();
        };
        let receive = async { assert_eq!(receive.recv().await, Some("done")) };
        cancellable(async { tokio::join!(receive, notify.notified(), work) }).await;
    });
    let explored = explored.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(explored.note(), None);
}

/// Some operations of tokio ask for budget before anything else.
#[test]
fn operation_that_asks_for_budget_first_ends() {
    let explored = Explore::new().cancel().find(|| async {
        let (send, mut receive) = broadcast::channel(2);
        send.send(1).unwrap();
        let (change, mut changes) = watch::channel(0);
        let operation = async {
            receive.recv().await.unwrap();
            tokio::select! {
                biased;
                _ = receive.recv() => {}
                () = async {
                    changes.changed().await.unwrap();
                    changes.wait_for(|value| *value == 2).await.unwrap();
                } => {}
            }
            yield_now().await;
        };
        settle!(cancellable(operation), async {
            change.send(1).unwrap();
            yield_now().await;
            _ = change.send(2);
        });
    });
    assert!(explored.is_ok(), "{explored:?}");
}
