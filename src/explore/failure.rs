//! What came of an exploration.

use std::fmt;
use std::panic::Location;

use crate::leak::render::summary::{self, FailedRun, Found, Summary};
use crate::leak::report::Report;
use crate::leak::report::role::Role;
use crate::leak::report::verdict::Verdict;
use crate::panic::Panic;
use crate::schedule::recorder::Schedule;
use crate::schedule::seed::Seed;
use crate::trace::place::Place;

/// What an exploration came to in which no run failed.
///
/// # Examples
///
/// ```
/// use straggler::{Explore, settle_all};
/// use tokio::sync::Mutex;
///
/// let explored = Explore::new().runs(20).find(|| async {
///     let count = Mutex::new(0);
///     let add = async || *count.lock().await += 1;
///     let _ = settle_all([add(), add()]).await;
///     assert_eq!(count.into_inner(), 2);
/// });
/// let explored = explored.unwrap();
/// assert_eq!(explored.runs(), 20);
/// assert!((2..=20).contains(&explored.distinct_schedules()));
/// assert_eq!(explored.note(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explored {
    pub(crate) runs: usize,
    pub(crate) courses: usize,
    pub(crate) note: Option<String>,
}

impl Explored {
    /// Returns how many runs there were.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// Returns how many of the runs differed from each other in what there was to decide, at least.
    ///
    /// If it is far below the number of runs, more runs would hardly show more.
    #[must_use]
    pub fn distinct_schedules(&self) -> usize {
        self.courses
    }

    /// Returns what is to be said of a run that was repeated by its seed: that it took another course
    /// than before, or passes though it failed when the seed was printed. Or that overlap was required
    /// and could not be looked at, since there was but one run.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }
}

/// A run that failed: why, in which schedule, and how to repeat it.
///
/// `Display` tells all of it, with what to do in the last lines; so does `Debug`, since tests
/// `unwrap()`.
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
#[derive(thiserror::Error)]
#[error("{}", Text(self))]
pub struct Failure(Box<Failed>);

pub(crate) struct Failed {
    pub(crate) cause: Cause,
    /// The name of the test, if it is known.
    pub(crate) test: Option<String>,
    pub(crate) place: &'static Location<'static>,
    pub(crate) run: usize,
    pub(crate) runs: usize,
    pub(crate) seed: Seed,
    pub(crate) schedule: Schedule,
    /// How many decisions were not the plain ones, in the run that was found and in the one that is
    /// told of.
    pub(crate) deviations: Option<(usize, usize)>,
    pub(crate) note: Option<String>,
}

/// Why a run failed, or all of them.
#[derive(Debug)]
pub(crate) enum Cause {
    Panicked {
        panic: Panic,
        place: Option<Place>,
        /// What the leak check found also.
        report: Option<Report>,
    },
    ReturnedError {
        error: String,
        report: Option<Report>,
    },
    Found(Report),
    /// Nothing was ever in flight at the same time.
    NoOverlap,
    /// There was no run, for this reason.
    NotRun(String),
}

impl Cause {
    /// Whether two runs failed in the same way.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        use std::mem::discriminant;
        match (self, other) {
            (Self::Found(one), Self::Found(other)) => {
                discriminant(one.verdict()) == discriminant(other.verdict())
            }
            // Messages may have numbers in them that differ.
            (Self::Panicked { place: one, .. }, Self::Panicked { place: other, .. }) => {
                one.is_none() || other.is_none() || one == other
            }
            _ => discriminant(self) == discriminant(other),
        }
    }
}

impl Failure {
    pub(crate) fn new(failed: Failed) -> Self {
        Self(Box::new(failed))
    }

    pub(crate) fn failed(&self) -> &Failed {
        &self.0
    }

