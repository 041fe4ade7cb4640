//! The wakers of children: pointers to entries, and the waker lent before there is a block.

#![expect(
    unsafe_code,
    reason = "a waker is made of a pointer and a table of functions"
)]

use std::mem::{self, ManuallyDrop};
use std::ptr;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use super::block::Reference;
use super::cell::BlockCell;
use super::entry::{Entry, LEFT};
use super::sync::Ordering;

static WAKER: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// # Safety
///
/// As of all four: `entry` points to the entry of a waker, or of one that is lent, which keeps
/// the block alive for the time of the call.
unsafe fn clone(entry: *const ()) -> RawWaker {
    // SAFETY: the caller keeps the entry alive.
    let this = unsafe { &*entry.cast::<Entry>() };
    this.add_waker();
    RawWaker::new(entry, &WAKER)
}

unsafe fn wake(entry: *const ()) {
    // SAFETY: the caller hands the waker over. It is let go of also if the parent's waker panics.
    let waker = unsafe { Waker::new(entry, &WAKER) };
    // SAFETY: the waker keeps the block alive.
    let (this, block) = unsafe { Reference::of(entry.cast()) };
    if block.header().wake(this, true) {
        mem::forget(waker);
    }
}

unsafe fn wake_by_ref(entry: *const ()) {
    // SAFETY: the caller keeps the block alive.
    let (this, block) = unsafe { Reference::of(entry.cast()) };
    block.header().wake(this, false);
}

unsafe fn drop_waker(entry: *const ()) {
    // SAFETY: the caller's waker keeps the block alive.
    let (this, block) = unsafe { Reference::of(entry.cast()) };
    // Releases what was done with this waker, and acquires what was done with the others, for the
    // reference that stands for all of them. While the owner has not let go there is none, and the
    // block may be gone from here on.
    if this.wakers.fetch_sub(1, Ordering::AcqRel) == LEFT + 1 {
        drop(ManuallyDrop::into_inner(block));
    }
}

/// Of a waker that is lent before there is a block. It points to the cell.
static UNBORN: RawWakerVTable = RawWakerVTable::new(clone_unborn, wake_unborn, wake_unborn, |_| {});

/// # Safety
///
/// `cell` points to a [`BlockCell`] that lives.
unsafe fn clone_unborn(cell: *const ()) -> RawWaker {
    // SAFETY: the caller says so.
    let cell = unsafe { &*cell.cast::<BlockCell>() };
    // Relaxed is enough: it does not change while the waker is lent.
    let index = cell.polled.load(Ordering::Relaxed);
    let block = cell.add_waker(index);
    RawWaker::new(block.entry_pointer(index).cast(), &WAKER)
}

/// # Safety
///
/// `cell` points to a [`BlockCell`] that lives.
unsafe fn wake_unborn(cell: *const ()) {
    // SAFETY: the caller says so.
    let cell = unsafe { &*cell.cast::<BlockCell>() };
    // A flag is enough: without a block there is no other waker, so nothing else can be on the stack.
    cell.woke_itself.store(true, Ordering::Release);
}

/// Lends child `index` a waker for a poll. Also returns whether the child woke itself with it
/// and may not be on the stack.
#[expect(
    clippy::inline_always,
    reason = "the compiler would not, and each poll would cost a call"
)]
#[inline(always)]
pub(super) fn lend<R>(
    cell: &BlockCell,
    index: u32,
    poll: impl FnOnce(&mut Context<'_>) -> R,
) -> (R, bool) {
    cell.polled.store(index, Ordering::Relaxed);
    if let Some(block) = cell.get() {
        let pointer = block.entry_pointer(index);
        // SAFETY: the block is not dropped while its reference is lent, and its entries are never
        // borrowed mutably.
        let entry = unsafe { &*pointer };
        return entry.poll(|| lend_as(pointer.cast(), &WAKER, poll));
    }
    cell.woke_itself.store(false, Ordering::Relaxed);
    let polled = lend_as(ptr::from_ref(cell).cast(), &UNBORN, poll);
    (polled, cell.woke_itself.load(Ordering::Acquire))
}

#[inline]
fn lend_as<R>(
    data: *const (),
    table: &'static RawWakerVTable,
    poll: impl FnOnce(&mut Context<'_>) -> R,
) -> R {
    // SAFETY: the functions of the tables keep the contract of wakers. What they point to lives
    // while this one does, which is lent and so never dropped.
    let waker = ManuallyDrop::new(unsafe { Waker::new(data, table) });
    poll(&mut Context::from_waker(&waker))
}
