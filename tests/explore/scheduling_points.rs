//! What builds with scheduling points do differently; `.ci/instrumented` runs these tests.

use std::task::Context;

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tokio::task::LocalSet;
use tokio_test::{assert_pending, assert_ready};

use super::*;

#[test]
fn hand_polls_never_yield() {
    let explored = Explore::new().runs(200).find(|| async {
        let lock = RwLock::new(1);
        let by_hand = async || {
            *lock.write().await += 1;
            let value = lock.read().now_or_never().map(|value| *value);
            assert!(value.is_some());
            drop(assert_ready!(tokio_test::task::spawn(lock.read()).poll()));
            let _held = lock.write().await;
            assert_pending!(tokio_test::task::spawn(lock.read()).poll());
        };
        settle!(by_hand());
        straggler::spawn(async { by_hand_in_task().await })
            .await
            .unwrap();
        LocalSet::new().run_until(by_hand()).await;
    });
    assert!(explored.is_ok(), "{explored:?}");
}

async fn by_hand_in_task() {
    let (_sender, mut receiver) = tokio::sync::mpsc::channel::<()>(1);
    yield_now().await;
    assert_pending!(tokio_test::task::spawn(receiver.recv()).poll());
    assert!(Mutex::new(()).lock().now_or_never().is_some());
}

/// The children of such a combinator have wakers of their own, whoever polls it.
#[test]
fn combinators_polled_by_hand_never_yield() {
    let explored = Explore::new().runs(200).find(|| async {
        let by_hand = async || {
            let lock = Mutex::new(());
            let [first, second] = [(); 2].map(|()| async { drop(lock.lock().await) });
            let mut both = tokio_test::task::spawn(FuturesUnordered::from_iter([first, second]));
            assert!(assert_ready!(both.poll_next()).is_some());
            assert!(both.next().now_or_never().is_some());
        };
        by_hand().await;
        settle!(by_hand(), by_hand());
    });
    assert!(explored.is_ok(), "{explored:?}");
}

/// Polls a future with a clone of the waker.
async fn with_cloned_waker<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let waker = context.waker().clone();
        future.as_mut().poll(&mut Context::from_waker(&waker))
    })
    .await
}

#[test]
fn operation_with_cloned_waker_yields() {
    let failure = Explore::new().find(|| async {
        let (total, lock) = (Cell::new(0), Mutex::new(()));
        let add = async || {
            let before = total.get();
            drop(with_cloned_waker(lock.lock()).await);
            total.set(before + 1);
        };
        settle!(add(), add());
        assert_eq!(total.get(), 2);
    });
    assert!(failure.is_err());
}

#[test]
fn operation_before_which_run_yields_is_named() {
    let torn_read = bugs::named("torn read").body;
    let failure = Explore::new().find(|| torn_read(false)).unwrap_err();
    let steps: Vec<_> = failure.schedule().steps().iter().collect();
    assert_eq!(steps[0].actor(), "child #0 `transfer`", "{failure}");
    let action = steps[0].action();
    assert!(
        action.starts_with("yields at tests/explore/bugs/races.rs:"),
        "{failure}"
    );
    assert!(
        action.ends_with("tokio::sync::rwlock::RwLock::write"),
        "{failure}"
    );
    let again = Explore::new().replay(failure.seed().clone());
    let again = again.find(|| torn_read(false)).unwrap_err();
    assert_eq!(again.schedule(), failure.schedule());
}

/// Returns the branch of a `select!` that it polls first. Both are ready.
async fn first_branch() -> u32 {
    tokio::select! {
        () = async {} => 1,
        () = async {} => 2,
    }
}

#[test]
fn first_branch_of_select_is_decided() {
    let second_wins = async || assert_eq!(first_branch().await, 1, "the second one wins");
    let failure = Explore::new().find(second_wins).unwrap_err();
    assert!(failure.run() > 1, "the plain order polls the first one");
    let text = failure.to_string();
    let step = "1. the body polls branch 2 of its `select!` first";
    assert!(text.contains(step), "{text}");
    assert!(text.contains("1 forced reordering"), "{text}");
    let replay = Explore::new().replay(failure.seed().clone());
    let again = replay.find(second_wins).unwrap_err();
    assert_eq!(again.schedule(), failure.schedule());

    let both = async || _ = first_branch().await;
    assert_eq!(Explore::new().find(both).unwrap().note(), None);
}

/// In the plain order too: by chance tokio would get there.
#[test]
fn loop_around_ready_branch_reaches_the_others() {
    let explored = Explore::new().find(|| async {
        for _ in 0..1_000 {
            if first_branch().await == 2 {
                return;
            }
        }
        panic!("the second branch was never polled first");
    });
    explored.unwrap();
}

#[test]
fn first_branches_are_enumerated() {
    let twice = async || (first_branch().await, first_branch().await);
    let explored = Explore::new()
        .exhaustive(100)
        .find(async || _ = twice().await);
    assert_eq!(explored.unwrap().to_string(), "all 4 schedules pass");
}

/// Receivers of a `watch` wait in one of several lists, which tokio draws.
#[test]
fn receivers_of_watch_wake_in_the_same_order() {
    let orders = std::sync::Mutex::new(std::collections::HashSet::new());
    let wake_all = || async {
        let (sender, receiver) = tokio::sync::watch::channel(0);
        let order = std::sync::Mutex::new(Vec::new());
        let receivers: Vec<_> = (0..8).map(|index| (index, receiver.clone())).collect();
        let (order, waits) = (&order, receivers);
        let waits = waits.into_iter().map(|(index, mut receiver)| async move {
            receiver.changed().await.unwrap();
            order.lock().unwrap().push(index);
        });
        let send = async {
            yield_now().await;
            sender.send(1).unwrap();
        };
        // Polls them in the order in which they are woken.
        let woken = waits.collect::<FuturesUnordered<_>>().collect::<Vec<_>>();
        tokio::join!(biased; woken, send);
        orders.lock().unwrap().insert(order.lock().unwrap().clone());
    };
    for _ in 0..20 {
        Explore::new().runs(1).find(wake_all).unwrap();
    }
    assert_eq!(orders.into_inner().unwrap().len(), 1);
}
