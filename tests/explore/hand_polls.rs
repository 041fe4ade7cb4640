//! Polls by hand that find no budget, with plain tokio: such a run is discarded.

use futures::future::{join_all, select_all};
use futures::stream::{FuturesUnordered, StreamExt as _};
use futures::{FutureExt as _, poll};
use straggler::cancellable;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};
use tokio_test::{assert_pending, assert_ready};

use super::*;

/// Polls by hand what is ready, and then what is not.
async fn by_hand() {
    let lock = RwLock::new(1);
    let value = lock.read().now_or_never().map(|value| *value);
    assert!(value.is_some(), "pending without reason");
    drop(assert_ready!(tokio_test::task::spawn(lock.read()).poll()));
    let _held = assert_ready!(tokio_test::task::spawn(lock.write()).poll());
    assert_pending!(tokio_test::task::spawn(lock.read()).poll());
}

/// Polls by hand so often that some poll in practically each run finds no budget.
async fn often_by_hand() {
    for _ in 0..100 {
        by_hand().await;
        yield_now().await;
    }
}

/// Adds in two children. In some schedules one addition is lost.
async fn lose_update(after_read: impl AsyncFn()) {
    let (total, lock) = (Cell::new(0), Mutex::new(()));
    let add = async || {
        let read = total.get();
        after_read().await;
        drop(lock.lock().await);
        total.set(read + 1);
    };
    settle!(add(), add());
    assert_eq!(total.get(), 2, "an update was lost");
}

#[test]
fn poll_by_hand_without_budget_fails_no_test() {
    let explored = Explore::new().find(by_hand).unwrap();
    assert!(explored.discarded() > 100, "{explored}");
    assert_eq!(explored.note(), None, "enough runs count");

    let in_child = || async { _ = settle!(by_hand(), by_hand()) };
    let explored = Explore::new().find(in_child).unwrap();
    assert!(explored.discarded() > 100, "{explored}");

    let in_task = || async { straggler::spawn(by_hand()).await.unwrap() };
    let explored = Explore::new().find(in_task).unwrap();
    assert!(explored.discarded() > 100, "{explored}");

    let explored = Explore::new().eager_spawns().find(in_task).unwrap();
    assert!(explored.discarded() > 100, "{explored}");

    // A schedule that cancels in an operation leaves little budget to what follows.
    let after_operation = || async {
        _ = cancellable(ready(())).await;
        by_hand().await;
    };
    let explore = Explore::new().cancel_in_schedules();
    let explored = explore.find(after_operation).unwrap();
    assert!(explored.discarded() > 50, "{explored}");
}

/// Sends by hand, and then waits for the message.
async fn sends_by_hand() {
    let (sender, mut receiver) = mpsc::channel(1);
    let mut sending = tokio_test::task::spawn(sender.send(1));
    _ = sending.poll();
    assert_eq!(receiver.recv().await, Some(1));
}

/// The schedule also makes the test yield in the poll that polls by hand.
#[test]
fn poll_by_hand_before_own_yield_fails_no_test() {
    let explored = Explore::new().runs(100).find(sends_by_hand);
    let explored = explored.unwrap();
    assert!(explored.discarded() > 10, "{explored}");

    let in_task = || async { straggler::spawn(sends_by_hand()).await.unwrap() };
    let explored = Explore::new().runs(100).find(in_task).unwrap();
    assert!(explored.discarded() > 10, "{explored}");
}

/// What looks like a deadlock then, since a thread wakes the test late, is none.
#[test]
fn late_wake_up_by_thread_is_no_deadlock() {
    let explored = Explore::new().runs(20).find(|| async {
        sends_by_hand().await;
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            _ = wait.recv();
            done.send(()).unwrap();
        });
        go.send(()).unwrap();
        is_done.await.unwrap();
        thread.join().unwrap();
    });
    explored.unwrap();
}

#[test]
fn deadlock_beside_poll_by_hand_is_found() {
    let failure = Explore::new().find(|| async {
        sends_by_hand().await;
        deadlocks::opposite_order_in_tasks().await;
    });
    let text = failure.unwrap_err().to_string();
    assert!(text.contains("is deadlocked"), "{text}");
    assert!(text.contains("::opposite_order"), "{text}");
}

#[test]
fn poll_by_hand_hides_no_race() {
    let failure = Explore::new().find(|| lose_update(by_hand));
    let text = failure.unwrap_err().to_string();
    assert!(text.contains("an update was lost"), "{text}");
    assert!(text.contains("1 forced reordering"), "{text}");
}

