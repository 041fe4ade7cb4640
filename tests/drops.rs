//! When futures and outputs are dropped: each exactly once, in input order, whichever of them
//! panic meanwhile.

mod common;

use std::future::{Ready, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use common::{Gate, Log, Tracked, message, poll_with};
use futures::executor::block_on;
use straggler::future::SettleAll;
use straggler::{barrier, settle, settle_all};
use tokio_test::{assert_ready, task};

fn caught<R>(action: impl FnOnce() -> R) -> std::thread::Result<R> {
    catch_unwind(AssertUnwindSafe(action))
}

/// Five futures that own `0..5`, of which `done` are done with outputs that own 100 more. Those in
/// `panicking` panic when they are dropped.
fn half_way(
    drops: &Log<usize>,
    done: &[usize],
    panicking: &[usize],
) -> SettleAll<impl Future<Output = Tracked>> {
    let gates = Gate::many(5);
    let futures = gates.iter().cloned().enumerate().map(|(index, gate)| {
        let output = Tracked::new(100 + index, drops).panics_if(panicking.contains(&(100 + index)));
        Tracked::new(index, drops)
            .panics_if(panicking.contains(&index))
            .owned_by(async move {
                gate.await;
                output
            })
    });
    let mut settling = settle_all(futures);
    assert!(poll_with(&mut settling, Waker::noop()).is_pending());
    for &index in done {
        gates[index].open();
        assert!(poll_with(&mut settling, Waker::noop()).is_pending());
    }
    settling
}

#[test]
fn a_future_is_dropped_as_soon_as_it_is_done() {
    let drops = Log::new();
    let settling = half_way(&drops, &[3, 1], &[]);
    assert_eq!(drops.take(), [3, 1]);
    drop(settling);
}

#[test]
fn dropping_it_half_way_drops_futures_and_outputs_in_input_order() {
    let drops = Log::new();
    let settling = half_way(&drops, &[3, 1], &[]);
    drops.take();
    drop(settling);
    // The outputs of 0, 2 and 4 are owned by their futures, which Rust drops before the log entry
    // of those: a future's own state goes first.
    assert_eq!(drops.take(), [100, 0, 101, 102, 2, 103, 104, 4]);
}

#[test]
fn futures_that_were_never_polled_are_dropped_in_input_order() {
    let drops = Log::new();
    drop(settle_all((0..3).map(|index| {
        Tracked::new(index, &drops).owned_by(ready(()))
    })));
    assert_eq!(drops.take(), [0, 1, 2]);
}

#[test]
fn a_future_that_panics_when_dropped_does_not_keep_the_others() {
    let drops = Log::new();
    let settling = half_way(&drops, &[], &[2]);
    assert_eq!(message(caught(|| drop(settling))), "drop of 2");
    let futures = drops.take().into_iter().filter(|id| *id < 100);
    assert_eq!(futures.collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[test]
fn of_several_panics_in_drop_the_first_goes_on() {
    let drops = Log::new();
    let settling = half_way(&drops, &[3], &[1, 103, 4]);
    drops.take();
    assert_eq!(message(caught(|| drop(settling))), "drop of 1");
    assert_eq!(drops.take(), [100, 0, 101, 1, 102, 2, 103, 104, 4]);
}

#[test]
fn every_future_may_panic_when_dropped() {
    let drops = Log::new();
    let settling = half_way(&drops, &[], &[0, 1, 2, 3, 4]);
    assert_eq!(message(caught(|| drop(settling))), "drop of 0");
    assert_eq!(drops.take().len(), 10);
}

/// A future that panics and one that never ends, both polled once.
fn panicked_half_way(drops: &Log<usize>) -> SettleAll<impl Future<Output = ()>> {
    let mut settling = settle_all((0..2).map(|index| {
        Tracked::new(index, drops).owned_by(async move {
            assert!(index == 1, "future {index}");
            pending::<()>().await;
        })
    }));
    assert!(poll_with(&mut settling, Waker::noop()).is_pending());
    settling
}

#[test]
fn dropping_it_half_way_lets_a_panic_that_was_held_back_go_on() {
    let drops = Log::new();
    let settling = panicked_half_way(&drops);
    assert_eq!(message(caught(|| drop(settling))), "future 0");
    assert_eq!(drops.take(), [0, 1]);
}

#[test]
fn dropping_it_half_way_lets_no_panic_go_on_that_was_to_be_a_value() {
    let drops = Log::new();
    let settling = panicked_half_way(&drops).catch_unwind();
    assert!(caught(|| drop(settling)).is_ok());
    assert_eq!(drops.take(), [0, 1]);
}

#[test]
fn of_a_panic_held_back_and_one_in_drop_the_first_in_time_goes_on() {
    let drops = Log::new();
    let mut settling = settle_all((0..2).map(|index| {
        Tracked::new(index, &drops)
            .panics_if(index == 0)
            .owned_by(async move {
                assert!(index == 0, "future {index}");
                pending::<()>().await;
            })
    }));
    assert!(poll_with(&mut settling, Waker::noop()).is_pending());
    assert_eq!(message(caught(|| drop(settling))), "future 1");
    assert_eq!(drops.take(), [1, 0]);
}

#[test]
fn dropping_it_while_the_thread_unwinds_does_not_abort() {
    let drops = Log::new();
    let settling = half_way(&drops, &[3], &[0, 2, 103]);
    drops.take();
    let outer = caught(move || {
        let _settling = settling;
        panic!("outer");
    });
    assert_eq!(message::<()>(outer), "outer");
    assert_eq!(drops.take(), [100, 0, 101, 1, 102, 2, 103, 104, 4]);
}

#[test]
fn dropping_a_macro_future_while_the_thread_unwinds_does_not_abort() {
    let drops = Log::new();
    let owner = |index| {
        Tracked::new(index, &drops)
            .panics_if(index != 1)
            .owned_by(pending::<()>())
    };
    let mut settling = Box::pin(async { straggler::settle!(owner(0), owner(1), owner(2)) });
    assert!(poll_with(&mut settling, Waker::noop()).is_pending());
    let outer = caught(move || {
        let _settling = settling;
        panic!("outer");
    });
    assert_eq!(message::<()>(outer), "outer");
    assert_eq!(drops.take(), [0, 1, 2]);
}

#[test]
fn a_macro_future_dropped_half_way_drops_each_future_in_input_order() {
    let drops = Log::new();
    let owner = |index| {
        Tracked::new(index, &drops)
            .panics_if(index == 1)
            .owned_by(pending::<()>())
    };
    let mut settling = Box::pin(async { straggler::settle!(owner(0), owner(1), owner(2)) });
    assert!(poll_with(&mut settling, Waker::noop()).is_pending());
    assert_eq!(message(caught(|| drop(settling))), "drop of 1");
    assert_eq!(drops.take(), [0, 1, 2]);
}

#[test]
fn a_macro_future_dropped_half_way_lets_a_panic_that_was_held_back_go_on() {
    let drops = Log::new();
    let panics = Tracked::new(1, &drops).owned_by(async { panic!("held back") });
    let owner = Tracked::new(0, &drops)
        .panics_if(true)
        .owned_by(pending::<()>());
    let mut settling = Box::pin(async { straggler::settle!(owner, panics) });
    assert!(poll_with(&mut settling, Waker::noop()).is_pending());
    assert_eq!(message::<()>(caught(|| drop(settling))), "held back");
    assert_eq!(drops.take(), [1, 0]);
}

#[test]
fn an_iterator_that_panics_has_its_futures_dropped_unpolled() {
    let drops = Log::new();
    let polls = Log::new();
    let futures = (0..5).map(|index| {
        assert!(index < 3, "iterator");
        let polls = polls.clone();
        Tracked::new(index, &drops)
            .panics_if(index == 1)
            .owned_by(async move { polls.push(index) })
    });
    assert_eq!(message(caught(|| drop(settle_all(futures)))), "iterator");
    assert_eq!(drops.take(), [0, 1, 2]);
    assert_eq!(polls.take(), []);
}

#[test]
fn a_name_that_panics_has_the_futures_dropped_unpolled() {
    let drops = Log::new();
    let settling = settle_all((0..3).map(|index| Tracked::new(index, &drops).owned_by(ready(()))));
    let named = caught(|| {
        settling.named(|index| {
            assert!(index < 2, "name");
            "fine"
        })
    });
    assert_eq!(message(named), "name");
    assert_eq!(drops.take(), [0, 1, 2]);
}

/// Values 0 and 2, errors 3 and 1 in this order of time. Those in `panicking` panic when dropped.
fn outcomes(drops: &Log<usize>, panicking: &[usize]) -> [Ready<Result<Tracked, Tracked>>; 4] {
    [0, 1, 2, 3].map(|index| {
        let value = Tracked::new(index, drops).panics_if(panicking.contains(&index));
        ready(if index % 2 == 0 {
            Ok(value)
        } else {
            Err(value)
        })
    })
}

#[test]
fn barrier_drops_what_it_does_not_return() {
    let drops = Log::new();
    let error = block_on(barrier(outcomes(&drops, &[]))).unwrap_err();
    assert_eq!(drops.take(), [0, 2, 3]);
    drop(error);
    assert_eq!(drops.take(), [1]);
}

#[test]
fn values_that_panic_when_an_error_is_returned_are_all_dropped() {
    let drops = Log::new();
    let panicked = caught(|| block_on(barrier(outcomes(&drops, &[0, 1, 3]))).map(drop));
    assert_eq!(message(panicked), "drop of 0");
    assert_eq!(drops.take(), [0, 2, 3, 1]);
}

#[test]
fn into_result_drops_all_also_if_some_panic() {
    let drops = Log::new();
    let settled = block_on(settle_all(outcomes(&drops, &[2, 3])));
    assert_eq!(
        message(caught(|| settled.into_result().map(drop))),
        "drop of 2"
    );
    assert_eq!(drops.take(), [0, 2, 3, 1]);
}

#[test]
fn into_result_all_drops_all_also_if_some_panic() {
    let drops = Log::new();
    let settled = block_on(settle_all(outcomes(&drops, &[0, 2])));
    let panicked = caught(|| settled.into_result_all().map(drop));
    assert_eq!(message(panicked), "drop of 0");
    assert_eq!(drops.take(), [0, 2, 1, 3]);
}

#[test]
fn into_result_all_drops_all_also_if_values_and_errors_panic() {
    let drops = Log::new();
    let settled = block_on(settle_all(outcomes(&drops, &[0, 1, 2, 3])));
    let panicked = caught(|| settled.into_result_all().map(drop));
    assert_eq!(message(panicked), "drop of 0");
    assert_eq!(drops.take(), [0, 2, 1, 3]);
}

#[test]
fn the_barrier_macro_drops_all_also_if_some_panic() {
    let drops = Log::new();
    let [a, b, c, d] = outcomes(&drops, &[0, 2, 3]);
    let panicked = caught(|| block_on(async { straggler::barrier!(a, b, c, d).map(drop) }));
    assert_eq!(message(panicked), "drop of 0");
    assert_eq!(drops.take(), [0, 2, 3, 1]);
}

/// The line of the caller, as a panic message that names the caller's place has it.
#[track_caller]
fn here() -> String {
    let place = std::panic::Location::caller();
    format!("{}:{}:", place.file(), place.line())
}

fn says_that_it_was_polled_again<R>(polled: std::thread::Result<R>, place: &str) {
    let message = message(polled);
    assert!(message.contains(place), "{message} does not name {place}");
    assert!(
        message.contains("was polled again after it was ready"),
        "{message}"
    );
}

#[test]
fn polling_it_again_panics_and_names_the_place_where_it_was_made() {
    for count in [0, 1, 30, 31, 128] {
        let (settling, place) = (settle_all((0..count).map(ready)), here());
        let mut settling = task::spawn(settling);
        assert_eq!(assert_ready!(settling.poll()).len(), count);
        says_that_it_was_polled_again(caught(|| settling.poll()), &place);
        says_that_it_was_polled_again(caught(|| settling.poll()), &place);
    }
}

#[test]
fn polling_barrier_again_panics_and_names_the_place_where_it_was_made() {
    let (waiting, place) = (barrier([ready(Err::<(), _>(()))]), here());
    let mut waiting = task::spawn(waiting);
    assert_eq!(assert_ready!(waiting.poll()), Err(()));
    says_that_it_was_polled_again(caught(|| waiting.poll()), &place);
}

#[test]
fn polling_a_deadline_again_panics_and_names_the_place_where_it_was_made() {
    let (settling, place) = (settle_all([ready(1)]).deadline(pending::<()>()), here());
    let mut settling = task::spawn(settling);
    assert!(assert_ready!(settling.poll()).is_ok());
    says_that_it_was_polled_again(caught(|| settling.poll()), &place);

    let (settling, place) = (settle_all([pending::<()>()]).deadline(ready(())), here());
    let mut settling = task::spawn(settling);
    assert!(assert_ready!(settling.poll()).is_err());
    says_that_it_was_polled_again(caught(|| settling.poll()), &place);
}

#[test]
fn polling_it_again_after_a_panic_went_on_panics_with_the_same_message() {
    let (settling, place) = (settle_all([async { panic!("first") }]), here());
    let mut settling = task::spawn(settling);
    assert_eq!(message(caught(|| settling.poll())), "first");
    says_that_it_was_polled_again(caught(|| settling.poll()), &place);
}

#[test]
fn of_no_futures_it_is_ready_at_once() {
    let none: [Ready<Result<u8, ()>>; 0] = [];
    let mut settling = task::spawn(settle_all(none.clone()));
    assert!(assert_ready!(settling.poll()).is_empty());
    assert!(!settling.is_woken());

    let mut waiting = task::spawn(barrier(none.clone()));
    assert_eq!(assert_ready!(waiting.poll()), Ok(vec![]));

    // Also with a deadline that is over, a limit, names and panics as values.
    let limit = std::num::NonZeroUsize::MIN;
    let settling = settle_all(none)
        .limit(limit)
        .named(|_| "none")
        .catch_unwind();
    let mut settling = task::spawn(settling.deadline(ready(())));
    assert!(assert_ready!(settling.poll()).unwrap().is_empty());
}

/// Runs `clean_up` in a destructor while the thread unwinds, as fixtures do after a failed
/// assertion, and returns what came of it.
fn while_unwinding<R>(clean_up: impl FnOnce() -> R) -> std::thread::Result<R> {
    struct Fixture<'a, F>(Option<F>, &'a mut dyn FnMut(F));

    impl<F> Drop for Fixture<'_, F> {
        fn drop(&mut self) {
            assert!(std::thread::panicking());
            (self.1)(self.0.take().expect("it is dropped once"));
        }
    }

    let mut result = None;
    let mut run = |clean_up: _| result = Some(caught(clean_up));
    let outer = caught(|| {
        let _fixture = Fixture(Some(clean_up), &mut run);
        panic!("outer");
    });
    assert_eq!(message::<()>(outer), "outer");
    result.expect("the fixture was dropped")
}

#[test]
fn a_panic_goes_on_also_when_it_is_polled_while_the_thread_unwinds() {
    let outcome = |index| async move {
        assert!(index != 1, "future {index}");
        Ok::<_, ()>(index)
    };
    let panicked = while_unwinding(|| block_on(settle_all([0, 1].map(outcome))).into_vec());
    assert_eq!(message(panicked), "future 1");
    let panicked = while_unwinding(|| block_on(barrier([0, 1].map(outcome))));
    assert_eq!(message(panicked), "future 1");
    let panicked = while_unwinding(|| block_on(async { settle!(outcome(0), outcome(1)) }));
    assert_eq!(message(panicked), "future 1");
    let panicked =
        while_unwinding(|| block_on(async { straggler::barrier!(outcome(0), outcome(1)) }));
    assert_eq!(message(panicked), "future 1");
}

#[test]
fn outputs_that_panic_when_dropped_are_all_dropped_also_while_the_thread_unwinds() {
    let drops = Log::new();
    let panicked = while_unwinding(|| {
        let settled = block_on(settle_all(outcomes(&drops, &[0, 2, 3])));
        settled.into_result().map(drop)
    });
    assert_eq!(message(panicked), "drop of 0");
    assert_eq!(drops.take().len(), 4);
}

#[test]
fn an_item_whose_into_future_panics_lets_go_of_those_before_it() {
    struct Item(Tracked);

    impl IntoFuture for Item {
        type Output = ();
        type IntoFuture = common::Owner<Ready<()>>;

        fn into_future(self) -> Self::IntoFuture {
            assert!(self.0.id() != 2, "no future {}", self.0.id());
            self.0.owned_by(ready(()))
        }
    }

    let drops = Log::new();
    let items = (0..4).map(|index| Item(Tracked::new(index, &drops).panics_if(index == 1)));
    assert_eq!(message(caught(|| settle_all(items))), "no future 2");
    assert_eq!(drops.take(), [2, 0, 1]);
}
