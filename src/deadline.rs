//! A `settle_all` that gives up when a future of the caller's choice is ready.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::children::Turn;
use crate::on_panic::{OnPanic, Resume};
use crate::settle::SettleAll;
use crate::settled::Settled;
use crate::unsettled::Unsettled;

/// Future for the [`deadline`](SettleAll::deadline) and `timeout` methods.
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct Deadline<F: Future, D, P = Resume> {
    settling: SettleAll<F, P>,
    #[pin]
    give_up: D,
    passed: bool,
}

impl<F: Future, D, P> Deadline<F, D, P> {
    pub(crate) fn new(settling: SettleAll<F, P>, give_up: D) -> Self {
        Self {
            settling,
            give_up,
            passed: false,
        }
    }
}

impl<F: Future, D: Future, P: OnPanic> Future for Deadline<F, D, P> {
    type Output = Result<Settled<P::Output<F::Output>>, Unsettled<P::Output<F::Output>>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // The clock comes first: behind futures that use up tokio's budget, turn after turn, a
        // tokio timer would never get to say that its time has come.
        if !*this.passed && this.give_up.poll(context).is_ready() {
            *this.passed = true;
            this.settling.begin_last_batch();
        }
        match this.settling.turn(context) {
            Turn::Settled => Poll::Ready(Ok(this.settling.settled())),
            // Each future that was woken before the deadline passed has had its poll.
            Turn::Waiting if *this.passed => Poll::Ready(this.settling.give_up()),
            Turn::Waiting | Turn::Paused => Poll::Pending,
        }
    }
}

impl<F: Future, D, P> fmt::Debug for Deadline<F, D, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline")
            .field("settling", &self.settling)
            .field("passed", &self.passed)
            .finish_non_exhaustive()
    }
}
