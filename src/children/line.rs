//! The queue of children to poll: first the woken children, in wake-up order, then unstarted children
//! that the limit lets start.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Waker};

use super::slots::{Holds, Slots};
#[cfg(feature = "tokio")]
use super::to_u32;
use super::wake::{CompletionOrder, WakeQueue};
use super::woken::Woken;

/// Decides which child is polled next, and when a batch ends.
///
/// Pass the slots of the same children to each method that takes `slots`.
#[derive(Debug)]
pub(super) struct Line {
    wakes: WakeQueue,
    woken: Woken,
    /// How many polls are left in the batch, one for each child woken before it began. A batch may take
    /// several turns, but it ends even if children wake themselves forever.
    batch: u32,
    /// How many children have had their first poll. They start in the order of their indices.
    started: u32,
    /// How many children may have started by the end of the batch.
    admitted: u32,
    limit: u32,
    /// Whether the next turn begins a batch, even if the last one is not over.
    begins_batch: bool,
    /// Whether the [last batch](Self::begin_last_batch) was begun.
    #[cfg(feature = "tokio")]
    is_last_batch: bool,
    /// Boxed, because only explored runs make steps.
    #[cfg(feature = "tokio")]
    steps: Option<Box<Steps>>,
}

/// What [steps](Line::begin_step) need beyond a turn.
#[cfg(feature = "tokio")]
#[derive(Debug, Default)]
struct Steps {
    /// The number of the combinator in an explored run, or 0.
    number: u32,
    /// The children that steps choose among: the first part of the queue, in a place of its own. Their notes
    /// are linked.
    choices: Vec<u32>,
}

impl Line {
    #[inline]
    pub(super) fn new(len: usize) -> Self {
        let wakes = WakeQueue::new(len);
        Self {
            woken: Woken::new(),
            batch: 0,
            started: 0,
            // There is no limit yet.
            admitted: wakes.len(),
            wakes,
            limit: u32::MAX,
            begins_batch: true,
            #[cfg(feature = "tokio")]
            is_last_batch: false,
            #[cfg(feature = "tokio")]
            steps: None,
        }
    }

    /// Limits how many children are in flight at once: started and not finished.
    pub(super) fn limit(&mut self, at_most: usize) {
        self.limit = u32::try_from(at_most).unwrap_or(u32::MAX);
        // Each turn admits children anew.
        self.admitted = self.started;
    }

    /// Whether the limit is below `len`.
    pub(super) fn limit_below(&self, len: usize) -> bool {
        (self.limit as usize) < len
    }

    /// Makes the next turn begin a batch: every child woken by then.
    pub(super) fn begin_batch(&mut self) {
        self.begins_batch = true;
    }

    /// Like [`begin_batch`](Self::begin_batch), but no other child is admitted after it.
    pub(super) fn begin_last_batch(&mut self) {
        self.admit();
        self.limit = 0;
        self.begin_batch();
        #[cfg(feature = "tokio")]
        {
            self.is_last_batch = true;
        }
    }

    /// Begins a turn, and a batch if the last one is over.
    ///
    /// In most cases it can put the parent to sleep in the same step. Not after a child woke itself: the
    /// next poll of that child also answers its other wake-ups, which would wake the parent for
    /// nothing. And not while a single child is in flight, because the turn may finish it.
    #[inline]
    pub(super) fn begin_turn(&mut self, slots: Pin<&mut impl Slots>, parent: &Waker) {
        self.admit();
        if self.wakes.may_have_woken() {
            let sleeps = self.woken.len() == 0 && self.started - self.wakes.ended() > 1;
            self.take_stack(slots, sleeps.then_some(parent));
        }
        if mem::take(&mut self.begins_batch) {
            self.batch = self.woken.len();
        }
    }

