//! Where the children live: a [`Slot`] for each, which holds first the future and then what came
//! out of it, in one place that does not move.
//!
//! There are two ways to lay slots out, [`List`] for any number of futures of one type and
//! [`Row`] for a fixed number of futures of different types. Above this file they are the same.
//!
//! # Invariants
//!
//! 1. A future of a `List` is pinned by its first poll, and by nothing else: its slot is pinned in
//!    name as soon as it is collected, but no foreign code has seen where a future lies that was
//!    never polled. `Note::polls` tells, which `Slot::poll` alone writes, before it polls.
//! 2. The slots of a `List` are not moved while one of them holds a future that was polled: nothing
//!    here hands out a `&mut [Slot<F>]` or a `&mut Slot<F>`, only `Pin<&mut Slot<F>>`, and slots are
//!    moved out of a list only by `take_all`, when none holds a future, and by `take_unpolled`, when
//!    none was polled.

#![expect(
    unsafe_code,
    reason = "std has no safe way to pin an element of a pinned slice"
)]

use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};

use super::woken::UNLINKED;
use crate::contain::{FirstPanic, contain, discard};
use crate::panic::Panic;

/// The place of one child.
///
/// Dropping it drops what it holds, and discards a panic that it holds. Of several slots whose
/// contents panic when they are dropped, the first such panic goes on and the others are discarded:
/// so each is dropped, however slots are laid out, and none aborts the process.
#[pin_project(PinnedDrop)]
pub struct Slot<F: Future> {
    note: Note,
    #[pin]
    content: Content<F>,
}

/// What the engine notes of a child. It is neither copied nor moved from child to child.
#[derive(Debug)]
#[expect(unnameable_types, reason = "the engine alone meets it")]
pub struct Note {
    /// How often the future was polled (invariant 1).
    polls: u32,
    /// The child's place in the list of the [woken](super::woken::Woken) ones.
    pub(super) link: u32,
    /// Whether the child was taken from the stack of wakes since its last poll began.
    pub(super) is_taken: bool,
}

impl Note {
    /// How often the future was polled.
    pub(super) fn polls(&self) -> u32 {
        self.polls
    }
}

