//! What programs read of a test: what was found in it, and which run, if it explores.

use crate::leak::report::Report;
use crate::leak::report::role::Role;
use crate::trace::place::Place;

/// What is told of a test.
pub(crate) struct Summary<'a> {
    /// The path of the test, if it has the attribute.
    pub(crate) test: Option<&'a str>,
    /// Where it stands.
    pub(crate) place: Place,
    pub(crate) found: Found<'a>,
    pub(crate) role: Role,
    /// `None` if it does not explore.
    pub(crate) explored: Option<Explored>,
}

/// What was found in a test.
pub(crate) enum Found<'a> {
    /// What its check has in its report.
    Report(&'a Report),
    /// Its body panicked. Only of one that explores this is something found: of others the test runner
    /// tells it.
    BodyPanic {
        message: Option<&'a str>,
        /// Where, if that is known.
        at: Option<&'a Place>,
        also: Option<&'a Report>,
    },
    /// Its body returned an error, of which the same holds.
    BodyError {
        message: &'a str,
        also: Option<&'a Report>,
    },
    /// Nothing in it was ever in flight at the same time, as it should be.
    NoOverlap,
    /// It was not explored, for this reason.
    NotRun(&'a str),
}

/// The exploration of a test that failed.
pub(crate) struct Explored {
    /// How many runs it was to have.
    pub(crate) runs: usize,
    /// The run that failed, or `None` if it is all of them together.
    pub(crate) run: Option<FailedRun>,
}

/// A run that failed.
pub(crate) struct FailedRun {
    /// Which it was, from 1 on.
    pub(crate) number: usize,
    /// What repeats it.
    pub(crate) seed: String,
}

impl<'a> Summary<'a> {
    /// What is told of a test that does not explore.
    pub(crate) fn of(report: &'a Report, role: Role) -> Self {
        Self {
            test: report.test(),
            place: report.place().clone(),
            found: Found::Report(report),
            role,
            explored: None,
        }
    }

    /// The same of a test that should panic: that its body did is nothing to tell, but what was found
    /// also is.
    pub(crate) fn beside_panic(self) -> Option<Self> {
        let Found::BodyPanic { also, .. } = self.found else {
            return Some(self);
        };
        let report = also?;
        let role = if report.may_accompany_panic() {
            Role::Warns
        } else {
            Role::Fails
        };
        Some(Self {
            found: Found::Report(report),
            role,
            ..self
        })
    }

    /// What the check found, be it why the test fails or not.
    pub(crate) fn report(&self) -> Option<&'a Report> {
        match self.found {
            Found::Report(report) => Some(report),
            Found::BodyPanic { also, .. } | Found::BodyError { also, .. } => also,
            Found::NoOverlap | Found::NotRun(_) => None,
        }
    }

    /// Whether the report has the reason for which the test fails.
    pub(crate) fn fails_by_report(&self) -> bool {
        matches!(self.found, Found::Report(_))
    }
}
