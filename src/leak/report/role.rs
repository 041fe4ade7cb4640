//! Whether a test fails on its report.

/// Whether a test fails on its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The test fails on the report.
    Fails,
    /// The test passes: with `STRAGGLER=warn`.
    Warns,
    /// The test passes: it should panic, and apart from it only tasks panicked.
    Expected,
    /// The test failed by itself, and the report is a note on that.
    Note(Failure),
}

/// How a test fails by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Its body panicked.
    Panicked,
    /// Its body returned an error.
    ReturnedError,
    /// It should have panicked.
    DidNotPanic,
}

/// The level of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// The test does not fail on it.
    Warning,
    /// The test fails on it.
    Error,
}

impl Role {
    /// Returns the level of the finding that decided the verdict.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::Fails => Level::Error,
            Self::Warns | Self::Expected | Self::Note(_) => Level::Warning,
        }
    }
}

impl Failure {
    /// Returns the value of `verdict` in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Panicked => "panicked",
            Self::ReturnedError => "returned_error",
            Self::DidNotPanic => "did_not_panic",
        }
    }
}

impl Level {
    /// Returns the value of `level` in JSON, which is also the command of GitHub Actions.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
