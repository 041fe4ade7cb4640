//! The leak check as a value.

use std::panic::Location;
use std::pin::pin;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use crate::leak::check::body::Body;
use crate::leak::check::run::{Checked, run};
use crate::leak::render::emit::emit;
use crate::leak::report::Report;
use crate::leak::report::role::{Failure, Role};
use crate::leak::settings::Settings;
use crate::leak::settings::environment::Timeout;
use crate::leak::watch::Watch;

/// Runs a future, and fails if it hangs, if a task or blocking work that it caused outlives it, or if a
/// task panics.
///
/// It is what `#[leak_check]` does for a test, as a value. Each
/// [`run`](Self::run) makes a runtime of its own, so it is charged with its own tasks only,
/// whatever else goes on in the process. When the future has ended
///
/// 1. background tasks are stopped, and the runtime gets a few turns. If no task is alive then, and
///    no blocking work of [`straggler::spawn_blocking`](crate::spawn_blocking) is under way, it goes
///    on with step 4, and took no time.
/// 2. Else these have a grace period to end in, of real time. A paused clock stands still meanwhile,
///    so that it does not matter how long tasks would sleep.
/// 3. If more are left than the rules allow, each task that was spawned through `straggler` is
///    polled once more to find out where it waits.
/// 4. The runtime is shut down, which drops its tasks. Blocking work, which cannot be stopped, has
///    what is left of the grace to end in, and at least 500 ms; so have threads that are
///    [denied](Self::deny_threads). None of this takes time where nothing is at work.
/// 5. The [`Report`] is made. What still runs then is abandoned, and runs on until it ends or the
///    process does, which does not wait for it.
///
/// What is seen of a task depends on how it was spawned. That it exists is seen always. Everything
/// else, where it was spawned, by whom and where it waits, is seen if it was spawned through
/// [`straggler::spawn`](crate::spawn) and its kin, or through `tokio` where
/// [`straggler::tokio`](mod@crate::tokio) stands for it. With `--cfg tokio_unstable` it is also
/// seen of all other tasks where they were spawned and by whom.
///
/// The same holds for blocking work, but that work which is not spawned through `straggler` is told
/// by the threads of the runtime that do not stop, in each build. So it is only counted, what waits
/// for a thread is counted with `--cfg tokio_unstable` alone, and what ends because the runtime is
/// shut down does not count.
///
/// A [`Lock`](crate::Lock) that was acquired in the check, and is still held when the grace is over,
/// fails it too, unless a task or closure holds it that is allowed to remain.
///
/// Not seen are tasks of a `LocalSet` that are spawned past `straggler`, those of other runtimes,
/// and threads, unless they are [denied](Self::deny_threads).
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
    settings: Settings,
}

impl LeakCheck {
    /// Makes a check with a current-thread runtime, all of its drivers on, a grace of 500 ms, a
    /// timeout of 60 seconds, and no task allowed to remain or to panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::LeakCheck;
    /// use tokio::runtime::{Handle, RuntimeFlavor};
    ///
    /// let flavor = LeakCheck::new().run(async { Handle::current().runtime_flavor() });
    /// assert_eq!(flavor.unwrap(), RuntimeFlavor::CurrentThread);
    /// ```
    pub fn new() -> Self {
        Self {
            runtime: None,
            settings: Settings::default(),
        }
    }

