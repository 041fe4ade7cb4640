//! The order in which the children finished.

#![expect(unsafe_code, reason = "the order lies in a block")]

use std::slice;
use std::sync::OnceLock;

use super::block::Reference;

/// The order in which the children finished.
#[derive(Clone, Debug)]
pub(crate) struct CompletionOrder(Order);

#[derive(Clone, Debug)]
enum Order {
    /// This many children, in the order of their indices. The list is created on demand.
    InInputOrder(u32, OnceLock<Box<[usize]>>),
    /// This many children, whose indices are in the block.
    Recorded(Reference, u32),
}

impl CompletionOrder {
    #[inline]
    pub(super) fn in_input_order(count: u32) -> Self {
        Self(Order::InInputOrder(count, OnceLock::new()))
    }

    /// The order that the owner has recorded in the block.
    ///
    /// # Safety
    ///
    /// The caller is the owner, has written the first `count` indices of the order, and writes it no
    /// more (invariant 4).
    pub(super) unsafe fn recorded(block: Reference, count: u32) -> Self {
        Self(Order::Recorded(block, count))
    }

    /// Returns the indices of the children, in the order in which they finished.
    pub(crate) fn indices(&self) -> &[usize] {
        match &self.0 {
            Order::InInputOrder(count, list) => list.get_or_init(|| (0..*count as usize).collect()),
            Order::Recorded(block, count) => {
                // SAFETY: the owner has written `count` indices and has let go (invariant 4); the
                // reference keeps the block alive.
                unsafe { slice::from_raw_parts(block.order().as_ptr(), *count as usize) }
            }
        }
    }

    /// Iterates over the [`indices`](Self::indices) without allocating a list.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        let (in_input_order, recorded) = match &self.0 {
            Order::InInputOrder(count, _) => (0..*count as usize, &[][..]),
            Order::Recorded(..) => (0..0, self.indices()),
        };
        in_input_order.chain(recorded.iter().copied())
    }
}
