//! `start_together`: no future of a `settle_all` starts before all can.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::join::on_panic::OnPanic;
use crate::join::settle_all::SettleAll;
use crate::sync::rendezvous::{Participant, Rendezvous};

impl<F: Future, P: OnPanic> SettleAll<F, P> {
    /// Starts the futures together: polls none of them until all are at the start line.
    ///
    /// Each future waits at a [`Rendezvous`] until each of the others is about to be polled for the
    /// first time. The effect depends on where they run:
    ///
    /// - With `spawned` after it, every task reaches the start line before any starts, on its own
    ///   thread if there are enough. Otherwise the first task has often finished before the last one
    ///   is spawned. Use this in tests that want a race.
    /// - On the combinator's own task they start in input order, as they would without it. It makes a
    ///   difference only for more than 128 futures, the most that one poll of the combinator polls:
    ///   none starts before the last has been reached.
    ///
    /// A future that is dropped before the start line, because its task could not be spawned or was
    /// cancelled, does not block the others. Each of them then starts when it is polled, no longer
    /// together. Reports count the poll that brings a future to the start line.
    ///
    /// # Panics
    ///
    /// The futures are dropped in each case:
    /// - if it was polled before.
    /// - if it was `spawned` before: call `start_together` first, because the tasks start together.
    /// - if a [`limit`](Self::limit) is below the number of futures.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the returned future drops every pending future and every output, see
    /// [`settle_all`](crate::settle_all()).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(not(feature = "tokio"))]
    /// # fn main() {}
    /// # #[cfg(feature = "tokio")]
    /// # #[tokio::main(flavor = "multi_thread", worker_threads = 2)]
    /// # async fn main() {
    /// use tokio::runtime::Handle;
    ///
    /// // Each counts the live tasks when it starts, and finishes at once.
    /// let runners = (0..10).map(|_| async { Handle::current().metrics().num_alive_tasks() });
    /// let settled = straggler::settle_all(runners).start_together().spawned().await;
    /// assert_eq!(settled.iter().max(), Some(&10), "none finished before all had started");
    /// # }
    /// ```
    #[track_caller]
    pub fn start_together(self) -> SettleAll<Together<F>, P> {
        let created_at = self.place();
        assert!(
            !self.origin.is_spawned,
            "the `settle_all` at {created_at} was `spawned` already: call `start_together` before that"
        );
        let line = Rendezvous::new(self.len());
        let together = self.wrap(|future, _| Together {
            future,
            start: Start::Before(line.join()),
        });
        let Some(mut together) = together else {
            panic!(
                "the `settle_all` at {created_at} was polled already when `start_together` was called"
            );
        };
        together.origin.starts_together = true;
        together.assert_may_start_together();
        together
    }
}

/// Future for each future of [`start_together`](SettleAll::start_together). Its output is the same.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Together<F> {
    future: Pin<Box<F>>,
    start: Start,
}

/// Whether a future has started.
#[derive(Debug)]
enum Start {
    /// It waits at the start line, or has not reached it.
    Before(Participant),
    /// It has started.
    Over,
}

impl<F: Future> Future for Together<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        if let Start::Before(participant) = &mut this.start {
            let arrival = ready!(participant.poll_arrive(context));
            this.start = Start::Over;
            // The leader arrived last. It yields once, so that the futures that arrived before it
            // start first, in input order.
            if arrival.is_ok_and(|arrival| arrival.is_leader()) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        this.future.as_mut().poll(context)
    }
}

impl<F> fmt::Debug for Together<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together")
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}
