//! A panic as a value.

use std::any::Any;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Mutex, OnceLock, PoisonError};

/// A panic that was caught while a future was polled or dropped.
///
/// The panic hook ran once, when the panic happened: its message and its place are already in
/// the output of the test. This value carries the original payload, so that
/// [`resume`](Self::resume) lets the panic go on as if it had never been caught, and
/// `#[should_panic(expected = "..")]` still matches.
///
/// [`SettleAll::catch_unwind`](crate::future::SettleAll::catch_unwind) returns it in place of the
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
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        Self {
            message: message_of(&*payload),
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
        let payload = self.into_payload();
        // No panic hook runs for a panic that is resumed.
        if let Some(observe) = RESUME_OBSERVER.get() {
            observe(&*payload);
        }
        resume_unwind(payload)
    }
}

/// What is called with the payload of each panic that is resumed.
static RESUME_OBSERVER: OnceLock<fn(&(dyn Any + Send))> = OnceLock::new();

/// Has `observe` called with the payload of each panic that this crate resumes from here on. Only
/// the first observer of a process is kept.
#[cfg(feature = "tokio")]
pub(crate) fn observe_resumed(observe: fn(&(dyn Any + Send))) {
    RESUME_OBSERVER.get_or_init(|| observe);
}

/// The message of a panic with this payload, if it is a string.
pub(crate) fn message_of(payload: &(dyn Any + Send)) -> Option<String> {
    match payload.downcast_ref::<&str>() {
        Some(message) => Some((*message).to_owned()),
        None => payload.downcast_ref::<String>().cloned(),
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Panic({:?})", self.message)
    }
}
