//! What a task waits for, in words.

use std::fmt;
use std::time::Duration;

use crate::trace::symbols::{Call, Symbols, Waits};
use crate::trace::waker::Trace;
use crate::wording::Age;

/// How many of the places where a task waits are listed before the others are counted.
const LISTED: usize = 10;

/// What a task was doing that outlived its test, or was alive when the test was given up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// It waits to be woken, from each of these places.
    At(Vec<WaitPlace>),
    /// It wakes itself, again and again, at these places.
    Busy(Vec<WaitPlace>),
    /// It is pending, and kept no waker when it was polled again. Unless it is one that does so at
    /// its first poll alone, nothing can ever wake it.
    Unwakeable,
    /// It is inside of one poll for this long, and was all the while that it was asked: it blocks its
    /// thread.
    Blocks(Duration),
    /// It was never polled.
    Unstarted,
    /// It did not say so in time, since nothing polled it: its thread was busy with something else,
    /// or its `LocalSet` is not run any more.
    Unanswered,
    /// It cannot be known: the task was not spawned through `straggler`, and so is not polled by it.
    Unknown,
}

/// One of the places at which a task waits.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use straggler::leak::Wait;
/// use straggler::{LeakCheck, settle_all};
/// use tokio::sync::oneshot;
///
/// async fn listen(news: oneshot::Receiver<()>) {
///     let _ = news.await;
/// }
///
/// let (_sender, news) = oneshot::channel();
/// let check = LeakCheck::new().grace(Duration::ZERO);
/// let report = check.run(async {
///     straggler::spawn(async { settle_all([listen(news)]).named(|_| "ada").await });
/// });
/// let report = report.unwrap_err();
///
/// let Wait::At(places) = report.tasks()[0].wait() else { panic!("{report}") };
/// assert!(places[0].calls()[0].function().ends_with("::listen"));
/// assert_eq!(places[0].on(), Some("tokio::sync::oneshot::Receiver"));
/// assert!(places[0].children()[0].starts_with("#0 `ada`"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WaitPlace {
    /// The innermost first. Those of the user's own code.
    calls: Vec<Call>,
    on: Option<String>,
    children: Vec<String>,
}

impl WaitPlace {
    /// Returns the functions that wait, the innermost first: each awaits the one before it.
    ///
    /// Only those of the user's own code, none of the standard library and of dependencies.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Returns what the innermost of them awaits, as in `tokio::sync::oneshot::Receiver`, if it
    /// belongs to a dependency.
    #[must_use]
    pub fn on(&self) -> Option<&str> {
        self.on.as_deref()
    }

    /// Returns which children of `settle_all`, `barrier` and their macros the place lies in, the
    /// outermost first: each as in ``#0 `ada` of the join at src/users.rs:20:5``.
    #[must_use]
    pub fn children(&self) -> &[String] {
        &self.children
    }
}

impl Wait {
    /// Says in words what a traced poll showed.
    pub(crate) fn of(trace: Trace, symbols: &mut Symbols) -> Self {
        let (mut waits, mut wakes) = (Vec::new(), Vec::new());
        for capture in trace.captures {
            let Waits {
                calls,
                on,
                is_yield,
            } = symbols.waits(&capture.backtrace);
            let places = if capture.is_wake || is_yield {
                &mut wakes
            } else {
                &mut waits
            };
            let place = WaitPlace {
                calls,
                on,
                children: capture.children,
            };
            // One thing that is waited for may keep several clones.
            if !places.contains(&place) {
                places.push(place);
            }
        }
        match (waits.is_empty(), wakes.is_empty()) {
            (_, false) => Self::Busy(wakes),
            (false, true) => Self::At(waits),
            (true, true) => Self::Unwakeable,
        }
    }
}

impl Wait {
    /// Whether it is known that only another task can end the wait: it is for a lock, a channel or a
    /// task, or for nothing at all.
    pub(crate) fn is_for_tasks(&self) -> bool {
        let on_tasks = [
            "futures_channel::",
            "straggler::",
            "tokio::runtime::task::",
            "tokio::sync::",
            "tokio::task::join_set::",
            "tokio_util::sync::",
            "tokio_util::task::",
        ];
        match self {
            Self::Unwakeable => true,
            Self::At(places) => places.iter().all(|place| {
                let on = place.on.as_deref().unwrap_or_default();
                on_tasks.iter().any(|of_tasks| on.starts_with(of_tasks))
            }),
            _ => false,
        }
    }
}

impl fmt::Display for WaitPlace {
    /// Writes the innermost call on one line, and each of the others on a line below it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut calls = self.calls.iter();
        match (calls.next(), &self.on) {
            (Some(call), Some(on)) => write!(f, "{call}, on {on}")?,
            (Some(call), None) => write!(f, "{call}")?,
            (None, Some(on)) => write!(f, "{on}")?,
            (None, None) => f.write_str("a place that is not known")?,
        }
        for call in calls {
            write!(f, "\n  awaited at {call}")?;
        }
        if !self.children.is_empty() {
            write!(f, "\n  as child {}", self.children.join(", in it "))?;
        }
        Ok(())
    }
}

fn write_places(f: &mut fmt::Formatter<'_>, does: &str, places: &[WaitPlace]) -> fmt::Result {
    for (index, place) in places.iter().take(LISTED).enumerate() {
        let before = if index == 0 { does } else { "\nand at" };
        write!(f, "{before} {place}")?;
    }
    match places.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => write!(f, "\nand at {more} more"),
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(places) => write_places(f, "waits at", places),
            Self::Busy(places) => write_places(f, "is busy, and wakes itself at", places),
            Self::Unwakeable => f.write_str(
                "waits for what can never wake it: its last poll kept no waker (unless one from before is \
                 still held)",
            ),
            Self::Blocks(time) => write!(
                f,
                "blocks its thread: it is inside of one poll for {}, and does not return",
                Age(*time)
            ),
            Self::Unstarted => f.write_str("was never polled"),
            Self::Unanswered => f.write_str(
                "did not say where it waits: nothing polled it, since its thread is busy or its \
                 `LocalSet` is not run any more",
            ),
            Self::Unknown => f.write_str("waits at a place that is not known"),
        }
    }
}
