//! Who was woken: a waker for each child, the stack they push to, and the parent they wake.
//!
//! All of it is one allocation, a [`Block`](block::Block): a header, an [`Entry`](block::Entry) for each child, and room for the
//! order in which the children end. It is made when the first waker is cloned or woken, since
//! children that are ready at once need none.
//!
//! The *owner* is the combinator's end of a block, and there is one. A *waker* is a pointer to an
//! entry, from which the block is found by the entry's index. While a child is polled it is lent a
//! waker that counts as nobody's; only clones of it count.
//!
//! # Invariants
//!
//! 1. A block lives as long as its `references` are not zero: one for the owner, one for each
//!    entry that has `wakers`, one for each [`CompletionOrder`] that reads it. An entry's count
//!    leaves zero by the owner's lent waker alone, so the owner's reference covers that moment.
//! 2. An entry is on the stack, or among those that the owner took from it, at most once: a wake
//!    pushes it only if it finds `queued` unset, and sets it. The owner unsets it just before it
//!    polls the child, so that a wake during the poll is kept, and sets it for good when the child
//!    has ended. `next` belongs to whoever has set `queued`, and to the owner from the moment it
//!    takes the stack.
//! 3. `top` is [`SLEEPING`](block::SLEEPING) only while the parent's waker is in place and the owner has nothing to
//!    do. The one push that replaces `SLEEPING` is *granted* the parent: it clones its waker,
//!    counts itself as finished, and then wakes it. The owner changes the parent's waker only while it does not sleep
//!    and all granted wakes have finished.
//! 4. `order` is written by the owner alone, and read by others only after the owner has let go of
//!    the block.
//!
//! No foreign code runs between two steps of a change: a waker of the parent is cloned before and
//! dropped after it, and is woken with nothing held. Only while a push clones the waker of an
//! earlier parent does a turn have to ask for another one instead of going to sleep.
//!
//! The four files below are one mechanism, and rest on the invariants above.

mod block;
mod order;
mod owner;
mod waker;

pub(crate) use self::order::CompletionOrder;
pub(super) use self::owner::WakeQueue;

#[cfg(not(straggler_loom))]
mod sync {
    pub(super) use std::alloc::{alloc, dealloc};
    pub(super) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

    /// As loom's, which checks that the accesses do not overlap.
    #[derive(Debug)]
    pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(super) fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        pub(super) fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
            access(self.0.get())
        }

        pub(super) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            access(self.0.get())
        }
    }
}

#[cfg(straggler_loom)]
mod sync {
    pub(super) use loom::alloc::{alloc, dealloc};
    pub(super) use loom::cell::UnsafeCell;
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
}
