//! What this crate does with foreign code that may panic: contain it, and drop values one by one so
//! that a panic in one `drop` spares the others.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crate::panic::Panic;

/// Runs foreign code and turns its panic into a value.
///
/// Unwind safety is asserted: every caller either drops what `foreign` may have left
/// half-changed without looking into it, or lets the panic go on.
pub(crate) fn contain<R>(foreign: impl FnOnce() -> R) -> Result<R, Panic> {
    catch_unwind(AssertUnwindSafe(foreign)).map_err(Panic::new)
}

/// Drops a panic that is outranked by an earlier one.
///
/// A payload is foreign code too: if its `drop` panics, that panic's own payload is leaked, since
/// there is no end to payloads that panic when dropped.
pub(crate) fn discard(panic: Panic) {
    if let Err(another) = contain(|| drop(panic)) {
        mem::forget(another.into_payload());
    }
}

/// Keeps the first of several panics.
#[derive(Default)]
pub(crate) struct FirstPanic(Option<Panic>);

impl FirstPanic {
    /// Keeps `panic` if it is the first, else [`discard`]s it.
    pub(crate) fn note(&mut self, panic: Panic) {
        match self.0 {
            None => self.0 = Some(panic),
            Some(_) => discard(panic),
        }
    }

    /// Runs foreign code and keeps the panic this causes.
    pub(crate) fn run(&mut self, foreign: impl FnOnce()) {
        if let Err(panic) = contain(foreign) {
            self.note(panic);
        }
    }

    /// Drops `value` and keeps the panic this causes.
    pub(crate) fn drop_value<T>(&mut self, value: T) {
        self.run(|| drop(value));
    }

    /// Drops every value, whichever of them panic, and keeps the first panic.
    pub(crate) fn drop_each<T>(&mut self, values: impl IntoIterator<Item = T>) {
        for value in values {
            self.drop_value(value);
        }
    }

    /// Whether there was a panic.
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Lets the panic go on, if there was one.
    #[inline]
    pub(crate) fn resume(self) {
        if let Some(panic) = self.0 {
            panic.resume();
        }
    }

    /// Returns `value` if there was no panic; else drops it too and lets the panic go on.
    pub(crate) fn or_resume<T>(self, value: T) -> T {
        let Some(panic) = self.0 else {
            return value;
        };
        if let Err(later) = contain(|| drop(value)) {
            discard(later);
        }
        panic.resume()
    }

    /// Lets the panic of a destructor go on, if there was one. A thread that already unwinds is
    /// left to do so: a second panic would abort the process and hide the first.
    #[inline]
    pub(crate) fn resume_in_drop(self) {
        match self.0 {
            Some(panic) if thread::panicking() => discard(panic),
            Some(panic) => panic.resume(),
            None => {}
        }
    }
}
