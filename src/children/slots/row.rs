//! `Row`: slots of different types, one after the other.

use std::pin::Pin;

use pin_project::pin_project;

use super::slot::{Note, Seat, Slot};
use super::{Slots, Visit};

/// A fixed number of futures of different types.
///
/// A macro builds it without recursion, `Row::empty().and(first).and(second)`, which also evaluates the
/// futures in the order in which they are written.
#[derive(Debug)]
#[pin_project]
pub struct Row<L>(#[pin] L);

impl Row<End> {
    /// Creates a row without futures.
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

    /// The links of the row, by their own types.
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

/// One slot, after the links before it. The first future is the innermost.
///
/// It is never `Unpin`. If it could be, the compiler would look into all links to find out, and reach
/// its recursion limit at about 60 futures.
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
/// A trait apart from [`Slots`], because a bound on `Init`'s slot type for every lifetime would require
/// `'static` futures.
pub trait Links {
    /// How many links there are.
    const COUNT: usize;

    /// The slot of link `index`, which is below `COUNT`, pinned.
    fn link_mut(self: Pin<&mut Self>, index: usize) -> Pin<&mut (dyn Seat + '_)>;

    /// Visits the slot of link `index`, which is below `COUNT`, by its own type.
    fn visit<V: Visit>(self: Pin<&mut Self>, index: usize, visit: V) -> V::Output;

    /// The record of link `index`, which is below `COUNT`.
    fn note(&self, index: usize) -> &Note;

    /// The record of link `index`, which is below `COUNT`, to change it.
    fn note_mut(self: Pin<&mut Self>, index: usize) -> &mut Note;
}

impl Links for End {
    const COUNT: usize = 0;

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
            self.last.note()
        } else {
            self.init.note(index)
        }
    }

    #[inline]
    fn note_mut(self: Pin<&mut Self>, index: usize) -> &mut Note {
        let this = self.project();
        if index == Init::COUNT {
            this.last.note_mut()
        } else {
            this.init.note_mut(index)
        }
    }
}
