//! A lock that was held or waited for.

use std::time::Instant;

use tokio::runtime::Id;

use crate::leak::record::locks::{LockRecord, User};
use crate::leak::report::acquisition::Acquisition;
use crate::leak::report::spawned_by::SpawnedBy;

/// A lock that was still held when its test ended, or was held or waited for when the time of the
/// test was up.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use straggler::leak::SpawnedBy;
/// use straggler::{LeakCheck, Lock};
///
/// let check = LeakCheck::new().timeout(Duration::from_millis(10));
/// let report = check.run(async {
///     let lock = Lock::new();
///     let _guard = lock.acquire().await;
///     let _again = lock.acquire().await; // waits for itself
/// });
/// let report = report.unwrap_err();
/// let lock = &report.locks()[0];
/// assert_eq!(lock.holder().unwrap().by(), Some(&SpawnedBy::Test));
/// assert_eq!(lock.waiters().len(), 1);
/// assert_eq!(lock.waiters()[0].by(), Some(&SpawnedBy::Test));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LockState {
    holder: Option<Acquisition>,
    waiters: Vec<Acquisition>,
}

impl LockState {
    /// What is known of a lock `now`. Who uses it is known of users in this runtime.
    pub(crate) fn new(lock: &LockRecord, runtime: Id, now: Instant) -> Self {
        let users = lock.users();
        let acquisition = |user: &User| Acquisition::new(user, Some(runtime), now);
        Self {
            holder: users.holder.as_ref().map(acquisition),
            waiters: users.waiters.iter().map(acquisition).collect(),
        }
    }

    /// Returns who holds the lock, or `None` if it was handed to the first of the waiters, which was
    /// not polled since.
    #[must_use]
    pub fn holder(&self) -> Option<&Acquisition> {
        self.holder.as_ref()
    }

    /// Returns who waits for the lock, in the order in which they began to.
    #[must_use]
    pub fn waiters(&self) -> &[Acquisition] {
        &self.waiters
    }

    /// Whether somebody waits for the lock who is not in the way of its release: it is held elsewhere than
    /// in the test.
    pub(crate) fn may_be_released_elsewhere(&self) -> bool {
        let is_elsewhere = |holder: &Acquisition| holder.by().is_none();
        !self.waiters.is_empty() && self.holder.as_ref().is_some_and(is_elsewhere)
    }

    /// Whether somebody may wait for the lock who holds it. Children of one join are one task, and are
    /// not told apart.
    pub(crate) fn may_wait_for_itself(&self) -> bool {
        let by = self.holder.as_ref().and_then(Acquisition::by);
        let is_known = matches!(by, Some(SpawnedBy::Test | SpawnedBy::Task { .. }));
        is_known && self.waiters.iter().any(|waiter| waiter.by() == by)
    }
}
