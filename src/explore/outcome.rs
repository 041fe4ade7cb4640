//! The return types of an explored body.

use std::fmt;

/// The return type of a body that [`Explore`](crate::Explore) runs: `()`, or a `Result` whose error
/// implements `Debug`.
///
/// A run that returns `Err` fails.
///
/// # Examples
///
/// ```
/// use straggler::Explore;
///
/// let failure = Explore::new().find(|| async { Err::<(), _>("disk full") }).unwrap_err();
/// assert_eq!(failure.message(), Some("\"disk full\""));
/// ```
#[diagnostic::on_unimplemented(
    message = "an explored body cannot return `{Self}`",
    note = "return `()`, or a `Result` whose error implements `Debug`"
)]
pub trait Outcome {
    /// The `Debug` text of the error.
    #[doc(hidden)]
    fn error(self) -> Option<String>;
}

impl Outcome for () {
    fn error(self) -> Option<String> {
        None
    }
}

impl<T, E: fmt::Debug> Outcome for Result<T, E> {
    fn error(self) -> Option<String> {
        self.err()
            .map(|error| crate::wording::text(format_args!("{error:?}")))
    }
}
