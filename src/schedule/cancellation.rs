//! Cancels operations in the runs of [`Explore::cancel`](crate::Explore::cancel).
//!
//! A place is a moment at which whoever polls an operation can drop it: before its first poll, at each
//! suspension, and in the poll in which it ends. While a run cancels at places, each poll of an operation ends
//! once one operation of tokio has made progress, or before that if it is cancelled there: see [`Ending`].
//!
//! In a run that a schedule decides, so does it decide what is cancelled: see `cancel_decision`.

use std::cell::RefCell;
use std::mem;
use std::task::{Context, Poll};

use tokio::task::coop::has_budget_remaining;

use crate::schedule::budget;
use crate::schedule::points::{self, Cut};
use crate::schedule::recorder::{Action, OPERATION, Recorder};
use crate::trace::symbols::Symbols;
use crate::trace::wait::WaitPlace;
use crate::trace::waker::{self, Capture, Trace};

/// What a run cancels, and what it has reached.
#[derive(Debug)]
pub(crate) struct Cancellations {
    by: By,
    /// The places that the run has reached, without those at which nothing had happened since the place before.
    pub(crate) places: Vec<usize>,
    /// The number of the next place.
    next: usize,
    /// The operations that have begun.
    begun: Vec<Operation>,
    /// The operation that was left when the body was given up. Later ones outlived it as tasks.
    left: Option<usize>,
    /// The operation that was cancelled last.
    last: Option<usize>,
    /// Whether the body has ended, or is about to be dropped.
    is_over: bool,
    /// The number of the one that is polled: operations inside it are parts of it.
    polled: Option<usize>,
    pub(crate) recorder: Option<Recorder>,
}

/// Who says what is cancelled.
#[derive(Debug)]
enum By {
    /// The places at which the run cancels.
    Places(Vec<usize>),
    /// The decisions of the schedule.
    Schedule,
}

#[derive(Debug)]
struct Operation {
    /// The name of the type of its future.
    name: &'static str,
    is_cancelled: bool,
    /// Set if another one was cancelled before it began.
    later: Option<Later>,
    /// Where it received its last message, if the run is recorded and this build can tell.
    message: Option<Capture>,
}

/// What a run has cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cancelled {
    /// The numbers of the operations.
    pub(crate) operations: Vec<usize>,
    /// The operation in which the run stood when it was given up, if it had begun after a cancellation.
    pub(crate) stands_in: Option<Later>,
    /// Where the operation that was cancelled last took a message from a channel, if it did.
    pub(crate) message: Option<WaitPlace>,
}

/// An operation that began after another one was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Later {
    /// Perhaps a second attempt.
    OfSameType,
    Other,
}

/// How an operation is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// As without Straggler.
    Plain,
    /// Up to its next place.
    AtPlaces,
    /// As the schedule decides.
    Decided,
}

thread_local! {
    static RUN: RefCell<Option<Cancellations>> = const { RefCell::new(None) };
}

impl Cancellations {
    /// Cancels at these places.
    pub(crate) fn at(places: &[usize], is_recorded: bool) -> Self {
        Self::new(
            By::Places(places.to_vec()),
            is_recorded.then(Recorder::default),
        )
    }

    /// Cancels what the schedule decides, which also records it.
    pub(crate) fn decided() -> Self {
        Self::new(By::Schedule, None)
    }

    fn new(by: By, recorder: Option<Recorder>) -> Self {
        Self {
            by,
            places: Vec::new(),
            next: 0,
            begun: Vec::new(),
            left: None,
            last: None,
            is_over: false,
            polled: None,
            recorder,
        }
    }

    /// `None` if the run has cancelled nothing.
    pub(crate) fn cancelled(&self) -> Option<Cancelled> {
        let begun = self.begun.iter().enumerate();
        let cancelled = begun.filter(|(_, operation)| operation.is_cancelled);
        let operations: Vec<_> = cancelled.map(|(index, _)| index + 1).collect();
        if operations.is_empty() {
            return None;
        }
        let stands_in = self.left.and_then(|left| self.begun.get(left - 1)?.later);
        let last = self.last.and_then(|last| self.begun.get(last - 1));
        let message = last.and_then(|last| last.message.clone());
        Some(Cancelled {
            operations,
            stands_in,
            message: message.map(|message| WaitPlace::of(message, &mut Symbols::default()).0),
        })
    }

