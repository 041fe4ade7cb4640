//! The order of events of one test: run, wait for what is left, judge, shut down.

use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, LocalOptions, LocalRuntime, Runtime};
use tokio::task::coop::unconstrained;
use tokio::time::sleep;

use super::body::TestBody;
use super::calls::Symbols;
use super::environment::{Environment, Mode, Timeout};
use super::hooks::Hooks;
use super::place::{Place, find_workspace};
use super::report::{Report, Verdict};
use super::rest::Rest;
use super::scope::{Found, Progress, Scope};
use super::session::Session;
use super::task::{Kind, Spawner, Task};
use super::thread_count::ThreadCount;
use super::threads::Threads;
use super::watchdog::{self, Watched};
use super::watched::{EndingTest, RunningTest};
use super::{GRACE, LeakCheck, panics};
use crate::contain::{contain, discard};
use crate::explore::steering;
use crate::panic::Panic;

/// How long the threads of a runtime have at least to stop when it is shut down, and the threads of a
/// test that it denies to end: on a busy machine also idle ones need some time. Only what still
/// blocks a thread waits for all of it.
const SHUTDOWN: Duration = GRACE;

/// How long the ending of a test may take besides its grace before somebody speaks up. It takes that
/// long only if something that is left blocks the thread of the test, also on a busy machine.
const ENDING: Duration = Duration::from_secs(5);

/// How much longer it may take where lines have to be found, which much debug information slows down.
const FINDING_LINES: Duration = Duration::from_secs(10);

/// How long an idle thread for blocking work is kept. While there is one nobody can tell that no such
/// work is under way, and so that a test can never end.
const IDLE_THREADS: Duration = Duration::from_millis(400);

/// What nobody waits for on a paused clock.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// As little as tokio's clock can go on.
const MOMENT: Duration = Duration::from_millis(1);

/// Why a test is not run where there is a runtime already.
const INSIDE_RUNTIME: &str = "it is inside of a tokio runtime, and a leak check makes its own. In a test with a \
    runtime use `LeakCheck::watch(&Handle::current())`, or make the test itself a \
    `#[leak_check]`";

/// What became of a test.
pub(crate) enum Checked<T> {
    /// It was not run, or did not end.
    Failed(Report),
    /// It was run, and came to its end or panicked.
    Run {
        outcome: Result<T, Panic>,
        /// What it left behind.
        report: Option<Report>,
        mode: Mode,
    },
}

impl LeakCheck {
    /// Runs a test in a runtime of its own, and says what became of it and what it left behind.
    pub(crate) fn check<F: TestBody + ?Sized>(
        self,
        test: Option<&'static str>,
        place: &'static Location<'static>,
        body: Pin<&mut F>,
    ) -> Checked<F::Output> {
        find_workspace(place);
        self.run_if_it_can_be(test, place, body)
            .unwrap_or_else(|reason| Checked::Failed(Report::not_run(test, place, reason)))
    }

