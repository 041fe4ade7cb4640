//! The block: what the owner and the wakers share, in one allocation.

#![expect(unsafe_code, reason = "entries find their block by pointer arithmetic")]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "the layout of a block sees to it"
)]

use std::alloc::{self, Layout};
use std::mem::{ManuallyDrop, offset_of};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::process;
use std::ptr::{self, NonNull};

use super::entry::Entry;
use super::parent::Parent;
#[cfg(straggler_loom)]
use super::sync::UnsafeCell;
use super::sync::{self, AtomicU32, AtomicUsize, Ordering};
use super::top::{CLOSED, MOST, NONE, sleeper};

/// The header of a block.
#[repr(C)]
pub(super) struct Block {
    pub(super) references: AtomicUsize,
    len: u32,
    /// The [top](super::top) of the stack of woken entries.
    pub(super) top: AtomicU32,
    pub(super) parents: [Parent; 2],
    /// Shows loom the uses of the block, which it cannot see by itself.
    #[cfg(straggler_loom)]
    pub(super) used: UnsafeCell<()>,
    /// The entries start here, and the order follows them.
    entries: [Entry; 0],
}

/// A counted reference to a block.
#[derive(Debug)]
pub(super) struct Reference(NonNull<Block>);

// SAFETY: what threads share of a block is atomic, or is guarded as invariants 2 to 4 say.
unsafe impl Send for Reference {}
// SAFETY: as above.
unsafe impl Sync for Reference {}

impl UnwindSafe for Reference {}
impl RefUnwindSafe for Reference {}

#[cfg(not(straggler_loom))]
const _: () = assert!(
    size_of::<Block>() == offset_of!(Block, entries),
    "a reference to the header must not reach into the entries"
);

impl Reference {
    /// Creates a block of `len` entries, which must not be zero.
    pub(super) fn new(len: u32) -> Self {
        assert!(len > 0, "there is a child to wake");
        let (layout, _) = Block::layout(len);
        // SAFETY: the size is not zero, since the header's is not.
        let memory = unsafe { sync::alloc(layout) };
        let Some(block) = NonNull::new(memory.cast::<Block>()) else {
            alloc::handle_alloc_error(layout)
        };
        // SAFETY: the memory is ours, large enough and aligned for a header.
        unsafe {
            block.write(Block {
                references: AtomicUsize::new(1),
                len,
                top: AtomicU32::new(NONE),
                parents: [Parent::new(), Parent::new()],
                #[cfg(straggler_loom)]
                used: UnsafeCell::new(()),
                entries: [],
            });
        }
        let this = Self(block);
        for index in 0..len {
            let entry = this.entry_pointer(index).cast_mut();
            // SAFETY: the memory is ours, and it has room for an entry at each index below `len`.
            unsafe { entry.write(Entry::new(index)) };
        }
        this
    }

    /// Turns the reference into a pointer that stands for it.
    pub(super) fn into_pointer(self) -> NonNull<Block> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    ///
    /// The pointer stands for a reference, which is used no longer than that.
    #[inline]
    pub(super) unsafe fn from_pointer(block: NonNull<Block>) -> Self {
        Self(block)
    }

    #[inline]
    pub(super) fn header(&self) -> &Block {
        // SAFETY: a reference keeps the block alive (invariant 1), and its header is never
        // borrowed mutably.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(super) fn entry_pointer(&self, index: u32) -> *const Entry {
        assert!(index < self.header().len, "no such child");
        // SAFETY: the entries lie behind the header, in the same allocation.
        let first = unsafe { self.0.as_ptr().byte_add(offset_of!(Block, entries)) };
        // SAFETY: there is an entry at each index below `len`.
        unsafe { first.cast::<Entry>().add(index as usize) }
    }

    #[inline]
    pub(super) fn entry(&self, index: u32) -> &Entry {
        // SAFETY: a reference keeps the block alive (invariant 1), and its entries are never
        // borrowed mutably.
        unsafe { &*self.entry_pointer(index) }
    }

    /// Returns where the order starts. It has room for `len` indices.
    pub(super) fn order(&self) -> NonNull<usize> {
        let (_, order) = Block::layout(self.header().len);
        // SAFETY: the order lies at that offset in the same allocation.
        unsafe { self.0.byte_add(order) }.cast()
    }

    /// Records that child `index` finished after `at` others.
    ///
    /// # Safety
    ///
    /// The caller is the owner (invariant 4).
    pub(super) unsafe fn write_order(&self, at: u32, index: u32) {
        assert!(at < self.header().len, "each child finishes once");
        // SAFETY: there is room for `len` indices.
        let place = unsafe { self.order().add(at as usize) };
        // SAFETY: nobody else uses it, as the caller says.
        unsafe { place.write(index as usize) };
    }

