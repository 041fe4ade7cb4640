//! What another thread is doing, without its noticing.

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod activity;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod stack;

use std::ffi::c_void;

/// A thread id of the kernel, 0 if it is unknown.
pub(crate) type Id = u32;

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "other systems do not tell")
)]
pub(crate) enum Activity {
    /// The thread executes code outside the kernel, or waits for a processor.
    Runs,
    /// The thread waits for another one: for a lock, a channel or its end.
    Waits,
    Sleeps,
    /// The thread waits for a file, a pipe, a socket or a process.
    DoesIo,
}

/// What a look at a thread shows.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// `None` if it is unknown.
    pub(crate) activity: Option<Activity>,
    /// The addresses of its stack, the innermost first. Empty if the thread could not be asked.
    pub(crate) stack: Vec<*mut c_void>,
}

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub(crate) use self::linux::{current, look};

/// The systems whose system calls are known to resume after a signal.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod linux {
    use super::{Id, Look, activity, stack};

    /// Returns the id of this thread.
    pub(crate) fn current() -> Id {
        stack::own_id()
    }

    /// Looks at a thread of this process. The thread may have ended, or do something else by now.
    pub(crate) fn look(thread: Id) -> Look {
        if thread == current() {
            return Look::default();
        }
        let (activity, is_interruptible) = activity::of(thread);
        let stack = is_interruptible.then(|| stack::ask(thread));
        Look {
            activity,
            stack: stack.flatten().unwrap_or_default(),
        }
    }
}

/// Returns the id of this thread.
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
pub(crate) fn current() -> Id {
    0
}

/// Looks at a thread of this process. Other systems do not tell.
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
pub(crate) fn look(_: Id) -> Look {
    Look::default()
}
