//! The program that runs the tests: `cargo test` or nextest.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::Command;

use crate::cargo::{Cargo, CargoError};
use crate::cli::TestOptions;
use crate::nextest_output;
use crate::progress::Progress;
use crate::suite_output::Ran;
use crate::workspace::Workspace;

/// What runs the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    Cargo,
    Nextest {
        /// Whether its standard output is for this command alone.
        reports_events: bool,
    },
}

/// Why a runner was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// An option says so, or nothing else is possible.
    Plain,
    /// The workspace has a configuration for nextest.
    Configured,
    /// The workspace has a configuration for nextest, which is not installed.
    ConfiguredInVain,
}

impl Runner {
    /// Chooses what runs the tests of a workspace.
    ///
    /// # Errors
    ///
    /// Returns an error if nextest is asked for and not installed.
    pub(crate) fn choose(
        options: &TestOptions,
        cargo: &Cargo<'_>,
        workspace: &Workspace,
    ) -> Result<(Self, Reason), CargoError> {
        let nextest = Self::Nextest {
            // The format is the user's if one is given. Nothing runs with `--no-run`.
            reports_events: !options.passes_on("--message-format")
                && !options.passes_on("--no-run"),
        };
        if options.nextest {
            cargo.expect_nextest()?;
            return Ok((nextest, Reason::Plain));
        }
        // Nextest runs no doc tests.
        let is_possible = !options.no_nextest && !options.passes_on("--doc");
        if !is_possible || !workspace.nextest_configuration().is_file() {
            return Ok((Self::Cargo, Reason::Plain));
        }
        match cargo.expect_nextest() {
            Ok(()) => Ok((nextest, Reason::Configured)),
            Err(CargoError::Failed(_)) => Ok((Self::Cargo, Reason::ConfiguredInVain)),
            Err(error) => Err(error),
        }
    }

    /// The subcommand of cargo.
    pub(crate) fn subcommand(self) -> &'static [&'static str] {
        match self {
            Self::Cargo => &["test"],
            Self::Nextest { .. } => &["nextest", "run"],
        }
    }

    /// Makes the run say which tests it runs.
    pub(crate) fn prepare(self, command: &mut Command) {
        let reports_events = true;
        if self == (Self::Nextest { reports_events }) {
            command.args(["--message-format", "libtest-json"]);
            // The format is an experiment of nextest's, which this variable allows.
            command.env("NEXTEST_EXPERIMENTAL_LIBTEST_JSON", "1");
        }
    }

    /// Reads which tests ran from their output, and copies what people read. Nextest has a progress line of
    /// its own; `cargo test` gets one, for which the report is counted.
    ///
    /// # Errors
    ///
    /// Returns an error if the output cannot be read or written.
    pub(crate) fn read(
        self,
        output: impl Read,
        copy: impl Write,
        report: &Path,
    ) -> io::Result<Ran> {
        match self {
            Self::Nextest {
                reports_events: true,
            } => nextest_output::read(output, copy),
            Self::Nextest { .. } => Ran::read(output, copy),
            Self::Cargo => Ran::read(output, Progress::over(copy, report)),
        }
    }
}
