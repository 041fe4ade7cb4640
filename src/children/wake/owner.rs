//! The combinator's end of a block.

#![expect(unsafe_code, reason = "the owner alone may touch some of the block")]

use std::sync::OnceLock;
use std::task::{Context, Waker};

use super::block::{Block, MOST, NONE, Reference, SLEEPING};
use super::order::CompletionOrder;
use super::sync::Ordering;
use super::waker::lend;

/// The combinator's end of a block, with the children that were woken and taken from the stack.
#[derive(Debug)]
pub(in crate::children) struct WakeQueue {
    len: u32,
    block: OnceLock<Reference>,
    /// Whether `top` was set to [`SLEEPING`] and not taken since.
    sleeping: bool,
    /// How many wakes of the parent were granted since `finished` was reset.
    granted: usize,
    /// The first and the last of a list through `next`, in the order of the wakes.
    first: u32,
    last: u32,
    woken: usize,
    ended: Ended,
}

/// How many children have ended, and in which order.
#[derive(Debug)]
enum Ended {
    InInputOrder(u32),
    /// Their indices stand in the block.
    Recorded(u32),
}

impl WakeQueue {
    /// Makes the queue of `len` children.
    ///
    /// # Panics
    ///
    /// If there are more than an index can tell apart.
    pub(in crate::children) fn new(len: usize) -> Self {
        let index = u32::try_from(len).ok().filter(|len| *len <= MOST);
        Self {
            len: index.expect("no more than 4 294 967 293 futures"),
            block: OnceLock::new(),
            sleeping: false,
            granted: 0,
            first: NONE,
            last: NONE,
            woken: 0,
            ended: Ended::InInputOrder(0),
        }
    }

    /// How many children were woken and are to be polled.
    #[inline]
    pub(in crate::children) fn woken(&self) -> usize {
        self.woken
    }

    /// Takes the stack, and adds to the woken children those that are pending, in the order of
    /// their wakes.
    pub(in crate::children) fn take(&mut self, is_pending: impl Fn(usize) -> bool) {
        let Some(block) = self.block.get() else {
            return;
        };
        // Acquires what was done before the wakes.
        let mut at = match block.header().top.swap(NONE, Ordering::AcqRel) {
            SLEEPING => NONE,
            top => {
                self.granted += usize::from(self.sleeping);
                top
            }
        };
        self.sleeping = false;
        let mut earlier = NONE;
        let mut last = NONE;
        while at != NONE {
            let entry = block.entry(at);
            let next = entry.next.load(Ordering::Relaxed);
            // One that has ended since its wake has nothing to poll.
            if is_pending(at as usize) {
                entry.next.store(earlier, Ordering::Relaxed);
                earlier = at;
                self.woken += 1;
                if last == NONE {
                    last = at;
                }
            }
            at = next;
        }
        if earlier == NONE {
            return;
        }
        match self.last {
            NONE => self.first = earlier,
            tail => block.entry(tail).next.store(earlier, Ordering::Relaxed),
        }
        self.last = last;
    }

    /// Takes the child that was woken first out of the woken ones. From here on a wake of it is a
    /// new one.
    #[inline]
    pub(in crate::children) fn pop(&mut self) -> Option<usize> {
        let (Some(block), false) = (self.block.get(), self.first == NONE) else {
            return None;
        };
        let entry = block.entry(self.first);
        self.first = entry.next.load(Ordering::Relaxed);
        if self.first == NONE {
            self.last = NONE;
        }
        self.woken -= 1;
        entry.queued.swap(false, Ordering::AcqRel);
        Some(entry.index as usize)
    }

