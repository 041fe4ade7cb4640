//! Slots of one type, on the heap.

#![expect(
    unsafe_code,
    reason = "std has no safe way to pin an element of a pinned slice"
)]

use std::mem::{self, ManuallyDrop};
use std::pin::Pin;

use super::slot::{Holds, Note, Outcome, Slot};
use super::{Slots, Visit};
use crate::boxed::LARGE;

/// The outputs reuse the allocation of the slots if it is at most this many times as large as needed.
const ROOM_KEPT: usize = 4;

/// Room for futures of up to this many bytes is reserved on the word of an iterator.
const SMALL: usize = 64 * 1024;

/// Any number of futures of one type, on the heap.
pub(crate) struct List<F: Future>(Pin<Box<[Slot<F>]>>);

impl<F: Future> List<F> {
    /// Collects the futures.
    ///
    /// # Panics
    ///
    /// If the iterator or an item's `into_future` panics. The futures collected so far are dropped.
    pub(crate) fn collect<I>(futures: I) -> Self
    where
        I: IntoIterator,
        I::Item: IntoFuture<IntoFuture = F>,
    {
        let futures = futures.into_iter();
        let mut slots = Vec::new();
        // The size is only a hint. A failed reservation is no error here, and `into_boxed_slice`
        // returns what was reserved in vain.
        let is_reserved = match futures.size_hint() {
            (lower, Some(upper)) if lower != upper => false,
            (lower, Some(_)) if lower.saturating_mul(size_of::<Slot<F>>()) <= SMALL => {
                // Takes fewer instructions than a reservation that may fail.
                slots = Vec::with_capacity(lower);
                true
            }
            (lower, Some(_)) => slots.try_reserve_exact(lower).is_ok(),
            _ => false,
        };
        // `extend` is faster. Without optimization, it has copies of each future on the stack.
        if const { size_of::<F>() <= LARGE } && is_reserved {
            slots.extend(futures.map(|future| Slot::new(future.into_future())));
        } else {
            for future in futures {
                Slot::push(&mut slots, future.into_future());
            }
        }
        Self(Box::into_pin(slots.into_boxed_slice()))
    }
}

impl<F: Future> List<F> {
    /// Takes all outcomes, in the order of their indices, after every future has finished. Reuses the
    /// allocation of the slots if it is not much too large.
    ///
    /// # Panics
    ///
    /// If a slot still holds a future, or if `output` panics.
    pub(crate) fn take_all<O>(
        self: Pin<&mut Self>,
        output: impl Fn(Outcome<F::Output>) -> O,
    ) -> Vec<O> {
        let list = self.get_mut();
        let are_outputs = list.all_hold(|holds| holds == Holds::Output);
        assert!(
            are_outputs || list.all_hold(|holds| holds != Holds::Future),
            "every future has finished"
        );
        let slots = mem::replace(&mut list.0, Box::into_pin(Box::default()));
        // SAFETY: no future is left in them (invariant 2).
        let slots = unsafe { Pin::into_inner_unchecked(slots) };
        let slots = slots.into_vec();
        if are_outputs {
            // The usual case. It needs no `filter_map`, and each slot only a comparison.
            let slots = Taken::all(slots).into_iter();
            collect_outputs::<F, _>(slots.map(|slot| output(Ok(slot.into_output()))))
        } else {
            let outcomes = slots.into_iter().filter_map(Slot::into_outcome);
            collect_outputs::<F, _>(outcomes.map(output))
        }
    }

    #[inline]
    fn all_hold(&self, is_so: impl Fn(Holds) -> bool) -> bool {
        self.0.iter().all(|slot| is_so(slot.note().holds()))
    }

    /// Takes all futures, in the order of their indices, or returns `None` if one was polled.
    ///
    /// Boxed: a large future must not be on the stack of each function that it moves through.
    pub(crate) fn take_unpolled(
        self: Pin<&mut Self>,
    ) -> Option<impl ExactSizeIterator<Item = Pin<Box<F>>> + use<F>> {
        let list = self.get_mut();
        let is_unpolled = |note: &Note| note.holds() == Holds::Future && note.polls() == 0;
        if !list.0.iter().map(Slot::note).all(is_unpolled) {
            return None;
        }
        let number = list.0.len();
        let slots = mem::replace(&mut list.0, Box::into_pin(Box::default()));
        // SAFETY: no future in them was polled, and so none was pinned (invariant 1).
        let mut slots = unsafe { Pin::into_inner_unchecked(slots) };
        let future = move |at: usize| {
            // SAFETY: as above.
            let future = unsafe { slots[at].take_future() };
            future.expect("every slot holds a future")
        };
        Some((0..number).map(future))
    }
}

/// A slot out of a list, which does not drop its output. So the output alone is moved, not the whole slot.
#[repr(transparent)]
struct Taken<F: Future>(ManuallyDrop<Slot<F>>);

impl<F: Future> Taken<F> {
    #[inline]
    fn all(slots: Vec<Slot<F>>) -> Vec<Self> {
        let mut slots = ManuallyDrop::new(slots);
        let (first, len, capacity) = (slots.as_mut_ptr(), slots.len(), slots.capacity());
        // SAFETY: they are the parts of a vector that is not used any more, and the layout of its items is
        // that of slots.
        unsafe { Vec::from_raw_parts(first.cast(), len, capacity) }
    }

    /// Returns the output.
    ///
    /// # Panics
    ///
    /// If the slot holds none.
    #[inline]
    fn into_output(mut self) -> F::Output {
        let Some(Ok(output)) = self.0.take() else {
            unreachable!("the slot holds an output");
        };
        output
    }
}

/// Collects what was taken out of slots of `F`, in their allocation unless it is much too large.
#[inline]
fn collect_outputs<F: Future, O>(outputs: impl Iterator<Item = O>) -> Vec<O> {
    if size_of::<Slot<F>>() <= ROOM_KEPT * size_of::<O>() {
        // Collects in place: no allocation, but some unused capacity.
        outputs.collect()
    } else {
        let mut exact = Vec::with_capacity(outputs.size_hint().1.unwrap_or(0));
        exact.extend(outputs);
        exact
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
        self.0[index].note()
    }

    #[inline]
    fn note_mut(self: Pin<&mut Self>, index: usize) -> &mut Note {
        self.slot_mut(index).note_mut()
    }
}