#[pin_project(project = ContentProjection, project_replace = ContentTaken)]
enum Content<F: Future> {
    Pending(#[pin] F),
    Done(F::Output),
    /// In a box, so that slots are not larger than futures and outputs for the sake of panics.
    Panicked(Box<Panic>),
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
    /// Polls the future. It is dropped as soon as it is done; if that panics, the slot holds the
    /// panic.
    ///
    /// # Panics
    ///
    /// If the future does: then [`end_with`](Self::end_with) is to be called. And if the slot holds
    /// no future.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended>;

    /// Drops the future, if the slot holds one, and keeps the panic in its place.
    fn end_with(self: Pin<&mut Self>, panic: Panic);

    /// Drops the future, if the slot holds one. If that panics, the slot holds the panic.
    fn abandon(self: Pin<&mut Self>);

    /// Takes the panic out of the slot, if it holds one.
    fn take_panic(self: Pin<&mut Self>) -> Option<Panic>;

    /// Drops whatever the slot holds; a panic that it held, or that this causes, is returned.
    fn clear(self: Pin<&mut Self>) -> Option<Panic>;

    /// Says what the slot holds.
    fn holds(&self) -> Holds;
}

impl<F: Future> Slot<F> {
    #[inline]
    pub(crate) fn new(future: F) -> Self {
        Self {
            note: Note {
                polls: 0,
                link: UNLINKED,
                is_taken: false,
            },
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
    #[inline]
    pub(crate) fn take_outcome(self: Pin<&mut Self>) -> Option<Result<F::Output, Panic>> {
        if self.holds() == Holds::Future {
            return None;
        }
        match self.project().content.project_replace(Content::Empty) {
            ContentTaken::Done(output) => Some(Ok(output)),
            ContentTaken::Panicked(panic) => Some(Err(*panic)),
            ContentTaken::Pending(_) | ContentTaken::Empty => None,
        }
    }

    /// What came out of the future, if it has come to its end.
    #[inline]
    fn into_outcome(self) -> Option<Result<F::Output, Panic>> {
        match self.into_content() {
            Content::Done(output) => Some(Ok(output)),
            Content::Panicked(panic) => Some(Err(*panic)),
            Content::Pending(_) | Content::Empty => None,
        }
    }

    /// The future, if it has not come to its end.
    fn into_future(self) -> Option<F> {
        match self.into_content() {
            Content::Pending(future) => Some(future),
            Content::Done(_) | Content::Panicked(_) | Content::Empty => None,
        }
    }

    #[inline]
    fn into_content(self) -> Content<F> {
        let slot = ManuallyDrop::new(self);
        // SAFETY: the slot is not used any more, not even dropped; and if it held a future, that
        // was never pinned, since a slot that holds a pinned one is never moved (invariant 2).
        unsafe { ptr::read(&raw const slot.content) }
    }

    /// Drops the future, which leaves the slot empty also when that panics.
    fn drop_future(self: Pin<&mut Self>) -> Result<(), Panic> {
        // The replacement is made even while the drop unwinds: pin-project sees to that.
        contain(|| drop(self.project().content.project_replace(Content::Empty)))
    }
}

impl<F: Future> Seat for Slot<F> {
    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended> {
        let this = self.as_mut().project();
        this.note.polls = this.note.polls.saturating_add(1);
        let ContentProjection::Pending(future) = this.content.project() else {
            unreachable!("only a child that is pending is polled");
        };
        let Poll::Ready(output) = future.poll(context) else {
            return Poll::Pending;
        };
        if mem::needs_drop::<F>() {
            if let Err(panic) = self.as_mut().drop_future() {
                if let Err(later) = contain(|| drop(output)) {
                    discard(later);
                }
                self.project()
                    .content
                    .set(Content::Panicked(Box::new(panic)));
                return Poll::Ready(Ended::Panicked);
            }
        }
        self.project().content.set(Content::Done(output));
        Poll::Ready(Ended::Done)
    }

    fn end_with(mut self: Pin<&mut Self>, panic: Panic) {
        if let Err(later) = self.as_mut().drop_future() {
            discard(later);
        }
        self.project()
            .content
            .set(Content::Panicked(Box::new(panic)));
    }

    fn abandon(mut self: Pin<&mut Self>) {
        if self.holds() == Holds::Future {
            if let Err(panic) = self.as_mut().drop_future() {
                self.project()
                    .content
                    .set(Content::Panicked(Box::new(panic)));
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

    #[inline]
    fn holds(&self) -> Holds {
        match self.content {
            Content::Pending(_) => Holds::Future,
            Content::Done(_) => Holds::Output,
            Content::Panicked(_) => Holds::Panic,
            Content::Empty => Holds::Nothing,
        }
    }
}

impl<F: Future> fmt::Debug for Slot<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("holds", &self.holds())
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}

#[pinned_drop]
impl<F: Future> PinnedDrop for Slot<F> {
    #[inline]
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

    /// Visits the slot of child `index`, which is below `count`, by its own type.
    fn visit<V: Visit>(self: Pin<&mut Self>, index: usize, visit: V) -> V::Output;

    /// What is noted of child `index`, which is below `count`.
    fn note(&self, index: usize) -> &Note;

    /// As [`note`](Self::note), to change it.
    fn note_mut(self: Pin<&mut Self>, index: usize) -> &mut Note;
}

/// A closure over a slot of any type.
#[expect(unnameable_types, reason = "the engine alone meets it")]
pub trait Visit {
    /// What it returns.
    type Output;

    /// Calls it.
    fn visit<F: Future>(self, slot: Pin<&mut Slot<F>>) -> Self::Output;
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
        let slot = |future: I::Item| Slot::new(future.into_future());
        let mut slots = Vec::new();
        // Only a hint: room that cannot be had is no error yet, and room that was reserved for
        // nothing is given back below.
        match futures.size_hint() {
            (lower, Some(upper)) if lower == upper && slots.try_reserve_exact(lower).is_ok() => {
                slots.extend(futures.map(slot));
            }
            _ => futures.for_each(|future| slots.push(slot(future))),
        }
        Self(Box::into_pin(slots.into_boxed_slice()))
    }
}

impl<F: Future> List<F> {
    /// Takes all outcomes, in the order of their indices, once every future has come to its end.
    /// They may lie where the slots have lain: then nothing is allocated.
    ///
    /// # Panics
    ///
    /// If a slot holds a future still, or if `output` panics.
    pub(crate) fn take_all<O>(
        self: Pin<&mut Self>,
        output: impl Fn(Result<F::Output, Panic>) -> O,
    ) -> Vec<O> {
        let list = self.get_mut();
        assert!(
            list.0.iter().all(|slot| slot.holds() != Holds::Future),
            "every future has come to its end"
        );
        let slots = mem::replace(&mut list.0, Box::into_pin(Box::default()));
        // SAFETY: no future is left in them (invariant 2).
        let slots = unsafe { Pin::into_inner_unchecked(slots) };
        let outputs = slots
            .into_vec()
            .into_iter()
            .filter_map(Slot::into_outcome)
            .map(output);
        if size_of::<Slot<F>>() <= 4 * size_of::<O>() {
            // In place, which leaves the vector with room that is not used.
            outputs.collect()
        } else {
            let mut exact = Vec::with_capacity(outputs.size_hint().1.unwrap_or(0));
            exact.extend(outputs);
            exact
        }
    }

    /// Takes all futures, in the order of their indices, if none of them was polled.
    pub(crate) fn take_unpolled(
        self: Pin<&mut Self>,
    ) -> Option<impl ExactSizeIterator<Item = F> + use<F>> {
        let list = self.get_mut();
        let is_unpolled = |slot: &Slot<F>| slot.holds() == Holds::Future && slot.note.polls == 0;
        if !list.0.iter().all(is_unpolled) {
            return None;
        }
        let slots = mem::replace(&mut list.0, Box::into_pin(Box::default()));
        // SAFETY: no future in them was polled, and so none was pinned (invariant 1).
        let slots = unsafe { Pin::into_inner_unchecked(slots) };
        let future = |slot: Slot<F>| slot.into_future().expect("every slot holds a future");
        Some(slots.into_vec().into_iter().map(future))
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
        // SAFETY: a slot is pinned with the slice it lies in, which does not move while it has to
        // stay, and the slice is not used to move out of the slot (invariant 2).
        unsafe { slots.map_unchecked_mut(|slots| &mut slots[index]) }
    }

    #[inline]
    fn visit<V: Visit>(self: Pin<&mut Self>, index: usize, visit: V) -> V::Output {
        visit.visit(self.slot_mut(index))
    }

    #[inline]
    fn note(&self, index: usize) -> &Note {
        &self.slot(index).note
    }

    #[inline]
    fn note_mut(self: Pin<&mut Self>, index: usize) -> &mut Note {
        self.slot_mut(index).project().note
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
    #[inline]
    pub fn empty() -> Self {
        Self(End)
    }
}

impl<L: Links> Row<L> {
    /// Adds a future at the end.
    #[must_use]
    #[inline]
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

    #[inline]
    fn visit<V: Visit>(self: Pin<&mut Self>, index: usize, visit: V) -> V::Output {
        self.project().0.visit(index, visit)
    }

    #[inline]
    fn note(&self, index: usize) -> &Note {
        self.0.note(index)
    }

    #[inline]
    fn note_mut(self: Pin<&mut Self>, index: usize) -> &mut Note {
        self.project().0.note_mut(index)
    }
}

/// The end of a [`Row`]'s links.
#[derive(Debug)]
pub struct End;

/// The links before, and one slot more. The first future is the innermost.
///
/// It is never `Unpin`, so that the compiler need not look into all links to know: it would reach
/// its recursion limit at about 60.
#[derive(Debug)]
#[pin_project(!Unpin)]
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

    /// Visits the slot of link `index`, which is below `COUNT`, by its own type.
    fn visit<V: Visit>(self: Pin<&mut Self>, index: usize, visit: V) -> V::Output;

    /// What is noted of link `index`, which is below `COUNT`.
    fn note(&self, index: usize) -> &Note;

    /// As [`note`](Self::note), to change it.
    fn note_mut(self: Pin<&mut Self>, index: usize) -> &mut Note;
}

impl Links for End {
    const COUNT: usize = 0;

    fn link(&self, _: usize) -> &(dyn Seat + '_) {
        no_such_link()
    }

    fn link_mut(self: Pin<&mut Self>, _: usize) -> Pin<&mut (dyn Seat + '_)> {
        no_such_link()
    }

    fn visit<V: Visit>(self: Pin<&mut Self>, _: usize, _: V) -> V::Output {
        no_such_link()
    }

    fn note(&self, _: usize) -> &Note {
        no_such_link()
    }

    fn note_mut(self: Pin<&mut Self>, _: usize) -> &mut Note {
        no_such_link()
    }
}

fn no_such_link() -> ! {
    unreachable!("an index is below the number of links")
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

    #[inline]
    fn visit<V: Visit>(self: Pin<&mut Self>, index: usize, visit: V) -> V::Output {
        let this = self.project();
        if index == Init::COUNT {
            visit.visit(this.last)
        } else {
            this.init.visit(index, visit)
        }
    }

    #[inline]
    fn note(&self, index: usize) -> &Note {
        if index == Init::COUNT {
            &self.last.note
        } else {
            self.init.note(index)
        }
    }

    #[inline]
    fn note_mut(self: Pin<&mut Self>, index: usize) -> &mut Note {
        let this = self.project();
        if index == Init::COUNT {
            this.last.project().note
        } else {
            this.init.note_mut(index)
        }
    }
}
