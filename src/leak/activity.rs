//! What the threads of a runtime of one thread are at: whether the one that drives it is parked, and
//! whether there are others for blocking work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

/// What the threads of a runtime are at.
#[derive(Debug)]
pub(crate) struct Activity {
    begun: Instant,
    /// Since when the thread is parked, in nanoseconds since the beginning and one more; zero while
    /// it is not.
    parked: AtomicU64,
    /// How many threads for blocking work there are, at work or not.
    blocking: AtomicUsize,
}

impl Activity {
    /// Has the threads of a runtime that is about to be built observed.
    pub(crate) fn observe(builder: &mut Builder) -> Arc<Self> {
        let activity = Arc::new(Self {
            begun: Instant::now(),
            parked: AtomicU64::new(0),
            blocking: AtomicUsize::new(0),
        });
        let observed = || Arc::clone(&activity);
        let (parks, unparks) = (observed(), observed());
        let (starts, stops) = (observed(), observed());
        builder
            .on_thread_park(move || {
                let now = u64::try_from(parks.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                parks.parked.store(now.saturating_add(1), Relaxed);
            })
            .on_thread_unpark(move || unparks.parked.store(0, Relaxed))
            .on_thread_start(move || {
                starts.blocking.fetch_add(1, Relaxed);
            })
            .on_thread_stop(move || {
                stops.blocking.fetch_sub(1, Relaxed);
            });
        activity
    }

    /// For how long the thread is parked, without a break.
    pub(crate) fn parked_for(&self) -> Duration {
        let Some(parked) = self.parked.load(Relaxed).checked_sub(1) else {
            return Duration::ZERO;
        };
        let time = self.begun.elapsed();
        time.saturating_sub(Duration::from_nanos(parked))
    }

    /// Whether there are threads for blocking work, which may be at work.
    pub(crate) fn has_blocking_threads(&self) -> bool {
        self.blocking.load(Relaxed) > 0
    }
}
