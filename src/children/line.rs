//! The line in which the children stand to be polled: those that were woken, in the order of their
//! wakes, then those that may start.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Waker};

use super::slots::{Holds, Slots};
use super::wake::{CompletionOrder, WakeQueue};
use super::woken::Woken;

/// Who is polled next, when, and until when.
///
/// The methods that take `slots` are to be given those of the same children.
#[derive(Debug)]
pub(super) struct Line {
    wakes: WakeQueue,
    woken: Woken,
    /// How many polls are left of the batch: of the children that were woken before it began. A
    /// batch may take several turns but has an end, even if children wake themselves for ever.
    batch: u32,
    /// How many children have had their first poll, in the order of their indices.
    started: u32,
    /// How many children may have had it by the end of the batch.
    admitted: u32,
    limit: u32,
    /// Whether the next turn begins a batch, though it may not have come to the end of the last.
    begins_batch: bool,
    /// Whether the [last batch](Self::begin_last_batch) was begun.
    #[cfg(feature = "tokio")]
    is_last_batch: bool,
    /// What tells these children from others where somebody chooses among them, or 0.
    #[cfg(feature = "tokio")]
    number: u32,
}

impl Line {
    #[inline]
    pub(super) fn new(len: usize) -> Self {
        Self {
            wakes: WakeQueue::new(len),
            woken: Woken::new(),
            batch: 0,
            started: 0,
            admitted: 0,
            limit: u32::MAX,
            begins_batch: true,
            #[cfg(feature = "tokio")]
            is_last_batch: false,
            #[cfg(feature = "tokio")]
            number: 0,
        }
    }

    /// Lets at most `at_most` children be in flight at once: started and not at their end.
    pub(super) fn limit(&mut self, at_most: usize) {
        self.limit = u32::try_from(at_most).unwrap_or(u32::MAX);
    }

    /// Whether fewer than `len` may be in flight at once.
    pub(super) fn limit_below(&self, len: usize) -> bool {
        (self.limit as usize) < len
    }

    /// Makes the next turn begin a batch of all children that are woken by then.
    pub(super) fn begin_batch(&mut self) {
        self.begins_batch = true;
    }

    /// As [`begin_batch`](Self::begin_batch). From here on no child is let in any more.
    pub(super) fn begin_last_batch(&mut self) {
        self.admit();
        self.limit = 0;
        self.begin_batch();
        #[cfg(feature = "tokio")]
        {
            self.is_last_batch = true;
        }
    }

    /// Begins a turn, and with it a batch if it is time for one.
    ///
    /// Mostly the parent can be put to sleep at once. Not if a child woke itself: by its poll other
    /// wakes of it are answered too, for which the parent would be woken for nothing. And not if a
    /// single child is in flight, with which all may come to its end.
    #[inline]
    pub(super) fn begin_turn(&mut self, slots: Pin<&mut impl Slots>, parent: &Waker) {
        self.admit();
        let sleeps = self.woken.len() == 0 && self.started - self.wakes.ended() > 1;
        self.take_woken(slots, sleeps.then_some(parent));
        if mem::take(&mut self.begins_batch) {
            self.batch = self.woken.len();
        }
    }

    /// Begins a turn in which one child is polled: the one that `choose` picks among all that are woken
    /// or may start, if there is one. Of the [last batch](Self::begin_last_batch) each is polled
    /// once.
    #[cfg(feature = "tokio")]
    pub(super) fn begin_step(
        &mut self,
        mut slots: Pin<&mut impl Slots>,
        choose: impl FnOnce(&[u32]) -> usize,
    ) {
        self.admit();
        self.take_woken(slots.as_mut(), None);
        for index in mem::replace(&mut self.started, self.admitted)..self.admitted {
            self.woken.push(slots.as_mut(), index);
        }
        if mem::take(&mut self.begins_batch) || !self.is_last_batch {
            self.batch = self.woken.len();
        }
        let ready = self.woken.first_of(&*slots, self.batch);
        if !ready.is_empty() {
            let chosen = ready[choose(&ready)];
            self.woken.bring_to_front(slots, chosen);
        }
    }

    /// The number of these children, which is made if they have none.
    #[cfg(feature = "tokio")]
    pub(super) fn number(&mut self, new: impl FnOnce() -> u32) -> u32 {
        if self.number == 0 {
            self.number = new();
        }
        self.number
    }

    /// Takes the child that is polled next out of the line, if `should_continue`.
    #[inline]
    pub(super) fn next(
        &mut self,
        mut slots: Pin<&mut impl Slots>,
        should_continue: impl Fn() -> bool,
    ) -> Option<u32> {
        if self.batch > 0 {
            if !should_continue() {
                return None;
            }
            self.batch -= 1;
            self.take_wakes_of_first(slots.as_mut());
            return self.woken.pop(slots);
        }
        if self.started == self.admitted || !should_continue() {
            return None;
        }
        self.started += 1;
        Some(self.started - 1)
    }

