//! The accessors of `Settled` and `AggregateError`.

use std::error::Error;
use std::future::{Ready, ready};
use std::task::Poll;

use crate::common::Gate;
use futures::executor::block_on;
use straggler::{AggregateError, Settled, settle_all};
use tokio_test::task;

/// Settles futures that return `outputs` and complete in the order of `indices`.
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

/// Values at 0 and 2, errors at 1 and 3. 3 completes before 1, and 2 before 0.
fn mixed() -> Settled<Result<u8, &'static str>> {
    settle(&[Ok(10), Err("one"), Ok(12), Err("three")], &[3, 2, 0, 1])
}

/// The result of a join of no futures.
fn empty<O>() -> Settled<O> {
    block_on(settle_all(Vec::<Ready<O>>::new()))
}

#[test]
fn derefs_to_slice_in_input_order() {
    let settled = settle(&["a", "b", "c"], &[2, 0, 1]);
    assert_eq!(settled.len(), 3);
    assert_eq!(settled[1], "b");
    assert_eq!(settled.first(), Some(&"a"));
    assert_eq!(settled.get(3), None);
    assert_eq!(settled.iter().rev().collect::<Vec<_>>(), [&"c", &"b", &"a"]);
    assert_eq!(&settled[1..], ["b", "c"]);
}

#[test]
fn iterates_by_reference_and_value() {
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
fn into_vec_is_in_input_order() {
    assert_eq!(
        settle(&["a", "b", "c"], &[2, 0, 1]).into_vec(),
        ["a", "b", "c"]
    );
}

#[test]
fn completion_order_lists_indices() {
    assert_eq!(
        settle(&["a", "b", "c"], &[2, 0, 1]).completion_order(),
        [2, 0, 1]
    );
}

#[test]
fn name_returns_given_name() {
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
fn equality_compares_outputs() {
    let settled = mixed();
    assert_eq!(settled.clone(), settled);
    assert_eq!(settle(&[1, 2], &[0, 1]), settle(&[1, 2], &[1, 0]));
    assert_ne!(settle(&[1, 2], &[0, 1]), settle(&[2, 1], &[0, 1]));
    assert_ne!(settle(&[1, 2], &[0, 1]), settle(&[1], &[0]));
}

#[test]
fn debug_shows_outputs_and_order() {
    assert_eq!(
        format!("{:?}", settle(&[1, 2], &[1, 0])),
        "Settled { outputs: [1, 2], completion_order: [1, 0], .. }"
    );
}

#[test]
fn counts_oks_and_errors() {
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
fn into_result_returns_first_error_or_values() {
    assert_eq!(mixed().into_result(), Err("three"));
    let fine = settle(&[Ok::<_, ()>(1), Ok(2)], &[1, 0]);
    assert_eq!(fine.first_error(), None);
    assert_eq!(fine.into_result(), Ok(vec![1, 2]));
}

#[test]
fn into_result_all_returns_all_errors_or_values() {
    let errors = mixed().into_result_all().unwrap_err();
    assert_eq!(errors.errors(), [(3, "three"), (1, "one")]);
    let fine = settle(&[Ok::<_, ()>(1), Ok(2)], &[1, 0]);
    assert_eq!(fine.into_result_all().map_err(drop), Ok(vec![1, 2]));
}

#[test]
fn partition_orders_values_and_errors() {
    assert_eq!(mixed().partition(), (vec![10, 12], vec!["three", "one"]));
}

#[test]
fn empty_has_no_outputs_or_errors() {
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
fn aggregate_error_has_first_error() {
    let errors = mixed().into_result_all().unwrap_err();
    assert_eq!(errors.first(), &"three");
    assert_eq!(errors.clone(), errors);
    assert_eq!(errors.into_errors(), [(3, "three"), (1, "one")]);
}

#[test]
fn aggregate_error_lists_in_completion_order() {
    let errors = mixed().into_result_all().unwrap_err();
    let expected = "2 of 4 futures failed\n  #3 `three`: three\n  #1 `one`: one";
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn aggregate_error_converts_with_question_mark() {
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
