//! What the watchdog does about a test: while its body runs, and while it ends.

use std::io::{self, Write as _};
use std::process;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::RuntimeFlavor;

use super::environment::{Mode, OnHang};
use super::report::Report;
use super::role::Role;
use super::scope::{Progress, Scope};
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
    pub(crate) looks: Mutex<Looks>,
    pub(crate) mode: Mode,
    /// What was found of it, once that is known, and as far as it is known then.
    pub(crate) found: OnceLock<Report>,
}

/// What was seen of a test when it was looked at.
#[derive(Default)]
pub(crate) struct Looks {
    last: Option<Progress>,
    /// How many looks there were since then that saw the same.
    unchanged: u32,
}

/// How many looks, half a second apart, see a test stand still before it is asked whether it can
/// still end: a thread or another runtime may be about to answer.
const STANDS_STILL: u32 = 2;

impl watchdog::Test for RunningTest {
    fn look(&self) {
        // Where the clock is paused nothing stands still while there is a timer. Whether it is
        // paused can only be seen from inside.
        let may_be_stuck = self.stands_still()
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
        let report = self.scope.with_panics_so_far(report);
        end(&report, Role::Fails, self.on_hang, "It blocks its thread");
    }
}

impl RunningTest {
    /// Looks how far it has come, and whether that is as far as it had come before.
    fn stands_still(&self) -> bool {
        let now = self.scope.progress(&self.body);
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
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
    fn ask(&self) {}

    fn give_up(&self) {
        let test = &self.0;
        let (report, role) = match (test.found.get(), test.on_hang) {
            (Some(report), _) if test.mode.only_warns_of(report) => (report.clone(), Role::Warns),
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
    // That nobody reads what is printed is no reason to go on.
    _ = contain(|| tell(report, role));
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
