//! The order of events of one test: run the body, wait for leftovers, shut down, rank the findings.

use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use crate::contain::contain;
use crate::leak::check::body::Body;
use crate::leak::check::body_run::{End, run_body};
use crate::leak::check::census::Census;
use crate::leak::check::runtime::{CheckedRuntime, default_runtime};
use crate::leak::check::scope::Scope;
use crate::leak::check::teardown::Teardown;
use crate::leak::check::threads::Threads;
use crate::leak::check::watchdog;
use crate::leak::check::watched::RunningTest;
use crate::leak::record::hooks::Hooks;
use crate::leak::record::panic_hook;
use crate::leak::record::session::Session;
use crate::leak::record::task::{Kind, Spawner, Task};
use crate::leak::record::thread_count::ThreadCount;
use crate::leak::render::emit;
use crate::leak::report::Report;
use crate::leak::report::findings::{Ending, Findings};
use crate::leak::settings::environment::{Environment, Timeout};
use crate::leak::settings::{GRACE, Settings};
use crate::panic::Panic;
use crate::schedule::{points, steering};
use crate::trace::place::find_workspace;

/// How long the runtime keeps an idle blocking thread. An idle thread looks like a busy one, so
/// while one is left no deadlock is detected.
const IDLE_THREADS: Duration = Duration::from_millis(400);

/// Why a test does not run inside a runtime.
const INSIDE_RUNTIME: &str = "it was called inside of a tokio runtime, and a leak check builds its own. In a test with \
    a runtime use `LeakCheck::watch(&Handle::current())`, or replace its attribute by \
    `#[straggler::test]`";

/// The outcome of a checked test.
pub(crate) enum Checked<T> {
    /// It did not run, or was given up.
    Failed(Report),
    /// Its body returned or panicked.
    Run {
        outcome: Result<T, Panic>,
        /// The report, if the check found anything.
        report: Option<Report>,
        rules: RuleUse,
    },
}

/// What the rules of a check did. Empty if the check found anything: its report names them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleUse {
    /// The rules that allowed nothing.
    unused: Vec<String>,
    /// How many leftovers were allowed that may have been spawned elsewhere.
    assumed: usize,
}

impl RuleUse {
    /// Adds another run of the same check: a rule that one run needs is used.
    pub(crate) fn add(&mut self, other: &Self) {
        self.unused.retain(|rule| other.unused.contains(rule));
        self.assumed = self.assumed.max(other.assumed);
    }

    /// Prints the notes on the rules of a clean test.
    pub(crate) fn note(&self, test: Option<&'static str>, place: &'static Location<'static>) {
        emit::note_rules(&self.unused, self.assumed, test, place);
    }
}

/// Runs a test in a runtime from `runtime`, by default a current-thread runtime with all drivers
/// enabled.
pub(crate) fn run<T>(
    runtime: Option<Builder>,
    settings: Settings,
    test: Option<&'static str>,
    place: &'static Location<'static>,
    body: Body<'_, T>,
) -> Checked<T> {
    find_workspace(place);
    run_if_possible(runtime, settings, test, place, body)
        .unwrap_or_else(|reason| Checked::Failed(Report::not_run(test, place, reason)))
}

