//! Where the children live: a [`Slot`] for each, which holds first the future and then what came
//! out of it, in one place that does not move.
//!
//! There are two ways to lay slots out, [`List`] for any number of futures of one type and
//! [`Row`] for a fixed number of futures of different types. Above this file they are the same.
//!
//! # Invariants
//!
//! 1. The slots of a `List` are never moved after `List::collect` has pinned them: nothing here
//!    hands out a `&mut [Slot<F>]` or a `&mut Slot<F>`, only `Pin<&mut Slot<F>>`.

#![expect(
    unsafe_code,
    reason = "std has no safe way to pin an element of a pinned slice"
)]

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};

use crate::contain::{FirstPanic, contain, discard};
use crate::panic::Panic;

/// The place of one child.
///
/// Dropping it drops what it holds, and discards a panic that it holds. Of several slots whose
/// contents panic when they are dropped, the first such panic goes on and the others are discarded:
/// so each is dropped, however slots are laid out, and none aborts the process.
#[pin_project(PinnedDrop)]
pub struct Slot<F: Future> {
    polls: usize,
    #[pin]
    content: Content<F>,
}

#[pin_project(project = ContentProjection, project_replace = ContentTaken)]
enum Content<F: Future> {
    Pending(#[pin] F),
    Done(F::Output),
    Panicked(Panic),
    Empty,
}

/// How a future came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(unnameable_types, reason = "the engine alone meets it")]
pub enum Ended {
    /// It returned an output.
    Done,
    /// It panicked, while it was polled or when it was dropped.
    Panicked,
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A future that has not come to its end.
    Future,
    /// The output of a future that has.
    Output,
    /// The panic that a future ended with.
    Panic,
    /// Nothing any more.
    Nothing,
}

/// What the engine does with a slot whose future's type it does not know.
pub trait Seat {
    /// Polls the future. It is dropped as soon as it is done or has panicked, and a panic stays
    /// in the slot.
    ///
    /// # Panics
    ///
    /// If the slot holds no future.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended>;

    /// Drops the future, if the slot holds one. If that panics, the slot holds the panic.
    fn abandon(self: Pin<&mut Self>);

    /// Takes the panic out of the slot, if it holds one.
    fn take_panic(self: Pin<&mut Self>) -> Option<Panic>;

    /// Drops whatever the slot holds; a panic that it held, or that this causes, is returned.
    fn clear(self: Pin<&mut Self>) -> Option<Panic>;

    /// Says what the slot holds.
    fn holds(&self) -> Holds;

    /// How often the future was polled.
    fn polls(&self) -> usize;
}

impl<F: Future> Slot<F> {
    pub(crate) fn new(future: F) -> Self {
        Self {
            polls: 0,
            content: Content::Pending(future),
        }
    }

    /// Returns the output without taking it out of the slot.
    pub(crate) fn output(&self) -> Option<&F::Output> {
        match &self.content {
            Content::Done(output) => Some(output),
            _ => None,
        }
    }

    /// Takes what came out of the future, if it has come to its end.
    pub(crate) fn take_outcome(self: Pin<&mut Self>) -> Option<Result<F::Output, Panic>> {
        if self.holds() == Holds::Future {
            return None;
        }
        match self.project().content.project_replace(Content::Empty) {
            ContentTaken::Done(output) => Some(Ok(output)),
            ContentTaken::Panicked(panic) => Some(Err(panic)),
            ContentTaken::Pending(_) | ContentTaken::Empty => None,
        }
    }

