//! How this crate locks its own mutexes.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex whose poison means nothing.
///
/// Only for critical sections that run no foreign code and leave nothing half-changed: a thread
/// that panics while it holds such a lock panics between two consistent states.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
