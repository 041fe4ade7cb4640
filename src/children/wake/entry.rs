//! The entry of one child: what the owner and the wakers share of it.

use std::cell::Cell;
use std::ptr;

use super::sync::{self, AtomicBool, AtomicU32, Ordering};
use super::top::NONE;

/// The process aborts at this many wakers of one child: they were leaked, and the count must not wrap.
/// It leaves room for the wakers that other threads clone meanwhile.
pub(super) const TOO_MANY: u32 = u32::MAX / 4;

/// A bit in the count of an entry's wakers: the owner has let go, so the wakers hold a reference of
/// their own.
pub(super) const LEFT: u32 = 1 << 31;

/// The entry of a child in its block.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) index: u32,
    /// How many wakers of this child there are, without the one lent to its poll, plus [`LEFT`].
    pub(super) wakers: AtomicU32,
    pub(super) next: AtomicU32,
    /// Whether the child waits to be polled, or has finished. Every change that matters is a
    /// read-modify-write that acquires and releases. So a poll sees everything done before any wake-up
    /// it answers, including wake-ups that found the flag set.
    pub(super) queued: AtomicBool,
    /// Whether the owner took the child from the stack after its last poll began. Only the owner uses
    /// it.
    is_taken: AtomicBool,
    /// Whether the push on the stack used up its waker, which counts among the wakers until the owner
    /// takes the stack. It belongs to whoever `next` belongs to.
    pub(super) is_handed_over: AtomicBool,
    /// Whether the child was woken in its own poll, by the thread that polls it. Only that thread uses
    /// it.
    woke_itself: AtomicBool,
}

impl Entry {
    pub(super) fn new(index: u32) -> Self {
        Self {
            index,
            wakers: AtomicU32::new(0),
            next: AtomicU32::new(NONE),
            queued: AtomicBool::new(false),
            is_taken: AtomicBool::new(false),
            is_handed_over: AtomicBool::new(false),
            woke_itself: AtomicBool::new(false),
        }
    }

    /// Whether there is a waker of the child, apart from the one lent to its poll. If not, acquires what
    /// was done with the earlier ones.
    #[inline]
    pub(super) fn is_held(&self) -> bool {
        self.wakers.load(Ordering::Acquire) & !LEFT > 0
    }

    /// Notes that the owner has taken the child from the stack.
    #[inline]
    pub(super) fn take(&self) {
        self.is_taken.store(true, Ordering::Relaxed);
        if !self.is_handed_over.load(Ordering::Relaxed) {
            return;
        }
        self.is_handed_over.store(false, Ordering::Relaxed);
        if self.wakers.load(Ordering::Acquire) == 1 {
            // The last waker: no other thread can change the count.
            self.wakers.store(0, Ordering::Relaxed);
        } else {
            self.wakers.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether the child is on the stack or about to be, and was not taken from it after its last poll
    /// began.
    #[inline]
    pub(super) fn is_to_be_taken(&self) -> bool {
        !self.is_taken.load(Ordering::Relaxed) && self.queued.load(Ordering::Acquire)
    }

    /// If the child was taken from the stack, lets the next wake-up push it again, and acquires what was
    /// done before the earlier wake-ups.
    #[inline]
    fn unqueue(&self) {
        if !self.is_taken.load(Ordering::Relaxed) {
            return;
        }
        self.is_taken.store(false, Ordering::Relaxed);
        if self.is_held() {
            self.queued.swap(false, Ordering::AcqRel);
        } else {
            // There is no waker, so nothing can wake the child now: a plain store is enough.
            self.queued.store(false, Ordering::Relaxed);
        }
    }

    /// Makes further wake-ups do nothing.
    #[inline]
    pub(super) fn end(&self) {
        if self.is_held() {
            self.queued.swap(true, Ordering::AcqRel);
        }
    }

    /// Runs the poll of the child. Also returns whether the child woke itself and may not be on the
    /// stack.
    #[inline]
    pub(super) fn poll<R>(&self, poll: impl FnOnce() -> R) -> (R, bool) {
        /// Restores the entry polled before, even if the poll panics.
        struct Restore(*const Entry);
        impl Drop for Restore {
            #[inline]
            fn drop(&mut self) {
                POLLED.with(|polled| polled.set(self.0));
            }
        }

        self.unqueue();
        self.woke_itself.store(false, Ordering::Relaxed);
        let restore = Restore(POLLED.with(|polled| polled.replace(self)));
        let polled = poll();
        drop(restore);
        (polled, self.woke_itself.load(Ordering::Relaxed))
    }

    /// Notes that the child woke itself, if this thread is in its poll. May miss it inside a nested poll,
    /// of a child of another block.
    #[inline]
    pub(super) fn wakes_itself(&self) -> bool {
        let is_polled_here = POLLED.with(|polled| ptr::eq(polled.get(), self));
        if is_polled_here {
            self.woke_itself.store(true, Ordering::Relaxed);
        }
        is_polled_here
    }
}

sync::thread_local! {
    /// The entry of the child that this thread polls. Only compared, never dereferenced.
    static POLLED: Cell<*const Entry> = Cell::new(ptr::null());
}
