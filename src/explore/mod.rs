//! Exploring: an ordinary test is run many times, each time in another order of its steps.
//!
//! [`Explore`] and `#[leak_check(explore = 500)]` do it. What fails is a [`Failure`] with its [`Schedule`]
//! and the [`Seed`] that repeats it; [`checkpoint()`] marks a place where a run may yield.

pub(crate) mod divergence;
pub(crate) mod exploration;
pub(crate) mod failure;
pub(crate) mod outcome;
pub(crate) mod shrink;

use std::panic::{Location, resume_unwind};
use std::time::Duration;

use fastrand::Rng;

use self::exploration::Exploration;
use self::failure::Cause;
use crate::leak::LeakCheck;
use crate::leak::render::emit::emit_as;
use crate::leak::settings::environment::Mode;
use crate::schedule::seed::Kind;
use crate::trace::place::find_workspace;

pub use self::failure::{Explored, Failure};
pub use self::outcome::Outcome;
pub use crate::schedule::checkpoint::checkpoint;
pub use crate::schedule::recorder::{Schedule, Step};
pub use crate::schedule::seed::{ParseSeedError, Seed};

/// How many runs there are, unless something else is said.
const RUNS: usize = 500;

/// How long a run may take, unless something else is said: much longer than one that waits for
/// nothing but itself.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The same of a run that is repeated by its seed, which may stand at a breakpoint. Not for ever: whoever
/// repeats it without a debugger is told at last where it waits.
const TIMEOUT_WHEN_SHOWN: Duration = Duration::from_secs(60 * 60);

/// Runs a test in many orders of its steps, and fails with the first in which it fails.
///
/// A concurrent test usually takes one course: its children and tasks are polled in the order in which
/// they were started, and an operation of tokio that could go on does so. A race that needs another
/// order is found by accident or never. Here each run decides from a seed which child of a `settle_all`,
/// `barrier`, [`settle!`](crate::settle!) or [`barrier!`](crate::barrier!) is polled next, and at which of
/// tokio's operations the body, a child or a task has to yield first. Nothing in the code under test is
/// replaced, and whatever runs concurrently may take each of these orders. Only what the combinators
/// themselves promise, to poll their futures in the order of their wakes, is not kept: a test that rests
/// on it fails here.
///
/// Each run has a current-thread runtime of its own and a paused clock, so that no sleep takes time, and
/// is a [`LeakCheck`]. It fails if the body panics or returns an error, if a task panics or outlives
/// it, if it hangs, or if nothing can go on any more: a deadlock. The first run has the plain order, as
/// without any of this; after that a portfolio of strategies takes turns.
///
/// What is steered:
/// - the children of the combinators and macros of this crate: their order, and where they yield;
/// - the body itself: where it yields, so that the branches of `tokio::join!`, `select!` and of other
///   joins in it go on in other orders;
/// - tasks that are spawned through `straggler` ([`straggler::spawn`](crate::spawn),
///   [`straggler::tokio`](mod@crate::tokio)): where they yield, and whether they are put off. In a build
///   with `--cfg tokio_unstable` all others yield, too;
/// - [`checkpoint()`]s.
///
/// tokio's locks, channels, timers, I/O and joins of tasks are where something can yield; `Notify`
/// and the futures of other crates are not. Threads, and what runs on those for blocking work, are not
/// steered, and neither are other runtimes that a body makes; what takes longer than a second to answer
/// from there may be taken for a deadlock. `tokio::select!` draws its branches by chance, which no seed
/// repeats, unless it is `biased` or the build has `--cfg tokio_unstable`.
///
/// What is not as it seems, or not explored:
/// - an operation that is polled once, as by `now_or_never` or `poll!`, may be refused though a lock is
///   free or a message is there: it has no budget left, as can be in any task. Use `try_lock` or
///   `try_recv`, or put it in `tokio::task::coop::unconstrained`;
/// - a timer fires only when nothing else can run, so a timeout does not cancel something among
///   siblings that run;
/// - the clock is paused already: a body that calls `tokio::time::pause` panics.
///
/// # Examples
///
/// Two registrations look up an address before they insert it. In the plain order the first is through
/// before the second begins:
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
#[must_use = "nothing is explored until it is run"]
pub struct Explore {
    check: LeakCheck,
    runs: usize,
    seed: u64,
    replay: Option<Seed>,
    requires_overlap: bool,
}

