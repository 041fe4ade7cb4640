//! The threads of a test's runtime, and the name they bear so that a test's own threads can be found.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

use crate::leak::record::os_threads::{Id, own_id, rename};
use crate::mutex::lock;

/// The threads of the test's runtime.
#[derive(Debug)]
pub(crate) struct RuntimeThreads {
    pub(crate) mark: String,
    pub(crate) alive: Mutex<HashSet<Id>>,
}

impl RuntimeThreads {
    /// Has this thread bear the mark, which those that it starts inherit. Its name in `std::thread`
    /// is not touched.
    pub(crate) fn start(&self) {
        if let Ok(id) = own_id() {
            self.alive().insert(id);
            _ = rename(id, self.mark.as_bytes());
        }
    }

    /// Forgets this thread, whose number may be given to another.
    pub(crate) fn stop(&self) {
        if let Ok(id) = own_id() {
            self.alive().remove(&id);
        }
    }

    pub(crate) fn alive(&self) -> MutexGuard<'_, HashSet<Id>> {
        lock(&self.alive)
    }
}
