//! Cancels a future at a chosen place, for [`Explore::cancel`](crate::Explore::cancel).
//!
//! A place is a moment at which whoever polls the future can drop it: before its first poll, at each
//! suspension, and in the poll in which it ends. While a run cancels, each poll of the future ends once one
//! operation of tokio has made progress, or before that if it is cancelled there: see [`Ending`].

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};
use tokio::task::coop::has_budget_remaining;

use crate::schedule::budget;
use crate::schedule::points::{self, Cut};
use crate::schedule::recorder::{Action, Recorder};
use crate::trace::waker::{self, Trace};

/// What a run cancels, and what it has reached.
#[derive(Debug)]
pub(crate) struct Cancellations {
    /// The places at which the run cancels.
    targets: Vec<usize>,
    /// The places that the run has reached, without those at which nothing had happened since the place before.
    pub(crate) places: Vec<usize>,
    /// The number of the next place.
    next: usize,
    /// How many operations it has cancelled.
    cancelled: usize,
    /// How many operations have begun.
    begun: usize,
    /// Whether something else than this run dropped an operation that had begun after a cancelled one, as
    /// when the body is given up.
    pub(crate) is_later_dropped: bool,
    /// Whether one is polled: operations inside it are parts of it.
    is_in_poll: bool,
    pub(crate) recorder: Option<Recorder>,
}

thread_local! {
    static RUN: RefCell<Option<Cancellations>> = const { RefCell::new(None) };
}

impl Cancellations {
    pub(crate) fn at(targets: &[usize], is_recorded: bool) -> Self {
        Self {
            targets: targets.to_vec(),
            places: Vec::new(),
            next: 0,
            cancelled: 0,
            begun: 0,
            is_later_dropped: false,
            is_in_poll: false,
            recorder: is_recorded.then(Recorder::default),
        }
    }

    /// The first of the next places at which the run cancels, counted from the next one.
    fn target_within(&self, places: usize) -> Option<usize> {
        (0..places).find(|place| self.targets.contains(&(self.next + place)))
    }

    /// Counts a place, and returns whether the run cancels there.
    fn reach(&mut self) -> bool {
        let is_target = self.targets.contains(&self.next);
        self.cancelled += usize::from(is_target);
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
                1 => "the operation".to_owned(),
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

/// Whether an operation is polled that the run of this thread may cancel.
pub(crate) fn is_in_operation() -> bool {
    with_run(|run| run.is_in_poll) == Some(true)
}

/// Marks the operation that a test with [`Explore::cancel`](crate::Explore::cancel) cancels.
///
/// The future returns `Some` with the output if the operation ended, and `None` if it was cancelled. In such
/// a test the body runs once for each place at which the operation can be suspended, and the operation is
/// dropped there. The operation may borrow from the body.
///
/// A place is a moment at which a caller can drop the operation: before its first poll, between two
/// operations of tokio, wherever it waits, and in the poll in which it ends, when everything is done but
/// nobody learns of it. In builds with scheduling points, the places before and inside each operation count
/// too.
///
/// Everywhere else, `cancellable(future)` awaits `future`, and returns `Some`.
///
/// # Cancel safety
///
/// The future is as cancel safe as `future`, which it drops when it is dropped.
///
/// # Panics
///
/// The future panics if it is polled after it has returned.
///
/// # Examples
///
/// The first step of a move is lost if the caller goes away before the second one:
///
/// ```
/// use straggler::{Explore, cancellable};
/// use tokio::sync::mpsc;
///
/// async fn forward(from: &mut mpsc::Receiver<u8>, to: &mpsc::Sender<u8>) {
///     let message = from.recv().await.unwrap();
///     to.send(message).await.unwrap();
/// }
///
/// let failure = Explore::new().cancel().find(|| async {
///     let ((sender, mut from), (to, mut receiver)) = (mpsc::channel(1), mpsc::channel(1));
///     sender.send(7).await.unwrap();
///     let done = cancellable(forward(&mut from, &to)).await;
///     if done.is_none() {
///         let left = from.try_recv().or_else(|_| receiver.try_recv());
///         assert_eq!(left, Ok(7), "the message was lost");
///     }
/// });
/// let failure = failure.unwrap_err();
/// assert!(failure.message().unwrap().contains("the message was lost"), "{failure}");
/// ```
pub fn cancellable<F: Future>(future: F) -> Cancellable<F> {
    Cancellable {
        future: Some(future),
        number: None,
        is_polled: false,
    }
}

/// Future for the [`cancellable`] function.
///
/// # Cancel safety
///
/// As cancel safe as the future inside, which it drops when it is dropped.
#[pin_project(PinnedDrop)]
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Cancellable<F> {
    /// `None` once it has ended or was cancelled.
    #[pin]
    future: Option<F>,
    /// The number of the operation in its run, from 1. `None` until the first poll in a run.
    number: Option<usize>,
    is_polled: bool,
}

impl<F: Future> Future for Cancellable<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let future = this.future.as_mut().as_pin_mut();
        let future = future.expect("`cancellable` was polled after it had returned");
        // A poll that only looks where the test waits must not be a place.
        if waker::is_on() || with_run(|run| run.is_in_poll) != Some(false) {
            let polled = future.poll(context).map(Some);
            if polled.is_ready() {
                finish(this.future, this.number);
            }
            return polled;
        }
        let number = *this.number.get_or_insert_with(begin);
        if !*this.is_polled && reach(number, || None) {
            finish(this.future, this.number);
            return Poll::Ready(None);
        }
        let (polled, trace) = step(context, |context| future.poll(context));
        *this.is_polled = true;
        let is_pending = polled.is_pending();
        let is_cancelled = reach(number, || {
            Some(if is_pending {
                Action::Waits(trace)
            } else {
                Action::Ends
            })
        });
        if !is_pending || is_cancelled {
            finish(this.future, this.number);
        }
        match polled {
            _ if is_cancelled => Poll::Ready(None),
            polled => polled.map(Some),
        }
    }
}

