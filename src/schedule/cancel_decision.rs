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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Progress {
    #[default]
    Unstarted,
    Polled,
    /// The operation waits, and its next poll cancels it.
    Doomed,
}

/// Polls an operation, or cancels it before, in or after the poll, as the schedule decides.
pub(super) fn poll<T>(
    operation: usize,
    progress: &mut Progress,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Polled<T> {
    let poll = |context: &mut Context<'_>| cancellation::in_poll(operation, || poll(context));
    let fate = fate(operation, *progress);
    let before = mem::replace(progress, Progress::Polled);
    match fate {
        Fate::Continues => return Polled::Continues(poll(context)),
        Fate::Waiting => {
            let polled = poll(context);
            if polled.is_pending() {
                *progress = Progress::Doomed;
                wake_itself(context);
            }
            return Polled::Continues(polled);
        }
        _ => cancellation::note_cancelled(operation),
    }
    if fate == Fate::Unpolled {
        return Polled::Cancelled(match before {
            Progress::Unstarted => CancelledAt::Start,
            Progress::Polled | Progress::Doomed => CancelledAt::LastStep,
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
    progress: &mut Progress,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    abort: impl FnOnce(),
) -> Poll<T> {
    let fate = fate(operation, *progress);
    *progress = Progress::Polled;
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
    // A task that has ended cannot be aborted.
    if polled.is_pending() {
        match fate {
            Fate::Continues => {}
            Fate::Waiting => {
                *progress = Progress::Doomed;
                wake_itself(context);
            }
            _ => {
                cancellation::note_cancelled(operation);
                abort();
            }
        }
    }
    polled
}

/// What becomes of the operation that is about to be polled.
fn fate(operation: usize, progress: Progress) -> Fate {
    if progress == Progress::Doomed {
        return Fate::Unpolled;
    }
    let fate = steering::with_run(|run| run.decisions.fate(operation));
    fate.unwrap_or(Fate::Continues)
}

/// Makes the operation ready to run, so that the schedule picks the moment of its next poll.
fn wake_itself(context: &mut Context<'_>) {
    // The step is a wait, not a yield.
    waker::muted(|| context.waker().wake_by_ref());
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
