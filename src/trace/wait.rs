//! What a task waits for.

use std::cmp::Ordering;
use std::fmt;

use crate::trace::blocked::Blocked;
use crate::trace::call::Call;
use crate::trace::place::Place;
use crate::trace::symbols::{Symbols, Waits};
use crate::trace::waker::{Capture, Trace};
use crate::wording::{Age, TEXT, count, cut};

/// How many wait places a report lists. It counts the rest.
const LISTED: usize = 10;

/// How many calls of a place a report lists, the innermost first.
pub(crate) const CALLS: usize = 20;

/// What a leftover task was doing: a task that outlived its test, or was alive when the test hung.
///
/// `Display` writes the text of a report, such as `waits at src/users.rs:20:5 in users::listen`. Each
/// outer call and each further place gets its own line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// The task waits for a wake-up at each of these places.
    At(Vec<WaitPlace>),
    /// The task keeps waking itself at these places.
    Busy(Vec<WaitPlace>),
    /// The task is pending but kept no waker when Straggler polled it again. Nothing can wake it, unless
    /// it still uses the waker of its first poll.
    Unwakeable,
    /// The task was ready when Straggler polled it, though nothing had woken it: a lost wake-up.
    LostWakeUp,
    /// The task panicked when Straggler polled it, and nothing had woken it. In the test it only waits.
    PanicsUnwoken {
        /// The message of the panic, if it is a string.
        message: Option<String>,
        /// The line that panicked, if it is known.
        place: Option<Place>,
    },
    /// The task blocks its thread: one poll has not returned.
    Blocks(Blocked),
    /// Nothing has ever polled the task.
    Unstarted,
    /// Straggler woke the task, but nothing polled it in time: its thread is busy with something else, or
    /// its `LocalSet` no longer runs.
    Unanswered,
    /// Straggler cannot tell: the task was not spawned through `straggler`.
    Unknown,
}

/// A place at which a task waits.
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
    /// The calls in the user's code, the innermost first.
    calls: Vec<Call>,
    on: Option<String>,
    /// Whether only another task can end the wait.
    is_for_task: bool,
    /// Whether the operating system ends the wait.
    is_for_system: bool,
    children: Vec<String>,
}

impl WaitPlace {
    /// Returns the waiting calls, the innermost first: each awaits the one before it.
    ///
    /// The list has calls in the user's code only, not in dependencies or the standard library. It may be
    /// empty.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Returns the future of a dependency that the innermost call awaits, such as
    /// `tokio::sync::oneshot::Receiver`, or `None` if it is unknown.
    #[must_use]
    pub fn on(&self) -> Option<&str> {
        self.on.as_deref()
    }

    /// Returns the children of joins around the place, the outermost first, such as
    /// ``#0 `ada` of the join at src/users.rs:20:5``.
    ///
    /// Joins are `settle_all`, `barrier` and their macros. Outside a join the list is empty.
    #[must_use]
    pub fn children(&self) -> &[String] {
        &self.children
    }

    /// Resolves a capture. Also returns whether the future yields there.
    pub(crate) fn of(capture: Capture, symbols: &mut Symbols) -> (Self, bool) {
        let Waits {
            calls,
            on,
            is_for_task,
            is_for_system,
            is_yield,
        } = symbols.waits(&capture.backtrace);
        let place = Self {
            calls,
            on,
            is_for_task,
            is_for_system,
            children: capture.children,
        };
        (place, is_yield)
    }

    /// The order of places in a report: by source line, the innermost call first.
    fn by_line(&self, other: &Self) -> Ordering {
        let lines = |of: &Self| {
            let calls = of.calls.iter();
            let lines = calls.map(|call| (call.place().cloned(), call.function().to_owned()));
            lines.collect::<Vec<_>>()
        };
        (lines(self), &self.on).cmp(&(lines(other), &other.on))
    }
}

impl Wait {
    /// Resolves what a traced poll captured.
    pub(crate) fn of(trace: Trace, symbols: &mut Symbols) -> Self {
        let (mut waits, mut wakes) = (Vec::new(), Vec::new());
        for capture in trace.captures {
            let is_wake = capture.is_wake;
            let (place, is_yield) = WaitPlace::of(capture, symbols);
            let places = if is_wake || is_yield {
                &mut wakes
            } else {
                &mut waits
            };
            // One wait may keep several clones of the waker.
            if !places.contains(&place) {
                places.push(place);
            }
        }
        // A `select!` polls its branches in random order. A stable sort keeps children in theirs.
        waits.sort_by(WaitPlace::by_line);
        wakes.sort_by(WaitPlace::by_line);
        // A task that wakes itself is busy, whatever else it waits for.
        match (waits.is_empty(), wakes.is_empty()) {
            (_, false) => Self::Busy(wakes),
            (false, true) => Self::At(waits),
            (true, true) => Self::Unwakeable,
        }
    }
}

