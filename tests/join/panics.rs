//! A panic in one future does not affect the others. The join resumes it once all have settled.
//!
//! `join_panic_hook.rs` counts the runs of the panic hook. `drops.rs` tests panics when a join is
//! dropped half-way.

use std::error::Error;
use std::future::{Future, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::task::Poll;

use crate::common::{Gate, Log, Tracked, message};
use futures::executor::block_on;
use straggler::{Panic, barrier, settle_all};
use tokio_test::{assert_pending, task};

/// Runs a future to completion and catches its panic.
fn caught<F: Future>(future: F) -> std::thread::Result<F::Output> {
    catch_unwind(AssertUnwindSafe(|| block_on(future)))
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Settles five futures that yield three times. Those in `panicking` panic after `yields` of them;
/// the others must finish before the join resumes the panic.
fn others_finish(panicking: &[usize], yields: usize) {
    let finished = Log::new();
    let futures = (0..5).map(|index| {
        let finished = finished.clone();
        async move {
            for turn in 0..=2 {
                assert!(
                    turn != yields || !panicking.contains(&index),
                    "future {index}"
                );
                yield_once().await;
            }
            finished.push(index);
        }
    });
    assert_eq!(
        message(caught(settle_all(futures))),
        format!("future {}", panicking[0])
    );
    let others: Vec<_> = (0..5).filter(|index| !panicking.contains(index)).collect();
    assert_eq!(finished.take(), others);
}

#[test]
fn others_finish_when_first_poll_panics() {
    others_finish(&[0], 0);
}

#[test]
fn others_finish_when_later_poll_panics() {
    others_finish(&[2], 2);
}

#[test]
fn others_finish_when_last_future_panics() {
    others_finish(&[4], 0);
    others_finish(&[4], 2);
}

#[test]
fn others_finish_when_several_panic() {
    others_finish(&[1, 3], 1);
}

#[test]
fn every_future_may_panic() {
    others_finish(&[0, 1, 2, 3, 4], 0);
    others_finish(&[0, 1, 2, 3, 4], 2);
}

#[test]
fn panic_keeps_original_payload() {
    #[derive(Debug, PartialEq)]
    struct Custom(u8);

    let with_str = caught(settle_all([async { panic!("text") }])).unwrap_err();
    assert_eq!(with_str.downcast_ref(), Some(&"text"));

    let formatted = caught(settle_all(
        ["text"].map(|text| async move { panic!("some {text}") }),
    ));
    assert_eq!(
        formatted.unwrap_err().downcast_ref(),
        Some(&String::from("some text"))
    );

    let with_custom = caught(settle_all([async { panic_any(Custom(7)) }])).unwrap_err();
    assert_eq!(with_custom.downcast_ref(), Some(&Custom(7)));
}

#[test]
#[should_panic(expected = "balance is negative: -1")]
fn should_panic_sees_message() {
    let futures = [1, -1].map(|balance| async move {
        assert!(balance >= 0, "balance is negative: {balance}");
    });
    drop(block_on(settle_all(futures)));
}

#[test]
fn first_panic_in_time_resumes() {
    let gates = Gate::many(3);
    let waits = gates.iter().cloned().enumerate();
    let mut settling = task::spawn(settle_all(waits.map(|(index, gate)| async move {
        gate.await;
        assert!(index == 1, "future {index}");
    })));
    assert_pending!(settling.poll());
    for gate in [&gates[2], &gates[0]] {
        gate.open();
        assert_pending!(settling.poll());
    }
    gates[1].open();
    let panicked = catch_unwind(AssertUnwindSafe(|| settling.poll()));
    assert_eq!(message(panicked), "future 2");
}

#[test]
fn panic_outranks_earlier_error() {
    let gate = Gate::default();
    let mut waiting = task::spawn(barrier([0, 1].map(|index| {
        let gate = gate.clone();
        async move {
            if index == 0 {
                return Err::<(), _>("earlier error");
            }
            gate.await;
            panic!("later panic");
        }
    })));
    assert_pending!(waiting.poll());
    gate.open();
    let panicked = catch_unwind(AssertUnwindSafe(|| waiting.poll()));
    assert_eq!(message(panicked), "later panic");
}

#[test]
fn panicked_future_dropped_and_not_repolled() {
    let drops = Log::new();
    let gates = Gate::many(2);
    let futures = gates.iter().cloned().enumerate().map(|(index, gate)| {
        Tracked::new(index, &drops).owned_by(async move {
            gate.await;
            assert!(index == 1, "future {index}");
        })
    });
    let mut settling = task::spawn(settle_all(futures));
    assert_pending!(settling.poll());
    let stale = gates[0].waker();
    gates[0].open();
    assert_pending!(settling.poll());
    assert_eq!(drops.take(), [0]);

    stale.wake();
    assert_pending!(settling.poll());
    assert_eq!(gates[0].polls(), 2);
    gates[1].open();
    assert_eq!(
        message(catch_unwind(AssertUnwindSafe(|| settling.poll()))),
        "future 0"
    );
    assert_eq!(drops.take(), [1]);
}

#[test]
fn drop_panic_of_done_future_is_its_outcome() {
    let drops = Log::new();
    let gates = Gate::many(3);
    let futures = gates.iter().cloned().enumerate().map(|(index, gate)| {
        let output = Tracked::new(100 + index, &drops);
        Tracked::new(index, &drops)
            .panics_if(index == 1)
            .owned_by(async move {
                gate.await;
                output
            })
    });
    let mut settling = task::spawn(settle_all(futures).catch_unwind());
    assert_pending!(settling.poll());
    gates[1].open();
    assert_pending!(settling.poll());
    assert_eq!(drops.take(), [1, 101], "its output is dropped too");

    gates[0].open();
    gates[2].open();
    let Poll::Ready(settled) = settling.poll() else {
        panic!("all are open");
    };
    assert_eq!(settled.completion_order(), [1, 0, 2]);
    assert_eq!(
        settled.first_error().and_then(Panic::message),
        Some("drop of 1")
    );
    assert_eq!(settled.ok_count(), 2);
}

#[test]
fn drop_panic_resumes_after_all_settle() {
    let drops = Log::new();
    let finished = Log::new();
    let futures = (0..3).map(|index| {
        let finished = &finished;
        Tracked::new(index, &drops)
            .panics_if(index == 0)
            .owned_by(async move {
                yield_once().await;
                finished.push(index);
            })
    });
    assert_eq!(message(caught(settle_all(futures))), "drop of 0");
    assert_eq!(finished.take(), [0, 1, 2]);
    assert_eq!(drops.take(), [0, 1, 2]);
}

#[test]
fn poll_panic_outranks_drop_panic() {
    let drops = Log::new();
    let panics = Tracked::new(0, &drops)
        .panics_if(true)
        .owned_by(async { panic!("in poll") });
    assert_eq!(message(caught(settle_all([panics]))), "in poll");
    assert_eq!(drops.take(), [0]);
}

#[test]
fn output_drop_panic_after_future_is_contained() {
    let drops = Log::new();
    let output = Tracked::new(1, &drops).panics_if(true);
    let panics = Tracked::new(0, &drops)
        .panics_if(true)
        .owned_by(async { output });
    assert_eq!(message(caught(settle_all([panics]))), "drop of 0");
    assert_eq!(drops.take(), [0, 1]);
}

#[test]
fn payload_drop_panic_does_not_hide_first() {
    let drops = Log::new();
    let futures = (0..4).map(|index| {
        let drops = &drops;
        async move {
            assert!(index != 0, "the first");
            panic_any(Tracked::new(index, drops).panics_if(true));
        }
    });
    assert_eq!(message(caught(settle_all(futures))), "the first");
    assert_eq!(drops.take(), [1, 2, 3]);
}

#[test]
fn outputs_dropped_before_panic_resumes() {
    let drops = Log::new();
    let futures = (0..4).map(|index| {
        let output = Tracked::new(index, &drops).panics_if(index == 3);
        async move {
            assert!(index != 1, "future {index}");
            output
        }
    });
    assert_eq!(message(caught(settle_all(futures))), "future 1");
    assert_eq!(drops.take(), [1, 0, 2, 3]);
}

#[test]
fn nested_panic_surfaces_once() {
    let finished = Log::new();
    let inner = |index: usize| {
        settle_all((0..2).map({
            let finished = finished.clone();
            move |at| {
                let finished = finished.clone();
                async move {
                    assert!((index, at) != (0, 1), "inner panic");
                    finished.push((index, at));
                }
            }
        }))
    };
    assert_eq!(
        message(caught(settle_all((0..2).map(inner)))),
        "inner panic"
    );
    assert_eq!(finished.take(), [(0, 0), (1, 0), (1, 1)]);
}

#[test]
fn catch_unwind_returns_panics() {
    let settled = block_on(
        settle_all((0..4).map(|index| async move {
            assert!(index % 2 == 0, "future {index}");
            index
        }))
        .catch_unwind(),
    );
    assert_eq!(settled.oks().collect::<Vec<_>>(), [(0, &0), (2, &2)]);
    let messages = settled
        .errors()
        .map(|(index, panic)| (index, panic.message()));
    assert!(messages.eq([(1, Some("future 1")), (3, Some("future 3"))]));
}

#[test]
fn catch_unwind_keeps_errors() {
    let outcomes = [Ok(1), Err("error")].map(ready);
    let settled = block_on(settle_all(outcomes).catch_unwind());
    let outputs = settled.into_result().unwrap();
    assert_eq!(outputs, [Ok(1), Err("error")]);
}

fn panic_of(future: impl Future<Output = ()>) -> Panic {
    let settled = block_on(settle_all([future]).catch_unwind());
    settled.into_vec().remove(0).unwrap_err()
}

#[test]
fn panic_displays_message() {
    let panic = panic_of(async { panic!("lost {} coins", 3) });
    assert_eq!(panic.message(), Some("lost 3 coins"));
    assert_eq!(panic.to_string(), "panicked: lost 3 coins");
    assert_eq!(format!("{panic:?}"), r#"Panic(Some("lost 3 coins"))"#);
    assert!(panic.source().is_none());
}

#[test]
fn panic_without_message_says_so() {
    let panic = panic_of(async { panic_any(7) });
    assert_eq!(panic.message(), None);
    assert_eq!(panic.to_string(), "panicked: (the payload is not a string)");
    assert_eq!(panic.into_payload().downcast_ref(), Some(&7));
}

#[test]
fn panic_converts_with_question_mark() {
    fn question(panic: Result<(), Panic>) -> Result<(), Box<dyn Error + Send + Sync>> {
        panic?;
        Ok(())
    }
    let error = question(Err(panic_of(async { panic!("asked") }))).unwrap_err();
    assert_eq!(error.to_string(), "panicked: asked");
}

#[test]
fn resume_keeps_original_payload() {
    let panic = panic_of(async { panic_any(7) });
    let resumed = catch_unwind(AssertUnwindSafe(|| panic.resume())).unwrap_err();
    assert_eq!(resumed.downcast_ref(), Some(&7));
}
