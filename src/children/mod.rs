//! The engine: n pinned children in one place, each polled only when it was woken, in the order
//! of the wakes, its panics contained.
//!
//! The combinators stand on [`Children`] and know nothing of wakers; the engine knows nothing of
//! runtimes, names or errors. What comes from above is a [`Schedule`].

mod slots;
mod wake;

use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::task::Context;

use pin_project::{pin_project, pinned_drop};

pub(crate) use self::slots::List;
pub use self::slots::{End, Holds, Link, Links, Row, Seat, Slot, Slots};
use self::wake::WakeQueue;
use crate::contain::FirstPanic;

/// Decides which of the woken children is polled next, and when a turn ends.
///
/// One value serves one turn, which is one poll of the combinator.
pub(crate) trait Schedule {
    /// Takes the next child to poll out of `woken`, which holds the children in the order of
    /// their wakes and is not empty. `None` ends the turn; the rest stays for the next one.
    fn next(&mut self, woken: &mut VecDeque<usize>) -> Option<usize>;
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
    /// It was woken, or is about to have its first poll.
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
    /// The children to be polled, in the order of their wakes.
    woken: VecDeque<usize>,
    /// How many polls are left of the batch: of the children that were woken before it began or
    /// are started in it. They are the first ones of `woken`. A batch may take several turns but
    /// has an end, even if children wake themselves for ever.
    batch: usize,
    /// How many have been queued for their first poll, in the order of their indices.
    started: usize,
    limit: usize,
    /// Whether a panic of a child goes on in the end. If not it is an output like any other.
    panics_go_on: bool,
    /// The indices of those that have ended, in the order in which they did.
    completed: Vec<usize>,
}

impl<S: Slots> Children<S> {
    pub(crate) fn new(slots: S) -> Self {
        let len = slots.count();
        Self {
            slots,
            wakes: WakeQueue::new(len),
            woken: VecDeque::new(),
            batch: 0,
            started: 0,
            limit: usize::MAX,
            panics_go_on: true,
            completed: Vec::with_capacity(len),
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

    /// The indices of the children that have ended, in the order in which they did.
    pub(crate) fn completed(&self) -> &[usize] {
        &self.completed
    }

    /// As [`completed`](Self::completed), by value.
    pub(crate) fn take_completed(&mut self) -> Vec<usize> {
        mem::take(&mut self.completed)
    }

    /// The slots, for what their own type knows.
    pub(crate) fn slots_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        self.project().slots
    }

    /// Makes the next turn begin a batch of all children that are woken by then.
    pub(crate) fn begin_batch(&mut self) {
        self.batch = 0;
    }

    /// Gives each child of the batch one poll, in the order that `schedule` decides; if the last
    /// turn came to the end of its batch, begins the next.
    pub(crate) fn turn(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        schedule: &mut impl Schedule,
    ) -> Turn {
        let mut this = self.project();
        let len = this.slots.count();
        // First the waker, then the queue: a wake between the two is taken, one after them finds
        // the waker.
        this.wakes.register(context.waker());
        // One that has ended since its wake has nothing to poll.
        let pending = |index: &usize| this.slots.slot(*index).holds() == Holds::Future;
        let woken = this.wakes.take().into_iter().filter(pending);
        this.woken.extend(woken);
        if *this.batch == 0 {
            *this.batch = this.woken.len();
        }
        loop {
            while *this.started < len && *this.started - this.completed.len() < *this.limit {
                this.woken.insert(*this.batch, *this.started);
                *this.batch += 1;
                *this.started += 1;
            }
            if *this.batch == 0 {
                break;
            }
            let Some(index) = schedule.next(this.woken) else {
                break;
            };
            *this.batch -= 1;
            let waker = this.wakes.begin_poll(index);
            let seat = this.slots.as_mut().slot_mut(index);
            if seat.poll(&mut Context::from_waker(waker)).is_ready() {
                this.wakes.retire(index);
                this.completed.push(index);
            }
        }
        if this.completed.len() == len {
            return Turn::Settled;
        }
        if !this.woken.is_empty() {
            context.waker().wake_by_ref();
        }
        if *this.batch == 0 {
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
                this.completed.push(index);
            }
        }
    }

    /// Takes the panic that was first in time, after everything else was dropped. There is none if
    /// no child has panicked, or if panics are outputs.
    pub(crate) fn first_panic(mut self: Pin<&mut Self>) -> FirstPanic {
        let mut panics = FirstPanic::default();
        if self.panics_go_on {
            let this = self.as_mut().project();
            let mut slots = this.slots;
            for &index in &*this.completed {
                if let Some(panic) = slots.as_mut().slot_mut(index).take_panic() {
                    panics.note(panic);
                }
            }
        }
        if panics.is_some() {
            self.clear(&mut panics);
        }
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