impl Explore {
    /// Makes an exploration of 500 runs from the seed 0, each of them a [`LeakCheck`] with the
    /// timeout that `STRAGGLER_TIMEOUT` says, or else of 10 seconds, and of an hour if a run is
    /// [repeated](Self::replay).
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
            runs: RUNS,
            seed: 0,
            replay: None,
            requires_overlap: false,
        }
    }

    /// Sets how many runs there are at the most. By default it is what the environment variable
    /// `STRAGGLER_RUNS` says, or else 500; the variable outranks this setting. With 0 there is one.
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
        self.runs = runs;
        self
    }

    /// Sets the seed from which the seeds of the runs are drawn. By default it is 0, so that a test
    /// does the same each time: with another one it sees other orders.
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

    /// Makes one run, which repeats one of before. The environment variable `STRAGGLER_SEED` does the
    /// same, and outranks this setting.
    ///
    /// The run may stand at a breakpoint for long: unless the check or `STRAGGLER_TIMEOUT` says how long a
    /// run may take it has an hour. The failure of one whose time was up says with which timeout to repeat it.
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

    /// Fails also if in no steered run two children of one combinator, or two tasks, were in flight at
    /// the same time: started, and not at their end.
    ///
    /// A test about a race in which nothing can race passes by accident. Tasks count if they are spawned
    /// through `straggler`. The body does not count, which is always there, and branches of `tokio::join!`
    /// and of other joins are not seen. The run with the plain order is not looked at:
    /// where it is the only one, or a run is repeated, a note says so instead. In the attribute it is
    /// `#[leak_check(explore = 500, require_overlap)]`.
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

    /// Runs `body` again and again, until a run fails or all runs are made.
    ///
    /// `STRAGGLER=off` has one run made, in the plain order and unchecked; with `STRAGGLER=warn` what
    /// the leak check finds is no failure, and is printed the first time. The output of the body, and
    /// panics on threads for blocking work, are printed in each run.
    ///
    /// # Errors
    ///
    /// The first run that failed, made as simple as could be in about 300 further runs or two seconds;
    /// in twice that if tasks are left that need their grace to end. Or why there was no run: an environment variable that cannot be understood; a check with a
    /// runtime of its own; a runtime around this call; a tokio whose budget for cooperation does not
    /// do what this rests on.
    ///
    /// # Panics
    ///
    /// Does not panic: a panic of `body` is a failure.
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

    /// Runs `body` again and again as [`find`](Self::find) does, and fails the test if a run fails.
    ///
    /// # Panics
    ///
    /// If a run fails, if none could be made, or if no [overlap](Self::require_overlap) was seen and one is
    /// required: with the [`Failure`] in words, which is printed too.
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
            Ok(explored) => explored.print_note(),
            Err(failure) => failure.fail(None),
        }
    }

    /// Explores, for the test of this name.
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
            settings,
            test,
            place,
            body,
            runs: self.runs.max(1),
        };
        let environment = exploration.ready().map_err(|reason| {
            let seed = Seed::new(Kind::Plain);
            exploration.failure(0, seed, None, Cause::NotRun(reason))
        })?;
        if let Some(runs) = environment.runs {
            exploration.runs = runs;
        }
        let mut seed = environment.seed.clone().or(self.replay);
        let mut requires_overlap = self.requires_overlap;
        if environment.mode == Mode::Off {
            requires_overlap = false;
            exploration.runs = 1;
            seed = None;
        }
        match seed {
            Some(seed) => exploration.repeat(seed, requires_overlap),
            None => exploration.search(Rng::with_seed(self.seed), requires_overlap),
        }
    }
}

impl LeakCheck {
    /// Explores: makes many runs of a test, each a check like this one. It makes the runtimes of the
    /// runs itself.
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

impl Explored {
    pub(crate) fn print_note(&self) {
        if let Some(note) = &self.note {
            eprintln!("explore: note: {note}");
        }
    }
}

impl Failure {
    /// Fails the test of this thread, which has this name if it has the attribute. Not by `panic!`, whose
    /// own message would name this line.
    pub(crate) fn fail(self, test: Option<&'static str>) -> ! {
        emit_as(&self, &self.summary(test));
        resume_unwind(Box::new(self.to_string()))
    }
}
