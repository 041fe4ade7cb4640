//! What the watchdog does about a test: while its body runs, and while it ends.

use std::io::{self, Write as _};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::RuntimeFlavor;

use super::environment::OnHang;
use super::report::Report;
use super::role::Role;
use super::scope::Scope;
use super::task::Task;
use super::tell::tell;
use super::thread_count::ThreadCount;
use super::watchdog;
use crate::contain::contain;

/// A test whose body runs.
pub(crate) struct RunningTest {
    pub(crate) scope: Scope,
    pub(crate) body: Arc<Task>,
    pub(crate) threads: Arc<ThreadCount>,
    pub(crate) timeout: Duration,
    pub(crate) on_hang: OnHang,
    /// How far it had come when it was looked at last.
    pub(crate) seen: AtomicUsize,
}

impl watchdog::Test for RunningTest {
    fn look(&self) {
        let polls = self.scope.polls_with(&self.body);
        let stands_still = self.seen.swap(polls, Relaxed) == polls && !self.body.is_in_poll();
        // Where the clock is paused nothing stands still while there is a timer. Whether it is
        // paused can only be seen from inside.
        let may_be_stuck = stands_still
            && self.scope.runtime.runtime_flavor() != RuntimeFlavor::MultiThread
            && self.threads.now() == 0;
        if may_be_stuck {
            self.body.ask();
        }
    }

    fn ask(&self) {
        self.scope.ask_tasks();
        self.body.ask();
    }

    fn give_up(&self) {
        let report = self.scope.hung(&self.body, self.timeout);
        // A task that panicked may be why.
        let report = self
            .scope
            .with_panics(Some(report.clone()))
            .unwrap_or(report);
        end(&report, self.on_hang, "It blocks its thread");
    }
}

/// A test whose body has ended, or was given up.
pub(crate) struct EndingTest(pub(crate) Arc<RunningTest>);

impl watchdog::Test for EndingTest {
    fn look(&self) {}

    fn ask(&self) {
        self.0.scope.ask_tasks();
    }

    fn give_up(&self) {
        end(
            &self.0.scope.stuck(),
            self.0.on_hang,
            "What is left blocks the thread of the test, in a poll or when it is dropped",
        );
    }
}

/// Tells what is known, and ends the process, or says that nobody can end the test.
fn end(report: &Report, on_hang: OnHang, why: &str) {
    // That nobody reads what is printed is no reason to go on.
    _ = contain(|| tell(report, Role::Fails));
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
