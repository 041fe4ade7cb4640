//! Whether the leak check works in this build, and what it sees.

use std::fmt;
use std::future::{pending, poll_fn};
use std::panic::Location;
use std::pin::pin;
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
use crate::trace::symbols::Symbols;
use crate::trace::wait::Wait;

/// What the leak check sees in this build, from [`self_test()`]. `Display` says it in words.
///
/// # Examples
///
/// ```
/// let visibility = straggler::leak::self_test();
/// assert!(!visibility.warns_only());
///
/// // The text says how to build for what is not seen.
/// let text = visibility.to_string();
/// assert_eq!(visibility.sees_every_spawn(), !text.contains("build with RUSTFLAGS"));
/// assert_eq!(visibility.sees_lines(), !text.contains("build with debug information"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each answers a question of its own"
)]
pub struct Visibility {
    sees_every_spawn: bool,
    sees_lines: bool,
    sees_every_panic: bool,
    warns_only: bool,
}

impl Visibility {
    /// Returns whether it is seen where any task was spawned, also inside of dependencies: in a build
    /// with `--cfg tokio_unstable`.
    ///
    /// If not it is seen of tasks that are spawned through `straggler` alone.
    #[must_use]
    pub fn sees_every_spawn(&self) -> bool {
        self.sees_every_spawn
    }

    /// Returns whether the lines are seen at which tasks wait: in a build with debug information.
    #[must_use]
    pub fn sees_lines(&self) -> bool {
        self.sees_lines
    }

    /// Returns whether it is seen that any task panics: in a build with debug information, of which line tables
    /// are enough.
    ///
    /// If not it is seen of tasks that are spawned through `straggler` alone.
    #[must_use]
    pub fn sees_every_panic(&self) -> bool {
        self.sees_every_panic
    }

    /// Returns whether leaks are printed and do not fail a test, as `STRAGGLER=warn` asks for.
    #[must_use]
    pub fn warns_only(&self) -> bool {
        self.warns_only
    }
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = |is_seen, yes, no| if is_seen { yes } else { no };
        write!(
            f,
            "leak_check is armed: {}
  every task of the test's runtime  counted
  tasks spawned through straggler   seen: where, by whom, {}
  tasks spawned past straggler      {}, {}",
            seen(
                self.warns_only,
                "a leak is printed",
                "a leak fails its test"
            ),
            seen(
                self.sees_lines,
                "and at which line they wait",
                "and in which function they wait (build with debug information for the line)"
            ),
            seen(
                self.sees_every_spawn,
                "seen: where and by whom",
                "not seen (build with RUSTFLAGS=\"--cfg tokio_unstable\")"
            ),
            seen(
                self.sees_every_panic,
                "and whether they panic",
                "nor whether they panic (build with debug information)"
            ),
        )
    }
}

/// Leaks two tasks in a runtime of its own, and says what the leak check sees of them in this
/// build.
///
/// A suite without leaks looks the same as one whose leaks nobody looks for. This shows that the
/// check works in this build and, inside of an async test, that this test is checked. It does not
/// show that others are.
///
/// # Panics
///
/// If a leak would not be found: if `STRAGGLER=off` is set or a variable cannot be understood, if
/// this is called inside of a runtime that no leak check watches (the test has another attribute
/// than `#[leak_check]`), or if the two leaks are not found as they should be.
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
        Err(reason) => panic!("leak_check is not armed: {reason}"),
    };
    assert!(
        mode != Mode::Off,
        "leak_check is not armed: it is switched off by STRAGGLER=off"
    );
    assert!(
        Handle::try_current().is_err() || Session::current().is_some(),
        "leak_check is not armed: no check watches the runtime of this test, which needs \
         `#[leak_check]`, or `LeakCheck::watch` at its beginning"
    );
    // A thread of its own, since the caller may be inside of a runtime.
    let leaked = thread::scope(|scope| {
        let leaking = scope.spawn(|| leak_two(place));
        leaking.join().ok().flatten()
    });
    let Some((calls, report)) = leaked.filter(|(_, report)| report.count() == 2) else {
        panic!(
            "leak_check is not armed: of two tasks that were leaked on purpose it did not find two"
        );
    };
    let waits = report.tasks().iter().map(LeakedTask::wait);
    assert!(
        waits.into_iter().any(|wait| matches!(wait, Wait::At(_))),
        "leak_check is not armed: it does not find out where a task waits"
    );
    let mut symbols = Symbols::default();
    Visibility {
        sees_every_spawn: report.unseen() == 0,
        sees_lines: symbols.have_lines_of(&place.into()),
        sees_every_panic: symbols.end_a_task(&calls),
        warns_only: mode == Mode::Warn,
    }
}

/// Leaks a task that is spawned through straggler, and one that is not. Returns also the calls that a
/// panic of this one would come from.
fn leak_two(place: &'static Location<'static>) -> Option<(Backtrace, Report)> {
    let leaking = async {
        let (tells, told) = oneshot::channel();
        tokio::spawn(async {
            _ = tells.send(Backtrace::new_unresolved());
            pending::<()>().await;
        });
        // Keeps its waker, unlike `pending`.
        let mut kept = None;
        crate::spawn(poll_fn(move |context| {
            drop(kept.replace(context.waker().clone()));
            Poll::<()>::Pending
        }));
        told.await
    };
    let settings = Settings {
        grace: Some(Duration::ZERO),
        ..Settings::default()
    };
    match run(None, settings, None, place, pin!(Body::new(leaking))) {
        Checked::Run { outcome, report } => Some((outcome.ok()?.ok()?, report?)),
        Checked::Failed(_) => None,
    }
}
