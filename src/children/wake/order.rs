//! The order in which the children ended, when all is over.

#![expect(unsafe_code, reason = "the order lies in a block")]

use std::slice;
use std::sync::OnceLock;

use super::block::Reference;

/// The order in which the children ended.
#[derive(Clone, Debug)]
pub(crate) struct CompletionOrder(Order);

#[derive(Clone, Debug)]
enum Order {
    /// So many, in the order of their indices; listed when somebody asks.
    InInputOrder(u32, OnceLock<Box<[usize]>>),
    /// So many, whose indices stand in the block.
    Recorded(Reference, u32),
}

impl CompletionOrder {
    #[inline]
    pub(super) fn in_input_order(count: u32) -> Self {
        Self(Order::InInputOrder(count, OnceLock::new()))
    }

    /// What the owner has recorded in the block.
    ///
    /// # Safety
    ///
    /// The caller is the owner, has written the first `count` indices of the order, and writes it no
    /// more (invariant 4).
    pub(super) unsafe fn recorded(block: Reference, count: u32) -> Self {
        Self(Order::Recorded(block, count))
    }

    /// The indices of the children, in the order in which they ended.
    pub(crate) fn indices(&self) -> &[usize] {
        match &self.0 {
            Order::InInputOrder(count, list) => list.get_or_init(|| (0..*count as usize).collect()),
            Order::Recorded(block, count) => {
                // SAFETY: the owner has written so many, and has let go (invariant 4); the
                // reference keeps the block alive.
                unsafe { slice::from_raw_parts(block.order().as_ptr(), *count as usize) }
            }
        }
    }

    /// As [`indices`](Self::indices), without listing them anywhere.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        let (in_input_order, recorded) = match &self.0 {
            Order::InInputOrder(count, _) => (0..*count as usize, &[][..]),
            Order::Recorded(..) => (0..0, self.indices()),
        };
        in_input_order.chain(recorded.iter().copied())
    }
}