#[test]
fn exploration_of_hand_polls_says_that_it_shows_nothing() {
    let explored = Explore::new().runs(20).find(often_by_hand).unwrap();
    assert_eq!((explored.runs(), explored.discarded()), (1, 20));
    let note = explored.note().expect("nothing was explored");
    let begins = "nothing was explored: each of 20 forced runs was discarded, because an operation that was polled by hand";
    assert!(note.starts_with(begins), "{note}");
    assert!(note.contains("Run `cargo straggler explore`"), "{note}");
    assert!(!note.contains('\n'), "{note}");
}

#[test]
fn exhaustive_exploration_discards_polls_by_hand() {
    let explored = Explore::new().exhaustive(1_000).find(|| async {
        let lock = Mutex::new(());
        drop(lock.lock().await);
        assert!(lock.lock().now_or_never().is_some());
    });
    let explored = explored.unwrap();
    assert!(explored.is_exhaustive(), "{explored:?}");
    // Only the first lock may yield.
    assert_eq!(explored.distinct_schedules(), 2, "{explored:?}");
    assert!(explored.discarded() > 0);
    let text = format!("all 2 schedules pass, {} discarded", explored.discarded());
    assert_eq!(explored.to_string(), text);
}

#[test]
fn replay_of_poll_by_hand_without_budget_says_so() {
    let explored = Explore::new().replay("1:1".parse().unwrap()).find(by_hand);
    let explored = explored.unwrap();
    let note = explored.note().expect("the run shows nothing");
    let begins = "the run shows nothing: an operation that was polled by hand";
    assert!(note.starts_with(begins), "{note}");
}

/// They clone the waker by which they are polled, and wake it.
#[test]
fn futures_with_own_wakers_are_explored() {
    async fn touch(lock: &Mutex<u32>) {
        for _ in 0..3 {
            *lock.lock().await += 1;
        }
    }
    let explored = Explore::new().find(|| async {
        let lock = Mutex::new(0);
        let unordered = || FuturesUnordered::from_iter([touch(&lock), touch(&lock)]);
        unordered().collect::<()>().await;
        join_all((0..40).map(|_| touch(&lock))).await;
        let boxed = || touch(&lock).boxed_local();
        let ((), _, rest) = select_all([boxed(), boxed()]).await;
        rest.into_iter()
            .collect::<FuturesUnordered<_>>()
            .collect::<()>()
            .await;
        touch(&lock).shared().await;
        settle!(unordered().collect::<()>(), touch(&lock));
        LocalSet::new().run_until(touch(&lock)).await;
    });
    let explored = explored.unwrap();
    assert_eq!((explored.runs(), explored.discarded()), (500, 0));
    assert!(explored.distinct_schedules() > 100, "{explored:?}");
}

#[test]
fn sets_of_tasks_are_explored() {
    let explored = Explore::new().allow_unscheduled().find(|| async {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut set = JoinSet::new();
        for number in 0..3 {
            let sender = sender.clone();
            set.spawn(async move { sender.send(number).await });
        }
        for _ in 0..3 {
            assert!(receiver.recv().await.is_some());
        }
        while set.join_next().await.is_some() {}
    });
    let explored = explored.unwrap();
    assert_eq!((explored.runs(), explored.discarded()), (500, 0));
    assert!(explored.distinct_schedules() > 10, "{explored:?}");
}

/// Its waker is that of the schedule.
#[test]
fn poll_in_place_is_explored() {
    let explored = Explore::new().find(|| async {
        let lock = Mutex::new(());
        let mut locks = pin!(lock.lock());
        if poll!(&mut locks).is_pending() {
            _ = locks.await;
        }
    });
    assert_eq!(explored.unwrap().discarded(), 0);
}

#[test]
fn budget_that_is_used_up_exactly_is_explored() {
    let failure = Explore::new().find(|| async {
        let lock = Mutex::new(());
        let is_first = Cell::new(true);
        let take = async || {
            // Each yields in some run, and the one after it never starts with little budget.
            drop(lock.lock().await);
            let is_alone = is_first.replace(false);
            drop(lock.lock().await);
            assert!(!is_alone || is_first.replace(true) == is_alone, "switched");
        };
        settle!(take(), take());
    });
    assert!(failure.is_err(), "{failure:?}");
}

#[test]
fn panics_of_discarded_runs_not_printed() {
    let ended = child::run("hand_polls::explores_polls_by_hand");
    assert!(ended.passed, "{}", ended.stderr);
    let printed = ended.stderr.matches("panicked at").count();
    assert_eq!(printed, 0, "{}", ended.stderr);
}

#[straggler::test(explore = 100)]
#[ignore = "fails on purpose"]
async fn explores_polls_by_hand() {
    by_hand().await;
}
