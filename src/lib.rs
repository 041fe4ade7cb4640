// The links come first: in rustdoc the pages of the guide are modules, elsewhere files.
#![cfg_attr(
    feature = "macros",
    doc = "[leaks]: guide::leaks",
    doc = "[joins]: guide::joins",
    doc = "[explore]: guide::explore",
    doc = "[ci]: guide::ci",
    doc = "[attribute]: guide::attribute",
    doc = "[limits]: guide::limits",
    doc = ""
)]
#![cfg_attr(feature = "macros", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "macros"),
    doc = "Makes concurrent tests tell the truth. This is the part that needs no runtime."
)]
#![doc(test(no_crate_inject, attr(deny(warnings))))]

#[cfg(feature = "tokio")]
mod attribute;
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
pub use self::explore::{Explore, checkpoint};
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
pub use self::leak::record::spawn::{background, spawn, spawn_blocking, spawn_local, spawn_named};
pub use self::panic::Panic;
#[cfg(feature = "tokio")]
pub use self::sync::lock::{Lock, LockGuard};
pub use self::sync::rendezvous::{Broken, Participant, Rendezvous};

/// The futures that the functions of this crate return, for those who have to name them.
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
    pub use crate::schedule::checkpoint::Checkpoint;
    pub use crate::sync::rendezvous::{Arrival, Waiting};
}

