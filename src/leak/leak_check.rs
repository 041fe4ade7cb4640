//! `LeakCheck`: the leak check without the attribute.

use std::panic::Location;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use crate::leak::check::body::Body;
use crate::leak::check::run::{Checked, run};
use crate::leak::render::emit::{emit, emit_after_panic};
use crate::leak::report::Report;
use crate::leak::report::role::Role;
use crate::leak::settings::Settings;
use crate::leak::settings::environment::Timeout;
use crate::leak::watch::Watch;

/// Runs a future and returns an error if it hangs, if a task or blocking work it started outlives
/// it, or if a task panics.
///
/// This is `#[straggler::test]` as a value. Each [`run`](Self::run) builds its
/// own runtime, so a check is charged only with its own tasks, even if other tests run in parallel.
/// After the future:
///
/// 1. Straggler stops background tasks and gives the runtime a few turns. If no task and no
///    [`spawn_blocking`](crate::spawn_blocking) closure is left, it skips to step 4: a clean check
///    waits for nothing.
/// 2. Leftovers get the [`grace`](Self::grace) to finish, in real time, unless it is certain that
///    none of them can. A paused clock does not advance meanwhile, so a sleeping task stays asleep.
///    In a run of [`Explore`](crate::Explore) it advances by up to the grace.
/// 3. If more remain than the rules allow, straggler polls each tracked task once more to find out
///    where it waits.
/// 4. The runtime shuts down, which drops its tasks. Blocking work cannot be stopped: it gets the
///    rest of the grace, at least 500 ms, as do [denied](Self::deny_threads) threads.
/// 5. Straggler builds the [`Report`]. It abandons whatever is still running; the process does not
///    wait for it.
///
/// # What a report shows
///
/// | spawned by | in the report |
/// |---|---|
/// | [`straggler::spawn`](crate::spawn) and its siblings, or [`straggler::tokio`](mod@crate::tokio) | where, by whom, where it waits |
/// | anything else, with `--cfg tokio_unstable` | where, by whom |
/// | anything else | that it exists |
///
/// A [`Lock`](crate::Lock) that is still held after the grace fails the check too, unless an
/// allowed leftover holds it.
///
/// # Limits
///
/// - **Untracked blocking work** is only counted, by the runtime threads that do not stop. Linux
///   tells busy threads from idle ones; elsewhere, an idle thread that gets no processor for half a
///   second counts too. A closure still waiting for a thread is counted only with `--cfg
///   tokio_unstable`, and a closure that ends because of the shutdown is not counted. Use
///   [`straggler::spawn_blocking`](crate::spawn_blocking).
/// - **Untracked tasks of a `LocalSet`** are not detected. Use
///   [`straggler::spawn_local`](crate::spawn_local), or [`local`](Self::local).
/// - **Tasks of other runtimes** are not detected. Use [`watch`](Self::watch).
/// - **Threads** are not detected unless they are [denied](Self::deny_threads).
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
#[must_use = "call `run` or `watch_with`: a check does nothing by itself"]
pub struct LeakCheck {
    /// `None` for a current-thread runtime with all drivers enabled.
    runtime: Option<Builder>,
    settings: Settings,
}

impl LeakCheck {
    /// Creates a check with the default settings.
    ///
    /// It has a current-thread runtime with all drivers enabled, a grace of 500 ms and a timeout of
    /// 73 seconds. No task may remain or panic.
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

    /// Builds the runtime from `builder`, instead of a current-thread runtime with all drivers
    /// enabled.
    ///
    /// The check overwrites the builder's `on_thread_start`, `on_thread_stop` and
    /// `thread_keep_alive`, and with `--cfg tokio_unstable` also `on_task_spawn` and
    /// `on_task_terminate`.
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

    /// Uses a `LocalRuntime`, in which `spawn_local` works without a `LocalSet` and its tasks are
    /// checked too.
    ///
    /// # Panics
    ///
    /// [`run`](Self::run) panics if [`runtime`](Self::runtime) was given a multi-thread builder.
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

    /// Sets how long leftover tasks and blocking work get to finish after the future, in real time.
    ///
    /// The default is `STRAGGLER_GRACE`, or else 500 ms. With zero, tasks still get a few turns of
    /// the runtime, enough for an aborted task to end, and untracked blocking work still gets 500
    /// ms.
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
    /// The default is `STRAGGLER_TIMEOUT`, or else 73 seconds: no round number, so that a test which waits for a minute on
    /// purpose does not race it.
    ///
    /// On a timeout, straggler polls the future and every live task once more to find out where they
    /// wait, drops the future inside its runtime, and reports. A panic in that drop is printed but is
    /// not a finding.
    ///
    /// A future that blocks its thread can be neither polled nor dropped. Half a second later a
    /// watchdog thread prints a report. With `STRAGGLER_ON_HANG=abort`, the default under
    /// nextest, it then aborts the process; with `STRAGGLER_ON_HANG=wait`, the default elsewhere,
    /// the process keeps running. If the future ends after all, the check reports that it took too
    /// long.
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

    /// Removes the timeout, and overrides `STRAGGLER_TIMEOUT`.
    ///
    /// A future that hangs then hangs the check, unless it deadlocks on a paused clock.
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

    /// Allows tasks to panic, for tests about panics.
    ///
    /// By default a panicking task fails the check even if its handle is awaited: straggler cannot
    /// see whether anyone checks the `JoinError`.
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

    /// Allows `count` tasks and `spawn_blocking` closures to remain, in addition to any that
    /// [`allow_at`](Self::allow_at) allows.
    ///
    /// The last call wins; zero allows none, the default.
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

