//! The threads of a test's runtime, and the name that marks the threads they start.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

use crate::leak::record::os_threads::{Id, own_id, rename};
use crate::mutex::lock;

/// The live threads of a test's runtime. Empty on systems other than Linux.
#[derive(Debug, Default)]
pub(crate) struct RuntimeThreads {
    /// The system name of these threads, if they carry one as their mark.
    pub(crate) mark: Option<String>,
    pub(crate) alive: Mutex<HashSet<Id>>,
}

thread_local! {
    /// The id of this thread, if a runtime of a test started it.
    static OWN: Cell<Option<Id>> = const { Cell::new(None) };
}

impl RuntimeThreads {
    /// Adds and marks the calling thread. The threads it starts inherit the mark. Its name in
    /// `std::thread` stays the same.
    pub(crate) fn start(&self) {
        let Ok(id) = own_id() else {
            return;
        };
        OWN.set(Some(id));
        self.alive().insert(id);
        if let Some(mark) = &self.mark {
            _ = rename(id, mark.as_bytes());
        }
    }

    /// Removes the calling thread: the kernel may reuse its id.
    pub(crate) fn stop(&self) {
        if let Some(id) = OWN.get() {
            self.alive().remove(&id);
        }
    }

    /// Locks the set of live threads.
    pub(crate) fn alive(&self) -> MutexGuard<'_, HashSet<Id>> {
        lock(&self.alive)
    }
}
