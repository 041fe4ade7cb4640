//! Polls an operation as the schedule decides, which may cancel it.

use std::mem;
use std::task::{Context, Poll};

use crate::schedule::fate::Fate;
use crate::schedule::points::{self, Cut};
use crate::schedule::recorder::{Action, CancelledAt};
use crate::schedule::{budget, cancellation, steering};
use crate::trace::waker::{self, Trace};

/// An operation that was polled, or not.
pub(super) enum Polled<T> {
    Continues(Poll<T>),
    Cancelled(CancelledAt),
}

/// What earlier polls of an operation leave to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Unstarted,
    Polled,
    /// The operation waits, and its next poll cancels it.
    Doomed,
}

/// Polls an operation, or cancels it before, in or after the poll, as the schedule decides.
pub(super) fn poll<T>(
    operation: usize,
    phase: &mut Phase,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Polled<T> {
    let poll = |context: &mut Context<'_>| cancellation::in_poll(operation, || poll(context));
    let before = mem::replace(phase, Phase::Polled);
    let fate = if before == Phase::Doomed {
        Fate::Unpolled
    } else {
        let fate = steering::with_run(|run| run.decisions.fate(operation));
        fate.unwrap_or(Fate::Continues)
    };
    match fate {
        Fate::Continues => return Polled::Continues(poll(context)),
        Fate::Waiting => {
            let polled = poll(context);
            if polled.is_pending() {
                *phase = Phase::Doomed;
                // The schedule picks the moment of the next poll. The step is a wait, not a yield.
                waker::muted(|| context.waker().wake_by_ref());
            }
            return Polled::Continues(polled);
        }
        _ => cancellation::note_cancelled(operation),
    }
    if fate == Fate::Unpolled {
        return Polled::Cancelled(match before {
            Phase::Unstarted => CancelledAt::Start,
            Phase::Polled | Phase::Doomed => CancelledAt::LastStep,
        });
    }
    let cut = cut(fate, context);
    let poll = |context: &mut Context<'_>| points::cut(cut, context, poll);
    let (polled, trace) = if steering::is_recorded() {
        waker::poll(context.waker(), poll)
    } else {
        (poll(context), Trace::default())
    };
    Polled::Cancelled(match polled {
        Poll::Ready(_) => CancelledAt::End,
        Poll::Pending => CancelledAt::Suspension(trace),
    })
}

/// Polls the operation of a task, or aborts the task before or after the poll, as the schedule decides.
pub(super) fn poll_or_abort<T>(
    operation: usize,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    abort: impl FnOnce(),
) -> Poll<T> {
    let fate = steering::with_run(|run| run.decisions.fate(operation));
    let fate = fate.unwrap_or(Fate::Continues);
    let polled = if fate == Fate::Unpolled {
        steering::record_polled(|| Action::IsCancelled);
        Poll::Pending
    } else {
        let cut = cut(fate, context);
        let poll = |context: &mut Context<'_>| cancellation::in_poll(operation, || poll(context));
        if cut.is_some() {
            points::cut(cut, context, poll)
        } else {
            // The cut of the task, if it has one.
            poll(context)
        }
    };
    // A task that has ended cannot be aborted. One that waits is dropped when the runtime runs it next, which is
    // already some time later.
    if fate != Fate::Continues && polled.is_pending() {
        cancellation::note_cancelled(operation);
        abort();
    }
    polled
}

/// Where a poll of an operation that is cancelled in it ends.
fn cut(fate: Fate, context: &mut Context<'_>) -> Option<Cut> {
    match fate {
        // Only at the operation itself, as for a task that a schedule makes yield.
        Fate::In(others) if points::ARE_PRESENT => Some(Cut::During(others)),
        Fate::In(others) => {
            budget::at_most(others, context);
            None
        }
        Fate::Before(others) => Some(Cut::Before(others)),
        Fate::Continues | Fate::Unpolled | Fate::Polled | Fate::Waiting => None,
    }
}
