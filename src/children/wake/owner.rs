//! The combinator's end of a block.

#![expect(unsafe_code, reason = "the owner alone may touch some of the block")]

use std::mem;
use std::task::{Context, Waker};

use super::block::Reference;
use super::cell::BlockCell;
use super::order::CompletionOrder;
use super::parent::Parents;
use super::sync::Ordering;
use super::top::{CLOSED, MOST, NONE, asleep, sleeper};
use super::waker::lend;

/// The combinator's end of a block.
#[derive(Debug)]
pub(in crate::children) struct WakeQueue {
    block: BlockCell,
    parents: Parents,
    /// Whether the parent was put to sleep and the stack not taken since.
    sleeping: bool,
    /// How many children have finished.
    ended: u32,
    /// Whether their indices are in the block. If not, they have finished in input order.
    is_recorded: bool,
}

impl WakeQueue {
    /// Creates the queue of `len` children.
    ///
    /// # Panics
    ///
    /// If there are too many children for a 32-bit index.
    #[inline]
    pub(in crate::children) fn new(len: usize) -> Self {
        let index = u32::try_from(len).ok().filter(|len| *len <= MOST);
        Self {
            block: BlockCell::new(index.expect("no more than 4 294 967 290 futures")),
            parents: Parents::default(),
            sleeping: false,
            ended: 0,
            is_recorded: false,
        }
    }

    /// Whether a waker may exist, apart from one that is lent.
    #[inline]
    pub(in crate::children) fn has_block(&self) -> bool {
        self.block.get().is_some()
    }

    /// Whether the stack may hold anything to [take](Self::take).
    #[inline]
    pub(in crate::children) fn may_have_woken(&self) -> bool {
        // A wake-up missed here is seen by the exchange that puts the parent to sleep.
        let block = self.block.get();
        block.is_some_and(|block| block.header().top.load(Ordering::Relaxed) != NONE)
    }

    /// Takes the stack and passes the woken children to `woken`, the last wake-up first. From now on no
    /// wake-up wakes the parent.
    #[inline]
    pub(in crate::children) fn take(&mut self, woken: impl FnMut(u32)) {
        let Some(block) = self.block.get() else {
            return;
        };
        // A wake-up missed here is seen by the exchange that puts the parent to sleep.
        if block.header().top.load(Ordering::Relaxed) == NONE {
            return;
        }
        let slept = replace_stack(&block, NONE, woken);
        if mem::take(&mut self.sleeping) && !slept {
            self.parents.grant();
        }
    }

    /// Takes the stack like [`take`](Self::take), and puts `parent` to sleep in the same step, so that the
    /// next wake-up wakes it. If the stack is empty, `parent` sleeps only if it did before.
    #[inline]
    pub(in crate::children) fn take_and_sleep(&mut self, parent: &Waker, woken: impl FnMut(u32)) {
        let Some(block) = self.block.get() else {
            return;
        };
        let header = block.header();
        let top = header.top.load(Ordering::Relaxed);
        if top == NONE {
            return;
        }
        if let Some((which, _)) = sleeper(top) {
            // SAFETY: this is the owner, which has put a waker there.
            if !unsafe { header.parents[usize::from(which)].is(parent) } {
                self.take(woken);
            }
            return;
        }
        if mem::take(&mut self.sleeping) {
            self.parents.grant();
        }
        // SAFETY: this is the owner, and it does not sleep: there is a stack.
        let placed = unsafe { self.parents.put(&header.parents, parent) };
        self.sleeping = placed.is_some();
        let top = placed.map_or(NONE, |(which, clones)| asleep(which, clones));
        replace_stack(&block, top, woken);
    }

