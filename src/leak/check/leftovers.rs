//! What is left at one moment, and whether it may be.

use std::sync::Arc;
use std::time::Instant;

use crate::leak::record::task::Task;
use crate::leak::report::blocking_work::BlockingWork;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::settings::rules::Applied;
use crate::trace::symbols::Symbols;

/// What is left at one moment, and what the rules say of it.
pub(crate) struct Leftovers {
    /// Tasks, then blocking work.
    pub(crate) tasks: Vec<Arc<Task>>,
    pub(crate) first_blocking: usize,
    pub(crate) unseen: usize,
    pub(crate) applied: Applied,
}

impl Leftovers {
    /// Whether nothing is left but what the rules allow.
    pub(crate) fn are_allowed(&self) -> bool {
        self.left() <= self.applied.allowed
    }

    /// How much more may remain.
    pub(crate) fn room(&self) -> usize {
        self.applied.allowed.saturating_sub(self.left())
    }

    /// How much is left that no rule for a place allows.
    fn left(&self) -> usize {
        self.applied.excess.len() + self.unseen
    }

    /// How much of that is tasks. They take what is allowed before blocking work does.
    pub(crate) fn task_count(&self) -> usize {
        self.split_excess().0.len() + self.unseen
    }

    /// The tasks that no rule for a place allows, and the blocking work.
    fn split_excess(&self) -> (&[usize], &[usize]) {
        let is_task = |index: &usize| *index < self.first_blocking;
        let tasks = self.applied.excess.partition_point(is_task);
        self.applied.excess.split_at(tasks)
    }

    /// What is known of the tasks that no rule for a place allows.
    pub(crate) fn excess_tasks(&self) -> Vec<LeakedTask> {
        let (now, mut symbols) = (Instant::now(), Symbols::default());
        let excess = self.split_excess().0.iter();
        excess
            .map(|&index| LeakedTask::new(&self.tasks[index], now, &mut symbols))
            .collect()
    }

    /// What is known of the blocking work that no rule for a place allows.
    pub(crate) fn excess_blocking(&self) -> Vec<BlockingWork> {
        let now = Instant::now();
        let excess = self.split_excess().1.iter();
        excess
            .map(|&index| BlockingWork::new(&self.tasks[index], now))
            .collect()
    }
}
