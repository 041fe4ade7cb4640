//! `Acquisition`: a call that acquired a lock, or waits for it.

use std::fmt;
use std::time::{Duration, Instant};

use tokio::runtime::Id;

use crate::leak::record::locks::User;
use crate::leak::report::spawned_by::SpawnedBy;
use crate::trace::place::Place;

/// An acquisition of a [`Lock`](crate::Lock): the one that holds it, or one that waits for it.
///
/// [`Lock::holder`](crate::Lock::holder) and [`Lock::waiters`](crate::Lock::waiters) return it while a
/// test runs, and [`LockState`](crate::leak::LockState) in a report after it. Outside of a leak check
/// only its [`place`](Self::place) is known.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use straggler::leak::SpawnedBy;
/// use straggler::{LeakCheck, Lock};
///
/// static PRINTER: Lock = Lock::new();
///
/// let check = LeakCheck::new().grace(Duration::ZERO);
/// let report = check.run(async { std::mem::forget(PRINTER.acquire().await) });
/// let report = report.unwrap_err();
///
/// let holder = report.locks()[0].holder().unwrap();
/// assert_eq!(holder.place(), PRINTER.holder().unwrap().place());
/// assert_eq!(holder.by(), Some(&SpawnedBy::Test));
/// assert!(holder.time().is_some());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Acquisition {
    place: Place,
    time: Option<Duration>,
    by: Option<SpawnedBy>,
}

impl Acquisition {
    /// What is known of a user of a lock `now`. Who it is remains unknown if it runs in another
    /// runtime than the given one.
    pub(crate) fn new(user: &User, runtime: Option<Id>, now: Instant) -> Self {
        let in_test = user.in_test.as_ref();
        let is_here = |of: Id| runtime.is_none_or(|runtime| runtime == of);
        let in_runtime = in_test.filter(|in_test| is_here(in_test.runtime));
        Self {
            place: user.at.into(),
            time: in_test.map(|in_test| now.saturating_duration_since(in_test.since)),
            by: in_runtime.map(|in_test| (&in_test.by).into()),
        }
    }

    /// Returns where [`acquire`](crate::Lock::acquire) or
    /// [`try_acquire`](crate::Lock::try_acquire) was called.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns how long the lock had been held or waited for when this value was created.
    ///
    /// Returns `None` for an acquisition outside of a [`LeakCheck`](crate::LeakCheck), where Straggler
    /// does not read the clock.
    #[must_use]
    pub fn time(&self) -> Option<Duration> {
        self.time
    }

    /// Returns the test or task that holds the lock or waits for it.
    ///
    /// Returns `None` if it does not belong to the checked test.
    #[must_use]
    pub fn by(&self) -> Option<&SpawnedBy> {
        self.by.as_ref()
    }
}

impl fmt::Debug for Acquisition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquisition")
            .field("place", &format_args!("{}", self.place))
            .field("for", &self.time)
            .finish_non_exhaustive()
    }
}
