//! Exploration: runs an ordinary test many times, each time in a different schedule.
//!
//! Use [`Explore`] or `#[straggler::test(explore = 500)]`. A failing run is a [`Failure`] with its
//! [`Schedule`] and the [`Seed`] that replays it. [`checkpoint()`] adds a yield point.

pub(crate) mod advice;
pub(crate) mod attempt;
pub(crate) mod cancel;
pub(crate) mod cancelled_text;
pub(crate) mod clock_jump;
pub(crate) mod diagram;
pub(crate) mod diagram_svg;
pub(crate) mod diagram_text;
pub(crate) mod divergence;
pub(crate) mod exhaustive;
pub(crate) mod exploration;
pub(crate) mod explored;
pub(crate) mod failure;
pub(crate) mod outcome;
pub(crate) mod replay;
pub(crate) mod rerun;
pub(crate) mod shrink;
pub(crate) mod tally;
pub(crate) mod text;

use std::panic::Location;
use std::time::Duration;

use self::attempt::{Pause, Subject};
use self::exploration::{Exploration, Seeds};
use self::failure::Cause;
use self::tally::Tally;
use crate::leak::LeakCheck;
use crate::schedule::eager::Spawns;
use crate::schedule::seed::Kind;
use crate::trace::place::find_workspace;

pub use self::explored::Explored;
pub use self::failure::Failure;
pub use self::outcome::Outcome;
pub use crate::schedule::cancellable::cancellable;
pub use crate::schedule::checkpoint::checkpoint;
pub use crate::schedule::seed::{ParseSeedError, Seed};
pub use crate::schedule::step::{Schedule, Step};

/// The default number of runs.
const RUNS: usize = 500;

/// Why a test is not run that both cancels and enumerates.
const CANCELS_AND_ENUMERATES: &str = "`cancel` runs the body in the plain order, and `exhaustive` in every other order: \
                                      remove one of them";

/// Why a test is not run that both lets timers fire early and enumerates.
const RACES_AND_ENUMERATES: &str = "`exhaustive` lets timers fire only when nothing else can run, and `race_timers` earlier: \
                                    remove one of them";

/// Why a test is not run that both lets tasks begin inside their spawns and enumerates.
const SPAWNS_EAGERLY_AND_ENUMERATES: &str = "`exhaustive` lets a task begin only after its spawner has yielded, and \
                                             `eager_spawns` earlier: remove one of them";