    /// Begins a turn of one poll: `choose` picks the child among the woken and startable children, if
    /// any. In the [last batch](Self::begin_last_batch) each child is polled once.
    ///
    /// However many can be chosen, it visits only those that were woken since the last step.
    #[cfg(feature = "tokio")]
    pub(super) fn begin_step(
        &mut self,
        mut slots: Pin<&mut impl Slots>,
        choose: impl FnOnce(&[u32]) -> usize,
    ) {
        self.admit();
        self.take_woken(slots.as_mut());
        for index in mem::replace(&mut self.started, self.admitted)..self.admitted {
            self.woken.push(slots.as_mut(), index);
        }
        let choices = &mut self.steps.get_or_insert_default().choices;
        self.woken.move_to(choices, &*slots);
        if mem::take(&mut self.begins_batch) || !self.is_last_batch {
            self.batch = to_u32(choices.len());
        }
        let ready = &choices[..choices.len().min(self.batch as usize)];
        if !ready.is_empty() {
            let chosen = choose(ready);
            let chosen = choices.remove(chosen);
            self.woken.push(slots, chosen);
        }
    }

    /// Puts the children that the steps have not chosen back in the queue, before a turn that is not a step.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(super) fn end_steps(&mut self, slots: Pin<&mut impl Slots>) {
        if self.steps.is_some() {
            self.requeue_choices(slots);
        }
    }

    #[cfg(feature = "tokio")]
    #[cold]
    fn requeue_choices(&mut self, mut slots: Pin<&mut impl Slots>) {
        let choices = self
            .steps
            .as_mut()
            .map(|steps| mem::take(&mut steps.choices));
        let mut queue = Woken::new();
        for index in choices.into_iter().flatten() {
            queue.push(slots.as_mut(), index);
        }
        queue.append(slots, mem::replace(&mut self.woken, Woken::new()));
        self.woken = queue;
    }

    /// Whether a child is to be polled because it was woken.
    #[inline]
    fn has_woken(&self) -> bool {
        #[cfg(feature = "tokio")]
        if self
            .steps
            .as_ref()
            .is_some_and(|steps| !steps.choices.is_empty())
        {
            return true;
        }
        self.woken.len() > 0
    }

    /// Returns the number of the combinator, which `new` makes at the first call.
    #[cfg(feature = "tokio")]
    pub(super) fn number(&mut self, new: impl FnOnce() -> u32) -> u32 {
        let number = &mut self.steps.get_or_insert_default().number;
        if *number == 0 {
            *number = new();
        }
        *number
    }

    /// Whether the batch is not over.
    #[inline]
    pub(super) fn has_next(&mut self) -> bool {
        self.batch > 0 || self.may_start()
    }

    /// Takes the next woken child of the batch out of the queue.
    #[expect(
        clippy::inline_always,
        reason = "the compiler would not, and each poll would cost a call"
    )]
    #[inline(always)]
    pub(super) fn next_woken(&mut self, mut slots: Pin<&mut impl Slots>) -> Option<u32> {
        if self.batch == 0 {
            return None;
        }
        self.batch -= 1;
        self.take_wakes_of_first(slots.as_mut());
        self.woken.pop(slots)
    }

    /// Starts the next child, if the batch has one.
    #[inline]
    pub(super) fn start_next(&mut self) -> Option<u32> {
        if !self.may_start() {
            return None;
        }
        self.started += 1;
        Some(self.started - 1)
    }

    #[inline]
    fn may_start(&mut self) -> bool {
        if self.started < self.admitted {
            return true;
        }
        // Children that have finished meanwhile make room for others.
        self.admit();
        self.started < self.admitted
    }

    /// Takes the wake-ups of the first child off the stack, because its next poll answers them. There
    /// can be some if the child is in the queue because it woke itself.
    #[inline]
    fn take_wakes_of_first(&mut self, slots: Pin<&mut impl Slots>) {
        // Without a block there are none. Often there is none, if children wake themselves.
        if !self.wakes.has_block() {
            return;
        }
        let first = self.woken.first();
        if first.is_some_and(|first| self.wakes.is_to_be_taken(first)) {
            self.take_woken(slots);
        }
    }

    /// Admits as many of the next children as the limit allows.
    #[inline]
    fn admit(&mut self) {
        let rest = self.wakes.len() - self.admitted;
        if rest > 0 {
            // Saturating, because children that are abandoned may finish before they start.
            let in_flight = self.admitted.saturating_sub(self.wakes.ended());
            self.admitted += self.limit.saturating_sub(in_flight).min(rest);
        }
    }

    /// Lends child `index` a waker for a poll. Also returns whether the child woke itself: unless it
    /// has finished, [`put`](Self::put) it in the queue again.
    #[expect(
        clippy::inline_always,
        reason = "the compiler would not, and each poll would cost a call"
    )]
    #[inline(always)]
    pub(super) fn lend<R>(
        &mut self,
        index: u32,
        poll: impl FnOnce(&mut Context<'_>) -> R,
    ) -> (R, bool) {
        self.wakes.lend(index, poll)
    }

    /// Puts a child that woke itself in the queue.
    #[inline]
    pub(super) fn put(&mut self, slots: Pin<&mut impl Slots>, index: u32) {
        self.woken.push(slots, index);
    }

    /// Puts every started, pending child in the queue.
    #[cfg(feature = "tokio")]
    pub(super) fn put_pending(&mut self, mut slots: Pin<&mut impl Slots>) {
        self.take_woken(slots.as_mut());
        for index in 0..self.started {
            let is_pending = slots.note(index as usize).holds() == Holds::Future;
            if is_pending && !slots.note(index as usize).is_linked() {
                self.woken.push(slots.as_mut(), index);
            }
        }
    }

    /// Notes that child `index` has finished.
    #[inline]
    pub(super) fn end(&mut self, index: u32) {
        self.wakes.end(index);
    }

    /// Returns the child that was lent a waker last.
    pub(super) fn polled(&self) -> u32 {
        self.wakes.polled()
    }

    /// Whether every child has finished.
    #[inline]
    pub(super) fn have_all_ended(&self) -> bool {
        self.wakes.ended() == self.wakes.len()
    }

    /// Ends a turn that leaves a child pending. Puts the parent to sleep until the next wake-up, or
    /// wakes it if there is, or may be, something to do already. Returns whether the batch is over.
    #[inline]
    pub(super) fn end_turn(&mut self, slots: Pin<&mut impl Slots>, parent: &Waker) -> bool {
        self.admit();
        if !self.sleep(slots, parent) {
            parent.wake_by_ref();
        }
        self.begins_batch = self.batch == 0 && self.started == self.admitted;
        self.begins_batch
    }

    #[inline]
    fn sleep(&mut self, slots: Pin<&mut impl Slots>, parent: &Waker) -> bool {
        if self.has_woken() || self.started < self.admitted {
            return false;
        }
        if self.wakes.sleep(parent) {
            return true;
        }
        // The wake-up may be that of a finished child, which needs no poll. Try once more.
        self.take_woken(slots);
        !self.has_woken() && self.wakes.sleep(parent)
    }

    /// Stops every wake-up of the parent. No turn may follow.
    #[inline]
    pub(super) fn leave_parent_alone(&mut self) {
        self.wakes.close();
    }

    /// Whether anybody may have a waker that wakes the parent.
    #[inline]
    pub(super) fn may_wake_parent(&self) -> bool {
        self.wakes.has_block()
    }

    /// Returns whether child `index` was woken after its last poll began, and whether anything outside
    /// the engine holds its waker. If nothing does, no other wake-up of it can come.
    pub(super) fn wakes_of(&self, slots: &impl Slots, index: u32) -> (bool, bool) {
        // In this order: the last holder may be about to wake the child and drop its waker. The other
        // way round would miss both.
        let is_held = self.wakes.is_held(index);
        let is_woken = slots.note(index as usize).is_linked() || self.wakes.is_queued(index);
        (is_woken, is_held)
    }

    /// Releases all wakers and returns the order in which the children finished.
    #[inline]
    pub(super) fn take_order(&mut self) -> CompletionOrder {
        self.wakes.take_order()
    }

    /// Moves the children woken since the last call into the queue, unless they are in it.
    #[inline]
    fn take_woken(&mut self, slots: Pin<&mut impl Slots>) {
        if self.wakes.may_have_woken() {
            self.take_stack(slots, None);
        }
    }

    /// Does it even if none may have been woken. Puts `parent` to sleep, if given and if that
    /// [costs nothing more](WakeQueue::take_and_sleep).
    fn take_stack(&mut self, mut slots: Pin<&mut impl Slots>, parent: Option<&Waker>) {
        // The stack hands over the last wake-up first, so this list is built from its end.
        let mut part = Woken::new();
        let put = |index| {
            let note = slots.as_mut().note_mut(index as usize);
            // A child that has finished since its wake-up has nothing to poll.
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
