//! The failure of an exploration.

use std::error::Error;
use std::fmt;
use std::mem::discriminant;
use std::panic::{Location, resume_unwind};

use crate::explore::clock_jump::ClockJump;
use crate::explore::diagram::Diagram;
use crate::explore::diagram_svg::{self, Svg};
use crate::explore::rerun::Binary;
use crate::explore::text;
use crate::leak::render::emit::emit_as;
use crate::leak::render::summary::{self, FailedRun, Found, Summary};
use crate::leak::report::Report;
use crate::leak::report::role::Role;
use crate::leak::report::verdict::Verdict;
use crate::panic::Panic;
use crate::schedule::cancellation::Cancelled;
use crate::schedule::seed::{Kind, Seed};
use crate::schedule::step::Schedule;
use crate::trace::place::Place;

/// A failing run: the cause, the schedule and the seed that replays it.
///
/// `Display` prints all of it; the last lines say how to replay the run. `Debug` prints the same text,
/// since tests `unwrap()`.
///
/// # Examples
///
/// ```
/// use straggler::{Explore, settle_all};
/// use tokio::sync::Mutex;
///
/// async fn test() {
///     let count = Mutex::new(0);
///     let add = async || {
///         let before = *count.lock().await;
///         *count.lock().await = before + 1;
///     };
///     let _ = settle_all([add(), add()]).await;
///     assert_eq!(count.into_inner(), 2, "an update was lost");
/// }
///
/// let failure = Explore::new().find(test).unwrap_err();
/// assert!(failure.message().unwrap().contains("an update was lost"));
/// assert!(failure.run() > 1, "the plain order loses none");
/// assert!(!failure.schedule().steps().is_empty());
/// assert!(failure.report().is_none(), "nothing was left behind");
///
/// let again = Explore::new().replay(failure.seed().clone()).find(test).unwrap_err();
/// assert_eq!((again.run(), again.message()), (1, failure.message()));
/// ```
pub struct Failure(Box<Failed>);

pub(crate) struct Failed {
    pub(crate) cause: Cause,
    /// The name of the test, if it is known.
    pub(crate) test: Option<String>,
    pub(crate) place: &'static Location<'static>,
    /// The number of the failed run, from 1. 0 if no single run failed.
    pub(crate) run: usize,
    pub(crate) runs: usize,
    /// Whether the runs are all schedules, not a sample.
    pub(crate) is_exhaustive: bool,
    pub(crate) seed: Seed,
    pub(crate) schedule: Schedule,
    /// `None` for the plain order.
    pub(crate) reorderings: Option<Reorderings>,
    /// Why timers of the run may have fired early.
    pub(crate) clock_jump: Option<ClockJump>,
    /// Whether runs of the exploration cancel.
    pub(crate) cancels: bool,
    /// `None` if the run cancelled nothing.
    pub(crate) cancelled: Option<Cancelled>,
    pub(crate) note: Option<String>,
}

/// How many decisions of a run were not the plain ones, with those that cancelled.
pub(crate) struct Reorderings {
    /// In the run that the search found.
    pub(crate) found: usize,
    /// In the run that the failure shows, after minimizing.
    pub(crate) shown: usize,
}

/// Why an exploration failed.
#[derive(Debug)]
pub(crate) enum Cause {
    Panicked {
        panic: Panic,
        place: Option<Place>,
        /// The leak check's findings in the same run.
        report: Option<Report>,
    },
    ReturnedError {
        error: String,
        report: Option<Report>,
    },
    Found(Report),
    /// No children and no tasks ever overlapped.
    NoOverlap,
    /// Tasks were alive that no schedule decides, at most this many at a time.
    Unscheduled(usize),
    /// The run with this number repeated the decisions of an earlier one, and took another course.
    Diverged(usize),
    /// The body has no operation that its runs could cancel.
    NothingToCancel,
    /// No run was possible, for this reason.
    NotRun(String),
}

impl Cause {
    pub(crate) fn is_deadlock(&self) -> bool {
        matches!(self.ending(), Some(Verdict::Deadlocked { .. }))
    }

