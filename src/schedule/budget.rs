//! Forces yields through tokio's cooperative budget: a task without budget yields at its next tokio
//! operation. Any task may run out of budget, so tokio allows the forced yield too.
//!
//! Each poll of a task starts with 128 units, and each operation that makes progress takes one
//! (`Budget::initial` in tokio's `task::coop`). At zero the operation returns `Pending` and wakes its
//! task after other tasks have run. From tokio 1.54 on, a lock acquisition takes its permit first and checks
//! the budget afterwards: at zero it yields while it holds the lock. Before, it yields without the lock.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Builder;
use tokio::sync::Mutex;
use tokio::task;
use tokio::task::coop::{RestoreOnPending, has_budget_remaining, poll_proceed};

/// Wakes the task once all others have had a turn, as one that yields. The caller returns `Pending`.
pub(crate) fn yield_now(context: &mut Context<'_>) {
    // A direct wake would have the runtime poll this task again before them.
    let _ = pin!(task::yield_now()).poll(context);
}

/// More units than any budget has. An unlimited budget never runs out.
const ENDLESS: usize = 10_000;

/// Spends the budget of the current poll until `left` units remain. Call it while the budget is full.
pub(crate) fn to(left: usize, context: &mut Context<'_>) {
    let size = size().unwrap_or_default();
    for _ in left..size {
        if !spend(context) {
            return;
        }
    }
}

/// Most polls with a forced yield keep fewer units than this.
const FEW: usize = 4;

thread_local! {
    /// Sets the budget to [`FEW`] units when it is dropped.
    static TO_FEW: Cell<Option<RestoreOnPending>> = const { Cell::new(None) };
}

/// Leaves `left` units to a poll of a task that is about to begin, so that its budget is full.
///
/// Unlike [`to`], it spends the other units one by one only once per thread. Every forced yield asks for this.
pub(crate) fn begin_with(left: usize, context: &mut Context<'_>) {
    if left >= FEW || !begin_with_few(context) {
        to(left, context);
        return;
    }
    for _ in left..FEW - 1 {
        spend(context);
    }
}

/// Leaves `FEW - 1` units to a poll that is about to begin. Returns `false` if its budget is unlimited.
fn begin_with_few(context: &mut Context<'_>) -> bool {
    if let Some(to_few) = TO_FEW.take() {
        drop(to_few);
    } else {
        to(FEW, context);
        let to_few = poll_proceed(context);
        to(0, context);
        if has_budget_remaining() {
            // It would restore nothing, in later polls too.
            return false;
        }
        drop(to_few);
    }
    if let Poll::Ready(to_few) = poll_proceed(context) {
        TO_FEW.set(Some(to_few));
    }
    true
}

/// Spends all units, and returns what gives them back when it is dropped in the same poll.
#[cfg(straggler_instrumented)]
pub(crate) fn exhaust(context: &mut Context<'_>) -> Option<RestoreOnPending> {
    if !has_budget_remaining() {
        return None;
    }
    let Poll::Ready(first) = poll_proceed(context) else {
        return None;
    };
    to(0, context);
    Some(first)
}

/// Returns how many units remain in the current poll.
pub(crate) fn left() -> usize {
    let mut context = Context::from_waker(Waker::noop());
    if !has_budget_remaining() {
        return 0;
    }
    // Gives the budget back when it is dropped.
    let Poll::Ready(_restored) = poll_proceed(&mut context) else {
        return 0;
    };
    1 + (1..ENDLESS).take_while(|_| spend(&mut context)).count()
}

/// Spends the budget of the current poll until at most `most` units remain, however many there are.
pub(crate) fn at_most(most: usize, context: &mut Context<'_>) {
    for _ in most..left() {
        spend(context);
    }
}

/// Polls with at most `most` units, and gives the others back: what else the task polls is not to yield.
pub(crate) fn limited<R>(
    most: usize,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> R,
) -> R {
    let units = left();
    if units <= most {
        return poll(context);
    }
    // Takes a unit, and gives the budget back when it is dropped.
    let _all = poll_proceed(context);
    for _ in most..units - 1 {
        spend(context);
    }
    poll(context)
}

