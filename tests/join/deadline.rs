//! Behavior of `deadline` and `limit`. `reports.rs` tests the text of the error, `timeout.rs` tests
//! deadlines on tokio's clock.

use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use crate::common::{Gate, Log, Tracked, message};
use straggler::{Panic, Pending, Unsettled, settle_all};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};

fn at_most(limit: usize) -> NonZeroUsize {
    NonZeroUsize::new(limit).unwrap()
}

fn indices<O>(unsettled: &Unsettled<O>) -> Vec<usize> {
    unsettled.pending().iter().map(Pending::index).collect()
}

/// Wakes itself forever.
async fn busy() {
    poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::<()>::Pending
    })
    .await;
}

#[test]
fn futures_in_time_settle() {
    let gates = Gate::many(2);
    let mut settling = task::spawn(settle_all(gates.clone()).deadline(pending::<()>()));
    assert_pending!(settling.poll());
    gates[1].open();
    assert_pending!(settling.poll());
    gates[0].open();
    let settled = assert_ready_ok!(settling.poll());
    assert_eq!(settled.completion_order(), [1, 0]);
}

#[test]
fn settled_outputs_kept_in_completion_order() {
    let give_up = Gate::default();
    let gates = Gate::many(4);
    let futures = gates.iter().cloned().enumerate();
    let futures = futures.map(|(index, gate)| async move {
        gate.await;
        index * 10
    });
    let mut settling = task::spawn(settle_all(futures).deadline(give_up.clone()));
    assert_pending!(settling.poll());
    gates[3].open();
    assert_pending!(settling.poll());
    gates[1].open();
    assert_pending!(settling.poll());
    give_up.open();

    let unsettled = assert_ready!(settling.poll()).unwrap_err();
    assert_eq!(unsettled.settled(), [(3, 30), (1, 10)]);
    assert_eq!(indices(&unsettled), [0, 2]);
    assert_eq!(unsettled.into_settled(), [(3, 30), (1, 10)]);
}

#[test]
fn deadline_wakes_parent() {
    let give_up = Gate::default();
    let mut settling = task::spawn(settle_all([pending::<()>()]).deadline(give_up.clone()));
    assert_pending!(settling.poll());
    assert!(!settling.is_woken());
    give_up.open();
    assert!(settling.is_woken());
    assert!(assert_ready!(settling.poll()).is_err());
}

#[test]
fn expired_deadline_still_polls_each_once() {
    for count in [1, 31, 128, 129, 1000] {
        let gates = Gate::many(count);
        gates[0].open();
        let mut settling = task::spawn(settle_all(gates.clone()).deadline(ready(())));
        let result = loop {
            if let Poll::Ready(result) = settling.poll() {
                break result;
            }
            assert!(settling.is_woken());
        };
        assert!(gates.iter().all(|gate| gate.polls() == 1));
        match result {
            Ok(settled) => assert_eq!((settled.len(), count), (1, 1)),
            Err(unsettled) => assert_eq!(unsettled.pending().len(), count - 1),
        }
    }
}

#[test]
fn future_ending_with_deadline_is_in_time() {
    let give_up = Gate::default();
    let gate = Gate::default();
    let mut settling = task::spawn(settle_all([gate.clone()]).deadline(give_up.clone()));
    assert_pending!(settling.poll());
    give_up.open();
    gate.open();
    assert_eq!(assert_ready_ok!(settling.poll()).len(), 1);
}

#[test]
fn woken_future_polled_before_deadline_counts() {
    let give_up = Gate::default();
    let gates = Gate::many(200);
    let mut settling = task::spawn(settle_all(gates.clone()).deadline(give_up.clone()));
    assert_pending!(settling.poll());
    assert_pending!(settling.poll());

    // A turn polls 128 futures, so one of these 129 is still queued when the deadline passes.
    gates[..129].iter().for_each(Gate::wake);
    assert_pending!(settling.poll());
    gates[150].open();
    give_up.open();
    let unsettled = assert_ready!(settling.poll()).unwrap_err();
    assert_eq!(unsettled.settled(), [(150, ())]);
    assert_eq!(unsettled.pending()[128].polls(), 2);
}

#[test]
fn expired_deadline_not_polled_again() {
    // 1000 futures take 8 turns, and `async {}` panics if it is polled again after the first.
    let mut settling = task::spawn(settle_all(Gate::many(1000)).deadline(async {}));
    for _ in 0..7 {
        assert_pending!(settling.poll());
    }
    assert!(assert_ready!(settling.poll()).is_err());
}

#[test]
fn busy_futures_do_not_delay_deadline() {
    let mut settling = task::spawn(settle_all([busy(), busy()]).deadline(ready(())));
    let unsettled = assert_ready!(settling.poll()).unwrap_err();
    assert!(unsettled.pending().iter().all(|child| child.polls() == 1));
    assert!(unsettled.pending().iter().all(Pending::can_be_woken));
}

