//! A task that panicked.

use crate::leak::record::panics::Panicked;
use crate::leak::record::task::Kind;
use crate::leak::report::spawned_by::{SpawnedBy, spawners};
use crate::trace::call::Call;
use crate::trace::catcher::Catcher;
use crate::trace::place::Place;
use crate::trace::symbols::Symbols;

/// A task that panicked.
///
/// For a task that was not spawned through straggler, only the panic itself is known. With
/// `--cfg tokio_unstable`, the place of its spawn is known too.
///
/// # Examples
///
/// ```
/// use straggler::LeakCheck;
/// use straggler::leak::SpawnedBy;
///
/// let report = LeakCheck::new().run(async {
///     let reader = straggler::spawn_named("reader", async { panic!("no such table") });
///     assert!(reader.await.unwrap_err().is_panic());
/// });
/// let report = report.unwrap_err();
///
/// let panic = &report.panics()[0];
/// assert_eq!(panic.message(), Some("no such table"));
/// assert_eq!((panic.number(), panic.name()), (Some(1), Some("reader")));
/// assert_eq!(panic.spawned_by(), [SpawnedBy::Test]);
/// assert!(!panic.is_background() && !panic.is_blocking() && panic.caller().is_none());
///
/// let (spawned_at, panicked_at) = (panic.spawned_at().unwrap(), panic.place().unwrap());
/// assert_eq!(spawned_at.line(), panicked_at.line());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPanic {
    message: Option<String>,
    place: Option<Place>,
    is_in_output: bool,
    task: Option<PanickedTask>,
}

/// The panicked task, if it is tracked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PanickedTask {
    number: usize,
    name: Option<String>,
    spawned_at: Place,
    caller: Option<Call>,
    is_background: bool,
    is_blocking: bool,
    spawners: Vec<SpawnedBy>,
}

impl TaskPanic {
    /// Returns `None` if the panic was caught inside the task, and so did not end it.
    pub(crate) fn of(panicked: &Panicked, symbols: &mut Symbols) -> Option<Self> {
        if !ended_task(panicked, symbols) {
            return None;
        }
        let task = panicked.task.as_ref().map(|task| PanickedTask {
            number: task.number,
            name: task.name.as_deref().map(str::to_owned),
            spawned_at: task.place(),
            caller: task.caller(symbols),
            is_background: task.kind == Kind::Background,
            is_blocking: task.kind == Kind::Blocking,
            spawners: spawners(task),
        });
        Some(Self {
            message: panicked.message.clone(),
            place: panicked.place.clone(),
            is_in_output: panicked.calls.is_some() && is_tracked(panicked),
            task,
        })
    }

    /// Whether the task ended, and the panic is in the drop of its output. No `JoinError` shows it.
    pub(crate) fn is_in_output(&self) -> bool {
        self.is_in_output
    }

    /// Returns the message of the panic, or `None` if the payload is not a string.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Returns the place of the panic.
    ///
    /// Returns `None` if straggler's panic hook did not see it: `resume_unwind` calls no hook, and the
    /// test may have replaced the hook.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Returns the number of the task in its runtime, or `None` if the task is untracked.
    #[must_use]
    pub fn number(&self) -> Option<usize> {
        self.task.as_ref().map(|task| task.number)
    }

    /// Returns the name of the task, or `None` if it has none or is untracked.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.task.as_ref()?.name.as_deref()
    }

    /// Returns the place that spawned the task, or `None` if the task is untracked.
    #[must_use]
    pub fn spawned_at(&self) -> Option<&Place> {
        self.task.as_ref().map(|task| &task.spawned_at)
    }

    /// Returns the call in the user's own code behind a spawn inside a dependency.
    ///
    /// Returns `None` for other spawns, and in a build without `--cfg tokio_unstable`.
    #[must_use]
    pub fn caller(&self) -> Option<&Call> {
        self.task.as_ref()?.caller.as_ref()
    }

    /// Returns whether [`background`](crate::background) spawned the task.
    #[must_use]
    pub fn is_background(&self) -> bool {
        self.task.as_ref().is_some_and(|task| task.is_background)
    }

    /// Returns whether it is a tracked `spawn_blocking` closure.
    #[must_use]
    pub fn is_blocking(&self) -> bool {
        self.task.as_ref().is_some_and(|task| task.is_blocking)
    }

    /// Returns the chain of spawners, the direct one first. Empty if the task is untracked.
    #[must_use]
    pub fn spawned_by(&self) -> &[SpawnedBy] {
        self.task.as_ref().map_or(&[], |task| &task.spawners)
    }
}

/// Returns whether a panic ended a task of the session, or escaped from the output of one.
fn ended_task(panicked: &Panicked, symbols: &mut Symbols) -> bool {
    let Some(calls) = &panicked.calls else {
        return true;
    };
    match symbols.catcher(&calls.backtrace) {
        Catcher::Tokio { in_block_on } => !(calls.is_nested && in_block_on),
        Catcher::Other => false,
        // Hardly any `drop` catches panics, so that of a tracked task's output counts.
        Catcher::Unknown => is_tracked(panicked),
    }
}

fn is_tracked(panicked: &Panicked) -> bool {
    let mut task = panicked.task.iter();
    task.any(|task| task.kind != Kind::Hooked)
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::sync::Arc;

    use backtrace::Backtrace;

    use super::{Symbols, TaskPanic};
    use crate::leak::record::panics::{Calls, Panicked};
    use crate::leak::record::task::{Kind, Spawner, Task};

    /// Whether a panic counts without debug information, of a task of this kind.
    fn counts(kind: Option<Kind>) -> bool {
        let task = |kind| Task::new(1, kind, None, Location::caller(), Spawner::Thread);
        let panicked = Panicked {
            task: kind.map(|kind| Arc::new(task(kind))),
            message: None,
            place: None,
            calls: Some(Calls {
                backtrace: Backtrace::from(Vec::new()),
                is_nested: false,
            }),
        };
        TaskPanic::of(&panicked, &mut Symbols::default()).is_some()
    }

    #[test]
    fn tracked_output_needs_no_debug_info() {
        assert!(counts(Some(Kind::Tracked)));
        assert!(counts(Some(Kind::Blocking)));
        assert!(!counts(Some(Kind::Hooked)));
        assert!(!counts(None));
    }
}
