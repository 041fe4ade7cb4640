//! `barrier`: waits for every future, then returns the values or the first error.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::join::settle_all::{SettleAll, settle_all};

/// Waits for every future, then returns all values in input order or the first error in time.
///
/// It replaces `futures::future::try_join_all`, whose output has the same type. `try_join_all`
/// returns at the first error: it drops the other futures halfway and leaves their tasks running.
/// `barrier` returns the same error, but only after every future has finished.
///
/// - `barrier(futures)` is [`settle_all(futures)`](settle_all) followed by
///   [`into_result`](crate::Settled::into_result). Order, wake-ups and fairness are those of
///   `settle_all`.
/// - Without futures it returns `Ok` with an empty `Vec` at the first poll.
/// - If one future waits for another that has failed, both hang. Use
///   `settle_all(futures).timeout(after).await?.into_result()` instead: the error names the futures
///   that hang. That form also takes a limit and names.
/// - For futures of different types use [`barrier!`](crate::barrier!).
///
/// It is not a meeting point for tasks like [`std::sync::Barrier`]: for that, use
/// [`Rendezvous`](crate::Rendezvous).
///
/// # Errors
///
/// The returned future's output is the first error in time, if any future returned one. The values
/// and the later errors are dropped.
///
/// # Panics
///
/// The returned future panics as that of [`settle_all`] does. A panic outranks every error, even an
/// earlier one. It also panics if dropping a value or a later error panics: all of them are dropped,
/// then the first of these panics resumes.
///
/// # Cancel safety
///
/// Not cancel safe: dropping the returned future drops every pending future and every result, see
/// [`settle_all`].
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
/// assert!(written.get(), "the second future finished too");
/// # });
/// ```
#[track_caller]
pub fn barrier<I, T, E>(futures: I) -> Barrier<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator,
    I::Item: FallibleFuture<T, E>,
{
    Barrier(settle_all(futures))
}

/// Stands for `IntoFuture<Output = Result<T, E>>`.
///
/// Every such type implements it. It exists for the compile error, which says what to return.
#[diagnostic::on_unimplemented(
    message = "`barrier` needs futures that return `Result<_, {E}>`",
    label = "this does not return `Result<_, {E}>`",
    note = "every future of a `barrier` returns a `Result`, and all have the same error type",
    note = "end the future with `Ok(..)`, convert its error, or use `settle_all` or `settle!` if it cannot fail"
)]
#[expect(unnameable_types, reason = "no caller writes it")]
pub trait FallibleFuture<T, E>: IntoFuture<Output = Result<T, E>> {}

// Without the attribute the compiler reports the bound of this impl, a bare E0271, and not the
// message above. A bound on the output alone would report it too, but breaks type inference for
// futures that only panic.
#[diagnostic::do_not_recommend]
impl<F, T, E> FallibleFuture<T, E> for F where F: IntoFuture<Output = Result<T, E>> {}

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

#[cfg(test)]
mod tests {
    use super::barrier;

    // A bound that knows of `Result` only through a trait fails this: the compiler then takes the
    // output of a future that only panics to be `!`.
    #[test]
    fn barrier_infers_result_of_diverging_future() {
        let joined: Box<dyn Future<Output = Result<Vec<u8>, String>>> =
            Box::new(barrier([async { panic!("never polled") }]));
        drop(joined);
    }
}
