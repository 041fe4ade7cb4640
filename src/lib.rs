// The links come first: in rustdoc the pages of the guide are modules, elsewhere files.
#![cfg_attr(
    feature = "macros",
    doc = "[leaks]: guide::leaks",
    doc = "[joins]: guide::joins",
    doc = "[explore]: guide::explore",
    doc = "[cancel]: guide::cancel",
    doc = "[ci]: guide::ci",
    doc = "[cargo]: guide::cargo",
    doc = "[attribute]: guide::attribute",
    doc = "[limits]: guide::limits",
    doc = ""
)]
#![cfg_attr(feature = "macros", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "macros"),
    doc = "Joins that complete every future, and a `Rendezvous` that breaks instead of hanging, on any runtime."
)]
#![doc(test(no_crate_inject, attr(deny(warnings))))]

#[cfg(feature = "tokio")]
mod attribute;
mod boxed;
mod children;
mod contain;
#[cfg(feature = "tokio")]
pub mod explore;
#[cfg(feature = "macros")]
pub mod guide;
mod join;
#[cfg(feature = "tokio")]
pub mod leak;
mod mutex;
mod panic;
#[cfg(feature = "tokio")]
mod schedule;
mod sync;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tokio")]
mod trace;
mod wording;

#[cfg(feature = "tokio")]
pub use self::explore::{Explore, cancellable, checkpoint};
pub use self::join::aggregate_error::AggregateError;
pub use self::join::barrier::barrier;
#[cfg(feature = "tokio")]
pub use self::join::joined::{JoinedError, joined};
pub use self::join::settle_all::settle_all;
pub use self::join::settled::Settled;
pub use self::join::unsettled::{Pending, Unsettled};
#[cfg(feature = "tokio")]
pub use self::leak::LeakCheck;
#[cfg(feature = "tokio")]
pub use self::leak::record::spawn::{
    background, spawn, spawn_abortable, spawn_blocking, spawn_local, spawn_named,
};
pub use self::panic::Panic;
pub use self::sync::broken::Broken;
#[cfg(feature = "tokio")]
pub use self::sync::lock::{Lock, LockGuard};
pub use self::sync::rendezvous::{Participant, Rendezvous};

/// The futures that the functions of this crate return, for code that names their types.
pub mod future {
    pub use crate::join::barrier::Barrier;
    pub use crate::join::deadline::Deadline;
    #[cfg(feature = "tokio")]
    pub use crate::join::joined::Joined;
    pub use crate::join::on_panic::{Catch, OnPanic, Resume};
    pub use crate::join::settle_all::{CatchUnwind, SettleAll};
    #[cfg(feature = "tokio")]
    pub use crate::join::spawned::Spawned;
    pub use crate::join::start_together::Together;
    #[cfg(feature = "tokio")]
    pub use crate::schedule::cancellable::Cancellable;
    #[cfg(feature = "tokio")]
    pub use crate::schedule::checkpoint::Checkpoint;
    pub use crate::sync::rendezvous::{Arrival, Waiting};
}