    /// Takes the runtime's settings from a builder of tokio, instead of a current-thread runtime
    /// with all drivers on.
    ///
    /// The check sets `on_thread_start`, `on_thread_stop` and `thread_keep_alive` of the builder, and with
    /// `--cfg tokio_unstable` also `on_task_spawn` and `on_task_terminate`, in place of what they may be
    /// set to.
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
        self.settings.is_local = true;
        self
    }

    /// Sets how long tasks and blocking work have to end after the future, in real time.
    ///
    /// By default it is what the environment variable `STRAGGLER_GRACE` says, or else 500 ms. With
    /// zero tasks still get a few turns of the runtime, enough for one that was aborted, and
    /// blocking work that is not spawned through `straggler` still gets 500 ms.
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
        self.settings.grace = Some(grace);
        self
    }

    /// Sets how long the future may take, in real time.
    ///
    /// By default it is what the environment variable `STRAGGLER_TIMEOUT` says, or else 60 seconds.
    ///
    /// When the time is up the future is asked where it waits and then given up, and the report
    /// says so, also of the tasks that are alive. It is dropped then, while its runtime is there; a
    /// panic in that is printed, and not counted. A future that blocks its thread can neither be
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
        self.settings.timeout = Some(Timeout::After(timeout));
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
        self.settings.timeout = Some(Timeout::Never);
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
        self.settings.allows_panics = true;
        self
    }

    /// Lets `count` tasks and closures of blocking work remain, in addition to those that a rule for
    /// a place allows.
    ///
    /// # Examples
    ///
    /// ```
    /// let check = straggler::LeakCheck::new().allow(1);
    /// assert!(check.run(async { drop(tokio::spawn(std::future::pending::<()>())) }).is_ok());
    /// ```
    pub fn allow(mut self, count: usize) -> Self {
        self.settings.rules.allow(count);
        self
    }

    /// Lets tasks and blocking work remain that were spawned at a place that begins with `prefix`.
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
        self.settings.rules.allow_at(prefix.into(), None);
        self
    }

    /// Lets at most `count` tasks and closures of blocking work remain that were spawned at a place
    /// that begins with `prefix`, as [`allow_at`](Self::allow_at) does.
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
        self.settings.rules.allow_at(prefix.into(), Some(count));
        self
    }

    /// Also fails if a `std::thread` outlives the future, which was started by it, by its tasks, by
    /// its blocking work, or by a thread of theirs. On Linux only: elsewhere the check is not run, and
    /// the report says why.
    ///
    /// Threads have the time to end that blocking work has. Those of the check's own runtime do not
    /// count.
    ///
    /// The system does not tell who started a thread. But one that is given no name takes over the
    /// name that its starter has in the system (`comm`), and so the thread of the check, and those of
    /// its runtime, have one that no other has while the check runs.
    /// [`Thread::name`](std::thread::Thread::name) still returns what they are called.
    ///
    /// A thread that is given a name, as by [`Builder::name`](std::thread::Builder::name), does not
    /// show whose it is. It counts where nobody else can have started it: where tests run one
    /// after the other, as with `--test-threads=1` (unless an earlier one has left a thread behind),
    /// and where the process runs one test alone, as `cargo nextest` has it. Elsewhere it does not
    /// count. A pool of threads without names that lives as long as the process is charged to the
    /// check in which it starts.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::thread;
    ///
    /// let check = straggler::LeakCheck::new().deny_threads();
    /// let result = check.run(async { drop(thread::spawn(thread::park)) });
    /// # if cfg!(target_os = "linux") {
    /// assert_eq!(result.unwrap_err().threads().len(), 1);
    /// # }
    /// ```
    pub fn deny_threads(mut self) -> Self {
        self.settings.denies_threads = true;
        self
    }

    /// Runs `future` to its end, and returns its output unless it left something behind.
    ///
    /// With `STRAGGLER=warn` a report is printed and the output returned all the same; with
    /// `STRAGGLER=off` there is no check.
    ///
    /// # Errors
    ///
    /// The [`Report`], whose [`verdict`](Report::verdict) says which: the future did not end within the
    /// [`timeout`](Self::timeout), or cannot end; tasks, blocking work or denied threads outlived it; a
    /// task panicked; a lock is still held. The output of the future, if there is one, is dropped then.
    /// Also if the check cannot be made: inside of a runtime, if no runtime can be made, or if an
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
        let body = pin!(Body::new(async move { future.await }));
        match run(self.runtime, self.settings, None, Location::caller(), body) {
            Checked::Failed(report) => Err(report),
            Checked::Run { outcome, report } => match (outcome, report) {
                (Ok(output), None) => Ok(output),
                (Ok(output), Some(report)) if report.only_warns() => {
                    emit(&report, Role::Warns);
                    Ok(output)
                }
                (Ok(_), Some(report)) => Err(report),
                (Err(panic), report) => {
                    if let Some(report) = report {
                        emit(&report, Role::Accompanies(Failure::Panicked));
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

    /// Begins to watch a runtime that somebody else owns, with the grace, the rules and
    /// [`allow_panics`](Self::allow_panics) of this check. Its other settings mean nothing here: the runtime
    /// is there, whoever runs the test decides how long it may take, and threads may remain.
    /// [`Watch::verify`] ends it.
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
        Watch::begin(runtime, self.settings, Location::caller())
    }
}

impl LeakCheck {
    /// Splits the check into the builder of its runtime, if it was given one, and its settings.
    pub(crate) fn into_parts(self) -> (Option<Builder>, Settings) {
        (self.runtime, self.settings)
    }
}

impl Default for LeakCheck {
    fn default() -> Self {
        Self::new()
    }
}
