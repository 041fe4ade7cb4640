//! Writes out what was found of a test: for people, for GitHub, and to the file for programs.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::panic::Location;
use std::path::Path;
use std::sync::Once;

use crate::leak::render::annotations::{Repository, annotations};
use crate::leak::render::json;
use crate::leak::render::summary::Summary;
use crate::leak::report::Report;
use crate::leak::report::role::Role;
use crate::leak::settings::environment::Outlets;
use crate::trace::place::{Place, workspace};

/// Prints a report, and appends it to the file for programs to read, if there is to be one.
pub(crate) fn emit(report: &Report, role: Role) {
    emit_as(report, &Summary::of(report, role));
}

/// The same, but that people are summary `text`, and programs what is summary of a test beside its report.
pub(crate) fn emit_as(text: &impl Display, summary: &Summary<'_>) {
    eprint!("{}", written(text, summary));
}

/// The same past what test runners capture: what is printed by a thread that belongs to no test they
/// take for the output of the test by which the thread was started.
///
/// # Errors
///
/// If it cannot be printed.
pub(crate) fn emit_past_runner(report: &Report, role: Role) -> io::Result<()> {
    io::stderr().write_all(written(report, &Summary::of(report, role)).as_bytes())
}

/// What is to be printed, when what programs are summary has been appended to the file.
fn written(text: &impl Display, summary: &Summary<'_>) -> String {
    let outlets = Outlets::read();
    if let Some(file) = &outlets.report {
        append(file, summary);
    }
    let mut text = format!("{text}\n");
    if outlets.annotates {
        // Below the report, which ends the line that a test may have begun to print: each of them
        // has to be a line of its own.
        text += &annotations(summary, &Repository::of(workspace()));
    }
    text
}

/// Appends a line to a file. That this cannot be done is noted once, past what test runners
/// capture, and is nothing that a test should fail by.
fn append(file: &Path, summary: &Summary<'_>) {
    static NOTE: Once = Once::new();
    let file = workspace().map_or(file.to_owned(), |root| root.join(file));
    let line = json::line(summary).map_err(io::Error::other);
    if let Err(error) = line.and_then(|line| json::append(&file, &line)) {
        let note = format!(
            "leak_check: note: findings cannot be appended to {}, as STRAGGLER_REPORT says: {error}\n",
            file.display()
        );
        NOTE.call_once(|| _ = io::stderr().write_all(note.as_bytes()));
    }
}

/// Notes rules that allowed nothing in a clean test: they may hide a leak one day.
pub(crate) fn note_unused_rules(
    rules: &[String],
    test: Option<&'static str>,
    place: &'static Location<'static>,
) {
    for rule in rules {
        let place = Place::from(place);
        let test = test.map_or(String::new(), |test| format!("`{test}`, "));
        eprintln!(
            "leak_check: note: `{rule}` allowed nothing ({test}{place}). Is it still needed?"
        );
    }
}

/// Prints what was found of a test that does not fail by it.
pub(crate) fn warn_of(report: &Report) {
    emit(report, Role::Warns);
}