    /// The panic of the body, unless something was found also by which a test fails that should panic.
    ///
    /// # Errors
    ///
    /// This failure, if it is another.
    pub(crate) fn into_panic(self) -> Result<Panic, Self> {
        if !self.report().is_none_or(Report::may_accompany_panic) {
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

    /// What programs are told of it, for the test of this name.
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
            Cause::NotRun(reason) => Found::NotRun(reason),
        };
        let run = || FailedRun {
            number: failed.run,
            seed: failed.seed.to_string(),
        };
        let run = match failed.cause {
            Cause::NotRun(_) => None,
            Cause::NoOverlap => Some(None),
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

    /// Returns what repeats the run: give it to [`Explore::replay`](crate::Explore::replay), or to the
    /// environment variable `STRAGGLER_SEED`.
    #[must_use]
    pub fn seed(&self) -> &Seed {
        &self.0.seed
    }

    /// Returns which run failed, counted from 1 as in the text. Run 1 has the plain order. It is 0 if
    /// no single run failed: there was no overlap in any of them, or the test was not run.
    #[must_use]
    pub fn run(&self) -> usize {
        self.0.run
    }

    /// Returns the steps of the run. There are none if it had the plain order, if no run was made or
    /// failed, or if the steps could not be recorded.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.0.schedule
    }

    /// Returns the message of the body's panic, or its error in words.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match &self.0.cause {
            Cause::Panicked { panic, .. } => panic.message(),
            Cause::ReturnedError { error, .. } => Some(error),
            _ => None,
        }
    }

    /// Returns what the leak check found in the run.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match &self.0.cause {
            Cause::Panicked { report, .. } | Cause::ReturnedError { report, .. } => report.as_ref(),
            Cause::Found(report) => Some(report),
            Cause::NoOverlap | Cause::NotRun(_) => None,
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A failure as people read it.
struct Text<'a>(&'a Failure);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.0.failed();
        let place = Place::from(failed.place);
        let test = match &failed.test {
            Some(test) => format!("the test `{test}` ({place})"),
            None => format!("the exploration at {place}"),
        };
        let report = match &failed.cause {
            Cause::NotRun(reason) => return write!(f, "explore: {test} was not run: {reason}"),
            Cause::NoOverlap => {
                return write!(
                    f,
                    "explore: in {} runs of {test} no two children of one combinator, and no two tasks, were seen \
                     in flight at once\n\n\
                     What was seen are the children of `settle_all`, `barrier` and their macros, and tasks \
                     that are spawned through straggler. What to do:\n  \
                     see that what is to race is started before any of it has ended\n  \
                     if the body races with a task, or branches of another join do, or tasks that are spawned \
                     past straggler, it is not seen: make them children or tasks, or leave `require_overlap` \
                     out",
                    failed.runs
                );
            }
            Cause::Panicked { report, .. } | Cause::ReturnedError { report, .. } => report.as_ref(),
            Cause::Found(report) => Some(report),
        };
        write!(f, "explore: {} of {test} failed\n\n  ", Run(failed))?;
        match &failed.cause {
            Cause::Panicked { panic, place, .. } => {
                f.write_str("the body panicked")?;
                if let Some(place) = place {
                    write!(f, " at {place}")?;
                }
                let message = panic.message().unwrap_or("(the payload is not a string)");
                write!(f, ": {}", message.replace('\n', "\n  "))?;
            }
            Cause::ReturnedError { error, .. } => {
                let error = error.replace('\n', "\n  ");
                write!(f, "the body returned an error: {error}")?;
            }
            _ => {}
        }
        if let Some(report) = report {
            let also = match failed.cause {
                Cause::Found(_) => "",
                _ => "\n\n  also ",
            };
            let report = report.to_string().replace('\n', "\n  ");
            write!(f, "{also}{report}")?;
        }
        self.schedule(f)?;
        if let Some(note) = &failed.note {
            write!(f, "\n\nnote: {note}")?;
        }
        let verdict = report.map(Report::verdict);
        if matches!(verdict, Some(Verdict::Hung { .. })) {
            f.write_str(
                "\n\nnote: it may be a deadlock, which is seen as one if all tasks are spawned through \
                 straggler, the build has debug information, and no timer keeps firing, as that of an \
                 `interval` does, or a `sleep` in a loop",
            )?;
        }
        write!(f, "\n\nTo repeat this run, also in a debugger:\n  ")?;
        // One that is repeated has much time by default, in which it may end, or hangs for as long.
        let timeout = match verdict {
            Some(Verdict::Hung { timeout, .. } | Verdict::Late { timeout, .. }) => {
                let timeout = humantime::format_duration(*timeout).to_string();
                format!("STRAGGLER_TIMEOUT={} ", timeout.replace(' ', ""))
            }
            _ => String::new(),
        };
        let seed = &failed.seed;
        match &failed.test {
            Some(test) => write!(
                f,
                "{timeout}STRAGGLER_SEED={seed} cargo test {test} -- --exact"
            ),
            None => write!(
                f,
                "`.replay(\"{seed}\".parse().unwrap())`, or {timeout}STRAGGLER_SEED={seed}"
            ),
        }
    }
}

impl Text<'_> {
    fn schedule(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.0.failed();
        let Some((found, told)) = failed.deviations else {
            return f.write_str("\n\nin the plain order, in which nothing is steered.");
        };
        let steps = failed.schedule.steps().len() + failed.schedule.omitted();
        if steps == 0 {
            return f.write_str("\n\nIts steps were not recorded: repeat the run to see them.");
        }
        let steps = if steps == 1 {
            "1 step".to_owned()
        } else {
            format!("{steps} steps")
        };
        write!(f, "\n\nin this schedule of {steps}")?;
        match told {
            0 => f.write_str(", one child at a time")?,
            1 => f.write_str(", which differs from the plain order in 1 decision")?,
            told => write!(
                f,
                ", which differs from the plain order in {told} decisions"
            )?,
        }
        if found > told {
            write!(f, " (it was found with {found})")?;
        }
        let schedule = failed.schedule.to_string().replace('\n', "\n  ");
        write!(f, ":\n\n  {schedule}")
    }
}

/// Which run it was.
struct Run<'a>(&'a Failed);

impl fmt::Display for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.runs {
            1 => f.write_str("the run"),
            runs => write!(f, "run {} of {runs}", self.0.run),
        }
    }
}
