//! Runs the body of a test until it ends or is given up.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::task::coop::unconstrained;
use tokio::time::sleep;

use crate::contain::contain;
use crate::leak::check::deadlock::find_deadlock;
use crate::leak::check::progress::Progress;
use crate::leak::check::runtime::CheckedRuntime;
use crate::leak::check::watched::RunningTest;
use crate::leak::report::Report;
use crate::leak::report::findings::Ending;
use crate::panic::Panic;
use crate::trace::symbols::Symbols;

/// What nobody waits for on a paused clock.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The smallest step of tokio's clock.
const MOMENT: Duration = Duration::from_millis(1);

/// How the body of a test came to its end.
pub(crate) enum End<T> {
    Output(T),
    Panic(Panic),
    TimedOut,
    Deadlock(Report),
}

impl<T> End<T> {
    /// The report of a test that was given up, or came to its end too late; and its output, if there is
    /// one.
    pub(crate) fn report(
        self,
        runtime: &CheckedRuntime,
        test: &RunningTest,
    ) -> (Report, Option<T>) {
        let (scope, body, timeout) = (&test.scope, &*test.body, test.timeout);
        let give_up = |ending| {
            let report = contain(|| runtime.block_on(scope.give_up(ending)));
            report.unwrap_or_else(|panic| scope.failed(&panic))
        };
        let took = body.spawned.elapsed();
        let give_up_late = || {
            // Nobody may have asked them.
            scope.census.probe_tasks();
            give_up(Ending::Late { timeout, took })
        };
        match self {
            Self::Deadlock(report) => (report, None),
            Self::TimedOut => {
                let wait = body.wait(&mut Symbols::default());
                (give_up(Ending::Hung { timeout, wait }), None)
            }
            Self::Output(output) => (give_up_late(), Some(output)),
            Self::Panic(_) => (give_up_late(), None),
        }
    }
}

/// Runs the body of a test until it ends, or its time is up, or it is seen never to end.
pub(crate) fn run_body<F: Future + ?Sized>(
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
            Ok(_) if until.is_some_and(|until| until <= Instant::now()) => return End::TimedOut,
            // Its time is not up: somebody looked whether it can still end.
            Ok(Ran::Probed { when_idle }) => when_idle,
        };
        let progress = scope.census.progress(task);
        let found = contain(|| runtime.block_on(find_deadlock(scope, task, &test.threads)));
        // What was asked may have gone on when it was polled. So it is looked at twice, the second
        // time when nothing else can run.
        match found.ok().flatten() {
            Some(report) if was_idle && (seemed_stuck.is_none() || progress == seemed_stuck) => {
                return End::Deadlock(report);
            }
            Some(_) => {
                idle_after = Some(MOMENT);
                // As far as it is then: it is polled once, to begin with.
                seemed_stuck = scope
                    .census
                    .progress(task)
                    .map(Progress::with_one_poll_more);
            }
            None => seemed_stuck = None,
        }
        task.clear_trace();
    }
}

/// Why the body of a test is run no further.
enum Ran<T> {
    Ended(T),
    /// It was asked where it waits, and told: its time is up, or somebody looks whether it can end.
    Probed {
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
            test.probe_all();
        }
        match task.poll(context, |context| body.as_mut().poll(context)) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if task.has_trace() => Poll::Ready(None),
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
        None => Ran::Probed {
            when_idle: was_idle,
        },
    }
}
