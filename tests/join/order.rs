//! The order of completions, outputs and errors, which must not depend on the number of futures.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::task::Poll;

use crate::common::{Gate, Log};
use straggler::{Settled, barrier, settle_all};
use tokio_test::{assert_pending, assert_ready, task};

/// On both sides of 30, where `try_join_all` switches its implementation.
const SIZES: [usize; 6] = [1, 2, 30, 31, 1000, 100_000];

/// Opens the gates of `count` futures in the order of `indices`, all before the join is polled.
fn settle_after_wakes<O>(
    count: usize,
    indices: impl Iterator<Item = usize>,
    output: impl Fn(usize) -> O + Copy,
) -> Settled<O> {
    let gates = Gate::many(count);
    let waits = gates.iter().cloned().enumerate();
    let mut settling = task::spawn(settle_all(waits.map(|(index, gate)| async move {
        gate.await;
        output(index)
    })));
    poll_until_idle(&mut settling);
    indices.for_each(|index| gates[index].open());
    loop {
        assert!(settling.is_woken());
        if let Poll::Ready(settled) = settling.poll() {
            return settled;
        }
    }
}

/// Polls until every future has had its first poll.
fn poll_until_idle<F: Future>(settling: &mut task::Spawn<F>) {
    assert!(settling.poll().is_pending());
    while settling.is_woken() {
        assert!(settling.poll().is_pending());
    }
}

/// `0, count - 1, 1, count - 2, ..` in reverse: neither input order nor its reverse.
fn shuffled(count: usize) -> impl DoubleEndedIterator<Item = usize> {
    (0..count).rev().map(move |at| {
        if at % 2 == 0 {
            at / 2
        } else {
            count - 1 - at / 2
        }
    })
}

#[test]
fn completion_follows_wake_order() {
    for count in SIZES {
        let settled = settle_after_wakes(count, shuffled(count), |_| ());
        assert!(
            settled
                .completion_order()
                .iter()
                .copied()
                .eq(shuffled(count))
        );
    }
}

#[test]
fn outputs_are_in_input_order() {
    for count in SIZES {
        let settled = settle_after_wakes(count, shuffled(count), |index| index);
        assert!(settled.into_iter().eq(0..count));
    }
}

#[test]
fn first_error_is_first_in_time() {
    for count in SIZES {
        let fails = |index| Err::<Infallible, _>(index);
        let settled = settle_after_wakes(count, shuffled(count), fails);
        let first = shuffled(count).next();
        assert_eq!(settled.first_error().copied(), first);
        assert_eq!(settled.into_result().err(), first);
    }
}

#[test]
fn barrier_returns_first_error_in_time() {
    for count in [2, 30, 31, 1000] {
        let gates = Gate::many(count);
        let waits = gates.iter().cloned().enumerate();
        let mut waiting = task::spawn(barrier(waits.map(|(index, gate)| async move {
            gate.await;
            if index == 0 { Ok(()) } else { Err(index) }
        })));
        poll_until_idle(&mut waiting);

        // One turn each, so the first error is known long before the last future completes.
        for index in (1..count).rev() {
            gates[index].open();
            assert_pending!(waiting.poll());
        }
        gates[0].open();
        assert_eq!(assert_ready!(waiting.poll()), Err(count - 1));
    }
}

#[test]
fn barrier_returns_values_in_input_order() {
    for count in SIZES {
        let mut waiting = task::spawn(barrier((0..count).map(|index| ready(Ok::<_, ()>(index)))));
        let values = loop {
            if let Poll::Ready(values) = waiting.poll() {
                break values.unwrap();
            }
        };
        assert!(values.into_iter().eq(0..count));
    }
}

#[test]
fn first_polls_are_in_input_order() {
    let polls = Log::new();
    let futures = (0..100).map(|index| {
        let polls = polls.clone();
        async move { polls.push(index) }
    });
    let settled = assert_ready!(task::spawn(settle_all(futures)).poll());
    assert!(polls.take().into_iter().eq(0..100));
    assert!(settled.completion_order().iter().copied().eq(0..100));
}

#[test]
fn first_error_within_poll_is_first_polled() {
    let settled =
        assert_ready!(task::spawn(settle_all([Err::<(), _>("a"), Err("b")].map(ready))).poll());
    assert_eq!(settled.first_error(), Some(&"a"));
}

#[test]
fn earlier_wake_goes_first_across_turns() {
    let gates = Gate::many(300);
    let mut settling = task::spawn(settle_all(gates.clone()));
    poll_until_idle(&mut settling);

    // One turn polls 128 of these 200. The last two futures are woken while the rest is queued.
    gates[..200].iter().for_each(Gate::open);
    assert_pending!(settling.poll());
    gates[299].open();
    gates[298].open();
    poll_until_idle(&mut settling);
    gates[200..298].iter().for_each(Gate::open);

    let settled = assert_ready!(settling.poll());
    let expected = (0..200).chain([299, 298]).chain(200..298);
    assert!(settled.completion_order().iter().copied().eq(expected));
}

#[test]
fn sibling_wake_queues_behind_earlier_wakes() {
    let gates = Gate::many(3);
    let futures = gates.clone().into_iter().enumerate().map(|(index, gate)| {
        let last = gates[2].clone();
        async move {
            gate.await;
            if index == 1 {
                last.open();
            }
        }
    });
    let mut settling = task::spawn(settle_all(futures));
    assert_pending!(settling.poll());
    gates[1].open();
    gates[0].open();
    assert_pending!(settling.poll());
    let settled = assert_ready!(settling.poll());
    assert_eq!(settled.completion_order(), [1, 0, 2]);
}

#[test]
fn later_error_does_not_replace_first() {
    let gates = Gate::many(3);
    let outcomes = [Ok(0), Err("first"), Err("second")];
    let futures = gates.iter().cloned().zip(outcomes);
    let mut settling = task::spawn(settle_all(futures.map(|(gate, outcome)| async move {
        gate.await;
        outcome
    })));
    assert_pending!(settling.poll());
    for index in [1, 2] {
        gates[index].open();
        // Waking a completed future again must not change the order.
        assert_pending!(settling.poll());
        gates[1].wake();
        assert_pending!(settling.poll());
    }
    gates[0].open();
    let settled = assert_ready!(settling.poll());
    assert_eq!(settled.first_error(), Some(&"first"));
    assert_eq!(settled.completion_order(), [1, 2, 0]);
    assert_eq!(settled.into_vec(), outcomes);
}

#[tokio::test]
async fn nested_error_surfaces_once() {
    let inner = |error| async move { barrier([ready(Ok(1)), ready(Err(error))]).await };
    let settled = settle_all([inner("a"), inner("b")]).await;
    assert_eq!(settled.errors().collect::<Vec<_>>(), [(0, &"a"), (1, &"b")]);

    let nested = barrier([barrier([ready(Ok::<_, ()>(1))]), barrier([ready(Ok(2))])]);
    assert_eq!(nested.await, Ok(vec![vec![1], vec![2]]));
}
