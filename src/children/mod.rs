//! The engine: n pinned children in one place, each polled only when it was woken, in the order
//! of the wakes, its panics contained.
//!
//! The combinators stand on [`Children`] and know nothing of wakers; the engine knows nothing of
//! runtimes, names or errors. What comes from above is a [`Schedule`].

mod line;
mod slots;
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

/// Decides when a turn ends, and stands by at each poll.
///
/// One value serves one turn, which is one poll of the combinator.
pub(crate) trait Schedule {
    /// Whether one more child is polled in this turn. If not the rest stays for the next one.
    fn should_continue(&self) -> bool;

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

    /// Notes that a child was polled, and whether it ended.
    fn polled(&mut self, has_ended: bool);
}

/// What a turn came to. Where there is more to do the parent was woken, or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Every child has settled.
    Settled,
    /// The batch is at its end: each child that was woken before it began has been polled.
    Waiting,
    /// The schedule ended the turn before the batch was at its end.
    Paused,
}

/// How things stand with one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It was never polled.
    Unstarted,
    /// It was woken since its last poll began.
    Woken,
    /// It was not woken, and something holds its waker.
    Waiting,
    /// It was not woken, and nothing holds its waker: it will never be polled again.
    Unwakeable,
    /// It is done.
    Done,
    /// It has panicked.
    Panicked,
    /// It was given up, or what it came to was taken.
    Gone,
}

impl State {
    /// Whether the child came to its end by itself.
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
    /// Whether a panic of a child goes on in the end. If not it is an output like any other.
    panics_go_on: bool,
}

impl<S: Slots> Children<S> {
    #[inline]
    pub(crate) fn new(slots: S) -> Self {
        Self {
            line: Line::new(slots.count()),
            slots,
            has_panicked: false,
            panics_go_on: true,
        }
    }

    /// Lets at most `at_most` children be in flight at once: started and not at their end.
    pub(crate) fn limit(&mut self, at_most: usize) {
        self.line.limit(at_most);
    }

    /// Makes panics outputs like any other.
    pub(crate) fn catch_panics(&mut self) {
        self.panics_go_on = false;
    }

    /// Whether not all children may be in flight at once.
    pub(crate) fn is_limited(&self) -> bool {
        self.line.limit_below(self.len())
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.count()
    }

    /// Lets go of all wakers, and returns the order in which the children ended.
    #[inline]
    pub(crate) fn take_order(self: Pin<&mut Self>) -> CompletionOrder {
        self.project().line.take_order()
    }

    /// The slots, for what their own type knows.
    pub(crate) fn slots_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        self.project().slots
    }

    /// Makes the next turn begin a batch of all children that are woken by then, and of those that
    /// may start by now. From here on no other child may.
    pub(crate) fn begin_last_batch(&mut self) {
        self.line.begin_last_batch();
    }

    /// Wakes every child that was started and is pending, and makes the next turn begin a batch.
    #[cfg(feature = "tokio")]
    pub(crate) fn wake_pending(self: Pin<&mut Self>) {
        let this = self.project();
        this.line.put_pending(this.slots);
        this.line.begin_batch();
    }

    /// Gives each child of the batch one poll, as far as `schedule` lets it: those that were woken,
    /// in the order of their wakes, then those that may start. If the last turn came to the end of
    /// its batch, begins the next.
    #[inline]
    pub(crate) fn turn(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        schedule: &mut impl Schedule,
    ) -> Turn {
        let this = self.as_mut().project();
        this.line.begin_turn(this.slots, context.waker());
        self.polls_of_turn(context, schedule)
    }

    /// Gives one child a poll: the one that `choose` picks among the children that are woken or may
    /// start, if there are any. `schedule` is to end the turn then.
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

    /// The number by which somebody who chooses among children knows these.
    #[cfg(feature = "tokio")]
    pub(crate) fn number(self: Pin<&mut Self>, new: impl FnOnce() -> u32) -> u32 {
        self.project().line.number(new)
    }

    /// Whether child `index` has not ended.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_pending(&self, index: usize) -> bool {
        self.slots.note(index).holds() == Holds::Future
    }

    /// Makes the polls of a turn that has begun.
    #[inline]
    fn polls_of_turn(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        schedule: &mut impl Schedule,
    ) -> Turn {
        let mut this = self.project();
        let mut polling = 0;
        // All polls are made in one go, which only a panic interrupts.
        while let Err(panic) = contain(|| {
            let slots = this.slots.as_mut();
            poll_each(slots, this.line, schedule, &mut polling);
        }) {
            // First, since it may be woken when it is dropped, which is nothing that the parent has to
            // come for.
            this.line.end(polling);
            let slot = this.slots.as_mut().slot_mut(polling as usize);
            slot.end_with(panic);
            schedule.polled(true);
            *this.has_panicked = true;
        }
        if this.line.have_all_ended() {
            Turn::Settled
        } else if this.line.end_turn(this.slots, context.waker()) {
            Turn::Waiting
        } else {
            Turn::Paused
        }
    }

    /// Says how things stand with child `index`.
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

    /// Drops every child that has not ended, in the order of their indices. One whose drop panics
    /// has ended thereby.
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

    /// Takes the panic that was first in time, after everything else was dropped. There is none if
    /// no child has panicked, or if panics are outputs.
    #[inline]
    pub(crate) fn first_panic(self: Pin<&mut Self>) -> FirstPanic {
        if self.has_panicked && self.panics_go_on {
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

    /// Drops whatever is left of each child, in the order of their indices, and keeps the first
    /// panic.
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
    /// The same children with the futures that `wrap` makes of theirs, by their indices. If one of
    /// them was polled there is no such thing, and they are dropped.
    pub(crate) fn wrap<G: Future>(
        mut self,
        wrap: impl FnMut((usize, F)) -> G,
    ) -> Option<Children<List<G>>> {
        let futures = Pin::new(&mut self.slots).take_unpolled()?;
        Some(Children {
            slots: List::collect(futures.enumerate().map(wrap)),
            line: mem::replace(&mut self.line, Line::new(0)),
            has_panicked: self.has_panicked,
            panics_go_on: self.panics_go_on,
        })
    }
}

/// Polls one child after the other, until the batch or the schedule ends. A panic of child `polling`
/// comes out of it, and it can be gone on with.
fn poll_each(
    mut slots: Pin<&mut impl Slots>,
    line: &mut Line,
    schedule: &mut impl Schedule,
    polling: &mut u32,
) {
    while let Some(index) = line.next(slots.as_mut(), || schedule.should_continue()) {
        *polling = index;
        let (polled, woke_itself) = line.lend(index, |context| {
            let poll = PollBy {
                index: index as usize,
                context,
                schedule,
            };
            slots.as_mut().visit(index as usize, poll)
        });
        match polled {
            Poll::Ready(()) => line.end(index),
            Poll::Pending if woke_itself => line.put(slots.as_mut(), index),
            Poll::Pending => {}
        }
        schedule.polled(polled.is_ready());
    }
}

/// Has a schedule poll the child whose slot is visited.
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

/// The number by which wakers know child `index`.
fn to_u32(index: usize) -> u32 {
    u32::try_from(index).expect("an index is below the number of children")
}

#[pinned_drop]
impl<S: Slots> PinnedDrop for Children<S> {
    #[inline]
    fn drop(mut self: Pin<&mut Self>) {
        // One that is dropped may wake another, and nobody is to come and look any more.
        self.as_mut().project().line.leave_parent_alone();
        // Given up half-way, a panic that was held back is not swallowed. What else there is to
        // drop the slots drop.
        self.first_panic().resume_in_drop();
    }
}
