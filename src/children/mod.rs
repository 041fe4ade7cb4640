//! The engine of the joins: polls n pinned children, each only after it was woken, in the order of the
//! wake-ups, and contains their panics.
//!
//! The combinators use [`Children`] and do not deal with wakers. The engine does not know of
//! runtimes, names or errors; a [`Schedule`] from above decides when a turn ends.

mod line;
mod slots;
#[cfg(all(test, feature = "tokio", not(straggler_loom)))]
mod turns;
mod wake;
#[cfg(all(test, straggler_loom))]
mod wake_loom;
mod woken;

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};

use self::line::Line;
pub use self::slots::{End, Link, Links, Row, Seat, Slot, Slots};
pub(crate) use self::slots::{Holds, List, Visit};
pub(crate) use self::wake::CompletionOrder;
use crate::contain::{FirstPanic, contain};

/// Decides when a turn ends, and makes each poll of it.
///
/// One value serves one turn, which is one poll of the combinator.
pub(crate) trait Schedule {
    /// Polls child `index`.
    #[inline]
    fn poll<F: Future>(
        &mut self,
        index: usize,
        slot: Pin<&mut Slot<F>>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let _ = index;
        slot.poll(context)
    }

    /// Whether to poll one more child in this turn, after the poll of one that has finished or not. If not, the
    /// rest waits for the next turn. Every turn polls a first child.
    fn should_continue(&mut self, has_ended: bool) -> bool;
}

/// The result of a turn. If there is more to do, the parent was woken or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Every child has settled.
    Settled,
    /// The batch is over: each child that was woken before it began has been polled.
    Waiting,
    /// The schedule ended the turn before the batch was over.
    Paused,
}

/// The state of one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It was never polled.
    Unstarted,
    /// It was woken after its last poll began.
    Woken,
    /// It was not woken, and something holds its waker.
    Waiting,
    /// It was not woken and nothing holds its waker, so it will never be polled again.
    Unwakeable,
    /// It has returned its output.
    Done,
    /// It has panicked.
    Panicked,
    /// It was abandoned, or its outcome was taken.
    Gone,
}

impl State {
    /// Whether the child finished by itself, with an output or a panic.
    pub(crate) fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Panicked)
    }
}

/// The children of one combinator, from the first poll to the last.
#[pin_project(PinnedDrop)]
pub(crate) struct Children<S: Slots> {
    #[pin]
    slots: S,
    line: Line,
    /// Whether a child has panicked.
    has_panicked: bool,
    /// Whether the first panic resumes after all have settled. If not, panics are outputs.
    resumes_panics: bool,
}

impl<S: Slots> Children<S> {
    #[inline]
    pub(crate) fn new(slots: S) -> Self {
        Self {
            line: Line::new(slots.count()),
            slots,
            has_panicked: false,
            resumes_panics: true,
        }
    }

    /// Limits how many children are in flight at once: started and not finished.
    pub(crate) fn limit(&mut self, at_most: usize) {
        self.line.limit(at_most);
    }

    /// Keeps panics as outputs, and resumes none.
    pub(crate) fn catch_panics(&mut self) {
        self.resumes_panics = false;
    }

    /// Whether a limit is below the number of children.
    pub(crate) fn is_limited(&self) -> bool {
        self.line.limit_below(self.len())
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.count()
    }

    /// Releases all wakers and returns the order in which the children finished.
    #[inline]
    pub(crate) fn take_order(self: Pin<&mut Self>) -> CompletionOrder {
        self.project().line.take_order()
    }

