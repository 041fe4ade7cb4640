//! The slot of one child: it holds the future first, then its output or panic.

#![expect(
    unsafe_code,
    reason = "a future is pinned, and its output takes its place"
)]

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::panic::RefUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::super::woken::UNLINKED;
use crate::contain::{FirstPanic, contain, discard};
use crate::panic::Panic;

/// The slot of one child.
///
/// Dropping it drops its content, and discards a panic that it holds. If the contents of several slots
/// panic when dropped, the first panic resumes and the others are discarded. So each is dropped,
/// however the slots are laid out, and the process does not abort.
pub struct Slot<F: Future> {
    note: Note,
    /// In a cell, so that a reference to the slot is not one to the future: a future may hold unique
    /// references into itself (invariant 4).
    content: UnsafeCell<Content<F>>,
}

/// What the engine records about a child. It stays with its child: never copied, never moved.
#[derive(Debug)]
#[expect(unnameable_types, reason = "the engine alone meets it")]
pub struct Note {
    /// How often the future was polled (invariant 1).
    polls: u32,
    /// The child's link in the list of the [woken](super::super::woken::Woken) children.
    pub(in super::super) link: u32,
    /// What the slot holds (invariant 3).
    holds: Holds,
}

impl Note {
    /// The record of a child that was never polled.
    #[inline]
    fn new() -> Self {
        Self {
            polls: 0,
            link: UNLINKED,
            holds: Holds::Future,
        }
    }

    #[inline]
    fn count_poll(&mut self) {
        self.polls = self.polls.wrapping_add(1);
        if self.polls == 0 {
            // Saturates. This takes fewer instructions than `saturating_add`.
            self.polls = u32::MAX;
        }
    }

    /// How often the future was polled.
    #[inline]
    pub(in super::super) fn polls(&self) -> u32 {
        self.polls
    }

    /// Whether the child is on the list of the woken children.
    #[inline]
    pub(in super::super) fn is_linked(&self) -> bool {
        self.link != UNLINKED
    }

    /// What the slot holds.
    #[inline]
    pub(in super::super) fn holds(&self) -> Holds {
        self.holds
    }
}

/// The outcome of a future. The panic is boxed, because it is large and rare.
pub(crate) type Outcome<O> = Result<O, Box<Panic>>;

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// A future that has not finished.
    Future,
    /// The output of a finished future.
    Output,
    /// The panic of a future.
    Panic,
    /// Nothing: it was dropped or taken.
    Nothing,
}

/// `Note::holds` says which field is initialized. An enum would not do: its tag may lie in a byte of
/// the future, and reading it would access the pinned future (invariant 4).
union Content<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<F::Output>,
    panic: ManuallyDrop<Box<Panic>>,
}

// SAFETY: a shared reference to a slot gives one to the output at most (invariant 4).
unsafe impl<F: Future + Sync> Sync for Slot<F> where F::Output: Sync {}

// The cell changes behind no shared reference.
impl<F: Future + RefUnwindSafe> RefUnwindSafe for Slot<F> where F::Output: RefUnwindSafe {}

/// The operations on a slot that do not need the type of its future.
pub trait Seat {
    /// Drops the future, if the slot holds one, and holds `panic` instead.
    fn end_with(self: Pin<&mut Self>, panic: Panic);

    /// Drops the future, if the slot holds one. If the drop panics, the slot holds that panic.
    fn abandon(self: Pin<&mut Self>);

    /// Takes the panic out of the slot, if it holds one.
    fn take_panic(self: Pin<&mut Self>) -> Option<Panic>;

    /// Drops the content. Returns the panic that the slot held, or that the drop caused.
    fn clear(self: Pin<&mut Self>) -> Option<Panic>;
}

impl<F: Future> Slot<F> {
    #[inline]
    pub(crate) fn new(future: F) -> Self {
        Self {
            note: Note::new(),
            content: UnsafeCell::new(Content {
                future: ManuallyDrop::new(future),
            }),
        }
    }

