//! The tasks that can run, in a run that decides which of them runs next.
//!
//! Tokio polls tasks in the order in which they were woken. So a task that tokio polls only enters this set, and
//! runs once the run has chosen it. The run chooses when no other task can enter any more: tokio wakes the
//! tasks that have yielded only when its queue is empty, and the set waits for that in the same way.

use std::task::Waker;

/// The tasks that can run.
#[derive(Debug, Default)]
pub(crate) struct ReadyTasks {
    /// In the order in which they entered.
    waiting: Vec<(usize, Waker)>,
    /// The task that tokio is about to poll.
    chosen: Option<usize>,
    /// Whether a task may enter that was woken before.
    is_unsettled: bool,
    /// Whether tokio will call back when its queue is empty.
    is_called_back: bool,
}

/// What a callback finds.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing can run.
    Nobody,
    /// Tasks may enter until the next callback, which needs this task to be woken.
    Unsettled(Waker),
    /// These can run.
    Tasks(Vec<usize>),
}

impl ReadyTasks {
    /// Notes that tokio polls a task, and returns whether the task runs now.
    pub(crate) fn enter(&mut self, task: usize, waker: &Waker) -> bool {
        if self.chosen == Some(task) {
            self.chosen = None;
            return true;
        }
        let known = self.waiting.iter_mut().find(|(known, _)| *known == task);
        if let Some((_, known)) = known {
            known.clone_from(waker);
        } else {
            self.waiting.push((task, waker.clone()));
            self.is_unsettled = true;
        }
        false
    }

    /// Notes that the chosen task has run: it may have woken others, or itself.
    pub(crate) fn note_ran(&mut self) {
        self.is_unsettled = true;
    }

    /// Notes that a task is gone.
    pub(crate) fn remove(&mut self, task: usize) {
        self.waiting.retain(|(known, _)| *known != task);
        self.chosen = self.chosen.filter(|chosen| *chosen != task);
    }

    /// Returns whether the caller has to ask tokio for a callback.
    pub(crate) fn needs_callback(&mut self) -> bool {
        let needs = !self.is_called_back && !self.waiting.is_empty();
        self.is_called_back |= needs;
        needs
    }

    /// Looks who can run, in a callback.
    pub(crate) fn look(&mut self) -> Found {
        self.is_called_back = false;
        match self.waiting.first() {
            None => Found::Nobody,
            Some((_, waker)) if self.is_unsettled => {
                self.is_unsettled = false;
                Found::Unsettled(waker.clone())
            }
            Some(_) => Found::Tasks(self.waiting.iter().map(|(task, _)| *task).collect()),
        }
    }

    /// Chooses the task at a position, and returns the waker that makes tokio poll it.
    pub(crate) fn choose(&mut self, position: usize) -> Waker {
        let (task, waker) = self.waiting.remove(position);
        self.chosen = Some(task);
        waker
    }

    /// Takes the wakers of all tasks, since nobody chooses any more.
    pub(crate) fn release(&mut self) -> Vec<Waker> {
        self.chosen = None;
        self.waiting.drain(..).map(|(_, waker)| waker).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::{Found, ReadyTasks};

    #[test]
    fn tasks_are_chosen_once_all_have_entered() {
        let mut ready = ReadyTasks::default();
        assert!(!ready.needs_callback(), "nobody waits");
        assert!(!ready.enter(1, Waker::noop()));
        assert!(ready.needs_callback());
        assert!(!ready.needs_callback(), "one is enough");
        assert!(matches!(ready.look(), Found::Unsettled(_)));
        assert!(!ready.enter(2, Waker::noop()));
        assert!(ready.needs_callback());
        assert!(matches!(ready.look(), Found::Unsettled(_)));
        assert!(!ready.enter(1, Waker::noop()), "it is known");
        assert!(ready.needs_callback());
        assert!(matches!(ready.look(), Found::Tasks(tasks) if tasks == [1, 2]));
        ready.choose(1);
        assert!(ready.enter(2, Waker::noop()));
        ready.note_ran();
        assert!(ready.needs_callback());
        ready.remove(1);
        assert!(matches!(ready.look(), Found::Nobody));
    }
}