impl Wait {
    /// Whether only another task can end the wait: the task waits for a lock, a channel, a task, or for
    /// nothing at all. A deadlock consists of such waits.
    pub(crate) fn is_for_tasks(&self) -> bool {
        match self {
            Self::Unwakeable | Self::LostWakeUp | Self::PanicsUnwoken { .. } => true,
            Self::At(places) => places.iter().all(|place| place.is_for_task),
            _ => false,
        }
    }
}

impl WaitPlace {
    /// Whether a socket, a process or a signal ends the wait, so that it takes real time.
    pub(crate) fn is_for_system(&self) -> bool {
        self.is_for_system
    }
}

/// A timer that ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The task ends by itself soon after, unless it waits for something else then.
    Timeout,
    /// The task may sleep once, or in a loop.
    Sleep,
    /// The task loops.
    Interval,
}

impl Wait {
    /// Whether only a timer can end the wait.
    pub(crate) fn is_for_timer_alone(&self) -> bool {
        matches!(self, Self::At(places) if places.len() == 1) && self.timer().is_some()
    }

    /// Returns the timer that ends the wait, if one does.
    pub(crate) fn timer(&self) -> Option<Timer> {
        let Self::At(places) = self else {
            return None;
        };
        let timers = [
            ("tokio::time::interval::", Timer::Interval),
            ("tokio::time::timeout::", Timer::Timeout),
            ("tokio::time::", Timer::Sleep),
        ];
        let is_on = |path: &str| {
            let mut awaited = places.iter().filter_map(WaitPlace::on);
            awaited.any(|on| on.starts_with(path))
        };
        let mut timers = timers.into_iter();
        timers.find_map(|(path, timer)| is_on(path).then_some(timer))
    }
}

impl fmt::Display for WaitPlace {
    /// Writes the innermost call first, and each outer one on its own line below.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut calls = self.calls.iter();
        match (calls.next(), &self.on) {
            (Some(call), Some(on)) => write!(f, "{call}, on {on}")?,
            (Some(call), None) => write!(f, "{call}")?,
            (None, Some(on)) => write!(f, "{on}")?,
            (None, None) => f.write_str("an unknown place")?,
        }
        for call in calls.take(CALLS - 1) {
            write!(f, "\n  awaited at {call}")?;
        }
        if let more @ 1.. = self.calls.len().saturating_sub(CALLS) {
            write!(f, "\n  awaited through {}", count(more, "more call"))?;
        }
        for (index, child) in self.children.iter().take(LISTED).enumerate() {
            let before = if index == 0 {
                "\n  as child "
            } else {
                ", within it "
            };
            write!(f, "{before}{}", cut(child, TEXT))?;
        }
        match self.children.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, ", within it {more} more"),
        }
    }
}

fn write_places(f: &mut fmt::Formatter<'_>, verb: &str, places: &[WaitPlace]) -> fmt::Result {
    for (index, place) in places.iter().take(LISTED).enumerate() {
        let before = if index == 0 { verb } else { "\nand at" };
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
            Self::Busy(places) => write_places(f, "is busy: it wakes itself at", places),
            Self::Unwakeable => f.write_str(
                "can never be woken: its last poll kept no waker (unless something still holds an \
                 earlier one)",
            ),
            Self::LostWakeUp => f.write_str(
                "was ready when polled again, but nothing had woken it: a lost wake-up",
            ),
            Self::PanicsUnwoken { message, place } => {
                f.write_str("was never woken, and panics when it is polled without a wake-up")?;
                if let Some(message) = message {
                    write!(f, ": {}", cut(message, TEXT))?;
                }
                match place {
                    Some(place) => write!(f, "\n  panicked at {place}"),
                    None => Ok(()),
                }
            }
            Self::Blocks(blocked) => {
                let time = Age(blocked.time());
                write!(
                    f,
                    "blocks its thread: one poll has been running for {time} and has not returned"
                )?;
                if blocked.is_known() {
                    write!(f, "\n  {}", blocked.to_string().replace('\n', "\n  "))?;
                }
                Ok(())
            }
            Self::Unstarted => f.write_str("was never polled"),
            Self::Unanswered => f.write_str(
                "did not report where it waits: its thread is busy, or its `LocalSet` no longer runs",
            ),
            Self::Unknown => f.write_str("waits at an unknown place"),
        }
    }
}
