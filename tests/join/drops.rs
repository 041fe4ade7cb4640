//! Every future and output is dropped exactly once and in input order, even if some of the drops
//! panic.

use std::future::{Ready, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use crate::common::{Gate, Log, Owner, Tracked, message, poll_with};
use futures::executor::block_on;
use straggler::future::SettleAll;
use straggler::{barrier, settle, settle_all};
use tokio_test::{assert_ready, task};

fn caught<R>(action: impl FnOnce() -> R) -> std::thread::Result<R> {
    catch_unwind(AssertUnwindSafe(action))
}

/// A join of five futures that own the ids `0..5` and return outputs with the ids `100..105`. The
/// futures in `done` have completed. Values with an id in `panicking` panic on drop.
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
fn future_dropped_when_done() {
    let drops = Log::new();
    let settling = half_way(&drops, &[3, 1], &[]);
    assert_eq!(drops.take(), [3, 1]);
    drop(settling);
}

#[test]
fn half_way_drop_is_in_input_order() {
    let drops = Log::new();
    let settling = half_way(&drops, &[3, 1], &[]);
    drops.take();
    drop(settling);
    // Futures 0, 2 and 4 still own their outputs, and Rust drops a future's state before the value
    // that logs the future's own drop.
    assert_eq!(drops.take(), [100, 0, 101, 102, 2, 103, 104, 4]);
}

#[test]
fn unpolled_futures_dropped_in_input_order() {
    let drops = Log::new();
    drop(settle_all((0..3).map(|index| {
        Tracked::new(index, &drops).owned_by(ready(()))
    })));
    assert_eq!(drops.take(), [0, 1, 2]);
}

#[test]
fn drop_panic_does_not_stop_other_drops() {
    let drops = Log::new();
    let settling = half_way(&drops, &[], &[2]);
    assert_eq!(message(caught(|| drop(settling))), "drop of 2");
    let futures = drops.take().into_iter().filter(|id| *id < 100);
    assert_eq!(futures.collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[test]
fn first_of_several_drop_panics_resumes() {
    let drops = Log::new();
    let settling = half_way(&drops, &[3], &[1, 103, 4]);
    drops.take();
    assert_eq!(message(caught(|| drop(settling))), "drop of 1");
    assert_eq!(drops.take(), [100, 0, 101, 1, 102, 2, 103, 104, 4]);
}

#[test]
fn every_future_may_panic_in_drop() {
    let drops = Log::new();
    let settling = half_way(&drops, &[], &[0, 1, 2, 3, 4]);
    assert_eq!(message(caught(|| drop(settling))), "drop of 0");
    assert_eq!(drops.take().len(), 10);
}

/// A join of a future that has panicked and one that is pending forever.
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
fn half_way_drop_resumes_held_panic() {
    let drops = Log::new();
    let settling = panicked_half_way(&drops);
    assert_eq!(message(caught(|| drop(settling))), "future 0");
    assert_eq!(drops.take(), [0, 1]);
}

#[test]
fn half_way_drop_discards_caught_panic() {
    let drops = Log::new();
    let settling = panicked_half_way(&drops).catch_unwind();
    assert!(caught(|| drop(settling)).is_ok());
    assert_eq!(drops.take(), [0, 1]);
}

#[test]
fn held_panic_outranks_later_drop_panic() {
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
fn drop_while_unwinding_does_not_abort() {
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
fn macro_drop_while_unwinding_does_not_abort() {
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
fn macro_half_way_drop_is_in_input_order() {
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
fn macro_half_way_drop_resumes_held_panic() {
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
fn panicking_iterator_drops_futures_unpolled() {
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
fn panicking_name_drops_futures_unpolled() {
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

/// Values 0 and 2 and errors 1 and 3. Those in `panicking` panic on drop.
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
fn barrier_drops_unreturned_outputs() {
    let drops = Log::new();
    let error = block_on(barrier(outcomes(&drops, &[]))).unwrap_err();
    assert_eq!(drops.take(), [0, 2, 3]);
    drop(error);
    assert_eq!(drops.take(), [1]);
}

#[test]
fn barrier_drops_all_despite_panics() {
    let drops = Log::new();
    let panicked = caught(|| block_on(barrier(outcomes(&drops, &[0, 1, 3]))).map(drop));
    assert_eq!(message(panicked), "drop of 0");
    assert_eq!(drops.take(), [0, 2, 3, 1]);
}

#[test]
fn into_result_drops_all_despite_panics() {
    let drops = Log::new();
    let settled = block_on(settle_all(outcomes(&drops, &[2, 3])));
    assert_eq!(
        message(caught(|| settled.into_result().map(drop))),
        "drop of 2"
    );
    assert_eq!(drops.take(), [0, 2, 3, 1]);
}

#[test]
fn into_result_all_drops_all_despite_panics() {
    let drops = Log::new();
    let settled = block_on(settle_all(outcomes(&drops, &[0, 2])));
    let panicked = caught(|| settled.into_result_all().map(drop));
    assert_eq!(message(panicked), "drop of 0");
    assert_eq!(drops.take(), [0, 2, 1, 3]);
}

#[test]
fn into_result_all_drops_all_when_everything_panics() {
    let drops = Log::new();
    let settled = block_on(settle_all(outcomes(&drops, &[0, 1, 2, 3])));
    let panicked = caught(|| settled.into_result_all().map(drop));
    assert_eq!(message(panicked), "drop of 0");
    assert_eq!(drops.take(), [0, 2, 1, 3]);
}

#[test]
fn barrier_macro_drops_all_despite_panics() {
    let drops = Log::new();
    let [a, b, c, d] = outcomes(&drops, &[0, 2, 3]);
    let panicked = caught(|| block_on(async { straggler::barrier!(a, b, c, d).map(drop) }));
    assert_eq!(message(panicked), "drop of 0");
    assert_eq!(drops.take(), [0, 2, 3, 1]);
}

/// The caller's line, as a panic message that names it prints it.
#[track_caller]
fn here() -> String {
    let place = std::panic::Location::caller();
    format!("{}:{}:", place.file(), place.line())
}

fn assert_repoll_panic<R>(polled: std::thread::Result<R>, place: &str) {
    let message = message(polled);
    assert!(message.contains(place), "{message} does not name {place}");
    assert!(
        message.contains("was polled again after it was ready"),
        "{message}"
    );
}

#[test]
fn repoll_panics_with_call_site() {
    for count in [0, 1, 30, 31, 128] {
        let (settling, place) = (settle_all((0..count).map(ready)), here());
        let mut settling = task::spawn(settling);
        assert_eq!(assert_ready!(settling.poll()).len(), count);
        assert_repoll_panic(caught(|| settling.poll()), &place);
        assert_repoll_panic(caught(|| settling.poll()), &place);
    }
}

#[test]
fn barrier_repoll_panics_with_call_site() {
    let (waiting, place) = (barrier([ready(Err::<(), _>(()))]), here());
    let mut waiting = task::spawn(waiting);
    assert_eq!(assert_ready!(waiting.poll()), Err(()));
    assert_repoll_panic(caught(|| waiting.poll()), &place);
}

#[test]
fn deadline_repoll_panics_with_call_site() {
    let (settling, place) = (settle_all([ready(1)]).deadline(pending::<()>()), here());
    let mut settling = task::spawn(settling);
    assert!(assert_ready!(settling.poll()).is_ok());
    assert_repoll_panic(caught(|| settling.poll()), &place);

    let (settling, place) = (settle_all([pending::<()>()]).deadline(ready(())), here());
    let mut settling = task::spawn(settling);
    assert!(assert_ready!(settling.poll()).is_err());
    assert_repoll_panic(caught(|| settling.poll()), &place);
}

#[test]
fn repoll_after_panic_panics_with_call_site() {
    let (settling, place) = (settle_all([async { panic!("first") }]), here());
    let mut settling = task::spawn(settling);
    assert_eq!(message(caught(|| settling.poll())), "first");
    assert_repoll_panic(caught(|| settling.poll()), &place);
}

#[test]
fn empty_input_is_ready_at_once() {
    let none: [Ready<Result<u8, ()>>; 0] = [];
    let mut settling = task::spawn(settle_all(none.clone()));
    assert!(assert_ready!(settling.poll()).is_empty());
    assert!(!settling.is_woken());

    let mut waiting = task::spawn(barrier(none.clone()));
    assert_eq!(assert_ready!(waiting.poll()), Ok(vec![]));

    // With an expired deadline, a limit, names and `catch_unwind` as well.
    let limit = std::num::NonZeroUsize::MIN;
    let settling = settle_all(none)
        .limit(limit)
        .named(|_| "none")
        .catch_unwind();
    let mut settling = task::spawn(settling.deadline(ready(())));
    assert!(assert_ready!(settling.poll()).unwrap().is_empty());
}

/// Runs `clean_up` in a destructor while the thread unwinds, as a fixture does after a failed
/// assertion, and returns its result.
fn while_unwinding<R>(clean_up: impl FnOnce() -> R) -> std::thread::Result<R> {
    struct Fixture<'a, F>(Option<F>, &'a mut dyn FnMut(F));

    impl<F> Drop for Fixture<'_, F> {
        fn drop(&mut self) {
            assert!(std::thread::panicking());
            (self.1)(self.0.take().expect("dropped once"));
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
fn panic_resumes_while_unwinding() {
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
fn into_result_drops_all_while_unwinding() {
    let drops = Log::new();
    let panicked = while_unwinding(|| {
        let settled = block_on(settle_all(outcomes(&drops, &[0, 2, 3])));
        settled.into_result().map(drop)
    });
    assert_eq!(message(panicked), "drop of 0");
    assert_eq!(drops.take().len(), 4);
}

#[test]
fn panicking_into_future_drops_earlier_futures() {
    struct Item(Tracked);

    impl IntoFuture for Item {
        type Output = ();
        type IntoFuture = Owner<Ready<()>>;

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