/// Runs a test.
///
/// # Errors
///
/// Returns the reason if the test cannot run. The body is not polled then.
fn run_if_possible<T>(
    runtime: Option<Builder>,
    settings: Settings,
    test: Option<&'static str>,
    place: &'static Location<'static>,
    mut body: Body<'_, T>,
) -> Result<Checked<T>, String> {
    let environment = Environment::read()?;
    let (is_checked, of_test) = (environment.checks(test), environment.of_test(test));
    if Handle::try_current().is_ok() {
        return Err(INSIDE_RUNTIME.to_owned());
    }
    let denied = (is_checked && settings.denies_threads).then(Threads::begin);
    let denied = denied.transpose()?;
    let mut builder = runtime.unwrap_or_else(default_runtime);
    builder.thread_keep_alive(IDLE_THREADS);
    let observed = is_checked.then(|| {
        panic_hook::install_hook();
        points::install();
        let of_runtime = denied.as_ref().map(Threads::of_runtime);
        (
            Hooks::install(&mut builder, steering::is_on()),
            ThreadCount::observe(&mut builder, of_runtime.unwrap_or_default()),
        )
    });
    let runtime = CheckedRuntime::build(&mut builder, settings.is_local)
        .map_err(|error| format!("building its runtime failed: {error}"))?;
    let Some((hooks, threads)) = observed else {
        return Ok(Checked::Run {
            outcome: contain(|| runtime.block_on(body)),
            report: None,
            rules: RuleUse::default(),
        });
    };
    let session = Session::open(runtime.handle());
    session.is_local(|| settings.is_local);
    hooks.report_to(&session);
    let census = Census::of_all(session, runtime.handle().clone());
    let of_suite = settings.suite_rules(environment);
    let rules = settings.rules.with(of_suite);
    let allows_panics = settings.allows_panics || of_test.allows_panics;
    let scope = Scope::new(census, rules, allows_panics, test, place);
    let body_task = Arc::new(Task::new(0, Kind::Body, None, place, Spawner::Thread));
    let timeout = settings.timeout.or(of_test.timeout);
    let timeout = timeout.or(environment.timeout);
    let timeout = timeout.map_or(settings.default_timeout, Timeout::duration);
    // `None` if the timeout is beyond the range of the clock.
    let deadline = body_task.spawned.checked_add(timeout);
    let test = Arc::new(RunningTest {
        scope,
        body: body_task,
        threads,
        is_on_main: thread::current().name() == Some("main"),
        is_explored: settings.is_explored,
        timeout,
        on_hang: environment.on_hang(),
        stall: Mutex::default(),
        standstill: OnceLock::new(),
        found: OnceLock::new(),
    });
    let watched = watchdog::watch(test.clone(), deadline)?;
    let end = run_body(
        &runtime,
        &test,
        Pin::new(&mut body),
        &watched,
        settings.ends_when_idle,
    );
    steering::note_threads(test.threads.now());
    let is_late = watched.has_timed_out();
    drop(watched);
    let grace = settings.grace.or(of_test.grace);
    let grace = grace.or(environment.grace).unwrap_or(GRACE);
    let scope = &test.scope;
    let teardown = Teardown {
        test: &test,
        denied,
    };
    let outcome = match end {
        End::Output(output) if !is_late => Ok(output),
        End::Panic(panic) => Err(panic),
        given_up => {
            return Ok(match teardown.give_up(given_up, runtime, body, grace) {
                (report, Some(output)) => Checked::Run {
                    outcome: Ok(output),
                    report: Some(report),
                    rules: RuleUse::default(),
                },
                (report, None) => Checked::Failed(report),
            });
        }
    };
    let mut findings = match teardown.wait(runtime, grace) {
        Ok(findings) => findings,
        // With `unhandled_panic = "shutdown_runtime"`, a task's panic ends the runtime and makes
        // the body panic. Nothing can run in it any more, and its tasks are dropped.
        Err(_) if outcome.is_err() => scope.no_findings(),
        Err(panic) => Findings {
            ending: Some(Ending::CheckFailed(panic.to_string())),
            ..scope.no_findings()
        },
    };
    scope.add_panics_at_shutdown(&mut findings);
    Ok(ranked(outcome, findings, scope, settings.notes_rules))
}

/// Ranks the findings of a test that ended. If there are none, `notes_rules` prints the notes on its rules.
fn ranked<T>(
    outcome: Result<T, Panic>,
    findings: Findings,
    scope: &Scope,
    notes_rules: bool,
) -> Checked<T> {
    let rules = RuleUse {
        unused: findings.unused_rules.clone(),
        assumed: findings.assumed,
    };
    let report = Report::rank(findings);
    let is_clean = report.is_none();
    if is_clean && notes_rules {
        rules.note(scope.test, scope.place);
    }
    Checked::Run {
        outcome,
        report,
        rules: if is_clean { rules } else { RuleUse::default() },
    }
}
