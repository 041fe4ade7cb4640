//! Contains the panics of foreign code, and drops values one by one, so that a panic in one `drop`
//! spares the others.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crate::panic::Panic;

/// Runs foreign code and turns its panic into a value.
///
/// Asserts unwind safety: each caller either drops unseen what `foreign` may have left half-changed,
/// or resumes the panic.
pub(crate) fn contain<R>(foreign: impl FnOnce() -> R) -> Result<R, Panic> {
    catch_unwind(AssertUnwindSafe(foreign)).map_err(Panic::new)
}

/// Drops a panic that an earlier one outranks.
///
/// If dropping its payload panics, it leaks the payload of that panic: dropping that one could panic
/// again, without end.
pub(crate) fn discard(panic: Panic) {
    if let Err(another) = contain(|| drop(panic)) {
        mem::forget(another.into_payload());
    }
}

/// Keeps the first of several panics.
#[derive(Default)]
pub(crate) struct FirstPanic(Option<Panic>);

impl FirstPanic {
    /// Keeps `panic` if it is the first, or else [`discard`]s it.
    pub(crate) fn note(&mut self, panic: Panic) {
        match self.0 {
            None => self.0 = Some(panic),
            Some(_) => discard(panic),
        }
    }

    /// Runs foreign code and notes its panic.
    pub(crate) fn run(&mut self, foreign: impl FnOnce()) {
        if let Err(panic) = contain(foreign) {
            self.note(panic);
        }
    }

    /// Drops `value` and notes its panic.
    pub(crate) fn drop_value<T>(&mut self, value: T) {
        self.run(|| drop(value));
    }

    /// Drops every value, even if some panic, and notes their panics.
    pub(crate) fn drop_each<T>(&mut self, values: impl IntoIterator<Item = T>) {
        for value in values {
            self.drop_value(value);
        }
    }

    /// Whether there was a panic.
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Resumes the first panic, if any.
    #[inline]
    pub(crate) fn resume(self) {
        if let Some(panic) = self.0 {
            panic.resume();
        }
    }

    /// Returns `value`. If there was a panic, drops `value` and resumes the panic instead.
    pub(crate) fn or_resume<T>(self, value: T) -> T {
        let Some(panic) = self.0 else {
            return value;
        };
        if let Err(later) = contain(|| drop(value)) {
            discard(later);
        }
        panic.resume()
    }

    /// Resumes the first panic, if any, from a destructor.
    ///
    /// Discards it if the thread is already unwinding: a second panic would abort the process and hide
    /// the first.
    #[inline]
    pub(crate) fn resume_in_drop(self) {
        match self.0 {
            Some(panic) if thread::panicking() => discard(panic),
            Some(panic) => panic.resume(),
            None => {}
        }
    }
}
