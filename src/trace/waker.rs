//! Finds where a future waits: polls it once with a waker that captures a backtrace at each clone.
//!
//! A future that waits keeps a clone of the waker from its poll. So the places that clone it are the
//! places where the future waits. The tracing waker hands out clones of the original waker, so wake-ups
//! work as usual, even after the trace.
//!
//! # Invariants
//!
//! 1. The data of a tracing waker is a pointer to the original `Waker`, and the original outlives the
//!    tracing waker: [`lend`] borrows the original for the whole call, lends out a reference to the
//!    tracing waker and never drops it. A clone of a tracing waker is a clone of the original.

#![expect(
    unsafe_code,
    reason = "a custom waker is the only way to see its clones"
)]

use std::cell::{Cell, RefCell};
use std::mem::{self, ManuallyDrop};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

use backtrace::Backtrace;

/// The captures of one traced poll.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    pub(crate) captures: Vec<Capture>,
    /// After which time the first timer fires that was polled, if this build can tell.
    pub(crate) fires_in: Option<Duration>,
}

/// One clone of the waker: a place where the future waits.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    pub(crate) backtrace: Backtrace,
    /// Whether the poll woke the waker instead of cloning it.
    pub(crate) is_wake: bool,
    /// The labels of the children around the clone, the outermost first.
    pub(crate) children: Vec<String>,
}

/// The traced poll that runs on this thread.
#[derive(Default)]
struct Current {
    trace: Trace,
    children: Vec<String>,
    /// Whether to ignore clones, because a combinator makes them for its own bookkeeping.
    is_muted: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };

    /// The clones in the innermost poll that counts them.
    static CLONES: Cell<Option<usize>> = const { Cell::new(None) };

    /// The clones in all polls that count them.
    static COUNTED: Cell<usize> = const { Cell::new(0) };
}

/// How many traced polls run. While it is 0 no combinator needs to look at `CURRENT`.
static TRACING: AtomicUsize = AtomicUsize::new(0);

/// Polls with a tracing waker in front of `waker`.
// Never inlined: `Symbols` finds the end of the user's frames by the name of this function.
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

/// Polls, and returns how often what it polled cloned `waker`. Clones in an inner call do not count.
///
/// Unlike a waker that is shared, this one is never equal to its clones, so tokio's list of those that yield keeps
/// one for each branch of a `join!`. Whatever has kept the waker in an earlier poll clones it again.
pub(crate) fn counting_clones<R>(
    waker: &Waker,
    poll: impl FnOnce(&mut Context<'_>) -> R,
) -> (R, usize) {
    let _count = Count::set(Some(0));
    let _unmuted = Muted::set(false);
    let polled = lend(waker, poll);
    (polled, CLONES.get().unwrap_or_default())
}

/// Whether the innermost poll that counts clones has seen one so far.
#[cfg_attr(not(straggler_instrumented), allow(dead_code, reason = "nothing asks"))]
pub(crate) fn was_cloned() -> bool {
    CLONES.get().is_some_and(|count| count > 0)
}

/// How many clones all polls of this thread have counted so far.
pub(crate) fn counted_clones() -> usize {
    COUNTED.get()
}

/// Whether a traced poll runs on this thread.
#[inline]
pub(crate) fn is_on() -> bool {
    TRACING.load(Ordering::Relaxed) != 0 && with_current(|_| ()).is_some()
}

/// Notes that the traced poll has polled a timer that fires in this time.
#[cfg_attr(
    not(straggler_instrumented),
    allow(dead_code, reason = "tokio does not tell")
)]
pub(crate) fn note_timer(fires_in: Duration) {
    with_current(|current| {
        let first = &mut current.trace.fires_in;
        *first = Some(first.map_or(fires_in, |first| first.min(fires_in)));
    });
}

/// Runs code that clones the waker without waiting for anything.
pub(crate) fn muted<R>(run: impl FnOnce() -> R) -> R {
    let _count = Count::set(None);
    let _restore = Muted::set(true);
    run()
}

/// Polls a child of a combinator. Each child has its own waker, so the trace has to wrap that one too.
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

/// Restores the previous `is_muted`, even if a poll unwinds.
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

/// Restores the previous count of clones, even if a poll unwinds.
struct Count(Option<usize>);

impl Count {
    fn set(count: Option<usize>) -> Self {
        Self(CLONES.replace(count))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        CLONES.set(self.0);
    }
}

