//! `joined`: waits for a task that returns a `Result`, and for nothing that has to be unwrapped twice.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;

use crate::panic::Panic;

/// Waits for a task that returns a `Result`, and returns that.
///
/// A handle of such a task returns a `Result` in a `Result`, of which
/// [`barrier`](crate::barrier()) and [`Settled`](crate::Settled) see the outer one alone: an error of
/// the task would count as a value, and its panic as an error. Through `joined` an error is an error
/// and a panic a panic:
///
/// | the task | returns |
/// |---|---|
/// | returned `Ok` | its value |
/// | returned `Err` | [`JoinedError::Task`], with its error |
/// | panicked | nothing: the panic goes on here, with its original payload |
/// | was cancelled | [`JoinedError::Cancelled`] |
///
/// It is for tasks that are spawned already, also by others, and for blocking work
/// (`spawn_blocking`). A [`limit`](crate::future::SettleAll::limit) cannot hold those back, and a deadline
/// does not stop them. If the futures are still at hand, [`spawned`](crate::future::SettleAll::spawned) has
/// them run on tasks, too, and needs no `joined`.
///
/// The handle of a task that returns a plain value needs no `joined` either: it is a future of one
/// `Result`, so `barrier(handles)` returns the values or the first
/// [`JoinError`](tokio::task::JoinError). Only that a panic counts as an error there. For it to be a
/// panic let the task return a `Result` whose error cannot be:
/// `Ok::<_, std::convert::Infallible>(value)`.
///
/// # Errors
///
/// The returned future's output is a [`JoinedError`] if the task returned an error or was cancelled.
///
/// # Panics
///
/// The returned future panics when polled
/// - if the task panicked, with the original payload. In [`settle_all`](crate::settle_all()) and
///   [`barrier`](crate::barrier()) it so becomes the panic of that child, and the others are driven to
///   their ends. The panic hook ran once, in the task.
/// - if it is polled again after it was ready.
///
/// # Cancel safety
///
/// Cancel safe: passed as `&mut` it can be gone on with. Dropping the returned future leaves the task
/// running, as dropping its handle does, and what the task returns is lost. To stop it, keep an
/// [`abort_handle`](JoinHandle::abort_handle).
///
/// # Examples
///
/// ```
/// use straggler::{JoinedError, barrier, joined};
///
/// async fn save(name: &str) -> Result<usize, &'static str> {
///     if name.is_empty() { Err("a user needs a name") } else { Ok(name.len()) }
/// }
///
/// # tokio_test::block_on(async {
/// let tasks = ["ada", "", "bob"].map(|name| tokio::spawn(save(name)));
/// let result = barrier(tasks.map(joined)).await;
/// assert_eq!(result, Err(JoinedError::Task("a user needs a name")));
/// # });
/// ```
pub fn joined<T, E>(handle: JoinHandle<Result<T, E>>) -> Joined<T, E> {
    Joined { handle }
}

/// Future for the [`joined`] function.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Joined<T, E> {
    handle: JoinHandle<Result<T, E>>,
}

impl<T, E> Future for Joined<T, E> {
    type Output = Result<T, JoinedError<E>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.handle).poll(context)) {
            Ok(result) => result.map_err(JoinedError::Task),
            Err(error) => match error.try_into_panic() {
                Ok(payload) => Panic::new(payload).resume(),
                Err(_) => Err(JoinedError::Cancelled),
            },
        })
    }
}

impl<T, E> fmt::Debug for Joined<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joined")
            .field("task", &self.handle.id())
            .finish_non_exhaustive()
    }
}

/// Why a task that was [`joined`] has no value.
///
/// It is an `Error` if `E` is one, whose text it tells, so that it has no source besides.
///
/// # Examples
///
/// ```
/// use straggler::{JoinedError, joined};
///
/// # tokio_test::block_on(async {
/// let task = tokio::spawn(std::future::pending::<Result<(), &str>>());
/// task.abort();
/// let error = joined(task).await.unwrap_err();
///
/// assert_eq!(error, JoinedError::Cancelled);
/// assert!(error.to_string().starts_with("the task was aborted"));
/// # });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinedError<E> {
    /// The task ended with this error.
    #[error("the task returned an error: {0:#}")]
    Task(E),
    /// The task was aborted, or its runtime was shut down, before it ended.
    #[error("the task was aborted, or its runtime was shut down, before it ended")]
    Cancelled,
}