/// Makes an async test of an async function, and fails it if a task or blocking work that it caused
/// outlives it.
///
/// It takes the place of `#[tokio::test]`, whose arguments it takes too, and is exported a second
/// time as [`straggler::test`](macro@crate::test), so that in an existing suite the text
/// `tokio::test` can be replaced by `straggler::test` everywhere. What it does when the test has
/// ended, and what is seen of a task that was left behind, is described at [`LeakCheck`].
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `flavor = ".."` | `current_thread`, `multi_thread`, or `local`, for a `LocalRuntime` | `current_thread` |
/// | `worker_threads = 2` | threads of a `multi_thread` runtime | one for each processor |
/// | `start_paused = true` | the clock is paused, and advances when nothing else can run | `false` |
/// | `name = ".."`, `unhandled_panic = ".."` | as for `#[tokio::test]` | |
/// | `grace = "250ms"` | how long tasks and blocking work are given to finish after the body, in real time | `STRAGGLER_GRACE`, or else 500 ms |
/// | `timeout = "10s"`, `timeout = "none"` | how long the body may take, in real time; when it is over the report says where the body waits (one that blocks its thread is not interrupted) | `STRAGGLER_TIMEOUT`, or else 60 s, and 10 s for each run of `explore` |
/// | `panics = "allow"` | tasks may panic: the test is about panics | they may not |
/// | `allow = 2` | so many tasks and closures of blocking work may remain | none |
/// | `allow("src/pool.rs", "axum" = 2)` | tasks and blocking work that were spawned there may remain, or so many of them, see [`LeakCheck::allow_at`] | none |
/// | `threads = "deny"` | a `std::thread` may not outlive the test either; on Linux only, elsewhere the test fails and says so, see [`LeakCheck::deny_threads`] | threads may remain |
/// | `explore = 500` | the body is run so many times, each time in another order of its steps, until a run fails, see [`Explore`]; each has a paused clock and arguments are cloned for it | one run |
/// | `require_overlap` | beside `explore`: the test fails also if no two children or tasks were ever in flight at once, see [`Explore::require_overlap`] | not required |
/// | `crate = ".."` | the path of this crate, for those who rename it | `::straggler` |
///
/// The body may return anything that a test may; with `explore` it returns `()`, or a `Result` whose
/// error is `Debug`. The test fails because of the first of these that
/// applies: its own panic or error, its timeout, a task that outlived it, a task that panicked,
/// blocking work that outlived it, a thread that did if threads are denied, a [`Lock`] that is still
/// held. What ranks lower is printed too.
///
/// A task that panics fails its test also if its handle is awaited: whether somebody looks at the
/// error cannot be seen. Of tasks that were not spawned through straggler the panic is seen by a hook
/// for panics, which calls the one that was there before, and which a check sets that finds it gone. A
/// test that sets its own instead hides their panics until the next check begins, and so does
/// `resume_unwind` with one; and where dependencies are built without debug information, as in release
/// mode by default, they are not seen, since a panic that the task itself catches cannot be told from
/// one that it does not.
///
/// Where the clock is paused it is seen, a second or two after everything stands still, that a test can
/// never end: nothing is left to run, no timer, no blocking work, and the body and all tasks are known
/// to wait for one another, for locks, channels or tasks, for which all have to be spawned through
/// straggler. A thread that the test itself has made, or another runtime, that works for longer than a
/// second before it answers, is not known: spawn it by `spawn_blocking`, or let the clock run.
///
/// A test with `#[should_panic]` must not be satisfied by a leak, and so this attribute does not
/// panic there: if tasks are left behind, or the body hangs, the report is printed, and the runner
/// is told that the test did not panic.
///
/// # With other attributes
///
/// `#[should_panic]`, `#[ignore]`, `#[cfg]`, lint attributes and `#[serial]` of `serial_test` may stand
/// above or below. `#[test]` and `#[tokio::test(..)]` may stand below, with their arguments, but
/// not above. Tests of `rstest` and `test-case` have `#[straggler::test]` below their own attributes
/// (`rstest` recognises only attributes whose name ends in `test`), or either name above;
/// `#[test_log::test(straggler::test)]` takes it as its argument.
///
/// # The environment
///
/// `STRAGGLER=warn` has leaks and panics of tasks printed, and lets tests pass that have them (but not
/// tests whose time is up); `STRAGGLER=off` has no tests checked, nor ended when their time is up;
/// `STRAGGLER=deny` is the default. `STRAGGLER_GRACE=2s` sets the grace of tests that do not set their
/// own, and `STRAGGLER_TIMEOUT=5m` or `STRAGGLER_TIMEOUT=none` their timeout. `STRAGGLER_SEED=..`
/// has explored tests repeat the one run of that seed, and `STRAGGLER_RUNS=5000` sets how many runs they
/// make.
///
/// A body that blocks its thread cannot be ended. When its time is up a thread of straggler's own
/// prints what is known; then `STRAGGLER_ON_HANG=abort` aborts the process, which is the default where
/// each test has one of its own (nextest), and `STRAGGLER_ON_HANG=wait` leaves it.
///
/// `STRAGGLER_REPORT=findings.jsonl` has findings appended to that file [as JSON](leak::json), whatever
/// comes of them; if it cannot be written to, that is noted and nothing more. Where
/// `GITHUB_ACTIONS=true` is set, they are printed as annotations too, each at the place of the spawn,
/// or at the test if that is in a dependency.
///
/// # Examples
///
/// ```
/// // `#[straggler::leak_check]` does the same.
/// #[straggler::test]
/// async fn a_task_is_awaited() {
///     let task = tokio::spawn(async { 1 + 1 });
///     assert_eq!(task.await.unwrap(), 2);
/// }
///
/// #[straggler::test(flavor = "multi_thread", worker_threads = 2, allow = 1)]
/// async fn one_task_may_remain() {
///     tokio::spawn(std::future::pending::<()>());
/// }
/// ```
#[cfg(feature = "macros")]
pub use straggler_macros::leak_check;
/// [`#[leak_check]`](macro@crate::leak_check) by another name, which takes the place of
/// `#[tokio::test]` and by which `rstest` knows it.
#[cfg(feature = "macros")]
pub use straggler_macros::leak_check as test;

/// What the macros expand to. Not part of the API.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "tokio")]
    pub use crate::attribute::{
        TestCase, explored_test, explored_test_should_panic, leak_test, leak_test_should_panic,
    };
    pub use crate::children::{End, Link, Links, Row, Seat, Slot, Slots};
    pub use crate::join::macros::{
        BarrierRow, Errors, Outputs, Results, SettleRow, barrier, settle, slot,
    };
    #[cfg(feature = "tokio")]
    pub use crate::leak::check::body::{Body, TestBody};
    #[cfg(feature = "tokio")]
    pub use ::tokio::runtime::Builder;
}
