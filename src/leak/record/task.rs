//! The record of one task: where it comes from, and what its polls showed.

use std::borrow::Cow;
use std::cell::RefCell;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use backtrace::Backtrace;
use tokio::task;

use crate::mutex::lock;
use crate::schedule::recorder::BODY;
use crate::schedule::steering;
use crate::trace::symbols::Symbols;
use crate::trace::wait::Wait;
use crate::trace::waker::{self, Trace};

/// How many spawners of spawners a record keeps. A task that goes on by spawning its successor, and
/// so on for ever, must not fill the memory.
const GENERATIONS: usize = 32;

/// The record of one task.
#[derive(Debug)]
pub(crate) struct Task {
    /// Counts from 1 in each test.
    pub(crate) number: usize,
    pub(crate) kind: Kind,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) spawned_at: &'static Location<'static>,
    pub(crate) spawner: Spawner,
    pub(crate) spawned: Instant,
    /// The calls that led to the spawn, if it is not in the user's own code.
    pub(crate) stack: Option<Backtrace>,
    /// Whether the runtime counts it among its own: of a local task it does not if it is a
    /// `LocalSet`'s.
    is_counted: AtomicBool,
    /// By what tokio knows the task, from its first poll on; of a body that it is no task.
    id: OnceLock<Option<task::Id>>,
    /// How many spawners are known.
    generation: usize,
    progress: Progress,
}

/// What kind of work a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The test's own body, which is nobody's leak.
    Body,
    /// Spawned through `straggler`, which polls it.
    Tracked,
    /// As above, by `spawn_local`.
    Local,
    /// As above, by `background`: stopped when the body has ended.
    Background,
    /// A closure on a thread for blocking work.
    Blocking,
    /// A closure of the check's own, which holds a paused clock.
    Hold,
    /// Spawned past `straggler`, and seen by a hook of the runtime.
    #[cfg_attr(not(tokio_unstable), allow(dead_code, reason = "there are no hooks"))]
    Hooked,
}

impl Kind {
    /// Whether it is a closure, which is not polled, and which the runtime cannot stop.
    pub(crate) fn is_closure(self) -> bool {
        matches!(self, Self::Blocking | Self::Hold)
    }
}

/// Who spawned a task.
#[derive(Clone, Debug)]
pub(crate) enum Spawner {
    /// This task, or the body.
    Task(Arc<Task>),
    /// A task that is not on record.
    Unknown,
    /// No task of the runtime: a thread of its own.
    Thread,
}

/// What the polls of a task showed. A poll takes no lock but the first, and one that is to tell
/// where the task waits.
#[derive(Debug, Default)]
struct Progress {
    /// How often it was polled, but for the polls that are only to tell where it waits.
    polls: AtomicUsize,
    /// When its poll began, or the closure of blocking work, in nanoseconds since the spawn and one
    /// more; zero outside of polls.
    poll_began: AtomicU64,
    /// Whether the next poll is to tell where the task waits.
    is_asked: AtomicBool,
    answer: Mutex<Option<Trace>>,
    /// To ask for another poll. tokio polls a task with the same waker every time.
    waker: Mutex<Option<Waker>>,
}

thread_local! {
    /// The task of which this thread runs a poll, if it is on record.
    static CURRENT: RefCell<Option<Arc<Task>>> = const { RefCell::new(None) };
}

impl Task {
    pub(crate) fn new(
        number: usize,
        kind: Kind,
        name: Option<Cow<'static, str>>,
        spawned_at: &'static Location<'static>,
        spawner: Spawner,
    ) -> Self {
        let (spawner, generation) = match spawner {
            // Leaves out the spawner in between, so that the first ones stay: they tell most.
            Spawner::Task(task) if task.generation == GENERATIONS => {
                (task.spawner.clone(), GENERATIONS)
            }
            Spawner::Task(task) => {
                let generation = task.generation + 1;
                (Spawner::Task(task), generation)
            }
            spawner => (spawner, 0),
        };
        Self {
            number,
            kind,
            name,
            spawned_at,
            spawner,
            spawned: Instant::now(),
            stack: None,
            is_counted: AtomicBool::new(kind != Kind::Local && !kind.is_closure()),
            id: OnceLock::new(),
            generation,
            progress: Progress::default(),
        }
    }

