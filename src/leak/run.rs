//! The order of events of one test: run, wait for what is left, judge, shut down.

use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, LocalOptions, LocalRuntime, Runtime};

use super::blocking::PoolThreads;
use super::environment::{Environment, Mode};
use super::hooks::Hooks;
use super::place::Place;
use super::report::Report;
use super::scope::{Found, Rest, Scope};
use super::session::Session;
use super::task::{Kind, Spawner, Task};
use super::threads::Threads;
use super::{GRACE, LeakCheck, watchdog};
use crate::contain::contain;
use crate::panic::Panic;

/// How long the threads of a runtime have at least to stop when it is shut down, and the threads of a
/// test that it denies to end: on a busy machine also idle ones need some time. Only what still
/// blocks a thread waits for all of it.
const SHUTDOWN: Duration = GRACE;

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
    pub(crate) fn check<F: Future + ?Sized>(
        self,
        test: Option<&'static str>,
        place: &'static Location<'static>,
        body: Pin<&mut F>,
    ) -> Checked<F::Output> {
        let not_run = |reason: String| Checked::Failed(Report::not_run(test, place, reason));
        let Environment { mode, grace } = match Environment::read() {
            Ok(environment) => environment,
            Err(reason) => return not_run(reason),
        };
        if Handle::try_current().is_ok() {
            return not_run(
                "it is inside of a tokio runtime, and a leak check makes its own. In a test with a \
                 runtime use `LeakCheck::watch(&Handle::current())`, or make the test itself a \
                 `#[leak_check]`"
                    .to_owned(),
            );
        }
        let threads = (mode != Mode::Off && self.denies_threads).then(Threads::begin);
        let threads = match threads.transpose() {
            Ok(threads) => threads,
            Err(reason) => return not_run(reason),
        };
        let mut builder = self.runtime.unwrap_or_else(|| {
            let mut builder = Builder::new_current_thread();
            builder.enable_all();
            builder
        });
        let hooks = (mode != Mode::Off).then(|| {
            let of_runtime = threads.as_ref().map(Threads::of_runtime);
            let pool = PoolThreads::install(&mut builder, of_runtime);
            (Hooks::install(&mut builder), pool)
        });
        let runtime = match CheckedRuntime::build(&mut builder, self.is_local) {
            Ok(runtime) => runtime,
            Err(error) => return not_run(format!("its runtime could not be made: {error}")),
        };
        let Some((hooks, pool)) = hooks else {
            return Checked::Run {
                outcome: contain(|| runtime.block_on(body)),
                report: None,
                mode,
            };
        };
        let session = Session::open(runtime.handle());
        hooks.report_to(&session);
        let scope = Scope::begin(session, runtime.handle().clone(), self.rules, test, place);
        let ending = Ending { pool, threads };
        let task = Arc::new(Task::new(0, Kind::Body, None, place, Spawner::Thread));
        // One that is further off than clocks count never comes.
        let until = self
            .timeout
            .and_then(|timeout| task.spawned.checked_add(timeout));
        let watched = until.map(|until| watchdog::watch(Arc::clone(&task), until));
        let watched = match watched.transpose() {
            Ok(watched) => watched,
            Err(reason) => return not_run(reason.to_owned()),
        };
        let outcome = contain(|| runtime.block_on(tracked_body(&task, body)));
        drop(watched);
        let is_late = until.is_some_and(|until| until <= Instant::now());
        let outcome = match outcome {
            Ok(Some(_)) if is_late => {
                let took = task.spawned.elapsed();
                let timeout = self.timeout.unwrap_or_default();
                let report = scope.late(timeout, took);
                let rest = ending.shut_down(runtime, &scope, SHUTDOWN);
                return Checked::Failed(scope.add_to(report, rest));
            }
            Ok(Some(output)) => Ok(output),
            Err(panic) => Err(panic),
            Ok(None) => {
                let timeout = self.timeout.unwrap_or_default();
                let report = contain(|| runtime.block_on(scope.give_up(&task, timeout)));
                let report = report.unwrap_or_else(|panic| scope.failed(&panic));
                let rest = ending.shut_down(runtime, &scope, SHUTDOWN);
                return Checked::Failed(scope.add_to(report, rest));
            }
        };
        let mut grace = self.grace.or(grace).unwrap_or(GRACE);
        let found = scope.end_if_clean().map_or_else(
            || {
                let ended = Instant::now();
                let found = contain(|| runtime.block_on(scope.end(grace)));
                grace = grace.saturating_sub(ended.elapsed());
                found
            },
            Ok,
        );
        let rest = ending.shut_down(runtime, &scope, grace.max(SHUTDOWN));
        let report = match found {
            Ok(found) => {
                let found = scope.add(found, rest);
                print_notes(&scope, &found);
                found.report
            }
            // A runtime may shut down because a task panicked, with the body's own panic. Then it
            // does not run any more, and has dropped its tasks.
            Err(_) if outcome.is_err() => None,
            Err(panic) => Some(scope.failed(&panic)),
        };
        Checked::Run {
            outcome,
            report,
            mode,
        }
    }
}

/// Runs the body of a test as a task on record. There is no output if it was asked where it waits,
/// and did: its time is up.
async fn tracked_body<F: Future + ?Sized>(
    task: &Arc<Task>,
    mut body: Pin<&mut F>,
) -> Option<F::Output> {
    let output =
        poll_fn(
            |context| match task.poll(context, |context| body.as_mut().poll(context)) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if task.has_answered() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            },
        )
        .await;
    task.end();
    output
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

/// What is looked at when the tasks have been judged.
struct Ending {
    pool: PoolThreads,
    threads: Option<Threads>,
}

impl Ending {
    /// Shuts the runtime down, and says what is left then, and when `patience` is over, that could
    /// not be seen before.
    fn shut_down(self, runtime: CheckedRuntime, scope: &Scope, patience: Duration) -> Rest {
        let begun = self.threads.as_ref().map(|_| Instant::now());
        runtime.shut_down(patience);
        let blocking = scope.unseen_blocking(&self.pool);
        let threads = self.threads.zip(begun).map(|(threads, begun)| {
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
