//! What a report means for its test.

/// What a report means for its test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The test fails by it.
    Fails,
    /// The test does not: by `STRAGGLER=warn`, or because it should panic, and a task did.
    Warns,
    /// The test has failed by itself, and the report is a note.
    Accompanies(Failure),
}

/// What a test itself fails by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Its body panicked.
    Panicked,
    /// Its body returned an error.
    ReturnedError,
    /// It should have panicked.
    DidNotPanic,
}

/// How grave something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// The test does not fail by it.
    Warning,
    /// The test fails by it.
    Error,
}

impl Role {
    pub(crate) fn level(self) -> Level {
        match self {
            Self::Fails => Level::Error,
            Self::Warns | Self::Accompanies(_) => Level::Warning,
        }
    }
}

impl Failure {
    /// The word for it in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Panicked => "panicked",
            Self::ReturnedError => "returned_error",
            Self::DidNotPanic => "did_not_panic",
        }
    }
}

impl Level {
    /// The word for it, in JSON and in the commands of GitHub Actions.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