    /// Takes also the wakes of the child that is first in line from the stack: by its next poll they
    /// are answered, too. They can be there if the child is in line because it woke itself.
    #[inline]
    fn take_wakes_of_first(&mut self, slots: Pin<&mut impl Slots>) {
        let first = self.woken.first();
        if first.is_some_and(|first| self.wakes.is_to_be_taken(first)) {
            self.take_woken(slots, None);
        }
    }

    /// Lets as many of the next children in as the limit has room for.
    #[inline]
    fn admit(&mut self) {
        let rest = self.wakes.len() - self.admitted;
        if rest > 0 {
            // Those that are given up may end before they start.
            let in_flight = self.admitted.saturating_sub(self.wakes.ended());
            self.admitted += self.limit.saturating_sub(in_flight).min(rest);
        }
    }

    /// Lends child `index` a waker for a poll. Returns also whether the child woke itself: if it
    /// has not ended it is to be [put in line](Self::put) again.
    #[inline]
    pub(super) fn lend<R>(
        &self,
        index: u32,
        poll: impl FnOnce(&mut Context<'_>) -> R,
    ) -> (R, bool) {
        self.wakes.lend(index, poll)
    }

    /// Puts a child that woke itself in line.
    #[inline]
    pub(super) fn put(&mut self, slots: Pin<&mut impl Slots>, index: u32) {
        self.woken.push(slots, index);
    }

    /// Puts every child in line that was started and is pending.
    #[cfg(feature = "tokio")]
    pub(super) fn put_pending(&mut self, mut slots: Pin<&mut impl Slots>) {
        self.take_woken(slots.as_mut(), None);
        for index in 0..self.started {
            let is_pending = slots.note(index as usize).holds() == Holds::Future;
            if is_pending && !slots.note(index as usize).is_linked() {
                self.woken.push(slots.as_mut(), index);
            }
        }
    }

    /// Notes that child `index` has ended, which makes way for the next one.
    #[inline]
    pub(super) fn end(&mut self, index: u32) {
        self.wakes.end(index);
        self.admit();
    }

    /// Whether every child has ended.
    #[inline]
    pub(super) fn have_all_ended(&self) -> bool {
        self.wakes.ended() == self.wakes.len()
    }

    /// Ends a turn after which a child is still pending: lets the next wake wake the parent, or
    /// wakes it if there is something to do already, or may be. Returns whether the batch has come
    /// to its end.
    #[inline]
    pub(super) fn end_turn(&mut self, slots: Pin<&mut impl Slots>, parent: &Waker) -> bool {
        if !self.sleep(slots, parent) {
            parent.wake_by_ref();
        }
        self.begins_batch = self.batch == 0 && self.started == self.admitted;
        self.begins_batch
    }

    #[inline]
    fn sleep(&mut self, slots: Pin<&mut impl Slots>, parent: &Waker) -> bool {
        if self.woken.len() > 0 || self.started < self.admitted {
            return false;
        }
        if self.wakes.sleep(parent) {
            return true;
        }
        // Perhaps it was just a wake of one that has ended.
        self.take_woken(slots, None);
        self.woken.len() == 0 && self.wakes.sleep(parent)
    }

    /// Lets no wake wake the parent any more. No turn is to follow.
    #[inline]
    pub(super) fn leave_parent_alone(&mut self) {
        self.wakes.close();
    }

    /// Whether child `index` was woken since its last poll began, and whether anything outside of
    /// the engine holds its waker. Where nothing does, whoever did has made all its wakes.
    pub(super) fn wakes_of(&self, slots: &impl Slots, index: u32) -> (bool, bool) {
        // First: the last holder may be about to wake and let go.
        let is_held = self.wakes.is_held(index);
        let is_woken = slots.note(index as usize).is_linked() || self.wakes.is_queued(index);
        (is_woken, is_held)
    }

    /// Lets go of all wakers, and returns the order in which the children ended.
    #[inline]
    pub(super) fn take_order(&mut self) -> CompletionOrder {
        self.wakes.take_order()
    }

    /// Puts the children in line that were woken since the last time, and are not in line. Lets
    /// `parent` sleep, if there is one and it [can](WakeQueue::take_and_sleep) at no further cost.
    #[inline]
    fn take_woken(&mut self, mut slots: Pin<&mut impl Slots>, parent: Option<&Waker>) {
        let mut part = Woken::new();
        let put = |index| {
            let note = slots.as_mut().note_mut(index as usize);
            // One that has ended since its wake has nothing to poll.
            if note.holds() == Holds::Future && !note.is_linked() {
                part.push_front(slots.as_mut(), index);
            }
        };
        match parent {
            Some(parent) => self.wakes.take_and_sleep(parent, put),
            None => self.wakes.take(put),
        }
        self.woken.append(slots, part);
    }
}
