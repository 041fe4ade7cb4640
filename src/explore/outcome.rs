//! What the body of a run may return.

use std::fmt;

/// What the body of a run of [`Explore`](crate::Explore) may return: `()`, or a `Result` whose error has
/// `Debug`. An `Err` is a failing run.
#[diagnostic::on_unimplemented(
    message = "a body that is explored cannot return `{Self}`",
    note = "it returns `()`, or a `Result` whose error implements `Debug`"
)]
pub trait Outcome {
    /// The error, in words.
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
