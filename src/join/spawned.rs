//! `spawned`: runs each future of a `settle_all` on its own task.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;

use crate::join::on_panic::OnPanic;
use crate::join::settle_all::SettleAll;
use crate::leak::record::claim::Claim;
use crate::leak::record::spawn::{begun_or_not, track_claimed};
use crate::panic::Panic;

impl<F: Future, P: OnPanic> SettleAll<F, P> {
    /// Runs each future on its own task, in parallel if the runtime has several threads.
    ///
    /// Needs the feature `tokio`, which is on by default. Everything else is unchanged: every future runs
    /// to completion, outputs are in input order, an error is an output, and without futures it is ready
    /// at the first poll. The other settings can come before or after.
    ///
    /// - A future's task is spawned at the future's first poll, so a [`limit`](Self::limit) holds
    ///   tasks back.
    /// - "First" is the order in which the combinator sees the tasks finish.
    /// - It is ready only after every task has terminated: the task's future and all that it owned are
    ///   dropped by then, even if it panicked.
    /// - The tasks are tracked like those of [`straggler::spawn`](crate::spawn). A
    ///   [`LeakCheck`](crate::LeakCheck) reports this call as the place of the spawn, and the names
    ///   that [`named`](Self::named) set before this call.
    /// - A task's panic is not a separate finding of a `LeakCheck`: it is the panic of this combinator,
    ///   or one of its outputs. It becomes a finding if the combinator is dropped, or gives up, before
    ///   it takes the task's result.
    /// - The report of a [`deadline`](Self::deadline) says only that a task was still running. To see
    ///   where it waits, use a `LeakCheck` with a timeout.
    ///
    /// # Panics
    ///
    /// If it was polled before. The futures are dropped.
    ///
    /// The returned future panics as that of [`settle_all`](crate::settle_all()) does. A panic in a
    /// task counts as a panic of its future: it resumes with its original payload, or
    /// [`catch_unwind`](Self::catch_unwind) turns it into an output. A future also counts as panicked
    /// - if there is no tokio runtime when its task is spawned.
    /// - if its task is cancelled, because its runtime shut down while another executor polls the
    ///   returned future.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the returned future, or passing a deadline, aborts every task that has
    /// not finished, and does not wait for it. An aborted task ends at its next yield; a task that
    /// never yields runs to completion.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Barrier;
    ///
    /// # #[tokio::main(flavor = "multi_thread", worker_threads = 2)]
    /// # async fn main() {
    /// // Each blocks its thread until the other arrives: a single thread would deadlock.
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
        let (created_at, place) = (self.place(), Location::caller());
        let spawned = self.wrap(|future, name| Spawned {
            future: Some(future),
            name: name.map(str::to_owned),
            task: None,
            claim: None,
            place,
        });
        let Some(mut spawned) = spawned else {
            panic!("the `settle_all` at {created_at} was polled already when `spawned` was called");
        };
        spawned.origin.is_spawned = true;
        spawned
    }
}

/// Future of one task of [`spawned`](SettleAll::spawned). Its output is that of the task.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Spawned<F: Future> {
    /// `None` once the task was spawned.
    future: Option<Pin<Box<F>>>,
    name: Option<String>,
    task: Option<JoinHandle<F::Output>>,
    /// Claims the task's panic for this combinator. Dropped unfulfilled, it leaves the panic to the leak
    /// check.
    claim: Option<Claim>,
    /// The call of `spawned`, which reports show as the place of the spawn.
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
            this.task = Some(begun_or_not!(tracked => tokio::spawn(tracked)));
        }
        let Some(task) = &mut this.task else {
            // `tokio::spawn` panicked: there is no runtime.
            unreachable!("a future that panicked is not polled again");
        };
        // Tokio completes the handle only after it has dropped the task's future.
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

/// The future is pinned only once it has moved into its task.
impl<F: Future> Unpin for Spawned<F> {}

impl<F: Future> Drop for Spawned<F> {
    fn drop(&mut self) {
        // Does nothing to a task that has finished.
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
