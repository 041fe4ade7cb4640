//! The operation of a task that a run may abort.

use std::any::type_name;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};
use tokio::task::AbortHandle;

use crate::schedule::cancellation::{self, Mode};
use crate::schedule::recorder::Action;
use crate::schedule::{cancel_decision, steering};
use crate::trace::waker;

/// The future of a task that aborts itself where the run cancels it.
///
/// The handle is there once the task is spawned.
#[pin_project(PinnedDrop)]
#[derive(Debug)]
pub(crate) struct Abortable<F> {
    #[pin]
    future: F,
    task: Arc<OnceLock<AbortHandle>>,
    /// The number of the operation in its run, from 1. `None` before the first poll and after the last one.
    number: Option<usize>,
    is_polled: bool,
}

impl<F> Abortable<F> {
    pub(crate) fn new(future: F, task: Arc<OnceLock<AbortHandle>>) -> Self {
        Self {
            future,
            task,
            number: None,
            is_polled: false,
        }
    }
}

impl<F: Future> Future for Abortable<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mode = cancellation::mode();
        let begin = || cancellation::begin(type_name::<F>());
        let poll = |context: &mut Context<'_>| this.future.poll(context);
        // The runtime drops the task after this poll.
        let abort = || {
            if let Some(task) = this.task.get() {
                task.abort();
            }
        };
        let polled = match mode {
            // As for `Cancellable`.
            Mode::Decided if steering::is_on() => {
                let number = *this.number.get_or_insert_with(begin);
                cancel_decision::poll_or_abort(number, context, poll, abort)
            }
            Mode::AtPlaces if !waker::is_on() => {
                let number = *this.number.get_or_insert_with(begin);
                if !*this.is_polled && cancellation::reach(number, || None) {
                    abort();
                    return Poll::Pending;
                }
                let (polled, trace) = cancellation::step(number, context, poll);
                *this.is_polled = true;
                // A task that has ended cannot be aborted.
                let is_pending = polled.is_pending();
                if is_pending && cancellation::reach(number, || Some(Action::Waits(trace))) {
                    abort();
                }
                polled
            }
            _ => poll(context),
        };
        if polled.is_ready() {
            *this.number = None;
        }
        polled
    }
}

#[pinned_drop]
impl<F> PinnedDrop for Abortable<F> {
    fn drop(self: Pin<&mut Self>) {
        if let Some(number) = self.project().number.take() {
            cancellation::leave(number);
        }
    }
}
