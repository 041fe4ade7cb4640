//! The texts that a failed test prints: `Unsettled`, `AggregateError`, and `Debug` of a running
//! join.

use std::error::Error;
use std::fmt;
use std::future::{pending, poll_fn, ready};
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::Poll;

use crate::common::{Gate, message};
use straggler::{AggregateError, Unsettled, barrier, settle_all};
use tokio_test::{assert_pending, assert_ready, task};

type Boxed<O> = Pin<Box<dyn Future<Output = O>>>;

/// The error of a join whose deadline passes after the first poll of each future.
fn unsettled<O>(futures: Vec<Boxed<O>>) -> Unsettled<O> {
    let settling = settle_all(futures).deadline(ready(()));
    match task::spawn(settling).poll() {
        Poll::Ready(Err(unsettled)) => unsettled,
        _ => panic!("some are pending"),
    }
}

/// The text without its first line, which names a file and line.
fn below_the_first_line(text: &str) -> &str {
    text.split_once('\n').unwrap().1
}

#[test]
fn unsettled_lists_every_future() {
    let gate = Gate::default();
    let give_up = Gate::default();
    let waits = gate.clone();
    let busy = poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::Pending
    });
    let futures: [Boxed<Result<u8, &str>>; 6] = [
        Box::pin(pending()),
        Box::pin(async { Err("disk full") }),
        Box::pin(async { Ok(7) }),
        Box::pin(busy),
        Box::pin(async {
            waits.await;
            Ok(1)
        }),
        Box::pin(pending()),
    ];
    let names = ["stuck", "writer", "adder", "busy", "reader", "late"];
    let line = line!() + 1;
    let settling = settle_all(futures)
        .limit(NonZeroUsize::new(3).unwrap())
        .named(|index| names[index])
        .deadline(give_up.clone());
    let mut settling = task::spawn(settling);
    assert_pending!(settling.poll());
    gate.wake();
    assert_pending!(settling.poll());
    give_up.open();
    let unsettled = assert_ready!(settling.poll()).unwrap_err();

    let expected = format!(
        "4 of 6 futures did not settle before the deadline (settle_all at {file}:{line}:20)
  #0 `stuck`: polled once, then nothing held its waker: nothing could ever wake it
  #3 `busy`: polled 3 times and woken again: it was busy, not stuck
  #4 `reader`: polled twice, then waited to be woken
  #5 `late`: never polled: held back by the limit
these settled, in this order:
  #1 `writer`: Err(\"disk full\")
  #2 `adder`: Ok(7)",
        file = file!(),
    );
    assert_eq!(unsettled.to_string(), expected);
    assert_eq!(format!("{unsettled:?}"), expected);
    assert!(unsettled.source().is_none());
    assert_eq!(unsettled.pending()[1].name(), Some("busy"));
    assert_eq!(
        format!("{:?}", unsettled.pending()[3]),
        "#5 `late`: never polled: held back by the limit"
    );
}

#[test]
fn unsettled_without_names_uses_indices() {
    let unsettled = unsettled::<u8>(vec![Box::pin(pending()), Box::pin(ready(1))]);
    assert_eq!(
        below_the_first_line(&unsettled.to_string()),
        "  #0: polled once, then nothing held its waker: nothing could ever wake it
these settled, in this order:
  #1: 1"
    );
    assert_eq!(unsettled.pending()[0].name(), None);
}

#[test]
fn unsettled_omits_empty_settled_section() {
    let unsettled = unsettled::<u8>(vec![Box::pin(pending())]);
    let text = unsettled.to_string();
    assert!(text.starts_with("1 of 1 futures did not settle before the deadline (settle_all at "));
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn unsettled_is_shown_by_unwrap() {
    let unwrapped = std::panic::catch_unwind(|| {
        let settling = settle_all([pending::<u8>()]).deadline(ready(()));
        assert_ready!(task::spawn(settling).poll()).unwrap()
    });
    let message = message(unwrapped);
    assert!(
        message.contains("1 of 1 futures did not settle"),
        "{message}"
    );
    assert!(message.contains("\n  #0: polled once, "), "{message}");
}

#[test]
fn unsettled_names_caller_line_through_helper() {
    #[track_caller]
    fn helper() -> impl Future<Output = Result<straggler::Settled<()>, Unsettled<()>>> {
        settle_all([pending()]).deadline(ready(()))
    }

    let (settling, line) = (helper(), line!());
    let unsettled = assert_ready!(task::spawn(settling).poll()).unwrap_err();
    let place = format!("settle_all at {}:{line}:", file!());
    assert!(unsettled.to_string().contains(&place), "{unsettled}");
}

#[test]
fn unsettled_lists_20_of_each_kind() {
    let pending_one = || Box::pin(pending()) as Boxed<usize>;
    let twenty = unsettled((0..20).map(|_| pending_one()).collect());
    assert_eq!(twenty.to_string().lines().count(), 21);
    assert!(!twenty.to_string().contains("more\n"));

    let mut futures: Vec<_> = (0..21).map(|_| pending_one()).collect();
    futures.extend((0..25_usize).map(|index| Box::pin(ready(index)) as Boxed<usize>));
    let text = unsettled(futures).to_string();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("21 of 46 futures did not settle"));
    assert!(lines[20].starts_with("  #19: polled once"));
    assert_eq!(lines[21], "  and 1 more");
    assert_eq!(lines[22], "these settled, in this order:");
    assert_eq!(lines[42], "  #40: 19");
    assert_eq!(lines[43], "  and 5 more");
    assert_eq!(lines.len(), 44);
}