    /// Lends child `index` a waker for a poll.
    pub(in crate::children) fn lend<R>(
        &self,
        index: usize,
        poll: impl FnOnce(&mut Context<'_>) -> R,
    ) -> R {
        lend(&self.block, self.len, to_u32(index), poll)
    }

    /// Whether child `index` was woken since its last poll began.
    pub(in crate::children) fn is_woken(&self, index: usize) -> bool {
        let block = self.block.get();
        block.is_some_and(|block| block.entry(to_u32(index)).queued.load(Ordering::Acquire))
    }

    /// Whether anything outside of the engine holds a waker of child `index`. Where nothing does,
    /// whoever did has made all its wakes.
    pub(in crate::children) fn is_held(&self, index: usize) -> bool {
        let block = self.block.get();
        block.is_some_and(|block| block.entry(to_u32(index)).wakers.load(Ordering::Acquire) > 0)
    }

    /// Notes that child `index` has ended: further wakes of it do nothing.
    #[inline]
    pub(in crate::children) fn end(&mut self, index: usize) {
        if let Some(block) = self.block.get() {
            let entry = block.entry(to_u32(index));
            if entry.wakers.load(Ordering::Acquire) > 0 {
                entry.queued.swap(true, Ordering::AcqRel);
            }
        }
        let count = match self.ended {
            Ended::InInputOrder(count) if count as usize == index => {
                self.ended = Ended::InInputOrder(count + 1);
                return;
            }
            Ended::InInputOrder(count) | Ended::Recorded(count) => count,
        };
        let block = self.block.get_or_init(|| Reference::new(self.len));
        if matches!(self.ended, Ended::InInputOrder(_)) {
            for earlier in 0..count {
                // SAFETY: this is the owner.
                unsafe { block.write_order(earlier, earlier as usize) };
            }
        }
        // SAFETY: this is the owner.
        unsafe { block.write_order(count, index) };
        self.ended = Ended::Recorded(count + 1);
    }

    /// How many children have ended.
    #[inline]
    pub(in crate::children) fn ended(&self) -> usize {
        let (Ended::InInputOrder(count) | Ended::Recorded(count)) = self.ended;
        count as usize
    }

    /// Lets go, and returns the order in which the children ended.
    pub(in crate::children) fn into_order(self) -> CompletionOrder {
        match (&self.ended, self.block.get()) {
            (&Ended::Recorded(count), Some(block)) => {
                CompletionOrder::recorded(block.clone(), count)
            }
            _ => CompletionOrder::in_input_order(self.ended()),
        }
    }

    /// Lets the next wake of a child wake `parent`. Returns `false` if there was a wake already,
    /// or if an earlier parent is being woken just now: then the parent has to be woken by the
    /// caller.
    pub(in crate::children) fn sleep(&mut self, parent: &Waker) -> bool {
        let Some(block) = self.block.get() else {
            // Nobody has a waker.
            return true;
        };
        let header = block.header();
        if header.top.load(Ordering::Relaxed) != NONE {
            return false;
        }
        // Acquires the use that granted wakes made of the parent's waker.
        if header.finished.load(Ordering::Acquire) == self.granted {
            if self.granted != 0 {
                header.finished.store(0, Ordering::Relaxed);
                self.granted = 0;
            }
            if !is_parent(header, parent) {
                let new = parent.clone();
                // SAFETY: the owner does not sleep and all granted wakes have finished
                // (invariant 3).
                let place = |current: *mut Option<Waker>| unsafe { &mut *current }.replace(new);
                let old = header.parent.with_mut(place);
                drop(old);
            }
        } else if !is_parent(header, parent) {
            return false;
        }
        // Releases the parent's waker to the push that is granted it.
        let slept =
            header
                .top
                .compare_exchange(NONE, SLEEPING, Ordering::AcqRel, Ordering::Relaxed);
        self.sleeping = slept.is_ok();
        self.sleeping
    }
}

/// Whether `parent` would wake the same as the waker that is in place.
fn is_parent(header: &Block, parent: &Waker) -> bool {
    header.parent.with(|current| {
        // SAFETY: only the owner changes it, which is the caller.
        let current = unsafe { &*current };
        current
            .as_ref()
            .is_some_and(|current| current.will_wake(parent))
    })
}

fn to_u32(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NONE)
}

impl Drop for WakeQueue {
    fn drop(&mut self) {
        let Some(block) = self.block.get() else {
            return;
        };
        let header = block.header();
        // From here on no push is granted the parent.
        if header.top.swap(NONE, Ordering::AcqRel) != SLEEPING {
            self.granted += usize::from(self.sleeping);
        }
        // Leaves the parent's waker to the last grant that has not finished, if there is one.
        if header.finished.fetch_sub(self.granted, Ordering::AcqRel) == self.granted {
            // SAFETY: nobody is granted the parent any more.
            drop(unsafe { header.take_parent() });
        }
    }
}
