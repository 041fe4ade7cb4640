//! The panics that ended tasks.

use std::sync::Arc;

use backtrace::Backtrace;

use crate::leak::record::task::{Kind, Task};
use crate::trace::place::Place;

/// How many tasks and panics of a session there were when a check began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watermark {
    pub(crate) last_task: usize,
    pub(crate) last_panic: usize,
}

/// A panic that ended a task, or may have.
#[derive(Clone, Debug)]
pub(crate) struct Panicked {
    /// The task, if it is on record.
    pub(crate) task: Option<Arc<Task>>,
    pub(crate) message: Option<String>,
    /// Where it panicked, if that is known.
    pub(crate) place: Option<Place>,
    /// The calls that led to it, if it is yet to be found out whether it ended the task.
    pub(crate) calls: Option<Backtrace>,
}

impl Panicked {
    /// Whether a check is charged with it, as the number `number` of the panics of its session. The
    /// task has to be one of the check's. When one that is not on record began is not known: there the
    /// panic has to be, at least.
    pub(crate) fn is_since(&self, began: Watermark, number: usize) -> bool {
        match &self.task {
            Some(task) if task.kind != Kind::Hooked => task.number > began.last_task,
            _ => number > began.last_panic,
        }
    }
}
