//! Who spawned a task.

use crate::leak::record::task::{Kind, Spawner, Task};
use crate::trace::place::Place;

/// Who spawned a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpawnedBy {
    /// The body of the test.
    Test,
    /// Another task, which may have ended since.
    Task {
        /// Its number in this test.
        number: usize,
        /// Its name, if it has one.
        name: Option<String>,
        /// Where it was spawned itself.
        place: Place,
    },
    /// A task of which this build does not see where it was spawned.
    UnknownTask,
    /// No task: a thread outside of the runtime, or, where the runtime is somebody else's, what it
    /// blocks on.
    NoTask,
}

/// Who spawned a task, then who spawned that one, and so on.
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
                place: task.spawned_at.into(),
            },
            Spawner::Unknown => Self::UnknownTask,
            Spawner::Thread => Self::NoTask,
        }
    }
}
