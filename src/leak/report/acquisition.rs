//! One use of a lock: it is held, or waited for.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use tokio::runtime::Id;

use crate::leak::record::locks::User;
use crate::leak::report::spawned_by::SpawnedBy;
use crate::trace::place::Place;

/// One acquisition of a [`Lock`](crate::Lock), completed or still waiting.
///
/// [`Lock::holder`](crate::Lock::holder) and [`LockState`](crate::leak::LockState) return it.
///
/// Two values are equal if they describe the same acquisition, whenever each was made.
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
#[derive(Clone)]
pub struct Acquisition {
    place: Place,
    since: Option<Instant>,
    /// When this value was made.
    now: Instant,
    by: Option<SpawnedBy>,
    /// The number of the operation that made it, in a run that cancels.
    operation: Option<usize>,
}

impl Acquisition {
    /// Describes a user of a lock as of `now`.
    ///
    /// With a runtime given, a user in another runtime stays unnamed: numbers of tasks are its own.
    pub(crate) fn new(user: &User, runtime: Option<Id>, now: Instant) -> Self {
        let in_test = user.in_test.as_ref();
        let is_here = |of: Id| runtime.is_none_or(|runtime| runtime == of);
        let in_runtime = in_test.filter(|in_test| is_here(in_test.runtime));
        Self {
            place: user.at.into(),
            since: in_test.map(|in_test| in_test.since),
            now,
            by: in_runtime.map(|in_test| (&in_test.by).into()),
            operation: in_runtime.and_then(|in_test| in_test.operation),
        }
    }

    /// Returns the place of the call of [`acquire`](crate::Lock::acquire) or
    /// [`try_acquire`](crate::Lock::try_acquire).
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn operation(&self) -> Option<usize> {
        self.operation
    }

    /// Returns how long the lock had been held or waited for, in real time, when this value was made.
    ///
    /// Returns `None` if that began outside a [`LeakCheck`](crate::LeakCheck): a lock reads the clock only
    /// in a checked test.
    #[must_use]
    pub fn time(&self) -> Option<Duration> {
        Some(self.now.saturating_duration_since(self.since?))
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
            .field("by", &self.by)
            .field("time", &self.time())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Acquisition {
    fn eq(&self, other: &Self) -> bool {
        (&self.place, self.since, &self.by) == (&other.place, other.since, &other.by)
    }
}

impl Eq for Acquisition {}

impl Hash for Acquisition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.place, self.since, &self.by).hash(state);
    }
}
