//! Known kinds of concurrency bugs, minimal and in tokio's own types, each with a repaired twin. All of
//! them pass in the plain order.

/// Makes a bug of its name and an `async fn(repaired: bool)`.
macro_rules! bug {
    ($name:literal, $body:ident) => {
        $crate::bugs::bug($name, |repaired| Box::pin($body(repaired)))
    };
}

mod caches;
mod cancellation;
mod clock;
mod deadlocks;
mod order;
mod races;
mod signals;

use std::pin::Pin;

use straggler::Explore;

/// The body of a run. It panics or hangs if the bug shows.
pub(crate) type Body = Pin<Box<dyn Future<Output = ()>>>;

/// What a build must have for `Explore` to find a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: the budget of any tokio is enough.
    Budget,
    /// A task can yield while it holds a lock that was free. From tokio 1.54 on it can.
    YieldWhileHeld,
    /// An operation can yield before it begins, as in builds with scheduling points.
    PointsBefore,
    /// Tasks that are not spawned through straggler are scheduled, as with `tokio_unstable`.
    Hooks,
    /// A task can begin inside its spawn, with `Explore::eager_spawns`.
    EagerSpawns,
}

/// A bug and its repaired twin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bug {
    /// Its name in messages and tables.
    pub(crate) name: &'static str,
    #[allow(dead_code, reason = "some that use the corpus leave it out")]
    pub(crate) needs: Needs,
    /// Makes the body of one run: of the bug, or of its twin if `repaired`.
    pub(crate) body: fn(repaired: bool) -> Body,
}

impl Bug {
    /// The exploration that can find it, if the build can.
    #[allow(dead_code, reason = "some that use the corpus leave it out")]
    pub(crate) fn explore(&self) -> Explore {
        match self.needs {
            Needs::EagerSpawns => Explore::new().eager_spawns(),
            _ => Explore::new(),
        }
    }

    const fn needs(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }
}

pub(crate) const fn bug(name: &'static str, body: fn(bool) -> Body) -> Bug {
    let needs = Needs::Budget;
    Bug { name, needs, body }
}

/// All known bugs, by kind.
pub(crate) const CORPUS: &[(&str, &[Bug])] = &[
    ("race", races::BUGS),
    ("cache", caches::BUGS),
    ("deadlock", deadlocks::BUGS),
    ("signal", signals::BUGS),
    ("order", order::BUGS),
    ("cancellation", cancellation::BUGS),
    ("clock", clock::BUGS),
];

/// The bug with this name.
#[allow(dead_code, reason = "some that use the corpus leave it out")]
pub(crate) fn named(name: &str) -> Bug {
    let mut bugs = CORPUS.iter().flat_map(|(_, bugs)| *bugs);
    let bug = bugs.find(|bug| bug.name == name);
    *bug.unwrap_or_else(|| panic!("the corpus has no bug `{name}`"))
}
