//! Counts the threads of a runtime.

use std::iter;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Release};

use tokio::runtime::Builder;

use crate::leak::record::os_threads::{Id, Stat, stat_of};
use crate::leak::record::runtime_threads::RuntimeThreads;
use crate::leak::record::thread_runtime;

/// The number of threads of a runtime: workers and blocking threads, busy or idle.
///
/// A current-thread runtime has only blocking threads.
#[derive(Debug, Default)]
pub(crate) struct ThreadCount {
    number: AtomicUsize,
    threads: Arc<RuntimeThreads>,
}

impl ThreadCount {
    /// Counts the threads of the runtime that `builder` will build.
    ///
    /// Also records them in `threads` and for [`thread_runtime`]: a builder takes one callback of
    /// each kind, so this one serves all three.
    pub(crate) fn observe(builder: &mut Builder, threads: Arc<RuntimeThreads>) -> Arc<Self> {
        let count = Arc::new(Self {
            number: AtomicUsize::new(0),
            threads,
        });
        let (starts, stops) = (Arc::clone(&count), Arc::clone(&count));
        // A thread that is counted is also listed: it may lose its processor in between.
        builder
            .on_thread_start(move || {
                starts.threads.start();
                starts.number.fetch_add(1, Release);
                thread_runtime::note();
            })
            .on_thread_stop(move || {
                stops.number.fetch_sub(1, Release);
                stops.threads.stop();
            });
        count
    }

    /// Returns the current number of threads.
    pub(crate) fn now(&self) -> usize {
        self.number.load(Acquire)
    }

    /// Returns what the kernel says of each thread, `None` for a thread that it does not know.
    pub(crate) fn stats(&self) -> Vec<Option<Stat>> {
        let number = self.now();
        let ids: Vec<Id> = self.threads.alive().iter().copied().collect();
        let unlisted = number.saturating_sub(ids.len());
        let stats = ids.into_iter().filter_map(|id| stat_of(id).transpose());
        let unknown = iter::repeat_n(None, unlisted);
        stats.map(Result::ok).chain(unknown).collect()
    }

    /// Returns the kernel's ids of the threads.
    pub(crate) fn ids(&self) -> Vec<Id> {
        self.threads.alive().iter().copied().collect()
    }
}