    /// Drops the future, which leaves the slot empty also when that panics.
    fn drop_future(self: Pin<&mut Self>) -> Result<(), Panic> {
        // The replacement is made even while the drop unwinds: pin-project sees to that.
        contain(|| drop(self.project().content.project_replace(Content::Empty)))
    }
}

impl<F: Future> Seat for Slot<F> {
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended> {
        let this = self.as_mut().project();
        let ContentProjection::Pending(future) = this.content.project() else {
            unreachable!("only a child that is pending is queued");
        };
        *this.polls += 1;
        let ended = match contain(|| future.poll(context)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) if !mem::needs_drop::<F>() => {
                self.project().content.set(Content::Done(output));
                return Poll::Ready(Ended::Done);
            }
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        let outcome = match (ended, self.as_mut().drop_future()) {
            (Ok(output), Ok(())) => Content::Done(output),
            (Ok(output), Err(panic)) => {
                if let Err(later) = contain(|| drop(output)) {
                    discard(later);
                }
                Content::Panicked(panic)
            }
            (Err(panic), dropped) => {
                if let Err(later) = dropped {
                    discard(later);
                }
                Content::Panicked(panic)
            }
        };
        let ended = match outcome {
            Content::Panicked(_) => Ended::Panicked,
            _ => Ended::Done,
        };
        self.project().content.set(outcome);
        Poll::Ready(ended)
    }

    fn abandon(mut self: Pin<&mut Self>) {
        if self.holds() == Holds::Future {
            if let Err(panic) = self.as_mut().drop_future() {
                self.project().content.set(Content::Panicked(panic));
            }
        }
    }

    fn take_panic(self: Pin<&mut Self>) -> Option<Panic> {
        if self.holds() != Holds::Panic {
            return None;
        }
        self.take_outcome()?.err()
    }

    fn clear(mut self: Pin<&mut Self>) -> Option<Panic> {
        self.as_mut().abandon();
        match self.take_outcome()? {
            Ok(output) => contain(|| drop(output)).err(),
            Err(panic) => Some(panic),
        }
    }

    fn holds(&self) -> Holds {
        match self.content {
            Content::Pending(_) => Holds::Future,
            Content::Done(_) => Holds::Output,
            Content::Panicked(_) => Holds::Panic,
            Content::Empty => Holds::Nothing,
        }
    }

    fn polls(&self) -> usize {
        self.polls
    }
}

impl<F: Future> fmt::Debug for Slot<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("holds", &self.holds())
            .field("polls", &self.polls)
            .finish_non_exhaustive()
    }
}

#[pinned_drop]
impl<F: Future> PinnedDrop for Slot<F> {
    fn drop(mut self: Pin<&mut Self>) {
        if self.holds() == Holds::Nothing {
            return;
        }
        if let Some(panic) = self.as_mut().take_panic() {
            discard(panic);
        }
        let mut panics = FirstPanic::default();
        if let Some(panic) = self.clear() {
            panics.note(panic);
        }
        panics.resume_in_drop();
    }
}

/// A fixed layout of slots, reached by the index of their child.
pub trait Slots {
    /// What the engine knows of one slot: its own type where all are alike, so that calls are
    /// direct, else a trait object.
    type Slot<'a>: Seat + ?Sized
    where
        Self: 'a;

    /// How many children there are.
    fn count(&self) -> usize;

    /// The slot of child `index`, which is below `count`.
    fn slot(&self, index: usize) -> &Self::Slot<'_>;

    /// The slot of child `index`, which is below `count`, pinned.
    fn slot_mut(self: Pin<&mut Self>, index: usize) -> Pin<&mut Self::Slot<'_>>;
}

/// Any number of futures of one type, on the heap.
pub(crate) struct List<F: Future>(Pin<Box<[Slot<F>]>>);

impl<F: Future> List<F> {
    /// Collects the futures.
    ///
    /// If the iterator panics, or an item's `into_future`, the futures that are there by then are
    /// dropped and the panic goes on.
    pub(crate) fn collect<I>(futures: I) -> Self
    where
        I: IntoIterator,
        I::Item: IntoFuture<IntoFuture = F>,
    {
        let futures = futures.into_iter();
        let mut slots = Vec::new();
        // Only a hint: room that cannot be had is no error yet, and room that was reserved for
        // nothing is given back below.
        if let (lower, Some(upper)) = futures.size_hint() {
            if lower == upper {
                _ = slots.try_reserve_exact(lower);
            }
        }
        for future in futures {
            slots.push(Slot::new(future.into_future()));
        }
        Self(Box::into_pin(slots.into_boxed_slice()))
    }
}

