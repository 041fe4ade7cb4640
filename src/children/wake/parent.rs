//! The wakers of the parent. There are two places for them; the owner uses one.
//!
//! A push that is granted the parent wakes it by the waker in its place. Meanwhile the parent may poll
//! the combinator with another waker, on another thread or on the spot: that waker goes to the other
//! place. While one place is in use, a push clones the waker in the other one and frees that place
//! before it wakes. So a slow wake-up blocks nobody.

#![expect(
    unsafe_code,
    reason = "the owner and who is granted the parent take turns"
)]

use std::task::Waker;

use super::sync::{AtomicU32, Ordering, UnsafeCell};

/// Which of the two places: 0 or 1.
pub(super) type Which = u8;

/// A place for a waker of the parent.
#[derive(Debug)]
pub(super) struct Parent {
    waker: UnsafeCell<Option<Waker>>,
    /// The state of the grant. Meaningless while the place is not granted.
    grant: AtomicU32,
}

/// The grantee of the place has not finished.
const GRANTED: u32 = 0;
/// The grantee has finished and left the waker to the owner.
const FINISHED: u32 = 1;
/// The grantee has not finished, and the owner has left the waker to it.
const LEFT: u32 = 2;

impl Parent {
    pub(super) fn new() -> Self {
        Self {
            waker: UnsafeCell::new(None),
            grant: AtomicU32::new(GRANTED),
        }
    }

    /// Wakes the parent. With `clones`, frees the place before that.
    ///
    /// # Safety
    ///
    /// The caller was granted this place (invariant 3), and now uses up its grant.
    // Apart, so that it costs the other wake-ups of a burst no registers.
    #[inline(never)]
    pub(super) unsafe fn wake(&self, clones: bool) {
        let granted = Granted(self);
        let clone = self.waker.with(|waker| {
            // SAFETY: the owner leaves the waker alone until the grant has finished (invariant 3).
            let waker = unsafe { &*waker }.as_ref();
            let waker = waker.expect("there is a parent while it sleeps");
            if clones {
                return Some(waker.clone());
            }
            waker.wake_by_ref();
            None
        });
        drop(granted);
        if let Some(clone) = clone {
            clone.wake();
        }
    }

    /// Whether the waker here would wake the same as `parent`.
    ///
    /// # Safety
    ///
    /// The caller is the owner, and has put a waker here, which nobody takes out (invariant 3).
    #[inline]
    pub(super) unsafe fn is(&self, parent: &Waker) -> bool {
        self.waker.with(|waker| {
            // SAFETY: the owner alone changes the waker, and who is granted the place only reads it.
            let waker = unsafe { &*waker }.as_ref();
            waker.is_some_and(|waker| waker.will_wake(parent))
        })
    }

    /// Leaves the waker to the grantee. Returns `false` if the grantee has finished.
    fn leave(&self) -> bool {
        let left = self
            .grant
            .compare_exchange(GRANTED, LEFT, Ordering::AcqRel, Ordering::Acquire);
        left != Err(FINISHED)
    }

    /// Takes the waker out of the place, if there is one.
    ///
    /// # Safety
    ///
    /// Nobody else uses the place (invariant 3).
    unsafe fn take(&self) -> Option<Waker> {
        // SAFETY: the caller says so.
        self.waker.with_mut(|waker| unsafe { &mut *waker }.take())
    }
}

/// The right to use the waker in a place. It ends on drop, even if the waker panics.
struct Granted<'a>(&'a Parent);

impl Drop for Granted<'_> {
    fn drop(&mut self) {
        // Releases the use of the waker to the owner. The place may be granted to somebody else from
        // here on.
        let finished =
            self.0
                .grant
                .compare_exchange(GRANTED, FINISHED, Ordering::AcqRel, Ordering::Acquire);
        if finished.is_ok() {
            return;
        }
        // SAFETY: the owner left the waker, and the grant has not finished (invariant 3).
        let left = unsafe { self.0.take() };
        self.0.grant.store(FINISHED, Ordering::Release);
        drop(left);
    }
}

fn at(places: &[Parent; 2], which: Which) -> &Parent {
    &places[usize::from(which)]
}

/// What the owner knows about the two places.
#[derive(Debug, Default)]
pub(super) struct Parents {
    current: Which,
    /// Whether the place was granted and the owner has not seen the grantee finish.
    granted: [bool; 2],
}

impl Parents {
    /// Puts a waker in place that wakes the same as `parent`. Returns the place and whether to clone the
    /// waker there, or `None` while both places are in use.
    ///
    /// # Safety
    ///
    /// The caller is the owner of `places`, and does not sleep.
    pub(super) unsafe fn put(
        &mut self,
        places: &[Parent; 2],
        parent: &Waker,
    ) -> Option<(Which, bool)> {
        self.see_finished(places, self.current);
        // SAFETY: the caller is the owner, and the place is free (invariant 3).
        if self.granted == [false; 2] && unsafe { at(places, self.current).is(parent) } {
            // The usual case. The other place is empty then.
            return Some((self.current, false));
        }
        self.see_finished(places, 1 - self.current);
        // The parent polls while it is being woken, perhaps with another waker from now on.
        if self.granted[usize::from(self.current)] && !at(places, self.current).leave() {
            at(places, self.current)
                .grant
                .store(GRANTED, Ordering::Relaxed);
            self.granted[usize::from(self.current)] = false;
        }
        if self.granted[usize::from(self.current)] {
            self.current = 1 - self.current;
            if self.granted[usize::from(self.current)] {
                return None;
            }
        }
        let (current, other) = (self.current, 1 - self.current);
        // SAFETY: the place is free, and the caller is the owner (invariant 3).
        let is_there = unsafe { at(places, current).is(parent) };
        if !is_there {
            let new = parent.clone();
            let replace = |waker: *mut Option<Waker>| {
                // SAFETY: as above.
                unsafe { &mut *waker }.replace(new)
            };
            let old = at(places, current).waker.with_mut(replace);
            drop(old);
        }
        if !self.granted[usize::from(other)] {
            // SAFETY: as above.
            drop(unsafe { at(places, other).take() });
        }
        Some((current, self.granted[usize::from(other)]))
    }

    /// Notes whether the grantee of the place has finished.
    #[inline]
    fn see_finished(&mut self, places: &[Parent; 2], which: Which) {
        let grant = &at(places, which).grant;
        // Acquires the use that was made of the waker.
        if self.granted[usize::from(which)] && grant.load(Ordering::Acquire) == FINISHED {
            grant.store(GRANTED, Ordering::Relaxed);
            self.granted[usize::from(which)] = false;
        }
    }

    /// Notes that the place of the last [`put`](Self::put) was granted.
    pub(super) fn grant(&mut self) {
        self.granted[usize::from(self.current)] = true;
    }

    /// Drops both wakers, or leaves a waker in use to its grantee.
    ///
    /// # Safety
    ///
    /// The caller is the owner of `places`, does not sleep, and uses them no more.
    pub(super) unsafe fn leave(mut self, places: &[Parent; 2]) {
        for which in [0, 1] {
            // A load costs less than the exchange in `leave`.
            self.see_finished(places, which);
            let place = at(places, which);
            if !(self.granted[usize::from(which)] && place.leave()) {
                // SAFETY: nobody is granted the place, and the caller is the owner (invariant 3).
                drop(unsafe { place.take() });
            }
        }
    }
}
