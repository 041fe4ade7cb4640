//! The record of one test: the only state that threads share.

use std::borrow::Cow;
use std::mem;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Instant;

use rustc_hash::FxHashMap;
use tokio::runtime::{Handle, Id};
use tokio::task::{self, AbortHandle};

use crate::leak::record::locks::{Entrant, InTest, Locks};
use crate::leak::record::panics::{Panicked, Watermark};
use crate::leak::record::task::{Kind, Spawner, Task};
use crate::leak::record::thread_runtime;
use crate::mutex::lock;

/// The record of the tasks of one runtime.
///
/// It is there from when somebody watches the runtime until nobody does and every task on record
/// has ended. Whoever watches the same runtime meanwhile shares it.
#[derive(Debug)]
pub(crate) struct Session {
    runtime: Id,
    last_number: AtomicUsize,
    record: Mutex<Record>,
    /// The panics that ended a task, or may have. By itself, so that a thread that panics can add to
    /// them whatever it was at.
    panics: Mutex<Panics>,
    /// The locks that are held or waited for. By itself too: who acquires one looks at no task.
    locks: Arc<Mutex<Locks>>,
}

#[derive(Debug, Default)]
struct Record {
    /// The tasks that have not ended.
    live: FxHashMap<Key, Arc<Task>>,
    /// The numbers of the background tasks, and how to stop them.
    background: Vec<(usize, AbortHandle)>,
    /// How many checks have stopped them and are not at their end: one that comes late is stopped
    /// at once.
    stopping: usize,
}

#[derive(Debug, Default)]
struct Panics {
    last_number: usize,
    /// Those that no check has taken, each with its number.
    noted: Vec<(usize, Panicked)>,
}

/// What keeps threads of a runtime busy, or waits for one, and is on record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AtWork {
    /// Closures, and tasks: once the runtime has shut down, those are inside a poll or a drop.
    pub(crate) running: usize,
    /// Closures.
    pub(crate) queued: usize,
}

/// What a task is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Number(usize),
    #[cfg_attr(not(tokio_unstable), allow(dead_code, reason = "there are no hooks"))]
    Id(task::Id),
}

/// The sessions of all runtimes that are watched: about as many as there are threads that run tests,
/// and not enough to be worth a map.
static SESSIONS: RwLock<Vec<Watched>> = RwLock::new(Vec::new());

#[derive(Debug)]
struct Watched {
    runtime: Id,
    session: Weak<Session>,
}

/// How many there are, so that a spawn need not look where there is none.
static WATCHED: AtomicUsize = AtomicUsize::new(0);

impl Session {
    /// The session of a runtime that somebody begins to watch.
    pub(crate) fn open(runtime: &Handle) -> Arc<Self> {
        let runtime = runtime.id();
        let mut sessions = SESSIONS.write().unwrap_or_else(PoisonError::into_inner);
        let here = sessions.iter_mut().find(|known| known.runtime == runtime);
        if let Some(session) = here.as_ref().and_then(|known| known.session.upgrade()) {
            return session;
        }
        let session = Arc::new(Self {
            runtime,
            last_number: AtomicUsize::new(0),
            record: Mutex::default(),
            panics: Mutex::default(),
            locks: Arc::default(),
        });
        let weak = Arc::downgrade(&session);
        match here {
            // One that ends, and has not come to take itself out.
            Some(ending) => ending.session = weak,
            None => sessions.push(Watched {
                runtime,
                session: weak,
            }),
        }
        WATCHED.fetch_add(1, Ordering::Relaxed);
        session
    }

    /// The session of the runtime that the caller is in, if somebody watches it.
    pub(crate) fn current() -> Option<Arc<Self>> {
        if WATCHED.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Self::of(&Handle::try_current().ok()?)
    }

    /// The session of the runtime that the caller is in, or else of the one that started this thread.
    pub(crate) fn of_thread() -> Option<Arc<Self>> {
        if WATCHED.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let current = Self::current();
        current.or_else(|| Self::with_id(thread_runtime::started_by()?))
    }

    /// The session of a runtime, if somebody watches it.
    pub(crate) fn of(runtime: &Handle) -> Option<Arc<Self>> {
        Self::with_id(runtime.id())
    }

    fn with_id(runtime: Id) -> Option<Arc<Self>> {
        let sessions = SESSIONS.read().unwrap_or_else(PoisonError::into_inner);
        let mut sessions = sessions.iter();
        sessions
            .find(|known| known.runtime == runtime)?
            .session
            .upgrade()
    }