    /// Appends a slot to a list, and writes it where it is to stay: without optimization, each
    /// function that returns a large slot has a copy of it on the stack.
    #[inline]
    pub(super) fn push(slots: &mut Vec<Self>, future: F) {
        slots.reserve(1);
        let place = slots.spare_capacity_mut()[0].as_mut_ptr();
        // SAFETY: the place is allocated, and nothing else refers to it.
        let note = unsafe { &raw mut (*place).note };
        // SAFETY: as above.
        unsafe { note.write(Note::new()) };
        // SAFETY: as above.
        let content = UnsafeCell::raw_get(unsafe { &raw const (*place).content });
        // SAFETY: as above.
        let held = unsafe { &raw mut (*content).future };
        // SAFETY: as above. The note says that the slot holds a future (invariant 3).
        unsafe { held.write(ManuallyDrop::new(future)) };
        let count = slots.len() + 1;
        // SAFETY: both fields of the slot are initialized, and nothing panicked since `reserve`.
        unsafe { slots.set_len(count) };
    }

    /// The record of the child.
    #[inline]
    pub(super) fn note(&self) -> &Note {
        &self.note
    }

    /// The record of the child, to change it.
    #[inline]
    pub(super) fn note_mut(self: Pin<&mut Self>) -> &mut Note {
        // SAFETY: the note is not pinned.
        unsafe { &mut self.get_unchecked_mut().note }
    }

    /// Polls the future, and drops it as soon as it is ready.
    ///
    /// # Panics
    ///
    /// If the future panics, in its poll or its drop: the caller then calls
    /// [`end_with`](Seat::end_with). Also if the slot holds no future.
    #[inline]
    pub(crate) fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // SAFETY: a future that the slot holds is not moved (invariant 2).
        let this = unsafe { self.get_unchecked_mut() };
        assert!(
            this.note.holds == Holds::Future,
            "polls only a pending child"
        );
        this.note.count_poll();
        // SAFETY: the slot holds a future (invariant 3).
        let future = unsafe { &mut *this.content.get_mut().future };
        // SAFETY: from here on it is moved no more (invariant 2).
        let Poll::Ready(output) = unsafe { Pin::new_unchecked(future) }.poll(context) else {
            return Poll::Pending;
        };
        // Guards the output: if dropping the future panics, the output is dropped too.
        let output = Finished(ManuallyDrop::new(output));
        this.drop_future();
        this.content.get_mut().output = output.into_inner();
        this.note.holds = Holds::Output;
        Poll::Ready(())
    }

    /// Drops the future that the slot holds. The slot is empty afterwards, even if the drop panics.
    #[inline]
    fn drop_future(&mut self) {
        debug_assert!(self.note.holds == Holds::Future, "there is a future");
        self.note.holds = Holds::Nothing;
        // SAFETY: the slot held a future until now (invariant 3).
        let future = unsafe { &mut self.content.get_mut().future };
        // SAFETY: it is dropped where it lies, and never used again (invariant 2).
        unsafe { ManuallyDrop::drop(future) };
    }

    /// Puts a panic into the empty slot.
    fn put_panic(&mut self, panic: Panic) {
        self.content.get_mut().panic = ManuallyDrop::new(Box::new(panic));
        self.note.holds = Holds::Panic;
    }

    /// Returns the output without taking it out of the slot.
    pub(crate) fn output(&self) -> Option<&F::Output> {
        if self.note.holds != Holds::Output {
            return None;
        }
        // SAFETY: an output changes behind no shared reference (invariant 4).
        let content = unsafe { &*self.content.get() };
        // SAFETY: the slot holds an output (invariant 3).
        Some(unsafe { &content.output })
    }

    /// Takes the outcome of the future, if it has finished.
    #[inline]
    pub(crate) fn take_outcome(self: Pin<&mut Self>) -> Option<Outcome<F::Output>> {
        // SAFETY: a future that the slot holds is not moved (invariant 2).
        unsafe { self.get_unchecked_mut() }.take()
    }

    /// Returns the outcome of the future, if it has finished.
    #[inline]
    pub(super) fn into_outcome(mut self) -> Option<Outcome<F::Output>> {
        self.take()
    }

    /// Takes the outcome of the future, if it has finished. A pending future stays in place.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Outcome<F::Output>> {
        let content = self.content.get_mut();
        let taken = match self.note.holds {
            Holds::Output => {
                // SAFETY: the slot holds an output (invariant 3), and from now on nothing.
                Ok(unsafe { ManuallyDrop::take(&mut content.output) })
            }
            Holds::Panic => {
                // SAFETY: the slot holds a panic (invariant 3), and from now on nothing.
                Err(unsafe { ManuallyDrop::take(&mut content.panic) })
            }
            Holds::Future | Holds::Nothing => return None,
        };
        self.note.holds = Holds::Nothing;
        Some(taken)
    }

    /// Takes the future, if it has not finished, and boxes it.
    ///
    /// # Safety
    ///
    /// The future was never pinned (invariant 1).
    pub(super) unsafe fn take_future(&mut self) -> Option<Pin<Box<F>>> {
        if self.note.holds != Holds::Future {
            return None;
        }
        self.note.holds = Holds::Nothing;
        // SAFETY: the slot held a future until now (invariant 3).
        let future = unsafe { &mut self.content.get_mut().future };
        // SAFETY: it may be moved, as the caller says, and the slot does not use it again.
        Some(Box::pin(unsafe { ManuallyDrop::take(future) }))
    }
}

