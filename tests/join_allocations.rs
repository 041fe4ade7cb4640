//! How often a join allocates. In a binary of its own, because the counter replaces the global
//! allocator.

mod common;

use std::future::{Future, poll_fn, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::{AllocationInfo, measure};
use common::Gate;
use straggler::{barrier, settle, settle_all};

/// Polls a future to completion, and calls `between` after each pending poll.
fn drive<F: Future>(future: F, mut between: impl FnMut()) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        between();
    }
}

fn yields_once(output: usize) -> impl Future<Output = usize> {
    let mut has_yielded = false;
    poll_fn(move |context| {
        if has_yielded {
            return Poll::Ready(output);
        }
        has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// The allocations of the join itself, without those of the futures.
fn joined<F: Future>(futures: Vec<F>, between: impl FnMut()) -> AllocationInfo {
    let mut futures = Some(futures);
    measure(|| {
        let futures = futures.take().expect("it is measured once");
        _ = black_box(drive(settle_all(futures), between));
    })
}

const COUNTS: [usize; 5] = [1, 2, 10, 1000, 10_000];

#[test]
fn empty_join_allocates_nothing() {
    assert_eq!(
        joined(Vec::<std::future::Ready<u8>>::new(), || ()).count_total,
        0
    );
}

#[test]
fn two_allocations_without_wakers() {
    for count in COUNTS {
        let at_once = joined((0..count).map(ready).collect(), || ());
        assert!(at_once.count_total <= 2, "{count} ready: {at_once:?}");
        let yielding = joined((0..count).map(yields_once).collect(), || ());
        assert!(yielding.count_total <= 2, "{count} yielding: {yielding:?}");
    }
}

#[test]
fn three_allocations_for_any_number_of_futures() {
    for count in COUNTS {
        let gates = Gate::many(count);
        let futures: Vec<_> = gates.clone();
        // In reverse, so that the join has to store a completion order.
        let joined = joined(futures, || gates.iter().rev().for_each(Gate::open));
        assert!(joined.count_total <= 3, "{count}: {joined:?}");
    }
}

#[test]
fn small_outputs_release_memory_of_futures() {
    let futures: Vec<_> = (0..100)
        .map(|output: u8| {
            let large = [output; 1000];
            async move { black_box(large)[0] }
        })
        .collect();
    let mut futures = Some(futures);
    let mut outputs = Vec::new();
    let joined = measure(|| {
        let futures = futures.take().expect("it is measured once");
        outputs = drive(settle_all(futures), || ()).into_vec();
    });
    // The futures' memory was in use during the join, and is gone now.
    assert!(joined.bytes_max > 100_000);
    assert_eq!(outputs.len(), 100);
    assert_eq!(outputs.capacity(), 100);
}

#[test]
fn macros_allocate_nothing_without_wakers() {
    let settled = measure(|| {
        let outputs = drive(
            async { settle!(ready(1), ready("2"), yields_once(3)) },
            || (),
        );
        assert_eq!(outputs, (1, "2", 3));
    });
    assert_eq!(settled.count_total, 0);

    let passed = measure(|| {
        let values = drive(
            async { barrier!(ready(Ok::<_, ()>(1)), async { Ok("2") }) },
            || (),
        );
        assert_eq!(values, Ok((1, "2")));
    });
    assert_eq!(passed.count_total, 0);
}

#[test]
fn macros_allocate_once_for_wakers() {
    let gates = Gate::many(2);
    let mut futures = Some((gates[0].clone(), gates[1].clone()));
    let settled = measure(|| {
        let (first, second) = futures.take().expect("it is measured once");
        drive(async { settle!(first, second) }, || {
            gates.iter().rev().for_each(Gate::open);
        });
    });
    assert_eq!(settled.count_total, 1);
}
