//! A poll or a closure that blocks its thread.

use std::fmt;
use std::time::Duration;

use crate::trace::call::Call;
use crate::trace::symbols::Symbols;
use crate::trace::thread::{self, Activity, Look};
use crate::trace::wait::CALLS;
use crate::wording::count;

/// A poll or a closure that has not returned, and where its thread is.
///
/// Straggler finds the place on Linux: the thread walks its stack in a signal handler. System calls
/// resume. Elsewhere the place is unknown.
///
/// # Examples
///
/// ```
/// use std::sync::mpsc;
/// use std::time::Duration;
///
/// use straggler::LeakCheck;
/// use straggler::leak::self_test;
/// use tokio::sync::oneshot;
///
/// let (stop, stopped) = mpsc::channel::<()>();
/// let check = LeakCheck::new().grace(Duration::ZERO);
/// let report = check.run(async {
///     let (begins, begun) = oneshot::channel();
///     straggler::spawn_blocking(move || {
///         begins.send(()).unwrap();
///         stopped.recv()
///     });
///     begun.await.unwrap();
/// });
/// drop(stop);
///
/// let report = report.unwrap_err();
/// let blocked = report.blocking()[0].blocked().unwrap();
/// if let Some(called) = blocked.inside() {
///     assert_eq!(called, "std::sync::mpsc::Receiver::recv");
///     assert_eq!(blocked.calls()[0].place().is_some(), self_test().sees_lines());
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Blocked {
    time: Duration,
    calls: Vec<Call>,
    inside: Option<String>,
    by: Blocker,
}

/// What a thread is blocked by. Decides what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Blocker {
    Lock,
    Channel,
    Sleep,
    /// A runtime inside the thread, which runs a future to its end.
    BlockOn,
    /// Another thread, which shall end or unpark this one.
    Thread,
    Io,
    /// Nothing: the thread computes, or loops.
    Busy,
    /// A lock, a channel or a thread.
    Other,
    Unknown,
}

impl Blocked {
    /// Looks at a thread that has been inside one poll or closure for `time`.
    pub(crate) fn at(thread: thread::Id, time: Duration, symbols: &mut Symbols) -> Self {
        Self::of(&thread::look(thread), time, symbols)
    }

    /// Resolves what a look at the thread showed. This may take long on a busy machine.
    pub(crate) fn of(look: &Look, time: Duration, symbols: &mut Symbols) -> Self {
        let Stuck { calls, inside, by } = symbols.stuck(&look.stack);
        let by = match (by, look.activity) {
            (_, Some(Activity::Runs)) => Blocker::Busy,
            (Blocker::Unknown, Some(Activity::Waits)) => Blocker::Other,
            (Blocker::Unknown, Some(Activity::Sleeps)) => Blocker::Sleep,
            (Blocker::Unknown, Some(Activity::DoesIo)) => Blocker::Io,
            (by, _) => by,
        };
        Self {
            time,
            calls,
            // A thread that runs is in this function by chance.
            inside: inside.filter(|_| by != Blocker::Busy),
            by,
        }
    }

    /// Returns how long the poll or closure has been running.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.time
    }

    /// Returns the calls in the user's code that the thread is inside, the innermost first. Empty if
    /// they are unknown.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Returns the function of a library that the innermost call is inside, such as
    /// `std::sync::mpsc::Receiver::recv`.
    ///
    /// Returns `None` if it is unknown, and if the thread computes rather than waits.
    #[must_use]
    pub fn inside(&self) -> Option<&str> {
        self.inside.as_deref()
    }

    pub(crate) fn by(&self) -> Blocker {
        self.by
    }

    /// Whether the calls are known.
    pub(crate) fn is_located(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Whether anything but the time is known.
    pub(crate) fn is_known(&self) -> bool {
        !self.calls.is_empty() || self.by != Blocker::Unknown
    }
}

impl fmt::Display for Blocked {
    /// Writes where the thread is, each call on its own line, or else what it does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut calls = self.calls.iter();
        match (calls.next(), &self.inside) {
            (Some(call), Some(inside)) => write!(f, "at {call}, calling {inside}")?,
            (Some(call), None) => write!(f, "at {call}")?,
            (None, Some(inside)) => write!(f, "in {inside}")?,
            (None, None) => f.write_str(match self.by {
                Blocker::Busy => "its thread runs: it computes, or loops",
                Blocker::Sleep => "its thread sleeps",
                Blocker::Io => "its thread waits for a file, a socket or a process",
                Blocker::Other => "its thread waits for a lock, a channel or another thread",
                _ => "its thread is at an unknown place",
            })?,
        }
        for call in calls.take(CALLS - 1) {
            write!(f, "\ncalled at {call}")?;
        }
        match self.calls.len().saturating_sub(CALLS) {
            0 => Ok(()),
            more => write!(f, "\ncalled through {}", count(more, "more call")),
        }
    }
}

/// What the stack of a blocked thread shows.
#[derive(Clone, Debug)]
pub(crate) struct Stuck {
    pub(crate) calls: Vec<Call>,
    pub(crate) inside: Option<String>,
    pub(crate) by: Blocker,
}

impl Blocker {
    /// Returns what a function of a library waits for, or `None` if its path does not say.
    pub(crate) fn of_function(path: &str) -> Option<Self> {
        let is_any = |parts: &[&str]| parts.iter().any(|part| path.contains(part));
        let kinds: [(Self, &[&str]); 6] = [
            (
                Self::Channel,
                &["mpsc", "mpmc", "oneshot", "broadcast", "_channel", "flume"],
            ),
            (
                Self::Lock,
                &[
                    "Mutex",
                    "RwLock",
                    "_lock",
                    "::lock",
                    "mutex",
                    "rwlock",
                    "Once",
                    "Lazy",
                    "::once",
                    "Semaphore",
                ],
            ),
            (Self::BlockOn, &["block_on", "pollster"]),
            (Self::Sleep, &["::sleep"]),
            (
                Self::Thread,
                &["std::thread::", "Condvar", "condvar", "Barrier", "::park"],
            ),
            (
                Self::Io,
                &[
                    "std::io::",
                    "std::net::",
                    "std::fs::",
                    "std::os::",
                    "std::process::",
                    "::read",
                    "::write",
                ],
            ),
        ];
        let mut kinds = kinds.into_iter();
        kinds.find_map(|(kind, parts)| is_any(parts).then_some(kind))
    }
}
