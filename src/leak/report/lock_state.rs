//! A lock in use: its holder and its waiters.

use std::time::Instant;

use tokio::runtime::Id;

use crate::leak::record::locks::{LockRecord, User};
use crate::leak::report::acquisition::Acquisition;
use crate::leak::report::spawned_by::SpawnedBy;

/// A [`Lock`](crate::Lock) that was still held when its test ended.
///
/// In the report of a test that hangs, it is a lock that was held or waited for when the report was made.
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
    /// Describes a lock as of `now`. Users in another runtime stay unnamed.
    pub(crate) fn new(lock: &LockRecord, runtime: Id, now: Instant) -> Self {
        let users = lock.users();
        let acquisition = |user: &User| Acquisition::new(user, Some(runtime), now);
        Self {
            holder: users.holder.as_ref().map(acquisition),
            waiters: users.waiters.iter().map(acquisition).collect(),
        }
    }

    /// Returns the acquisition that holds the lock.
    ///
    /// Returns `None` if the lock was handed to the first waiter, which has not been polled since.
    #[must_use]
    pub fn holder(&self) -> Option<&Acquisition> {
        self.holder.as_ref()
    }

    /// Returns the waiting acquisitions, the longest wait first.
    #[must_use]
    pub fn waiters(&self) -> &[Acquisition] {
        &self.waiters
    }

    /// Whether the lock has waiters, and a holder outside the test that may still release it.
    pub(crate) fn may_be_released_elsewhere(&self) -> bool {
        let is_elsewhere = |holder: &Acquisition| holder.by().is_none();
        !self.waiters.is_empty() && self.holder.as_ref().is_some_and(is_elsewhere)
    }

    /// Whether the holder may be waiting for its own lock. Children of one join count as one task, so
    /// it may also be a sibling.
    pub(crate) fn may_wait_for_itself(&self) -> bool {
        let by = self.holder.as_ref().and_then(Acquisition::by);
        let is_known = matches!(by, Some(SpawnedBy::Test | SpawnedBy::Task { .. }));
        is_known && self.waiters.iter().any(|waiter| waiter.by() == by)
    }
}
