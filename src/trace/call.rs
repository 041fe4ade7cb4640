//! A call in the user's code.

use std::fmt;

use crate::trace::place::Place;

/// A call of a function in the user's code, taken from a backtrace.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use straggler::LeakCheck;
/// use straggler::leak::{Wait, self_test};
/// use tokio::sync::oneshot;
///
/// async fn listen(news: oneshot::Receiver<()>) {
///     let _ = news.await;
/// }
///
/// let (_sender, news) = oneshot::channel();
/// let check = LeakCheck::new().grace(Duration::ZERO);
/// let report = check.run(async { drop(straggler::spawn(listen(news))) }).unwrap_err();
///
/// let Wait::At(places) = report.tasks()[0].wait() else { panic!("{report}") };
/// let call = &places[0].calls()[0];
/// assert!(call.function().ends_with("::listen"));
/// assert_eq!(call.place().is_some(), self_test().sees_lines());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    pub(super) function: String,
    pub(super) place: Option<Place>,
}

impl Call {
    /// Returns the path of the function.
    ///
    /// It is empty in a build with `debug = "line-tables-only"`.
    #[must_use]
    pub fn function(&self) -> &str {
        &self.function
    }

    /// Returns the place of the call, or `None` in a build without debug information.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) if self.function.is_empty() => write!(f, "{place}"),
            Some(place) => write!(f, "{place} in {}", self.function),
            None => write!(f, "{}", self.function),
        }
    }
}
