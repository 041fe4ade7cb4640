//! A `settle_all` that runs each of its futures on a task of its own.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;

use crate::join::on_panic::OnPanic;
use crate::join::settle_all::SettleAll;
use crate::leak::record::claim::Claim;
use crate::leak::record::spawn::track_claimed;
use crate::panic::Panic;

impl<F: Future, P: OnPanic> SettleAll<F, P> {
    /// Runs each future on a task of its own, so that they run in parallel where the runtime has
    /// several threads.
    ///
    /// Needs the feature `tokio`, which is on by default. Everything else is as before: every future
    /// is driven to its end, outputs come in input order, an error is an output, and of no futures
    /// it is ready at once. The other settings may stand before or behind it, and hold for the tasks:
    ///
    /// - A future's task is spawned when the future would have been polled for the first time, so a
    ///   [`limit`](Self::limit) holds tasks back.
    /// - "First" goes by the order in which the tasks were seen to end.
    /// - It is ready only when every task has terminated: its future is dropped by then, and all that
    ///   the future owned, also if it panicked.
    /// - The tasks are tracked as those of [`straggler::spawn`](crate::spawn) are. In the report of a
    ///   [`LeakCheck`](crate::LeakCheck) they were spawned where this method was called, and have the
    ///   names that [`named`](Self::named) gave to the futures before. That a task panicked is no
    ///   finding of its own there, since it is the panic of this combinator, or one of its values. It is
    ///   one if the combinator was dropped, or gave up, before it took the task's result.
    ///
    /// A report of a [`deadline`](Self::deadline) knows of a task only that it had not ended: how often
    /// it was polled, and whether anything could wake it, is not seen from outside. Where it waits a
    /// `LeakCheck` with a timeout says.
    ///
    /// # Panics
    ///
    /// If it was polled before. The futures are dropped then.
    ///
    /// The returned future panics as that of [`settle_all`](crate::settle_all()) does: a panic in a
    /// task is that future's panic, with its original payload, and [`catch_unwind`](Self::catch_unwind)
    /// turns it into a value. A future counts as panicked, too,
    /// - if there is no tokio runtime where its task is to be spawned;
    /// - if its task was cancelled, which happens when the runtime is shut down that it was spawned in
    ///   while the returned future is polled elsewhere.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the returned future aborts all tasks that have not ended, and so does
    /// a deadline that passes. It does not wait for them. An aborted task ends where it next yields, so
    /// it may end a moment later, and one that never yields runs on to its end.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Barrier;
    ///
    /// # #[tokio::main(flavor = "multi_thread", worker_threads = 2)]
    /// # async fn main() {
    /// // Each blocks its thread until the other is there: one thread alone would never get through.
    /// static BOTH: Barrier = Barrier::new(2);
    /// let settled = straggler::settle_all([1, 2].map(|number| async move {
    ///     BOTH.wait();
    ///     10 * number
    /// }))
    /// .spawned()
    /// .await;
    ///
    /// assert_eq!(settled.into_vec(), [10, 20]);
    /// # }
    /// ```
    #[track_caller]
    pub fn spawned(self) -> SettleAll<Spawned<F>, P>
    where
        F: Send + 'static,
        F::Output: Send + 'static,
    {
        let (made_at, place) = (self.place(), Location::caller());
        let spawned = self.wrap(|future, name| Spawned {
            future: Some(future),
            name: name.map(str::to_owned),
            task: None,
            claim: None,
            place,
        });
        let Some(mut spawned) = spawned else {
            panic!("the `settle_all` at {made_at} was polled already when `spawned` was called");
        };
        spawned.origin.is_spawned = true;
        spawned
    }
}

/// One of the futures of a [`SettleAll`] that runs each on a task of its own, by
/// [`spawned`](SettleAll::spawned).
///
/// Its output is that of the future in the task.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Spawned<F: Future> {
    /// `None` once it was spawned.
    future: Option<F>,
    name: Option<String>,
    task: Option<JoinHandle<F::Output>>,
    /// What leaves a panic of the task to a leak check, if this is dropped before the result was taken.
    claim: Option<Claim>,
    /// Where it was spawned, as reports say it.
    place: &'static Location<'static>,
}

impl<F> Future for Spawned<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        if let Some(future) = this.future.take() {
            let name = this.name.take().map(Cow::Owned);
            let (tracked, _spawning, claim) = track_claimed(future, name, this.place);
            this.claim = claim;
            this.task = Some(tokio::spawn(tracked));
        }
        let Some(task) = &mut this.task else {
            unreachable!("a future that panicked is not polled again");
        };
        // The handle is ready only when tokio has dropped the task's future.
        let ended = ready!(Pin::new(task).poll(context));
        if let Some(claim) = this.claim.take() {
            claim.fulfil();
        }
        let error = match ended {
            Ok(output) => return Poll::Ready(output),
            Err(error) => error,
        };
        if let Ok(payload) = error.try_into_panic() {
            Panic::new(payload).resume();
        }
        panic!(
            "the task spawned at {} was cancelled: its runtime was shut down before it ended",
            this.place
        )
    }
}

/// Nobody relies on where it lies: its future is pinned only in the task.
impl<F: Future> Unpin for Spawned<F> {}

impl<F: Future> Drop for Spawned<F> {
    fn drop(&mut self) {
        // Of a task that has ended this is nothing.
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl<F: Future> fmt::Debug for Spawned<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawned")
            .field("place", &format_args!("{}", self.place))
            .field("is_spawned", &self.task.is_some())
            .finish_non_exhaustive()
    }
}