/// The default timeout of a run. A run on a paused clock takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The default timeout of a replay, which may stop at a breakpoint. It is finite, so that a replay
/// without a debugger still ends and reports where it waits.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Runs a test in many schedules and fails with the first run that fails.
///
/// A concurrent test usually takes the same schedule every time. tokio polls children and tasks in the
/// order in which they started, and an operation that can complete does so at once. A race that needs
/// another order shows up rarely or never.
///
/// `Explore` derives a schedule from a seed in each run. The schedule decides
/// - the child that a `settle_all`, `barrier`, [`settle!`](crate::settle!) or
///   [`barrier!`](crate::barrier!) polls next, and
/// - the tokio operations at which the body, a child or a task yields first.
///
/// The code under test is unchanged, and concurrent code must expect every one of these schedules. There
/// is one exception: in a run, the combinators do not poll their futures in wake-up order. A test that
/// relies on that order fails.
///
/// Each run is a [`LeakCheck`] on its own current-thread runtime with a paused clock, so sleeps take no
/// time. A run fails on a panic or an error of the body, a task that panics or outlives the test, a hang,
/// and a deadlock. The first run uses the *plain order*, tokio's own. The next eight yield nearly
/// everywhere, which finds most bugs of small tests. Each later one draws its strategy from a portfolio.
///
/// # What Straggler schedules
///
/// - Children of this crate's combinators and macros: their order, and where they yield.
/// - The body: where it yields. This reorders branches of `tokio::join!`, `select!` and other joins in it.
/// - Tasks spawned through `straggler` ([`straggler::spawn`](crate::spawn),
///   [`straggler::tokio`](mod@crate::tokio)): where they yield, and whether they run later. With
///   `--cfg tokio_unstable` all other tasks yield too.
/// - [`checkpoint()`]s.
///
/// Yield points are tokio's locks, channels, timers, I/O and task joins.
///
/// # Limits
///
/// - `Notify` and futures of other crates are not yield points. Add a [`checkpoint()`] next to them, or
///   `#[straggler::checkpoints]` to the code that awaits them.
/// - Threads, `spawn_blocking` closures and runtimes that the body creates are not scheduled. If one of
///   them takes over a second to answer, the run may be reported as a deadlock. Replace it with a task
///   or a fake in an explored test.
/// - `tokio::select!` picks branches at random, so a seed may not replay it. Add `biased;`, or build with
///   scheduling points or with `--cfg tokio_unstable`.
/// - An operation polled only once, as by `poll!`, may be pending even if a lock is free or a message is there,
///   because the task's cooperative budget is spent. Use `try_lock` or `try_recv`, or wrap it in
///   `tokio::task::coop::unconstrained`. If it has a waker of its own, as by `now_or_never`, most such runs are
///   [discarded](Explored::discarded).
/// - A timer fires only when nothing else can run, so a timeout never cancels a future while its
///   siblings can run, unless you add [`race_timers`](Self::race_timers). Or test a cancellation with
///   [`cancel_in_schedules`](Self::cancel_in_schedules).
/// - The clock is paused from the start. If the body calls `tokio::time::pause`, it starts again with a
///   running clock, so that the call is accepted: pause it before anything else.
///
/// # Examples
///
/// Two registrations look up an address before they insert it. In the plain order the first one finishes
/// before the second one starts:
///
/// ```
/// use straggler::{Explore, settle_all};
/// use tokio::sync::RwLock;
///
/// async fn register(users: &RwLock<Vec<String>>, email: &str) {
///     let is_free = !users.read().await.iter().any(|user| user == email);
///     if is_free {
///         users.write().await.push(email.to_owned());
///     }
/// }
///
/// let failure = Explore::new().find(|| async {
///     let users = RwLock::default();
///     let _ = settle_all([register(&users, "eve@example.com"), register(&users, "eve@example.com")]).await;
///     assert_eq!(users.into_inner().len(), 1, "one address, one account");
/// });
/// let failure = failure.unwrap_err();
/// assert!(failure.message().unwrap().contains("one address, one account"));
/// assert!(failure.run() > 1, "the plain order shows nothing");
/// println!("{failure}");
/// ```
#[derive(Debug)]
#[must_use = "an exploration does nothing until `run` or `find` is called"]
pub struct Explore {
    check: LeakCheck,
    limit: Limit,
    seed: u64,
    replay: Option<Seed>,
    requires_overlap: bool,
    allows_unscheduled: bool,
    races_timers: bool,
    spawns: Spawns,
    /// `None` if runs do not cancel.
    cancels: Option<Cancels>,
}

/// In which runs operations are cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancels {
    InPlainOrder,
    /// In the plain order, and then in drawn schedules.
    InSchedules,
}

/// How many runs to make.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// This many, a sample of the schedules.
    Runs(usize),
    /// One for each schedule, but at most this many.
    Schedules(usize),
}

impl Limit {
    fn runs(self) -> usize {
        match self {
            Self::Runs(runs) | Self::Schedules(runs) => runs,
        }
    }

    fn is_exhaustive(self) -> bool {
        matches!(self, Self::Schedules(_))
    }
}

impl Explore {
    /// Creates an exploration of 500 runs from seed 0.
    ///
    /// The timeout of each run is `STRAGGLER_TIMEOUT`, or 10 seconds by default. A
    /// [replay](Self::replay) gets one hour.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::Explore;
    ///
    /// let explored = Explore::new().find(|| async {}).unwrap();
    /// assert_eq!(explored.runs(), 500);
    /// ```
    pub fn new() -> Self {
        LeakCheck::new().explore()
    }

    pub(crate) fn with(check: LeakCheck) -> Self {
        Self {
            check,
            limit: Limit::Runs(RUNS),
            seed: 0,
            replay: None,
            requires_overlap: false,
            allows_unscheduled: false,
            races_timers: false,
            spawns: Spawns::Lazy,
            cancels: None,
        }
    }