#[test]
fn more_busy_futures_than_a_turn_do_not_delay_deadline() {
    let busy = (0..129).map(|_| busy());
    let mut settling = task::spawn(settle_all(busy).deadline(ready(())));
    let unsettled = (0..100).find_map(|_| match settling.poll() {
        Poll::Ready(result) => result.err(),
        Poll::Pending => None,
    });
    assert_eq!(
        unsettled.map(|unsettled| unsettled.pending().len()),
        Some(129)
    );
}

/// Futures that wake themselves forever, except for one that is ready at once.
fn busy_but_for(
    ready: usize,
    count: usize,
) -> impl Iterator<Item = impl Future<Output = ()> + use<>> {
    (0..count).map(move |index| {
        poll_fn(move |context| {
            if index == ready {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    })
}

#[test]
fn admitted_future_polled_before_deadline_counts() {
    let give_up = Gate::default();
    let settling = settle_all(busy_but_for(200, 257)).limit(at_most(256));
    let mut settling = task::spawn(settling.deadline(give_up.clone()));
    // Two turns of 128 polls. The ready future frees its slot for the last one, which is still
    // unpolled when the deadline passes.
    assert_pending!(settling.poll());
    assert_pending!(settling.poll());
    give_up.open();
    let unsettled = (0..10).find_map(|_| match settling.poll() {
        Poll::Ready(result) => result.err(),
        Poll::Pending => None,
    });
    let unsettled = unsettled.expect("busy futures do not delay the deadline");
    assert_eq!(unsettled.pending().len(), 256);
    assert_eq!(unsettled.pending()[255].polls(), 1);
}

#[test]
fn expired_deadline_starts_no_held_back_future() {
    let settling = settle_all(busy_but_for(150, 201)).limit(at_most(200));
    let mut settling = task::spawn(settling.deadline(ready(())));
    assert_pending!(settling.poll());
    let unsettled = assert_ready!(settling.poll()).unwrap_err();
    assert_eq!(unsettled.settled(), [(150, ())]);
    let polls = unsettled.pending().iter().map(Pending::polls);
    assert!(polls.eq((0..200).map(|nth| usize::from(nth < 199))));

    // Nor does a future that completes in its last poll at the deadline free its slot for another.
    let give_up = Gate::default();
    let gates = Gate::many(3);
    let settling = settle_all(gates.clone()).limit(at_most(1));
    let mut settling = task::spawn(settling.deadline(give_up.clone()));
    assert_pending!(settling.poll());
    gates.iter().for_each(Gate::open);
    give_up.open();
    let unsettled = assert_ready!(settling.poll()).unwrap_err();
    assert_eq!(unsettled.settled(), [(0, ())]);
    assert_eq!(indices(&unsettled), [1, 2]);
    assert_eq!(gates[1].polls(), 0);
}

#[test]
fn pending_futures_dropped_in_input_order() {
    let drops = Log::new();
    let futures = (0..3).map(|index| Tracked::new(index, &drops).owned_by(pending::<()>()));
    let mut settling = task::spawn(settle_all(futures).deadline(ready(())));
    let unsettled = assert_ready!(settling.poll()).unwrap_err();
    assert_eq!(drops.take(), [0, 1, 2]);
    assert_eq!(unsettled.pending().len(), 3);
}

#[test]
fn pending_futures_all_dropped_despite_panics() {
    let drops = Log::new();
    let futures = (0..4).map(|index| {
        Tracked::new(index, &drops)
            .panics_if(index == 1 || index == 2)
            .owned_by(pending::<()>())
    });
    let mut settling = task::spawn(settle_all(futures).deadline(ready(())));
    let panicked = catch_unwind(AssertUnwindSafe(|| settling.poll()));
    assert_eq!(message(panicked), "drop of 1");
    assert_eq!(drops.take(), [0, 1, 2, 3]);
}

#[test]
fn drop_panic_settles_pending_future() {
    let drops = Log::new();
    let futures = |panicking: &'static [usize]| {
        (0..2).map({
            let drops = drops.clone();
            move |index| {
                Tracked::new(index, &drops)
                    .panics_if(panicking.contains(&index))
                    .owned_by(pending::<()>())
            }
        })
    };
    let one = settle_all(futures(&[1])).catch_unwind().deadline(ready(()));
    let unsettled = assert_ready!(task::spawn(one).poll()).unwrap_err();
    assert_eq!(indices(&unsettled), [0]);
    let (index, outcome) = unsettled.into_settled().remove(0);
    assert_eq!(
        (index, outcome.unwrap_err().message()),
        (1, Some("drop of 1"))
    );

    let all = settle_all(futures(&[0, 1]))
        .catch_unwind()
        .deadline(ready(()));
    let settled = assert_ready_ok!(task::spawn(all).poll());
    let messages = settled.errors().map(|(_, panic)| panic.message());
    assert!(messages.eq([Some("drop of 0"), Some("drop of 1")]));
}

#[test]
fn panic_outranks_expired_deadline() {
    let drops = Log::new();
    let futures = (0..3).map(|index| {
        Tracked::new(index, &drops).owned_by(async move {
            assert!(index != 1, "future {index}");
            pending::<()>().await;
        })
    });
    let give_up = Gate::default();
    let mut settling = task::spawn(settle_all(futures).deadline(give_up.clone()));
    assert_pending!(settling.poll());
    give_up.open();
    let panicked = catch_unwind(AssertUnwindSafe(|| settling.poll()));
    assert_eq!(message(panicked), "future 1");
    assert_eq!(drops.take(), [1, 0, 2], "no future is left running");
}

#[test]
fn catch_unwind_keeps_panic_at_deadline() {
    let futures = (0..2).map(|index| async move {
        assert!(index != 1, "future {index}");
        pending::<()>().await;
    });
    let settling = settle_all(futures).catch_unwind().deadline(ready(()));
    let unsettled = assert_ready!(task::spawn(settling).poll()).unwrap_err();
    assert_eq!(indices(&unsettled), [0]);
    let [(1, Err(panic))] = unsettled.settled() else {
        panic!("{unsettled}");
    };
    assert_eq!(Panic::message(panic), Some("future 1"));
}

#[test]
fn can_be_woken_reflects_kept_wakers() {
    let gate = Gate::default();
    let waits = gate.clone();
    let futures: [Pin<Box<dyn Future<Output = ()>>>; 3] =
        [Box::pin(pending()), Box::pin(waits), Box::pin(busy())];
    let settling = settle_all(futures).deadline(ready(()));
    let unsettled = assert_ready!(task::spawn(settling).poll()).unwrap_err();
    let can_be_woken = unsettled.pending().iter().map(Pending::can_be_woken);
    assert!(can_be_woken.eq([false, true, true]));
}

#[test]
fn future_without_waker_cannot_be_woken() {
    for keep in [true, false] {
        let give_up = Gate::default();
        let wakers = Log::new();
        let waits = poll_fn(|context| {
            wakers.push(context.waker().clone());
            Poll::<()>::Pending
        });
        let mut settling = task::spawn(settle_all([waits]).deadline(give_up.clone()));
        assert_pending!(settling.poll());
        let kept = keep.then(|| wakers.take());
        wakers.take();
        give_up.open();
        let unsettled = assert_ready!(settling.poll()).unwrap_err();
        assert_eq!(unsettled.pending()[0].can_be_woken(), keep);
        drop(kept);
    }
}

#[test]
fn limit_caps_futures_in_flight_in_input_order() {
    let gates = Gate::many(5);
    let mut settling = task::spawn(settle_all(gates.clone()).limit(at_most(2)));
    let started = || {
        gates
            .iter()
            .map(|gate| gate.polls() > 0)
            .collect::<Vec<_>>()
    };
    assert_pending!(settling.poll());
    assert_eq!(started(), [true, true, false, false, false]);

    gates[1].open();
    assert_pending!(settling.poll());
    assert_eq!(started(), [true, true, true, false, false]);

    // A future that is ready at once frees its slot within the same turn.
    gates[3].open();
    gates[2].open();
    assert_pending!(settling.poll());
    assert_eq!(started(), [true; 5]);

    gates[0].open();
    gates[4].open();
    let settled = assert_ready!(settling.poll());
    assert_eq!(settled.completion_order(), [1, 2, 3, 0, 4]);
}

#[test]
fn limit_of_one_runs_sequentially() {
    let running = Cell::new(0);
    let log = Log::new();
    let futures = (0..300).map(|index| {
        let (running, log) = (&running, &log);
        async move {
            running.set(running.get() + 1);
            assert_eq!(running.get(), 1);
            tokio::task::yield_now().await;
            running.set(0);
            log.push(index);
        }
    });
    let settled = futures::executor::block_on(settle_all(futures).limit(at_most(1)));
    assert_eq!(settled.len(), 300);
    assert!(log.take().into_iter().eq(0..300));
}

#[test]
fn limit_of_count_or_more_has_no_effect() {
    for limit in [3, 4, usize::MAX] {
        let gates = Gate::many(3);
        let mut settling = task::spawn(settle_all(gates.clone()).limit(at_most(limit)));
        assert_pending!(settling.poll());
        assert!(gates.iter().all(|gate| gate.polls() == 1));
    }
}

#[test]
fn panicked_future_frees_limit_slot() {
    let started = Log::new();
    let futures = (0..4).map(|index| {
        let started = &started;
        async move {
            started.push(index);
            assert!(index != 1, "future {index}");
        }
    });
    let settled = futures::executor::block_on(settle_all(futures).limit(at_most(1)).catch_unwind());
    assert_eq!((settled.ok_count(), settled.err_count()), (3, 1));
    assert_eq!(started.take(), [0, 1, 2, 3]);
}

#[test]
fn limit_holds_back_first_polls_at_deadline() {
    let gates = Gate::many(3);
    let settling = settle_all(gates.clone())
        .limit(at_most(1))
        .deadline(ready(()));
    let unsettled = assert_ready!(task::spawn(settling).poll()).unwrap_err();
    let polls = unsettled.pending().iter().map(Pending::polls);
    assert!(polls.eq([1, 0, 0]));
    assert!(unsettled.pending()[2].can_be_woken());
}
