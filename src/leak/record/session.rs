//! The record of one watched runtime: its tasks, panics and locks.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::mem;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Instant;

use backtrace::Backtrace;
use rustc_hash::FxHashMap;
use tokio::runtime::{Handle, Id};
use tokio::task::{self, AbortHandle};

use crate::leak::record::locks::{Entrant, InTest, Locks};
use crate::leak::record::panics::{PanicLog, Panicked, Watermark};
use crate::leak::record::registry;
use crate::leak::record::spawn_place::hides_call;
use crate::leak::record::task::{Kind, Spawner, Task};
use crate::leak::record::thread_runtime;
use crate::mutex::lock;
use crate::schedule::{cancellation, steering};

/// The record of one watched runtime, shared by its threads and by all its checks.
///
/// It exists from the first check of the runtime until no check is left and every recorded task has
/// ended.
#[derive(Debug)]
pub(crate) struct Session {
    runtime: Id,
    /// Whether it is a `LocalRuntime`, once known.
    is_local: OnceLock<bool>,
    last_number: AtomicUsize,
    /// How many watches of the runtime are open, and how many have begun.
    watches: Mutex<(usize, usize)>,
    /// Whether tasks keep the stacks of their spawns.
    keeps_stacks: AtomicBool,
    record: Mutex<Record>,
    /// Apart from the record: a thread may panic while it holds that lock.
    panics: Mutex<PanicLog>,
    /// Apart from the record: acquiring a lock touches no other state.
    locks: Arc<Mutex<Locks>>,
}

/// How many finished tasks a record keeps. Nobody can see when tokio drops their outputs, and a
/// runtime may live as long as the process.
const FINISHED: usize = 1024;

/// The live tasks of a runtime.
#[derive(Debug, Default)]
struct Record {
    /// The tasks that have not ended.
    live: FxHashMap<Key, Arc<Task>>,
    /// How many of them the runtime counts. An explored run asks at each poll.
    counted: usize,
    /// Whether a spawn was ever tracked.
    has_tracked: bool,
    /// The closures of checks that hold the clock. They have no numbers.
    holds: Vec<Arc<Task>>,
    /// The numbers of the background tasks, and how to stop them.
    background: Vec<(usize, AbortHandle)>,
    /// The last tasks and closures that ended with an output. Tokio drops it now, or with the
    /// handle.
    finished: VecDeque<Arc<Task>>,
    /// How many ending checks have stopped the background tasks. If any, a new one is stopped at
    /// once.
    stopping: usize,
}

/// The recorded work that keeps threads of a runtime busy or waits for one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AtWork {
    /// Closures that have begun, and tasks. After a shutdown, a task is left only inside a poll or
    /// drop.
    pub(crate) running: usize,
    /// Closures that wait for a thread.
    pub(crate) queued: usize,
}

/// The key of a live task: its own number, or tokio's id for a task only the hooks see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Number(usize),
    #[cfg_attr(not(tokio_unstable), allow(dead_code, reason = "there are no hooks"))]
    Id(task::Id),
}

impl Session {
    /// Returns the session of a runtime, opened if the runtime is not watched yet.
    pub(crate) fn open(runtime: &Handle) -> Arc<Self> {
        let runtime = runtime.id();
        registry::find_or_add(runtime, || Self {
            runtime,
            is_local: OnceLock::new(),
            last_number: AtomicUsize::new(0),
            watches: Mutex::default(),
            keeps_stacks: AtomicBool::new(false),
            record: Mutex::default(),
            panics: Mutex::default(),
            locks: Arc::default(),
        })
    }

    /// Counts a watch of the runtime that begins.
    pub(crate) fn begin_watch(self: &Arc<Self>) -> OpenWatch {
        let mut watches = lock(&self.watches);
        let (open, begun) = &mut *watches;
        (*open, *begun) = (*open + 1, *begun + 1);
        OpenWatch {
            session: Arc::clone(self),
            is_first: *open == 1,
            number: *begun,
            is_closed: AtomicBool::new(false),
        }
    }

    /// Returns the session of the current runtime, if it is watched.
    pub(crate) fn current() -> Option<Arc<Self>> {
        if registry::is_empty() {
            return None;
        }
        Self::of(&Handle::try_current().ok()?)
    }

    /// Returns the session of the current runtime, or else of the runtime that started this thread.
    pub(crate) fn of_thread() -> Option<Arc<Self>> {
        if registry::is_empty() {
            return None;
        }
        let current = Self::current();
        current.or_else(|| registry::find(thread_runtime::started_by()?))
    }

