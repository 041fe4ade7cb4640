//! `joined`: waits for a task that returns a `Result`, and flattens the nested `Result`.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;

use crate::panic::Panic;

/// Waits for a task that returns a `Result`, and returns that `Result`.
///
/// The task's handle returns a nested `Result`. [`barrier`](crate::barrier()) and
/// [`Settled`](crate::Settled) see only the outer one: they would count the task's error as a value
/// and its panic as an error. `joined` keeps them apart:
///
/// | the task | the output of `joined` |
/// |---|---|
/// | returned `Ok` | its value |
/// | returned `Err` | [`JoinedError::Task`] with its error |
/// | panicked | none: the panic resumes here, with its original payload |
/// | was cancelled | [`JoinedError::Cancelled`] |
///
/// Use it for tasks that you spawned yourself, and for `spawn_blocking`.
///
/// - A [`limit`](crate::future::SettleAll::limit) does not hold these tasks back, and a deadline does
///   not stop them. If you have the futures, use [`spawned`](crate::future::SettleAll::spawned)
///   instead: it runs them on tasks and needs no `joined`.
/// - The handle of a task that returns a plain value needs no `joined`: `barrier(handles)` returns the
///   values or the first [`JoinError`](tokio::task::JoinError). A panic is an error there. To get the
///   panic, let the task return `Ok::<_, std::convert::Infallible>(value)` and use `joined`.
///
/// # Errors
///
/// The returned future's output is a [`JoinedError`] if the task returned an error or was cancelled.
///
/// # Panics
///
/// The returned future panics when polled
/// - if the task panicked, with the original payload. In [`settle_all`](crate::settle_all()) and
///   [`barrier`](crate::barrier()) this is the panic of that child: the other children still run to
///   completion. The panic hook ran once, in the task.
/// - if it is polled again after it was ready.
///
/// # Cancel safety
///
/// Cancel safe: pass `&mut` to it, and you can resume it later. Dropping the returned future detaches
/// the task, as dropping its handle does: the task keeps running and its result is lost. To stop it,
/// keep an [`abort_handle`](JoinHandle::abort_handle).
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

/// The error of a task that was [`joined`].
///
/// It implements `Error` if `E` does. Its text includes that of the task's error, so it has no
/// `source`.
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
    /// The task returned this error.
    #[error("the task returned an error: {0:#}")]
    Task(E),
    /// The task was aborted, or its runtime was shut down, before it ended.
    #[error("the task was aborted, or its runtime was shut down, before it ended")]
    Cancelled,
}
