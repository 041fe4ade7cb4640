//! What the watchdog does about a test: while its body runs, and while it ends.

use std::io::{self, Write as _};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::RuntimeFlavor;

use super::activity::Activity;
use super::environment::OnHang;
use super::report::Report;
use super::role::Role;
use super::scope::Scope;
use super::task::Task;
use super::tell::tell;
use super::watchdog;
use crate::contain::contain;

/// How long the thread of a test is parked before somebody looks whether the test can still end.
const PARKED: Duration = Duration::from_millis(500);

/// A test whose body runs.
pub(crate) struct RunningTest {
    pub(crate) scope: Arc<Scope>,
    pub(crate) body: Arc<Task>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) timeout: Duration,
    pub(crate) on_hang: OnHang,
}

impl watchdog::Test for RunningTest {
    fn look(&self) {
        // Where the clock is paused a thread does not stay parked while there is a timer. Whether it
        // is paused can only be seen from inside.
        let may_be_stuck = self.scope.runtime.runtime_flavor() != RuntimeFlavor::MultiThread
            && self.activity.threads() == 0
            && self.activity.parked_for() >= PARKED;
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
pub(crate) struct EndingTest {
    pub(crate) scope: Arc<Scope>,
    pub(crate) on_hang: OnHang,
}

impl watchdog::Test for EndingTest {
    fn look(&self) {}

    fn ask(&self) {
        self.scope.ask_tasks();
    }

    fn give_up(&self) {
        end(
            &self.scope.stuck(),
            self.on_hang,
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