    /// Returns the session of a runtime, if it is watched.
    pub(crate) fn of(runtime: &Handle) -> Option<Arc<Self>> {
        registry::find(runtime.id())
    }

    /// Returns the runtime of this session.
    pub(crate) fn runtime(&self) -> Id {
        self.runtime
    }

    /// Returns whether the runtime is a `LocalRuntime`; `find_out` answers the first call.
    pub(crate) fn is_local(&self, find_out: impl FnOnce() -> bool) -> bool {
        *self.is_local.get_or_init(find_out)
    }

    /// Locks the list of locks that are held or waited for.
    pub(crate) fn locks(&self) -> MutexGuard<'_, Locks> {
        lock(&self.locks)
    }

    /// Returns what a lock records about an acquisition on this thread.
    pub(crate) fn lock_entrant(&self) -> Entrant<'_> {
        let in_test = InTest {
            runtime: self.runtime,
            since: Instant::now(),
            by: self.spawner(),
            operation: cancellation::polled_operation(),
        };
        (in_test, &self.locks)
    }

    /// Returns the task that this thread runs.
    fn spawner(&self) -> Spawner {
        self.record().spawner()
    }

    /// Begins the record of a watch, with the last task and panic so far. Later ones get higher numbers.
    pub(crate) fn begin_record(&self) -> Watermark {
        let (last_task, thread) = (self.last_number(), self.spawner().thread());
        self.panics().begin_watch(last_task, thread)
    }

    /// Returns the number of the latest task.
    pub(crate) fn last_number(&self) -> usize {
        self.last_number.load(Ordering::Relaxed)
    }

    /// Returns whether a spawn in the runtime was ever tracked, alive or not.
    pub(crate) fn has_tracked(&self) -> bool {
        self.record().has_tracked
    }

    /// Makes tasks keep the stacks of their spawns from now on.
    pub(crate) fn keep_stacks(&self) {
        self.keeps_stacks.store(true, Ordering::Relaxed);
    }

    fn keeps_stacks(&self) -> bool {
        self.keeps_stacks.load(Ordering::Relaxed)
    }

    /// Begins the record of a task that this thread is about to spawn.
    pub(crate) fn begin(
        &self,
        kind: Kind,
        name: Option<Cow<'static, str>>,
        spawned_at: &'static Location<'static>,
    ) -> Arc<Task> {
        // Walking the stack takes about 50 microseconds.
        let needs_stack = hides_call(spawned_at) || self.keeps_stacks();
        let stack = needs_stack.then(Backtrace::new_unresolved);
        let mut record = self.record();
        if kind == Kind::Hold {
            let task = Arc::new(Task::new(0, kind, name, spawned_at, Spawner::Unknown));
            record.holds.push(Arc::clone(&task));
            return task;
        }
        record.has_tracked = true;
        let number = self.next_number();
        let spawner = record.spawner();
        let mut task = Task::new(number, kind, name, spawned_at, spawner);
        task.spawned_at.stack = stack;
        let task = Arc::new(task);
        record.add(Key::Number(number), Arc::clone(&task));
        task
    }

    /// Ends the record of a task from [`begin`](Self::begin). `has_output` says whether tokio drops
    /// an output of it later.
    pub(crate) fn end(&self, task: &Task, has_output: bool) {
        let mut record = self.record();
        if task.kind == Kind::Hold {
            record
                .holds
                .retain(|hold| !ptr::eq(Arc::as_ptr(hold), task));
            return;
        }
        let ended = record.remove(Key::Number(task.number));
        let ended = match ended {
            Some(ended) if has_output => record.keep_finished(ended),
            ended => ended,
        };
        drop(record);
        task.end();
        drop(ended);
    }

    /// Returns the recorded task with this id, if it is among the last that ended with an output.
    pub(crate) fn finished(&self, id: task::Id) -> Option<Arc<Task>> {
        let record = self.record();
        let mut finished = record.finished.iter().rev();
        finished.find(|task| task.has_id(Some(id))).cloned()
    }

    /// Returns whether a task from [`begin`](Self::begin) has not ended.
    pub(crate) fn is_live(&self, task: &Task) -> bool {
        self.record().live.contains_key(&Key::Number(task.number))
    }

    /// Begins the record of an untracked task seen by a runtime hook.
    #[cfg(tokio_unstable)]
    pub(crate) fn begin_hooked(&self, id: task::Id, spawned_at: &'static Location<'static>) {
        // A relative path is in the workspace and says enough, unless it is that of a tokio built there.
        // Walking the stack for a dependency's spawn takes about 50 microseconds.
        let is_elsewhere = std::path::Path::new(spawned_at.file()).is_absolute();
        let needs_stack = is_elsewhere || hides_call(spawned_at) || self.keeps_stacks();
        let stack = needs_stack.then(Backtrace::new_unresolved);
        let mut record = self.record();
        let (number, spawner) = (self.next_number(), record.spawner());
        let mut task = Task::new(number, Kind::Hooked, None, spawned_at, spawner);
        task.spawned_at.stack = stack;
        record.add(Key::Id(id), Arc::new(task));
    }

    /// Ends the record of an untracked task. Ignores other ids: tracked tasks end their own
    /// records.
    #[cfg(tokio_unstable)]
    pub(crate) fn end_hooked(&self, id: task::Id) {
        let ended = self.record().remove(Key::Id(id));
        drop(ended);
    }

    /// Returns whether nothing newer than task `after` is alive, and no background task is.
    pub(crate) fn is_idle(&self, after: usize) -> bool {
        let record = self.record();
        record.background.is_empty()
            && (record.live.is_empty() || record.live.values().all(|task| task.number <= after))
    }

    /// Returns how many tasks and closures are alive, without listing them.
    pub(crate) fn live_count(&self) -> usize {
        self.record().live.len()
    }

    /// Returns the live tasks with numbers above `after`, in spawn order.
    pub(crate) fn tasks(&self, after: usize) -> Vec<Arc<Task>> {
        self.select(after, |kind| !kind.is_closure())
    }

    /// Returns the unfinished blocking work with numbers above `after`, in spawn order.
    pub(crate) fn blocking(&self, after: usize) -> Vec<Arc<Task>> {
        self.select(after, |kind| kind == Kind::Blocking)
    }

    fn select(&self, after: usize, is_selected: impl Fn(Kind) -> bool) -> Vec<Arc<Task>> {
        let record = self.record();
        let is_selected = |task: &&Arc<Task>| is_selected(task.kind) && task.number > after;
        let mut selected: Vec<_> = record.live.values().filter(is_selected).cloned().collect();
        selected.sort_unstable_by_key(|task| task.number);
        selected
    }

    /// Returns the recorded work that keeps threads busy after the runtime has shut down: blocking
    /// work, and tasks that could not be dropped.
    pub(crate) fn at_work(&self) -> AtWork {
        let record = self.record();
        let mut at_work = AtWork::default();
        for task in record.live.values().chain(&record.holds) {
            if task.kind.is_closure() && !task.has_begun() {
                at_work.queued += 1;
            } else if task.kind.is_closure() || task.is_counted() {
                at_work.running += 1;
            }
        }
        at_work
    }

    /// Returns how many recorded tasks the runtime counts as alive.
    pub(crate) fn counted(&self) -> usize {
        self.record().counted
    }

    /// Notes that the runtime counts a task from [`begin`](Self::begin), if the task has not ended.
    pub(crate) fn set_counted(&self, task: &Task) {
        let mut record = self.record();
        let is_live = record.live.contains_key(&Key::Number(task.number));
        if is_live && !task.is_counted() {
            task.set_counted();
            record.counted += 1;
        }
    }

    /// Notes the tasks of the current runtime that an explored run does not schedule.
    pub(crate) fn note_unscheduled(&self) {
        steering::note_unscheduled(|| {
            let runtime = Handle::try_current();
            let alive = runtime.map_or(0, |runtime| runtime.metrics().num_alive_tasks());
            alive.saturating_sub(self.counted())
        });
    }

    /// Adds a background task, or stops it at once if a check is ending.
    pub(crate) fn add_background(&self, task: &Task, abort: AbortHandle) {
        let mut record = self.record();
        if record.stopping == 0 {
            record.background.push((task.number, abort));
            return;
        }
        drop(record);
        abort.abort();
    }

    /// Aborts the background tasks with numbers above `after`, and every new one until the returned
    /// value is dropped.
    pub(crate) fn stop_background(&self, after: usize) -> Stopping<'_> {
        let mut record = self.record();
        record.stopping += 1;
        let all = mem::take(&mut record.background).into_iter();
        let (stopped, others): (Vec<_>, _) = all.partition(|(number, _)| *number > after);
        record.background = others;
        drop(record);
        // Without the lock: aborting a task may drop its future right here, which may spawn.
        for (_, abort) in stopped {
            abort.abort();
        }
        Stopping(self)
    }

    /// Records a panic of a task.
    pub(crate) fn note_panic(&self, panicked: Panicked) {
        self.panics().add(panicked);
    }

    /// Returns the panics since a check began, and leaves them for it to take.
    pub(crate) fn panics_so_far(&self, began: Watermark) -> Vec<Panicked> {
        self.panics().since(began)
    }

    /// Takes the panics since a check began.
    pub(crate) fn take_panics(&self, began: Watermark) -> Vec<Panicked> {
        self.panics().take(began)
    }

    fn panics(&self) -> MutexGuard<'_, PanicLog> {
        lock(&self.panics)
    }

    /// Returns the live untracked task with this id, if a hook saw it.
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