    /// # Errors
    ///
    /// Why the test was not run.
    fn run_if_it_can_be<F: TestBody + ?Sized>(
        self,
        test: Option<&'static str>,
        place: &'static Location<'static>,
        mut body: Pin<&mut F>,
    ) -> Result<Checked<F::Output>, String> {
        let environment = Environment::read()?;
        let mode = environment.mode;
        if Handle::try_current().is_ok() {
            return Err(INSIDE_RUNTIME.to_owned());
        }
        let denied = (mode != Mode::Off && self.denies_threads).then(Threads::begin);
        let denied = denied.transpose()?;
        let mut builder = self.runtime.unwrap_or_else(usual_runtime);
        builder.thread_keep_alive(IDLE_THREADS);
        let observed = (mode != Mode::Off).then(|| {
            panics::install_hook();
            let of_runtime = denied.as_ref().map(Threads::of_runtime);
            (
                Hooks::install(&mut builder, steering::is_on()),
                ThreadCount::observe(&mut builder, of_runtime),
            )
        });
        let runtime = CheckedRuntime::build(&mut builder, self.is_local)
            .map_err(|error| format!("its runtime could not be made: {error}"))?;
        let Some((hooks, threads)) = observed else {
            return Ok(Checked::Run {
                outcome: contain(|| runtime.block_on(body)),
                report: None,
                mode,
            });
        };
        let session = Session::open(runtime.handle());
        hooks.report_to(&session);
        let rules = (self.rules, self.allows_panics);
        let scope = Scope::new(session, runtime.handle().clone(), rules, test, place);
        let body_task = Arc::new(Task::new(0, Kind::Body, None, place, Spawner::Thread));
        let timeout = self.timeout.or(environment.timeout);
        let timeout = timeout.map_or(self.timeout_by_default, Timeout::duration);
        // One that is further off than clocks count never comes.
        let until = body_task.spawned.checked_add(timeout);
        let test = Arc::new(RunningTest {
            scope,
            body: body_task,
            threads,
            timeout,
            on_hang: environment.on_hang(),
            looks: Mutex::default(),
            mode,
            found: OnceLock::new(),
        });
        let watched = watchdog::watch(test.clone(), until)?;
        let end = run_body(&runtime, &test, body.as_mut(), until, self.ends_when_idle);
        drop(watched);
        let is_late = until.is_some_and(|until| until <= Instant::now());
        let grace = self.grace.or(environment.grace).unwrap_or(GRACE);
        let scope = &test.scope;
        let ending = Ending {
            test: &test,
            denied,
        };
        let outcome = match end {
            End::Output(output) if !is_late => Ok(output),
            End::Panic(panic) => Err(panic),
            given_up => return Ok(ending.give_up(given_up, runtime, body, mode)),
        };
        let report = match ending.wait(runtime, grace) {
            Ok(found) => {
                if self.notes_rules {
                    print_notes(scope, &found);
                }
                found.report
            }
            // A runtime may shut down because a task panicked, with the body's own panic. Then it
            // does not run any more, and has dropped its tasks.
            Err(_) if outcome.is_err() => None,
            Err(panic) => Some(scope.failed(&panic)),
        };
        Ok(Checked::Run {
            outcome,
            report: scope.with_panics(report),
            mode,
        })
    }
}

/// What a test has that asks for no other runtime.
fn usual_runtime() -> Builder {
    let mut builder = Builder::new_current_thread();
    builder.enable_all();
    builder
}

/// How the body of a test came to its end.
enum End<T> {
    Output(T),
    Panic(Panic),
    TimeIsUp,
    Deadlock(Report),
}

impl<T> End<T> {
    /// The report of a test that was given up, or came to its end too late; and its output, if there is
    /// one.
    fn report(self, runtime: &CheckedRuntime, test: &RunningTest) -> (Report, Option<T>) {
        let (scope, body, timeout) = (&test.scope, &*test.body, test.timeout);
        let give_up = |verdict| {
            let report = contain(|| runtime.block_on(scope.give_up(verdict)));
            report.unwrap_or_else(|panic| scope.failed(&panic))
        };
        let took = body.spawned.elapsed();
        let give_up_late = || {
            // Nobody may have asked them.
            scope.ask_tasks();
            give_up(Verdict::Late { timeout, took })
        };
        match self {
            Self::Deadlock(report) => (report, None),
            Self::TimeIsUp => {
                let wait = body.wait(&mut Symbols::default());
                (give_up(Verdict::Hung { timeout, wait }), None)
            }
            Self::Output(output) => (give_up_late(), Some(output)),
            Self::Panic(_) => (give_up_late(), None),
        }
    }
}

