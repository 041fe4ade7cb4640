//! The leak check: a test fails if a task that it caused outlives it.
//!
//! `#[leak_check]` is the attribute, [`LeakCheck`] the same without it.
//! What a check finds is a [`Report`]; [`json`] is what programs read of it.
//! [`armed()`] says what this build can see.

mod activity;
mod annotations;
mod armed;
mod calls;
mod drain;
mod environment;
mod hooks;
pub mod json;
mod panics;
mod place;
mod report;
mod role;
mod rules;
mod run;
mod scope;
mod session;
mod spawn;
mod task;
mod tell;
pub(crate) mod test_case;
mod text;
mod to_json;
pub(crate) mod trace;
mod wait;
mod watch;
mod watchdog;

use std::panic::Location;
use std::pin::pin;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use self::environment::{Mode, Timeout};
use self::role::{Failure, Role};
use self::rules::Rules;
use self::run::Checked;
use self::tell::tell;

pub use self::armed::{Armed, armed};
pub use self::calls::Call;
pub(crate) use self::panics::note_resumed;
pub use self::place::Place;
pub use self::report::{LeakedTask, Report, SpawnedBy, TaskPanic, Verdict};
pub(crate) use self::session::Session;
pub use self::spawn::{background, spawn, spawn_blocking, spawn_local, spawn_named};
pub(crate) use self::spawn::{track, track_blocking, track_on};
pub(crate) use self::task::Kind;
pub use self::wait::{Wait, WaitPlace};
pub use self::watch::Watch;

/// How long a test's tasks have to end after its body, unless something else is said. On a machine
/// with more threads at work than processors clean multi-thread tests needed up to 60 ms; only a
/// test that fails waits for all of it.
const GRACE: Duration = Duration::from_millis(500);

/// How long a test's body may take, unless something else is said. Few tests take a tenth of it, and
/// what runs them would wait for ever.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a future and fails if a task that it caused outlives it.
///
/// It is what `#[leak_check]` does for a test, as a value. Each
/// [`run`](Self::run) makes a runtime of its own, so it is charged with its own tasks only,
/// whatever else goes on in the process. When the future has ended
///
/// 1. background tasks are stopped, and the runtime gets a few turns. If no task is alive then and
///    none has panicked, this is all, and took no time.
/// 2. Else the tasks have a grace period to end in, of real time. A paused clock stands still
///    meanwhile, so that it does not matter how long tasks would sleep.
/// 3. If more are left than the rules allow, each task that was spawned through `straggler` is
///    polled once more to find out where it waits, and the [`Report`] is made.
/// 4. The runtime is shut down, which drops its tasks. Blocking work has 5 seconds to end, and is
///    abandoned then.
///
/// What is seen of a task depends on how it was spawned. That it exists is seen always. Everything
/// else, where it was spawned, by whom and where it waits, is seen if it was spawned through
/// [`straggler::spawn`](crate::spawn) and its kin, or through `tokio` where
/// [`straggler::tokio`](mod@crate::tokio) stands for it. With `--cfg tokio_unstable` it is also
/// seen of all other tasks where they were spawned and by whom.
///
/// Not seen are tasks of a `LocalSet` that are spawned past `straggler`, those of other runtimes,
/// and threads.
///
/// # Examples
///
/// ```
/// use straggler::LeakCheck;
///
/// async fn leaves_a_task_behind() {
///     tokio::spawn(std::future::pending::<()>());
/// }
///
/// let report = LeakCheck::new().run(leaves_a_task_behind()).unwrap_err();
/// assert_eq!(report.count(), 1);
/// ```
#[derive(Debug)]
#[must_use = "a check does nothing until it is run"]
pub struct LeakCheck {
    /// `None` for a current-thread runtime with all drivers on.
    runtime: Option<Builder>,
    is_local: bool,
    grace: Option<Duration>,
    timeout: Option<Timeout>,
    allows_panics: bool,
    rules: Rules,
}

impl LeakCheck {
    /// Makes a check with a current-thread runtime, all of its drivers on, a grace of 500 ms, a
    /// timeout of 60 seconds, and no task allowed to remain or to panic.
    pub fn new() -> Self {
        Self {
            runtime: None,
            is_local: false,
            grace: None,
            timeout: None,
            allows_panics: false,
            rules: Rules::default(),
        }
    }

