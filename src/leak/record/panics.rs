//! The records of panics that ended tasks.

use std::mem;
use std::sync::Arc;
use std::thread::ThreadId;

use backtrace::Backtrace;

use crate::leak::record::task::{Kind, Task};
use crate::trace::place::Place;

/// The last task and panic of a session before a check began. Higher numbers came later.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watermark {
    pub(crate) last_task: usize,
    last_panic: usize,
    /// The thread that runs the body of a watch's test, if known. `None` for the check that built
    /// the runtime: all tasks are its own.
    thread: Option<ThreadId>,
}

/// A panic that ended a task, or may have: see `calls`.
#[derive(Clone, Debug)]
pub(crate) struct Panicked {
    /// The task, if it is on record.
    pub(crate) task: Option<Arc<Task>>,
    pub(crate) message: Option<String>,
    /// `None` if unknown, as after `resume_unwind`.
    pub(crate) place: Option<Place>,
    /// The calls of a panic seen by the hook, which show whether it ended the task. `None` if it
    /// certainly did.
    pub(crate) calls: Option<Calls>,
}

/// The calls that led to a panic.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    pub(crate) backtrace: Backtrace,
    /// Whether the task runs another runtime, in which the panic happened. That runtime polls tasks
    /// of its own too, and other tests may share it.
    pub(crate) is_nested: bool,
}

impl Panicked {
    /// Returns whether this panic, the session's `number`th, can belong to a check that began at
    /// `began`.
    ///
    /// Its task has to be newer than the check. It is unknown when an untracked task was spawned,
    /// so there the panic itself has to be newer.
    fn is_since(&self, began: Watermark, number: usize) -> bool {
        match &self.task {
            Some(task) if task.kind != Kind::Hooked => task.number > began.last_task,
            _ => number > began.last_panic,
        }
    }
}

/// The panics of a session.
#[derive(Debug, Default)]
pub(crate) struct PanicLog {
    last_number: usize,
    /// The panics that no check has taken yet, each with its number.
    noted: Vec<(usize, Panicked)>,
    /// The threads of all watches so far. Tests that share a runtime run on threads of their own.
    watching: Vec<ThreadId>,
}

impl PanicLog {
    /// Begins a watch after task `last_task`, by a test on `thread`.
    pub(crate) fn begin_watch(&mut self, last_task: usize, thread: Option<ThreadId>) -> Watermark {
        let is_new = |thread: &ThreadId| !self.watching.contains(thread);
        let new = thread.filter(is_new);
        self.watching.extend(new);
        Watermark {
            last_task,
            last_panic: self.last_number,
            thread,
        }
    }

    /// Returns whether a check that began at `began` is charged with a panic of this log.
    fn is_charged(&self, began: Watermark, (number, panicked): &(usize, Panicked)) -> bool {
        let spawned_by = panicked.task.as_ref().and_then(|task| task.thread);
        let is_of_other_watch = began.thread.is_some()
            && spawned_by != began.thread
            && spawned_by.is_some_and(|thread| self.watching.contains(&thread));
        panicked.is_since(began, *number) && !is_of_other_watch
    }

    /// Adds a panic.
    pub(crate) fn add(&mut self, panicked: Panicked) {
        self.last_number += 1;
        self.noted.push((self.last_number, panicked));
    }

    /// Returns the panics that [`take`](Self::take) would take.
    pub(crate) fn since(&self, began: Watermark) -> Vec<Panicked> {
        let noted = self.noted.iter();
        let since = noted.filter(|noted| self.is_charged(began, noted));
        since.map(|(_, panicked)| panicked.clone()).collect()
    }

    /// Takes the panics that a check is charged with.
    pub(crate) fn take(&mut self, began: Watermark) -> Vec<Panicked> {
        if self.noted.is_empty() {
            return Vec::new();
        }
        let all = mem::take(&mut self.noted).into_iter();
        let (taken, others): (Vec<_>, _) = all.partition(|noted| self.is_charged(began, noted));
        self.noted = others;
        taken.into_iter().map(|(_, panicked)| panicked).collect()
    }
}
