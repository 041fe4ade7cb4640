//! What `#[leak_check]` expands to a call of: runs a test, tells what was found, and fails.

use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::process::{ExitCode, Termination};

use crate::contain::discard;
use crate::explore::Explore;
use crate::explore::outcome::Outcome;
use crate::leak::LeakCheck;
use crate::leak::check::body::TestBody;
use crate::leak::check::run::{Checked, run};
use crate::leak::render::emit::{emit, emit_as};
use crate::leak::report::Report;
use crate::leak::report::role::{Failure, Role};

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
    F: TestBody<Output: Termination> + ?Sized,
{
    let (runtime, settings) = check.into_parts();
    match run(runtime, settings, case.test(), Location::caller(), body) {
        Checked::Failed(report) => fail(&report, Role::Fails),
        Checked::Run { outcome, report } => match (outcome, report) {
            (Ok(output), None) => output,
            (Ok(output), Some(report)) if report.only_warns() => {
                emit(&report, Role::Warns);
                output
            }
            (Ok(output), Some(report)) => {
                // Prints the error, if it is one.
                if output.report() == ExitCode::SUCCESS {
                    fail(&report, Role::Fails)
                }
                eprintln!("The test failed by the error above. The leak check also found this:\n");
                fail(&report, Role::Accompanies(Failure::ReturnedError))
            }
            (Err(panic), report) => {
                if let Some(report) = report {
                    eprintln!(
                        "The test failed by the panic above. The leak check also found this:\n"
                    );
                    emit(&report, Role::Accompanies(Failure::Panicked));
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
    F: TestBody<Output = ()> + ?Sized,
{
    let (runtime, settings) = check.into_parts();
    match run(runtime, settings, case.test(), Location::caller(), body) {
        Checked::Failed(report) => emit(&report, Role::Fails),
        Checked::Run { outcome, report } => match (outcome, report) {
            (outcome, None) => outcome.unwrap_or_else(|panic| panic.resume()),
            (Ok(()), Some(report)) => emit(&report, Role::Accompanies(Failure::DidNotPanic)),
            (Err(panic), Some(report)) if report.may_accompany_panic() => {
                emit(&report, Role::Warns);
                panic.resume()
            }
            (Err(panic), Some(report)) => {
                emit(&report, Role::Fails);
                eprintln!(
                    "\nThe test has panicked, as it should. It fails all the same, because it left something behind: the\ntest runner is told that it did not panic."
                );
                discard(panic);
            }
        },
    }
}

/// Explores a test.
///
/// # Panics
///
/// If a run fails.
#[track_caller]
pub fn explored_test<F, R>(case: TestCase, explore: Explore, body: F)
where
    F: FnMut() -> R,
    R: Future<Output: Outcome>,
{
    match explore.explore(case.test(), Location::caller(), body) {
        Ok(explored) => explored.print_note(),
        Err(failure) => failure.fail(case.test()),
    }
}

/// Explores a test of which a run is to panic.
///
/// That panic goes on as it is. No other failure must count as the one that is expected, and so there
/// is none then: the test fails as one that "did not panic as expected".
///
/// # Panics
///
/// If the body panics in a run.
#[track_caller]
pub fn explored_test_should_panic<F, R>(case: TestCase, explore: Explore, body: F)
where
    F: FnMut() -> R,
    R: Future<Output: Outcome>,
{
    match explore.explore(case.test(), Location::caller(), body) {
        Ok(explored) => explored.print_note(),
        Err(failure) => {
            match failure.summary(case.test()).beside_panic() {
                Some(summary) => emit_as(&failure, &summary),
                None => eprintln!("{failure}"),
            }
            if let Ok(panic) = failure.into_panic() {
                panic.resume()
            }
        }
    }
}

/// Fails the test of this thread. Not by `panic!`, whose own message would name this line.
fn fail(report: &Report, role: Role) -> ! {
    emit(report, role);
    resume_unwind(Box::new(report.to_string()))
}
