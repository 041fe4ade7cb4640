//! The entry of one child: what the owner and the wakers share of it.

use std::cell::Cell;
use std::process;
use std::ptr;

use super::sync::{self, AtomicBool, AtomicU32, Ordering};
use super::top::NONE;

/// The process aborts at this many wakers of one child: they were leaked, and the count must not wrap.
/// It leaves room for the wakers that other threads clone meanwhile, and below zero for those that the
/// owner counts.
const TOO_MANY: u32 = 1 << 29;

/// The owner's part of the count stays this close to zero.
const MOST_OWN: u32 = 1 << 20;

/// A bit in the count of an entry's wakers: the owner has let go, so the wakers hold a reference of
/// their own. Before that, `wakers` below zero has this bit too, but it is above the value that the last
/// waker looks for by far.
pub(super) const LEFT: u32 = 1 << 31;

/// The entry of a child in its block.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) index: u32,
    /// How many wakers of this child there are, without the one lent to its poll and without the `own`
    /// ones, plus [`LEFT`]. Wraps below zero.
    pub(super) wakers: AtomicU32,
    /// The owner's part of that count: the wakers that the child cloned in its poll, less those that
    /// wake-ups handed over. Only the owner uses it, so it needs no read-modify-write (invariant 5).
    own: AtomicU32,
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
            own: AtomicU32::new(0),
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
        self.wakers() > 0
    }

    /// Returns how many wakers of the child there are, apart from the one lent to its poll.
    #[inline]
    pub(super) fn wakers(&self) -> u32 {
        let others = self.wakers.load(Ordering::Acquire);
        others.wrapping_add(self.own.load(Ordering::Relaxed)) & !LEFT
    }

    /// Counts one more waker, cloned by the thread that calls this.
    #[inline]
    pub(super) fn add_waker(&self) {
        if self.is_polled_here() {
            self.add_own(1);
        } else {
            // Relaxed is enough, as in `Arc`: the caller already has a waker.
            self.add(1);
        }
    }

    /// Counts the first waker, before anybody else sees the block.
    #[inline]
    pub(super) fn count_first_waker(&self) {
        self.wakers.store(1, Ordering::Relaxed);
    }

    /// Counts one waker less, which was handed over to the caller, the owner.
    #[inline]
    fn take_over_waker(&self) {
        self.add_own(1_u32.wrapping_neg());
    }

    /// Adds to the owner's part of the count.
    #[inline]
    fn add_own(&self, number: u32) {
        let own = self.own.load(Ordering::Relaxed).wrapping_add(number);
        self.own.store(own, Ordering::Relaxed);
        if own.wrapping_add(MOST_OWN) > 2 * MOST_OWN {
            self.share_own();
        }
    }

    /// Moves the owner's part of the count to the other part.
    #[cold]
    fn share_own(&self) {
        let own = self.own.load(Ordering::Relaxed);
        self.own.store(0, Ordering::Relaxed);
        self.add(own);
    }

    /// Adds to the part of the count that everybody uses.
    #[inline]
    fn add(&self, number: u32) {
        let before = self.wakers.fetch_add(number, Ordering::Relaxed) & !LEFT;
        if (TOO_MANY..LEFT - TOO_MANY).contains(&before) {
            process::abort();
        }
    }

    /// Leaves the entry to its wakers. Returns whether there are any: the last one then drops a
    /// reference. The owner calls it once, and uses the entry no more.
    pub(super) fn leave(&self) -> bool {
        let own = self.own.load(Ordering::Relaxed);
        self.own.store(0, Ordering::Relaxed);
        let others = self
            .wakers
            .fetch_add(own.wrapping_add(LEFT), Ordering::AcqRel);
        others.wrapping_add(own) > 0
    }

    /// Notes that the owner has taken the child from the stack.
    #[inline]
    pub(super) fn take(&self) {
        self.is_taken.store(true, Ordering::Relaxed);
        if !self.is_handed_over.load(Ordering::Relaxed) {
            return;
        }
        self.is_handed_over.store(false, Ordering::Relaxed);
        self.take_over_waker();
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
        let is_polled_here = self.is_polled_here();
        if is_polled_here {
            self.woke_itself.store(true, Ordering::Relaxed);
        }
        is_polled_here
    }

    /// Whether this thread is in the poll of the child, and not in a poll of another block inside it.
    #[inline]
    fn is_polled_here(&self) -> bool {
        POLLED.with(|polled| ptr::eq(polled.get(), self))
    }
}

sync::thread_local! {
    /// The entry of the child that this thread polls. Only compared, never dereferenced.
    static POLLED: Cell<*const Entry> = Cell::new(ptr::null());
}

#[cfg(all(test, not(straggler_loom)))]
mod tests {
    use super::{Entry, MOST_OWN, Ordering};

    #[test]
    fn own_count_stays_near_zero() {
        let entry = Entry::new(0);
        // As if other threads cloned wakers that wake-ups hand over.
        for _ in 0..2 * MOST_OWN {
            entry.add(1);
            entry.take_over_waker();
        }
        assert_eq!(entry.wakers(), 0);
        assert!(entry.wakers.load(Ordering::Relaxed) <= MOST_OWN + 1);
        // As if polls cloned wakers that other threads drop.
        for _ in 0..4 * MOST_OWN {
            entry.add_own(1);
            entry.wakers.fetch_sub(1, Ordering::Relaxed);
        }
        assert_eq!(entry.wakers(), 0);
        assert!(entry.own.load(Ordering::Relaxed) <= MOST_OWN);
        entry.add_own(1);
        assert!(entry.leave());
    }
}