    /// Allows tasks and blocking work to remain that were spawned at `place`.
    ///
    /// | place | covers |
    /// |---|---|
    /// | `src/pool.rs`, `crates/pool/src` | a file or folder of yours, from the workspace root |
    /// | `src/pool.rs:31`, `src/pool.rs:31:9` | a line |
    /// | `bb8` | everything that this dependency spawns |
    /// | `src/auth.rs::tests`, `src/pool.rs::Pool::start` | a module, type or function in that file |
    ///
    /// A place matches whole names only, so `src` does not match `src2/lib.rs`. The names behind `::` are
    /// a part of the path of the function that spawns. With such a rule, straggler keeps the stack of
    /// each spawn, about 50 microseconds each.
    ///
    /// # Builds that see less
    ///
    /// Without `--cfg tokio_unstable`, straggler does not see where untracked work was spawned, see
    /// [`LeakCheck`]. The rule then also covers work of unknown place, unless it matched some of known
    /// place: so a test needs the same rule in every build. Prefer
    /// [`allow_at_most`](Self::allow_at_most), which bounds what it covers. Functions are known only with
    /// debug information; without it, `::tests` covers the whole file. Straggler prints a note when a
    /// rule covered work of unknown place, and when it matched nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::pending;
    ///
    /// let check = straggler::LeakCheck::new().allow_at(file!());
    /// assert!(check.run(async { drop(straggler::spawn(pending::<()>())) }).is_ok());
    /// ```
    pub fn allow_at(mut self, place: impl Into<String>) -> Self {
        self.settings.rules.allow_at(place.into(), None);
        self
    }

    /// Allows at most `count` tasks and `spawn_blocking` closures to remain that were spawned at
    /// `place`, see [`allow_at`](Self::allow_at).
    ///
    /// Work of unknown place uses the room that is left. So if the rules of a test have counts and
    /// pass in a build that sees every place, they pass in every build.
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
    pub fn allow_at_most(mut self, place: impl Into<String>, count: usize) -> Self {
        self.settings.rules.allow_at(place.into(), Some(count));
        self
    }

    /// Also fails if a `std::thread` outlives the future. Linux only.
    ///
    /// This covers threads started by the future, its tasks, its blocking work, or by those
    /// threads. They get as long to end as blocking work does. Threads of the check's own runtime
    /// do not count. On other systems the check does not run, and the report says so.
    ///
    /// # Limits
    ///
    /// Linux does not record which thread started another. An unnamed thread inherits the system
    /// name (`comm`) of its starter, so straggler renames the check's threads while it runs.
    /// [`Thread::name`](std::thread::Thread::name) is unaffected.
    ///
    /// - **Named threads**, as from [`Builder::name`](std::thread::Builder::name), count only if
    ///   nothing else can have started them: with `--test-threads=1` and no thread left by an
    ///   earlier test, or under `cargo nextest`. Otherwise they are not detected.
    /// - **A pool of unnamed threads** that lives as long as the process is charged to the check in
    ///   which it starts. Start it before the check.
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

    /// Runs `future` and returns its output if it left nothing behind.
    ///
    /// With `STRAGGLER=warn` a leak is printed and the output returned. With `STRAGGLER=off` the
    /// future runs unchecked.
    ///
    /// # Errors
    ///
    /// Returns a [`Report`], whose [`verdict`](Report::verdict) says which of these happened:
    ///
    /// - The future exceeded its [`timeout`](Self::timeout) or deadlocked. It is dropped.
    /// - Tasks, blocking work or denied threads outlived it, a task panicked, or a lock is still
    ///   held. Its output is dropped.
    /// - The check cannot run: it is called inside a runtime, building the runtime fails, or an
    ///   environment variable is invalid. The future is dropped unpolled.
    ///
    /// # Panics
    ///
    /// Resumes a panic of the future, after printing its leftovers to standard error.
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
        let body = Body::new(Box::pin(future));
        match run(self.runtime, self.settings, None, Location::caller(), body) {
            Checked::Failed(report) => Err(report),
            Checked::Run {
                outcome, report, ..
            } => match (outcome, report) {
                (Ok(output), None) => Ok(output),
                (Ok(output), Some(report)) if report.only_warns() => {
                    emit(&report, Role::Warns);
                    Ok(output)
                }
                (Ok(_), Some(report)) => Err(report),
                (Err(panic), report) => {
                    if let Some(report) = report {
                        emit_after_panic(&report);
                    }
                    panic.resume()
                }
            },
        }
    }

    /// Starts watching a runtime that someone else owns, with default settings.
    ///
    /// See [`watch_with`](Self::watch_with) for other settings.
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

    /// Starts watching a runtime that someone else owns; [`Watch::verify`] ends the check.
    ///
    /// The watch uses the [`grace`](Self::grace), the rules and
    /// [`allow_panics`](Self::allow_panics) of this check. It ignores the other settings: the owner
    /// built the runtime and decides on timeouts, and threads may remain.
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
    /// Returns a check with these settings, in the default runtime.
    pub(crate) fn with(settings: Settings) -> Self {
        Self {
            runtime: None,
            settings,
        }
    }

    /// Splits the check into the runtime builder, if it was given one, and the settings.
    pub(crate) fn into_parts(self) -> (Option<Builder>, Settings) {
        (self.runtime, self.settings)
    }
}

impl Default for LeakCheck {
    fn default() -> Self {
        Self::new()
    }
}