    /// Lends child `index` a waker for a poll. If it was [taken](Self::take) after its last poll began,
    /// its next wake-up pushes it again. Also returns whether the child woke itself, which the queue
    /// does not remember.
    ///
    /// Takes the queue exclusively: at most one child is polled at a time (invariant 5).
    #[expect(
        clippy::inline_always,
        reason = "the compiler would not, and each poll would cost a call"
    )]
    #[inline(always)]
    pub(in crate::children) fn lend<R>(
        &mut self,
        index: u32,
        poll: impl FnOnce(&mut Context<'_>) -> R,
    ) -> (R, bool) {
        lend(&self.block, index, poll)
    }

    /// Returns the child that was [lent](Self::lend) a waker last.
    pub(in crate::children) fn polled(&self) -> u32 {
        self.block.polled.load(Ordering::Relaxed)
    }

    /// Whether child `index` is on the stack or about to be, and was not taken from it after its last
    /// poll began.
    #[inline]
    pub(in crate::children) fn is_to_be_taken(&self, index: u32) -> bool {
        let block = self.block.get();
        block.is_some_and(|block| block.entry(index).is_to_be_taken())
    }

    /// Whether child `index` was woken and not polled after it was taken, or is about to be on the
    /// stack.
    pub(in crate::children) fn is_queued(&self, index: u32) -> bool {
        let block = self.block.get();
        block.is_some_and(|block| block.entry(index).queued.load(Ordering::Acquire))
    }

    /// Whether anything outside the engine holds a waker of child `index`. If not, all wake-ups by
    /// earlier holders have been made.
    pub(in crate::children) fn is_held(&self, index: u32) -> bool {
        let block = self.block.get();
        block.is_some_and(|block| block.entry(index).is_held())
    }

    /// Notes that child `index` has finished: further wake-ups of it do nothing.
    #[inline]
    pub(in crate::children) fn end(&mut self, index: u32) {
        match self.block.get() {
            // No order is recorded without a block.
            None if self.ended == index => {}
            block => {
                if let Some(block) = block {
                    block.entry(index).end();
                }
                if self.is_recorded || self.ended != index {
                    self.record(index);
                }
            }
        }
        self.ended += 1;
    }

    /// Records in the block that child `index` is the next to finish.
    fn record(&mut self, index: u32) {
        let block = self.block.get_or_make();
        // So far they finished in input order, which needs no record. Now it does.
        if !self.is_recorded {
            for earlier in 0..self.ended {
                // SAFETY: this is the owner.
                unsafe { block.write_order(earlier, earlier) };
            }
            self.is_recorded = true;
        }
        // SAFETY: this is the owner.
        unsafe { block.write_order(self.ended, index) };
    }

    /// How many children there are.
    #[inline]
    pub(in crate::children) fn len(&self) -> u32 {
        self.block.len
    }

    /// How many children have finished.
    #[inline]
    pub(in crate::children) fn ended(&self) -> u32 {
        self.ended
    }

    /// Lets go of the block and returns the order in which the children finished. Call it once: later
    /// wake-ups and ends are not recorded.
    #[inline]
    pub(in crate::children) fn take_order(&mut self) -> CompletionOrder {
        let block = self.let_go();
        match block {
            Some(block) if self.is_recorded => {
                // SAFETY: this was the owner, which has recorded every child that has ended, and has
                // let go of the block.
                unsafe { CompletionOrder::recorded(block, self.ended) }
            }
            _ => CompletionOrder::in_input_order(self.ended),
        }
    }

    /// Puts the parent to sleep: the next wake-up of a child wakes `parent`. If it
    /// [sleeps](Self::take_and_sleep) already, `parent` must be the same. Returns `false` if there was a
    /// wake-up already, or if pushes are still waking earlier parents: the caller then wakes the parent.
    #[inline]
    pub(in crate::children) fn sleep(&mut self, parent: &Waker) -> bool {
        if self.sleeping {
            // A wake-up in between has already woken it.
            return true;
        }
        let Some(block) = self.block.get() else {
            // There is no waker, so no wake-up can come.
            return true;
        };
        let header = block.header();
        if header.top.load(Ordering::Relaxed) != NONE {
            return false;
        }
        // SAFETY: this is the owner, and it does not sleep: the top is `NONE`.
        let placed = unsafe { self.parents.put(&header.parents, parent) };
        let Some((which, clones)) = placed else {
            return false;
        };
        // Releases the parent's waker to the push that is granted it.
        let slept = header.top.compare_exchange(
            NONE,
            asleep(which, clones),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        self.sleeping = slept.is_ok();
        self.sleeping
    }

    /// Drops the parent's waker and leaves the block to the wakers. Returns the owner's reference.
    #[inline]
    fn let_go(&mut self) -> Option<Reference> {
        self.block.get()?;
        self.leave_block()
    }

    /// Makes every further wake-up do nothing, not even wake the parent.
    #[inline]
    pub(in crate::children) fn close(&mut self) {
        let Some(block) = self.block.get() else {
            return;
        };
        // Relaxed is enough: only the owner closes it.
        if block.header().top.load(Ordering::Relaxed) == CLOSED {
            return;
        }
        let slept = replace_stack(&block, CLOSED, |_| ());
        if mem::take(&mut self.sleeping) && !slept {
            self.parents.grant();
        }
    }

    fn leave_block(&mut self) -> Option<Reference> {
        let block = self.block.get()?;
        let is_held = (0..self.len()).any(|index| block.entry(index).is_held());
        if is_held {
            self.close();
        } else {
            // There is no waker left to wake a child. A push that woke the parent finished that before
            // it dropped its waker.
            self.sleeping = false;
            self.parents = Parents::default();
        }
        let block = self.block.take()?;
        if is_held {
            self.leave_entries(&block);
        }
        // Last: it drops the parent's waker, which is foreign code and may panic.
        // SAFETY: this is the owner, and it does not sleep.
        unsafe { mem::take(&mut self.parents).leave(&block.header().parents) };
        Some(block)
    }

    /// Gives each entry that has wakers a reference of its own.
    fn leave_entries(&self, block: &Reference) {
        for index in 0..self.len() {
            let entry = block.entry(index);
            if !entry.is_held() {
                continue;
            }
            // First: the last waker may be dropped as soon as the entry is left.
            let theirs = block.clone();
            if entry.leave() {
                mem::forget(theirs);
            }
        }
    }
}

impl Drop for WakeQueue {
    #[inline]
    fn drop(&mut self) {
        drop(self.let_go());
    }
}

/// Replaces the top of the stack and passes the woken children to `woken`, the last wake-up first.
/// Returns whether the parent slept instead.
#[inline]
fn replace_stack(block: &Reference, top: u32, mut woken: impl FnMut(u32)) -> bool {
    // Acquires what was done before the wakes. Releases the parent's waker to the push that is
    // granted it.
    let mut at = block.header().top.swap(top, Ordering::AcqRel);
    if sleeper(at).is_some() {
        return true;
    }
    while at != NONE {
        let entry = block.entry(at);
        at = entry.next.load(Ordering::Relaxed);
        entry.take();
        woken(entry.index);
    }
    false
}
