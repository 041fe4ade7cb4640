//! Spawning tasks that the leak check knows everything of.

use std::borrow::Cow;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use pin_project::{pin_project, pinned_drop};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::contain::{contain, discard};
use crate::leak::record::claim::{Claim, Claimed};
use crate::leak::record::hooks::{self, Paused};
use crate::leak::record::panic_hook;
use crate::leak::record::session::Session;
use crate::leak::record::task::{Kind, Task};
use crate::panic::Panic;
use crate::schedule::steering;

/// Spawns a task as [`tokio::spawn`] does, and tracks it.
///
/// If the task outlives a [`LeakCheck`](crate::LeakCheck) of its runtime, the report says where it
/// was spawned, by whom, how often it was polled and where it waits. Without a leak check this is
/// [`tokio::spawn`], and costs a look at an atomic more.
///
/// To track spawns without an edit to the code that spawns see [`straggler::tokio`](mod@crate::tokio).
///
/// # Panics
///
/// If it is called outside of a tokio runtime, as [`tokio::spawn`].
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
    let (tracked, _spawning) = track(future, Kind::Tracked, None, Location::caller());
    tokio::spawn(tracked)
}

/// Spawns a task as [`spawn`] does, with a name for reports.
///
/// # Panics
///
/// If it is called outside of a tokio runtime.
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
    let (tracked, _spawning) = track(future, Kind::Tracked, name, Location::caller());
    tokio::spawn(tracked)
}

/// Spawns a task on this thread as [`tokio::task::spawn_local`] does, and tracks it.
///
/// A task of a `LocalSet` is dropped with it, and so is no leak when the set is a variable of the
/// test. It is reported if it outlives the test all the same, because the set does.
///
/// # Panics
///
/// If it is called outside of a `LocalSet` and of a `LocalRuntime`, as
/// [`tokio::task::spawn_local`].
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
    let (tracked, _spawning) = track(future, Kind::Local, None, Location::caller());
    tokio::task::spawn_local(tracked)
}

/// Runs a closure on a thread for blocking work as [`tokio::task::spawn_blocking`] does, and tracks
/// it.
///
/// If the closure outlives a [`LeakCheck`](crate::LeakCheck) of its runtime, the report says where
/// it was spawned and by whom. Tasks that the closure spawns are reported with the place of this
/// call.
///
/// # Panics
///
/// If it is called outside of a tokio runtime, as [`tokio::task::spawn_blocking`].
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

/// Spawns a helper that is meant to run as long as the test does.
///
/// When the body of the test has ended the task is aborted: it is no leak, unless it does not
/// yield and so cannot be stopped. Its panic still counts, as long as the body runs: the check
/// fails then, even if nobody awaits the handle. What the helper itself has spawned is not stopped
/// with it.
///
/// Without a leak check this is [`tokio::spawn`].
///
/// # Panics
///
/// If it is called outside of a tokio runtime.
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
    let (tracked, _spawning) = track(future, Kind::Background, None, Location::caller());
    let record = tracked.record.as_ref();
    let record = record.map(|record| (Arc::clone(&record.session), Arc::clone(&record.task)));
    let handle = tokio::spawn(tracked);
    if let Some((session, task)) = record {
        session.add_background(&task, handle.abort_handle());
    }
    handle
}

/// Makes the future of a task that is spawned in the current runtime before the other value is
/// dropped.
pub(crate) fn track<F>(
    future: F,
    kind: Kind,
    name: Option<Cow<'static, str>>,
    spawned_at: &'static Location<'static>,
) -> (Tracked<F>, Spawning) {
    track_in(Session::current(), future, kind, name, spawned_at)
}

/// Makes the future of a task as [`track`] does whose result a combinator claims.
pub(crate) fn track_claimed<F>(
    future: F,
    name: Option<Cow<'static, str>>,
    spawned_at: &'static Location<'static>,
) -> (Tracked<F>, Spawning, Option<Claim>) {
    let (mut tracked, spawning) = track(future, Kind::Tracked, name, spawned_at);
    let claim = tracked.record.as_mut().map(|record| {
        let (claimed, claim) = Claim::new(&record.session);
        record.claimed = Some(claimed);
        claim
    });
    (tracked, spawning, claim)
}