    /// Sets the maximum number of runs. The default is 500, and 0 counts as 1.
    ///
    /// The environment variable `STRAGGLER_RUNS` overrides this setting.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::Explore;
    ///
    /// let explored = Explore::new().runs(3).find(|| async {}).unwrap();
    /// assert_eq!(explored.runs(), 3);
    /// ```
    pub fn runs(mut self, runs: usize) -> Self {
        self.limit = match self.limit {
            Limit::Runs(_) => Limit::Runs(runs),
            Limit::Schedules(_) => Limit::Schedules(runs),
        };
        self
    }

    /// Sets the seed that all runs derive their seeds from. The default is 0.
    ///
    /// A test with the same seed explores the same schedules every time. Another seed explores others.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::Explore;
    ///
    /// assert!(Explore::new().seed(2026).runs(3).find(|| async {}).is_ok());
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Replays a single run by its seed instead of exploring.
    ///
    /// The environment variable `STRAGGLER_SEED` does the same and overrides this setting.
    ///
    /// A replay may stop at a breakpoint, so it gets one hour unless the check or `STRAGGLER_TIMEOUT`
    /// sets a timeout. The failure of a run that timed out prints the timeout to replay it with.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::{Explore, settle_all};
    ///
    /// async fn test() {
    ///     let count = tokio::sync::Mutex::new(0);
    ///     let add = || async {
    ///         let before = *count.lock().await;
    ///         *count.lock().await = before + 1;
    ///     };
    ///     let _ = settle_all([add(), add()]).await;
    ///     assert_eq!(count.into_inner(), 2);
    /// }
    ///
    /// let found = Explore::new().find(test).unwrap_err();
    /// let again = Explore::new().replay(found.seed().clone()).find(test).unwrap_err();
    /// assert_eq!(again.schedule(), found.schedule());
    /// ```
    pub fn replay(mut self, seed: Seed) -> Self {
        self.replay = Some(seed);
        self
    }

    /// Fails the exploration if nothing ever overlaps: no two children of one combinator, and no two
    /// tasks, are started and unfinished at the same time.
    ///
    /// Without this, a test about a race passes even if nothing in it can race. In the attribute, write
    /// `#[straggler::test(explore = 500, require_overlap)]`.
    ///
    /// - Tasks count if they are spawned through `straggler`.
    /// - The body does not count, because it overlaps with everything.
    /// - Branches of `tokio::join!` and other joins do not count.
    /// - The run in the plain order does not count. If it is the only run, or in a replay, a
    ///   [note](Explored::note) says so instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::{Explore, settle_all};
    ///
    /// let failure = Explore::new().require_overlap().find(|| async {
    ///     for number in [1, 2] {
    ///         // One after the other.
    ///         let _ = settle_all([async { number }]).await;
    ///     }
    /// });
    /// assert!(failure.unwrap_err().to_string().contains("in flight at once"));
    /// ```
    pub fn require_overlap(mut self) -> Self {
        self.requires_overlap = true;
        self
    }

    /// Allows tasks that no schedule decides.
    ///
    /// By default an exploration in which every run passes fails nevertheless if it saw such a task: tokio
    /// ran the task in its own order, so that a race with it was not explored. Straggler schedules tasks that
    /// are spawned through it; with `--cfg tokio_unstable`, and in builds of `cargo straggler`, also all
    /// others. In the attribute, write `#[straggler::test(explore = 500, unscheduled = "allow")]`.
    ///
    /// A replay, and an exploration with a single run, do not look for such tasks. Tasks of a `LocalSet`
    /// that are spawned past straggler are not seen.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::Explore;
    ///
    /// let untracked = async || tokio::spawn(async {}).await.unwrap();
    /// assert!(Explore::new().runs(5).allow_unscheduled().find(untracked).is_ok());
    ///
    /// let tracked = async || straggler::spawn(async {}).await.unwrap();
    /// assert!(Explore::new().runs(5).find(tracked).is_ok());
    /// ```
    pub fn allow_unscheduled(mut self) -> Self {
        self.allows_unscheduled = true;
        self
    }

