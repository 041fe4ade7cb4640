//! A `settle_all` that gives up when a future of the caller's choice is ready.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::children::Turn;
use crate::join::on_panic::{OnPanic, Resume};
use crate::join::settle_all::SettleAll;
use crate::join::settled::Settled;
use crate::join::unsettled::Unsettled;

/// Future for the [`deadline`](SettleAll::deadline) and `timeout` methods.
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct Deadline<F: Future, D, P = Resume> {
    settling: SettleAll<F, P>,
    #[pin]
    give_up: D,
    passed: bool,
}

impl<F: Future, P: OnPanic> SettleAll<F, P> {
    /// Gives up when `give_up` is ready: returns [`Unsettled`] if not all futures have settled by
    /// then.
    ///
    /// It comes last, after the other settings. Any future may be the clock: a timer of any
    /// runtime, a channel, a counter. Every future
    /// that was woken before `give_up` was ready is polled once more before it counts as
    /// unsettled, so a future that is done in the same poll is done in time, and with a deadline
    /// that is already over each future still gets its first poll. But a future that
    /// [`limit`](Self::limit) holds back when `give_up` is ready is not started any more.
    ///
    /// # Errors
    ///
    /// The returned future's output is [`Unsettled`] if the deadline passed: it keeps the outputs
    /// of the futures that did settle, and says of each other one how far it came. Those are
    /// dropped before it is returned.
    ///
    /// # Panics
    ///
    /// As [`settle_all`](crate::settle_all) does. A panic outranks a deadline that passed: if one of the futures has
    /// panicked by then, the others are dropped and the first panic goes on. To learn of both call
    /// [`catch_unwind`](SettleAll::catch_unwind) first: then the panic is among the outputs that
    /// `Unsettled` keeps. A panic of `give_up` itself is not contained.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe, as [`settle_all`](crate::settle_all).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::pending;
    /// use straggler::settle_all;
    ///
    /// # tokio_test::block_on(async {
    /// let give_up = tokio::task::yield_now();
    /// let unsettled = settle_all([pending::<()>()]).deadline(give_up).await.unwrap_err();
    /// assert!(!unsettled.pending()[0].can_be_woken());
    /// # });
    /// ```
    pub fn deadline<D: Future>(self, give_up: D) -> Deadline<F, D, P> {
        Deadline::new(self, give_up)
    }

    /// Gives up after a time, counted on tokio's clock from this call on.
    ///
    /// Needs the feature `tokio`, which is on by default. It is [`deadline`](Self::deadline) with
    /// [`tokio::time::sleep`]. On a paused clock, as in
    /// `#[tokio::test(start_paused = true)]`, a set of futures that hang times out at once, in no
    /// real time. A future that blocks its thread cannot be timed out: nothing else is polled
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// As [`deadline`](Self::deadline).
    ///
    /// # Panics
    ///
    /// As [`tokio::time::sleep`], at once: if there is no tokio runtime, or none with timers. The
    /// returned future panics as that of [`deadline`](Self::deadline).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe, as [`settle_all`](crate::settle_all).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use straggler::settle_all;
    ///
    /// # tokio_test::block_on(async {
    /// let settling = settle_all([std::future::pending::<()>()]).timeout(Duration::from_millis(1));
    /// assert_eq!(settling.await.unwrap_err().pending().len(), 1);
    /// # });
    /// ```
    #[cfg(feature = "tokio")]
    #[track_caller]
    pub fn timeout(self, after: std::time::Duration) -> Deadline<F, tokio::time::Sleep, P> {
        self.deadline(tokio::time::sleep(after))
    }
}

impl<F: Future, D, P> Deadline<F, D, P> {
    fn new(settling: SettleAll<F, P>, give_up: D) -> Self {
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
