//! Every error of a set of futures as one.

use std::fmt;

use crate::join::names::Names;
use crate::wording::{list, text};

/// Every error of a set of futures, in completion order. There is at least one.
///
/// [`Settled::into_result_all`](crate::Settled::into_result_all) returns it. It implements `Error` if
/// `E` is `Debug` and `Display`.
///
/// `Display` and `Debug` print one line per error with its index and name, because tests `unwrap()`
/// it. They print the first 20 errors, and how many more there are. `Display` formats each error with
/// `{:#}`, so an `anyhow` error prints its causes.
///
/// # Examples
///
/// ```
/// # tokio_test::block_on(async {
/// let settled = straggler::settle_all([Ok(1), Err("no")].map(std::future::ready))
///     .named(|index| format!("call {index}"))
///     .await;
/// let errors = settled.into_result_all().unwrap_err();
///
/// assert_eq!(errors.first(), &"no");
/// assert_eq!(errors.to_string(), "1 of 2 futures failed\n  #1 `call 1`: no");
/// # });
/// ```
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub struct AggregateError<E> {
    /// Never empty.
    errors: Vec<(usize, E)>,
    total: usize,
    names: Names,
}

impl<E> AggregateError<E> {
    pub(crate) fn new(errors: Vec<(usize, E)>, total: usize, names: Names) -> Self {
        Self {
            errors,
            total,
            names,
        }
    }

    /// Returns the first error in time.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([Err::<(), _>("no")].map(std::future::ready)).await;
    /// assert_eq!(settled.into_result_all().unwrap_err().first(), &"no");
    /// # });
    /// ```
    #[must_use]
    pub fn first(&self) -> &E {
        &self.errors[0].1
    }

    /// Returns the errors, each with the index of its future, in completion order.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([Ok(1), Err("no")].map(std::future::ready)).await;
    /// assert_eq!(settled.into_result_all().unwrap_err().errors(), [(1, "no")]);
    /// # });
    /// ```
    #[must_use]
    pub fn errors(&self) -> &[(usize, E)] {
        &self.errors
    }

    /// Returns the errors by value, each with the index of its future, in completion order.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([Ok(1), Err("no")].map(std::future::ready)).await;
    /// assert_eq!(settled.into_result_all().unwrap_err().into_errors(), [(1, "no")]);
    /// # });
    /// ```
    #[must_use]
    pub fn into_errors(self) -> Vec<(usize, E)> {
        self.errors
    }

    fn fmt_with(
        &self,
        f: &mut fmt::Formatter<'_>,
        error_text: impl Fn(&E) -> String,
    ) -> fmt::Result {
        write!(f, "{} of {} futures failed", self.errors.len(), self.total)?;
        let lines = self.errors.iter();
        list(
            f,
            lines.map(|(index, error)| (self.names.label(*index), error_text(error))),
        )
    }
}

impl<E: fmt::Display> fmt::Display for AggregateError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_with(f, |error| text(format_args!("{error:#}")))
    }
}

impl<E: fmt::Debug> fmt::Debug for AggregateError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_with(f, |error| text(format_args!("{error:?}")))
    }
}
