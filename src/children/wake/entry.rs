//! What the owner and the wakers share of one child.

use std::cell::Cell;
use std::ptr;

use super::sync::{self, AtomicBool, AtomicU32, Ordering};
use super::top::NONE;

/// More wakers of one child than any sane program has, with room for those that threads add at the
/// same time: they were leaked, and the count must not start again at zero.
pub(super) const TOO_MANY: u32 = u32::MAX / 4;

/// In the count of an entry's wakers: the owner has let go, so they hold a reference of their own.
pub(super) const LEFT: u32 = 1 << 31;

/// The entry of a child in its block.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) index: u32,
    /// How many wakers of this child there are, but for the one that is lent to its poll; with
    /// [`LEFT`].
    pub(super) wakers: AtomicU32,
    pub(super) next: AtomicU32,
    /// Whether the child waits to be polled, or has ended. Every change that matters is a
    /// read-modify-write that acquires and releases: so a poll sees all that was done before any
    /// wake it answers, also before those that found the flag set.
    pub(super) queued: AtomicBool,
    /// Whether the child was taken from the stack since its last poll began, which the owner alone
    /// uses.
    is_taken: AtomicBool,
    /// Whether the push that is on the stack was made with a waker that is used up: it is counted
    /// among the wakers until the owner takes the stack. It belongs to whom `next` does.
    pub(super) is_handed_over: AtomicBool,
    /// Whether the child was woken by its own poll, and by the thread that polls it, which alone
    /// uses this.
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

    /// Whether there is a waker of the child, but for the one that is lent to its poll. If there is
    /// none, acquires what was done with those that there were.
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
            // There is no other waker, so nobody else changes the count.
            self.wakers.store(0, Ordering::Relaxed);
        } else {
            self.wakers.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether the child is on the stack, or about to be, and was not taken from it since its last
    /// poll began.
    #[inline]
    pub(super) fn is_to_be_taken(&self) -> bool {
        !self.is_taken.load(Ordering::Relaxed) && self.queued.load(Ordering::Acquire)
    }

    /// If the child was taken from the stack: makes a wake from here on a new one, and acquires what
    /// was done before the earlier ones.
    #[inline]
    fn unqueue(&self) {
        if !self.is_taken.load(Ordering::Relaxed) {
            return;
        }
        self.is_taken.store(false, Ordering::Relaxed);
        if self.is_held() {
            self.queued.swap(false, Ordering::AcqRel);
        } else {
            // Nobody can wake the child just now.
            self.queued.store(false, Ordering::Relaxed);
        }
    }

    /// Makes further wakes do nothing.
    #[inline]
    pub(super) fn end(&self) {
        if self.is_held() {
            self.queued.swap(true, Ordering::AcqRel);
        }
    }

    /// Runs the poll of the child. Returns also whether the child woke itself, and may not be on the
    /// stack.
    #[inline]
    pub(super) fn poll<R>(&self, poll: impl FnOnce() -> R) -> (R, bool) {
        /// Restores what was polled before, also if the poll panics.
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

    /// Notes that the child woke itself, if this thread is in its poll. In a poll within that one, of
    /// a child of another block, it may not be noted.
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
    /// The entry of the child that this thread polls. It is compared, and never followed.
    static POLLED: Cell<*const Entry> = Cell::new(ptr::null());
}
