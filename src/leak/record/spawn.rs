//! `spawn` and its siblings: spawning tasks that the leak check tracks.

use std::borrow::Cow;
use std::mem;
use std::panic::Location;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinHandle, LocalSet};

use crate::boxed::boxed_if_large;
use crate::contain::contain;
use crate::leak::record::claim::Claim;
use crate::leak::record::hooks::{self, Paused};
use crate::leak::record::session::Session;
use crate::leak::record::task::{Kind, Task};
use crate::leak::record::tracked::{Recorded, Tracked};
use crate::schedule::abortable::Abortable;
use crate::schedule::eager::{self, Begun};
use crate::schedule::steering;

/// Spawns a task like [`tokio::spawn`], and tracks it.
///
/// If the task outlives a [`LeakCheck`](crate::LeakCheck) of its runtime, the report says where it
/// was spawned, by whom, how often it was polled and where it waits. Without a leak check this is
/// [`tokio::spawn`] plus one atomic load.
///
/// To track spawns without editing the code, see [`straggler::tokio`](mod@crate::tokio).
///
/// # Panics
///
/// Panics if called outside a tokio runtime.
///
/// # Examples
///
/// ```
/// # tokio_test::block_on(async {
/// assert_eq!(straggler::spawn(async { 1 + 1 }).await.unwrap(), 2);
/// # });
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    boxed_if_large!(future: F => {
        let (tracked, _spawning) = track(future, Kind::Tracked, None, Location::caller());
        begun_or_not!(tracked => tokio::spawn(tracked))
    })
}

/// Spawns a tracked task like [`spawn`], with a name for reports.
///
/// # Panics
///
/// Panics if called outside a tokio runtime.
///
/// # Examples
///
/// ```
/// use straggler::LeakCheck;
///
/// let report = LeakCheck::new().run(async {
///     straggler::spawn_named("janitor", std::future::pending::<()>());
/// });
/// assert_eq!(report.unwrap_err().tasks()[0].name(), Some("janitor"));
/// ```
#[track_caller]
pub fn spawn_named<F>(name: impl Into<Cow<'static, str>>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let name = Some(name.into());
    boxed_if_large!(future: F => {
        let (tracked, _spawning) = track(future, Kind::Tracked, name, Location::caller());
        begun_or_not!(tracked => tokio::spawn(tracked))
    })
}

/// Spawns a tracked task like [`spawn`] that a test with [`Explore::cancel`](crate::Explore::cancel) or
/// [`Explore::cancel_in_schedules`](crate::Explore::cancel_in_schedules) aborts.
///
/// In such a test the task is the operation: the body runs once for each place at which the task can be
/// suspended, and there the task is aborted, as by [`JoinHandle::abort`]. That differs from a drop of the
/// future, as by [`cancellable`](crate::cancellable):
/// - The task ends between two of its polls, and the runtime drops what it holds.
/// - The [`JoinHandle`] returns a [`JoinError`](tokio::task::JoinError) that
///   [is cancelled](tokio::task::JoinError::is_cancelled).
/// - A task that is done cannot be aborted, so its output is never lost.
///
/// Everywhere else it is [`spawn`]. A test that neither polls such a task nor an operation inside `cancellable`
/// fails: it cancels nothing.
///
/// # Panics
///
/// Panics if called outside a tokio runtime.
///
/// # Cancel safety
///
/// Dropping the [`JoinHandle`] detaches the task: it keeps running.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use straggler::Explore;
/// use tokio::sync::Mutex;
///
/// let failure = Explore::new().cancel().find(|| async {
///     let accounts = Arc::new([Mutex::new(100), Mutex::new(0)]);
///     let transfer = straggler::spawn_abortable({
///         let accounts = Arc::clone(&accounts);
///         async move {
///             *accounts[0].lock().await -= 40;
///             *accounts[1].lock().await += 40;
///         }
///     });
///     if let Err(error) = transfer.await {
///         assert!(error.is_cancelled());
///     }
///     assert_eq!(*accounts[0].lock().await + *accounts[1].lock().await, 100, "money was lost");
/// });
/// let failure = failure.unwrap_err();
/// assert!(failure.message().unwrap().contains("money was lost"), "{failure}");
/// ```
#[track_caller]
pub fn spawn_abortable<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let task = Arc::new(OnceLock::new());
    let future = Abortable::new(future, Arc::clone(&task));
    // It must not begin inside the spawn: nobody could abort it there.
    let handle = boxed_if_large!(future: Abortable<F> => {
        let (tracked, _spawning) = track(future, Kind::Tracked, None, Location::caller());
        tokio::spawn(tracked)
    });
    _ = task.set(handle.abort_handle());
    handle
}