    /// The runtime that this is the session of.
    pub(crate) fn runtime(&self) -> Id {
        self.runtime
    }

    /// Locks the list of locks that are held or waited for in the test.
    pub(crate) fn locks(&self) -> MutexGuard<'_, Locks> {
        lock(&self.locks)
    }

    /// What a lock notes of whoever acquires it on this thread now.
    pub(crate) fn lock_entrant(&self) -> Entrant<'_> {
        let in_test = InTest {
            runtime: self.runtime,
            since: Instant::now(),
            by: self.spawner(),
        };
        (in_test, &self.locks)
    }

    /// Which task this thread runs.
    fn spawner(&self) -> Spawner {
        self.record().spawner()
    }

    /// What there was so far: what comes later has higher numbers.
    pub(crate) fn so_far(&self) -> Watermark {
        Watermark {
            last_task: self.last_number(),
            last_panic: self.panics().last_number,
        }
    }

    /// How many tasks were spawned so far: those with higher numbers come later.
    pub(crate) fn last_number(&self) -> usize {
        self.last_number.load(Ordering::Relaxed)
    }

    /// Begins the record of a task that is spawned by what this thread runs.
    pub(crate) fn begin(
        &self,
        kind: Kind,
        name: Option<Cow<'static, str>>,
        spawned_at: &'static Location<'static>,
    ) -> Arc<Task> {
        let mut record = self.record();
        let number = self.next_number();
        let spawner = record.spawner();
        let task = Arc::new(Task::new(number, kind, name, spawned_at, spawner));
        record.live.insert(Key::Number(number), Arc::clone(&task));
        task
    }

    /// Ends the record of a task that `begin` began.
    pub(crate) fn end(&self, task: &Task) {
        let ended = self.record().live.remove(&Key::Number(task.number));
        task.end();
        drop(ended);
    }

    /// Begins the record of a task that a hook of the runtime sees.
    #[cfg(tokio_unstable)]
    pub(crate) fn begin_hooked(&self, id: task::Id, spawned_at: &'static Location<'static>) {
        // Whose paths are relative is of the workspace, and says enough. To walk the stack takes
        // some 50 microseconds.
        let is_elsewhere = std::path::Path::new(spawned_at.file()).is_absolute();
        let stack = is_elsewhere.then(backtrace::Backtrace::new_unresolved);
        let mut record = self.record();
        let (number, spawner) = (self.next_number(), record.spawner());
        let mut task = Task::new(number, Kind::Hooked, None, spawned_at, spawner);
        task.stack = stack;
        record.live.insert(Key::Id(id), Arc::new(task));
    }

    /// Ends the record of a task that a hook of the runtime sees. Others are passed over: the
    /// runtime has tasks of its own, and tracked ones end by themselves.
    #[cfg(tokio_unstable)]
    pub(crate) fn end_hooked(&self, id: task::Id) {
        let ended = self.record().live.remove(&Key::Id(id));
        drop(ended);
    }

    /// Whether no task with a number above `after` is on record in any way.
    pub(crate) fn is_idle(&self, after: usize) -> bool {
        let record = self.record();
        record.background.is_empty()
            && (record.live.is_empty() || record.live.values().all(|task| task.number <= after))
    }

    /// The tasks with numbers above `after` that have not ended and should have, in the order in
    /// which they were spawned.
    pub(crate) fn leaked(&self, after: usize) -> Vec<Arc<Task>> {
        self.left(after, |kind| !kind.is_closure())
    }

    /// The blocking work with numbers above `after` that has not ended, in the same order.
    pub(crate) fn blocking(&self, after: usize) -> Vec<Arc<Task>> {
        self.left(after, |kind| kind == Kind::Blocking)
    }

    fn left(&self, after: usize, is_meant: impl Fn(Kind) -> bool) -> Vec<Arc<Task>> {
        let record = self.record();
        let is_left = |task: &&Arc<Task>| is_meant(task.kind) && task.number > after;
        let mut left: Vec<_> = record.live.values().filter(is_left).cloned().collect();
        left.sort_unstable_by_key(|task| task.number);
        left
    }

    /// What keeps threads of the runtime busy when it has been shut down: blocking work, and the
    /// tasks that could not be dropped.
    pub(crate) fn at_work(&self) -> AtWork {
        let record = self.record();
        let mut at_work = AtWork::default();
        for task in record.live.values() {
            if task.kind.is_closure() && !task.has_begun() {
                at_work.queued += 1;
            } else if task.kind.is_closure() || task.is_counted() {
                at_work.running += 1;
            }
        }
        at_work
    }

    /// How many of the tasks on record are among those that the runtime counts as alive.
    pub(crate) fn counted(&self) -> usize {
        let record = self.record();
        if record.live.is_empty() {
            return 0;
        }
        let counted = record.live.values().filter(|task| task.is_counted());
        counted.count()
    }

    /// Takes a note of how to stop a background task.
    pub(crate) fn add_background(&self, task: &Task, abort: AbortHandle) {
        let mut record = self.record();
        if record.stopping == 0 {
            record.background.push((task.number, abort));
            return;
        }
        drop(record);
        abort.abort();
    }

    /// Has the background tasks with numbers above `after` stopped as soon as they yield, and those
    /// that begin before the returned value is dropped.
    pub(crate) fn stop_background(&self, after: usize) -> Stopping<'_> {
        let mut record = self.record();
        record.stopping += 1;
        let all = mem::take(&mut record.background).into_iter();
        let (stopped, others): (Vec<_>, _) = all.partition(|(number, _)| *number > after);
        record.background = others;
        drop(record);
        // To abort a task may drop it, on the spot.
        for (_, abort) in stopped {
            abort.abort();
        }
        Stopping(self)
    }

    /// Notes that a task panicked.
    pub(crate) fn note_panic(&self, panicked: Panicked) {
        let mut panics = self.panics();
        panics.last_number += 1;
        let number = panics.last_number;
        panics.noted.push((number, panicked));
    }

    /// The panics that [`take_panics`](Self::take_panics) would take.
    pub(crate) fn panics_so_far(&self, began: Watermark) -> Vec<Panicked> {
        let panics = self.panics();
        let noted = panics.noted.iter();
        let of_check = noted.filter(|(number, panicked)| panicked.is_since(began, *number));
        of_check.map(|(_, panicked)| panicked.clone()).collect()
    }

    /// Takes the panics of tasks that a check is charged with.
    pub(crate) fn take_panics(&self, began: Watermark) -> Vec<Panicked> {
        let mut panics = self.panics();
        if panics.noted.is_empty() {
            return Vec::new();
        }
        let all = mem::take(&mut panics.noted).into_iter();
        let (taken, others): (Vec<_>, _) =
            all.partition(|(number, panicked)| panicked.is_since(began, *number));
        panics.noted = others;
        taken.into_iter().map(|(_, panicked)| panicked).collect()
    }

    fn panics(&self) -> MutexGuard<'_, Panics> {
        lock(&self.panics)
    }

    /// The task with this id, if a hook of the runtime saw it and it has not ended.
    pub(crate) fn hooked(&self, id: task::Id) -> Option<Arc<Task>> {
        self.record().live.get(&Key::Id(id)).cloned()
    }

    fn next_number(&self) -> usize {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        lock(&self.record)
    }
}

