//! The owner's reference to the block, created on demand, and what the wakers before it need.

#![expect(
    unsafe_code,
    reason = "a block that was made cannot be made unmade behind a borrow"
)]

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::{self, NonNull};

use super::block::{Block, Reference};
use super::sync::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

/// The owner's reference to the block, or nothing yet.
///
/// Like a `OnceLock`, but without a lock: if two threads create a block at once, one of them drops its
/// block.
///
/// A waker that is lent before there is a block points here.
#[derive(Debug)]
pub(super) struct BlockCell {
    block: AtomicPtr<Block>,
    /// How many entries the block has.
    pub(super) len: u32,
    /// The child that was lent a waker last.
    pub(super) polled: AtomicU32,
    /// Whether that child woke itself before there was a block.
    pub(super) woke_itself: AtomicBool,
}

// As a `Reference` is.
impl UnwindSafe for BlockCell {}
impl RefUnwindSafe for BlockCell {}

/// A reference that a [`BlockCell`] lends.
pub(super) struct Lent<'a> {
    reference: ManuallyDrop<Reference>,
    cell: PhantomData<&'a BlockCell>,
}

impl<'a> Lent<'a> {
    /// What `cell` holds, which is `block`.
    ///
    /// # Safety
    ///
    /// It does: then it holds the reference until nothing is lent any more (invariant 1).
    #[inline]
    unsafe fn of(_: &'a BlockCell, block: NonNull<Block>) -> Self {
        Self {
            // SAFETY: the cell holds this reference, as the caller says, and what is lent is never
            // dropped.
            reference: ManuallyDrop::new(unsafe { Reference::from_pointer(block) }),
            cell: PhantomData,
        }
    }
}

impl Deref for Lent<'_> {
    type Target = Reference;

    #[inline]
    fn deref(&self) -> &Reference {
        &self.reference
    }
}

impl BlockCell {
    #[inline]
    pub(super) fn new(len: u32) -> Self {
        Self {
            block: AtomicPtr::new(ptr::null_mut()),
            len,
            polled: AtomicU32::new(0),
            woke_itself: AtomicBool::new(false),
        }
    }

    #[inline]
    pub(super) fn get(&self) -> Option<Lent<'_>> {
        // Acquires that the block was made.
        let block = NonNull::new(self.block.load(Ordering::Acquire))?;
        // SAFETY: it was just found in the cell, and only a `&mut self` takes it out.
        Some(unsafe { Lent::of(self, block) })
    }

    /// Returns the block. Creates one if there is none.
    #[inline]
    pub(super) fn get_or_make(&self) -> Lent<'_> {
        self.get().unwrap_or_else(|| {
            self.put(Reference::new(self.len))
                .unwrap_or_else(|there| there)
        })
    }

    /// Returns the block after it has counted one more waker of child `index`. Creates one if there is none.
    #[inline]
    pub(super) fn add_waker(&self, index: u32) -> Lent<'_> {
        let there = match self.get() {
            Some(block) => block,
            None => match self.put_with_waker(index) {
                Ok(block) => return block,
                Err(there) => there,
            },
        };
        there.entry(index).add_waker();
        there
    }

    #[cold]
    fn put_with_waker(&self, index: u32) -> Result<Lent<'_>, Lent<'_>> {
        let new = Reference::new(self.len);
        new.entry(index).count_first_waker();
        self.put(new)
    }

    /// Puts a new block into the cell, or fails with the one that is there.
    #[cold]
    fn put(&self, new: Reference) -> Result<Lent<'_>, Lent<'_>> {
        let new = new.into_pointer();
        let put = self.block.compare_exchange(
            ptr::null_mut(),
            new.as_ptr(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        let earlier = put.err().and_then(NonNull::new);
        if earlier.is_some() {
            // SAFETY: it was just made a pointer of.
            drop(unsafe { Reference::from_pointer(new) });
        }
        // SAFETY: it was just put or found in the cell, and only a `&mut self` takes it out.
        let block = unsafe { Lent::of(self, earlier.unwrap_or(new)) };
        if earlier.is_none() {
            Ok(block)
        } else {
            Err(block)
        }
    }

    /// Takes the reference out of the cell, if there is a block.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Reference> {
        let block = NonNull::new(self.block.load(Ordering::Acquire))?;
        // Nobody else has the cell.
        self.block.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the cell held the reference, and does not any more.
        Some(unsafe { Reference::from_pointer(block) })
    }
}

#[cfg(all(test, straggler_loom))]
mod tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::BlockCell;

    #[test]
    fn block_is_shared_when_two_threads_create_it() {
        loom::model(|| {
            let cell = Arc::new(BlockCell::new(1));
            let other = thread::spawn({
                let cell = Arc::clone(&cell);
                move || cell.get_or_make().entry_pointer(0).addr()
            });
            let ours = cell.get_or_make().entry_pointer(0).addr();
            assert_eq!(other.join().unwrap(), ours);
            let mut cell = Arc::try_unwrap(cell).expect("the other thread has ended");
            drop(cell.take());
            assert!(cell.get().is_none());
        });
    }

    #[test]
    fn waker_of_each_creator_is_counted() {
        loom::model(|| {
            let cell = Arc::new(BlockCell::new(2));
            let other = thread::spawn({
                let cell = Arc::clone(&cell);
                move || {
                    cell.add_waker(1);
                }
            });
            cell.add_waker(1);
            // Both or one of them: never none, for the own one is there.
            assert!(cell.add_waker(1).entry(1).wakers() >= 2);
            other.join().unwrap();
            assert_eq!(cell.get_or_make().entry(1).wakers(), 3);
            assert_eq!(cell.get_or_make().entry(0).wakers(), 0);
            let mut cell = Arc::try_unwrap(cell).expect("the other thread has ended");
            drop(cell.take());
        });
    }

    #[test]
    fn block_of_another_thread_is_initialized() {
        loom::model(|| {
            let cell = Arc::new(BlockCell::new(2));
            let other = thread::spawn({
                let cell = Arc::clone(&cell);
                move || {
                    cell.get_or_make();
                }
            });
            // Lets loom switch to the thread that creates the block.
            thread::yield_now();
            if let Some(block) = cell.get() {
                // Loom reports it if the block may be in the making here.
                block.header().used.with(|_| ());
            }
            other.join().unwrap();
            drop(Arc::try_unwrap(cell).map(|mut cell| cell.take()));
        });
    }
}
