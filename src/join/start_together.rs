//! A `settle_all` whose futures start together: none before all are at the start line.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::join::on_panic::OnPanic;
use crate::join::settle_all::SettleAll;
use crate::sync::rendezvous::{Participant, Rendezvous};

impl<F: Future, P: OnPanic> SettleAll<F, P> {
    /// Lets the futures start together: none is polled before all are at the start line.
    ///
    /// Each future is put behind a [`Rendezvous`] of all of them, and is polled for the first time only
    /// when each of the others is about to be. What that means depends on where they run:
    ///
    /// - With `spawned` behind it, each task is at the start line, on its thread if there are enough,
    ///   before any goes on. So tasks do not start one after the other as they are spawned, of which
    ///   the first is often through when the last begins: this is for tests that want a race.
    /// - On the task of the combinator they start in input order, in one go after all were at the line,
    ///   as they would without. It makes a difference only where there are more of them than one turn
    ///   polls, which is 128: then none starts before the last has been reached.
    ///
    /// One that goes away before it is at the line, because its task could not be spawned or was
    /// cancelled, holds nobody up: from then on each of the others starts as soon as it is polled, and
    /// no longer together. In reports the polls count that bring a future to the line.
    ///
    /// # Panics
    ///
    /// If it was polled before; or if it was `spawned` before, since the tasks are what
    /// is to start together: call this first. The futures are dropped then. Also if there is a
    /// [`limit`](Self::limit) below the number of futures, which keeps them from it: those that start
    /// are in flight together.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe, as [`settle_all`](crate::settle_all()).
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
    /// // Each counts the tasks that are there when it starts, and is through at once.
    /// let runners = (0..10).map(|_| async { Handle::current().metrics().num_alive_tasks() });
    /// let settled = straggler::settle_all(runners).start_together().spawned().await;
    /// assert_eq!(settled.iter().max(), Some(&10), "nobody was through before all were there");
    /// # }
    /// ```
    #[track_caller]
    pub fn start_together(self) -> SettleAll<Together<F>, P> {
        let made_at = self.place();
        assert!(
            !self.origin.is_spawned,
            "the `settle_all` at {made_at} was `spawned` already: call `start_together` before that"
        );
        let line = Rendezvous::new(self.len());
        let together = self.wrap(|future, _| Together {
            future,
            start: Start::Before(line.join()),
        });
        let Some(mut together) = together else {
            panic!(
                "the `settle_all` at {made_at} was polled already when `start_together` was called"
            );
        };
        together.origin.starts_together = true;
        together.assert_may_start_together();
        together
    }
}

/// One of the futures of a [`SettleAll`] that start together, by
/// [`start_together`](SettleAll::start_together).
///
/// Its output is that of the future.
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct Together<F> {
    #[pin]
    future: F,
    start: Start,
}

/// How far a future is.
#[derive(Debug)]
enum Start {
    /// It waits at the line, or has not come to it.
    Before(Participant),
    /// It has started.
    Over,
}

impl<F: Future> Future for Together<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Start::Before(participant) = this.start {
            let arrival = ready!(participant.poll_arrive(context));
            *this.start = Start::Over;
            // The last at the line lets those go first who were there before it.
            if arrival.is_ok_and(|arrival| arrival.is_leader()) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        this.future.poll(context)
    }
}

impl<F> fmt::Debug for Together<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together")
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}
