//! How many threads a runtime has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::runtime::Builder;

use crate::leak::record::runtime_threads::RuntimeThreads;
use crate::leak::record::thread_runtime;

/// How many threads a runtime has: workers, and those for blocking work, at work or not.
///
/// In a runtime of one thread these are all for blocking work, and may be at work.
#[derive(Debug, Default)]
pub(crate) struct ThreadCount(AtomicUsize);

impl ThreadCount {
    /// Has the threads of a runtime that is about to be built counted, and has them and `of_runtime`
    /// know: a builder has one callback of each kind.
    pub(crate) fn observe(
        builder: &mut Builder,
        of_runtime: Option<Arc<RuntimeThreads>>,
    ) -> Arc<Self> {
        let count = Arc::<Self>::default();
        let (starts, stops) = (Arc::clone(&count), Arc::clone(&count));
        let known = of_runtime.clone();
        builder
            .on_thread_start(move || {
                starts.0.fetch_add(1, Relaxed);
                thread_runtime::note();
                if let Some(known) = &known {
                    known.start();
                }
            })
            .on_thread_stop(move || {
                if let Some(of_runtime) = &of_runtime {
                    of_runtime.stop();
                }
                stops.0.fetch_sub(1, Relaxed);
            });
        count
    }

    /// How many there are.
    pub(crate) fn now(&self) -> usize {
        self.0.load(Relaxed)
    }
}
