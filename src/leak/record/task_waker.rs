//! The waker that a recorded task passes to its future.
//!
//! It wakes the waker of the runtime, and remembers that it did. So the record knows which polls a probe alone
//! asked for, and whether anything can still wake the task.

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use crate::mutex::lock;

/// Why a task is to be polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WakeUp {
    /// Nothing has woken the task since its last poll.
    None,
    /// Something woke it.
    Real,
    /// Only a poll that a probe asked for woke it.
    ByProbe,
}

const ASLEEP: u8 = 0;
const WOKEN: u8 = 1;
const WOKEN_BY_PROBE: u8 = 2;

thread_local! {
    /// Whether this thread is in a poll that only a probe asked for.
    static IS_PROBING: Cell<bool> = const { Cell::new(false) };
}

/// The waker of one task.
#[derive(Debug)]
pub(crate) struct TaskWaker {
    shared: Arc<Shared>,
    /// A waker of `shared`, so that a poll need not make one.
    waker: Waker,
}

#[derive(Debug)]
struct Shared {
    /// Tokio polls a task with the same waker every time. `None` once the task has ended.
    of_runtime: Mutex<Option<Waker>>,
    state: AtomicU8,
}

/// How many references to [`Shared`] belong to the [`TaskWaker`] itself.
const OWN: usize = 2;

impl TaskWaker {
    pub(crate) fn new(of_runtime: &Waker) -> Self {
        let shared = Arc::new(Shared {
            of_runtime: Mutex::new(Some(of_runtime.clone())),
            state: AtomicU8::new(ASLEEP),
        });
        let waker = Waker::from(Arc::clone(&shared));
        Self { shared, waker }
    }

    /// Returns the context for a poll of the task.
    pub(crate) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    /// Returns what woke the task since the last call.
    pub(crate) fn take_wake_up(&self) -> WakeUp {
        // Acquires what the waking thread did before, like every waker.
        WakeUp::of(self.shared.state.swap(ASLEEP, Ordering::AcqRel))
    }

    /// Returns what woke the task since the last [`take_wake_up`](Self::take_wake_up).
    pub(crate) fn wake_up(&self) -> WakeUp {
        WakeUp::of(self.shared.state.load(Ordering::Acquire))
    }

    /// Makes the runtime poll the task, without waking it.
    pub(crate) fn request_poll(&self) {
        // For a task of a `LocalSet` this wakes the task that runs the set.
        probing(|| self.shared.wake_runtime());
    }

    /// Returns whether anything holds a clone of the waker. Without one, nothing can wake the task.
    pub(crate) fn is_held(&self) -> bool {
        Arc::strong_count(&self.shared) > OWN
    }

    /// Returns whether exactly one clone of the waker is held.
    #[cfg_attr(
        not(straggler_instrumented),
        allow(dead_code, reason = "tokio does not tell what holds it")
    )]
    pub(crate) fn is_held_once(&self) -> bool {
        Arc::strong_count(&self.shared) == OWN + 1
    }

    /// Drops the waker of the runtime, which keeps the memory of the task alive.
    pub(crate) fn end(&self) {
        let waker = lock(&self.shared.of_runtime).take();
        drop(waker);
    }
}

impl WakeUp {
    fn of(state: u8) -> Self {
        match state {
            ASLEEP => Self::None,
            WOKEN_BY_PROBE => Self::ByProbe,
            _ => Self::Real,
        }
    }
}

impl Shared {
    fn wake_runtime(&self) {
        // Not under the lock: waking may drop a task, which ends its record.
        let waker = lock(&self.of_runtime).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if IS_PROBING.try_with(Cell::get).unwrap_or(false) {
            let (before, after) = (ASLEEP, WOKEN_BY_PROBE);
            // Fails if the task is woken already, which outranks this.
            _ = self
                .state
                .compare_exchange(before, after, Ordering::AcqRel, Ordering::Relaxed);
        } else {
            self.state.store(WOKEN, Ordering::Release);
        }
        self.wake_runtime();
    }
}

/// Runs a poll that only a probe asked for: what it wakes is woken [`ByProbe`](WakeUp::ByProbe).
pub(crate) fn probing<R>(poll: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            IS_PROBING.set(self.0);
        }
    }

    let _restore = Restore(IS_PROBING.replace(true));
    poll()
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::{TaskWaker, WakeUp, probing};

    #[test]
    fn wake_up_is_taken_once() {
        let waker = TaskWaker::new(Waker::noop());
        assert_eq!(waker.take_wake_up(), WakeUp::None);
        waker.context().waker().wake_by_ref();
        assert_eq!(waker.wake_up(), WakeUp::Real);
        assert_eq!(waker.take_wake_up(), WakeUp::Real);
        assert_eq!(waker.take_wake_up(), WakeUp::None);
    }

    #[test]
    fn requested_poll_is_no_wake_up() {
        let waker = TaskWaker::new(Waker::noop());
        waker.request_poll();
        assert_eq!(waker.wake_up(), WakeUp::None);
    }

    #[test]
    fn wake_up_outranks_one_of_probe() {
        let waker = TaskWaker::new(Waker::noop());
        let wake = || waker.context().waker().wake_by_ref();
        probing(wake);
        assert_eq!(waker.wake_up(), WakeUp::ByProbe);
        wake();
        assert_eq!(waker.wake_up(), WakeUp::Real);
        probing(wake);
        assert_eq!(waker.take_wake_up(), WakeUp::Real);
    }

    #[test]
    fn waker_is_held_while_cloned() {
        let waker = TaskWaker::new(Waker::noop());
        assert!(!waker.is_held());
        let clone = waker.context().waker().clone();
        assert!(waker.is_held());
        drop(clone);
        assert!(!waker.is_held());
    }
}
