//! The functions that `#[straggler::test]` expands to: they run a test, print the report and fail.
//!
//! Only this module and `Explore::run` fail a test. Everything else returns its findings.

use std::cell::Cell;
use std::panic::{Location, resume_unwind};
use std::process::{ExitCode, Termination};

use tokio::runtime::Builder;

use crate::contain::discard;
use crate::explore::Explore;
use crate::explore::explored::Explored;
use crate::explore::outcome::Outcome;
use crate::leak::LeakCheck;
use crate::leak::check::body::{Body, BoxedBody};
use crate::leak::check::run::{Checked, run};
use crate::leak::render::emit::{
    emit, emit_after_panic, emit_as, emit_clean, emit_explored, emit_schedules, emit_unexplored,
};
use crate::leak::report::Report;
use crate::leak::report::role::{Failure, Role};
use crate::leak::settings::Settings;
use crate::leak::settings::environment::Environment;
use crate::schedule::outside;

/// A test function with the attribute.
#[derive(Clone, Copy, Debug)]
pub struct TestCase {
    /// The path of the function.
    pub name: &'static str,
}

impl TestCase {
    /// Returns the name that test runners use, which leaves out the crate.
    fn test(self) -> Option<&'static str> {
        let within_crate = self.name.split_once("::").map(|(_, test)| test);
        within_crate.or(Some(self.name))
    }
}

/// Gives the body of a test its return type, in a `return` that never runs.
///
/// # Panics
///
/// Always.
#[must_use]
pub fn returned<T>() -> T {
    unreachable!("the expansion never calls this")
}

/// Runs a test and fails it if the check found something.
///
/// # Panics
///
/// Panics if the test does, or if the check found something.
#[track_caller]
pub fn leak_test<T: Termination>(case: TestCase, check: LeakCheck, body: BoxedBody<'_, T>) -> T {
    let (runtime, settings) = check.into_parts();
    let place = Location::caller();
    let output = checked_test(case, place, runtime, settings, body);
    if explored_runs(case.test()).is_some() {
        let reason = "it is no plain `#[tokio::test]` on one thread";
        emit_unexplored(case.test(), place, reason);
    }
    output
}

/// Runs a test of a suite that `cargo straggler` checks, and explores it if that is asked for.
///
/// # Panics
///
/// Panics if the test does, if the check found something, or if an explored run fails.
#[track_caller]
pub fn suite_test<'a, T: Termination>(
    case: TestCase,
    check: LeakCheck,
    body: &mut dyn FnMut() -> BoxedBody<'a, T>,
) -> T {
    let (runtime, settings) = check.into_parts();
    let (test, place) = (case.test(), Location::caller());
    let Some(runs) = explored_runs(test) else {
        return checked_test(case, place, runtime, settings, body());
    };
    let spawns_eagerly = Environment::read().is_ok_and(|environment| environment.eager_spawns);
    let used = Cell::new(None);
    let watched = Box::pin(outside::watch(body(), &used));
    let output = checked_test(case, place, runtime, settings.clone(), watched);
    if let Some(what) = used.get() {
        emit_unexplored(test, place, &format!("it uses {what}"));
        return output;
    }
    let mut explore = LeakCheck::with(settings).explore().runs(runs);
    if spawns_eagerly {
        explore = explore.eager_spawns();
    }
    let body = || {
        let body = body();
        async { Reported(body.await) }
    };
    match explore.explore(test, place, body) {
        Ok(explored) => {
            match &explored.refusal {
                Some(reason) => emit_unexplored(test, place, reason),
                None => emit_explored(test, place, explored.runs()),
            }
            explored.print();
            output
        }
        Err(failure) if failure.is_unscheduled() => {
            let reason = "it spawns tasks that no schedule decides";
            emit_unexplored(test, place, reason);
            output
        }
        // The plain order, as in the run above, but on a paused clock.
        Err(failure) if failure.is_plain() => {
            let reason = "it passes only once, or only on a running clock";
            emit_unexplored(test, place, reason);
            output
        }
        Err(failure) => failure.fail(test),
    }
}

/// Returns in how many runs `cargo straggler explore` explores a test, `None` if it does not.
fn explored_runs(test: Option<&str>) -> Option<usize> {
    let environment = Environment::read().ok()?;
    environment.explore.filter(|_| environment.checks(test))
}

/// The output of a test, whose error only `Termination` can tell.
struct Reported<T>(T);

impl<T: Termination> Outcome for Reported<T> {
    fn error(self) -> Option<String> {
        let is_error = self.0.report() != ExitCode::SUCCESS;
        is_error.then(|| "see the output of the test".to_owned())
    }
}

