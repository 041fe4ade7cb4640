//! Which futures a poll of the combinator polls: those that were woken, each once.
//!
//! Whom the combinator wakes itself is in `parent_wakers.rs`.

mod common;

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::thread;

use common::{Gate, Log, Wakes, poll_with};
use straggler::{settle, settle_all};
use tokio_test::{assert_pending, assert_ready, task};

fn polls(gates: &[Gate]) -> Vec<usize> {
    gates.iter().map(Gate::polls).collect()
}

#[test]
fn only_woken_futures_are_polled() {
    let gates = Gate::many(5);
    let mut settling = task::spawn(settle_all(gates.clone()));
    assert_pending!(settling.poll());
    assert_eq!(polls(&gates), [1, 1, 1, 1, 1]);

    gates[3].wake();
    assert!(settling.is_woken());
    assert_pending!(settling.poll());
    assert_eq!(polls(&gates), [1, 1, 1, 2, 1]);
}

#[test]
fn futures_that_are_ready_at_once_need_one_poll_each_and_no_wake() {
    let gates = Gate::many(100);
    gates.iter().for_each(Gate::open);
    let mut settling = task::spawn(settle_all(gates.clone()));
    assert!(settling.poll().is_ready());
    assert!(!settling.is_woken());
    assert_eq!(polls(&gates), [1; 100]);
}

#[test]
fn a_spurious_poll_polls_no_future() {
    let gates = Gate::many(3);
    let mut settling = task::spawn(settle_all(gates.clone()));
    for _ in 0..3 {
        assert_pending!(settling.poll());
    }
    assert_eq!(polls(&gates), [1, 1, 1]);
}

/// Waits for the gate, then yields, all the while with the only reference to a part of itself.
async fn borrows_from_itself(gate: Gate) -> usize {
    struct Counts<'a>(&'a mut usize);

    impl Drop for Counts<'_> {
        fn drop(&mut self) {
            *self.0 += 1;
        }
    }

    let mut here = 0;
    let counts = Counts(&mut here);
    gate.await;
    *counts.0 += 1;
    tokio::task::yield_now().await;
    *counts.0 += 1;
    drop(counts);
    here
}

// What these do wrong only miri sees.
#[test]
fn the_engine_looks_at_no_future_that_it_does_not_poll() {
    let gates = Gate::many(3);
    let futures = gates.clone().into_iter().map(borrows_from_itself);
    let mut settling = task::spawn(settle_all(futures).limit(2.try_into().unwrap()));
    assert_pending!(settling.poll());
    assert!(format!("{:?}", *settling).contains("Waiting"));
    gates[..2].iter().for_each(Gate::open);
    assert_pending!(settling.poll());
    assert!(format!("{:?}", *settling).contains("Woken"));
    gates[2].open();
    while settling.poll().is_pending() {
        assert!(settling.is_woken());
    }

    let gates = Gate::many(2);
    let [first, second] = [0, 1].map(|index| borrows_from_itself(gates[index].clone()));
    let mut settling = task::spawn(async { settle!(first, second) });
    assert_pending!(settling.poll());
    gates.iter().for_each(Gate::open);
    assert_pending!(settling.poll());
    assert_eq!(assert_ready!(settling.poll()), (3, 3));
}

#[test]
fn the_engine_looks_at_no_future_that_it_does_not_drop() {
    let gates = Gate::many(3);
    let futures = gates.clone().into_iter().map(borrows_from_itself);
    let mut settling = task::spawn(settle_all(futures));
    assert_pending!(settling.poll());
    gates[1].open();
    assert_pending!(settling.poll());
    drop(settling);
    assert_eq!(polls(&gates), [1, 2, 1]);
}

#[test]
fn two_wakes_before_a_poll_are_one() {
    let gates = Gate::many(2);
    let mut settling = task::spawn(settle_all(gates.clone()));
    assert_pending!(settling.poll());
    gates[1].wake();
    gates[1].wake();
    assert_pending!(settling.poll());
    assert_pending!(settling.poll());
    assert_eq!(polls(&gates), [1, 2]);
}

