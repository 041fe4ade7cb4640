//! Emits a report: as text, as annotations for GitHub, and as a line of JSON.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::panic::Location;
use std::path::Path;
use std::sync::Once;

use crate::leak::render::annotations::annotations;
use crate::leak::render::json::Exploration;
use crate::leak::render::repository::Repository;
use crate::leak::render::summary::Summary;
use crate::leak::render::text::AfterPanic;
use crate::leak::render::{json, notes};
use crate::leak::report::Report;
use crate::leak::report::role::{Failure, Role};
use crate::leak::settings::environment::{Environment, Mode, Outlets};
use crate::trace::place::{Place, workspace};

/// Prints a report, and appends it to the file of `STRAGGLER_REPORT` if that is set.
pub(crate) fn emit(report: &Report, role: Role) {
    emit_as(report, &Summary::of(report, role));
}

/// Prints a short note on what a test left behind whose body panicked.
pub(crate) fn emit_after_panic(report: &Report) {
    let summary = Summary::of(report, Role::Note(Failure::Panicked));
    emit_as(&AfterPanic(report), &summary);
}

/// Does the same with another `text` for people, while programs read the summary.
pub(crate) fn emit_as(text: &impl Display, summary: &Summary<'_>) {
    eprint!("{}", written(text, summary));
}

/// Does the same past the capture of test runners.
///
/// The watchdog's thread belongs to no test, so libtest would credit its output to whichever test
/// started it.
///
/// # Errors
///
/// Returns an error if standard error cannot be written.
pub(crate) fn emit_past_runner(report: &Report, role: Role) -> io::Result<()> {
    io::stderr().write_all(written(report, &Summary::of(report, role)).as_bytes())
}

/// Appends the summary to the file, and returns the text to print.
fn written(text: &impl Display, summary: &Summary<'_>) -> String {
    let outlets = Outlets::read();
    if let Some(file) = &outlets.report {
        append(file, &json::line(summary));
    }
    let mut text = format!("{text}\n");
    if outlets.annotates {
        // GitHub reads a command only at the start of a line, and the test may have printed half of
        // one: the report above ends it.
        text += &annotations(summary, &Repository::of(workspace()));
    }
    text
}

/// Appends a line to a file. A failure prints one note per process and fails no test.
fn append(file: &Path, line: &str) {
    static NOTE: Once = Once::new();
    let file = workspace().map_or(file.to_owned(), |root| root.join(file));
    if let Err(error) = json::append(&file, line) {
        let note = format!(
            "leak_check: note: cannot append findings to {} (STRAGGLER_REPORT): {error}\n",
            file.display()
        );
        NOTE.call_once(|| _ = io::stderr().write_all(note.as_bytes()));
    }
}

/// Appends a test without findings to the file, if that is asked for and the check is on. A test that
/// `STRAGGLER_TESTS` skips has no findings either.
pub(crate) fn emit_clean(test: Option<&'static str>, place: &'static Location<'static>) {
    append_clean(test, place, Exploration::No);
}

/// Appends a test that passed in every explored run, if that is asked for.
pub(crate) fn emit_explored(
    test: Option<&'static str>,
    place: &'static Location<'static>,
    runs: usize,
) {
    append_clean(test, place, Exploration::Runs(runs));
}

/// Appends a test that passed in all its schedules, or in the first ones, if that is asked for.
pub(crate) fn emit_schedules(
    test: Option<&'static str>,
    place: &'static Location<'static>,
    runs: usize,
    schedules: usize,
    is_exhaustive: bool,
) {
    let exploration = Exploration::Schedules {
        runs,
        schedules,
        is_exhaustive,
    };
    append_clean(test, place, exploration);
}

/// Appends a test that cannot be explored, and why, if that is asked for.
pub(crate) fn emit_unexplored(
    test: Option<&'static str>,
    place: &'static Location<'static>,
    reason: &str,
) {
    append_clean(test, place, Exploration::Not(reason));
}

fn append_clean(
    test: Option<&'static str>,
    place: &'static Location<'static>,
    exploration: Exploration<'_>,
) {
    let outlets = Outlets::read();
    let file = outlets.report.as_ref().filter(|_| outlets.reports_clean);
    let environment = || {
        Environment::read()
            .ok()
            .filter(|read| read.mode != Mode::Off)
    };
    if let Some((file, environment)) = file.and_then(|file| Some((file, environment()?))) {
        let verdict = if environment.checks(test) {
            "clean"
        } else {
            "skipped"
        };
        append(
            file,
            &json::clean_line(test, &Place::from(place), verdict, exploration),
        );
    }
}

/// Prints the rules that allowed nothing in a clean test, since they may hide a leak one day, and whether
/// rules allowed leftovers that may have been spawned elsewhere.
pub(crate) fn note_rules(
    unused: &[String],
    assumed: usize,
    test: Option<&'static str>,
    place: &'static Location<'static>,
) {
    if unused.is_empty() && assumed == 0 {
        return;
    }
    let place = Place::from(place);
    let test = test.map_or(String::new(), |test| format!("`{test}`, "));
    for rule in unused {
        eprintln!(
            "leak_check: note: `{rule}` allowed nothing ({test}{place}). Is it still needed?"
        );
    }
    if assumed > 0 {
        let assumed = notes::assumed(assumed);
        eprintln!("leak_check: note: {assumed} ({test}{place})");
    }
}

/// Prints a report as a warning: the test does not fail on it.
pub(crate) fn warn_of(report: &Report) {
    emit(report, Role::Warns);
}