    /// Lets timers fire while tasks could still run, so that timeouts cancel half-way.
    ///
    /// By default a timer fires only once nothing else can run: a timeout never interrupts work that could go on.
    /// With this setting a run may hold back the body and all tasks that it schedules until the next timer has
    /// fired, as on a machine under load. A pending timer never fires before one with an earlier deadline. A run does
    /// so up to twice. In the attribute, write `#[straggler::test(explore = 500, race_timers)]`.
    ///
    /// tokio does not say whether a timer is pending. So if none fires within a second, a minute or an hour of the
    /// paused clock, as drawn, the run continues after that time: code that reads the clock sees it.
    ///
    /// It is off by default, since many tests rely on a timeout that is never met. It does nothing in a run whose body
    /// pauses the clock itself, and tasks that are [not scheduled](Self::allow_unscheduled) are not held back.
    ///
    /// # Examples
    ///
    /// A job that takes no time, but yields, is cut off by a timeout of one minute:
    ///
    /// ```
    /// use std::time::Duration;
    /// use straggler::Explore;
    /// use tokio::task::yield_now;
    /// use tokio::time::timeout;
    ///
    /// let job = || async {
    ///     let steps = async {
    ///         yield_now().await;
    ///         yield_now().await;
    ///     };
    ///     timeout(Duration::from_secs(60), steps).await.expect("done in time");
    /// };
    /// assert!(Explore::new().find(job).is_ok());
    /// let failure = Explore::new().race_timers().find(job).unwrap_err();
    /// assert!(failure.to_string().contains("a timer that fires 1m early"));
    /// ```
    pub fn race_timers(mut self) -> Self {
        self.races_timers = true;
        self
    }

    /// Lets a spawned task begin before its spawner continues.
    ///
    /// On one thread a spawned task runs only once its spawner has yielded. In a runtime with several threads another
    /// thread may run it at once, up to its first wait or to its end: before the spawner stores the handle, or inserts
    /// what the task removes. With this setting a run may poll the task once inside its spawn, for
    /// [`spawn`](crate::spawn), [`spawn_named`](crate::spawn_named),
    /// [`SettleAll::spawned`](crate::future::SettleAll::spawned), and `JoinSet::spawn` of
    /// [`straggler::tokio`](mod@crate::tokio). In the attribute, write
    /// `#[straggler::test(explore = 500, eager_spawns)]`.
    ///
    /// It is off by default, because the task begins on the thread of its spawner. If the spawner holds a
    /// `std::sync::Mutex` that the task locks, the run blocks forever; the report of the hang shows both places. Nobody
    /// can ask which locks a thread holds, so use it for code that holds none when it spawns. The locks of tokio may be
    /// held. Tasks of [`spawn_local`](crate::spawn_local) are left out, since they run on one thread everywhere, and so
    /// are those of [`spawn_abortable`](crate::spawn_abortable).
    ///
    /// Inside its spawn the task uses the budget of its spawner, and sees the thread-locals, `task_local!`s, tracing
    /// spans and `tokio::task::id()` of its spawner. A run in which a task ends there and is then aborted is
    /// [discarded](Explored::discarded): tokio would have kept its output.
    ///
    /// # Examples
    ///
    /// The task removes what its spawner inserts only afterwards:
    ///
    /// ```
    /// use std::collections::HashSet;
    /// use std::sync::{Arc, Mutex};
    /// use straggler::Explore;
    ///
    /// let job = || async {
    ///     let running = Arc::new(Mutex::new(HashSet::new()));
    ///     let task = straggler::spawn({
    ///         let running = Arc::clone(&running);
    ///         async move { running.lock().unwrap().remove("job") }
    ///     });
    ///     running.lock().unwrap().insert("job");
    ///     task.await.unwrap();
    ///     assert!(running.lock().unwrap().is_empty(), "the job still runs");
    /// };
    /// assert!(Explore::new().find(job).is_ok());
    /// let failure = Explore::new().eager_spawns().find(job).unwrap_err();
    /// assert!(failure.to_string().contains("task #1 begins inside its spawn"));
    /// ```
    pub fn eager_spawns(mut self) -> Self {
        self.spawns = Spawns::Eager;
        self
    }