    /// Takes the runtime's settings from a builder of tokio, instead of a current-thread runtime
    /// with all drivers on.
    ///
    /// The check sets `on_thread_start`, `on_thread_stop`, `on_thread_park` and `on_thread_unpark` of
    /// the builder, and with `--cfg tokio_unstable` also `on_task_spawn` and `on_task_terminate`, in
    /// place of what they may be set to.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::LeakCheck;
    /// use tokio::runtime::Builder;
    ///
    /// let check = LeakCheck::new().runtime(Builder::new_multi_thread());
    /// let id = check.run(async { tokio::spawn(async { std::thread::current().id() }).await });
    /// assert_ne!(id.unwrap().unwrap(), std::thread::current().id());
    /// ```
    pub fn runtime(mut self, builder: Builder) -> Self {
        self.runtime = Some(builder);
        self
    }

    /// Makes the runtime a `LocalRuntime`, in which `spawn_local` works without a `LocalSet`, and
    /// its tasks are checked too.
    ///
    /// # Panics
    ///
    /// [`run`](Self::run) does if the builder given to [`runtime`](Self::runtime) is a
    /// multi-thread one.
    ///
    /// # Examples
    ///
    /// ```
    /// let report = straggler::LeakCheck::new().local().run(async {
    ///     tokio::task::spawn_local(std::future::pending::<()>());
    /// });
    /// assert_eq!(report.unwrap_err().count(), 1);
    /// ```
    pub fn local(mut self) -> Self {
        self.is_local = true;
        self
    }

