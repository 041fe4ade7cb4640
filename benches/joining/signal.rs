//! Futures that wait to be told.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What one future waits for.
#[derive(Debug, Default)]
pub(super) struct Signal {
    is_complete: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Signal {
    pub(super) fn complete(&self) {
        self.is_complete.store(true, Ordering::Release);
        let waker = self.waker().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes the future and changes nothing.
    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker() {
            waker.wake_by_ref();
        }
    }

    #[inline]
    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        if self.is_complete() {
            return Poll::Ready(());
        }
        let mut kept = self.waker();
        // Who completes it takes the waker afterwards: either it is there by then or this is true.
        if self.is_complete() {
            return Poll::Ready(());
        }
        match &mut *kept {
            // Clones nothing if it is the same waker.
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    #[inline]
    fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
    }

    #[inline]
    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for one of the signals. They are in one piece, so that a future costs no allocation, and
/// dropping it is no more than to count down.
#[derive(Debug)]
pub struct Waits {
    signals: Arc<[Signal]>,
    index: usize,
}

impl Waits {
    /// Makes a future for each of the signals.
    pub(super) fn all(signals: &Arc<[Signal]>) -> impl Iterator<Item = Self> {
        (0..signals.len()).map(|index| Self {
            signals: Arc::clone(signals),
            index,
        })
    }
}

impl Future for Waits {
    type Output = usize;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<usize> {
        self.signals[self.index].poll(context).map(|()| self.index)
    }
}
