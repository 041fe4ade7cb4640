//! What the watchdog does about a test: while its body runs, and while it ends.

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
use crate::leak::report::role::Role;
use crate::leak::settings::environment::OnHang;
use crate::mutex::lock;

/// A test whose body runs.
pub(crate) struct RunningTest {
    pub(crate) scope: Scope,
    pub(crate) body: Arc<Task>,
    pub(crate) threads: Arc<ThreadCount>,
    pub(crate) timeout: Duration,
    pub(crate) on_hang: OnHang,
    pub(crate) looks: Mutex<Looks>,
    /// What was found of it, once that is known, and as far as it is known then.
    pub(crate) found: OnceLock<Report>,
}

/// What was seen of a test when it was looked at.
#[derive(Default)]
pub(crate) struct Looks {
    last: Option<(Progress, tokio::time::Instant)>,
    /// How many looks there were since then that saw the same.
    unchanged: u32,
}

/// How many looks, half a second apart, see a test stand still before it is asked whether it can
/// still end: a thread or another runtime may be about to answer.
const STANDS_STILL: u32 = 2;

impl watchdog::Test for RunningTest {
    fn look(&self) {
        // Who is asked is polled, which a test that may still end is spared.
        let may_be_stuck = self.stands_still()
            && self.scope.census.runtime.runtime_flavor() != RuntimeFlavor::MultiThread
            && self.threads.now() == 0;
        if may_be_stuck {
            self.probe_all();
        }
    }

    fn probe(&self) {
        self.probe_all();
    }

    fn give_up(&self) {
        let report = self.scope.hung(&self.body, self.timeout);
        // A task that panicked may be why.
        let report = self.scope.with_panics_so_far(report);
        end(&report, Role::Fails, self.on_hang, "It blocks its thread");
    }
}

impl RunningTest {
    /// Asks the tasks and the body where they wait. The body last, since its poll may be that of tasks, in
    /// a `LocalSet`.
    pub(crate) fn probe_all(&self) {
        self.scope.census.probe_tasks();
        self.body.probe();
    }

    /// Looks how far it has come, and whether that is as far as it had come before.
    fn stands_still(&self) -> bool {
        // Where the clock is not paused time passes. Where it is, nothing stands still while there is
        // a timer.
        let now = self.scope.census.progress(&self.body);
        let now = now.map(|progress| (progress, self.scope.census.clock()));
        let mut looks = lock(&self.looks);
        if now.is_none() || now != looks.last {
            *looks = Looks {
                last: now,
                unchanged: 0,
            };
        } else {
            looks.unchanged += 1;
        }
        looks.unchanged >= STANDS_STILL
    }
}

/// A test whose body has ended, or was given up.
pub(crate) struct EndingTest(pub(crate) Arc<RunningTest>);

impl watchdog::Test for EndingTest {
    fn look(&self) {}

    /// What is dropped cannot answer, and would forget what it answered before.
    fn probe(&self) {}

    fn give_up(&self) {
        let test = &self.0;
        let (report, role) = match (test.found.get(), test.on_hang) {
            (Some(report), _) if report.only_warns() => (report.clone(), Role::Warns),
            (Some(report), _) => (report.clone(), Role::Fails),
            (None, OnHang::Abort) => (test.scope.stuck(), Role::Fails),
            // It may come to its end yet, and pass.
            (None, OnHang::Wait) => (test.scope.stuck(), Role::Warns),
        };
        let report = test.scope.with_panics_so_far(report);
        let why = "What is left blocks the thread of the test, in a poll or when it is dropped";
        end(&report, role, test.on_hang, why);
    }
}

/// Tells what is known, and ends the process, or says that nobody can end the test.
fn end(report: &Report, role: Role, on_hang: OnHang, why: &str) {
    // That it cannot be told is no reason to go on.
    _ = contain(|| emit_past_runner(report, role));
    match on_hang {
        OnHang::Abort => {
            let says = "\nThe process is aborted (STRAGGLER_ON_HANG=abort).";
            _ = writeln!(io::stderr(), "{says}");
            process::abort();
        }
        OnHang::Wait => {
            _ = writeln!(
                io::stderr(),
                "\n{why}, and so cannot be ended. With STRAGGLER_ON_HANG=abort the process would be."
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::panic::Location;
    use std::sync::{Arc, Mutex, OnceLock};
    use std::task::Poll;
    use std::time::Duration;

    use tokio::runtime::Builder;
    use tokio_test::{assert_pending, task};

    use super::{RunningTest, STANDS_STILL};
    use crate::leak::check::census::Census;
    use crate::leak::check::scope::Scope;
    use crate::leak::check::watchdog::Test as _;
    use crate::leak::record::session::Session;
    use crate::leak::record::task::{Kind, Spawner, Task};
    use crate::leak::settings::environment::OnHang;
    use crate::leak::settings::rules::Rules;

    /// Whether the body of a test that waits is polled once more, since it was asked.
    fn is_asked(is_paused: bool) -> bool {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(is_paused).build();
        let handle = runtime.as_ref().unwrap().handle();
        let session = Session::open(handle);
        let place = Location::caller();
        let body = Arc::new(Task::new(0, Kind::Body, None, place, Spawner::Thread));
        let census = Census::of_all(session, handle.clone());
        let test = RunningTest {
            scope: Scope::new(census, Rules::default(), false, None, place),
            body: Arc::clone(&body),
            threads: Arc::default(),
            timeout: Duration::MAX,
            on_hang: OnHang::Wait,
            looks: Mutex::default(),
            found: OnceLock::new(),
        };
        let pending = poll_fn(|context| body.poll(context, |_| Poll::<()>::Pending));
        let mut pending = task::spawn(pending);
        assert_pending!(pending.poll());
        for _ in 0..STANDS_STILL {
            test.look();
            assert!(!pending.is_woken(), "it may still go on");
        }
        test.look();
        pending.is_woken()
    }

    #[test]
    fn only_a_test_whose_clock_is_paused_is_asked_before_its_time_is_up() {
        assert!(is_asked(true));
        assert!(!is_asked(false));
    }
}