/// Formats as several lines, or panics.
enum Text {
    Lines,
    Panics,
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lines => f.write_str("first\nsecond\nthird"),
            Self::Panics => panic!("no text"),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[test]
fn output_lines_are_indented() {
    let unsettled = unsettled(vec![
        Box::pin(pending()),
        Box::pin(async { Text::Lines }),
        Box::pin(async { Text::Lines }),
    ]);
    let text = unsettled.to_string();
    assert!(
        text.ends_with(
            "in this order:
  #1: first
      second
      third
  #2: first
      second
      third"
        ),
        "{text}"
    );
}

#[test]
fn panicking_output_debug_keeps_report() {
    let unsettled = unsettled(vec![
        Box::pin(async { Text::Panics }),
        Box::pin(pending()),
        Box::pin(async { Text::Lines }),
    ]);
    let text = unsettled.to_string();
    assert!(
        text.contains("\n  #0: (cannot be shown: formatting it panicked: no text)\n  #2: first")
    );
}

fn errors<E>(outcomes: impl IntoIterator<Item = Result<u8, E>>) -> AggregateError<E> {
    let settling = settle_all(outcomes.into_iter().map(ready));
    let settled = futures::executor::block_on(settling.named(|index| format!("call {index}")));
    match settled.into_result_all() {
        Err(errors) => errors,
        Ok(_) => panic!("some fail"),
    }
}

#[test]
fn aggregate_error_lists_every_error() {
    let errors = errors([Err("no"), Ok(1), Err("never")]);
    assert_eq!(
        errors.to_string(),
        "2 of 3 futures failed\n  #0 `call 0`: no\n  #2 `call 2`: never"
    );
    assert_eq!(
        format!("{errors:?}"),
        "2 of 3 futures failed\n  #0 `call 0`: \"no\"\n  #2 `call 2`: \"never\""
    );
}

#[test]
fn aggregate_error_lists_20_errors() {
    let twenty = errors((0..20).map(Err)).to_string();
    assert!(twenty.ends_with("\n  #19 `call 19`: 19"), "{twenty}");
    let more = errors((0..1000).map(Err)).to_string();
    assert!(
        more.starts_with("1000 of 1000 futures failed\n  #0 `call 0`: 0\n"),
        "{more}"
    );
    assert!(
        more.ends_with("\n  #19 `call 19`: 19\n  and 980 more"),
        "{more}"
    );
}

#[test]
fn aggregate_error_uses_alternate_display() {
    #[derive(Debug)]
    struct Chain;

    impl fmt::Display for Chain {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            // `{:#}` prints the whole chain, as for errors of `anyhow`.
            f.write_str(if f.alternate() {
                "no user: no database"
            } else {
                "no user"
            })
        }
    }

    assert_eq!(
        errors([Err(Chain), Ok(1)]).to_string(),
        "1 of 2 futures failed\n  #0 `call 0`: no user: no database"
    );
}

#[test]
fn error_lines_are_indented() {
    assert_eq!(
        errors([Err(Text::Lines), Err(Text::Lines)]).to_string(),
        "2 of 2 futures failed
  #0 `call 0`: first
      second
      third
  #1 `call 1`: first
      second
      third"
    );
}

#[test]
fn panicking_error_display_keeps_report() {
    let errors = errors([Err(Text::Panics), Err(Text::Lines)]);
    for text in [errors.to_string(), format!("{errors:?}")] {
        let expected = "#0 `call 0`: (cannot be shown: formatting it panicked: no text)";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("\n  #1 `call 1`: first"), "{text}");
    }
}

#[test]
fn debug_of_running_join_shows_place_and_states() {
    let gate = Gate::default();
    let futures: [Boxed<()>; 4] = [
        Box::pin(ready(())),
        Box::pin(pending()),
        Box::pin(gate.clone()),
        Box::pin(async { panic!("in poll") }),
    ];
    let place = format!("{}:{}:", file!(), line!() + 1);
    let mut settling = task::spawn(settle_all(futures).named(|index| ["a", "b", "c", "d"][index]));
    let before = format!("{:?}", *settling);
    assert!(
        before.contains("#0 `a`: Unstarted, #1 `b`: Unstarted"),
        "{before}"
    );
    assert_pending!(settling.poll());
    let after = format!("{:?}", *settling);
    assert!(after.contains(&place), "{after}");
    assert!(
        after.contains("[#0 `a`: Done, #1 `b`: Unwakeable, #2 `c`: Waiting, #3 `d`: Panicked]"),
        "{after}"
    );
    gate.wake();
    assert!(format!("{:?}", *settling).contains("#2 `c`: Woken"));
    let dropped = std::panic::catch_unwind(AssertUnwindSafe(|| drop(settling)));
    assert_eq!(message(dropped), "in poll");
}

#[test]
fn debug_of_deadline_and_barrier_shows_futures() {
    let deadline = settle_all([ready(1)]).deadline(ready(()));
    let text = format!("{deadline:?}");
    assert!(
        text.starts_with("Deadline { settling: SettleAll { place: "),
        "{text}"
    );
    assert!(
        text.ends_with("children: Some([#0: Unstarted]) }, passed: false, .. }"),
        "{text}"
    );

    let text = format!("{:?}", barrier([ready(Ok::<_, ()>(1))]));
    assert!(text.starts_with("Barrier(SettleAll { place: "), "{text}");
}

#[test]
fn debug_of_many_futures_shows_20() {
    let text = format!("{:?}", settle_all((0..1000).map(ready)));
    assert!(text.ends_with("#19: Unstarted, ..]) }"), "{text}");
}

#[test]
fn debug_of_settled_join_does_not_panic() {
    let mut settling = task::spawn(settle_all([ready(1)]));
    assert_eq!(assert_ready!(settling.poll()).len(), 1);
    assert!(format!("{:?}", *settling).contains("children: None"));
}