    /// Whether the run used up its timeout.
    pub(crate) fn is_slow(&self) -> bool {
        let ending = self.ending();
        matches!(ending, Some(Verdict::Hung { .. } | Verdict::Late { .. }))
    }

    fn ending(&self) -> Option<&Verdict> {
        match self {
            Self::Found(report) => report.ending(),
            _ => None,
        }
    }

    /// Whether two runs failed in the same way.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Found(one), Self::Found(other)) => {
                discriminant(one.verdict()) == discriminant(other.verdict())
            }
            // Compare the place only: messages may contain values that differ.
            (Self::Panicked { place: one, .. }, Self::Panicked { place: other, .. }) => {
                one.is_none() || other.is_none() || one == other
            }
            _ => discriminant(self) == discriminant(other),
        }
    }
}

impl Failed {
    /// Whether the run could cancel an operation, and failed without.
    pub(crate) fn is_uncancelled(&self) -> bool {
        self.cancels && self.cancelled.is_none() && self.reorderings.is_none()
    }

    /// The command that replays the run, if the name of the test is known.
    pub(crate) fn replay(&self) -> Option<String> {
        let test = self.test.as_ref()?;
        let command = Binary::current(Place::from(self.place).file()).command(test);
        Some(format!("{} {command}", self.replay_variables()))
    }

    /// The variables that replay the run.
    pub(crate) fn replay_variables(&self) -> String {
        // By default a replay has an hour: the run might end within it, or hang for all of it.
        let timeout = match self.cause.ending() {
            Some(Verdict::Hung { timeout, .. } | Verdict::Late { timeout, .. }) => {
                let timeout = humantime::format_duration(*timeout).to_string();
                format!("STRAGGLER_TIMEOUT={} ", timeout.replace(' ', ""))
            }
            _ => String::new(),
        };
        format!("{timeout}STRAGGLER_SEED={}", self.seed)
    }
}

impl Failure {
    pub(crate) fn new(failed: Failed) -> Self {
        Self(Box::new(failed))
    }

    pub(crate) fn failed(&self) -> &Failed {
        &self.0
    }

    /// The body's panic, for a test with `#[should_panic]`.
    ///
    /// # Errors
    ///
    /// Returns the failure itself if the body did not panic, or if the leak check found something that
    /// a panic does not excuse.
    pub(crate) fn into_panic(self) -> Result<Panic, Self> {
        if !self
            .report()
            .is_none_or(|report| report.role_beside_panic() != Role::Fails)
        {
            return Err(self);
        }
        match *self.0 {
            Failed {
                cause: Cause::Panicked { panic, .. },
                ..
            } => Ok(panic),
            failed => Err(Self::new(failed)),
        }
    }