#[test]
fn a_wake_during_the_own_poll_is_kept_and_answered_in_the_next_turn() {
    let polled = Cell::new(0);
    let busy = poll_fn(|context| {
        polled.set(polled.get() + 1);
        context.waker().wake_by_ref();
        if polled.get() == 4 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    let mut settling = task::spawn(settle_all([busy]));
    for turn in 1..4 {
        assert_pending!(settling.poll());
        assert_eq!(polled.get(), turn);
        assert!(settling.is_woken());
    }
    assert!(settling.poll().is_ready());
    assert_eq!(polled.get(), 4);
}

#[test]
fn a_future_that_wakes_itself_for_ever_does_not_hold_up_the_others() {
    let gate = Gate::default();
    let finished = Cell::new(false);
    let busy = poll_fn(|context| {
        context.waker().wake_by_ref();
        if finished.get() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    let normal = async {
        gate.clone().await;
        finished.set(true);
    };
    let futures: [&mut (dyn Future<Output = ()> + Unpin); 2] =
        [&mut { busy }, &mut Box::pin(normal)];
    let mut settling = task::spawn(settle_all(futures));
    for _ in 0..10 {
        assert_pending!(settling.poll());
    }
    gate.open();
    assert_pending!(settling.poll());
    let settled = assert_ready!(settling.poll());
    assert_eq!(settled.completion_order(), [1, 0]);
}

#[test]
fn many_futures_that_wake_themselves_for_ever_do_not_hold_up_the_others() {
    let finished = Cell::new(false);
    let count = 1000;
    // All but the last wake themselves until the last one has had its three polls.
    let futures = (0..count).map(|index| {
        let mut polls = 0;
        let finished = &finished;
        poll_fn(move |context| {
            polls += 1;
            if index == count - 1 && polls == 3 {
                finished.set(true);
            }
            if finished.get() {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    });
    let mut settling = task::spawn(settle_all(futures));
    // 3 or 4 polls each, of which a turn makes 128.
    let turns = (1..100).find(|_| settling.poll().is_ready());
    assert!(turns.is_some_and(|turns| turns <= 32), "{turns:?} turns");
}

#[test]
fn a_sibling_that_a_future_wakes_is_polled_once_more() {
    let gates = Gate::many(3);
    let waits = gates.clone();
    let futures = (0..3).map(|index| {
        let waits = &waits;
        async move {
            waits[index].clone().await;
            // Neighbours on both sides: one was polled in this turn already, if it was woken.
            waits[(index + 1) % 3].open();
            waits[(index + 2) % 3].open();
        }
    });
    let mut settling = task::spawn(settle_all(futures));
    assert_pending!(settling.poll());
    gates[1].open();
    assert_pending!(settling.poll());
    assert!(settling.is_woken());
    let settled = assert_ready!(settling.poll());
    assert_eq!(settled.completion_order(), [1, 2, 0]);
    assert_eq!(polls(&gates), [2, 2, 2]);
}

#[test]
fn a_sibling_woken_by_the_drop_of_a_future_is_polled() {
    struct OpensOnDrop(Gate);

    impl Drop for OpensOnDrop {
        fn drop(&mut self) {
            self.0.open();
        }
    }

    let gates = Gate::many(2);
    let futures = gates.iter().cloned().enumerate().map(|(index, gate)| {
        let next = OpensOnDrop(gates[(index + 1) % 2].clone());
        async move {
            gate.await;
            drop(next);
        }
    });
    let mut settling = task::spawn(settle_all(futures));
    assert_pending!(settling.poll());
    gates[1].open();
    assert_pending!(settling.poll());
    assert!(settling.poll().is_ready());
}

#[test]
fn the_waker_of_a_future_that_has_ended_polls_nothing() {
    let gates = Gate::many(2);
    let mut settling = task::spawn(settle_all(gates.clone()));
    assert_pending!(settling.poll());
    let stale = gates[0].waker();
    gates[0].open();
    assert_pending!(settling.poll());

    for _ in 0..2 {
        stale.wake_by_ref();
        assert!(!settling.is_woken());
        assert_pending!(settling.poll());
    }
    assert_eq!(polls(&gates), [2, 1]);

    gates[1].open();
    assert_eq!(assert_ready!(settling.poll()).len(), 2);
}

#[test]
fn a_future_that_wakes_itself_and_ends_is_not_polled_again() {
    let gate = Gate::default();
    let ends = poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::Ready(())
    });
    let futures: [&mut (dyn Future<Output = ()> + Unpin); 2] = [&mut { ends }, &mut gate.clone()];
    let mut settling = task::spawn(settle_all(futures));
    assert_pending!(settling.poll());
    // `PollFn` would panic if it was polled again: it was dropped.
    assert_pending!(settling.poll());
    gate.open();
    assert!(settling.poll().is_ready());
}

#[test]
fn wakers_do_nothing_when_the_combinator_has_ended() {
    let gates = Gate::many(2);
    let mut settling = task::spawn(settle_all(gates.clone()));
    assert_pending!(settling.poll());
    let wakers = [gates[0].waker(), gates[1].waker()];
    gates.iter().for_each(Gate::open);
    assert!(settling.poll().is_ready());
    wakers.iter().for_each(Waker::wake_by_ref);
    drop(settling);
    wakers.into_iter().for_each(Waker::wake);
    assert_eq!(polls(&gates), [2, 2]);
}

#[test]
fn wakers_wake_nobody_when_the_combinator_was_dropped() {
    let parent = Arc::new(Wakes::default());
    let gates = Gate::many(2);
    let mut settling = settle_all(gates.clone());
    assert!(poll_with(&mut settling, &parent.clone().into()).is_pending());
    drop(settling);

    assert_eq!(
        Arc::strong_count(&parent),
        1,
        "it keeps no waker of its parent"
    );
    gates.iter().for_each(Gate::open);
    gates[0].waker().wake();
    assert_eq!(parent.count(), 0);
    assert_eq!(polls(&gates), [1, 1]);
}

#[test]
fn a_future_has_the_same_waker_in_every_poll() {
    let wakers = Log::new();
    let keeps = poll_fn(|context| {
        wakers.push(context.waker().clone());
        Poll::<()>::Pending
    });
    let mut settling = task::spawn(settle_all([keeps]));
    assert_pending!(settling.poll());
    let first = wakers.take().remove(0);
    for _ in 0..3 {
        first.wake_by_ref();
        assert_pending!(settling.poll());
        assert!(wakers.take().remove(0).will_wake(&first));
    }
}

#[test]
fn futures_may_be_woken_from_other_threads() {
    let gates = Gate::many(1000);
    let settling = settle_all(gates.clone());
    let settled = thread::scope(|scope| {
        for part in gates.chunks(250) {
            scope.spawn(|| part.iter().for_each(Gate::open));
        }
        futures::executor::block_on(settling)
    });
    assert_eq!(settled.len(), 1000);
}

#[test]
fn no_wake_is_lost_between_two_threads() {
    // One thread wakes while the other polls, until 1000 wakes were answered; the last one, which
    // opens the gate, may come at any moment of a poll.
    let gate = Gate::default();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                gate.wake();
            }
            gate.open();
        });
        let mut rounds = 0;
        let counts = poll_fn(|context| {
            rounds += 1;
            stop.fetch_or(rounds == 1000, Ordering::SeqCst);
            std::pin::pin!(gate.clone()).poll(context)
        });
        let settled = futures::executor::block_on(settle_all([counts]));
        assert_eq!(settled.len(), 1);
        assert!(rounds >= 1000);
    });
}

#[test]
fn wakers_may_be_used_by_another_thread_while_the_combinator_is_dropped() {
    for _ in 0..200 {
        let gates = Gate::many(10);
        let mut settling = settle_all(gates.clone());
        let parent = Arc::new(Wakes::default());
        assert!(poll_with(&mut settling, &parent.clone().into()).is_pending());
        thread::scope(|scope| {
            scope.spawn(|| gates.iter().for_each(Gate::open));
            drop(settling);
        });
        assert!(parent.count() <= 1);
    }
}
