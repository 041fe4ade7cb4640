//! Where the children live: one [`Slot`] each, which holds the future first and then its outcome, and
//! does not move.
//!
//! There are two layouts: [`List`] for any number of futures of one type, and [`Row`] for a fixed
//! number of futures of different types. The code above this module treats both alike.
//!
//! # Invariants
//!
//! 1. The first poll pins a future of a `List`, and nothing else does. Its slot is nominally pinned
//!    as soon as it is collected, but no foreign code has seen the address of a future that was never
//!    polled. `Note::polls` records the polls. Only `Slot::poll` writes it, before it polls.
//! 2. The slots of a `List` do not move while one of them holds a polled future. This module hands
//!    out `Pin<&mut Slot<F>>`, never `&mut [Slot<F>]` or `&mut Slot<F>`. Only two functions move
//!    anything out of a list: `take_all`, when no slot holds a future, and `take_unpolled`, when no
//!    future was polled. A slot drops its future in place.
//! 3. `Note::holds` says which field of the content is initialized; with `Nothing`, none is. It
//!    becomes `Nothing` before the content is dropped or taken, and anything else only after that
//!    content was written.
//! 4. Whoever has a slot as `Pin<&mut Slot<F>>` reads and changes its cell, exclusively. Through
//!    `&Slot<F>` only an output can be borrowed. A reference to the future exists only while the
//!    future is polled or dropped.

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
    /// The slot type that the engine sees: the concrete type if all slots are alike, so that calls are
    /// direct, or else a trait object.
    type Slot<'a>: Seat + ?Sized
    where
        Self: 'a;

    /// How many children there are.
    fn count(&self) -> usize;

    /// The slot of child `index`, which is below `count`, pinned.
    fn slot_mut(self: Pin<&mut Self>, index: usize) -> Pin<&mut Self::Slot<'_>>;

    /// Visits the slot of child `index`, which is below `count`, by its own type.
    fn visit<V: Visit>(self: Pin<&mut Self>, index: usize, visit: V) -> V::Output;

    /// The record of child `index`, which is below `count`.
    fn note(&self, index: usize) -> &Note;

    /// The record of child `index`, which is below `count`, to change it.
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