/// Spends one unit, or returns `false` if there is none.
fn spend(context: &mut Context<'_>) -> bool {
    // With no budget left, `poll_proceed` would wake the task.
    if !has_budget_remaining() {
        return false;
    }
    if let Poll::Ready(unit) = poll_proceed(context) {
        unit.made_progress();
    }
    true
}

/// The units in the budget of a poll, measured once per process.
///
/// # Errors
///
/// If the budget does not work as exploration needs it: tokio has changed.
pub(crate) fn size() -> Result<usize, String> {
    static SIZE: OnceLock<Result<usize, String>> = OnceLock::new();
    SIZE.get_or_init(probe).clone()
}

fn probe() -> Result<usize, String> {
    let runtime = Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| format!("cannot build a runtime: {error}"))?;
    let mutex = Mutex::new(());
    let mut locks = pin!(mutex.lock());
    let (size, yields) = runtime.block_on(poll_fn(|context| {
        let size = (0..ENDLESS).take_while(|_| spend(context)).count();
        let yields = locks.as_mut().poll(context).is_pending();
        Poll::Ready((size, yields))
    }));
    if size == 0 || size == ENDLESS {
        return Err("a poll has no cooperative budget, or an unlimited one".to_owned());
    }
    if !yields {
        return Err("acquiring a lock without budget does not yield".to_owned());
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use tokio::task::coop::unconstrained;

    use super::{ENDLESS, FEW, at_most, begin_with, left, limited, size, spend, to};

    #[test]
    fn spending_leaves_requested_units() {
        size().unwrap();
        for left in [0, 1, 3] {
            let spent = tokio_test::block_on(poll_fn(|context| {
                to(left, context);
                Poll::Ready((0..ENDLESS).take_while(|_| spend(context)).count())
            }));
            assert_eq!(spent, left);
        }
    }

    #[test]
    fn poll_begins_with_requested_units() {
        size().unwrap();
        // Twice each: the first call on a thread spends what later ones restore.
        for left in (0..=FEW).flat_map(|left| [left, left]) {
            let spent = tokio_test::block_on(poll_fn(|context| {
                begin_with(left, context);
                Poll::Ready((0..ENDLESS).take_while(|_| spend(context)).count())
            }));
            assert_eq!(spent, left);
        }
    }

    #[test]
    fn unlimited_budget_stays_unlimited() {
        size().unwrap();
        let begin = |is_unlimited: bool| {
            let units = poll_fn(|context| {
                begin_with(2, context);
                Poll::Ready((0..ENDLESS).take_while(|_| spend(context)).count())
            });
            if is_unlimited {
                tokio_test::block_on(unconstrained(units))
            } else {
                tokio_test::block_on(units)
            }
        };
        assert_eq!(begin(true), ENDLESS);
        assert_eq!(begin(false), 2, "nothing was kept of it");
    }

    #[test]
    fn rest_of_budget_is_limited() {
        // The first look at it needs a runtime of its own.
        size().unwrap();
        for (spent, most, left) in [(0, 3, 3), (100, 3, 3), (126, 3, 2), (128, 3, 0), (5, 0, 0)] {
            let counted = tokio_test::block_on(poll_fn(|context| {
                to(128 - spent, context);
                at_most(most, context);
                Poll::Ready((0..ENDLESS).take_while(|_| spend(context)).count())
            }));
            assert_eq!(counted, left, "of {spent} and {most}");
        }
    }

    #[test]
    fn limited_poll_gives_rest_back() {
        size().unwrap();
        for (units, most, inside) in [(128, 1, 1), (5, 0, 0), (1, 1, 1), (2, 1, 1), (0, 1, 0)] {
            let measured = tokio_test::block_on(poll_fn(|context| {
                to(units, context);
                Poll::Ready((limited(most, context, |_| left()), left()))
            }));
            assert_eq!(measured, (inside, units), "of {units} and {most}");
        }
    }

    #[test]
    fn measuring_spends_nothing() {
        size().unwrap();
        for units in [0, 1, 3] {
            let measured = tokio_test::block_on(poll_fn(|context| {
                to(units, context);
                Poll::Ready((left(), left()))
            }));
            assert_eq!(measured, (units, units));
        }
    }

    #[test]
    fn budget_size_is_128() {
        assert_eq!(size(), Ok(128));
    }
}