/// Guards an output while its future is dropped. If that drop panics, the guard drops the output too,
/// and discards a panic of its own.
struct Finished<O>(ManuallyDrop<O>);

impl<O> Finished<O> {
    #[inline]
    fn into_inner(self) -> ManuallyDrop<O> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: what it was taken out of is not used any more, not even dropped.
        ManuallyDrop::new(unsafe { ManuallyDrop::take(&mut this.0) })
    }
}

impl<O> Drop for Finished<O> {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: it is dropped here, and nowhere else.
        let dropped = contain(|| unsafe { ManuallyDrop::drop(&mut self.0) });
        if let Err(later) = dropped {
            discard(later);
        }
    }
}

impl<F: Future> Seat for Slot<F> {
    fn end_with(mut self: Pin<&mut Self>, panic: Panic) {
        self.as_mut().abandon();
        if let Some(later) = self.as_mut().take_panic() {
            discard(later);
        }
        // SAFETY: no future is left to be moved.
        unsafe { self.get_unchecked_mut() }.put_panic(panic);
    }

    fn abandon(self: Pin<&mut Self>) {
        if self.note.holds != Holds::Future {
            return;
        }
        // SAFETY: the future is not moved (invariant 2).
        let this = unsafe { self.get_unchecked_mut() };
        if let Err(panic) = contain(|| this.drop_future()) {
            this.put_panic(panic);
        }
    }

    fn take_panic(self: Pin<&mut Self>) -> Option<Panic> {
        if self.note.holds != Holds::Panic {
            return None;
        }
        self.take_outcome()?.err().map(|panic| *panic)
    }

    fn clear(mut self: Pin<&mut Self>) -> Option<Panic> {
        self.as_mut().abandon();
        match self.take_outcome()? {
            Ok(output) => contain(|| drop(output)).err(),
            Err(panic) => Some(*panic),
        }
    }
}

impl<F: Future> fmt::Debug for Slot<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}

impl<F: Future> Drop for Slot<F> {
    #[inline]
    fn drop(&mut self) {
        match self.note.holds {
            Holds::Nothing => {}
            Holds::Output if !mem::needs_drop::<F::Output>() => {}
            // SAFETY: a slot that is dropped is not moved any more.
            _ => unsafe { Pin::new_unchecked(self) }.drop_content(),
        }
    }
}

impl<F: Future> Slot<F> {
    fn drop_content(mut self: Pin<&mut Self>) {
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
