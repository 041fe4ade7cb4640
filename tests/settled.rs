//! What `Settled` and `AggregateError` tell, and inputs that lie about how many they are.

mod common;

use std::error::Error;
use std::future::{Ready, ready};
use std::task::Poll;

use common::Gate;
use futures::executor::block_on;
use straggler::{AggregateError, Settled, barrier, settle_all};
use tokio_test::task;

/// Settles futures with these outputs, which end in the order of `indices`.
fn settle<O: Clone>(outputs: &[O], indices: &[usize]) -> Settled<O> {
    let gates = Gate::many(outputs.len());
    let futures = gates.iter().cloned().zip(outputs.iter().cloned());
    let mut settling = task::spawn(
        settle_all(futures.map(|(gate, output)| async move {
            gate.await;
            output
        }))
        .named(|index| ["zero", "one", "two", "three"][index]),
    );
    assert!(settling.poll().is_pending());
    for &index in indices {
        gates[index].open();
    }
    match settling.poll() {
        Poll::Ready(settled) => settled,
        Poll::Pending => panic!("all are open"),
    }
}

/// Values in 0 and 2, errors in 1 and 3; 3 ends before 1 and 2 before 0.
fn mixed() -> Settled<Result<u8, &'static str>> {
    settle(&[Ok(10), Err("one"), Ok(12), Err("three")], &[3, 2, 0, 1])
}

/// What comes of no futures.
fn empty<O>() -> Settled<O> {
    block_on(settle_all(Vec::<Ready<O>>::new()))
}

#[test]
fn it_is_a_slice_of_the_outputs_in_input_order() {
    let settled = settle(&["a", "b", "c"], &[2, 0, 1]);
    assert_eq!(settled.len(), 3);
    assert_eq!(settled[1], "b");
    assert_eq!(settled.first(), Some(&"a"));
    assert_eq!(settled.get(3), None);
    assert_eq!(settled.iter().rev().collect::<Vec<_>>(), [&"c", &"b", &"a"]);
    assert_eq!(&settled[1..], ["b", "c"]);
}

#[test]
fn it_is_iterated_by_reference_and_by_value() {
    let settled = settle(&["a", "b"], &[1, 0]);
    let mut seen = Vec::new();
    for output in &settled {
        seen.push(*output);
    }
    assert_eq!(seen, ["a", "b"]);
    let mut outputs = settled.into_iter();
    assert_eq!(outputs.len(), 2);
    assert_eq!(outputs.next_back(), Some("b"));
    assert_eq!(outputs.next(), Some("a"));
}

#[test]
fn into_vec_returns_the_outputs_in_input_order() {
    assert_eq!(
        settle(&["a", "b", "c"], &[2, 0, 1]).into_vec(),
        ["a", "b", "c"]
    );
}

#[test]
fn completion_order_tells_who_ended_when() {
    assert_eq!(
        settle(&["a", "b", "c"], &[2, 0, 1]).completion_order(),
        [2, 0, 1]
    );
}

#[test]
fn name_returns_the_given_name() {
    let settled = settle(&["a", "b"], &[0, 1]);
    assert_eq!(
        (settled.name(0), settled.name(1)),
        (Some("zero"), Some("one"))
    );
    assert_eq!(settled.name(2), None);
    let unnamed = block_on(settle_all([ready(1)]));
    assert_eq!(unnamed.name(0), None);
}

#[test]
fn names_may_be_static_or_owned() {
    let borrowed = block_on(settle_all([ready(1)]).named(|_| "static"));
    assert_eq!(borrowed.name(0), Some("static"));
    let owned = block_on(settle_all([ready(1)]).named(|index| format!("number {index}")));
    assert_eq!(owned.name(0), Some("number 0"));
}

#[test]
fn two_are_equal_if_their_outputs_are() {
    let settled = mixed();
    assert_eq!(settled.clone(), settled);
    assert_eq!(settle(&[1, 2], &[0, 1]), settle(&[1, 2], &[1, 0]));
    assert_ne!(settle(&[1, 2], &[0, 1]), settle(&[2, 1], &[0, 1]));
    assert_ne!(settle(&[1, 2], &[0, 1]), settle(&[1], &[0]));
}

#[test]
fn debug_shows_outputs_and_completion_order() {
    assert_eq!(
        format!("{:?}", settle(&[1, 2], &[1, 0])),
        "Settled { outputs: [1, 2], completion_order: [1, 0], .. }"
    );
}

#[test]
fn counts_tell_how_many_went_right_and_wrong() {
    assert_eq!((mixed().ok_count(), mixed().err_count()), (2, 2));
}