fn with_current<R>(run: impl FnOnce(&mut Current) -> R) -> Option<R> {
    // A waker may get here while `CURRENT` is borrowed, if a clone panics, or while the thread exits.
    let run = |current: &RefCell<Option<Current>>| {
        let mut current = current.try_borrow_mut().ok()?;
        current.as_mut().map(run)
    };
    CURRENT.try_with(run).ok().flatten()
}

/// Calls `poll` with a tracing waker in front of `original`, or of what that traces.
fn lend<R>(original: &Waker, poll: impl FnOnce(&mut Context<'_>) -> R) -> R {
    // Otherwise each clone would be captured twice.
    let is_tracing = ptr::eq(original.vtable(), &raw const TRACING_WAKER);
    let traced = if is_tracing {
        original.data()
    } else {
        (&raw const *original).cast()
    };
    // SAFETY: the functions in the table follow the contract of `RawWakerVTable`, and the data is the
    // pointer they expect (invariant 1): that of another tracing waker points to an original that outlives
    // that waker, which is borrowed for the whole call.
    let tracing = unsafe { Waker::new(traced, &TRACING_WAKER) };
    let tracing = ManuallyDrop::new(tracing);
    poll(&mut Context::from_waker(&tracing))
}

static TRACING_WAKER: RawWakerVTable = RawWakerVTable::new(clone, wake_by_ref, wake_by_ref, |_| {});

/// # Safety
///
/// `original` is the data of a live tracing waker. The same holds for [`wake_by_ref`].
unsafe fn clone(original: *const ()) -> RawWaker {
    // SAFETY: the original outlives the tracing waker (invariant 1).
    let original = unsafe { &*original.cast::<Waker>() };
    note_clone(false);
    let clone = ManuallyDrop::new(original.clone());
    RawWaker::new(clone.data(), clone.vtable())
}

unsafe fn wake_by_ref(original: *const ()) {
    // SAFETY: the original outlives the tracing waker (invariant 1).
    let original = unsafe { &*original.cast::<Waker>() };
    note_clone(true);
    original.wake_by_ref();
}

fn note_clone(is_wake: bool) {
    if let Some(count) = CLONES.get().filter(|_| !is_wake) {
        CLONES.set(Some(count + 1));
        COUNTED.set(COUNTED.get() + 1);
    }
    with_current(|current| {
        if !current.is_muted {
            let capture = capture(is_wake, &current.children);
            current.trace.captures.push(capture);
        }
    });
}

/// The place that the traced poll has reached, or `None` if none runs on this thread.
#[cfg_attr(
    not(straggler_instrumented),
    allow(dead_code, reason = "nothing tells of a place without a clone")
)]
pub(crate) fn here() -> Option<Capture> {
    with_current(|current| capture(false, &current.children))
}

// Never inlined: `Symbols` finds the start of the waiting frames by the name of this function.
#[inline(never)]
fn capture(is_wake: bool, children: &[String]) -> Capture {
    Capture {
        backtrace: Backtrace::new_unresolved(),
        is_wake,
        children: children.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::{Trace, child, counting_clones, is_on, muted, poll, was_cloned};

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
    fn clone_is_captured_and_wakes_original() {
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
    fn self_wake_differs_from_wait() {
        let count = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&count));
        let ((), trace) = poll(&waker, |context| context.waker().wake_by_ref());
        assert_eq!(wakes_of(&trace), [true]);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn clones_of_child_carry_its_label() {
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
    fn clones_are_counted_for_each_poll_alone() {
        let clone = |context: &mut Context<'_>| drop(context.waker().clone());
        let (inner, outer) = counting_clones(Waker::noop(), |context| {
            clone(context);
            let ((), inner) = counting_clones(Waker::noop(), clone);
            assert!(was_cloned());
            muted(|| {
                assert!(!was_cloned());
                clone(context);
            });
            context.waker().wake_by_ref();
            clone(context);
            inner
        });
        assert_eq!((inner, outer), (1, 2));
    }

    #[test]
    fn counted_clones_are_captured() {
        let wakes = Arc::new(Wakes::default());
        let (kept, trace) = poll(&Waker::from(Arc::clone(&wakes)), |context| {
            let inner = |context: &mut Context<'_>| context.waker().clone();
            let (kept, count) = muted(|| counting_clones(context.waker(), inner));
            assert_eq!(count, 1);
            assert!(!was_cloned(), "nothing counts any more");
            kept
        });
        assert_eq!(wakes_of(&trace), [false], "once");
        // Not `will_wake`: it compares the tables of wakers, and a build may hold the same table twice.
        kept.wake();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn panicking_poll_restores_outer_trace() {
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
