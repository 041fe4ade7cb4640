//! The threads of a test's runtime, and the name that marks the threads they start.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

use crate::leak::record::os_threads::{Id, own_id, rename};
use crate::mutex::lock;

/// The live threads of a test's runtime. All of them carry a mark as their system name.
#[derive(Debug)]
pub(crate) struct RuntimeThreads {
    pub(crate) mark: String,
    pub(crate) alive: Mutex<HashSet<Id>>,
}

impl RuntimeThreads {
    /// Adds and marks the calling thread. The threads it starts inherit the mark. Its name in
    /// `std::thread` stays the same.
    pub(crate) fn start(&self) {
        if let Ok(id) = own_id() {
            self.alive().insert(id);
            _ = rename(id, self.mark.as_bytes());
        }
    }

    /// Removes the calling thread: the kernel may reuse its id.
    pub(crate) fn stop(&self) {
        if let Ok(id) = own_id() {
            self.alive().remove(&id);
        }
    }

    /// Locks the set of live threads.
    pub(crate) fn alive(&self) -> MutexGuard<'_, HashSet<Id>> {
        lock(&self.alive)
    }
}