/// An open watch of a runtime.
#[derive(Debug)]
pub(crate) struct OpenWatch {
    session: Arc<Session>,
    /// Whether no other one was open when it began.
    is_first: bool,
    number: usize,
    is_closed: AtomicBool,
}

impl OpenWatch {
    /// Returns whether another watch of the runtime has been open meanwhile.
    pub(crate) fn is_shared(&self) -> bool {
        let (_, begun) = *lock(&self.session.watches);
        !self.is_first || begun > self.number
    }

    /// Ends the watch. Others that begin now do not share the runtime with it.
    pub(crate) fn close(&self) {
        if !self.is_closed.swap(true, Ordering::Relaxed) {
            lock(&self.session.watches).0 -= 1;
        }
    }
}

impl Drop for OpenWatch {
    fn drop(&mut self) {
        self.close();
    }
}

/// Keeps stopping background tasks until dropped, see [`Session::stop_background`].
#[derive(Debug)]
pub(crate) struct Stopping<'a>(&'a Session);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.record().stopping -= 1;
    }
}

impl Record {
    /// Adds a live task.
    fn add(&mut self, key: Key, task: Arc<Task>) {
        self.counted += usize::from(task.is_counted());
        self.live.insert(key, task);
    }

    /// Removes a live task.
    fn remove(&mut self, key: Key) -> Option<Arc<Task>> {
        let ended = self.live.remove(&key)?;
        self.counted -= usize::from(ended.is_counted());
        Some(ended)
    }

