//! A join polls only the futures that were woken, each once.
//!
//! `parent_wakers.rs` tests when the join wakes its own parent.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::thread;

use crate::common::{Gate, Log, Wakes, poll_with};
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
fn ready_futures_polled_once_without_wake() {
    let gates = Gate::many(100);
    gates.iter().for_each(Gate::open);
    let mut settling = task::spawn(settle_all(gates.clone()));
    assert!(settling.poll().is_ready());
    assert!(!settling.is_woken());
    assert_eq!(polls(&gates), [1; 100]);
}

#[test]
fn spurious_poll_polls_no_future() {
    let gates = Gate::many(3);
    let mut settling = task::spawn(settle_all(gates.clone()));
    for _ in 0..3 {
        assert_pending!(settling.poll());
    }
    assert_eq!(polls(&gates), [1, 1, 1]);
}

/// Waits for the gate, then yields, holding a `&mut` into its own state throughout.
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

// Only miri detects a failure of this test and the next: a reference that aliases the future's own.
#[test]
fn engine_does_not_touch_unpolled_futures() {
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
fn engine_does_not_touch_undropped_futures() {
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
fn two_wakes_cause_one_poll() {
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
fn wake_during_own_poll_answered_next_turn() {
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
fn self_waking_future_does_not_starve_others() {
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
fn many_self_waking_futures_do_not_starve_others() {
    let finished = Cell::new(false);
    let count = 1000;
    // All futures wake themselves until the last one has been polled three times.
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
    // 3 or 4 polls each, 128 of them a turn.
    let turns = (1..100).find(|_| settling.poll().is_ready());
    assert!(turns.is_some_and(|turns| turns <= 32), "{turns:?} turns");
}

#[test]
fn sibling_wake_causes_one_more_poll() {
    let gates = Gate::many(3);
    let waits = gates.clone();
    let futures = (0..3).map(|index| {
        let waits = &waits;
        async move {
            waits[index].clone().await;
            // Neighbors on both sides, one of which may have been polled in this turn already.
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
fn sibling_woken_by_drop_is_polled() {
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
fn stale_waker_polls_nothing() {
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
fn self_waking_future_not_polled_after_end() {
    let gate = Gate::default();
    let ends = poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::Ready(())
    });
    let futures: [&mut (dyn Future<Output = ()> + Unpin); 2] = [&mut { ends }, &mut gate.clone()];
    let mut settling = task::spawn(settle_all(futures));
    assert_pending!(settling.poll());
    // The join drops a completed future. It must not poll it again.
    assert_pending!(settling.poll());
    gate.open();
    assert!(settling.poll().is_ready());
}

#[test]
fn wakers_do_nothing_after_end() {
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
fn wakers_wake_nobody_after_drop() {
    let parent = Arc::new(Wakes::default());
    let gates = Gate::many(2);
    let mut settling = settle_all(gates.clone());
    assert!(poll_with(&mut settling, &parent.clone().into()).is_pending());
    drop(settling);

    assert_eq!(
        Arc::strong_count(&parent),
        1,
        "a dropped join keeps no waker"
    );
    gates.iter().for_each(Gate::open);
    gates[0].waker().wake();
    assert_eq!(parent.count(), 0);
    assert_eq!(polls(&gates), [1, 1]);
}

#[test]
fn waker_is_same_in_every_poll() {
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
fn futures_woken_from_other_threads_settle() {
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
fn no_wake_lost_between_two_threads() {
    // One thread wakes while the other polls, for 1000 polls. The last wake-up, which opens the
    // gate, may then come at any moment of a poll.
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
fn wakers_usable_on_other_thread_during_drop() {
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
