//! What is noted while a test runs: its tasks, its panics, its locks, its threads.
//!
//! Nothing here judges. A check reads the record when the body has ended.

pub(crate) mod claim;
pub(crate) mod hooks;
pub(crate) mod locks;
pub(crate) mod os_threads;
pub(crate) mod panic_hook;
pub(crate) mod panics;
pub(crate) mod runtime_threads;
pub(crate) mod session;
pub(crate) mod spawn;
pub(crate) mod task;
pub(crate) mod thread_count;
pub(crate) mod thread_runtime;