    /// How many places the run has counted.
    pub(crate) fn counted(&self) -> usize {
        self.next
    }

    fn is_target(&self, place: usize) -> bool {
        matches!(&self.by, By::Places(places) if places.contains(&place))
    }

    /// The first of the next places at which the run cancels, counted from the next one.
    fn target_within(&self, places: usize) -> Option<usize> {
        (0..places).find(|place| self.is_target(self.next + place))
    }

    /// Notes whether the run cancels an operation. It may be unknown: a `static` may keep one of an earlier run.
    fn set_cancelled(&mut self, operation: usize, is_cancelled: bool) {
        if let Some(begun) = self.begun.get_mut(operation - 1) {
            begun.is_cancelled |= is_cancelled;
            if is_cancelled {
                self.last = Some(operation);
            }
        }
    }

    /// Counts a place, and returns whether the run cancels the operation there.
    fn reach(&mut self, operation: usize) -> bool {
        let is_target = self.is_target(self.next);
        self.set_cancelled(operation, is_target);
        self.places.push(self.next);
        self.next += 1;
        is_target
    }

    /// Counts a place at which the run does not cancel. Another run has to if `is_distinct` from the next one.
    fn pass(&mut self, is_distinct: bool) {
        if is_distinct {
            self.places.push(self.next);
        }
        self.next += 1;
    }

    fn record(&mut self, operation: usize, action: Action) {
        if let Some(recorder) = &mut self.recorder {
            let label = match operation {
                1 => OPERATION.to_owned(),
                later => format!("operation {later}"),
            };
            recorder.push(&Recorder::task(label), action);
        }
    }
}

/// Makes the run of `body` on this thread cancel.
pub(crate) fn cancel<R>(
    cancellations: Cancellations,
    body: impl FnOnce() -> R,
) -> (R, Cancellations) {
    struct Clear;
    impl Drop for Clear {
        fn drop(&mut self) {
            RUN.set(None);
        }
    }

    RUN.set(Some(cancellations));
    // Also when `body` unwinds.
    let clear = Clear;
    let outcome = body();
    let cancellations = RUN.take().expect("nobody else takes it");
    drop(clear);
    (outcome, cancellations)
}

fn with_run<R>(with: impl FnOnce(&mut Cancellations) -> R) -> Option<R> {
    // A future may be dropped while the thread exits, when the thread local is gone.
    let with = |run: &RefCell<Option<Cancellations>>| run.borrow_mut().as_mut().map(with);
    RUN.try_with(with).ok().flatten()
}

/// Whether an operation is polled that the run of this thread cancels at places.
pub(crate) fn is_in_operation() -> bool {
    with_run(|run| run.polled.is_some() && matches!(run.by, By::Places(_))) == Some(true)
}

/// Notes, once the returned guard is dropped, that the body has ended or is about to be dropped.
#[must_use]
pub(crate) fn until_over() -> impl Drop {
    struct Over;
    impl Drop for Over {
        fn drop(&mut self) {
            with_run(|run| run.is_over = true);
        }
    }
    Over
}

/// The number of the operation that is polled on this thread, if the run may cancel it.
pub(crate) fn polled_operation() -> Option<usize> {
    with_run(|run| run.polled).flatten()
}

/// How an operation is to be polled now.
pub(super) fn mode() -> Mode {
    let mode = with_run(|run| match run.by {
        // An operation inside another one is a part of it.
        _ if run.polled.is_some() => Mode::Plain,
        By::Places(_) => Mode::AtPlaces,
        By::Schedule => Mode::Decided,
    });
    mode.unwrap_or(Mode::Plain)
}

/// Begins an operation, and returns its number, from 1.
pub(super) fn begin(name: &'static str) -> usize {
    let begun = with_run(|run| {
        let mut cancelled = run.begun.iter().filter(|begun| begun.is_cancelled);
        // Not once the run has ended: an operation that began beside this one may be cancelled later.
        let later = cancelled.clone().next().is_some().then(|| {
            if cancelled.any(|begun| begun.name == name) {
                Later::OfSameType
            } else {
                Later::Other
            }
        });
        run.begun.push(Operation {
            name,
            is_cancelled: false,
            later,
            message: None,
        });
        run.begun.len()
    });
    begun.unwrap_or_default()
}

/// Notes that an operation is dropped by something else than this run.
pub(super) fn leave(operation: usize) {
    with_run(|run| {
        if run.is_over {
            run.left.get_or_insert(operation);
        }
    });
}

