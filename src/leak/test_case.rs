//! What `#[leak_check]` expands to a call of: runs a test, tells what was found, and fails.

use std::io::{self, Write as _};
use std::panic::{Location, resume_unwind};
use std::path::Path;
use std::pin::Pin;
use std::process::{ExitCode, Termination};
use std::sync::Once;

use super::annotations::{Repository, annotations};
use super::environment::{Mode, Outlets};
use super::place::workspace;
use super::report::Report;
use super::role::{Failure, Role};
use super::{Checked, LeakCheck, json};
use crate::contain::discard;

/// A test with the attribute.
#[derive(Clone, Copy, Debug)]
pub struct TestCase {
    /// The path of the function.
    pub name: &'static str,
}

impl TestCase {
    /// The name that test runners know it by, which has no crate in it.
    fn test(self) -> Option<&'static str> {
        let within_crate = self.name.split_once("::").map(|(_, test)| test);
        within_crate.or(Some(self.name))
    }
}

/// Runs a test.
///
/// # Panics
///
/// If the test does, or tasks outlive it.
#[track_caller]
pub fn leak_test<F>(case: TestCase, check: LeakCheck, body: Pin<&mut F>) -> F::Output
where
    F: Future<Output: Termination> + ?Sized,
{
    match check.check(case.test(), Location::caller(), body) {
        Checked::Failed(report) => fail(&report, Role::Fails),
        Checked::Run {
            outcome,
            report,
            mode,
        } => match (outcome, report) {
            (Ok(output), None) => output,
            (Ok(output), Some(report)) if mode == Mode::Warn => {
                tell(&report, Role::Warns);
                output
            }
            (Ok(output), Some(report)) => {
                // Prints the error, if it is one.
                if output.report() == ExitCode::SUCCESS {
                    fail(&report, Role::Fails)
                }
                eprintln!("The test failed by the error above. It also left something behind:\n");
                fail(&report, Role::Accompanies(Failure::ReturnedError))
            }
            (Err(panic), report) => {
                if let Some(report) = report {
                    eprintln!(
                        "The test failed by the panic above. It also left something behind:\n"
                    );
                    tell(&report, Role::Accompanies(Failure::Panicked));
                }
                panic.resume()
            }
        },
    }
}

/// Runs a test that is to panic.
///
/// What it leaves behind must not count as the panic that it is to end with. So where something
/// is left behind this does not panic at all: then the test fails, as one that "did not panic as
/// expected".
///
/// # Panics
///
/// If the test does, and no task outlives it.
#[track_caller]
pub fn leak_test_should_panic<F>(case: TestCase, check: LeakCheck, body: Pin<&mut F>)
where
    F: Future<Output = ()> + ?Sized,
{
    match check.check(case.test(), Location::caller(), body) {
        Checked::Failed(report) => tell(&report, Role::Fails),
        Checked::Run {
            outcome,
            report,
            mode,
        } => match (outcome, report) {
            (outcome, None) => outcome.unwrap_or_else(|panic| panic.resume()),
            (Ok(()), Some(report)) => tell(&report, Role::Accompanies(Failure::DidNotPanic)),
            (Err(panic), Some(report)) if mode == Mode::Warn => {
                tell(&report, Role::Warns);
                panic.resume()
            }
            (Err(panic), Some(report)) => {
                tell(&report, Role::Fails);
                eprintln!(
                    "\nThe test has panicked, as it should. It fails all the same, because it left something behind: the\ntest runner is told that it did not panic."
                );
                discard(panic);
            }
        },
    }
}

/// Fails the test of this thread. Not by `panic!`, whose own message would name this line.
fn fail(report: &Report, role: Role) -> ! {
    tell(report, role);
    resume_unwind(Box::new(report.to_string()))
}

/// Prints a report, and appends it to the file for programs to read, if there is to be one.
fn tell(report: &Report, role: Role) {
    let outlets = Outlets::read();
    if let Some(file) = &outlets.report {
        append(file, report, role);
    }
    let mut text = format!("{report}\n");
    if outlets.annotates {
        // Below the report, which ends the line that a test may have begun to print: each of them
        // has to be a line of its own.
        text += &annotations(report, role, &Repository::of(workspace()));
    }
    eprint!("{text}");
}

/// Appends a report to a file. That this cannot be done is noted once, past what test runners
/// capture, and is nothing that a test should fail by.
fn append(file: &Path, report: &Report, role: Role) {
    static NOTE: Once = Once::new();
    let file = workspace().map_or(file.to_owned(), |root| root.join(file));
    let line = json::line(report, role).map_err(io::Error::other);
    if let Err(error) = line.and_then(|line| json::append(&file, &line)) {
        let note = format!(
            "leak_check: note: findings cannot be appended to {}, as STRAGGLER_REPORT says: {error}\n",
            file.display()
        );
        NOTE.call_once(|| _ = io::stderr().write_all(note.as_bytes()));
    }
}
