//! Where a future waits: found out by polling it once with a waker that notes who clones it.
//!
//! Whoever waits for something keeps a clone of the waker of its poll. So the places from which it
//! is cloned are the places where the future waits, one for each thing it waits for. A clone is one
//! of the original waker, so wakes go their normal way, also those of clones that outlive this.
//!
//! # Invariants
//!
//! 1. The data of a tracing waker is a pointer to the original `Waker`, which lives while the
//!    tracing waker does: both live in the frame of [`lend`], which lends a reference to the
//!    tracing waker out and never drops it. What is cloned from it is not a tracing waker.

#![expect(unsafe_code, reason = "only a waker of one's own notes who clones it")]

use std::cell::RefCell;
use std::mem::{self, ManuallyDrop};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use backtrace::Backtrace;

/// What one traced poll showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    pub(crate) captures: Vec<Capture>,
}

/// What was seen when the waker was cloned: a place where the future waits.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    pub(crate) backtrace: Backtrace,
    /// Whether it was not cloned but woken, by the poll itself.
    pub(crate) is_wake: bool,
    /// The children of combinators it was cloned in, the outermost first.
    pub(crate) children: Vec<String>,
}

/// The traced poll that this thread is in.
#[derive(Default)]
struct Current {
    trace: Trace,
    children: Vec<String>,
    /// Whether clones are not noted, because a combinator makes them for its children.
    is_muted: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// How many threads are in a traced poll, so that combinators need not look at `CURRENT` while
/// there is none.
static TRACING: AtomicUsize = AtomicUsize::new(0);

/// Polls with a waker that notes who clones it.
#[inline(never)]
pub(crate) fn poll<R>(waker: &Waker, poll: impl FnOnce(&mut Context<'_>) -> R) -> (R, Trace) {
    struct Restore(Option<Current>);
    impl Drop for Restore {
        fn drop(&mut self) {
            TRACING.fetch_sub(1, Ordering::Relaxed);
            CURRENT.set(self.0.take());
        }
    }

    TRACING.fetch_add(1, Ordering::Relaxed);
    let _restore = Restore(CURRENT.replace(Some(Current::default())));
    let polled = lend(waker, poll);
    let trace = CURRENT.take().map(|current| current.trace);
    (polled, trace.unwrap_or_default())
}

/// Whether this thread is in a traced poll.
#[inline]
pub(crate) fn is_on() -> bool {
    TRACING.load(Ordering::Relaxed) != 0 && with_current(|_| ()).is_some()
}

/// Runs what clones the waker for other reasons than to wait for something.
pub(crate) fn muted<R>(run: impl FnOnce() -> R) -> R {
    let _restore = Muted::set(true);
    run()
}

/// Polls a child of a combinator, whose waker is one of its own.
pub(crate) fn child<R>(
    label: impl FnOnce() -> String,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> R,
) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            with_current(|current| current.children.pop());
        }
    }

    with_current(|current| current.children.push(label()));
    let _leave = Leave;
    let _restore = Muted::set(false);
    lend(context.waker(), poll)
}

/// Restores what was before, also while a poll unwinds.
struct Muted(bool);

impl Muted {
    fn set(is_muted: bool) -> Self {
        let before = with_current(|current| mem::replace(&mut current.is_muted, is_muted));
        Self(before.unwrap_or_default())
    }
}

impl Drop for Muted {
    fn drop(&mut self) {
        with_current(|current| current.is_muted = self.0);
    }
}

fn with_current<R>(run: impl FnOnce(&mut Current) -> R) -> Option<R> {
    // It may be borrowed already, by a waker whose clone panics; or gone, at the thread's end.
    let run = |current: &RefCell<Option<Current>>| {
        let mut current = current.try_borrow_mut().ok()?;
        current.as_mut().map(run)
    };
    CURRENT.try_with(run).ok().flatten()
}

/// Lends a tracing waker in front of `original`.
fn lend<R>(original: &Waker, poll: impl FnOnce(&mut Context<'_>) -> R) -> R {
    // SAFETY: the functions of the table keep the contract of wakers, and the data is what they
    // expect (invariant 1).
    let tracing = unsafe { Waker::new((&raw const *original).cast(), &TRACING_WAKER) };
    let tracing = ManuallyDrop::new(tracing);
    poll(&mut Context::from_waker(&tracing))
}

static TRACING_WAKER: RawWakerVTable = RawWakerVTable::new(clone, wake_by_ref, wake_by_ref, |_| {});

/// # Safety
///
/// As of the function below: `original` is the data of a tracing waker that lives.
unsafe fn clone(original: *const ()) -> RawWaker {
    // SAFETY: the original lives while the tracing waker does (invariant 1).
    let original = unsafe { &*original.cast::<Waker>() };
    capture(false);
    let clone = ManuallyDrop::new(original.clone());
    RawWaker::new(clone.data(), clone.vtable())
}

unsafe fn wake_by_ref(original: *const ()) {
    // SAFETY: the original lives while the tracing waker does (invariant 1).
    let original = unsafe { &*original.cast::<Waker>() };
    capture(true);
    original.wake_by_ref();
}

// Not inlined, since its frame is what marks the end of the others.
#[inline(never)]
fn capture(is_wake: bool) {
    with_current(|current| {
        if !current.is_muted {
            current.trace.captures.push(Capture {
                backtrace: Backtrace::new_unresolved(),
                is_wake,
                children: current.children.clone(),
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::{Trace, child, is_on, muted, poll};

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn wakes_of(trace: &Trace) -> Vec<bool> {
        trace
            .captures
            .iter()
            .map(|capture| capture.is_wake)
            .collect()
    }

    #[test]
    fn a_clone_is_noted_and_wakes_the_original_also_later() {
        let count = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&count));
        let (kept, trace) = poll(&waker, |context| context.waker().clone());
        assert_eq!(wakes_of(&trace), [false]);
        assert!(kept.will_wake(&waker));
        drop(waker);
        kept.wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(Arc::strong_count(&count), 1, "no clone is left");
    }

    #[test]
    fn one_that_wakes_itself_is_told_from_one_that_waits() {
        let count = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&count));
        let ((), trace) = poll(&waker, |context| context.waker().wake_by_ref());
        assert_eq!(wakes_of(&trace), [true]);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn the_clones_of_a_child_carry_its_label() {
        let waker = Waker::noop();
        let ((), trace) = poll(waker, |outer| {
            muted(|| {
                drop(outer.waker().clone());
                let mut inner = Context::from_waker(waker);
                let label = || "#3".to_owned();
                child(label, &mut inner, |context| drop(context.waker().clone()));
                drop(outer.waker().clone());
            });
        });
        let children: Vec<_> = trace
            .captures
            .iter()
            .map(|capture| &capture.children)
            .collect();
        assert_eq!(children, [&["#3".to_owned()]]);
    }

    #[test]
    fn a_poll_that_panics_leaves_no_trace_behind() {
        let waker = Waker::noop();
        let ((), outer) = poll(waker, |context| {
            let inner = || poll(waker, |_| panic!("in the inner poll"));
            assert!(std::panic::catch_unwind(inner).is_err());
            drop(context.waker().clone());
        });
        assert_eq!(outer.captures.len(), 1);
        assert!(!is_on());
    }
}
