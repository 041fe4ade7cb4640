//! The two stages of a test under the watchdog: while its body runs, and during its teardown.

use std::io::{self, Write as _};
use std::process;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::runtime::RuntimeFlavor;

use crate::contain::contain;
use crate::leak::check::progress::Progress;
use crate::leak::check::scope::Scope;
use crate::leak::check::watchdog;
use crate::leak::record::task::Task;
use crate::leak::record::thread_count::ThreadCount;
use crate::leak::render::emit::emit_past_runner;
use crate::leak::report::Report;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::role::Role;
use crate::leak::report::standstill::Standstill;
use crate::leak::report::verdict::Verdict;
use crate::leak::settings::environment::OnHang;
use crate::mutex::lock;
use crate::trace::blocked::Blocked;
use crate::trace::symbols::Symbols;
use crate::trace::wait::Wait;

/// A test whose body is running.
pub(crate) struct RunningTest {
    pub(crate) scope: Scope,
    pub(crate) body: Arc<Task>,
    pub(crate) threads: Arc<ThreadCount>,
    /// Whether it runs on the main thread of the process.
    pub(crate) is_on_main: bool,
    /// Whether it is a run of an exploration.
    pub(crate) is_explored: bool,
    pub(crate) timeout: Duration,
    pub(crate) on_hang: OnHang,
    pub(crate) stall: Mutex<Stall>,
    /// The last polls before the timeout, set before the probe at the timeout.
    pub(crate) standstill: OnceLock<Standstill>,
    /// The preliminary report, set during the teardown.
    pub(crate) found: OnceLock<Report>,
}

/// How long a test has made no progress.
#[derive(Default)]
pub(crate) struct Stall {
    /// The progress and the time of the test's clock at the last check.
    last: Option<(Progress, tokio::time::Instant)>,
    /// How many checks since then saw the same.
    unchanged: u32,
}

/// How many checks, half a second apart, must see no progress before the test is probed for a
/// deadlock. A thread or another runtime may be about to wake it.
const STALLED_CHECKS: u32 = 2;

impl watchdog::Test for RunningTest {
    fn check_progress(&self) {
        // A probe polls the test, so a test that may still make progress is spared.
        let may_be_stuck = self.is_stalled()
            && self.scope.census.runtime.runtime_flavor() != RuntimeFlavor::MultiThread
            && self.threads.now() == 0;
        if may_be_stuck {
            self.probe_wakeable();
        }
    }

    fn probe(&self) {
        _ = self.standstill();
        self.probe_all();
    }

    fn is_answering(&self) -> bool {
        self.body.is_answering()
    }

    fn give_up(&self) {
        let report = self.scope.hung(&self.body, self.timeout);
        let report = self.with_standstill(report);
        let report = match report.ending() {
            // An untracked task blocks the thread.
            Some(Verdict::Hung {
                wait: Wait::Unanswered,
                ..
            }) => self.with_test_thread(report),
            _ => report,
        };
        // A panic may be why the test hangs.
        let report = self.scope.with_panics_so_far(report);
        end(
            &report,
            Role::Fails,
            self.on_hang,
            "The test blocks its thread",
        );
    }

    fn stands_still(&self) -> bool {
        lock(&self.stall).unchanged >= STALLED_CHECKS
    }

    fn thread_count(&self) -> usize {
        self.threads.now() + usize::from(!self.is_on_main)
    }
}

impl RunningTest {
    /// Probes the tasks and the body, once the test has failed. The body comes last, since its poll may
    /// poll tasks of a `LocalSet`.
    pub(crate) fn probe_all(&self) {
        self.scope.census.probe_tasks();
        self.body.probe();
    }

    /// Probes everything that something may still wake, while the test may go on.
    pub(crate) fn probe_wakeable(&self) {
        self.scope.census.probe_wakeable_tasks();
        if !self.body.is_unwakeable() {
            self.body.probe();
        }
    }

    /// Adds how long the test had made no progress at its timeout.
    pub(crate) fn with_standstill(&self, report: Report) -> Report {
        report.amend(|findings| findings.standstill = Some(self.standstill()))
    }

    fn standstill(&self) -> Standstill {
        let look = || self.scope.census.standstill(&self.body);
        *self.standstill.get_or_init(look)
    }

    /// Adds where the thread of the test is, unless a task says so.
    fn with_test_thread(&self, report: Report) -> Report {
        let is_blocked = |task: &LeakedTask| matches!(task.wait(), Wait::Blocks(_));
        if report.tasks().iter().any(is_blocked) {
            return report;
        }
        let thread = self.body.thread();
        let blocked = Blocked::at(thread, Duration::ZERO, &mut Symbols::default());
        report.amend(|findings| {
            findings.test_thread = Some(blocked).filter(Blocked::is_located);
        })
    }

    /// Returns whether enough checks in a row, this one included, saw no progress.
    fn is_stalled(&self) -> bool {
        // The clock is part of the progress: it stands still only if it is paused and no timer
        // fires.
        let now = self.scope.census.progress(&self.body);
        let now = now.map(|progress| (progress, self.scope.census.clock()));
        let mut stall = lock(&self.stall);
        if now.is_none() || now != stall.last {
            *stall = Stall {
                last: now,
                unchanged: 0,
            };
        } else {
            stall.unchanged += 1;
        }
        stall.unchanged >= STALLED_CHECKS
    }
}

