//! Polls an operation as the schedule decides, which may cancel it.

use std::task::{Context, Poll};

use crate::schedule::fate::Fate;
use crate::schedule::points::{self, Cut};
use crate::schedule::recorder::CancelledAt;
use crate::schedule::{budget, cancellation, steering};
use crate::trace::waker::{self, Trace};

/// An operation that was polled, or not.
pub(super) enum Polled<T> {
    GoesOn(Poll<T>),
    IsCancelled(CancelledAt),
}

/// Polls an operation, or cancels it before, in or after the poll, as the schedule decides.
pub(super) fn poll<T>(
    operation: usize,
    is_polled: bool,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Polled<T> {
    let poll = |context: &mut Context<'_>| cancellation::in_poll(|| poll(context));
    let fate = steering::with_run(|run| run.decisions.fate(operation));
    let fate = fate.unwrap_or(Fate::GoesOn);
    if fate == Fate::GoesOn {
        return Polled::GoesOn(poll(context));
    }
    cancellation::note_cancelled(operation);
    let cut = match fate {
        Fate::Unpolled if is_polled => return Polled::IsCancelled(CancelledAt::LastStep),
        Fate::Unpolled => return Polled::IsCancelled(CancelledAt::Start),
        // Only at the operation itself, as for a task that a schedule makes yield.
        Fate::In(others) if points::ARE_PRESENT => Some(Cut::During(others)),
        Fate::In(others) => {
            budget::at_most(others, context);
            None
        }
        Fate::Before(others) => Some(Cut::Before(others)),
        Fate::GoesOn | Fate::Polled => None,
    };
    let poll = |context: &mut Context<'_>| points::cut(cut, context, poll);
    let (polled, trace) = if steering::is_recorded() {
        waker::poll(context.waker(), poll)
    } else {
        (poll(context), Trace::default())
    };
    Polled::IsCancelled(match polled {
        Poll::Ready(_) => CancelledAt::End,
        Poll::Pending => CancelledAt::Suspension(trace),
    })
}
