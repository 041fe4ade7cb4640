//! What straggler records while a test runs: its tasks, panics, locks and threads.
//!
//! Nothing here decides whether a test fails. The check reads the record after the body.

pub(crate) mod claim;
pub(crate) mod hooks;
pub(crate) mod locks;
pub(crate) mod os_threads;
pub(crate) mod panic_hook;
pub(crate) mod panic_places;
pub(crate) mod panics;
pub(crate) mod probe;
pub(crate) mod registry;
pub(crate) mod runtime_threads;
pub(crate) mod session;
pub(crate) mod spawn;
pub(crate) mod spawn_place;
pub(crate) mod task;
pub(crate) mod task_polls;
pub(crate) mod task_waker;
pub(crate) mod thread_count;
pub(crate) mod thread_runtime;
pub(crate) mod tracked;
