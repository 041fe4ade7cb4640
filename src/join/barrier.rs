//! `barrier`: waits for every future, then goes on with the values or the first error.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::join::settle_all::{SettleAll, settle_all};

/// Waits for every future to come to its end, then returns every value in input order or the
/// error that was first in time.
///
/// It waits as JavaScript's `Promise.allSettled` does, and then fails as `Promise.all` does: nothing passes
/// until all are through. It is not a rendezvous point for tasks, as [`std::sync::Barrier`] and `tokio::sync::Barrier` are.
///
/// Its result has the same type as that of `futures::future::try_join_all`, which it can replace:
/// where that one returns at the first error, and drops the other futures half-way or leaves the
/// tasks behind them running, `barrier` returns the same error when nothing is at work any more.
///
/// - Of no futures it is ready at once, with `Ok` of an empty `Vec`.
/// - It is [`settle_all`] with [`into_result`](crate::Settled::into_result) behind it: order, wakes
///   and fairness are described there.
/// - A future that waits for one that has failed may wait for ever, and `barrier` with it. To be
///   told who hangs, write the two apart with a deadline between them:
///   `settle_all(futures).timeout(after).await?.into_result()`. So the futures can be limited and
///   named too, and the values kept beside an error.
///
/// For futures of different types there is [`barrier!`](crate::barrier!).
///
/// # Errors
///
/// The returned future's output is the error that was first in time, if any future returned one.
/// The values and the other errors are dropped.
///
/// # Panics
///
/// As [`settle_all`]: a panic of one of the futures outranks every error, whichever was first.
/// If a value or an error that is not returned panics when it is dropped, all are dropped, and the
/// first of these panics goes on.
///
/// # Cancel safety
///
/// Not cancel safe, as [`settle_all`].
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use straggler::barrier;
///
/// # tokio_test::block_on(async {
/// let written = Cell::new(false);
/// let result = barrier([0, 1].map(|index| {
///     let written = &written;
///     async move {
///         if index == 0 {
///             return Err("disk full");
///         }
///         tokio::task::yield_now().await;
///         written.set(true);
///         Ok(())
///     }
/// }))
/// .await;
///
/// assert_eq!(result, Err("disk full"));
/// assert!(written.get(), "the second future was driven to its end");
/// # });
/// ```
#[track_caller]
pub fn barrier<I, T, E>(futures: I) -> Barrier<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator,
    I::Item: IntoFuture<Output = Result<T, E>>,
{
    Barrier(settle_all(futures))
}

/// Future for the [`barrier`] function.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Barrier<F: Future>(SettleAll<F>);

impl<F, T, E> Future for Barrier<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<Vec<T>, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(context)).into_result())
    }
}

impl<F: Future> fmt::Debug for Barrier<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Barrier").field(&self.0).finish()
    }
}