    /// Sets how long tasks have to end after the future, in real time.
    ///
    /// By default it is what the environment variable `STRAGGLER_GRACE` says, or else 500 ms. With
    /// zero they still get a few turns of the runtime, enough for a task that was aborted.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let check = straggler::LeakCheck::new().grace(Duration::ZERO);
    /// assert!(check.run(async { tokio::spawn(async {}).abort() }).is_ok());
    /// ```
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Sets how long the future may take, in real time.
    ///
    /// By default it is what the environment variable `STRAGGLER_TIMEOUT` says, or else 60 seconds.
    ///
    /// When the time is up the future is asked where it waits and then given up, and the report
    /// says so, also of the tasks that are alive. A future that blocks its thread can neither be
    /// asked nor be given up. Half a second later a thread of its own prints what it knows; then it
    /// aborts the process with `STRAGGLER_ON_HANG=abort`, which is the default where each test has
    /// a process of its own (nextest), or leaves it with `STRAGGLER_ON_HANG=wait`. If the future
    /// ends after all, that it took too long is reported then.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use straggler::leak::Verdict;
    ///
    /// let check = straggler::LeakCheck::new().timeout(Duration::from_millis(10));
    /// let report = check.run(std::future::pending::<()>()).unwrap_err();
    /// assert!(matches!(report.verdict(), Verdict::Hung { .. }));
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(Timeout::After(timeout));
        self
    }

    /// Lets the future take for ever, whatever the environment says.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(straggler::LeakCheck::new().no_timeout().run(async {}).is_ok());
    /// ```
    pub fn no_timeout(mut self) -> Self {
        self.timeout = Some(Timeout::Never);
        self
    }

    /// Lets tasks panic, for tests that are about panics.
    ///
    /// By default a task that ends by a panic fails the check, also if its handle is awaited: whether
    /// somebody looks at the error cannot be seen from outside.
    ///
    /// # Examples
    ///
    /// ```
    /// let check = straggler::LeakCheck::new().allow_panics();
    /// let task = check.run(async { tokio::spawn(async { panic!("no such table") }).await });
    /// assert!(task.unwrap().unwrap_err().is_panic());
    /// ```
    pub fn allow_panics(mut self) -> Self {
        self.allows_panics = true;
        self
    }

    /// Lets `count` tasks remain, in addition to those that a rule for a place allows.
    ///
    /// # Examples
    ///
    /// ```
    /// let check = straggler::LeakCheck::new().allow(1);
    /// assert!(check.run(async { drop(tokio::spawn(std::future::pending::<()>())) }).is_ok());
    /// ```
    pub fn allow(mut self, count: usize) -> Self {
        self.rules.allow(count);
        self
    }

    /// Lets tasks remain that were spawned at a place that begins with `prefix`.
    ///
    /// A place is written as in reports: from the root of the workspace, as in `src/pool.rs:31:9` or
    /// `crates/pool/src/lib.rs`, and `axum-0.8.9/src/serve/mod.rs:389:13` in a dependency, of which the version may be left out:
    /// the prefix `axum` covers all that `axum` spawns. A prefix ends where a name in the place
    /// does. A task matches if it is seen where it was spawned, which depends on the build, see
    /// [`LeakCheck`]. A rule that allowed nothing is noted on standard error.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::pending;
    ///
    /// let check = straggler::LeakCheck::new().allow_at(file!());
    /// assert!(check.run(async { drop(straggler::spawn(pending::<()>())) }).is_ok());
    /// ```
    pub fn allow_at(mut self, prefix: impl Into<String>) -> Self {
        self.rules.allow_at(prefix.into(), None);
        self
    }

    /// Lets at most `count` tasks remain that were spawned at a place that begins with `prefix`, as
    /// [`allow_at`](Self::allow_at) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::pending;
    ///
    /// let check = straggler::LeakCheck::new().allow_at_most(file!(), 1);
    /// let report = check.run(async {
    ///     straggler::spawn(pending::<()>());
    ///     straggler::spawn(pending::<()>());
    /// });
    /// assert_eq!(report.unwrap_err().count(), 1);
    /// ```
    pub fn allow_at_most(mut self, prefix: impl Into<String>, count: usize) -> Self {
        self.rules.allow_at(prefix.into(), Some(count));
        self
    }

    /// Runs `future` to its end, and returns its output unless it left tasks behind.
    ///
    /// With `STRAGGLER=warn` a report is printed and the output returned all the same; with
    /// `STRAGGLER=off` there is no check.
    ///
    /// # Errors
    ///
    /// The [`Report`] of the tasks that outlived the future, whose output is dropped then, or of a
    /// future that did not end within the [`timeout`](Self::timeout). Also if the check cannot be made: inside of a runtime, if no runtime can be made, or if an
    /// environment variable cannot be understood; then the future is dropped, unpolled.
    ///
    /// # Panics
    ///
    /// If the future does. What it left behind is printed to standard error before its panic goes
    /// on.
    ///
    /// # Examples
    ///
    /// ```
    /// let sum = straggler::LeakCheck::new().run(async {
    ///     tokio::spawn(async { 1 + 1 }).await.unwrap()
    /// });
    /// assert_eq!(sum.unwrap(), 2);
    /// ```
    #[track_caller]
    pub fn run<F: Future>(self, future: F) -> Result<F::Output, Report> {
        #[expect(
            clippy::redundant_async_block,
            reason = "a block drops the future as soon as it has ended"
        )]
        let body = pin!(async move { future.await });
        match self.check(None, Location::caller(), body) {
            Checked::Failed(report) => Err(report),
            Checked::Run {
                outcome,
                report,
                mode,
            } => match (outcome, report) {
                (Ok(output), None) => Ok(output),
                (Ok(output), Some(report)) if mode == Mode::Warn => {
                    tell(&report, Role::Warns);
                    Ok(output)
                }
                (Ok(_), Some(report)) => Err(report),
                (Err(panic), report) => {
                    if let Some(report) = report {
                        tell(&report, Role::Accompanies(Failure::Panicked));
                    }
                    panic.resume()
                }
            },
        }
    }

    /// Begins to watch a runtime that somebody else owns: a check without settings, see
    /// [`watch_with`](Self::watch_with).
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::LeakCheck;
    /// use tokio::runtime::Handle;
    ///
    /// #[tokio::main]
    /// async fn main() {
    ///     let watch = LeakCheck::watch(&Handle::current());
    ///     tokio::spawn(async { "done" }).await.unwrap();
    ///     watch.verify().await.unwrap();
    /// }
    /// ```
    #[track_caller]
    pub fn watch(runtime: &Handle) -> Watch {
        Self::new().watch_with(runtime)
    }

    /// Begins to watch a runtime that somebody else owns, with the grace and the rules of this
    /// check. Its other settings mean nothing here: the runtime is there, and whoever runs the test
    /// decides how long it may take. [`Watch::verify`] ends it.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::LeakCheck;
    /// use tokio::runtime::Handle;
    ///
    /// #[tokio::main]
    /// async fn main() {
    ///     let watch = LeakCheck::new().allow(1).watch_with(&Handle::current());
    ///     tokio::spawn(std::future::pending::<()>());
    ///     watch.verify().await.unwrap();
    /// }
    /// ```
    #[track_caller]
    pub fn watch_with(self, runtime: &Handle) -> Watch {
        Watch::begin(runtime, self, Location::caller())
    }
}

impl Default for LeakCheck {
    fn default() -> Self {
        Self::new()
    }
}
