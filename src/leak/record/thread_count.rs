//! Counts the threads of a runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::runtime::Builder;

use crate::leak::record::runtime_threads::RuntimeThreads;
use crate::leak::record::thread_runtime;

/// The number of threads of a runtime: workers and blocking threads, busy or idle.
///
/// A current-thread runtime has only blocking threads.
#[derive(Debug, Default)]
pub(crate) struct ThreadCount(AtomicUsize);

impl ThreadCount {
    /// Counts the threads of the runtime that `builder` will build.
    ///
    /// Also records them in `of_runtime` and for [`thread_runtime`]: a builder takes one callback
    /// of each kind, so this one serves all three.
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

    /// Returns the current number of threads.
    pub(crate) fn now(&self) -> usize {
        self.0.load(Relaxed)
    }
}