    /// Cancels the operation inside [`cancellable`], or aborts a task of
    /// [`spawn_abortable`](crate::spawn_abortable), instead of exploring schedules.
    ///
    /// `try_join_all`, `select!`, `timeout` and a client that hangs up drop a future half-way. The body runs
    /// once to its end, in the plain order, and then once for each place at which its operation can be
    /// suspended: there the operation is dropped, and the body continues with `None`. What has to hold then is
    /// for the body to check. A run also fails if it hangs, as on a permit that was lost, and if it leaves a
    /// task, blocking work or a lock behind.
    ///
    /// If all pass, the remaining [runs](Self::runs) cancel twice: also the operation that a body begins
    /// after the first one was cancelled, as to try again. In the attribute, write
    /// `#[straggler::test(cancel)]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::{Explore, cancellable};
    /// use tokio::sync::Mutex;
    ///
    /// let explored = Explore::new().cancel().find(|| async {
    ///     let (ada, bob) = (Mutex::new(100), Mutex::new(0));
    ///     let transfer = async || {
    ///         let (mut ada, mut bob) = (ada.lock().await, bob.lock().await);
    ///         // Between these two nothing is awaited, so nothing can cancel.
    ///         *ada -= 40;
    ///         *bob += 40;
    ///     };
    ///     let done = cancellable(transfer()).await;
    ///     assert_eq!(*ada.lock().await + *bob.lock().await, 100);
    ///     if done.is_none() {
    ///         transfer().await;
    ///     }
    /// });
    /// assert!(explored.unwrap().runs() > 3);
    /// ```
    pub fn cancel(mut self) -> Self {
        self.cancels = Some(Cancels::InPlainOrder);
        self
    }

    /// Cancels as [`cancel`](Self::cancel) does, and explores schedules too.
    ///
    /// First come the places of the plain order, and pairs of them. At least half of the remaining
    /// [runs](Self::runs) then draw both: a schedule, and in it one or two cancellations of operations inside
    /// [`cancellable`]. This finds a bug that needs a step of a sibling or of another task too. A failing run
    /// is minimized: each cancellation and each forced reordering that it does not need is removed. In the
    /// attribute, write `#[straggler::test(explore = 500, cancel)]`.
    ///
    /// # Examples
    ///
    /// The second registration is first, and is cancelled while the other one waits for it:
    ///
    /// ```
    /// use std::cell::Cell;
    /// use straggler::{Explore, cancellable, settle};
    /// use tokio::sync::{Mutex, Notify};
    ///
    /// let failure = Explore::new().cancel_in_schedules().find(|| async {
    ///     let (is_busy, is_free, accounts) = (Cell::new(false), Notify::new(), Mutex::new(0));
    ///     let register = async || {
    ///         while is_busy.replace(true) {
    ///             is_free.notified().await;
    ///         }
    ///         *accounts.lock().await += 1;
    ///         is_busy.set(false); // not if it is cancelled
    ///         is_free.notify_one();
    ///     };
    ///     settle!(register(), cancellable(register()));
    /// });
    /// let failure = failure.unwrap_err();
    /// let text = failure.to_string();
    /// assert!(text.contains("deadlock"), "{text}");
    /// assert!(text.contains(" cancels its operation"), "{text}");
    /// ```
    pub fn cancel_in_schedules(mut self) -> Self {
        self.cancels = Some(Cancels::InSchedules);
        self
    }

