//! A panic as a value, and the two things this crate does with foreign code that may panic:
//! [`contain`] it, and drop values one by one so that a panic in one `drop` spares the others.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

/// A panic that was caught while a future was polled or dropped.
///
/// The panic hook ran once, when the panic happened: its message and its place are already in
/// the output of the test. This value carries the original payload, so that
/// [`resume`](Self::resume) lets the panic go on as if it had never been caught, and
/// `#[should_panic(expected = "..")]` still matches.
///
/// [`SettleAll::catch_unwind`](crate::SettleAll::catch_unwind) returns it in place of the
/// output of a child that panicked.
///
/// # Examples
///
/// ```
/// # tokio_test::block_on(async {
/// let settled = straggler::settle_all([async { panic!("no such account") }])
///     .catch_unwind()
///     .await;
/// let panic = settled[0].as_ref().map(|()| ()).unwrap_err();
/// assert_eq!(panic.message(), Some("no such account"));
/// assert_eq!(panic.to_string(), "panicked: no such account");
/// # });
/// ```
#[derive(thiserror::Error)]
#[error("panicked: {}", self.message().unwrap_or("(the payload is not a string)"))]
pub struct Panic {
    message: Option<String>,
    /// The lock is never waited for: it makes the payload, which is `Send` only, `Sync` too, so
    /// that `?` can turn a `Panic` into a `Box<dyn Error + Send + Sync>`.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl Panic {
    fn new(payload: Box<dyn Any + Send>) -> Self {
        let message = match payload.downcast_ref::<&str>() {
            Some(message) => Some((*message).to_owned()),
            None => payload.downcast_ref::<String>().cloned(),
        };
        Self {
            message,
            payload: Mutex::new(payload),
        }
    }

    /// Returns the panic's message, or `None` if its payload is neither a `&str` nor a `String`.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([async { std::panic::panic_any(7) }])
    ///     .catch_unwind()
    ///     .await;
    /// let panic = settled.into_vec().remove(0).unwrap_err();
    /// assert_eq!(panic.message(), None);
    /// # });
    /// ```
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Returns the payload the panic was started with.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([async { std::panic::panic_any(7) }])
    ///     .catch_unwind()
    ///     .await;
    /// let panic = settled.into_vec().remove(0).unwrap_err();
    /// assert_eq!(panic.into_payload().downcast_ref(), Some(&7));
    /// # });
    /// ```
    #[must_use = "drop the panic itself to ignore it"]
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.payload
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the panic go on with its original payload, without a second run of the panic hook.
    ///
    /// # Panics
    ///
    /// Always: that is what it is for.
    ///
    /// # Examples
    ///
    /// ```should_panic
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([async { panic!("no such account") }])
    ///     .catch_unwind()
    ///     .await;
    /// for outcome in settled {
    ///     outcome.unwrap_or_else(|panic| panic.resume());
    /// }
    /// # });
    /// ```
    pub fn resume(self) -> ! {
        resume_unwind(self.into_payload())
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Panic({:?})", self.message)
    }
}

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
        std::mem::forget(another);
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

    /// Drops `value` and keeps the panic this causes.
    pub(crate) fn drop_value<T>(&mut self, value: T) {
        if let Err(panic) = contain(|| drop(value)) {
            self.note(panic);
        }
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

    /// Whether there was a panic, and [`resume`](Self::resume) lets it go on.
    pub(crate) fn goes_on(&self) -> bool {
        self.is_some() && !std::thread::panicking()
    }

    /// Lets the panic go on, if there was one. A thread that already unwinds is left to do so: a
    /// second panic would abort the process and hide the first.
    pub(crate) fn resume(self) {
        if let Some(panic) = self.0 {
            if std::thread::panicking() {
                discard(panic);
            } else {
                panic.resume();
            }
        }
    }

    /// Returns `value`, unless there was a panic to go on: then drops it too.
    pub(crate) fn or_resume<T>(mut self, value: T) -> T {
        let mut value = Some(value);
        if self.goes_on() {
            self.drop_value(value.take());
        }
        self.resume();
        value.expect("a value is dropped only if a panic goes on")
    }
}

/// Writes the text of a foreign value, or what its `Display` or `Debug` panicked with.
pub(crate) fn text(value: fmt::Arguments<'_>) -> String {
    contain(|| value.to_string()).unwrap_or_else(|panic| {
        let text = format!("(cannot be shown: writing it {panic})");
        discard(panic);
        text
    })
}
