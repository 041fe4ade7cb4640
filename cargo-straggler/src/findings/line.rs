//! The lines of a `STRAGGLER_REPORT` file. `straggler::leak::json` documents them.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A test that was checked.
#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    /// The path of the test as test runners print it.
    pub(crate) test: Option<String>,
    #[serde(flatten)]
    pub(crate) at: At,
    pub(crate) verdict: String,
    /// Whether the test is about the panics that were found.
    #[serde(default)]
    pub(crate) expected: bool,
    /// For how long the check waited in vain for what the test left.
    pub(crate) waited_ms: Option<u64>,
    pub(crate) explored: Option<Exploration>,
    /// Why the test could not be explored.
    pub(crate) not_explored: Option<String>,
    pub(crate) findings: Vec<Finding>,
}

/// The exploration of a test.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exploration {
    pub(crate) runs: usize,
    /// The run that failed.
    pub(crate) run: Option<usize>,
    pub(crate) seed: Option<String>,
    /// The command that runs the failed run again.
    pub(crate) replay: Option<String>,
    /// The picture of the failed run.
    pub(crate) svg: Option<String>,
}

/// One finding of a test, or several equal ones.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Finding {
    pub(crate) kind: String,
    #[serde(flatten)]
    pub(crate) at: At,
    pub(crate) count: usize,
    pub(crate) called_at: Option<Call>,
    #[serde(default)]
    pub(crate) spawned_by: Vec<Spawner>,
    pub(crate) waits_for: Option<WaitsFor>,
    /// When the timer fires that it waits for.
    pub(crate) fires_in_ms: Option<u64>,
    pub(crate) panicked_at: Option<At>,
    pub(crate) message: Option<String>,
    pub(crate) timeout_ms: Option<u64>,
}

/// A place, if it is known.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    pub(crate) file: Option<String>,
    pub(crate) line: Option<usize>,
}

/// A call of a function.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) function: String,
    #[serde(flatten)]
    pub(crate) at: At,
}

/// What spawned a task.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Spawner {
    pub(crate) by: String,
    #[serde(flatten)]
    pub(crate) at: At,
}

/// What a task waits for.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct WaitsFor {
    pub(crate) state: String,
    pub(crate) places: Vec<WaitsAt>,
}

/// One of the places where a task waits.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct WaitsAt {
    pub(crate) on: Option<String>,
    pub(crate) calls: Vec<Call>,
}

/// A report could not be read.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    #[error("could not read {path}: {error}")]
    File { path: PathBuf, error: io::Error },
    #[error("{path}:{line} is no line of a straggler report: {error}")]
    Line {
        path: PathBuf,
        line: usize,
        error: serde_json::Error,
    },
}

/// Reads a report.
///
/// # Errors
///
/// Returns an error if the file or one of its lines cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<Line>, ReadError> {
    let text = fs::read_to_string(path).map_err(|error| {
        let path = path.to_owned();
        ReadError::File { path, error }
    })?;
    let lines = text.lines().enumerate().map(|(index, line)| {
        serde_json::from_str(line).map_err(|error| ReadError::Line {
            path: path.to_owned(),
            line: index + 1,
            error,
        })
    });
    lines.collect()
}
