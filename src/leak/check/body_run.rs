//! Runs the body of a test until it ends, times out or deadlocks.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::sleep;

use crate::contain::contain;
use crate::leak::check::deadlock::{find_deadlock, only_tasks_can_end};
use crate::leak::check::drain::is_paused;
use crate::leak::check::runtime::CheckedRuntime;
use crate::leak::check::watchdog::Watched;
use crate::leak::check::watched::RunningTest;
use crate::leak::record::probe::Held;
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
    /// Nothing can ever wake the body.
    Stuck,
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
            Self::Stuck => {
                let wait = body.wait(&mut Symbols::default());
                (give_up(Ending::Deadlocked { wait }), None)
            }
            Self::TimedOut => {
                let wait = body.wait(&mut Symbols::default());
                let report = give_up(Ending::Hung { timeout, wait });
                // `block_on` panics in a runtime that a task's panic has shut down.
                let _entered = runtime.handle().enter();
                // A timer or a slow peer may be missing on a running clock.
                let may_be_deadlock = is_paused() && only_tasks_can_end(&report);
                let report = report.amend(|findings| findings.may_be_deadlock = may_be_deadlock);
                (test.with_standstill(report), None)
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
    watched: &Watched,
    ends_when_idle: bool,
) -> End<F::Output> {
    let (task, scope) = (&test.body, &test.scope);
    let mut held = Held::new();
    // The first probe comes from the watchdog, unless the caller wants one as soon as nothing can
    // run.
    let mut idle_after = ends_when_idle.then_some(NEVER);
    // The progress at which the last probe found a deadlock.
    let mut suspected_at = None;
    let mut is_stuck = false;
    loop {
        let body = tracked_body(test, body.as_mut(), &mut held, idle_after.take());
        let was_idle = match contain(|| runtime.block_on(body)) {
            Ok(Ran::Ended(output)) => return End::Output(output),
            Err(panic) => return End::Panic(panic),
            Ok(Ran::Stuck) => {
                // Nothing can change that, so the body may be asked whether it was ready.
                is_stuck = true;
                test.probe_all();
                continue;
            }
            Ok(_) if is_stuck => return End::Stuck,
            Ok(_) if watched.has_timed_out() => return End::TimedOut,
            // Before the timeout, a probe looks for a deadlock.
            Ok(Ran::Probed { when_idle }) => when_idle,
        };
        let progress = scope.census.progress(task);
        let found = contain(|| runtime.block_on(find_deadlock(test, watched)));
        // The probe polled everything, which may have let a task continue. A deadlock is certain
        // only if a second probe, made while the runtime is idle, finds it with no progress in
        // between.
        match found.ok().flatten() {
            Some(report) if was_idle && (suspected_at.is_none() || progress == suspected_at) => {
                return End::Deadlock(report);
            }
            Some(_) => {
                idle_after = Some(MOMENT);
                suspected_at = progress;
            }
            None => suspected_at = None,
        }
        task.clear_answer();
    }
}

/// Why a run of the body stopped.
enum Ran<T> {
    Ended(T),
    /// The body answered a probe: it timed out, or may be deadlocked.
    Probed {
        /// Whether nothing else could run at the probe.
        when_idle: bool,
    },
    /// The clock is paused, nothing can run, and nothing can ever wake the body.
    Stuck,
}

/// Runs the body of a test as a recorded task. With `idle_after`, also probes everything when
/// nothing can run and no timer fires within that time.
async fn tracked_body<F: Future + ?Sized>(
    test: &RunningTest,
    mut body: Pin<&mut F>,
    held: &mut Held<F::Output>,
    idle_after: Option<Duration>,
) -> Ran<F::Output> {
    let task = &test.body;
    // A paused clock advances to the next timer only when nothing can run.
    let idle_timer = |after| Box::pin(unconstrained(sleep(after)));
    let mut idle = idle_after.map(idle_timer);
    let mut was_idle = false;
    let ran = poll_fn(|context| {
        let mut timer = idle.as_mut().filter(|_| !was_idle);
        if timer
            .as_mut()
            .is_some_and(|idle| idle.as_mut().poll(context).is_ready())
        {
            was_idle = true;
            if task.is_unwakeable() {
                return Poll::Ready(Ran::Stuck);
            }
            test.probe_wakeable();
        }
        // The timer and a new `block_on` poll this too, and must not heal a lost wake-up.
        if task.is_due() {
            let poll = |context: &mut Context<'_>| body.as_mut().poll(context);
            let polled = task.poll(context, held, poll);
            test.scope.census.note_unscheduled();
            if let Poll::Ready(output) = polled {
                return Poll::Ready(Ran::Ended(output));
            }
        }
        if task.has_answered() {
            return Poll::Ready(Ran::Probed {
                when_idle: was_idle,
            });
        }
        if idle.is_none() && task.is_unwakeable() && is_paused() {
            let timer = idle.insert(idle_timer(NEVER));
            // Far in the future: this only registers it.
            _ = timer.as_mut().poll(context);
        }
        Poll::Pending
    })
    .await;
    // A probe does not end the task: it may be probed again.
    if let Ran::Ended(_) = ran {
        task.end();
    }
    ran
}
