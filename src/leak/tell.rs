//! Tells what was found of a test: people, GitHub, and the file for programs. The one place that
//! writes.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Once;

use super::annotations::{Repository, annotations};
use super::environment::Outlets;
use super::json;
use super::place::workspace;
use super::report::Report;
use super::role::Role;
use super::told::Told;

/// Prints a report, and appends it to the file for programs to read, if there is to be one.
pub(super) fn tell(report: &Report, role: Role) {
    tell_as(report, &Told::of(report, role));
}

/// The same, but that people are told `text`, and programs what is told of a test beside its report.
pub(crate) fn tell_as(text: &impl Display, told: &Told<'_>) {
    eprint!("{}", written(text, told));
}

/// The same past what test runners capture: what is printed by a thread that belongs to no test they
/// take for the output of the test by which the thread was started.
///
/// # Errors
///
/// If it cannot be printed.
pub(super) fn tell_past_runner(report: &Report, role: Role) -> io::Result<()> {
    io::stderr().write_all(written(report, &Told::of(report, role)).as_bytes())
}

/// What is to be printed, when what programs are told has been appended to the file.
fn written(text: &impl Display, told: &Told<'_>) -> String {
    let outlets = Outlets::read();
    if let Some(file) = &outlets.report {
        append(file, told);
    }
    let mut text = format!("{text}\n");
    if outlets.annotates {
        // Below the report, which ends the line that a test may have begun to print: each of them
        // has to be a line of its own.
        text += &annotations(told, &Repository::of(workspace()));
    }
    text
}

/// Appends a line to a file. That this cannot be done is noted once, past what test runners
/// capture, and is nothing that a test should fail by.
fn append(file: &Path, told: &Told<'_>) {
    static NOTE: Once = Once::new();
    let file = workspace().map_or(file.to_owned(), |root| root.join(file));
    let line = json::line(told).map_err(io::Error::other);
    if let Err(error) = line.and_then(|line| json::append(&file, &line)) {
        let note = format!(
            "leak_check: note: findings cannot be appended to {}, as STRAGGLER_REPORT says: {error}\n",
            file.display()
        );
        NOTE.call_once(|| _ = io::stderr().write_all(note.as_bytes()));
    }
}