/// Runs the body of a test until it ends, or its time is up, or it is seen never to end.
fn run_body<F: Future + ?Sized>(
    runtime: &CheckedRuntime,
    test: &RunningTest,
    mut body: Pin<&mut F>,
    until: Option<Instant>,
    ends_when_idle: bool,
) -> End<F::Output> {
    let (task, scope) = (&test.body, &test.scope);
    let mut idle_after = ends_when_idle.then_some(NEVER);
    // How far it was when it seemed that it cannot end.
    let mut seemed_stuck = None;
    loop {
        let body = tracked_body(test, body.as_mut(), idle_after.take());
        let was_idle = match contain(|| runtime.block_on(body)) {
            Ok(Ran::Ended(output)) => return End::Output(output),
            Err(panic) => return End::Panic(panic),
            Ok(_) if until.is_some_and(|until| until <= Instant::now()) => return End::TimeIsUp,
            // Its time is not up: somebody looked whether it can still end.
            Ok(Ran::WasAsked { when_idle }) => when_idle,
        };
        let progress = scope.progress(task);
        let found = contain(|| runtime.block_on(scope.find_deadlock(task, &test.threads)));
        // What was asked may have gone on when it was polled. So it is looked at twice, the second
        // time when nothing else can run.
        match found.ok().flatten() {
            Some(report) if was_idle && (seemed_stuck.is_none() || progress == seemed_stuck) => {
                return End::Deadlock(report);
            }
            Some(_) => {
                idle_after = Some(MOMENT);
                // As far as it is then: it is polled once, to begin with.
                seemed_stuck = scope.progress(task).map(Progress::with_one_poll_more);
            }
            None => seemed_stuck = None,
        }
        task.forget_answer();
    }
}

/// Why the body of a test is run no further.
enum Ran<T> {
    Ended(T),
    /// It was asked where it waits, and told: its time is up, or somebody looks whether it can end.
    WasAsked {
        /// Whether that was when nothing else could run.
        when_idle: bool,
    },
}

/// Runs the body of a test as a task on record. If there is an `idle_after` all are asked where they wait
/// when nothing can run, and no timer is to fire in this time.
async fn tracked_body<F: Future + ?Sized>(
    test: &RunningTest,
    mut body: Pin<&mut F>,
    idle_after: Option<Duration>,
) -> Ran<F::Output> {
    let task = &test.body;
    // A paused clock goes on to the next timer when nothing can run.
    let mut idle = pin!(idle_after.map(|after| unconstrained(sleep(after))));
    let mut is_idle = move |context: &mut Context<'_>| {
        let idle = idle.as_mut().as_pin_mut();
        idle.is_some_and(|idle| idle.poll(context).is_ready())
    };
    let mut was_idle = false;
    let output = poll_fn(|context| {
        if !was_idle && is_idle(context) {
            was_idle = true;
            test.ask_all();
        }
        match task.poll(context, |context| body.as_mut().poll(context)) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if task.has_answered() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    match output {
        Some(output) => {
            task.end();
            Ran::Ended(output)
        }
        // It may have to be asked again.
        None => Ran::WasAsked {
            when_idle: was_idle,
        },
    }
}

/// Notes rules that allowed nothing in a test that is clean: they may hide a leak one day.
pub(super) fn print_notes(scope: &Scope, found: &Found) {
    for rule in &found.unused_rules {
        let place = Place::from(scope.place);
        let test = scope
            .test
            .map_or(String::new(), |test| format!("`{test}`, "));
        eprintln!(
            "leak_check: note: `{rule}` allowed nothing ({test}{place}). Is it still needed?"
        );
    }
}

/// What is done when the body has ended.
struct Ending<'a> {
    test: &'a Arc<RunningTest>,
    denied: Option<Threads>,
}

