//! Futures that wait for a signal.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The signal that one future waits for.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    is_complete: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Signal {
    /// Completes the future and wakes it.
    pub(crate) fn complete(&self) {
        self.is_complete.store(true, Ordering::Release);
        let waker = self.waker().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes the future without completing it.
    pub(crate) fn wake(&self) {
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
        // Checked again under the lock: `complete` sets the flag before it takes the waker, so it
        // either finds the waker below or is seen here.
        if self.is_complete() {
            return Poll::Ready(());
        }
        match &mut *kept {
            // Does not clone if both wake the same task.
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

/// Future that waits for one of a slice of signals and returns its index.
///
/// All futures share one allocation: making one allocates nothing, dropping one only decrements a
/// counter.
#[derive(Debug)]
pub struct Waits {
    signals: Arc<[Signal]>,
    index: usize,
}

impl Waits {
    /// Makes one future for each signal.
    pub(crate) fn all(signals: &Arc<[Signal]>) -> impl Iterator<Item = Self> {
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