    /// The summary for JSON and annotations, for the test with this name.
    pub(crate) fn summary(&self, test: Option<&'static str>) -> Summary<'_> {
        let failed = &*self.0;
        let found = match &failed.cause {
            Cause::Panicked {
                panic,
                place,
                report,
            } => Found::BodyPanic {
                message: panic.message(),
                at: place.as_ref(),
                also: report.as_ref(),
            },
            Cause::ReturnedError { error, report } => Found::BodyError {
                message: error,
                also: report.as_ref(),
            },
            Cause::Found(report) => Found::Report(report),
            Cause::NoOverlap => Found::NoOverlap,
            Cause::Unscheduled(tasks) => Found::Unscheduled(*tasks),
            Cause::Diverged(_) => Found::Diverged,
            Cause::NothingToCancel => Found::NothingToCancel,
            Cause::NotRun(reason) => Found::NotRun(reason),
        };
        let run = || FailedRun {
            number: failed.run,
            seed: failed.seed.to_string(),
            replay: failed.replay(),
            schedule: &failed.schedule,
            svg: self.to_svg(),
        };
        let run = match failed.cause {
            Cause::NothingToCancel | Cause::NotRun(_) => None,
            Cause::NoOverlap | Cause::Unscheduled(_) | Cause::Diverged(_) => Some(None),
            _ => Some(Some(run())),
        };
        Summary {
            test,
            place: failed.place.into(),
            found,
            role: Role::Fails,
            explored: run.map(|run| summary::Explored {
                runs: failed.runs,
                run,
            }),
        }
    }

    /// Adds a note to a failure without one.
    pub(crate) fn with_note(mut self, note: Option<String>) -> Self {
        self.0.note = self.0.note.or(note);
        self
    }

    /// Fails the current test. `test` is its name if it has the attribute.
    pub(crate) fn fail(self, test: Option<&'static str>) -> ! {
        emit_as(&self, &self.summary(test));
        // `panic!` would print a message with this line as its place.
        resume_unwind(Box::new(self.to_string()))
    }

    /// Returns the seed of the run. To replay the run, pass the seed to
    /// [`Explore::replay`](crate::Explore::replay) or set the environment variable `STRAGGLER_SEED`.
    #[must_use]
    pub fn seed(&self) -> &Seed {
        &self.0.seed
    }

    /// Whether the failed run used the plain order.
    pub(crate) fn is_plain(&self) -> bool {
        self.0.run > 0 && self.0.seed.kind == Kind::Plain
    }

    /// Whether all runs passed, with tasks that no schedule decides.
    pub(crate) fn is_unscheduled(&self) -> bool {
        matches!(self.0.cause, Cause::Unscheduled(_))
    }

    /// Returns the number of the failed run, from 1 as in the text. Run 1 uses the plain order.
    ///
    /// It is 0 if no single run failed: nothing overlapped in any of them, tasks were not scheduled, the
    /// schedules could not be [enumerated](crate::Explore::exhaustive), or the test was not run.
    #[must_use]
    pub fn run(&self) -> usize {
        self.0.run
    }

    /// Returns the steps of the run.
    ///
    /// It is empty if the run used the plain order, if no single run failed, or if the steps were not
    /// recorded.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.0.schedule
    }

    /// Draws the schedule as a sequence diagram in SVG: a lane for each child, task and the body, and time
    /// downwards.
    ///
    /// Marks show where an actor yields, waits, ends or panics, and arrows whom it wakes. The file needs
    /// no script, font or other file, follows the colour scheme of the reader, and can be part of an HTML
    /// page. It shows the first 48 and the last 12 of many steps, 12 lanes at most, and says what it
    /// leaves out.
    ///
    /// Without a step, as for a run in the plain order, the picture has only the cause of the failure.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::{Explore, settle_all};
    /// use tokio::sync::Mutex;
    ///
    /// let failure = Explore::new().find(|| async {
    ///     let count = Mutex::new(0);
    ///     let add = async || {
    ///         let before = *count.lock().await;
    ///         *count.lock().await = before + 1;
    ///     };
    ///     let _ = settle_all([add(), add()]).await;
    ///     assert_eq!(count.into_inner(), 2);
    /// });
    /// let svg = failure.unwrap_err().to_svg();
    /// assert!(svg.starts_with("<svg ") && svg.contains("child #1"));
    /// ```
    #[must_use]
    pub fn to_svg(&self) -> String {
        let failed = self.failed();
        let heading = text::heading(failed);
        let svg = Svg {
            heading: &heading,
            summary: &text::schedule_summary(failed),
            diagram: Diagram::of(&failed.schedule, diagram_svg::LIMITS),
        };
        svg.to_string()
    }

    /// Returns the message of the body's panic, or the `Debug` text of its error.
    ///
    /// It is `None` for any other failure, and for a panic whose payload is not a string.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match &self.0.cause {
            Cause::Panicked { panic, .. } => panic.message(),
            Cause::ReturnedError { error, .. } => Some(error),
            _ => None,
        }
    }

    /// Returns the leak check's report on the run, or `None` if the check found nothing.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match &self.0.cause {
            Cause::Panicked { report, .. } | Cause::ReturnedError { report, .. } => report.as_ref(),
            Cause::Found(report) => Some(report),
            Cause::NoOverlap
            | Cause::Unscheduled(_)
            | Cause::Diverged(_)
            | Cause::NothingToCancel
            | Cause::NotRun(_) => None,
        }
    }
}

impl Error for Failure {}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
