//! Tasks that are aborted at each place.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use straggler::spawn_abortable;
use tokio::sync::Notify;

use super::*;

/// Does something in two steps, with the flag set between them.
async fn two_steps(is_half: Arc<AtomicBool>) -> u32 {
    is_half.store(true, SeqCst);
    yield_now().await;
    is_half.store(false, SeqCst);
    7
}

#[test]
fn aborted_half_way_found() {
    let body = || async {
        let is_half = Arc::default();
        _ = spawn_abortable(two_steps(Arc::clone(&is_half))).await;
        assert!(!is_half.load(SeqCst), "half done");
    };
    let failure = Explore::new().cancel().find(body).unwrap_err();
    assert!(
        failure.message().unwrap().contains("half done"),
        "{failure}"
    );
    let text = failure.to_string();
    assert!(text.contains("the operation is cancelled"), "{text}");
    let again = Explore::new()
        .cancel()
        .replay(failure.seed().clone())
        .find(body);
    assert_eq!(again.unwrap_err().schedule(), failure.schedule());
}

#[test]
fn one_step_passes() {
    let explored = Explore::new().cancel().find(|| async {
        let is_half = Arc::new(AtomicBool::new(false));
        let task = spawn_abortable({
            let is_half = Arc::clone(&is_half);
            async move {
                yield_now().await;
                is_half.store(true, SeqCst);
                is_half.store(false, SeqCst);
            }
        });
        _ = task.await;
        assert!(!is_half.load(SeqCst));
    });
    assert!(explored.unwrap().runs() > 2);
}

/// As with `JoinHandle::abort`, and never of a task that is done.
#[test]
fn abort_gives_cancelled_join_error() {
    let (done, aborted) = (Cell::new(0), Cell::new(0));
    let explored = Explore::new().cancel().find(|| async {
        let ends = Arc::new(AtomicUsize::new(0));
        let task = spawn_abortable({
            let ends = Arc::clone(&ends);
            async move {
                yield_now().await;
                yield_now().await;
                ends.fetch_add(1, SeqCst)
            }
        });
        match task.await {
            Ok(_) => {
                done.set(done.get() + 1);
                assert_eq!(ends.load(SeqCst), 1);
            }
            Err(error) => {
                aborted.set(aborted.get() + 1);
                assert!(error.is_cancelled());
                assert_eq!(ends.load(SeqCst), 0, "a task that is done was aborted");
            }
        }
    });
    let explored = explored.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(done.get() + aborted.get(), explored.runs());
    assert!(
        aborted.get() >= 3,
        "before the first poll, and at each yield: {}",
        aborted.get()
    );
}

/// The future is dropped by the runtime, after the poll.
#[test]
fn future_dropped_between_polls() {
    struct OnDrop(Arc<AtomicBool>, Arc<AtomicBool>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            assert!(!self.0.load(SeqCst), "in a poll");
            self.1.store(true, SeqCst);
        }
    }

    let explored = Explore::new().cancel().find(|| async {
        let (is_polled, is_dropped) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let guard = OnDrop(Arc::clone(&is_polled), Arc::clone(&is_dropped));
        let task = spawn_abortable(async move {
            let guard = guard;
            poll_fn(|context| {
                guard.0.store(true, SeqCst);
                context.waker().wake_by_ref();
                guard.0.store(false, SeqCst);
                Poll::<()>::Pending
            })
            .await;
        });
        yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(is_dropped.load(SeqCst));
    });
    assert!(explored.is_ok(), "{explored:?}");
}

#[test]
fn aborted_in_a_schedule() {
    let body = |repaired: bool| {
        move || async move {
            let (is_busy, is_free) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
            let work = |is_busy: Arc<AtomicBool>, is_free: Arc<Notify>| async move {
                while is_busy.swap(true, SeqCst) {
                    is_free.notified().await;
                }
                let end = Arc::clone(&is_busy);
                let guard = repaired.then(|| Turn(end, Arc::clone(&is_free)));
                yield_now().await;
                if guard.is_none() {
                    is_busy.store(false, SeqCst);
                    is_free.notify_one();
                }
            };
            let first = straggler::spawn(work(Arc::clone(&is_busy), Arc::clone(&is_free)));
            let second = spawn_abortable(work(Arc::clone(&is_busy), Arc::clone(&is_free)));
            first.await.unwrap();
            _ = second.await;
        }
    };
    let failure = Explore::new()
        .cancel_in_schedules()
        .find(body(false))
        .unwrap_err();
    assert!(
        matches!(verdict(&failure), Verdict::Deadlocked { .. }),
        "{failure}"
    );
    let text = failure.to_string();
    assert!(text.contains("1 cancellation"), "{text}");
    assert_eq!(text.matches("task #2 is cancelled").count(), 1, "{text}");
    let passes = Explore::new().cancel_in_schedules().find(body(true));
    assert!(passes.is_ok(), "{passes:?}");
}

struct Turn(Arc<AtomicBool>, Arc<Notify>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
        self.1.notify_one();
    }
}

#[test]
fn nothing_is_aborted_elsewhere() {
    let body = || async {
        let is_half = Arc::default();
        let task = spawn_abortable(two_steps(Arc::clone(&is_half)));
        assert_eq!(task.await.unwrap(), 7);
    };
    assert_eq!(Explore::new().runs(20).find(body).unwrap().runs(), 20);
    assert!(LeakCheck::new().run(body()).is_ok());
}
