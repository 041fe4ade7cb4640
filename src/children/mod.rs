//! The engine: n pinned children in one place, each polled only when it was woken, in the order
//! of the wakes, its panics contained.
//!
//! The combinators stand on [`Children`] and know nothing of wakers; the engine knows nothing of
//! runtimes, names or errors. What comes from above is a [`Schedule`].

mod slots;
mod wake;
#[cfg(all(test, straggler_loom))]
mod wake_loom;

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};

pub use self::slots::{End, Holds, Link, Links, Row, Seat, Slot, Slots};
pub(crate) use self::slots::{Ended, List};
pub(crate) use self::wake::CompletionOrder;
use self::wake::WakeQueue;
use crate::contain::FirstPanic;

/// Decides when a turn ends, and stands by at each poll.
///
/// One value serves one turn, which is one poll of the combinator.
pub(crate) trait Schedule {
    /// Whether one more child is polled in this turn. If not the rest stays for the next one.
    fn goes_on(&self) -> bool;

    /// Polls child `index`.
    #[inline]
    fn poll<S: Seat + ?Sized>(
        &mut self,
        index: usize,
        seat: Pin<&mut S>,
        context: &mut Context<'_>,
    ) -> Poll<Ended> {
        let _ = index;
        seat.poll(context)
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
    wakes: WakeQueue,
    /// How many polls are left of the batch: of the children that were woken before it began. A
    /// batch may take several turns but has an end, even if children wake themselves for ever.
    batch: usize,
    /// Whether the next turn begins a batch, though it may not have come to the end of the last.
    begins_batch: bool,
    /// How many children have had their first poll, in the order of their indices.
    started: usize,
    /// How many children may have it, which belongs to the batch.
    admitted: usize,
    limit: usize,
    /// Whether a child has panicked.
    has_panicked: bool,
    /// Whether a panic of a child goes on in the end. If not it is an output like any other.
    panics_go_on: bool,
}

impl<S: Slots> Children<S> {
    pub(crate) fn new(slots: S) -> Self {
        Self {
            wakes: WakeQueue::new(slots.count()),
            slots,
            batch: 0,
            begins_batch: true,
            started: 0,
            admitted: 0,
            limit: usize::MAX,
            has_panicked: false,
            panics_go_on: true,
        }
    }

    /// Lets at most `at_most` children be in flight at once: started and not at their end.
    pub(crate) fn limit(&mut self, at_most: usize) {
        self.limit = at_most;
    }

    /// Makes panics outputs like any other.
    pub(crate) fn catch_panics(&mut self) {
        self.panics_go_on = false;
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.count()
    }

    /// Lets go of all wakers, and returns the order in which the children ended.
    pub(crate) fn take_order(self: Pin<&mut Self>) -> CompletionOrder {
        mem::replace(self.project().wakes, WakeQueue::new(0)).into_order()
    }

    /// The slots, for what their own type knows.
    pub(crate) fn slots_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        self.project().slots
    }

    /// Makes the next turn begin a batch of all children that are woken by then.
    pub(crate) fn begin_batch(&mut self) {
        self.begins_batch = true;
    }

    /// Wakes every child that was started and is pending, and makes the next turn begin a batch.
    #[cfg(feature = "tokio")]
    pub(crate) fn wake_pending(self: Pin<&mut Self>) {
        let this = self.project();
        // First, so that no wake below finds the parent asleep and wakes it.
        let slots = &this.slots;
        this.wakes
            .take(|index| slots.slot(index).holds() == Holds::Future);
        for index in 0..*this.started {
            if this.slots.slot(index).holds() == Holds::Future {
                this.wakes
                    .lend(index, |context| context.waker().wake_by_ref());
            }
        }
        *this.begins_batch = true;
    }

    /// Gives each child of the batch one poll, as far as `schedule` lets it: those that were woken,
    /// in the order of their wakes, then those that may start. If the last turn came to the end of
    /// its batch, begins the next.
    pub(crate) fn turn(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        schedule: &mut impl Schedule,
    ) -> Turn {
        let mut this = self.project();
        let len = this.slots.count();
        let slots = &this.slots;
        this.wakes
            .take(|index| slots.slot(index).holds() == Holds::Future);
        if mem::take(this.begins_batch) {
            *this.batch = this.wakes.woken();
        }
        loop {
            let room = this
                .limit
                .saturating_sub(*this.admitted - this.wakes.ended());
            *this.admitted += room.min(len - *this.admitted);
            if *this.batch == 0 && *this.started == *this.admitted || !schedule.goes_on() {
                break;
            }
            let woken = if *this.batch > 0 {
                this.wakes.pop()
            } else {
                None
            };
            let index = woken.unwrap_or(*this.started);
            match woken {
                Some(_) => *this.batch -= 1,
                None => *this.started += 1,
            }
            let seat = this.slots.as_mut().slot_mut(index);
            let poll = |context: &mut Context<'_>| schedule.poll(index, seat, context);
            let polled = this.wakes.lend(index, poll);
            schedule.polled(polled.is_ready());
            if let Poll::Ready(ended) = polled {
                *this.has_panicked |= ended == Ended::Panicked;
                this.wakes.end(index);
            }
        }
        if this.wakes.ended() == len {
            return Turn::Settled;
        }
        let has_more = this.wakes.woken() > 0 || *this.started < *this.admitted;
        if has_more || !this.wakes.sleep(context.waker()) {
            context.waker().wake_by_ref();
        }
        if *this.batch == 0 && *this.started == *this.admitted {
            *this.begins_batch = true;
            Turn::Waiting
        } else {
            Turn::Paused
        }
    }

    /// Says how things stand with child `index`.
    pub(crate) fn state(&self, index: usize) -> State {
        match self.slots.slot(index).holds() {
            Holds::Output => State::Done,
            Holds::Panic => State::Panicked,
            Holds::Nothing => State::Gone,
            Holds::Future if self.polls(index) == 0 => State::Unstarted,
            // Who holds a waker is asked first: the last holder may be about to wake and let go.
            Holds::Future => match (self.wakes.is_held(index), self.wakes.is_woken(index)) {
                (_, true) => State::Woken,
                (true, false) => State::Waiting,
                (false, false) => State::Unwakeable,
            },
        }
    }

    /// How often child `index` was polled.
    pub(crate) fn polls(&self, index: usize) -> usize {
        self.slots.slot(index).polls()
    }

    /// Drops every child that has not ended, in the order of their indices. One whose drop panics
    /// has ended thereby.
    pub(crate) fn abandon(self: Pin<&mut Self>) {
        let mut this = self.project();
        for index in 0..this.slots.count() {
            if this.slots.slot(index).holds() != Holds::Future {
                continue;
            }
            this.slots.as_mut().slot_mut(index).abandon();
            if this.slots.slot(index).holds() == Holds::Panic {
                *this.has_panicked = true;
                this.wakes.end(index);
            }
        }
    }

    /// Takes the panic that was first in time, after everything else was dropped. There is none if
    /// no child has panicked, or if panics are outputs.
    pub(crate) fn first_panic(mut self: Pin<&mut Self>) -> FirstPanic {
        let mut panics = FirstPanic::default();
        if !self.has_panicked || !self.panics_go_on {
            return panics;
        }
        let order = self.as_mut().take_order();
        let mut slots = self.as_mut().slots_mut();
        for &index in order.indices() {
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

#[pinned_drop]
impl<S: Slots> PinnedDrop for Children<S> {
    fn drop(self: Pin<&mut Self>) {
        // Given up half-way, a panic that was held back is not swallowed. What else there is to
        // drop the slots drop.
        self.first_panic().resume_in_drop();
    }
}
