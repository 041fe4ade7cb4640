//! The leak check: a test fails if a task it started outlives it.
//!
//! Use the attribute `#[straggler::test]`, or [`LeakCheck`] where an attribute
//! does not fit. A failing check yields a [`Report`], which programs read as [`json`].
//! [`self_test()`] returns what the check can see in this build.

pub(crate) mod check;
mod leak_check;
pub(crate) mod record;
pub(crate) mod render;
pub(crate) mod report;
mod self_test;
pub(crate) mod settings;
mod watch;

pub use self::leak_check::LeakCheck;
pub use self::render::json;
pub use self::report::Report;
pub use self::report::acquisition::Acquisition;
pub use self::report::blocking_work::BlockingWork;
pub use self::report::leaked_task::LeakedTask;
pub use self::report::leaked_thread::LeakedThread;
pub use self::report::lock_state::LockState;
pub use self::report::spawned_by::SpawnedBy;
pub use self::report::task_panic::TaskPanic;
pub use self::report::verdict::Verdict;
pub use self::self_test::{Visibility, self_test};
pub use self::watch::Watch;
pub use crate::trace::blocked::Blocked;
pub use crate::trace::call::Call;
pub use crate::trace::place::Place;
pub use crate::trace::wait::{Wait, WaitPlace};
