//! Runs the body of a test until it ends, times out or deadlocks.

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

/// An idle timer this long fires on a paused clock only if no other timer is pending.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The smallest step of tokio's clock.
const MOMENT: Duration = Duration::from_millis(1);

/// How the body of a test ended.
pub(crate) enum End<T> {
    Output(T),
    Panic(Panic),
    TimedOut,
    Deadlock(Report),
}

impl<T> End<T> {
    /// Returns the report of a test that was given up or ended too late, and its output if it has
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
            // The watchdog may not have probed them: a body that ends late was in one long poll.
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

/// Runs the body of a test until it ends, times out or deadlocks.
pub(crate) fn run_body<F: Future + ?Sized>(
    runtime: &CheckedRuntime,
    test: &RunningTest,
    mut body: Pin<&mut F>,
    deadline: Option<Instant>,
    ends_when_idle: bool,
) -> End<F::Output> {
    let (task, scope) = (&test.body, &test.scope);
    // The first probe comes from the watchdog, unless the caller wants one as soon as nothing can
    // run.
    let mut idle_after = ends_when_idle.then_some(NEVER);
    // The progress at which the last probe found a deadlock.
    let mut suspected_at = None;
    loop {
        let body = tracked_body(test, body.as_mut(), idle_after.take());
        let was_idle = match contain(|| runtime.block_on(body)) {
            Ok(Ran::Ended(output)) => return End::Output(output),
            Err(panic) => return End::Panic(panic),
            Ok(_) if deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                return End::TimedOut;
            }
            // Before the timeout, a probe looks for a deadlock.
            Ok(Ran::Probed { when_idle }) => when_idle,
        };
        let progress = scope.census.progress(task);
        let found = contain(|| runtime.block_on(find_deadlock(scope, task, &test.threads)));
        // The probe polled everything, which may have let a task continue. A deadlock is certain
        // only if a second probe, made while the runtime is idle, finds it with no progress in
        // between.
        match found.ok().flatten() {
            Some(report) if was_idle && (suspected_at.is_none() || progress == suspected_at) => {
                return End::Deadlock(report);
            }
            Some(_) => {
                idle_after = Some(MOMENT);
                // The next round begins with one poll of the body.
                suspected_at = scope
                    .census
                    .progress(task)
                    .map(Progress::with_one_poll_more);
            }
            None => suspected_at = None,
        }
        task.clear_trace();
    }
}

/// Why a run of the body stopped.
enum Ran<T> {
    Ended(T),
    /// A probed poll recorded where the body waits: it timed out, or may be deadlocked.
    Probed {
        /// Whether nothing else could run at the probe.
        when_idle: bool,
    },
}

/// Runs the body of a test as a recorded task. With `idle_after`, also probes everything when
/// nothing can run and no timer fires within that time.
async fn tracked_body<F: Future + ?Sized>(
    test: &RunningTest,
    mut body: Pin<&mut F>,
    idle_after: Option<Duration>,
) -> Ran<F::Output> {
    let task = &test.body;
    // A paused clock advances to the next timer only when nothing can run.
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
        // Does not end the task: the body may be probed again.
        None => Ran::Probed {
            when_idle: was_idle,
        },
    }
}