/// Turns an async function into a test that fails if it leaves a task or blocking work running.
///
/// It accepts the arguments of `#[tokio::test]`: to convert a suite, replace `tokio::test` with
/// `straggler::test`. Each test gets its own runtime. [`LeakCheck`] describes how a test ends and what
/// a report says about each leftover.
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `flavor = ".."` | `current_thread`, `multi_thread`, or `local` for a `LocalRuntime` | `current_thread` |
/// | `worker_threads = 2` | threads of a `multi_thread` runtime | one per processor |
/// | `start_paused = true` | pauses the clock; it advances when nothing else can run | `false` |
/// | `name = ".."`, `unhandled_panic = ".."` | as in `#[tokio::test]` | |
/// | `grace = "250ms"` | real time for leftover tasks and blocking work to finish after the body | `STRAGGLER_GRACE`, else 500 ms |
/// | `timeout = "10s"`, `timeout = "none"` | real time for the body; then the report shows where it waits | `STRAGGLER_TIMEOUT`, else 73 s, or 10 s per run with `explore` |
/// | `panics = "allow"` | lets tasks panic, for tests about panics | a panicking task fails the test |
/// | `allow = 2` | lets up to 2 tasks and `spawn_blocking` closures remain | none |
/// | `allow("bb8" = 1, "src/auth.rs::tests")` | lets 1 that the crate `bb8` spawns remain, and those of a file, module or function, see [`LeakCheck::allow_at`] | none |
/// | `threads = "deny"` | fails if a `std::thread` outlives the test; Linux only, see [`LeakCheck::deny_threads`] | threads may remain |
/// | `explore = 500` | runs the body up to 500 times in different schedules until one fails, on a paused clock with cloned arguments, see [`Explore`] | one run |
/// | `explore = "exhaustive"` | runs the body in every schedule, up to 10,000, until one fails, see [`Explore::exhaustive`] | one run |
/// | `cancel` | runs the body once for each place at which its [`cancellable`] operation can be dropped, see [`Explore::cancel`] | one run |
/// | `explore = 500, cancel` | the same, then draws both a schedule and cancellations, see [`Explore::cancel_in_schedules`] | |
/// | `require_overlap` | with `explore`: also fails if no two children or tasks ever overlap, see [`Explore::require_overlap`] | not required |
/// | `race_timers` | with `explore`: a timer may fire while tasks could still run, see [`Explore::race_timers`] | timers fire last |
/// | `eager_spawns` | with `explore`: a task may begin inside its spawn, see [`Explore::eager_spawns`] | tasks begin after their spawner yields |
/// | `unscheduled = "allow"` | with `explore`: lets tasks run that no schedule decides, see [`Explore::allow_unscheduled`] | such tasks fail the test |
/// | `crate = ".."` | the path of this crate, if you renamed it | `::straggler` |
///
/// The body may return whatever a `#[test]` may. With `explore` it returns `()`, or a `Result`
/// whose error is `Debug`.
///
/// # What fails a test
///
/// The first of these decides the verdict. The report prints the others too.
///
/// 1. The body panics or returns an error.
/// 2. A task panics, even if the test awaits its handle: straggler cannot see whether anyone checks
///    the `JoinError`. For tests about panics use `panics = "allow"`.
/// 3. The body exceeds its timeout, or deadlocks on a paused clock.
/// 4. A task outlives the test.
/// 5. Blocking work outlives the test.
/// 6. A [`Lock`] is still held.
/// 7. A thread outlives the test, with `threads = "deny"`.
///
/// A leak never satisfies `#[should_panic]`. Straggler prints the report and returns normally, so
/// the test runner reports that the test did not panic.
///
/// # Limits
///
/// - **Panics of untracked tasks** are detected by a panic hook, which also calls the previous hook.
///   If the test sets its own hook, straggler misses these panics until the next check begins, and
///   `resume_unwind` bypasses any hook. Spawn such tasks through straggler.
/// - **Without debug information**, as in release mode, panics of untracked tasks go undetected.
///   Build with line tables, or spawn through straggler.
/// - **Deadlocks** are detected only on a paused clock, within two seconds, if the runtime is idle
///   and the body and all tasks wait for each other's locks, channels or tasks. Spawn every task
///   through straggler; otherwise the timeout ends the test. While another test or an unknown thread
///   may end a wait, no deadlock is reported; only Linux can rule that out.
/// - **A body that blocks its thread** cannot be interrupted. After the timeout a watchdog prints
///   the report; see `STRAGGLER_ON_HANG` below.
///
/// # With other attributes
///
/// - `#[should_panic]`, `#[ignore]`, `#[cfg]`, lint attributes and `#[serial]` go above or below.
/// - `#[test]` and `#[tokio::test(..)]` go below, with their arguments, never above.
/// - `rstest` and `test-case` go above `#[straggler::test]`, or below either name. `rstest`
///   recognizes a test attribute by the name `test`, so do not put `#[leak_check]` below it.
/// - `test-log` takes it as an argument: `#[test_log::test(straggler::test)]`.
///
/// # Environment
///
/// | variable | effect |
/// |---|---|
/// | `STRAGGLER=deny` | fails tests, the default |
/// | `STRAGGLER=warn` | prints leaks and task panics and lets the test pass; timeouts still fail |
/// | `STRAGGLER=off` | runs tests unchecked and without timeouts |
/// | `STRAGGLER_GRACE=2s` | the grace of tests that set none |
/// | `STRAGGLER_TIMEOUT=5m`, `=none` | the timeout of tests that set none |
/// | `STRAGGLER_ALLOW=bb8=1,src/pool.rs=2` | lets these remain in every test, in addition to `allow` |
/// | `STRAGGLER_TESTS="pool::* grace=2s"` | settings of single tests, see [continuous integration](guide::ci#settings-of-single-tests) |
/// | `STRAGGLER_ON_HANG=abort`, `=wait` | after printing the report of a body that blocks its thread, aborts the process (default under nextest) or leaves it running (default elsewhere) |
/// | `STRAGGLER_SEED=..` | replays the run of that seed in explored tests |
/// | `STRAGGLER_RUNS=5000` | the number of runs of explored tests |
/// | `STRAGGLER_SHARD=3/8` | explored tests draw this part of their schedules, so that machines can share them |
/// | `STRAGGLER_REPORT=findings.jsonl` | appends findings to that file [as JSON](leak::json); if writing fails, prints a note and fails no test |
/// | `STRAGGLER_REPORT_CLEAN=true` | appends a line for each test without findings too |
/// | `GITHUB_ACTIONS=true` | also prints findings as annotations at the spawn, or at the test if a dependency spawned the task |
/// | `STRAGGLER_ANNOTATIONS=false` | prints no annotations there |
///
/// # Examples
///
/// ```
/// #[straggler::test]
/// async fn task_is_awaited() {
///     let task = tokio::spawn(async { 1 + 1 });
///     assert_eq!(task.await.unwrap(), 2);
/// }
///
/// #[straggler::test(flavor = "multi_thread", worker_threads = 2, allow = 1)]
/// async fn one_task_may_remain() {
///     let task = tokio::spawn(std::future::pending::<()>());
///     assert!(!task.is_finished());
/// }
/// ```
#[cfg(feature = "macros")]
pub use straggler_macros::leak_check as test;
/// Short alias of [`#[straggler::test]`](macro@crate::test), which documents the arguments.
#[cfg(feature = "macros")]
pub use straggler_macros::leak_check;