    /// The task that this thread polls, if it is on record.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(|current| current.borrow().clone()).ok()?
    }

    /// Makes this the current task while `run` runs.
    pub(crate) fn enter<R>(self: &Arc<Self>, run: impl FnOnce() -> R) -> R {
        struct Leave(Option<Arc<Task>>);
        impl Drop for Leave {
            fn drop(&mut self) {
                exchange(self.0.take());
            }
        }
        /// It is gone where the thread ends, and so is nobody's.
        fn exchange(current: Option<Arc<Task>>) -> Option<Arc<Task>> {
            let exchange = |of_thread: &RefCell<_>| of_thread.replace(current);
            CURRENT.try_with(exchange).ok().flatten()
        }

        let _leave = Leave(exchange(Some(Arc::clone(self))));
        self.id.get_or_init(task::try_id);
        run()
    }

    /// Whether it is the task that tokio knows by this id. The body of a test has none.
    pub(crate) fn has_id(&self, id: Option<task::Id>) -> bool {
        self.id.get() == Some(&id)
    }

    /// Polls the task's future, and lets the poll tell where it waits if somebody asked.
    pub(crate) fn poll<T>(
        self: &Arc<Self>,
        context: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let progress = &self.progress;
        let is_first = progress.polls.load(Relaxed) == 0;
        if is_first {
            *lock(&progress.waker) = Some(context.waker().clone());
        }
        // Of the flags nothing but their own values is read, and the waker is woken after it was
        // asked: so the poll that the wake leads to sees it.
        let is_asked = progress.is_asked.load(Relaxed);
        if is_first || !is_asked {
            progress.polls.fetch_add(1, Relaxed);
        }
        if is_asked {
            // It is to tell of all that it waits for, and not of one child.
            return steering::suspended(|| self.poll_now(context, poll));
        }
        let poll = |context: &mut Context<'_>| self.poll_now(context, poll);
        steering::poll(self.number, || self.label(), context, poll)
    }

    /// How a report calls it.
    pub(crate) fn label(&self) -> String {
        let name = self.name.as_ref();
        let name = name.map_or(String::new(), |name| format!(" `{name}`"));
        match self.kind {
            Kind::Body => BODY.to_owned(),
            _ => format!("task #{}{name}", self.number),
        }
    }

    fn poll_now<T>(
        self: &Arc<Self>,
        context: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let progress = &self.progress;
        self.note_begin();
        let _polled = Polled(progress);
        // Looked at first: to swap costs more, and nearly no poll is asked.
        if !progress.is_asked.load(Relaxed) || !progress.is_asked.swap(false, Relaxed) {
            let polled = self.enter(|| poll(context));
            // Helpers and the body are always there.
            if !matches!(self.kind, Kind::Body | Kind::Background) {
                steering::note_task(self.number, polled.is_pending());
            }
            return polled;
        }
        let (outcome, trace) = self.enter(|| waker::poll(context.waker(), poll));
        if outcome.is_pending() {
            *lock(&progress.answer) = Some(trace);
        }
        outcome
    }

    /// Runs the closure of blocking work.
    pub(crate) fn run<R>(self: &Arc<Self>, closure: impl FnOnce() -> R) -> R {
        self.note_begin();
        self.enter(closure)
    }

    /// Whether the closure of blocking work has begun. Until then it waits for a thread.
    pub(crate) fn has_begun(&self) -> bool {
        self.progress.poll_began.load(Relaxed) != 0
    }

    fn note_begin(&self) {
        let now = u64::try_from(self.spawned.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let poll_began = &self.progress.poll_began;
        poll_began.store(now.saturating_add(1), Relaxed);
    }

    /// Asks the task where it waits, which its next poll tells, and forgets what it told before.
    pub(crate) fn ask(&self) {
        *lock(&self.progress.answer) = None;
        self.progress.is_asked.store(true, Relaxed);
        let waker = lock(&self.progress.waker).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Forgets where the task said that it waits.
    pub(crate) fn forget_answer(&self) {
        *lock(&self.progress.answer) = None;
    }

    /// Whether the task has told where it waits.
    pub(crate) fn has_answered(&self) -> bool {
        lock(&self.progress.answer).is_some()
    }

    /// Where the task waits, if it has told so, or what else is known.
    pub(crate) fn wait(&self, symbols: &mut Symbols) -> Wait {
        if self.kind == Kind::Hooked {
            return Wait::Unknown;
        }
        let progress = &self.progress;
        let Some(trace) = lock(&progress.answer).clone() else {
            return match (progress.polls.load(Relaxed), self.in_poll_for()) {
                (0, _) => Wait::Unstarted,
                (_, Some(time)) => Wait::Blocks(time),
                (_, None) => Wait::Unanswered,
            };
        };
        Wait::of(trace, symbols)
    }

    /// Whether it is inside of a poll.
    pub(crate) fn is_in_poll(&self) -> bool {
        self.progress.poll_began.load(Relaxed) != 0
    }

    /// For how long it is inside of a poll.
    fn in_poll_for(&self) -> Option<Duration> {
        let began = self.progress.poll_began.load(Relaxed).checked_sub(1)?;
        let time = self.spawned.elapsed();
        Some(time.saturating_sub(Duration::from_nanos(began)))
    }

    /// How often the task was polled. It is not known of one that a hook saw.
    pub(crate) fn polls(&self) -> Option<usize> {
        (self.kind != Kind::Hooked).then(|| self.progress.polls.load(Relaxed))
    }

    /// Whether the runtime counts it among those that are alive.
    pub(crate) fn is_counted(&self) -> bool {
        self.is_counted.load(Relaxed)
    }

    /// Notes that the runtime counts it.
    pub(crate) fn set_counted(&self) {
        self.is_counted.store(true, Relaxed);
    }

    /// Lets go of the waker, which keeps the task's memory alive.
    pub(crate) fn end(&self) {
        let waker = lock(&self.progress.waker).take();
        drop(waker);
    }
}

/// Ends a poll, also if it panics.
struct Polled<'a>(&'a Progress);

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        self.0.poll_began.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};

    use super::{Kind, Spawner, Task};

    struct Silent;
    impl Wake for Silent {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_task_that_has_ended_keeps_no_waker() {
        let silent = Arc::new(Silent);
        let task = Task::new(1, Kind::Tracked, None, Location::caller(), Spawner::Thread);
        let task = Arc::new(task);
        let waker = Waker::from(Arc::clone(&silent));
        let polled = task.poll(&mut Context::from_waker(&waker), |_| Poll::<()>::Pending);
        assert!(polled.is_pending());
        drop(waker);
        assert_eq!(Arc::strong_count(&silent), 2, "to be asked");
        task.end();
        assert_eq!(Arc::strong_count(&silent), 1);
    }

    #[test]
    fn a_poll_that_was_asked_for_is_not_the_tasks_own() {
        let task = Task::new(1, Kind::Tracked, None, Location::caller(), Spawner::Thread);
        let task = Arc::new(task);
        let poll = || {
            let polled = task.poll(&mut Context::from_waker(Waker::noop()), |_| {
                Poll::<()>::Pending
            });
            assert!(polled.is_pending());
        };
        poll();
        assert_eq!(task.polls(), Some(1));
        task.ask();
        poll();
        assert!(task.has_answered());
        assert_eq!(task.polls(), Some(1));
        poll();
        assert_eq!(task.polls(), Some(2));
    }
}