    /// Keeps a finished task, and returns the one that has to make room for it.
    fn keep_finished(&mut self, task: Arc<Task>) -> Option<Arc<Task>> {
        let is_full = self.finished.len() == FINISHED;
        let evicted = is_full.then(|| self.finished.pop_front()).flatten();
        self.finished.push_back(task);
        evicted
    }

    /// Returns the task that spawns whatever this thread spawns now.
    fn spawner(&self) -> Spawner {
        let id = task::try_id();
        if let Some(task) = id.and_then(|id| self.live.get(&Key::Id(id))) {
            return Spawner::Task(Arc::clone(task));
        }
        match (Task::current(), id) {
            // The ids differ inside an untracked task of a `LocalSet`, which is polled inside
            // the poll of a tracked task or of the body.
            (Some(task), id) if task.has_id(id) => Spawner::Task(task),
            (None, None) => Spawner::Thread,
            _ => Spawner::Unknown,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        registry::remove(self.runtime);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::{FINISHED, Kind, Session};

    #[test]
    fn live_tasks_of_runtime_are_counted() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.build().unwrap();
        let session = Session::open(runtime.handle());
        let begin = |kind| session.begin(kind, None, Location::caller());
        let tasks = [Kind::Tracked, Kind::Local, Kind::Blocking].map(begin);
        assert_eq!(session.counted(), 1, "the first one");
        for _ in 0..2 {
            session.set_counted(&tasks[1]);
            assert_eq!(session.counted(), 2);
        }
        for (task, left) in tasks.iter().zip([1, 0, 0]) {
            session.end(task, false);
            assert_eq!(session.counted(), left);
        }
        session.set_counted(&tasks[1]);
        assert_eq!(session.counted(), 0, "it has ended");
    }

    #[test]
    fn finished_tasks_are_bounded() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.build().unwrap();
        let session = Session::open(runtime.handle());
        let end = |has_output| {
            let task = session.begin(Kind::Tracked, None, Location::caller());
            session.end(&task, has_output);
            task
        };
        drop(end(false));
        assert!(session.record().finished.is_empty());
        let numbers: Vec<_> = (0..=FINISHED).map(|_| end(true).number).collect();
        let record = session.record();
        let kept: Vec<_> = record.finished.iter().map(|task| task.number).collect();
        assert_eq!(kept, numbers[1..], "the last ones");
    }
}