/// Makes the future of a task that is spawned in another runtime, as [`track`] does.
pub(crate) fn track_on<F>(
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

fn track_in<F>(
    session: Option<Arc<Session>>,
    future: F,
    kind: Kind,
    name: Option<Cow<'static, str>>,
    spawned_at: &'static Location<'static>,
) -> (Tracked<F>, Spawning) {
    let record = session.map(|session| Recorded {
        task: session.begin(kind, name, spawned_at),
        session,
        claimed: None,
    });
    let local = record.as_ref().filter(|_| kind == Kind::Local);
    let spawning = Spawning {
        local: local.and_then(|record| Some((Arc::clone(&record.task), alive()?))),
        _paused: hooks::pause(),
    };
    let future = Some(future);
    (Tracked { future, record }, spawning)
}

/// A spawn that is under way. Until it is dropped the hooks do not report the task a second time.
#[derive(Debug)]
pub(crate) struct Spawning {
    /// A local task, and how many tasks were alive before it.
    local: Option<(Arc<Task>, usize)>,
    _paused: Paused,
}

impl Drop for Spawning {
    fn drop(&mut self) {
        // Nothing but the count tells whether the task is the runtime's or a `LocalSet`'s. Both run
        // on this thread, so no other task of theirs comes or goes meanwhile.
        if let Some((task, before)) = self.local.take() {
            if alive() > Some(before) {
                task.set_counted();
            }
        }
    }
}

/// How many tasks of the current runtime are alive.
fn alive() -> Option<usize> {
    Some(Handle::try_current().ok()?.metrics().num_alive_tasks())
}

/// Makes the closure of blocking work, in which spawns are charged to it.
pub(crate) fn track_blocking<R>(
    run: impl FnOnce() -> R,
    session: Option<Arc<Session>>,
    spawned_at: &'static Location<'static>,
) -> impl FnOnce() -> R {
    track_closure(run, Kind::Blocking, session, spawned_at)
}

/// Makes a closure of the check's own, which is nobody's leak.
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
    let record = session.map(|session| Recorded {
        task: session.begin(kind, None, spawned_at),
        session,
        claimed: None,
    });
    move || match &record {
        Some(record) => {
            contain(|| record.task.run(run)).unwrap_or_else(|panic| record.should_continue(panic))
        }
        None => run(),
    }
}

/// Future of a tracked task.
#[pin_project(PinnedDrop)]
#[derive(Debug)]
pub(crate) struct Tracked<F> {
    /// `None` while it is dropped.
    #[pin]
    future: Option<F>,
    /// Dropped after the future: a task has not ended before its variables are gone.
    record: Option<Recorded>,
}

/// The record of a task, which ends when this is dropped.
#[derive(Debug)]
struct Recorded {
    session: Arc<Session>,
    task: Arc<Task>,
    /// Who answers for its panics, if that is not the check.
    claimed: Option<Claimed>,
}

impl Recorded {
    /// Notes that the task panicked.
    fn note(&self, panic: &Panic) {
        let panicked = panic_hook::of_tracked(&self.task, panic);
        match &self.claimed {
            Some(claimed) => claimed.note_panic(&self.session, panicked),
            None => self.session.note_panic(panicked),
        }
    }

    /// Notes that the task panicked, and lets the panic go on.
    fn should_continue(&self, panic: Panic) -> ! {
        self.note(&panic);
        resume_unwind(panic.into_payload())
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let future = this.future.as_pin_mut();
        let future = future.expect("what is dropped is not polled");
        let Some(record) = this.record else {
            return future.poll(context);
        };
        let poll = |context: &mut Context<'_>| future.poll(context);
        contain(|| record.task.poll(context, poll))
            .unwrap_or_else(|panic| record.should_continue(panic))
    }
}

/// A panic of the future when it is dropped is the task's.
#[pinned_drop]
impl<F> PinnedDrop for Tracked<F> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        let Some(record) = this.record else {
            return;
        };
        let dropped = contain(|| record.task.enter(|| this.future.set(None)));
        match dropped {
            Err(panic) if thread::panicking() => {
                record.note(&panic);
                discard(panic);
            }
            Err(panic) => record.should_continue(panic),
            Ok(()) => {}
        }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if !self.task.kind.is_closure() {
            steering::forget_task(self.task.number, || self.task.label());
        }
        self.session.end(&self.task);
    }
}
