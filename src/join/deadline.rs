//! `deadline` and `timeout`: give up on the futures that have not settled in time.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::children::Turn;
use crate::join::on_panic::{OnPanic, Resume};
use crate::join::settle_all::SettleAll;
use crate::join::settled::Settled;
use crate::join::unsettled::Unsettled;

/// Future for the [`deadline`](SettleAll::deadline) and `timeout` methods of [`SettleAll`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct Deadline<F: Future, D, P = Resume> {
    settling: SettleAll<F, P>,
    #[pin]
    give_up: D,
    passed: bool,
}

impl<F: Future, P: OnPanic> SettleAll<F, P> {
    /// Gives up when `give_up` is ready, and returns [`Unsettled`] if some future has not settled.
    ///
    /// Any future can be the clock: a timer of any runtime, a channel, a counter. Call this last,
    /// after the other settings.
    ///
    /// - When `give_up` is ready, Straggler polls each future that was woken before once more. So a
    ///   future that finishes in the same poll is in time, and a deadline that has already passed
    ///   still gives each future its first poll.
    /// - A future held back by a [`limit`](Self::limit) at that moment is never started.
    /// - Without futures it returns `Ok` at the first poll.
    ///
    /// # Errors
    ///
    /// The returned future's output is [`Unsettled`] if the deadline passed. It keeps the outputs of
    /// the futures that settled and describes each of the others, which are dropped first.
    ///
    /// # Panics
    ///
    /// The returned future panics
    /// - as that of [`settle_all`](crate::settle_all()) does. A panic outranks the deadline: if a
    ///   future has panicked when it passes, the pending futures are dropped and the first panic
    ///   resumes. To get both, call [`catch_unwind`](SettleAll::catch_unwind) first: `Unsettled` then
    ///   keeps the panic among its outputs.
    /// - if `give_up` panics. This panic is not contained.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the returned future drops every pending future and every output, see
    /// [`settle_all`](crate::settle_all()).
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

    /// Gives up after a time on tokio's clock, counted from this call.
    ///
    /// Needs the feature `tokio`, which is on by default. It is [`deadline`](Self::deadline) with
    /// [`tokio::time::sleep`].
    ///
    /// - On a paused clock, as in `#[straggler::test(start_paused = true)]`, futures that hang time
    ///   out at once, in no real time.
    /// - A future that blocks its thread does not time out, because nothing else is polled meanwhile.
    ///   Move blocking work to `spawn_blocking`.
    ///
    /// # Errors
    ///
    /// As [`deadline`](Self::deadline).
    ///
    /// # Panics
    ///
    /// As [`tokio::time::sleep`], at the call: if there is no tokio runtime, or its timers are off.
    /// The returned future panics as that of [`deadline`](Self::deadline).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe, as [`deadline`](Self::deadline).
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
        // The clock is polled first: after futures that use up tokio's budget in every turn, a
        // tokio timer would never report that it has expired.
        if !*this.passed && this.give_up.poll(context).is_ready() {
            *this.passed = true;
            this.settling.begin_last_batch();
        }
        match this.settling.turn(context) {
            Turn::Settled => Poll::Ready(Ok(this.settling.settled())),
            // The last batch is over: each future woken before the deadline has had its poll.
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
