//! Who was woken: a waker for each child, the stack they push to, and the parent they wake.
//!
//! All of it is one allocation, a [`Block`](block::Block): a header, an [`Entry`](entry::Entry) for
//! each child, and room for the order in which the children end. It is made when the first waker is
//! cloned, or when a child ends that is not the next in input order: children that are ready at once,
//! or wake themselves by the waker of their poll, and end in input order need none.
//!
//! The *owner* is the combinator's end of a block, and there is one. A *waker* is a pointer to an
//! entry, from which the block is found by the entry's index. While a child is polled it is *lent* a
//! waker that counts as nobody's; only clones of it count. A child that wakes itself, in its own poll
//! and on the thread of that, needs no stack: it sets a flag, which the owner looks at when the poll
//! is over. It goes the way of all wakes only if something was pushed before it, whose turn is first.
//!
//! What each step costs is mostly the atomic read-modify-writes in it, so there are as few as can be.
//! A wake makes two: one that claims the entry and one that pushes it. A turn that takes the stack
//! puts the parent to sleep in the same step. Counts and flags that nobody else can change just now
//! are changed by plain stores.
//!
//! # Invariants
//!
//! 1. A block lives as long as its `references` are not zero: one for the owner, and one for each
//!    [`CompletionOrder`] that reads it. While the owner has not let go, its reference stands for
//!    all wakers. When it lets go it marks each entry that has wakers as [`LEFT`](entry::LEFT), and
//!    gives it a reference of its own, which the last of the wakers drops. An entry's count leaves
//!    zero by the lent waker alone, so never again after that. A waker that is used up by a wake
//!    may leave its share of the count to the owner, which gives it back when it takes the stack:
//!    before it lets go it has taken it for the last time, and [closed](top::CLOSED) it.
//! 2. An entry is on the stack at most once: a wake pushes it only if it finds `queued` unset, and
//!    sets it. The owner unsets it just before it polls the child, so that a wake during the poll is
//!    kept, and only if it has taken the child from the stack since the last time. It sets it
//!    for good when the child has ended, unless nobody holds a waker of it then, who might look. `next` belongs to whoever has set `queued`, and to the owner
//!    from the moment it takes the stack.
//! 3. `top` is that of a [sleeper](top::asleep) only while the parent's waker is in the place that
//!    it names. The one push that replaces it is *granted* this place: it wakes the parent by the
//!    waker there, or by a clone of it, and then has finished. The owner changes a waker only in a
//!    place that nobody is granted, or whose grant has finished, and that `top` does not name; who is
//!    granted a place takes the waker out only if the owner has left it.
//! 4. `order` is written by the owner alone, and read by others only after the owner has let go of
//!    the block.
//!
//! No foreign code runs between two steps of a change: a waker of the parent is cloned before and
//! dropped after it. It is woken while its place is granted, which stops nobody: the owner has
//! another place.
//!
//! The files below are one mechanism, and rest on the invariants above.

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

    /// As loom's.
    macro_rules! local {
        ($(#[$about:meta])* static $name:ident: $type:ty = $value:expr;) => {
            std::thread_local! {
                $(#[$about])*
                static $name: $type = const { $value };
            }
        };
    }
    pub(super) use local as thread_local;

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
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
    pub(super) use loom::thread_local;
}
