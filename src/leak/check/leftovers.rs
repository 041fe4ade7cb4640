//! The leftovers of a body, and whether the rules allow them.

use std::sync::Arc;
use std::time::Instant;

use crate::leak::record::task::Task;
use crate::leak::report::blocking_work::BlockingWork;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::settings::rules::Applied;
use crate::trace::symbols::Symbols;

/// A snapshot of the leftovers, with the rules applied.
pub(crate) struct Leftovers {
    /// Tasks, then blocking work.
    pub(crate) tasks: Vec<Arc<Task>>,
    /// The index in `tasks` where the blocking work starts.
    pub(crate) first_blocking: usize,
    /// The number of tasks that are not recorded.
    pub(crate) unseen: usize,
    pub(crate) applied: Applied,
}

impl Leftovers {
    /// Returns whether the rules allow all leftovers.
    pub(crate) fn are_allowed(&self) -> bool {
        self.excess_count() <= self.applied.allowed
    }

    /// Returns how many more leftovers the rules would allow.
    pub(crate) fn room(&self) -> usize {
        self.applied.allowed.saturating_sub(self.excess_count())
    }

    /// Returns the number of leftovers that no place rule allows.
    fn excess_count(&self) -> usize {
        self.applied.excess.len() + self.applied.unseen
    }

    /// Returns how many tasks no place rule allows. Tasks use up the allowed count before blocking
    /// work.
    pub(crate) fn task_count(&self) -> usize {
        self.split_excess().0.len() + self.applied.unseen
    }

    /// Splits the excess into tasks and blocking work.
    fn split_excess(&self) -> (&[usize], &[usize]) {
        let is_task = |index: &usize| *index < self.first_blocking;
        let tasks = self.applied.excess.partition_point(is_task);
        self.applied.excess.split_at(tasks)
    }

    /// Returns the recorded tasks that no place rule allows.
    pub(crate) fn excess_tasks(&self) -> Vec<LeakedTask> {
        let (now, mut symbols) = (Instant::now(), Symbols::default());
        let excess = self.split_excess().0.iter();
        excess
            .map(|&index| LeakedTask::new(&self.tasks[index], now, &mut symbols))
            .collect()
    }

    /// Returns the blocking work that no place rule allows.
    pub(crate) fn excess_blocking(&self) -> Vec<BlockingWork> {
        let (now, mut symbols) = (Instant::now(), Symbols::default());
        let excess = self.split_excess().1.iter();
        excess
            .map(|&index| BlockingWork::new(&self.tasks[index], now, &mut symbols))
            .collect()
    }
}