#[pinned_drop]
impl<F> PinnedDrop for Cancellable<F> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        if this.number.is_some() {
            with_run(|run| run.is_later_dropped |= run.cancelled > 0);
        }
        finish(this.future, this.number);
    }
}

/// Begins an operation, and returns its number.
fn begin() -> usize {
    let begun = with_run(|run| {
        run.begun += 1;
        run.begun
    });
    begun.unwrap_or_default()
}

/// Drops the future, and ends its operation.
fn finish<F>(mut future: Pin<&mut Option<F>>, number: &mut Option<usize>) {
    // Outside of the run: the drop may poll or drop other operations.
    future.set(None);
    *number = None;
}

/// Records what the operation did up to this place, and returns whether it is cancelled there.
fn reach(operation: usize, action: impl FnOnce() -> Option<Action>) -> bool {
    let is_cancelled = with_run(|run| {
        if let Some(action) = action() {
            run.record(operation, action);
        }
        let is_cancelled = run.reach();
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
fn step<T>(
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> (Poll<T>, Trace) {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            with_run(|run| run.is_in_poll = false);
        }
    }

    let is_recorded = with_run(|run| {
        run.is_in_poll = true;
        run.recorder.is_some()
    });
    let _leave = Leave;
    let traced = |context: &mut Context<'_>, cut: Option<Cut>| {
        // Inside of the trace: a scheduling point knows the waker of the innermost poll.
        let poll = |context: &mut Context<'_>| points::cut(cut, context, poll);
        if is_recorded == Some(true) {
            return waker::poll(context.waker(), poll);
        }
        (poll(context), Trace::default())
    };
    let early = with_run(|run| run.target_within(EARLY.len())).flatten();
    let stepped = early
        .map_or(Ending::AtSecond, |index| EARLY[index])
        .apply(context, traced);
    // Otherwise a poll that ends in its first operation had ended at the same place.
    let is_spent = !has_budget_remaining();
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
    fn apply<R>(
        self,
        context: &mut Context<'_>,
        traced: impl FnOnce(&mut Context<'_>, Option<Cut>) -> R,
    ) -> R {
        let (units, cut) = match self {
            Self::BeforeFirst => (1, Some(Cut::Each)),
            Self::InFirst => (0, None),
            Self::AtSecond => (1, Some(Cut::OnceSpent)),
        };
        budget::to(units, context);
        traced(context, cut)
    }
}
