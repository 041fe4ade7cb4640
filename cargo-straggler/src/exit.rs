//! The exit statuses of the command.

use std::process::{ExitCode, ExitStatus};

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The suite passed, and every finding is accepted.
    Passed,
    /// The build or a test failed: the status of `cargo test` or nextest.
    Suite(u8),
    /// The suite passed, and straggler found something.
    Findings,
    /// The suite could not be checked.
    NotChecked,
    /// A signal ended the command.
    Interrupted,
}

impl Exit {
    /// The exit of a suite that ended, where `found` is whether there are findings to fail on.
    pub(crate) fn of_suite(status: ExitStatus, found: bool) -> Self {
        match status.code() {
            Some(0) if found => Self::Findings,
            Some(0) => Self::Passed,
            // Neither cargo nor nextest ends with a status beyond a byte, but Windows allows it.
            Some(code) => Self::Suite(u8::try_from(code).unwrap_or(u8::MAX)),
            None => Self::Interrupted,
        }
    }

    /// The status that the process exits with. `docs/cargo.md` has the same table.
    fn status(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Suite(status) => status,
            Self::Findings => 10,
            Self::NotChecked => 11,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.status().into()
    }
}