/// Spawns a task on this thread like [`tokio::task::spawn_local`], and tracks it.
///
/// Dropping a `LocalSet` drops its tasks, so a set that is a local variable of the test leaks none.
/// If the set outlives the test, its unfinished tasks are reported.
///
/// # Panics
///
/// Panics if called outside a `LocalSet` and a `LocalRuntime`.
///
/// # Examples
///
/// ```
/// let check = straggler::LeakCheck::new().local();
/// let sum = check.run(async { straggler::spawn_local(async { 1 + 1 }).await.unwrap() });
/// assert_eq!(sum.unwrap(), 2);
/// ```
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    boxed_if_large!(future: F => {
        let (tracked, _spawning) = track(future, Kind::Local, None, Location::caller());
        tokio::task::spawn_local(tracked)
    })
}

/// Runs a closure on a blocking thread like [`tokio::task::spawn_blocking`], and tracks it.
///
/// If the closure outlives a [`LeakCheck`](crate::LeakCheck) of its runtime, the report says where
/// it was spawned and by whom. The report of a task that the closure spawns names this call as the
/// spawner.
///
/// # Panics
///
/// Panics if called outside a tokio runtime.
///
/// # Examples
///
/// ```
/// # tokio_test::block_on(async {
/// assert_eq!(straggler::spawn_blocking(|| 1 + 1).await.unwrap(), 2);
/// # });
/// ```
#[track_caller]
pub fn spawn_blocking<F, R>(run: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    tokio::task::spawn_blocking(track_blocking(run, Session::current(), Location::caller()))
}

/// Spawns a helper task that runs as long as the test, such as a server under test.
///
/// Straggler aborts it after the body, so it is not a leak unless it never yields. A panic of the
/// helper while the body runs still fails the check. Tasks that the helper spawns are not aborted
/// with it.
///
/// Without a leak check this is [`tokio::spawn`].
///
/// # Panics
///
/// Panics if called outside a tokio runtime.
///
/// # Examples
///
/// ```
/// use straggler::LeakCheck;
/// use tokio::sync::mpsc;
///
/// let doubled = LeakCheck::new().run(async {
///     let (requests, mut queue) = mpsc::channel(1);
///     let (replies, mut answers) = mpsc::channel(1);
///     straggler::background(async move {
///         loop {
///             let Some(request) = queue.recv().await else { std::future::pending().await };
///             replies.send(request * 2).await.unwrap();
///         }
///     });
///     requests.send(21).await.unwrap();
///     answers.recv().await
/// });
/// assert_eq!(doubled.unwrap(), Some(42));
/// ```
#[track_caller]
pub fn background<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (handle, record) = boxed_if_large!(future: F => {
        let (tracked, _spawning) = track(future, Kind::Background, None, Location::caller());
        let record = tracked.session_and_task();
        (tokio::spawn(tracked), record)
    });
    if let Some((session, task)) = record {
        session.add_background(&task, handle.abort_handle());
    }
    handle
}

/// Evaluates `$spawn` with `$tracked`, which may have begun already.
macro_rules! begun_or_not {
    ($tracked:ident => $spawn:expr) => {
        match $crate::leak::record::spawn::begin($tracked) {
            ::std::result::Result::Ok($tracked) => $spawn,
            ::std::result::Result::Err($tracked) => $spawn,
        }
    };
}
pub(crate) use begun_or_not;

/// Begins a task inside its spawn, if the run that this thread explores decides so.
///
/// # Errors
///
/// The task, if it has not begun.
pub(crate) fn begin<F>(tracked: Tracked<F>) -> Result<Begun<F::Output>, Tracked<F>>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    if !steering::is_on() {
        return Err(tracked);
    }
    let Some((_, task)) = tracked.session_and_task() else {
        return Err(tracked);
    };
    hooks::resumed(|| eager::begin(tracked, || task.label()))
}

