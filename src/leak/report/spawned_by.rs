//! The spawner of a task.

use crate::leak::record::task::{Kind, Spawner, Task};
use crate::trace::place::Place;

/// The spawner of a task or closure, or the user of a lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpawnedBy {
    /// The body of the test.
    Test,
    /// A tracked task. It may have ended since.
    Task {
        /// The number of the task in its runtime.
        number: usize,
        /// The name of the task, if it has one.
        name: Option<String>,
        /// The place that spawned the task.
        place: Place,
    },
    /// An untracked task: this build does not see where it was spawned.
    UnknownTask,
    /// No task: a thread outside the runtime.
    ///
    /// With [`LeakCheck::watch`](crate::LeakCheck::watch) it may also be the future that the runtime
    /// blocks on.
    NoTask,
}

/// Returns the chain of spawners of a task, the direct one first.
pub(crate) fn spawners(task: &Task) -> Vec<SpawnedBy> {
    let mut spawners = Vec::new();
    let mut spawner = &task.spawner;
    loop {
        spawners.push(spawner.into());
        match spawner {
            Spawner::Task(task) if task.kind != Kind::Body => spawner = &task.spawner,
            _ => return spawners,
        }
    }
}

impl From<&Spawner> for SpawnedBy {
    fn from(spawner: &Spawner) -> Self {
        match spawner {
            Spawner::Task(task) if task.kind == Kind::Body => Self::Test,
            Spawner::Task(task) => Self::Task {
                number: task.number,
                name: task.name.as_deref().map(str::to_owned),
                place: task.place(),
            },
            Spawner::Unknown => Self::UnknownTask,
            Spawner::Thread => Self::NoTask,
        }
    }
}
