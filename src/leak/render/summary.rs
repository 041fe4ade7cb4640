//! The summary of a test that JSON and annotations are made from.

use crate::leak::report::Report;
use crate::leak::report::role::Role;
use crate::schedule::step::Schedule;
use crate::trace::place::Place;

/// The findings of a test, and the failed run if it explores.
pub(crate) struct Summary<'a> {
    /// The path of the test, or `None` without the attribute.
    pub(crate) test: Option<&'a str>,
    /// Where the test is defined.
    pub(crate) place: Place,
    pub(crate) found: Found<'a>,
    pub(crate) role: Role,
    /// `None` if the test does not explore.
    pub(crate) explored: Option<Explored<'a>>,
}

/// Why a test has findings.
pub(crate) enum Found<'a> {
    /// The leak check reports something.
    Report(&'a Report),
    /// The body panicked in a run of an exploration. Elsewhere the test runner reports the panic.
    BodyPanic {
        message: Option<&'a str>,
        at: Option<&'a Place>,
        also: Option<&'a Report>,
    },
    /// The body returned an error in a run of an exploration.
    BodyError {
        message: &'a str,
        also: Option<&'a Report>,
    },
    /// No two operations overlapped in any run, though the test requires it.
    NoOverlap,
    /// At most this many tasks at a time were alive that no schedule decides.
    Unscheduled(usize),
    /// A run repeated the decisions of another one, and took another course.
    Diverged,
    /// The body has no operation that its runs could cancel.
    NothingToCancel,
    /// The exploration did not start, for this reason.
    NotRun(&'a str),
}

/// The exploration of a test that failed.
pub(crate) struct Explored<'a> {
    /// The number of runs asked for.
    pub(crate) runs: usize,
    /// `None` if no single run failed, but all of them together.
    pub(crate) run: Option<FailedRun<'a>>,
}

/// Why nothing was cancelled, behind the name of the test.
pub(crate) const NOTHING_TO_CANCEL: &str = "cancelled nothing: its body polls no `straggler::cancellable(..)` and no \
     task of `straggler::spawn_abortable`; wrap the operation: `cancellable(operation).await`";

/// A run that failed.
pub(crate) struct FailedRun<'a> {
    /// Counts from 1.
    pub(crate) number: usize,
    /// The value of `STRAGGLER_SEED` that replays it.
    pub(crate) seed: String,
    /// The command that does so, if the name of the test is known.
    pub(crate) replay: Option<String>,
    pub(crate) schedule: &'a Schedule,
    /// The schedule as a picture.
    pub(crate) svg: String,
}

impl<'a> Summary<'a> {
    /// The summary of a test that does not explore.
    pub(crate) fn of(report: &'a Report, role: Role) -> Self {
        Self {
            test: report.test(),
            place: report.place().clone(),
            found: Found::Report(report),
            role,
            explored: None,
        }
    }

    /// Drops a panic of the body, which the test expects, and keeps the report beside it.
    ///
    /// Returns `None` if nothing is left to report.
    pub(crate) fn beside_panic(self) -> Option<Self> {
        let Found::BodyPanic { also, .. } = self.found else {
            return Some(self);
        };
        let report = also?;
        Some(Self {
            found: Found::Report(report),
            role: report.role_beside_panic(),
            ..self
        })
    }

    /// Returns the report of the leak check, whether or not the test fails on it.
    pub(crate) fn report(&self) -> Option<&'a Report> {
        match self.found {
            Found::Report(report) => Some(report),
            Found::BodyPanic { also, .. } | Found::BodyError { also, .. } => also,
            Found::NoOverlap
            | Found::Unscheduled(_)
            | Found::Diverged
            | Found::NothingToCancel
            | Found::NotRun(_) => None,
        }
    }

    /// Whether the test fails on the report, not on its body.
    pub(crate) fn fails_by_report(&self) -> bool {
        matches!(self.found, Found::Report(_))
    }
}