/// Wraps the future of a task that the caller spawns in the current runtime.
///
/// The caller drops the [`Spawning`] after the spawn.
pub(crate) fn track<F: Future>(
    future: F,
    kind: Kind,
    name: Option<Cow<'static, str>>,
    spawned_at: &'static Location<'static>,
) -> (Tracked<F>, Spawning) {
    track_in(Session::current(), future, kind, name, spawned_at)
}

/// Wraps the future of a task like [`track`], and claims its result for a combinator.
pub(crate) fn track_claimed<F: Future>(
    future: F,
    name: Option<Cow<'static, str>>,
    spawned_at: &'static Location<'static>,
) -> (Tracked<F>, Spawning, Option<Claim>) {
    let (mut tracked, spawning) = track(future, Kind::Tracked, name, spawned_at);
    let claim = tracked.claim();
    (tracked, spawning, claim)
}

/// Wraps the future of a task like [`track`], for a spawn in another runtime.
pub(crate) fn track_on<F: Future>(
    runtime: &Handle,
    future: F,
    spawned_at: &'static Location<'static>,
) -> (Tracked<F>, Spawning) {
    track_in(
        Session::of(runtime),
        future,
        Kind::Tracked,
        None,
        spawned_at,
    )
}

fn track_in<F: Future>(
    session: Option<Arc<Session>>,
    future: F,
    kind: Kind,
    name: Option<Cow<'static, str>>,
    spawned_at: &'static Location<'static>,
) -> (Tracked<F>, Spawning) {
    let local = session.clone().filter(|_| kind == Kind::Local);
    let record = session.map(|session| Recorded::begin(session, kind, name, spawned_at));
    let spawning = Spawning {
        local: local.zip(record.as_ref().map(|record| Arc::clone(record.task()))),
        _paused: hooks::pause(),
    };
    (Tracked::new(future, record), spawning)
}

/// A spawn in progress, which keeps the hooks from recording the task a second time.
#[derive(Debug)]
pub(crate) struct Spawning {
    /// A task from `spawn_local`, and its session.
    local: Option<(Arc<Session>, Arc<Task>)>,
    _paused: Paused,
}

impl Drop for Spawning {
    fn drop(&mut self) {
        // A spawn that panicked has dropped the task, and the probe would panic like it.
        if let Some((session, task)) = self.local.take().filter(|(s, task)| s.is_live(task)) {
            if session.is_local(local_tasks_join_runtime) {
                session.set_counted(&task);
            }
        }
    }
}

/// Returns whether the current runtime, rather than a `LocalSet`, takes the tasks of `spawn_local`.
///
/// tokio decides that by the runtime alone, but tells a `LocalRuntime` from a current-thread one
/// nowhere. The count of live tasks does not show it: other threads change it meanwhile. So this
/// spawns a task inside a `LocalSet` of its own, which drops the task if it took it.
fn local_tasks_join_runtime() -> bool {
    if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
        return false;
    }
    let (set, probed) = (LocalSet::new(), Rc::new(()));
    let entered = set.enter();
    let moved = Rc::clone(&probed);
    let probe = tokio::task::spawn_local(async move { drop(moved) });
    drop(entered);
    drop(set);
    probe.abort();
    Rc::strong_count(&probed) > 1
}

/// Wraps a blocking closure, so that it counts as the spawner of the tasks it spawns.
pub(crate) fn track_blocking<R>(
    run: impl FnOnce() -> R,
    session: Option<Arc<Session>>,
    spawned_at: &'static Location<'static>,
) -> impl FnOnce() -> R {
    // Boxed, since a large one would be on the stack of each function it moves through.
    track_closure(Box::new(run), Kind::Blocking, session, spawned_at)
}

/// Wraps a closure of the check itself, which is never a leak.
#[track_caller]
pub(crate) fn track_hold<R>(run: impl FnOnce() -> R) -> impl FnOnce() -> R {
    track_closure(run, Kind::Hold, Session::current(), Location::caller())
}

fn track_closure<R>(
    run: impl FnOnce() -> R,
    kind: Kind,
    session: Option<Arc<Session>>,
    spawned_at: &'static Location<'static>,
) -> impl FnOnce() -> R {
    let mut record = session.map(|session| Recorded::begin(session, kind, None, spawned_at));
    move || {
        let Some(record) = &mut record else {
            return run();
        };
        let output = contain(|| record.task().run(run));
        let output = output.unwrap_or_else(|panic| record.resume(panic));
        record.has_output = mem::needs_drop::<R>();
        output
    }
}