    /// The slots, by their own type.
    pub(crate) fn slots_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        self.project().slots
    }

    /// Makes the next turn begin a batch of every child woken so far and every child that may start now.
    /// No other child starts after that.
    pub(crate) fn begin_last_batch(&mut self) {
        self.line.begin_last_batch();
    }

    /// Wakes every started, pending child, and makes the next turn begin a batch.
    #[cfg(feature = "tokio")]
    pub(crate) fn wake_pending(self: Pin<&mut Self>) {
        let this = self.project();
        this.line.put_pending(this.slots);
        this.line.begin_batch();
    }

    /// Polls each child of the batch once, until `schedule` ends the turn: first the woken children, in
    /// wake-up order, then the startable children. Begins a new batch if the last one is over.
    #[inline]
    pub(crate) fn turn(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        schedule: &mut impl Schedule,
    ) -> Turn {
        #[cfg(feature = "tokio")]
        {
            let this = self.as_mut().project();
            this.line.end_steps(this.slots);
        }
        let this = self.as_mut().project();
        this.line.begin_turn(this.slots, context.waker());
        self.polls_of_turn(context, schedule)
    }

    /// Polls one child that `choose` picks among the woken and startable children, if there are any.
    /// `schedule` must end the turn after that poll.
    #[cfg(feature = "tokio")]
    pub(crate) fn step(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        choose: impl FnOnce(&[u32]) -> usize,
        schedule: &mut impl Schedule,
    ) -> Turn {
        let this = self.as_mut().project();
        this.line.begin_step(this.slots, choose);
        self.polls_of_turn(context, schedule)
    }

    /// The number that identifies this combinator in an explored run.
    #[cfg(feature = "tokio")]
    pub(crate) fn number(self: Pin<&mut Self>, new: impl FnOnce() -> u32) -> u32 {
        self.project().line.number(new)
    }

    /// Whether child `index` has not finished.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_pending(&self, index: usize) -> bool {
        self.slots.note(index).holds() == Holds::Future
    }

    /// Makes the polls of a turn that [`Line`] has begun.
    #[inline]
    fn polls_of_turn(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        schedule: &mut impl Schedule,
    ) -> Turn {
        let mut this = self.project();
        // One `contain` around all polls, not one for each: it is set up again only after a panic.
        while let Err(panic) = contain(|| poll_each(this.slots.as_mut(), this.line, schedule)) {
            let polled = this.line.polled();
            // Before the drop in `end_with`: a child that wakes itself there must not wake the parent.
            this.line.end(polled);
            let slot = this.slots.as_mut().slot_mut(polled as usize);
            slot.end_with(panic);
            *this.has_panicked = true;
            if !schedule.should_continue(true) {
                break;
            }
        }
        if this.line.have_all_ended() {
            Turn::Settled
        } else if this.line.end_turn(this.slots, context.waker()) {
            Turn::Waiting
        } else {
            Turn::Paused
        }
    }

    /// Returns the state of child `index`.
    pub(crate) fn state(&self, index: usize) -> State {
        match self.slots.note(index).holds() {
            Holds::Output => State::Done,
            Holds::Panic => State::Panicked,
            Holds::Nothing => State::Gone,
            Holds::Future if self.polls(index) == 0 => State::Unstarted,
            Holds::Future => match self.line.wakes_of(&self.slots, to_u32(index)) {
                (true, _) => State::Woken,
                (false, true) => State::Waiting,
                (false, false) => State::Unwakeable,
            },
        }
    }

    /// How often child `index` was polled.
    pub(crate) fn polls(&self, index: usize) -> usize {
        self.slots.note(index).polls() as usize
    }

    /// Drops every pending child, in the order of their indices. A child that panics in `drop` has
    /// settled by that panic.
    pub(crate) fn abandon(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.line.leave_parent_alone();
        for index in 0..this.slots.count() {
            if this.slots.note(index).holds() != Holds::Future {
                continue;
            }
            this.slots.as_mut().slot_mut(index).abandon();
            if this.slots.note(index).holds() == Holds::Panic {
                *this.has_panicked = true;
                this.line.end(to_u32(index));
            }
        }
    }

    /// Drops everything and takes the first panic in time, if a child has panicked and panics resume.
    /// Otherwise does nothing.
    #[inline]
    pub(crate) fn first_panic(self: Pin<&mut Self>) -> FirstPanic {
        if self.has_panicked && self.resumes_panics {
            self.take_first_panic()
        } else {
            FirstPanic::default()
        }
    }

    #[cold]
    fn take_first_panic(mut self: Pin<&mut Self>) -> FirstPanic {
        let mut panics = FirstPanic::default();
        *self.as_mut().project().has_panicked = false;
        let order = self.as_mut().take_order();
        let mut slots = self.as_mut().slots_mut();
        for index in order.iter() {
            if let Some(panic) = slots.as_mut().slot_mut(index).take_panic() {
                panics.note(panic);
            }
        }
        self.clear(&mut panics);
        panics
    }

    /// Stops the wake-ups of the parent, and resumes the first panic from a destructor.
    #[inline(never)]
    fn stop(mut self: Pin<&mut Self>) {
        // A child that is dropped may wake another; that must not wake the parent any more.
        self.as_mut().project().line.leave_parent_alone();
        // A panic held back until all had settled is not swallowed. The slots drop the rest.
        self.first_panic().resume_in_drop();
    }

    /// Drops what each slot still holds, in the order of their indices, and notes the panics.
    pub(crate) fn clear(self: Pin<&mut Self>, panics: &mut FirstPanic) {
        let mut this = self.project();
        for index in 0..this.slots.count() {
            if let Some(panic) = this.slots.as_mut().slot_mut(index).clear() {
                panics.note(panic);
            }
        }
    }
}

