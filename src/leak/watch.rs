//! Checking a runtime that somebody else owns.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::leak::check::scope::Scope;
use crate::leak::record::panic_hook;
use crate::leak::record::session::Session;
use crate::leak::render::emit::{emit, note_unused_rules};
use crate::leak::report::Report;
use crate::leak::report::role::Role;
use crate::leak::settings::environment::{Environment, Mode};
use crate::leak::settings::{GRACE, Settings};
use crate::trace::place::{Place, find_workspace};

/// A check of a runtime that somebody else owns, from [`LeakCheck::watch`](crate::LeakCheck::watch).
///
/// It is for tests whose runtime is made by another attribute, such as `#[sqlx::test]`, or shared
/// by many tests. Tasks that were alive before are not charged to it. It finds out nothing by
/// itself: call [`verify`](Self::verify) at the end. One that is dropped without says so on
/// standard error.
///
/// What it sees is what is spawned through `straggler` ([`straggler::spawn`](crate::spawn) and its
/// kin, [`straggler::tokio`](mod@crate::tokio)), and how many other tasks are alive: in a runtime of
/// somebody else there are no hooks. So of tasks that are not spawned through `straggler` an old
/// one that ends hides a new one that stays. Two watches of one runtime at the same time see each
/// other's tasks, and the first that is verified stops the background tasks of both.
#[derive(Debug)]
#[must_use = "call `verify` at the end of the test"]
pub struct Watch {
    scope: Scope,
    grace: Option<Duration>,
    is_verified: AtomicBool,
}

impl Watch {
    pub(crate) fn begin(
        runtime: &Handle,
        settings: Settings,
        place: &'static Location<'static>,
    ) -> Self {
        panic_hook::install_hook();
        let session = Session::open(runtime);
        let rules = (settings.rules, settings.allows_panics);
        find_workspace(place);
        let scope = Scope::new(session, runtime.clone(), rules, None, place);
        Self {
            scope: scope.since_now(),
            grace: settings.grace,
            is_verified: AtomicBool::new(false),
        }
    }

    /// Waits until all tasks and tracked blocking work have ended that were spawned since the watch
    /// began, or the grace is over, and returns an error if any is left.
    ///
    /// Background tasks are stopped first. If tasks are left each of them that was spawned through
    /// `straggler` is polled once more, to find out where it waits. The task that calls this is not
    /// counted if it was spawned through `straggler`, or was there when the watch began. With
    /// `STRAGGLER=warn` the error is printed instead, and with `STRAGGLER=off` nothing is done.
    ///
    /// # Errors
    ///
    /// The [`Report`] of what is left, or of an environment variable that cannot be
    /// understood.
    ///
    /// # Panics
    ///
    /// If it is polled outside of the runtime that is watched.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, but for background tasks, which are stopped at the first poll: call it again. A
    /// panic of a background task is reported once.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::LeakCheck;
    /// use tokio::runtime::Handle;
    ///
    /// # tokio_test::block_on(async {
    /// let watch = LeakCheck::watch(&Handle::current());
    /// let task = straggler::spawn(std::future::pending::<()>());
    /// assert_eq!(watch.verify().await.unwrap_err().count(), 1);
    ///
    /// task.abort();
    /// assert!(watch.verify().await.is_ok());
    /// # });
    /// ```
    pub async fn verify(&self) -> Result<(), Report> {
        self.is_verified.store(true, Relaxed);
        let not_run = |reason| Report::not_run(None, self.scope.place, reason);
        let environment = Environment::read().map_err(not_run)?;
        if environment.mode == Mode::Off {
            return Ok(());
        }
        let here = Handle::current().id();
        assert!(
            here == self.scope.runtime.id(),
            "`Watch::verify` was called in another runtime than the one it watches"
        );
        let grace = self.grace.or(environment.grace).unwrap_or(GRACE);
        let mut findings = self.scope.end(grace).await.findings;
        self.scope.add_panics(&mut findings);
        let unused_rules = findings.unused_rules.clone();
        match Report::rank(findings) {
            Some(report) if environment.mode == Mode::Warn => {
                emit(&report, Role::Warns);
                Ok(())
            }
            Some(report) => Err(report),
            None => {
                note_unused_rules(&unused_rules, self.scope.test, self.scope.place);
                Ok(())
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A test that panics does not come to verify it.
        if !self.is_verified.load(Relaxed) && !thread::panicking() {
            let place = Place::from(self.scope.place);
            eprintln!(
                "leak_check: note: the watch that began at {place} has found out nothing: it was \
                 dropped before `verify().await`"
            );
        }
    }
}
