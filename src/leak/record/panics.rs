//! The records of panics that ended tasks.

use std::mem;
use std::sync::Arc;

use backtrace::Backtrace;

use crate::leak::record::task::{Kind, Task};
use crate::trace::place::Place;

/// The last task and panic of a session before a check began. Higher numbers came later.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watermark {
    pub(crate) last_task: usize,
    pub(crate) last_panic: usize,
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
    /// Returns whether a check that began at `began` is charged with this panic, the session's
    /// `number`th.
    ///
    /// Its task has to be newer than the check. It is unknown when an untracked task was spawned,
    /// so there the panic itself has to be newer.
    pub(crate) fn is_since(&self, began: Watermark, number: usize) -> bool {
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
}

impl PanicLog {
    /// Returns the number of the latest panic.
    pub(crate) fn last_number(&self) -> usize {
        self.last_number
    }

    /// Adds a panic.
    pub(crate) fn add(&mut self, panicked: Panicked) {
        self.last_number += 1;
        self.noted.push((self.last_number, panicked));
    }

    /// Returns the panics that [`take`](Self::take) would take.
    pub(crate) fn since(&self, began: Watermark) -> Vec<Panicked> {
        let noted = self.noted.iter();
        let since = noted.filter(|(number, panicked)| panicked.is_since(began, *number));
        since.map(|(_, panicked)| panicked.clone()).collect()
    }

    /// Takes the panics that a check is charged with.
    pub(crate) fn take(&mut self, began: Watermark) -> Vec<Panicked> {
        if self.noted.is_empty() {
            return Vec::new();
        }
        let all = mem::take(&mut self.noted).into_iter();
        let (taken, others): (Vec<_>, _) =
            all.partition(|(number, panicked)| panicked.is_since(began, *number));
        self.noted = others;
        taken.into_iter().map(|(_, panicked)| panicked).collect()
    }
}