#[test]
fn oks_and_errors_are_in_completion_order() {
    let settled = mixed();
    assert_eq!(settled.oks().collect::<Vec<_>>(), [(2, &12), (0, &10)]);
    assert_eq!(
        settled.errors().collect::<Vec<_>>(),
        [(3, &"three"), (1, &"one")]
    );
    assert_eq!(settled.first_error(), Some(&"three"));
}

#[test]
fn into_result_returns_the_first_error_or_every_value() {
    assert_eq!(mixed().into_result(), Err("three"));
    let fine = settle(&[Ok::<_, ()>(1), Ok(2)], &[1, 0]);
    assert_eq!(fine.first_error(), None);
    assert_eq!(fine.into_result(), Ok(vec![1, 2]));
}

#[test]
fn into_result_all_returns_every_error_or_every_value() {
    let errors = mixed().into_result_all().unwrap_err();
    assert_eq!(errors.errors(), [(3, "three"), (1, "one")]);
    let fine = settle(&[Ok::<_, ()>(1), Ok(2)], &[1, 0]);
    assert_eq!(fine.into_result_all().map_err(drop), Ok(vec![1, 2]));
}

#[test]
fn partition_returns_values_in_input_order_and_errors_in_completion_order() {
    assert_eq!(mixed().partition(), (vec![10, 12], vec!["three", "one"]));
}

#[test]
fn nothing_has_no_outputs_and_no_errors() {
    let nothing = empty::<Result<u8, &str>>();
    assert!(nothing.is_empty());
    assert_eq!(nothing.completion_order(), []);
    assert_eq!(nothing.name(0), None);
    assert_eq!((nothing.ok_count(), nothing.err_count()), (0, 0));
    assert_eq!((nothing.oks().count(), nothing.errors().count()), (0, 0));
    assert_eq!(nothing.first_error(), None);
    assert_eq!((&nothing).into_iter().count(), 0);
    assert_eq!(nothing.clone().into_iter().count(), 0);
    assert_eq!(nothing.clone().into_result(), Ok(vec![]));
    assert_eq!(nothing.clone().into_result_all().map_err(drop), Ok(vec![]));
    assert_eq!(nothing.clone().partition(), (vec![], vec![]));
    assert_eq!(nothing.into_vec(), []);
}

#[test]
fn an_aggregate_error_has_a_first_error() {
    let errors = mixed().into_result_all().unwrap_err();
    assert_eq!(errors.first(), &"three");
    assert_eq!(errors.clone(), errors);
    assert_eq!(errors.into_errors(), [(3, "three"), (1, "one")]);
}

#[test]
fn an_aggregate_error_names_its_errors_in_completion_order() {
    let errors = mixed().into_result_all().unwrap_err();
    let expected = "2 of 4 futures failed\n  #3 `three`: three\n  #1 `one`: one";
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn an_aggregate_error_is_an_error_for_the_question_mark() {
    fn question() -> Result<(), Box<dyn Error + Send + Sync>> {
        let parsed = ["7", "x", "y"].map(|text| ready(text.parse::<u8>()));
        block_on(settle_all(parsed)).into_result_all()?;
        Ok(())
    }
    let error = question().unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("2 of 3 futures failed\n  #1: invalid digit")
    );
    let errors = error
        .downcast::<AggregateError<std::num::ParseIntError>>()
        .unwrap();
    assert_eq!(errors.errors().len(), 2);
}

/// An iterator that says whatever it is told to of its length.
struct Claims<I>(I, (usize, Option<usize>));

impl<I: Iterator> Iterator for Claims<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.1
    }
}

#[test]
fn an_iterator_that_lies_about_its_length_is_taken_for_what_it_yields() {
    let too_high = [(100, Some(100)), (100, None), (usize::MAX, None)];
    let absurd = [(usize::MAX, Some(usize::MAX)), (0, Some(usize::MAX))];
    let too_low = [(0, Some(0)), (1, Some(1)), (0, None), (5, Some(1))];
    for claim in too_high.into_iter().chain(absurd).chain(too_low) {
        let claims = || Claims((0..3).map(|index| ready(Ok::<_, ()>(index))), claim);
        let settled = block_on(settle_all(claims()));
        assert_eq!(settled.into_vec(), [Ok(0), Ok(1), Ok(2)], "{claim:?}");
        assert_eq!(block_on(barrier(claims())), Ok(vec![0, 1, 2]), "{claim:?}");
    }
}

#[test]
fn an_iterator_that_has_nothing_of_what_it_claims_is_empty() {
    let claims = Claims(
        std::iter::empty::<Ready<()>>(),
        (usize::MAX, Some(usize::MAX)),
    );
    assert!(block_on(settle_all(claims)).is_empty());
}

#[test]
fn outputs_without_a_size_are_counted_too() {
    let settled = block_on(settle_all([(); 100].map(ready)));
    assert_eq!(settled.into_vec(), [(); 100]);
}