/// A test in its teardown: the body has ended or was given up.
pub(crate) struct EndingTest(pub(crate) Arc<RunningTest>);

impl watchdog::Test for EndingTest {
    fn check_progress(&self) {}

    /// Does nothing: tasks that are being dropped cannot respond, and a probe would clear their
    /// traces.
    fn probe(&self) {}

    fn is_answering(&self) -> bool {
        false
    }

    fn give_up(&self) {
        let test = &self.0;
        let role = match (test.found.get(), test.on_hang) {
            (Some(report), _) if report.only_warns() => Role::Warns,
            (Some(_), _) | (None, OnHang::Abort) => Role::Fails,
            // The test may still end, and pass.
            (None, OnHang::Wait) => Role::Warns,
        };
        let report = match test.found.get() {
            Some(report) => test.scope.with_shutdown_panics_so_far(report.clone()),
            None => test.scope.with_panics_so_far(test.scope.stuck()),
        };
        let report = test.with_test_thread(report);
        let cause = "A leftover blocks the test's thread, while polled or dropped";
        end(&report, role, test.on_hang, cause);
    }

    fn stands_still(&self) -> bool {
        false
    }

    fn thread_count(&self) -> usize {
        watchdog::Test::thread_count(&*self.0)
    }
}

/// Prints the report, and aborts the process or says that the test cannot be interrupted.
fn end(report: &Report, role: Role, on_hang: OnHang, cause: &str) {
    // A report that fails to print must not keep the process from being aborted.
    _ = contain(|| emit_past_runner(report, role));
    match on_hang {
        OnHang::Abort => {
            let text = "\nAborting the process (STRAGGLER_ON_HANG=abort).";
            _ = writeln!(io::stderr(), "{text}");
            process::abort();
        }
        OnHang::Wait => {
            _ = writeln!(
                io::stderr(),
                "\n{cause}, so it cannot be interrupted. Set STRAGGLER_ON_HANG=abort to abort the process \
                 instead."
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::panic::Location;
    use std::sync::{Arc, Mutex, OnceLock};
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use tokio::runtime::{Builder, Runtime};
    use tokio_test::{assert_pending, task};

    use super::{RunningTest, STALLED_CHECKS};
    use crate::leak::check::census::Census;
    use crate::leak::check::scope::Scope;
    use crate::leak::check::watchdog::Test as _;
    use crate::leak::record::probe::Held;
    use crate::leak::record::session::Session;
    use crate::leak::record::task::{Kind, Spawner, Task};
    use crate::leak::settings::environment::OnHang;
    use crate::leak::settings::rules::Rules;

    /// Returns a test that times out when the watchdog says so.
    fn running(runtime: &Runtime) -> RunningTest {
        let session = Session::open(runtime.handle());
        let place = Location::caller();
        let census = Census::of_all(session, runtime.handle().clone());
        RunningTest {
            scope: Scope::new(census, Rules::default(), false, None, place),
            body: Arc::new(Task::new(0, Kind::Body, None, place, Spawner::Thread)),
            threads: Arc::default(),
            is_on_main: false,
            is_explored: false,
            timeout: Duration::MAX,
            on_hang: OnHang::Wait,
            stall: Mutex::default(),
            standstill: OnceLock::new(),
            found: OnceLock::new(),
        }
    }

    /// Returns whether the watchdog probes a waiting test before its timeout.
    fn is_probed(is_paused: bool) -> bool {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(is_paused).build();
        let runtime = runtime.unwrap();
        let test = running(&runtime);
        let body = &test.body;
        let (mut held, mut kept) = (Held::new(), None);
        let pending = poll_fn(|context| {
            body.poll(context, &mut held, |context| {
                // A body that nothing can wake need not be asked where it waits.
                kept = Some(context.waker().clone());
                Poll::<()>::Pending
            })
        });
        let mut pending = task::spawn(pending);
        assert_pending!(pending.poll());
        for _ in 0..STALLED_CHECKS {
            test.check_progress();
            assert!(!pending.is_woken(), "probed too early");
        }
        test.check_progress();
        pending.is_woken()
    }

    #[test]
    fn standstill_is_that_before_probe() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let test = running(&runtime);
        let poll = |task: &Arc<Task>| {
            let context = &mut Context::from_waker(Waker::noop());
            let polled = task.poll(context, &mut Held::new(), |_| Poll::<()>::Pending);
            assert!(polled.is_pending());
        };
        let session = Session::open(runtime.handle());
        let task = session.begin(Kind::Tracked, None, Location::caller());
        poll(&test.body);
        (0..3).for_each(|_| poll(&task));
        test.probe();
        // What the probe woke is no progress of the test.
        poll(&test.body);
        poll(&test.body);
        let before = test.standstill();
        assert_eq!((before.polls, before.task.unwrap().0), (1, task.number));
    }

    #[test]
    fn only_test_with_paused_clock_is_probed_early() {
        assert!(is_probed(true));
        assert!(!is_probed(false));
    }
}
