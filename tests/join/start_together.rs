//! `SettleAll::start_together`: no future is polled before all have reached the start line.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use crate::common::{Log, message, poll_with};
use futures::executor::block_on;
use straggler::settle_all;

const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// Futures that log their number and are ready at once.
fn runners(
    count: usize,
    log: &Log<usize>,
) -> impl Iterator<Item = impl Future<Output = usize> + use<>> + use<> {
    let log = log.clone();
    (0..count).map(move |number| {
        let log = log.clone();
        async move {
            log.push(number);
            number
        }
    })
}

#[test]
fn futures_start_in_input_order() {
    for count in [1, 2, 5] {
        let log = Log::new();
        let settled = block_on(settle_all(runners(count, &log)).start_together());
        let in_order: Vec<_> = (0..count).collect();
        assert_eq!(log.take(), in_order);
        assert_eq!(settled.completion_order(), in_order);
        assert_eq!(settled.into_vec(), in_order);
    }
}

#[test]
fn none_starts_before_last_arrives() {
    // A turn polls 128 futures at most, so these take three.
    let (count, log) = (300, Log::new());
    let mut plain = settle_all(runners(count, &log));
    assert!(poll_with(&mut plain, Waker::noop()).is_pending());
    assert!(
        !log.take().is_empty(),
        "without `start_together` some futures are polled in the first turn"
    );

    let mut together = settle_all(runners(count, &log)).start_together();
    let mut at_line = 0;
    while log.take().is_empty() {
        at_line += 1;
        assert!(poll_with(&mut together, Waker::noop()).is_pending());
    }
    assert!(at_line > 300 / 128, "{at_line}");
    assert_eq!(block_on(together).len(), count);
}

#[test]
fn empty_input_is_ready_at_once() {
    let none: [std::future::Ready<u8>; 0] = [];
    assert!(poll_with(&mut settle_all(none).start_together(), Waker::noop()).is_ready());
}

#[test]
fn panic_resumes_after_all_settle() {
    let log = Log::new();
    let futures = (0..3).map(|number| {
        let log = log.clone();
        async move {
            assert_ne!(number, 0, "on purpose");
            log.push(number);
        }
    });
    let panic = catch_unwind(AssertUnwindSafe(|| {
        block_on(settle_all(futures).start_together())
    }));
    assert!(message(panic.map(drop)).contains("on purpose"));
    assert_eq!(log.take(), [1, 2]);
}

#[test]
fn names_and_caught_panics_are_kept() {
    let settling = settle_all([1, 0].map(|divisor| async move { 6 / divisor }));
    let named = settling
        .named(|index| ["one", "none"][index])
        .catch_unwind();
    let settled = block_on(named.start_together());
    assert_eq!(settled.name(1), Some("none"));
    assert_eq!((settled.ok_count(), settled.err_count()), (1, 1));
}

#[test]
fn too_small_limit_is_refused() {
    let log = Log::new();
    let all = || settle_all(runners(3, &log));
    let before = catch_unwind(AssertUnwindSafe(|| all().limit(TWO).start_together()));
    let after = catch_unwind(AssertUnwindSafe(|| all().start_together().limit(TWO)));
    for refused in [before, after] {
        let panic = message(refused);
        let start = format!("the futures of the `settle_all` at {}:", file!());
        assert!(panic.starts_with(&start), "{panic}");
        assert!(
            panic.contains(" cannot start together: its `limit` "),
            "{panic}"
        );
    }
    let enough = settle_all(runners(2, &log))
        .limit(TWO)
        .start_together()
        .limit(TWO);
    assert_eq!(block_on(enough).len(), 2);
}

#[test]
fn polled_join_is_refused() {
    let mut polled = settle_all([std::future::pending::<()>()]);
    assert!(poll_with(&mut polled, Waker::noop()).is_pending());
    let panic = message(catch_unwind(AssertUnwindSafe(|| polled.start_together())));
    assert!(
        panic.contains("was polled already when `start_together` was called"),
        "{panic}"
    );
}

#[cfg(feature = "tokio")]
mod on_tasks {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::Poll;

    use crate::common::in_each_flavor;
    use tokio::runtime::{Builder, Handle};

    use super::*;

    /// The number of tasks that are alive in the runtime.
    fn count_alive() -> usize {
        Handle::current().metrics().num_alive_tasks()
    }

    #[test]
    fn all_tasks_exist_before_any_starts() {
        // 300 are more than a turn of a join spawns.
        for count in [10, 300] {
            in_each_flavor(|| async {
                let counting = (0..count).map(|_| async { count_alive() });
                let settled = settle_all(counting).start_together().spawned().await;
                assert_eq!(
                    settled.iter().max(),
                    Some(&count),
                    "the first to start counts them all"
                );
            });
        }
    }

    #[test]
    fn spawned_join_is_refused() {
        let panic = message(catch_unwind(|| {
            settle_all([async {}]).spawned().start_together()
        }));
        assert!(
            panic.contains("was `spawned` already: call `start_together` before that"),
            "{panic}"
        );
    }

    #[test]
    fn each_future_panics_without_runtime() {
        let settling = settle_all([0, 1].map(|_| async {})).catch_unwind();
        let settled = block_on(settling.start_together().spawned());
        assert_eq!(settled.err_count(), 2);
    }

    #[test]
    fn cancelled_task_does_not_block_start() {
        let (count, log) = (130, Log::new());
        let settling = settle_all(runners(count, &log)).catch_unwind();
        let mut settling = settling.start_together().spawned();
        let [first, second] = [(); 2].map(|()| Builder::new_current_thread().build().unwrap());
        // The first poll spawns one turn's worth of tasks, and none of them runs yet.
        first.block_on(poll_fn(|context| {
            assert!(Pin::new(&mut settling).poll(context).is_pending());
            Poll::Ready(())
        }));
        assert_eq!(first.metrics().num_alive_tasks(), 128);
        drop(first);
        let settled = second.block_on(settling);
        assert_eq!((settled.ok_count(), settled.err_count()), (2, 128));
        assert_eq!(log.take(), [128, 129]);
    }
}