impl<F: Future> Slots for List<F> {
    type Slot<'a>
        = Slot<F>
    where
        F: 'a;

    fn count(&self) -> usize {
        self.0.len()
    }

    fn slot(&self, index: usize) -> &Slot<F> {
        &self.0[index]
    }

    fn slot_mut(self: Pin<&mut Self>, index: usize) -> Pin<&mut Slot<F>> {
        let slots = self.get_mut().0.as_mut();
        // SAFETY: a slot is pinned with the slice it lies in, which never moves, and the slice is
        // not used to move out of the slot (invariant 1).
        unsafe { slots.map_unchecked_mut(|slots| &mut slots[index]) }
    }
}

/// A fixed number of futures of different types, in line.
///
/// A macro builds it without recursion, and with the futures evaluated in the order in which they
/// were written: `Row::empty().and(first).and(second)`.
#[derive(Debug)]
#[pin_project]
pub struct Row<L>(#[pin] L);

impl Row<End> {
    /// Makes a row without futures.
    #[must_use]
    pub fn empty() -> Self {
        Self(End)
    }
}

impl<L: Links> Row<L> {
    /// Adds a future at the end.
    #[must_use]
    pub fn and<F: Future>(self, slot: Slot<F>) -> Row<Link<L, F>> {
        Row(Link {
            init: self.0,
            last: slot,
        })
    }

    /// The links of the row, for what their own types know.
    pub(crate) fn links(self: Pin<&mut Self>) -> Pin<&mut L> {
        self.project().0
    }
}

impl<L: Links> Slots for Row<L> {
    type Slot<'a>
        = dyn Seat + 'a
    where
        L: 'a;

    fn count(&self) -> usize {
        L::COUNT
    }

    fn slot(&self, index: usize) -> &(dyn Seat + '_) {
        self.0.link(index)
    }

    fn slot_mut(self: Pin<&mut Self>, index: usize) -> Pin<&mut (dyn Seat + '_)> {
        self.project().0.link_mut(index)
    }
}

/// The end of a [`Row`]'s links.
#[derive(Debug)]
pub struct End;

/// The links before, and one slot more. The first future is the innermost.
#[derive(Debug)]
#[pin_project]
pub struct Link<Init, F: Future> {
    #[pin]
    pub(crate) init: Init,
    #[pin]
    pub(crate) last: Slot<F>,
}

/// The slots of a [`Row`], reached by the index of their child.
///
/// It stands beside [`Slots`] because a bound on the slot type of `Init`, for every lifetime,
/// would demand `'static` futures.
pub trait Links {
    /// How many links there are.
    const COUNT: usize;

    /// The slot of link `index`, which is below `COUNT`.
    fn link(&self, index: usize) -> &(dyn Seat + '_);

    /// The slot of link `index`, which is below `COUNT`, pinned.
    fn link_mut(self: Pin<&mut Self>, index: usize) -> Pin<&mut (dyn Seat + '_)>;
}

impl Links for End {
    const COUNT: usize = 0;

    fn link(&self, _: usize) -> &(dyn Seat + '_) {
        unreachable!("an index is below the number of links")
    }

    fn link_mut(self: Pin<&mut Self>, _: usize) -> Pin<&mut (dyn Seat + '_)> {
        unreachable!("an index is below the number of links")
    }
}

impl<Init: Links, F: Future> Links for Link<Init, F> {
    const COUNT: usize = Init::COUNT + 1;

    fn link(&self, index: usize) -> &(dyn Seat + '_) {
        if index == Init::COUNT {
            &self.last
        } else {
            self.init.link(index)
        }
    }

    fn link_mut(self: Pin<&mut Self>, index: usize) -> Pin<&mut (dyn Seat + '_)> {
        let this = self.project();
        if index == Init::COUNT {
            this.last
        } else {
            this.init.link_mut(index)
        }
    }
}
