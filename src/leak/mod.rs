//! The leak check: a test fails if a task it started outlives it.
//!
//! [`#[straggler::test]`](macro@crate::test) is the attribute, [`LeakCheck`] the same without it.
//! What a check finds is a [`Report`]; [`json`] describes the form that programs read.
//! [`self_test()`] says what this build can see.

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
pub use crate::trace::place::Place;
pub use crate::trace::symbols::Call;
pub use crate::trace::wait::{Wait, WaitPlace};
