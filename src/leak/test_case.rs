//! What `#[leak_check]` expands to a call of: runs a test, tells what was found, and fails.

use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::process::{ExitCode, Termination};

use super::body::TestBody;
use super::environment::Environment;
use super::report::Report;
use super::role::{Failure, Role};
use super::tell::{tell, tell_as};
use super::{Checked, LeakCheck};
use crate::contain::discard;
use crate::explore::{Explore, Outcome};

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
    match check.check(case.test(), Location::caller(), body) {
        Checked::Failed(report) => fail(&report, Role::Fails),
        Checked::Run {
            outcome,
            report,
            mode,
        } => match (outcome, report) {
            (Ok(output), None) => output,
            (Ok(output), Some(report)) if mode.only_warns_of(&report) => {
                tell(&report, Role::Warns);
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
    F: TestBody<Output = ()> + ?Sized,
{
    match check.check(case.test(), Location::caller(), body) {
        Checked::Failed(report) => tell(&report, Role::Fails),
        Checked::Run {
            outcome, report, ..
        } => match (outcome, report) {
            (outcome, None) => outcome.unwrap_or_else(|panic| panic.resume()),
            (Ok(()), Some(report)) => tell(&report, Role::Accompanies(Failure::DidNotPanic)),
            (Err(panic), Some(report)) if Environment::lets_panic_pass_beside(&report) => {
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
            match failure.told(case.test()).besides_panic() {
                Some(told) => tell_as(&failure, &told),
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
    tell(report, role);
    resume_unwind(Box::new(report.to_string()))
}
