//! What the threads of a runtime are at: how many there are, and whether the one that drives a
//! runtime of one thread is parked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use super::threads::RuntimeThreads;

/// What the threads of a runtime are at.
#[derive(Debug)]
pub(crate) struct Activity {
    begun: Instant,
    /// Since when the thread is parked, in nanoseconds since the beginning and one more; zero while
    /// it is not.
    parked: AtomicU64,
    /// How many threads there are: workers, and those for blocking work, at work or not.
    threads: AtomicUsize,
}

impl Activity {
    /// Has the threads of a runtime that is about to be built observed, and has `of_runtime` know
    /// them: a builder has one callback of each kind.
    pub(crate) fn observe(
        builder: &mut Builder,
        of_runtime: Option<Arc<RuntimeThreads>>,
    ) -> Arc<Self> {
        let activity = Arc::new(Self {
            begun: Instant::now(),
            parked: AtomicU64::new(0),
            threads: AtomicUsize::new(0),
        });
        let observed = || Arc::clone(&activity);
        let (parks, unparks) = (observed(), observed());
        let (starts, stops) = (observed(), observed());
        let known = of_runtime.clone();
        builder
            .on_thread_park(move || {
                let now = u64::try_from(parks.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                parks.parked.store(now.saturating_add(1), Relaxed);
            })
            .on_thread_unpark(move || unparks.parked.store(0, Relaxed))
            .on_thread_start(move || {
                starts.threads.fetch_add(1, Relaxed);
                if let Some(known) = &known {
                    known.start();
                }
            })
            .on_thread_stop(move || {
                if let Some(of_runtime) = &of_runtime {
                    of_runtime.stop();
                }
                stops.threads.fetch_sub(1, Relaxed);
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

    /// How many threads there are. In a runtime of one thread these are for blocking work, and may
    /// be at work.
    pub(crate) fn threads(&self) -> usize {
        self.threads.load(Relaxed)
    }
}