/// Adds a [`checkpoint`] before each `.await` of a function, an `impl` block or an inline module.
///
/// tokio's own operations are yield points already. Add this attribute to code that awaits other futures:
/// those of `futures::channel`, of a runtime-independent lock, or your own. In a run of [`Explore`] each
/// `.await` may then yield before its future is first polled, and an operation that a run
/// [cancels](Explore::cancel) can be dropped there. Outside such a run the code does what it did before,
/// at next to no cost.
///
/// The attribute finds `.await` in the arguments of macros too, as in `join!(receiver.next().await)`. It does not
/// see an `.await` that a macro or another function contains, and leaves the definition of a `macro_rules!`
/// macro alone. A branch of `select!` that is no more than a future has no `.await`; its handler may.
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `crate = ".."` | the path of this crate, if you renamed it | `::straggler` |
///
/// Straggler has to be a dependency, not only a dev-dependency, of a library that has the attribute. Or write
/// `#[cfg_attr(test, straggler::checkpoints)]`.
///
/// # Limits
///
/// - The compiler has to know the type of the future by then. `let poll = |future| async { future.await };` needs a
///   type for the argument; a closure that is passed to a function rarely does.
/// - A macro that prints its argument, such as `assert!(ready.await)`, prints the call that the attribute adds too.
/// - A future polled by hand, as by `now_or_never`, may be pending at a checkpoint in a run.
///
/// # Cancel safety
///
/// An `.await` with a checkpoint is as cancel safe as without: until the checkpoint is passed, its future is not
/// polled.
///
/// # Examples
///
/// Both withdrawals read the balance before either writes it. The channel is none of tokio's:
///
/// ```
/// use std::cell::Cell;
/// use futures::channel::oneshot;
/// use straggler::{Explore, settle_all};
///
/// #[straggler::checkpoints]
/// async fn withdraw(balance: &Cell<i32>, amount: i32) {
///     let before = balance.get();
///     let (approve, approved) = oneshot::channel();
///     approve.send(amount).unwrap();
///     balance.set(before - approved.await.unwrap());
/// }
///
/// let failure = Explore::new().find(|| async {
///     let balance = Cell::new(100);
///     let _ = settle_all([withdraw(&balance, 30), withdraw(&balance, 50)]).await;
///     assert_eq!(balance.get(), 20);
/// });
/// let failure = failure.unwrap_err();
/// assert!(failure.schedule().steps()[0].action().starts_with("yields at"));
/// ```
#[cfg(feature = "macros")]
pub use straggler_macros::checkpoints;

/// What the macros expand to. Not part of the API.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "tokio")]
    pub use crate::attribute::{
        TestCase, explored_test, explored_test_should_panic, leak_test, leak_test_should_panic,
        returned, suite_test,
    };
    pub use crate::children::{End, Link, Links, Row, Seat, Slot, Slots};
    pub use crate::join::macros::{
        BarrierRow, Errors, Outputs, Results, SettleRow, barrier, settle, slot,
    };
    #[cfg(feature = "macros")]
    pub use crate::schedule::checkpointed::{BeforeAwait, Checkpointed};
    #[cfg(feature = "tokio")]
    pub use ::tokio::runtime::Builder;
    #[cfg(feature = "macros")]
    pub use straggler_macros::tokio_test;
}
