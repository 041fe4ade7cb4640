//! `Watch`: the leak check in a runtime that someone else owns.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::leak::check::census::Census;
use crate::leak::check::drain::PausedClock;
use crate::leak::check::scope::Scope;
use crate::leak::record::panic_hook;
use crate::leak::record::session::{OpenWatch, Session};
use crate::leak::render::emit::{emit, note_rules};
use crate::leak::report::Report;
use crate::leak::report::role::Role;
use crate::leak::settings::environment::{Environment, Mode};
use crate::leak::settings::{GRACE, Settings};
use crate::trace::place::{Place, find_workspace};

/// A leak check of a runtime that someone else owns, from
/// [`LeakCheck::watch`](crate::LeakCheck::watch).
///
/// Use it where another attribute builds the runtime, such as `#[sqlx::test]`, or where tests share
/// one. Tasks that were alive before the watch are not charged to it. Call [`verify`](Self::verify)
/// at the end of the test: a watch dropped without it checks nothing, and prints a warning.
///
/// # Limits
///
/// - **Untracked tasks** are only counted, since a running runtime takes no hooks. When an old
///   task ends, it can hide a new leak. Spawn through [`straggler::spawn`](crate::spawn) and its
///   siblings, or [`straggler::tokio`](mod@crate::tokio).
/// - **Two watches of one runtime** see each other's tasks, and the first `verify` stops the
///   background tasks of both. The report says so. Run such tests one after the other. A panic is charged to
///   the watch of the thread that spawned the task, or the task's spawner; if the task is untracked, to the
///   first `verify`.
#[derive(Debug)]
#[must_use = "call `verify` at the end of the test: a dropped watch checks nothing"]
pub struct Watch {
    scope: Scope,
    open: OpenWatch,
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
        find_workspace(place);
        let open = session.begin_watch();
        let census = Census::since_now(session, runtime.clone());
        // `verify` reports an invalid variable.
        let of_suite = Environment::read().map_or(&[][..], |read| settings.suite_rules(read));
        let rules = settings.rules.with(of_suite);
        Self {
            scope: Scope::new(census, rules, settings.allows_panics, None, place),
            open,
            grace: settings.grace,
            is_verified: AtomicBool::new(false),
        }
    }

    /// Waits for the tasks and tracked blocking work spawned since the watch began, and returns an
    /// error if any remain after the grace.
    ///
    /// Straggler stops background tasks first. If tasks remain, it polls each tracked one once more
    /// to find out where it waits. The calling task is not counted if it is tracked, or was alive
    /// when the watch began. With `STRAGGLER=warn` the report is printed instead of returned; with
    /// `STRAGGLER=off` this does nothing.
    ///
    /// # Errors
    ///
    /// Returns the [`Report`] of what remains, or of an invalid environment variable.
    ///
    /// # Panics
    ///
    /// Panics if polled in another runtime than the watched one.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: call it again. The first poll stops the background tasks, and a cancelled call
    /// does not restart them. A task's panic is reported once.
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
            here == self.scope.census.runtime.id(),
            "`Watch::verify` must be called in the runtime it watches"
        );
        let grace = self.grace.or(environment.grace).unwrap_or(GRACE);
        let mut findings = self
            .scope
            .end(grace, PausedClock::StandsStill, || false)
            .await
            .findings;
        self.scope.add_panics(&mut findings);
        findings.is_shared = self.open.is_shared();
        self.open.close();
        let (unused_rules, assumed) = (findings.unused_rules.clone(), findings.assumed);
        match Report::rank(findings) {
            Some(report) if environment.mode == Mode::Warn => {
                emit(&report, Role::Warns);
                Ok(())
            }
            Some(report) => Err(report),
            None => {
                note_rules(&unused_rules, assumed, self.scope.test, self.scope.place);
                Ok(())
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A panicking test never reaches its `verify`, and has failed already.
        if !self.is_verified.load(Relaxed) && !thread::panicking() {
            let place = Place::from(self.scope.place);
            eprintln!(
                "leak_check: note: the watch started at {place} checked nothing: call \
                 `verify().await` before dropping it"
            );
        }
    }
}
