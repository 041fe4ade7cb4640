//! Marks an operation that a run may cancel.

use std::any::type_name;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};

use crate::schedule::cancel_decision::{self, Phase, Polled};
use crate::schedule::cancellation::{self, Mode};
use crate::schedule::recorder::Action;
use crate::schedule::steering;
use crate::trace::waker;

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
/// A task is cancelled in another way, by its abort: see [`spawn_abortable`](crate::spawn_abortable).
///
/// Everywhere else, `cancellable(future)` awaits `future`, and returns `Some`. So nothing is cancelled in a test without
/// `cancel` in its attribute.
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
        phase: Phase::Unstarted,
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
    phase: Phase,
}

impl<F: Future> Future for Cancellable<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = match cancellation::mode() {
            // Not once the body has ended, nor if the poll only looks where the test waits.
            Mode::Decided if steering::is_on() => self.as_mut().poll_decided(context),
            Mode::AtPlaces if !waker::is_on() => self.as_mut().poll_at_places(context),
            _ => self.as_mut().future().poll(context).map(Some),
        };
        if polled.is_ready() {
            self.finish();
        }
        polled
    }
}

impl<F: Future> Cancellable<F> {
    fn future(self: Pin<&mut Self>) -> Pin<&mut F> {
        let future = self.project().future.as_pin_mut();
        future.expect("`cancellable` was polled after it had returned")
    }

    /// The number of the operation, which begins if it has not.
    fn number(self: Pin<&mut Self>) -> usize {
        let begin = || cancellation::begin(type_name::<F>());
        *self.project().number.get_or_insert_with(begin)
    }

    /// Polls up to the next place, and returns `None` if the run cancels there.
    fn poll_at_places(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<F::Output>> {
        // The panic of a later poll comes before anything is counted.
        self.as_mut().future();
        let number = self.as_mut().number();
        if self.phase == Phase::Unstarted && cancellation::reach(number, || None) {
            return Poll::Ready(None);
        }
        let (polled, trace) = cancellation::step(number, context, |context| {
            self.as_mut().future().poll(context)
        });
        *self.project().phase = Phase::Polled;
        let is_pending = polled.is_pending();
        let is_cancelled = cancellation::reach(number, || {
            Some(if is_pending {
                Action::Waits(trace)
            } else {
                Action::Ends
            })
        });
        if is_cancelled {
            return Poll::Ready(None);
        }
        polled.map(Some)
    }

    /// Polls as the schedule decides, and returns `None` if it cancels the operation.
    fn poll_decided(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<F::Output>> {
        self.as_mut().future();
        let number = self.as_mut().number();
        let mut phase = self.phase;
        let polled = cancel_decision::poll(number, &mut phase, context, |context| {
            self.as_mut().future().poll(context)
        });
        *self.as_mut().project().phase = phase;
        match polled {
            Polled::Continues(polled) => polled.map(Some),
            Polled::Cancelled(at) => {
                // The step has what the drop wakes.
                self.finish();
                steering::record_polled(|| Action::Cancels(at));
                Poll::Ready(None)
            }
        }
    }

    /// Drops the future, and ends its operation.
    fn finish(self: Pin<&mut Self>) {
        let mut this = self.project();
        // Outside of the run: the drop may poll or drop other operations.
        this.future.set(None);
        *this.number = None;
    }
}

#[pinned_drop]
impl<F> PinnedDrop for Cancellable<F> {
    fn drop(self: Pin<&mut Self>) {
        if let Some(number) = self.project().number.take() {
            cancellation::leave(number);
        }
    }
}