/// See [`Session::stop_background`].
#[derive(Debug)]
pub(crate) struct Stopping<'a>(&'a Session);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.record().stopping -= 1;
    }
}

impl Record {
    /// Who spawns what is spawned on this thread now.
    fn spawner(&self) -> Spawner {
        let id = task::try_id();
        if let Some(task) = id.and_then(|id| self.live.get(&Key::Id(id))) {
            return Spawner::Task(Arc::clone(task));
        }
        match (Task::current(), id) {
            // Tasks of a `LocalSet` are polled inside of the poll of another one, or of the body.
            (Some(task), id) if task.has_id(id) => Spawner::Task(task),
            (None, None) => Spawner::Thread,
            _ => Spawner::Unknown,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        WATCHED.fetch_sub(1, Ordering::Relaxed);
        let mut sessions = SESSIONS.write().unwrap_or_else(PoisonError::into_inner);
        // Another one may have been opened since the last reference to this one was given up.
        let is_this =
            |known: &Watched| known.runtime == self.runtime && known.session.strong_count() == 0;
        if let Some(at) = sessions.iter().position(is_this) {
            sessions.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{PoisonError, SESSIONS, Session};

    #[test]
    fn a_session_is_known_as_long_as_somebody_has_it() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.build().unwrap();
        let session = Session::open(runtime.handle());
        assert!(Arc::ptr_eq(&session, &Session::open(runtime.handle())));
        assert!(Session::of(runtime.handle()).is_some());
        drop(session);
        assert!(Session::of(runtime.handle()).is_none());
        let sessions = SESSIONS.read().unwrap_or_else(PoisonError::into_inner);
        let id = runtime.handle().id();
        assert!(!sessions.iter().any(|known| known.runtime == id));
    }
}
