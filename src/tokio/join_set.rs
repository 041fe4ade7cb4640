//! tokio's `JoinSet` with tracked spawns.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;

use ::tokio::runtime::Handle;
use ::tokio::task::{AbortHandle, LocalSet};

use crate::boxed::boxed_if_large;
use crate::leak::record::session::Session;
use crate::leak::record::spawn::{begun_or_not, track, track_blocking, track_on};
use crate::leak::record::task::Kind;

/// A [`tokio::task::JoinSet`] that tracks its tasks.
///
/// It derefs to tokio's set, so all methods of tokio's set work. Dropping the set aborts its tasks, as
/// tokio's does. `into()` converts to and from tokio's set, for dependencies that take or return one.
///
/// # Examples
///
/// ```
/// use straggler::tokio::runtime::Handle;
/// use straggler::tokio::task::JoinSet;
///
/// # tokio_test::block_on(async {
/// let mut set: JoinSet<u8> = [1, 2].map(|number| async move { number }).into_iter().collect();
/// set.spawn(async { 3 });
/// set.spawn_on(async { 4 }, &Handle::current());
/// set.spawn_blocking(|| 5);
/// assert_eq!(set.len(), 5);
/// assert_eq!(set.join_all().await.iter().sum::<u8>(), 15);
/// # });
/// ```
pub struct JoinSet<T>(::tokio::task::JoinSet<T>);

impl<T> JoinSet<T> {
    /// Creates an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self(::tokio::task::JoinSet::new())
    }
}

impl<T: 'static> JoinSet<T> {
    /// Spawns a tracked task in the set.
    ///
    /// See [`tokio::task::JoinSet::spawn`].
    ///
    /// # Panics
    ///
    /// Panics if called outside a tokio runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        boxed_if_large!(future: F => {
            let (tracked, _spawning) = track(future, Kind::Tracked, None, Location::caller());
            begun_or_not!(tracked => self.0.spawn(tracked))
        })
    }

    /// Spawns a tracked task in the set, on the runtime of `handle`.
    ///
    /// See [`tokio::task::JoinSet::spawn_on`].
    #[track_caller]
    pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        boxed_if_large!(future: F => {
            let (tracked, _spawning) = track_on(handle, future, Location::caller());
            self.0.spawn_on(tracked, handle)
        })
    }

    /// Spawns a tracked task in the set, on this thread.
    ///
    /// See [`tokio::task::JoinSet::spawn_local`].
    ///
    /// # Panics
    ///
    /// Panics if called outside a `LocalSet` and a `LocalRuntime`.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        boxed_if_large!(future: F => {
            let (tracked, _spawning) = track(future, Kind::Local, None, Location::caller());
            self.0.spawn_local(tracked)
        })
    }

    /// Spawns a task in the set, on `local_set`. The task is tracked if the call is inside a tokio runtime.
    ///
    /// See [`tokio::task::JoinSet::spawn_local_on`].
    #[track_caller]
    pub fn spawn_local_on<F>(&mut self, future: F, local_set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        boxed_if_large!(future: F => {
            let (tracked, _spawning) = track(future, Kind::InLocalSet, None, Location::caller());
            self.0.spawn_local_on(tracked, local_set)
        })
    }

    /// Runs a tracked closure on the blocking pool.
    ///
    /// See [`tokio::task::JoinSet::spawn_blocking`].
    ///
    /// # Panics
    ///
    /// Panics if called outside a tokio runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, run: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        let run = track_blocking(run, Session::current(), Location::caller());
        self.0.spawn_blocking(run)
    }

    /// Runs a tracked closure on the blocking pool of the runtime of `handle`.
    ///
    /// See [`tokio::task::JoinSet::spawn_blocking_on`].
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, run: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        let run = track_blocking(run, Session::of(handle), Location::caller());
        self.0.spawn_blocking_on(run, handle)
    }

    /// Waits for all tasks and returns their outputs in completion order. An empty set returns an empty
    /// vector.
    ///
    /// See [`tokio::task::JoinSet::join_all`].
    ///
    /// # Panics
    ///
    /// Panics if a task panicked or was aborted, and aborts the remaining tasks.
    ///
    /// # Cancel safety
    ///
    /// This method is not cancel safe: dropping the returned future aborts the tasks and loses their
    /// outputs.
    pub async fn join_all(self) -> Vec<T> {
        self.0.join_all().await
    }
}

impl<T> Deref for JoinSet<T> {
    type Target = ::tokio::task::JoinSet<T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for JoinSet<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<T> From<::tokio::task::JoinSet<T>> for JoinSet<T> {
    fn from(set: ::tokio::task::JoinSet<T>) -> Self {
        Self(set)
    }
}

impl<T> From<JoinSet<T>> for ::tokio::task::JoinSet<T> {
    fn from(set: JoinSet<T>) -> Self {
        set.0
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T, F> Extend<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    #[track_caller]
    fn extend<I: IntoIterator<Item = F>>(&mut self, futures: I) {
        // Not `for_each`: inside its closure `#[track_caller]` would report this line.
        for future in futures {
            self.spawn(future);
        }
    }
}

impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let mut set = Self::new();
        set.extend(futures);
        set
    }
}
