//! The wakers of children: pointers to entries, and the waker that is lent before there is a block.

#![expect(
    unsafe_code,
    reason = "a waker is made of a pointer and a table of functions"
)]

use std::mem::{self, ManuallyDrop};
use std::process;
use std::sync::OnceLock;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use super::block::{Entry, Reference, TOO_MANY};
use super::sync::Ordering;

static WAKER: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// # Safety
///
/// As of all four: `entry` points to the entry of a waker, or of one that is lent, which keeps
/// the block alive for the time of the call.
unsafe fn clone(entry: *const ()) -> RawWaker {
    // SAFETY: the caller keeps the block alive.
    let (this, block) = unsafe { Reference::of(entry.cast::<Entry>()) };
    match this.wakers.fetch_add(1, Ordering::Relaxed) {
        0 => mem::forget(Reference::clone(&block)),
        TOO_MANY.. => process::abort(),
        _ => {}
    }
    RawWaker::new(entry, &WAKER)
}

unsafe fn wake(entry: *const ()) {
    // SAFETY: the caller hands the waker over.
    let waker = unsafe { Waker::new(entry, &WAKER) };
    // In this order, and let go of also if the parent's waker panics.
    waker.wake_by_ref();
}

unsafe fn wake_by_ref(entry: *const ()) {
    // SAFETY: the caller keeps the block alive.
    let (this, block) = unsafe { Reference::of(entry.cast()) };
    block.header().wake(this);
}

unsafe fn drop_waker(entry: *const ()) {
    // SAFETY: the caller's waker keeps the block alive.
    let (this, block) = unsafe { Reference::of(entry.cast()) };
    // Releases what was done with this waker, and acquires what was done with the others, for the
    // one reference that stands for all of them.
    if this.wakers.fetch_sub(1, Ordering::AcqRel) == 1 {
        drop(ManuallyDrop::into_inner(block));
    }
}

/// What a waker that is lent before there is a block points to.
struct Unborn<'a> {
    index: u32,
    len: u32,
    block: &'a OnceLock<Reference>,
}

static UNBORN: RawWakerVTable = RawWakerVTable::new(clone_unborn, wake_unborn, wake_unborn, |_| {});

impl Unborn<'_> {
    /// The entry in the block, which is made for it and kept alive by the owner's reference.
    fn entry(&self) -> *const () {
        let block = self.block.get_or_init(|| Reference::new(self.len));
        block.entry_pointer(self.index).cast()
    }
}

/// # Safety
///
/// `unborn` points to an [`Unborn`] that lives.
unsafe fn clone_unborn(unborn: *const ()) -> RawWaker {
    // SAFETY: the caller says so.
    let unborn = unsafe { &*unborn.cast::<Unborn<'_>>() };
    // SAFETY: the owner's reference keeps the block alive.
    unsafe { clone(unborn.entry()) }
}

/// # Safety
///
/// `unborn` points to an [`Unborn`] that lives.
unsafe fn wake_unborn(unborn: *const ()) {
    // SAFETY: the caller says so.
    let unborn = unsafe { &*unborn.cast::<Unborn<'_>>() };
    // SAFETY: the owner's reference keeps the block alive.
    unsafe { wake_by_ref(unborn.entry()) };
}

/// Lends child `index` of `len` a waker for a poll.
pub(super) fn lend<R>(
    block: &OnceLock<Reference>,
    len: u32,
    index: u32,
    poll: impl FnOnce(&mut Context<'_>) -> R,
) -> R {
    let unborn = Unborn { index, len, block };
    let (data, table) = match block.get() {
        Some(block) => (block.entry_pointer(index).cast(), &WAKER),
        None => ((&raw const unborn).cast(), &UNBORN),
    };
    // SAFETY: the functions of the tables keep the contract of wakers. What they point to lives
    // while this one does, which is lent and so never dropped.
    let waker = ManuallyDrop::new(unsafe { Waker::new(data, table) });
    poll(&mut Context::from_waker(&waker))
}
