//! The end of a test: waits for leftovers, shuts the runtime down, and collects the findings.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::contain::{contain, discard};
use crate::leak::check::body::Body;
use crate::leak::check::body_run::End;
use crate::leak::check::drain::PausedClock;
use crate::leak::check::post_shutdown::PostShutdown;
use crate::leak::check::runtime::CheckedRuntime;
use crate::leak::check::sleepers;
use crate::leak::check::threads::Threads;
use crate::leak::check::watchdog::{self, Watched};
use crate::leak::check::watched::{EndingTest, RunningTest};
use crate::leak::report::Report;
use crate::leak::report::findings::Findings;
use crate::leak::settings::GRACE;
use crate::panic::Panic;
use crate::schedule::steering;

/// The minimum time for threads to stop in the shutdown. On a busy machine even idle ones need
/// some. Only a blocked thread uses all of it.
const SHUTDOWN: Duration = GRACE;

/// How long the teardown may take beyond the grace before the watchdog reports a hang. Resolving
/// backtraces is slow with a lot of debug information, but even on a busy machine the rest takes
/// that long only if a leftover blocks the test's thread.
const TEARDOWN: Duration = Duration::from_secs(15);

/// The teardown of one test.
pub(crate) struct Teardown<'a> {
    pub(crate) test: &'a Arc<RunningTest>,
    pub(crate) denied: Option<Threads>,
}

impl Teardown<'_> {
    /// Makes the watchdog report if the teardown hangs. A clean test does not pay for it.
    fn watch(&self, grace: Duration) -> Option<Watched> {
        let test = Arc::new(EndingTest(Arc::clone(self.test)));
        let deadline = Instant::now().checked_add(grace)?.checked_add(TEARDOWN)?;
        // Without a watchdog, a hang stays what it would be without a check.
        watchdog::watch(test, Some(deadline)).ok()
    }

    /// Ends a test that was given up or ended too late: makes its report, drops its body, and gives
    /// the clean-up that the drop spawned the grace. Returns the report, and the output of a body
    /// that ended.
    pub(crate) fn give_up<T>(
        self,
        given_up: End<T>,
        runtime: CheckedRuntime,
        mut body: Body<'_, T>,
        grace: Duration,
    ) -> (Report, Option<T>) {
        let watched = self.watch(grace);
        let scope = &self.test.scope;
        let (report, output) = given_up.report(&runtime, self.test);
        // Later panics come from dropping the body and what is left.
        let report = report.amend(|findings| scope.add_panics(findings));
        // The watchdog prints this if the rest hangs.
        _ = self.test.found.set(report.clone());
        // Inside the runtime, which the future may need in `drop`.
        if let Err(panic) = contain(|| runtime.block_on(async { body.abandon() })) {
            discard(panic);
        }
        let begun = Instant::now();
        let paused = self.paused_clock();
        // The report stands: an explored run must not record these steps.
        let clean_up = || runtime.block_on(scope.clean_up(grace, paused, self.is_final(grace)));
        if let Err(panic) = contain(|| steering::suspended(clean_up)) {
            discard(panic);
        }
        let rest_of_grace = grace.saturating_sub(begun.elapsed());
        let shutdown = self.shut_down(runtime, rest_of_grace.max(SHUTDOWN), watched);
        let report = shutdown.amend(report, scope);
        let report = report.amend(|findings| scope.add_panics_at_shutdown(findings));
        (report, output)
    }

    /// Waits until only allowed leftovers remain or the grace is over, shuts the runtime down, and
    /// returns the findings.
    ///
    /// # Errors
    ///
    /// Returns the panic of a runtime that has shut down because a task panicked.
    pub(crate) fn wait(self, runtime: CheckedRuntime, grace: Duration) -> Result<Findings, Panic> {
        let begun = Instant::now();
        let scope = &self.test.scope;
        let clean = scope.end_if_clean();
        let is_clean = clean.is_some();
        let watched = (!is_clean).then(|| self.watch(grace)).flatten();
        let paused = self.paused_clock();
        let found = match clean {
            Some(found) => Ok(found),
            None => contain(|| runtime.block_on(scope.end(grace, paused, self.is_final(grace)))),
        };
        // Later panics come from dropping what is left.
        let found = found.map(|mut found| {
            scope.add_panics(&mut found.findings);
            found
        });
        // The watchdog prints this if the rest hangs.
        let found_so_far = found.as_ref().ok().filter(|_| !is_clean);
        if let Some(report) = found_so_far.and_then(|found| Report::rank(found.findings.clone())) {
            _ = self.test.found.set(report);
        }
        let rest_of_grace = grace.saturating_sub(begun.elapsed());
        let shutdown = self.shut_down(runtime, rest_of_grace.max(SHUTDOWN), watched);
        found.map(|found| shutdown.add_to(found, scope))
    }

    /// Returns whether probably nothing that is left can end by itself within the grace.
    ///
    /// The runtime must have had a turn since the last call: what was due then has run.
    fn is_final(&self, grace: Duration) -> impl FnMut() -> bool {
        let mut before = None;
        move || {
            let now = self.test.scope.census.progress(&self.test.body);
            let is_same = before.is_some() && now == before;
            before = now;
            is_same && sleepers::may_outlast(self.test, grace)
        }
    }

    /// What a paused clock does during the grace. Time in an explored run is virtual throughout.
    fn paused_clock(&self) -> PausedClock {
        if self.test.is_explored {
            PausedClock::Advances
        } else {
            PausedClock::StandsStill
        }
    }

    /// Shuts the runtime down, waits at most `patience` for its threads, and returns what still runs.
    fn shut_down(
        self,
        runtime: CheckedRuntime,
        patience: Duration,
        watched: Option<Watched>,
    ) -> PostShutdown {
        let begun = self.denied.as_ref().map(|_| Instant::now());
        runtime.shut_down(patience);
        // Nothing can hang any more, and finding lines may take long on a busy machine.
        drop(watched);
        let census = &self.test.scope.census;
        let blocking = census.unseen_blocking(&self.test.threads);
        let blocked = (blocking > 0).then(|| census.unseen_blocked(&self.test.threads));
        let threads = self.denied.zip(begun).map(|(threads, begun)| {
            let left = patience.saturating_sub(begun.elapsed());
            threads.left(left.max(SHUTDOWN))
        });
        let (threads, failed) = match threads.transpose() {
            Ok(threads) => (threads.unwrap_or_default(), None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        PostShutdown {
            blocking,
            blocked: blocked.unwrap_or_default(),
            threads,
            failed,
        }
    }
}
