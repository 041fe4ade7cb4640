//! A panic as a value.

use std::any::Any;
#[cfg(feature = "tokio")]
use std::any::TypeId;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Mutex, OnceLock, PoisonError};

/// A panic that was caught while a future was polled or dropped.
///
/// [`SettleAll::catch_unwind`](crate::future::SettleAll::catch_unwind) returns it as the output of a
/// future that panicked. The panic hook has already run, so the test's output shows the message and
/// the place.
///
/// It keeps the original payload: [`resume`](Self::resume) continues the panic as if nothing had
/// caught it, and `#[should_panic(expected = "..")]` still matches.
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
    /// The payload is `Send` only. The mutex makes it `Sync`, so that `?` can turn a `Panic` into a
    /// `Box<dyn Error + Send + Sync>`. No two threads ever lock it at once.
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

    /// Returns the identity of the payload.
    #[cfg(feature = "tokio")]
    pub(crate) fn payload_id(&self) -> PayloadId {
        PayloadId::of(&**self.payload.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the original payload of the panic.
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

    /// Resumes the panic with its original payload. The panic hook does not run again.
    ///
    /// # Panics
    ///
    /// Always.
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
        // `resume_unwind` runs no panic hook, so report the panic to the leak check here.
        if let Some(observe) = RESUME_OBSERVER.get() {
            observe(&*payload);
        }
        resume_unwind(payload)
    }
}

/// The function to call with the payload of each resumed panic. `leak` sets it, so that this module
/// need not import it.
static RESUME_OBSERVER: OnceLock<fn(&(dyn Any + Send))> = OnceLock::new();

/// Calls `observe` with the payload of each panic that this crate resumes from now on. A process keeps
/// its first observer.
#[cfg(feature = "tokio")]
pub(crate) fn observe_resumed(observe: fn(&(dyn Any + Send))) {
    RESUME_OBSERVER.get_or_init(|| observe);
}

/// Identifies the payload of a panic from its hook to where it is caught.
///
/// A payload moves into its box only after the hook has run, so its own address does not identify it. The
/// address of its text does: of the literal, or of the buffer.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PayloadId {
    type_id: TypeId,
    /// The address and the length. `None` if the payload is not a string.
    text: Option<(usize, usize)>,
}

#[cfg(feature = "tokio")]
impl PayloadId {
    pub(crate) fn of(payload: &(dyn Any + Send)) -> Self {
        let literal = payload.downcast_ref::<&str>().copied();
        let text = literal.or_else(|| payload.downcast_ref().map(String::as_str));
        Self {
            type_id: payload.type_id(),
            text: text.map(|text| (text.as_ptr().addr(), text.len())),
        }
    }
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
