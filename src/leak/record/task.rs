//! The record of one task: what kind it is, who spawned it, and where.

use std::borrow::Cow;
use std::cell::RefCell;
use std::panic::Location;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, ThreadId};
use std::time::Instant;

use tokio::task;

use crate::leak::record::panic_places::PanicPlaces;
use crate::leak::record::spawn_place::SpawnPlace;
use crate::leak::record::task_polls::Progress;
use crate::schedule::eager;
use crate::schedule::recorder::BODY;
use crate::trace::call::Call;
use crate::trace::place::Place;
use crate::trace::symbols::Symbols;

/// How many spawners of spawners a record keeps. A chain of tasks that each spawn their successor
/// must not grow the memory without bound.
const GENERATIONS: usize = 32;

/// The record of one task.
#[derive(Debug)]
pub(crate) struct Task {
    /// Counts from 1 in each test; the body is 0.
    pub(crate) number: usize,
    pub(crate) kind: Kind,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(super) spawned_at: SpawnPlace,
    pub(crate) spawner: Spawner,
    pub(crate) spawned: Instant,
    /// Whether the runtime counts it as alive. It does not count closures and tasks of a
    /// `LocalSet`.
    is_counted: AtomicBool,
    /// Tokio's id, set by the first poll; `Some(None)` for a body, which has none.
    id: OnceLock<Option<task::Id>>,
    /// The length of the chain of spawners.
    generation: usize,
    /// The thread outside of tasks that began the chain: it runs the body of a test.
    pub(crate) thread: Option<ThreadId>,
    /// The panics inside the task, which it may catch and resume.
    pub(crate) panics: Mutex<PanicPlaces>,
    pub(super) progress: Progress,
}

/// What kind of work a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The body of the test, which is never a leak.
    Body,
    /// A tracked task: straggler wraps its future.
    Tracked,
    /// A tracked task from `spawn_local`, of a `LocalSet` or of a `LocalRuntime`.
    Local,
    /// A tracked task that was spawned on a given `LocalSet`.
    InLocalSet,
    /// A tracked task from `background`, aborted after the body.
    Background,
    /// A closure on a blocking thread.
    Blocking,
    /// A closure of the check itself, which holds a paused clock.
    Hold,
    /// An untracked task, seen by a runtime hook.
    #[cfg_attr(not(tokio_unstable), allow(dead_code, reason = "there are no hooks"))]
    Hooked,
}

impl Kind {
    /// Returns whether it is a closure, which the runtime neither polls nor stops.
    pub(crate) fn is_closure(self) -> bool {
        matches!(self, Self::Blocking | Self::Hold)
    }
}

/// The spawner of a task.
#[derive(Clone, Debug)]
pub(crate) enum Spawner {
    /// A recorded task, or the body.
    Task(Arc<Task>),
    /// An untracked task.
    Unknown,
    /// A thread outside the runtime.
    Thread,
}

impl Spawner {
    /// Returns the thread outside of tasks that began the chain of spawners, which this thread
    /// continues.
    pub(crate) fn thread(&self) -> Option<ThreadId> {
        match self {
            Self::Task(task) => task.thread,
            Self::Unknown => None,
            Self::Thread => Some(thread::current().id()),
        }
    }
}

thread_local! {
    /// The recorded task that this thread polls.
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
        let thread = spawner.thread();
        let (spawner, generation) = match spawner {
            // Skips the latest spawner and keeps the first ones, which say most about the origin.
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
            spawned_at: SpawnPlace::new(spawned_at),
            spawner,
            spawned: Instant::now(),
            is_counted: AtomicBool::new(
                !matches!(kind, Kind::Local | Kind::InLocalSet) && !kind.is_closure(),
            ),
            id: OnceLock::new(),
            generation,
            thread,
            panics: Mutex::default(),
            progress: Progress::default(),
        }
    }

    /// Returns the recorded task that this thread polls.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(|current| current.borrow().clone()).ok()?
    }

    /// Calls `run` with this as the current task.
    pub(crate) fn enter<R>(self: &Arc<Self>, run: impl FnOnce() -> R) -> R {
        struct Leave(Option<Arc<Task>>);
        impl Drop for Leave {
            fn drop(&mut self) {
                exchange(self.0.take());
            }
        }
        /// Does nothing on an ending thread, where the thread-local is destroyed already.
        fn exchange(current: Option<Arc<Task>>) -> Option<Arc<Task>> {
            let exchange = |of_thread: &RefCell<_>| of_thread.replace(current);
            CURRENT.try_with(exchange).ok().flatten()
        }

        let _leave = Leave(exchange(Some(Arc::clone(self))));
        if self.id.get().is_none() && !eager::is_in_spawn() {
            _ = self.id.set(task::try_id());
        }
        run()
    }

    /// Returns whether tokio knows the task by this id, `None` for the body.
    pub(crate) fn has_id(&self, id: Option<task::Id>) -> bool {
        match self.id.get() {
            Some(own) => *own == id,
            None => eager::is_in_spawn() && self.is_in_spawn(),
        }
    }

    /// Returns whether it is polled inside its spawn, before tokio knows of it.
    pub(crate) fn is_in_spawn(&self) -> bool {
        self.id.get().is_none() && self.is_in_poll()
    }

    /// Returns the place that spawned the task.
    pub(crate) fn place(&self) -> Place {
        self.spawned_at.place(self.kind != Kind::Hooked)
    }

    /// Returns the place that spawned the task, unless its location hides the call and this build cannot
    /// find it.
    pub(crate) fn known_place(&self) -> Option<Place> {
        let place = self.place();
        (!self.spawned_at.hides(&place)).then_some(place)
    }

    /// Returns the path of the function around the spawn, if its stack was kept and has debug information.
    pub(crate) fn function(&self) -> Option<String> {
        self.spawned_at.function(&self.place())
    }

    /// Returns the call in the user's code behind a spawn in a dependency, if its stack is known.
    pub(crate) fn caller(&self, symbols: &mut Symbols) -> Option<Call> {
        self.spawned_at.caller(&self.place(), symbols)
    }

    /// Returns the name of the task in reports.
    pub(crate) fn label(&self) -> String {
        let name = self.name.as_ref();
        let name = name.map_or(String::new(), |name| format!(" `{name}`"));
        match self.kind {
            Kind::Body => BODY.to_owned(),
            _ => format!("task #{}{name}", self.number),
        }
    }

    /// Returns whether the runtime counts it as alive.
    pub(crate) fn is_counted(&self) -> bool {
        self.is_counted.load(Relaxed)
    }

    /// Records that the runtime counts it as alive.
    pub(crate) fn set_counted(&self) {
        self.is_counted.store(true, Relaxed);
    }
}