    /// Runs the body in every schedule instead of a sample, but in at most `limit` schedules.
    ///
    /// For small bodies: two children of three operations each have hundreds of schedules. Straggler enumerates
    /// them depth first. If all pass, [`Explored`] says `all 312 schedules pass`, else
    /// `10000 of more than 10000 schedules pass`. A failing run is minimized and replayed like any other. In
    /// the attribute, write `#[straggler::test(explore = "exhaustive")]`, with a limit of 10,000.
    ///
    /// A limit of 0 counts as 1. A run that takes the same schedule as another one, or is
    /// [discarded](Explored::discarded), counts towards the limit, but not as a schedule. [`runs`](Self::runs) and
    /// `STRAGGLER_RUNS` set it too. A run in the plain order comes first. [`seed`](Self::seed) and `STRAGGLER_SHARD` change nothing. It cannot be combined with
    /// [`cancel`](Self::cancel), [`cancel_in_schedules`](Self::cancel_in_schedules) or
    /// [`race_timers`](Self::race_timers).
    ///
    /// # Which schedules these are
    ///
    /// A schedule is a sequence of polls, and for each of them where it yields:
    /// - After each poll any child or task that can run may be next, also the same one again. Of
    ///   those passed over 16 times in a row, one comes next, so that a body that spins still ends. If this rules out
    ///   a schedule, the result says so.
    /// - Each poll runs to its end, or is made to yield at one operation of tokio. The first operation in the next
    ///   poll of that child or task does not yield: it is the one that has yielded.
    /// - With plain tokio, whatever follows in the same poll yields too. With scheduling points, an operation may
    ///   yield before it begins, or, as one without budget, in it.
    /// - A poll that ends with a `yield_now` of its own is not made to yield at its last operation.
    /// - Each [`checkpoint()`] yields, or does not.
    ///
    /// Two schedules count as two even if they only swap steps that share nothing: Straggler does not know
    /// which memory a step uses. Where it cannot tell whether an operation yielded, both count.
    ///
    /// What no schedule decides has one order only: branches of `tokio::join!` (except where they yield), those of
    /// `select!` too without scheduling points, futures in `FuturesUnordered`, timers (they fire only when nothing can
    /// run), threads, I/O, the drop of an aborted task, and whatever runs after the body has ended. The body is refused if one of its tasks is [not scheduled](Self::allow_unscheduled), as those of a `LocalSet`. If such
    /// tasks are allowed, or it uses blocking threads, or a task outlives it, the result is no longer
    /// [exhaustive](Explored::is_exhaustive).
    ///
    /// # Errors
    ///
    /// [`find`](Self::find) also returns an error
    /// - if a run repeats the decisions of an earlier one, but takes another course: the body depends on more than its
    ///   schedule;
    /// - if the exploration also cancels, [races timers](Self::race_timers) or [spawns eagerly](Self::eager_spawns).
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::{Explore, settle_all};
    /// use tokio::sync::Mutex;
    ///
    /// let explored = Explore::new().exhaustive(10_000).find(|| async {
    ///     let count = Mutex::new(0);
    ///     let add = || async { *count.lock().await += 1 };
    ///     let _ = settle_all([add(), add()]).await;
    ///     assert_eq!(count.into_inner(), 2);
    /// });
    /// let explored = explored.unwrap();
    /// assert!(explored.is_exhaustive(), "{explored}");
    /// assert!(explored.to_string().starts_with("all "), "{explored}");
    /// ```
    pub fn exhaustive(mut self, limit: usize) -> Self {
        self.limit = Limit::Schedules(limit);
        self
    }

    /// Runs `body` repeatedly until a run fails or the number of runs is reached.
    ///
    /// With `STRAGGLER=off` there is a single run, in the plain order and without checks. With
    /// `STRAGGLER=warn` findings of the leak check are not failures, and only the first report is printed.
    /// Every run prints the body's own output, and panics on `spawn_blocking` threads.
    ///
    /// # Errors
    ///
    /// Returns the first failing run, minimized. Minimizing takes up to 1,000 more runs or ten seconds, and
    /// twice that if the failure depends on the grace of leftover tasks.
    ///
    /// Also returns an error if no run is possible:
    /// - an environment variable is invalid;
    /// - the check has its own runtime builder;
    /// - the call is inside a tokio runtime;
    /// - this version of tokio has another cooperative budget than exploration needs;
    /// - the seed to replay cancels at a place, as `cancel:3`, but the exploration does not [cancel](Self::cancel).
    ///
    /// # Panics
    ///
    /// Never panics: a panic of `body` is a failure.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::Explore;
    ///
    /// let failure = Explore::new().find(|| async { Err::<(), _>("disk full") }).unwrap_err();
    /// assert_eq!((failure.run(), failure.message()), (1, Some("\"disk full\"")));
    /// ```
    #[track_caller]
    pub fn find<F, R>(self, body: F) -> Result<Explored, Failure>
    where
        F: FnMut() -> R,
        R: Future<Output: Outcome>,
    {
        self.explore(None, Location::caller(), body)
    }

    /// Runs `body` repeatedly as [`find`](Self::find) does, and fails the test if a run fails.
    ///
    /// # Panics
    ///
    /// Panics with the text of the [`Failure`], and prints it, if a run fails, if no run is possible, or if
    /// a required [overlap](Self::require_overlap) is missing, or tasks are
    /// [not scheduled](Self::allow_unscheduled).
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::{Explore, settle_all};
    /// use tokio::sync::Mutex;
    ///
    /// Explore::new().runs(100).run(|| async {
    ///     let count = Mutex::new(0);
    ///     let add = || async { *count.lock().await += 1 };
    ///     let _ = settle_all([add(), add()]).await;
    ///     assert_eq!(count.into_inner(), 2);
    /// });
    /// ```
    #[track_caller]
    pub fn run<F, R>(self, body: F)
    where
        F: FnMut() -> R,
        R: Future<Output: Outcome>,
    {
        match self.explore(None, Location::caller(), body) {
            Ok(explored) => explored.print(),
            Err(failure) => failure.fail(None),
        }
    }