/// Runs a test and fails it if the check found something.
fn checked_test<T: Termination>(
    case: TestCase,
    place: &'static Location<'static>,
    runtime: Option<Builder>,
    settings: Settings,
    body: BoxedBody<'_, T>,
) -> T {
    let test = case.test();
    let checked = run(runtime, settings, test, place, Body::new(body));
    if let Checked::Run { report: None, .. } = checked {
        emit_clean(test, place);
    }
    match checked {
        Checked::Failed(report) => fail(&report, Role::Fails),
        Checked::Run {
            outcome, report, ..
        } => match (outcome, report) {
            (Ok(output), None) => output,
            (Ok(output), Some(report)) if report.only_warns() => {
                emit(&report, Role::Warns);
                output
            }
            (Ok(output), Some(report)) => {
                // Reporting the output prints the error of a body that returned one.
                if output.report() == ExitCode::SUCCESS {
                    fail(&report, Role::Fails)
                }
                eprintln!("The test failed with the error above. The leak check also found:\n");
                fail(&report, Role::Note(Failure::ReturnedError))
            }
            (Err(panic), report) => {
                if let Some(report) = report {
                    emit_after_panic(&report);
                }
                panic.resume()
            }
        },
    }
}

/// Runs a test with `#[should_panic]`.
///
/// A leak must not satisfy `#[should_panic]`. If the check found one, this function prints it and
/// returns, so that the test fails with "did not panic as expected".
///
/// # Panics
///
/// Panics if the test does and left nothing behind.
#[track_caller]
pub fn leak_test_should_panic(case: TestCase, check: LeakCheck, body: BoxedBody<'_, ()>) {
    let (runtime, settings) = check.into_parts();
    let (test, place) = (case.test(), Location::caller());
    let checked = run(runtime, settings, test, place, Body::new(body));
    if let Checked::Run { report: None, .. } = checked {
        emit_clean(test, place);
    }
    if explored_runs(test).is_some() {
        emit_unexplored(test, place, "it has `#[should_panic]`");
    }
    match checked {
        Checked::Failed(report) => emit(&report, Role::Fails),
        Checked::Run {
            outcome, report, ..
        } => match (outcome, report) {
            (outcome, None) => outcome.unwrap_or_else(|panic| panic.resume()),
            (Ok(()), Some(report)) => emit(&report, Role::Note(Failure::DidNotPanic)),
            (Err(panic), Some(report)) => {
                let role = report.role_beside_panic();
                emit(&report, role);
                // A task's panic may be what the body panicked about.
                if role != Role::Fails {
                    panic.resume()
                }
                eprintln!(
                    "\nThe test panicked as expected, but it fails because of the report above: the test runner will\nsay that it did not panic."
                );
                discard(panic);
            }
        },
    }
}

/// Explores a test and fails it with the first failing run.
///
/// # Panics
///
/// Panics if a run fails.
#[track_caller]
pub fn explored_test<F, R>(case: TestCase, explore: Explore, body: F)
where
    F: FnMut() -> R,
    R: Future<Output: Outcome>,
{
    let (test, place) = (case.test(), Location::caller());
    match explore.explore(test, place, body) {
        Ok(explored) => emit_passed(&explored, test, place),
        Err(failure) => failure.fail(test),
    }
}

/// Explores a test with `#[should_panic]`.
///
/// Only a panic of the body satisfies `#[should_panic]`. For any other failure this function prints
/// the failure and returns, so that the test fails with "did not panic as expected".
///
/// # Panics
///
/// Resumes the panic of the first run whose body panics.
#[track_caller]
pub fn explored_test_should_panic<F, R>(case: TestCase, explore: Explore, body: F)
where
    F: FnMut() -> R,
    R: Future<Output: Outcome>,
{
    let (test, place) = (case.test(), Location::caller());
    match explore.explore(test, place, body) {
        Ok(explored) => emit_passed(&explored, test, place),
        Err(failure) => {
            match failure.summary(test).beside_panic() {
                Some(summary) => emit_as(&failure, &summary),
                None => eprintln!("{failure}"),
            }
            if let Ok(panic) = failure.into_panic() {
                panic.resume()
            }
        }
    }
}

/// Reports an exploration without a failure.
fn emit_passed(explored: &Explored, test: Option<&'static str>, place: &'static Location<'static>) {
    if explored.is_sample() {
        emit_clean(test, place);
    } else {
        let (runs, schedules) = (explored.runs(), explored.distinct_schedules());
        emit_schedules(test, place, runs, schedules, explored.is_exhaustive());
    }
    explored.print();
}

/// Fails the test of this thread. `panic!` would print a second message, which names this line.
fn fail(report: &Report, role: Role) -> ! {
    emit(report, role);
    resume_unwind(Box::new(report.to_string()))
}