impl Ending<'_> {
    /// Has somebody speak up if the ending does not come to its end. A test that ends with nothing left
    /// does without.
    fn watch(&self, patience: Duration) -> Option<Watched> {
        let test = Arc::new(EndingTest(Arc::clone(self.test)));
        let until = Instant::now().checked_add(patience)?.checked_add(ENDING)?;
        // Without a thread for it the test is as it would be without a check.
        watchdog::watch(test, Some(until)).ok()
    }

    /// Ends a test that was given up, or came to its end too late.
    fn give_up<F: TestBody + ?Sized>(
        self,
        given_up: End<F::Output>,
        runtime: CheckedRuntime,
        body: Pin<&mut F>,
        mode: Mode,
    ) -> Checked<F::Output> {
        let _watched = self.watch(FINDING_LINES);
        let scope = &self.test.scope;
        let (report, output) = given_up.report(&runtime, self.test);
        // What is told if the rest does not come to its end.
        _ = self.test.found.set(report.clone());
        // While its runtime is there, which it may need when it is dropped.
        if let Err(panic) = contain(|| runtime.block_on(async { body.abandon() })) {
            discard(panic);
        }
        let report = scope.add_to(report, self.shut_down(runtime, SHUTDOWN));
        let report = scope.with_panics(Some(report.clone())).unwrap_or(report);
        match output {
            Some(output) => Checked::Run {
                outcome: Ok(output),
                report: Some(report),
                mode,
            },
            None => Checked::Failed(report),
        }
    }

    /// Waits until nothing is left that should not be, or the grace is over, shuts the runtime down,
    /// and says what is left then.
    ///
    /// # Errors
    ///
    /// If the runtime does not run any more.
    fn wait(self, runtime: CheckedRuntime, grace: Duration) -> Result<Found, Panic> {
        let begun = Instant::now();
        let scope = &self.test.scope;
        let clean = scope.end_if_clean();
        let _watched = clean.is_none().then(|| self.watch(grace));
        let found = match clean {
            Some(found) => Ok(found),
            None => contain(|| runtime.block_on(scope.end(grace))),
        };
        if let Some(report) = found.as_ref().ok().and_then(|found| found.report.as_ref()) {
            _ = self.test.found.set(report.clone());
        }
        let rest_of_grace = grace.saturating_sub(begun.elapsed());
        let rest = self.shut_down(runtime, rest_of_grace.max(SHUTDOWN));
        found.map(|found| scope.add(found, rest))
    }

    /// Shuts the runtime down, and says what is left then, and when `patience` is over, that could
    /// not be seen before.
    fn shut_down(self, runtime: CheckedRuntime, patience: Duration) -> Rest {
        let begun = self.denied.as_ref().map(|_| Instant::now());
        runtime.shut_down(patience);
        let blocking = self.test.scope.unseen_blocking(&self.test.threads);
        let threads = self.denied.zip(begun).map(|(threads, begun)| {
            let left = patience.saturating_sub(begun.elapsed());
            threads.left(left.max(SHUTDOWN))
        });
        let (threads, failed) = match threads.transpose() {
            Ok(threads) => (threads.unwrap_or_default(), None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        Rest {
            blocking,
            threads,
            failed,
        }
    }
}

/// A runtime of either kind.
enum CheckedRuntime {
    Shared(Runtime),
    Local(LocalRuntime),
}

impl CheckedRuntime {
    fn build(builder: &mut Builder, is_local: bool) -> io::Result<Self> {
        if is_local {
            let options = LocalOptions::default();
            return builder.build_local(options).map(Self::Local);
        }
        builder.build().map(Self::Shared)
    }

    fn handle(&self) -> &Handle {
        match self {
            Self::Shared(runtime) => runtime.handle(),
            Self::Local(runtime) => runtime.handle(),
        }
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self {
            Self::Shared(runtime) => runtime.block_on(future),
            Self::Local(runtime) => runtime.block_on(future),
        }
    }

    /// Drops the tasks, and waits for blocking work to end, but not longer than `patience`.
    fn shut_down(self, patience: Duration) {
        match self {
            Self::Shared(runtime) => runtime.shutdown_timeout(patience),
            Self::Local(runtime) => runtime.shutdown_timeout(patience),
        }
    }
}