    /// Explores `body` for the test with this name.
    pub(crate) fn explore<F, R>(
        self,
        test: Option<&'static str>,
        place: &'static Location<'static>,
        body: F,
    ) -> Result<Explored, Failure>
    where
        F: FnMut() -> R,
        R: Future<Output: Outcome>,
    {
        find_workspace(place);
        let (runtime, settings) = self.check.into_parts();
        let mut exploration = Exploration {
            has_runtime: runtime.is_some(),
            runs: self.limit.runs().max(1),
            allows_unscheduled: self.allows_unscheduled,
            is_exhaustive: self.limit.is_exhaustive(),
            subject: Subject {
                settings,
                pause: Pause::AtStart,
                cancels: self.cancels.is_some(),
                races_timers: self.races_timers,
                spawns: self.spawns,
                polls_by_hand: false,
                rules: None,
                test,
                place,
                body,
            },
        };
        let ready = if self.cancels.is_some() && exploration.is_exhaustive {
            Err(CANCELS_AND_ENUMERATES.to_owned())
        } else if self.races_timers && exploration.is_exhaustive {
            Err(RACES_AND_ENUMERATES.to_owned())
        } else if self.spawns == Spawns::Eager && exploration.is_exhaustive {
            Err(SPAWNS_EAGERLY_AND_ENUMERATES.to_owned())
        } else {
            exploration.ready()
        };
        let environment = ready.map_err(|reason| {
            let seed = Seed::new(Kind::Plain);
            exploration.failure(0, seed, None, Cause::NotRun(reason))
        })?;
        if let Some(runs) = environment.runs {
            exploration.runs = runs;
        }
        let mut seed = environment.seed.clone().or(self.replay);
        let mut requires_overlap = self.requires_overlap;
        if !environment.checks(test) {
            requires_overlap = false;
            exploration.subject.cancels = false;
            exploration.runs = 1;
            exploration.is_exhaustive = false;
            seed = None;
        }
        let cancels = exploration.subject.cancels;
        let explored = match seed {
            Some(Seed {
                kind: Kind::Cancelled(places),
                ..
            }) if cancels => exploration.replay_cancelled(&places),
            // The run would cancel nothing, and pass.
            Some(
                seed @ Seed {
                    kind: Kind::Cancelled(_),
                    ..
                },
            ) => {
                let reason = format!(
                    "its seed `{seed}` cancels an operation, but it has no `cancel`: add it to the attribute, or call \
                     `Explore::cancel`"
                );
                let plain = Seed::new(Kind::Plain);
                Err(exploration.failure(0, plain, None, Cause::NotRun(reason)))
            }
            Some(seed) => {
                exploration.is_exhaustive = false;
                exploration.replay(seed, requires_overlap)
            }
            None if exploration.is_exhaustive => exploration.enumerate(requires_overlap),
            None => {
                let seeds = Seeds::new(self.seed, environment.shard);
                if cancels {
                    let is_drawn = self.cancels == Some(Cancels::InSchedules);
                    let schedules = is_drawn.then_some((seeds, requires_overlap));
                    exploration.cancel_each(schedules)
                } else {
                    exploration.search(seeds, requires_overlap, Tally::default())
                }
            }
        }?;
        if let Some(rules) = &exploration.subject.rules {
            rules.note(test, place);
        }
        Ok(explored)
    }
}

impl LeakCheck {
    /// Turns the check into an exploration: many runs, each with the settings of this check.
    ///
    /// Every run creates its own runtime. If the check has a runtime builder, [`Explore::find`] returns an
    /// error.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::LeakCheck;
    ///
    /// let explored = LeakCheck::new().allow(1).explore().runs(5).find(|| async {
    ///     straggler::spawn(std::future::pending::<()>());
    /// });
    /// assert_eq!(explored.unwrap().runs(), 5);
    /// ```
    pub fn explore(self) -> Explore {
        Explore::with(self)
    }
}

impl Default for Explore {
    fn default() -> Self {
        Self::new()
    }
}
