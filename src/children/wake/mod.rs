//! The wake queue: a waker for each child, the stack that wake-ups push to, and the parent they wake.
//!
//! All of it is one allocation, a [`Block`](block::Block): a header, an [`Entry`](entry::Entry) for
//! each child, and room for the order in which the children finish. The block is created when the first
//! waker is cloned, or when a child finishes out of input order. Children that are ready at once, or
//! wake themselves with the waker of their poll, and finish in input order, need none.
//!
//! - The *owner* is the combinator's end of a block. There is one.
//! - A *waker* is a pointer to an entry. The entry's index leads to the block.
//! - While a child is polled, the owner *lends* it a waker, which is not counted. Only clones count.
//! - A child that wakes itself, in its own poll and on that thread, sets a flag, which the owner looks
//!   at after the poll. It uses the stack only if an earlier wake-up is on it, to keep the order.
//!
//! Atomic read-modify-writes are most of the cost, so there are as few as possible. A wake-up makes
//! two: one claims the entry, one pushes it. A turn that takes the stack puts the parent to sleep in
//! the same step. A child that clones its waker in its poll costs none, nor does a waker that is handed
//! over: the owner counts both by itself. Plain stores change the counts and flags that nobody else can
//! change at that moment.
//!
//! # Invariants
//!
//! 1. A block lives while its `references` are not zero: one for the owner, and one for each
//!    [`CompletionOrder`] that reads it. Until the owner lets go, its reference stands for all wakers.
//!    When it lets go, it [leaves](entry::Entry::leave) each entry that has wakers a reference of its
//!    own, which the last of these wakers drops. The count of an entry's wakers is the sum of two
//!    numbers: `wakers`, which everybody changes, and `own`. Only the lent waker raises it from zero,
//!    so after that it never leaves zero again. A waker that a wake-up uses up may hand its share of
//!    the count over to the owner, which gives it back when it takes the stack. The owner takes the
//!    stack for the last time, and [closes](top::CLOSED) it, before it lets go.
//! 2. An entry is on the stack at most once: a wake-up pushes it only if it finds `queued` unset, and
//!    sets it. The owner unsets it just before it polls the child, so that a wake-up during the poll is
//!    kept, and only if it has taken the child from the stack since the last time. When the child has
//!    finished, the owner sets it for good, unless no waker is left that might look at it. `next`
//!    belongs to whoever has set `queued`, and to the owner once it has taken the stack.
//! 3. `top` is that of a [sleeper](top::asleep) only while the parent's waker is in the place that it
//!    names. The one push that replaces it is *granted* this place: it wakes the parent by the waker
//!    there, or by a clone of it, and then has finished. The owner changes a waker only in a place that
//!    `top` does not name and that is not granted, or whose grant has finished. The grantee takes the
//!    waker out only if the owner has left it there.
//! 4. Only the owner writes `order`. Others read it only after the owner has let go of the block.
//! 5. Only the owner reads and writes an entry's `own`, and so does the thread that polls the child by
//!    a waker that the owner [lends](WakeQueue::lend), which takes the queue exclusively for that time.
//!    So all of this happens in one order, and a thread polls one child of a block at a time.
//!    `wakers + own` is never too small, though the two are not read at once: each change of `wakers`
//!    that the owner has not seen is by a waker that came from one it has counted and not seen
//!    dropped. So if the owner finds the sum to be zero, it has seen every change, and no other will
//!    come but by the lent waker.
//!
//! No foreign code runs between two steps of a change: the parent's waker is cloned before it and
//! dropped after it. The parent is woken while its place is granted, which blocks nobody, because the
//! owner has another place.
//!
//! The files below are one mechanism and rest on these invariants.

mod block;
mod cell;
mod entry;
mod order;
mod owner;
mod parent;
mod top;
mod waker;

pub(crate) use self::order::CompletionOrder;
pub(super) use self::owner::WakeQueue;

#[cfg(not(straggler_loom))]
mod sync {
    pub(super) use std::alloc::{alloc, dealloc};
    pub(super) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

    /// Like loom's macro.
    macro_rules! local {
        ($(#[$about:meta])* static $name:ident: $type:ty = $value:expr;) => {
            std::thread_local! {
                $(#[$about])*
                static $name: $type = const { $value };
            }
        };
    }
    pub(super) use local as thread_local;

    /// Like loom's type, which also checks that accesses do not overlap.
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
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
    pub(super) use loom::thread_local;
}