/// Notes that the operation that is polled has received a message.
#[cfg_attr(
    not(straggler_instrumented),
    allow(dead_code, reason = "nothing tells")
)]
pub(super) fn note_message() {
    let Some(number) = polled_operation() else {
        return;
    };
    if let Some(place) = waker::here() {
        with_run(|run| {
            if let Some(operation) = run.begun.get_mut(number - 1) {
                operation.message = Some(place);
            }
        });
    }
}

/// Notes that the schedule cancels an operation.
pub(super) fn note_cancelled(operation: usize) {
    with_run(|run| run.set_cancelled(operation, true));
}

/// Runs a poll of an operation, in which others are parts of it.
pub(super) fn in_poll<R>(operation: usize, poll: impl FnOnce() -> R) -> R {
    polling(Some(operation), poll)
}

/// Runs a poll that is nested in that of an operation, but is no part of it.
pub(super) fn outside<R>(poll: impl FnOnce() -> R) -> R {
    polling(None, poll)
}

fn polling<R>(operation: Option<usize>, poll: impl FnOnce() -> R) -> R {
    struct Restore(Option<usize>);
    impl Drop for Restore {
        fn drop(&mut self) {
            with_run(|run| run.polled = self.0);
        }
    }

    let outer = with_run(|run| mem::replace(&mut run.polled, operation));
    let _restore = Restore(outer.flatten());
    poll()
}

/// Records what the operation did up to this place, and returns whether it is cancelled there.
pub(super) fn reach(operation: usize, action: impl FnOnce() -> Option<Action>) -> bool {
    let is_cancelled = with_run(|run| {
        if let Some(action) = action() {
            run.record(operation, action);
        }
        let is_cancelled = run.reach(operation);
        if is_cancelled {
            run.record(operation, Action::IsCancelled);
        }
        is_cancelled
    });
    is_cancelled.unwrap_or(false)
}

/// Polls up to the next suspension that tokio allows, or the one before if the run cancels there.
///
/// The trace is empty unless the run is recorded.
pub(super) fn step<T>(
    operation: usize,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> (Poll<T>, Trace) {
    let is_recorded = with_run(|run| run.recorder.is_some());
    let traced = |context: &mut Context<'_>, cut: Option<Cut>| {
        // Inside of the trace: a scheduling point knows the waker of the innermost poll.
        let poll = |context: &mut Context<'_>| points::cut(cut, context, poll);
        if is_recorded == Some(true) {
            return waker::poll(context.waker(), poll);
        }
        (poll(context), Trace::default())
    };
    let early = with_run(|run| run.target_within(EARLY.len())).flatten();
    let ending = early.map_or(Ending::AtSecond, |index| EARLY[index]);
    let (stepped, is_spent) = in_poll(operation, || ending.apply(context, traced));
    with_run(|run| match early {
        Some(index) => run.next += index,
        None => {
            for ending in EARLY {
                run.pass(is_spent || *ending == Ending::BeforeFirst);
            }
        }
    });
    stepped
}

/// At which operation of tokio a poll ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Before the first one. `select!` asks for budget before it polls a branch, so only a scheduling point can end
    /// a poll there.
    BeforeFirst,
    /// In the first one that asks for budget.
    InFirst,
    /// At the next one once an operation has made progress. One that waits has none, so that others can.
    AtSecond,
}

/// The endings of a poll that have places of their own, before that of the poll that goes on. A run that cancels at
/// one ends the poll there, and all others go on.
const EARLY: &[Ending] = if points::ARE_PRESENT {
    &[Ending::BeforeFirst, Ending::InFirst]
} else {
    &[Ending::InFirst]
};

impl Ending {
    /// Polls, and returns whether the poll has spent its budget. Otherwise a poll that ends in its first operation
    /// had ended at the same place.
    fn apply<R>(
        self,
        context: &mut Context<'_>,
        traced: impl FnOnce(&mut Context<'_>, Option<Cut>) -> R,
    ) -> (R, bool) {
        let (units, cut) = match self {
            Self::BeforeFirst => (1, Some(Cut::Each)),
            Self::InFirst => (0, None),
            Self::AtSecond => (1, Some(Cut::OnceSpent)),
        };
        budget::limited(units, context, |context| {
            let polled = traced(context, cut);
            (polled, !has_budget_remaining())
        })
    }
}
