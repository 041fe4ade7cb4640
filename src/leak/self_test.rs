//! `self_test`: whether the leak check works in this build, and what it sees.

use std::fmt;
use std::future::{pending, poll_fn};
use std::panic::Location;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use backtrace::Backtrace;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::leak::check::body::Body;
use crate::leak::check::run::{Checked, run};
use crate::leak::record::session::Session;
use crate::leak::report::Report;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::settings::Settings;
use crate::leak::settings::environment::{Environment, Mode};
use crate::schedule::points;
use crate::trace::catcher::Catcher;
use crate::trace::symbols::Symbols;
use crate::trace::wait::Wait;

/// What the leak check sees in this build, from [`self_test()`].
///
/// `Display` prints it as text, with the build flags that would show more.
///
/// # Examples
///
/// ```
/// let visibility = straggler::leak::self_test();
/// assert!(!visibility.warns_only());
///
/// // The text names the build flag for anything that this build cannot see.
/// let text = visibility.to_string();
/// assert_eq!(visibility.sees_every_spawn(), !text.contains("build with RUSTFLAGS"));
/// assert_eq!(visibility.sees_lines(), !text.contains("build with debug information"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "the answers are independent")]
pub struct Visibility {
    sees_every_spawn: bool,
    sees_lines: bool,
    sees_every_panic: bool,
    warns_only: bool,
    has_scheduling_points: bool,
}

impl Visibility {
    /// Returns whether reports show where every task was spawned, even by a dependency.
    ///
    /// This requires `--cfg tokio_unstable`. Without it they show the place for tracked tasks only.
    #[must_use]
    pub fn sees_every_spawn(&self) -> bool {
        self.sees_every_spawn
    }

    /// Returns whether reports show the line where a task waits.
    ///
    /// This requires debug information. Without it they show the function.
    #[must_use]
    pub fn sees_lines(&self) -> bool {
        self.sees_lines
    }

    /// Returns whether a panic of any task is detected.
    ///
    /// This requires debug information; line tables are enough. Without it straggler detects only
    /// panics of tracked tasks.
    #[must_use]
    pub fn sees_every_panic(&self) -> bool {
        self.sees_every_panic
    }

    /// Returns whether leaks are printed without failing the test, because of `STRAGGLER=warn`.
    #[must_use]
    pub fn warns_only(&self) -> bool {
        self.warns_only
    }

    /// Returns whether an explored run can also yield before an operation of tokio, not only after it.
    ///
    /// This requires a tokio that `cargo straggler` has instrumented.
    #[must_use]
    pub fn has_scheduling_points(&self) -> bool {
        self.has_scheduling_points
    }
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pick = |condition, yes, no| if condition { yes } else { no };
        write!(
            f,
            "leak_check works: {}
  all tasks        counted
  tracked tasks    spawn place, spawner, and {}
  untracked tasks  {}; {}
  explored runs    {}",
            pick(
                self.warns_only,
                "a leak is printed as a warning",
                "a leak fails its test"
            ),
            pick(
                self.sees_lines,
                "the line where they wait",
                "the function where they wait (for the line build with debug information)"
            ),
            pick(
                self.sees_every_spawn,
                "spawn place and spawner",
                "no spawn place (build with RUSTFLAGS=\"--cfg tokio_unstable\")"
            ),
            pick(
                self.sees_every_panic,
                "panics detected",
                "panics not detected (build with debug information)"
            ),
            pick(
                self.has_scheduling_points,
                "yield before and after operations of tokio",
                "yield after operations of tokio (before them too by `cargo straggler explore`)"
            ),
        )
    }
}

/// Leaks two tasks on purpose, in its own runtime, and returns what the leak check saw of them.
///
/// A suite without leaks looks the same as an unchecked one. This function proves that the check
/// works in this build and, when called in an async test, that this test is checked. It proves
/// nothing about other tests.
///
/// # Panics
///
/// Panics if the check would miss a leak:
///
/// - `STRAGGLER=off` is set, or an environment variable is invalid.
/// - The caller is inside a runtime that no leak check watches: the test has an attribute other
///   than `#[straggler::test]`.
/// - The check misses one of the two leaks, or where the tracked one waits.
///
/// # Examples
///
/// ```
/// let visibility = straggler::leak::self_test();
/// println!("{visibility}");
/// assert!(!visibility.warns_only());
/// ```
#[track_caller]
pub fn self_test() -> Visibility {
    let place = Location::caller();
    let mode = match Environment::read() {
        Ok(environment) => environment.mode,
        Err(reason) => panic!("leak_check: self-test failed: {reason}"),
    };
    assert!(
        mode != Mode::Off,
        "leak_check: self-test failed: STRAGGLER=off disables the check"
    );
    assert!(
        Handle::try_current().is_err() || Session::current().is_some(),
        "leak_check: self-test failed: no leak check watches this runtime; use `#[straggler::test]`, or \
         call `LeakCheck::watch` first"
    );
    // On another thread, since a runtime cannot be built inside the caller's.
    let leaked = thread::scope(|scope| {
        let leaking = scope.spawn(|| leak_two(place));
        leaking.join().ok().flatten()
    });
    let Some((calls, report)) = leaked.filter(|(_, report)| report.count() == 2) else {
        panic!("leak_check: self-test failed: it leaked two tasks and the check did not find both");
    };
    let waits = report.tasks().iter().map(LeakedTask::wait);
    assert!(
        waits.into_iter().any(|wait| matches!(wait, Wait::At(_))),
        "leak_check: self-test failed: the check did not find out where a task waits"
    );
    let mut symbols = Symbols::default();
    Visibility {
        sees_every_spawn: report.unseen() == 0,
        sees_lines: symbols.have_lines_of(&place.into()),
        sees_every_panic: matches!(symbols.catcher(&calls), Catcher::Tokio { .. }),
        warns_only: mode == Mode::Warn,
        has_scheduling_points: points::ARE_PRESENT,
    }
}

/// Leaks a tracked and an untracked task. Also returns a backtrace from inside the untracked
/// one, as a panic of it would have.
fn leak_two(place: &'static Location<'static>) -> Option<(Backtrace, Report)> {
    let leaking = async {
        let (sender, backtrace) = oneshot::channel();
        tokio::spawn(async {
            _ = sender.send(Backtrace::new_unresolved());
            pending::<()>().await;
        });
        // Stores its waker like a real leaf future, so that the check can trace it. `pending` does
        // not.
        let mut stored = None;
        crate::spawn(poll_fn(move |context| {
            drop(stored.replace(context.waker().clone()));
            Poll::<()>::Pending
        }));
        backtrace.await
    };
    let settings = Settings {
        grace: Some(Duration::ZERO),
        has_suite_rules: false,
        ..Settings::default()
    };
    match run(None, settings, None, place, Body::new(Box::pin(leaking))) {
        Checked::Run {
            outcome, report, ..
        } => Some((outcome.ok()?.ok()?, report?)),
        Checked::Failed(_) => None,
    }
}