    /// Returns the entry behind this pointer, and its block.
    ///
    /// # Safety
    ///
    /// The block lives for `'a`, and `entry` points into it.
    pub(super) unsafe fn of<'a>(entry: *const Entry) -> (&'a Entry, ManuallyDrop<Self>) {
        // SAFETY: the caller says so.
        let this = unsafe { &*entry };
        // SAFETY: the entries before this one lie in the same allocation.
        let first = unsafe { entry.sub(this.index as usize) };
        // SAFETY: and so does the header, in front of the first entry.
        let block = unsafe { first.byte_sub(offset_of!(Block, entries)) };
        // SAFETY: a pointer into an allocation is not null.
        let block = unsafe { NonNull::new_unchecked(block.cast_mut().cast::<Block>()) };
        let block = ManuallyDrop::new(Self(block));
        #[cfg(straggler_loom)]
        block.header().used.with(|_| ());
        (this, block)
    }
}

impl Clone for Reference {
    fn clone(&self) -> Self {
        // Relaxed is enough, as in `Arc`: the caller already has a reference.
        let before = self.header().references.fetch_add(1, Ordering::Relaxed);
        if before > usize::MAX / 2 {
            process::abort();
        }
        Self(self.0)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // Everything done under this reference happens before the block is freed: whoever frees it
        // acquires what each of the others has released. A load does what a fence would, and the
        // thread sanitizer understands it. The last reference needs no more than that load.
        let references = &self.header().references;
        if references.load(Ordering::Acquire) != 1 {
            if references.fetch_sub(1, Ordering::Release) != 1 {
                return;
            }
            references.load(Ordering::Acquire);
        }
        #[cfg(straggler_loom)]
        self.header().used.with_mut(|_| ());
        let (layout, _) = Block::layout(self.header().len);
        let (first, len) = (self.entry_pointer(0).cast_mut(), self.header().len as usize);
        // SAFETY: this was the last reference (invariant 1), so nobody uses the entries any more.
        unsafe { ptr::slice_from_raw_parts_mut(first, len).drop_in_place() };
        // SAFETY: nor the header.
        unsafe { self.0.drop_in_place() };
        // SAFETY: the block was allocated with this layout.
        unsafe { sync::dealloc(self.0.as_ptr().cast(), layout) };
    }
}

impl Block {
    /// Returns the layout of a block, and the offset of the order in it.
    fn layout(len: u32) -> (Layout, usize) {
        let len = len as usize;
        let with_order = || {
            let header =
                Layout::from_size_align(offset_of!(Self, entries), align_of::<Self>()).ok()?;
            let (entries, _) = header.extend(Layout::array::<Entry>(len).ok()?).ok()?;
            let (all, order) = entries.extend(Layout::array::<usize>(len).ok()?).ok()?;
            Some((all.pad_to_align(), order))
        };
        with_order().expect("the futures themselves take more memory than their block")
    }

    /// Wakes the child of `entry`. `is_used_up` says that this call consumes the waker. If it returns
    /// `true`, the owner has taken over the waker's share of the count, and the block may be gone.
    pub(super) fn wake(&self, entry: &Entry, is_used_up: bool) -> bool {
        let mut top = self.top.load(Ordering::Relaxed);
        // In its own poll a flag is enough: the owner looks at it afterwards. Only with an empty stack,
        // or this wake-up would overtake those on it.
        if top > MOST && entry.wakes_itself() {
            return false;
        }
        if entry.queued.swap(true, Ordering::AcqRel) {
            return false;
        }
        while top != CLOSED {
            if let Some((which, clones)) = sleeper(top) {
                match self.push(entry, top, NONE, false) {
                    // SAFETY: this push has replaced the sleeper (invariant 3).
                    Ok(()) => unsafe { self.parents[usize::from(which)].wake(clones) },
                    Err(now) => {
                        top = now;
                        continue;
                    }
                }
                // A push that is granted the parent still needs the block, so it keeps its waker.
                return false;
            }
            match self.push(entry, top, top, is_used_up) {
                Ok(()) => return is_used_up,
                Err(now) => top = now,
            }
        }
        false
    }

    /// Puts an entry that was claimed on the stack, in place of `top` and above `below`. Returns the top
    /// if it is another one by now.
    #[inline]
    fn push(&self, entry: &Entry, top: u32, below: u32, hands_over: bool) -> Result<(), u32> {
        entry.next.store(below, Ordering::Relaxed);
        entry.is_handed_over.store(hands_over, Ordering::Relaxed);
        // Releases what was done before the wake-up to the poll that takes the stack. Acquires the
        // parent's waker if the push is granted it.
        let pushed =
            self.top
                .compare_exchange_weak(top, entry.index, Ordering::AcqRel, Ordering::Relaxed);
        pushed.map(|_| ())
    }
}
