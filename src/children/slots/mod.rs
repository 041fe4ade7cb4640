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
//!    none was polled. A slot drops its future where it lies.
//! 3. `Note::holds` says which field of the content is initialized; if it says `Nothing` none is.
//!    It is changed to `Nothing` before what it named is dropped or taken, and to anything else
//!    after that was put in its place.
//! 4. What is in the cell of a slot is read and changed by who has the slot as `Pin<&mut Slot<F>>`,
//!    and so alone; only an output is lent to who has the slot as `&Slot<F>`. A reference to
//!    the future is made while it is polled or dropped, and at no other time.

mod list;
mod row;
mod slot;

use std::pin::Pin;

pub(crate) use self::list::List;
pub use self::row::{End, Link, Links, Row};
pub(crate) use self::slot::{Holds, Note};
pub use self::slot::{Seat, Slot};

/// A fixed layout of slots, reached by the index of their child.
pub trait Slots {
    /// What the engine knows of one slot: its own type where all are alike, so that calls are
    /// direct, else a trait object.
    type Slot<'a>: Seat + ?Sized
    where
        Self: 'a;

    /// How many children there are.
    fn count(&self) -> usize;

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
