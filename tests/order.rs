//! In which order futures complete, outputs are returned and errors count as first: the same for
//! every number of futures and every form of input.

mod common;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, IntoFuture, Ready, ready};
use std::pin::{Pin, pin};
use std::task::Poll;

use common::{Gate, Log};
use straggler::{Settled, barrier, settle_all};
use tokio_test::{assert_pending, assert_ready, task};

/// On both sides of 30, where `try_join_all` changes its ways.
const SIZES: [usize; 6] = [1, 2, 30, 31, 1000, 100_000];

/// Lets each of `count` futures pass in the order of `indices`, all before the parent polls.
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

/// Gives every future its first poll.
fn poll_until_idle<F: Future>(settling: &mut task::Spawn<F>) {
    assert!(settling.poll().is_pending());
    while settling.is_woken() {
        assert!(settling.poll().is_pending());
    }
}

/// `0, count - 1, 1, count - 2, ..` backwards: neither the input order nor its reverse.
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
fn futures_complete_in_the_order_of_their_wakes() {
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
fn the_first_error_is_the_first_in_time() {
    for count in SIZES {
        let fails = |index| Err::<Infallible, _>(index);
        let settled = settle_after_wakes(count, shuffled(count), fails);
        let first = shuffled(count).next();
        assert_eq!(settled.first_error().copied(), first);
        assert_eq!(settled.into_result().err(), first);
    }
}

#[test]
fn barrier_returns_the_error_that_was_first_in_time() {
    for count in [2, 30, 31, 1000] {
        let gates = Gate::many(count);
        let waits = gates.iter().cloned().enumerate();
        let mut waiting = task::spawn(barrier(waits.map(|(index, gate)| async move {
            gate.await;
            if index == 0 { Ok(()) } else { Err(index) }
        })));
        poll_until_idle(&mut waiting);

        // One turn each, so that the first error is known long before the last future is done.
        for index in (1..count).rev() {
            gates[index].open();
            assert_pending!(waiting.poll());
        }
        gates[0].open();
        assert_eq!(assert_ready!(waiting.poll()), Err(count - 1));
    }
}

#[test]
fn barrier_returns_every_value_in_input_order() {
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
fn the_first_polls_are_in_input_order() {
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
fn of_two_errors_within_the_first_poll_the_one_polled_first_is_first() {
    let settled =
        assert_ready!(task::spawn(settle_all([Err::<(), _>("a"), Err("b")].map(ready))).poll());
    assert_eq!(settled.first_error(), Some(&"a"));
}

#[test]
fn an_earlier_wake_goes_first_also_when_its_turn_came_to_an_end() {
    let gates = Gate::many(300);
    let mut settling = task::spawn(settle_all(gates.clone()));
    poll_until_idle(&mut settling);

    // 200 are more than one turn polls. The last one is woken when a part of them is still left.
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
fn a_future_woken_by_a_sibling_completes_after_those_woken_before() {
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
fn what_comes_later_does_not_replace_the_first_error() {
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
        // A second wake of a future that has ended changes nothing either.
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
async fn futures_may_be_an_array_a_vector_or_an_iterator() {
    assert_eq!(settle_all([ready(1), ready(2)]).await.into_vec(), [1, 2]);
    assert_eq!(settle_all(vec![ready(1)]).await.into_vec(), [1]);
    assert_eq!(settle_all(Some(ready(1))).await.into_vec(), [1]);
    let filtered = (0..5).filter(|number| number % 2 == 1).map(ready);
    assert_eq!(settle_all(filtered).await.into_vec(), [1, 3]);
    assert_eq!(barrier([ready(Ok::<_, ()>(1))]).await, Ok(vec![1]));
}

#[tokio::test]
async fn futures_may_be_borrowed() {
    let mut whole = [ready(1), ready(2)];
    assert_eq!(settle_all(&mut whole).await.into_vec(), [1, 2]);

    let mut pinned = pin!(async { 3 });
    assert_eq!(settle_all([pinned.as_mut()]).await.into_vec(), [3]);
}

#[test]
fn a_borrowed_future_can_be_gone_on_with_when_the_combinator_is_gone() {
    let gate = Gate::default();
    let mut future = Box::pin(async {
        gate.clone().await;
        "done"
    });
    let mut settling = task::spawn(settle_all([&mut future]));
    assert_pending!(settling.poll());
    drop(settling);
    gate.open();
    assert_eq!(assert_ready!(task::spawn(future).poll()), "done");
}

#[tokio::test]
async fn futures_may_be_boxed_and_of_different_types() {
    let futures: [Pin<Box<dyn Future<Output = u8>>>; 2] =
        [Box::pin(async { 1 }), Box::pin(ready(2))];
    assert_eq!(settle_all(futures).await.into_vec(), [1, 2]);

    let futures: Vec<Box<dyn Future<Output = u8> + Unpin + Send>> = vec![Box::new(ready(3))];
    assert_eq!(settle_all(futures).await.into_vec(), [3]);
}

#[tokio::test]
async fn futures_may_be_anything_that_becomes_a_future() {
    struct Request(u8);

    impl IntoFuture for Request {
        type Output = Result<u8, ()>;
        type IntoFuture = Ready<Self::Output>;

        fn into_future(self) -> Self::IntoFuture {
            ready(Ok(self.0))
        }
    }

    assert_eq!(settle_all([Request(1)]).await.into_vec(), [Ok(1)]);
    assert_eq!(barrier([Request(1), Request(2)]).await, Ok(vec![1, 2]));
}

#[tokio::test]
async fn futures_may_borrow_from_their_surroundings() {
    let words = [String::from("a"), String::from("b")];
    let total = Cell::new(0);
    let lengths = settle_all(words.iter().map(|word| async {
        total.set(total.get() + 1);
        word.as_str()
    }));
    assert_eq!(lengths.await.into_vec(), ["a", "b"]);
    assert_eq!(total.get(), 2);
}

#[tokio::test]
async fn an_error_of_a_nested_combinator_surfaces_once() {
    let inner = |error| async move { barrier([ready(Ok(1)), ready(Err(error))]).await };
    let settled = settle_all([inner("a"), inner("b")]).await;
    assert_eq!(settled.errors().collect::<Vec<_>>(), [(0, &"a"), (1, &"b")]);

    let nested = barrier([barrier([ready(Ok::<_, ()>(1))]), barrier([ready(Ok(2))])]);
    assert_eq!(nested.await, Ok(vec![vec![1], vec![2]]));
}
