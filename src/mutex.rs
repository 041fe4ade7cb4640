//! How this crate locks its own mutexes.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex and ignores poison.
///
/// Use it only for critical sections that run no foreign code and leave nothing half-changed. If a
/// thread panics in one, the value is still consistent.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