impl<F: Future> Children<List<F>> {
    /// Replaces each future with the result of `wrap` on it and its index. Returns `None`, and drops the
    /// futures, if one of them was polled.
    pub(crate) fn wrap<G: Future>(
        mut self,
        wrap: impl FnMut((usize, Pin<Box<F>>)) -> G,
    ) -> Option<Children<List<G>>> {
        let futures = Pin::new(&mut self.slots).take_unpolled()?;
        Some(Children {
            slots: List::collect(futures.enumerate().map(wrap)),
            line: mem::replace(&mut self.line, Line::new(0)),
            has_panicked: self.has_panicked,
            resumes_panics: self.resumes_panics,
        })
    }
}

/// Polls one child after the other, until the batch or the schedule ends.
///
/// Unwinds if a child panics, the one that was [polled](Line::polled). Another call resumes after it.
fn poll_each(mut slots: Pin<&mut impl Slots>, line: &mut Line, schedule: &mut impl Schedule) {
    while let Some(index) = line.next_woken(slots.as_mut()) {
        if !poll_one(slots.as_mut(), line, schedule, index) {
            return;
        }
    }
    while let Some(index) = line.start_next() {
        if !poll_one(slots.as_mut(), line, schedule, index) {
            return;
        }
    }
}

/// Polls child `index`. Returns whether the turn continues.
#[expect(
    clippy::inline_always,
    reason = "the compiler would not, and each poll would cost a call"
)]
#[inline(always)]
fn poll_one(
    mut slots: Pin<&mut impl Slots>,
    line: &mut Line,
    schedule: &mut impl Schedule,
    index: u32,
) -> bool {
    let (polled, woke_itself) = line.lend(index, |context| {
        let poll = PollBy {
            index: index as usize,
            context,
            schedule,
        };
        slots.as_mut().visit(index as usize, poll)
    });
    if polled.is_ready() {
        line.end(index);
        return schedule.should_continue(true);
    }
    if woke_itself {
        line.put(slots, index);
    }
    // In this order: the schedule may have to ask the runtime.
    line.has_next() && schedule.should_continue(false)
}

/// Lets the schedule poll the child in the visited slot.
struct PollBy<'a, 'c, S> {
    index: usize,
    context: &'a mut Context<'c>,
    schedule: &'a mut S,
}

impl<S: Schedule> Visit for PollBy<'_, '_, S> {
    type Output = Poll<()>;

    #[inline]
    fn visit<F: Future>(self, slot: Pin<&mut Slot<F>>) -> Poll<()> {
        self.schedule.poll(self.index, slot, self.context)
    }
}

/// The index of a child, as wakers store it.
fn to_u32(index: usize) -> u32 {
    u32::try_from(index).expect("an index is below the number of children")
}

#[pinned_drop]
impl<S: Slots> PinnedDrop for Children<S> {
    #[inline]
    fn drop(mut self: Pin<&mut Self>) {
        // Apart, so that a join that nobody can wake any more costs no registers.
        if self.has_panicked || self.line.may_wake_parent() {
            self.as_mut().stop();
        }
    }
}
