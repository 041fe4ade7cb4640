//! The woken children: a list in the order of their wake-ups, linked through their slots.

use std::mem;
use std::pin::Pin;

use super::slots::Slots;

/// The link of a child that is not on the list. A new slot has this link.
pub(super) const UNLINKED: u32 = u32::MAX;

/// The link of the last child on the list.
const LAST: u32 = u32::MAX - 1;

/// The children to poll because they were woken, in the order of their wake-ups.
///
/// The first one is polled next.
#[derive(Debug)]
pub(super) struct Woken {
    first: u32,
    last: u32,
    len: u32,
}

impl Woken {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            first: LAST,
            last: LAST,
            len: 0,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Returns the child that was woken first.
    #[inline]
    pub(super) fn first(&self) -> Option<u32> {
        (self.len > 0).then_some(self.first)
    }

    /// Adds child `index`, which must not be on the list, at the end.
    #[inline]
    pub(super) fn push(&mut self, mut slots: Pin<&mut impl Slots>, index: u32) {
        slots.as_mut().note_mut(index as usize).link = LAST;
        if self.len == 0 {
            self.first = index;
        } else {
            slots.note_mut(self.last as usize).link = index;
        }
        self.last = index;
        self.len += 1;
    }

    /// Adds child `index`, which must not be on any list, at the front.
    #[inline]
    pub(super) fn push_front(&mut self, slots: Pin<&mut impl Slots>, index: u32) {
        slots.note_mut(index as usize).link = self.first;
        self.first = index;
        if self.len == 0 {
            self.last = index;
        }
        self.len += 1;
    }

    /// Adds the children of another list at the end.
    #[inline]
    pub(super) fn append(&mut self, slots: Pin<&mut impl Slots>, later: Self) {
        if later.len == 0 {
            return;
        }
        if self.len == 0 {
            *self = later;
            return;
        }
        slots.note_mut(self.last as usize).link = later.first;
        self.last = later.last;
        self.len += later.len;
    }

    /// Moves all children to the end of `choices`. Their links stay, so that nobody puts them on the list again.
    #[cfg(feature = "tokio")]
    pub(super) fn move_to(&mut self, choices: &mut Vec<u32>, slots: &impl Slots) {
        let list = mem::replace(self, Self::new());
        let mut next = list.first;
        choices.extend((0..list.len).map(|_| {
            let index = next;
            next = slots.note(index as usize).link;
            index
        }));
    }

    /// Removes and returns the child that was woken first.
    #[inline]
    pub(super) fn pop(&mut self, slots: Pin<&mut impl Slots>) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        let index = self.first;
        let link = &mut slots.note_mut(index as usize).link;
        self.first = mem::replace(link, UNLINKED);
        self.len -= 1;
        Some(index)
    }
}
