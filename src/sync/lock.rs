//! `Lock`: a FIFO lock without a value that records its holder and its waiters.

use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::coop;

use crate::leak::record::locks::{Holding, LockRecord, User};
use crate::leak::record::session::Session;
use crate::leak::report::acquisition::Acquisition;

/// A fair async lock without a value.
///
/// It is a `tokio::sync::Mutex<()>` that records its holder. Use it to protect a critical section rather
/// than a value: a lookup followed by an insert, a file, a device. Needs the feature `tokio`, and works
/// on every executor.
///
/// - [`acquire`](Self::acquire) returns a [`LockGuard`]. Dropping the guard releases the lock: at the
///   end of a block, on an early return, on `?`, on a panic, and when the future that holds it is
///   dropped.
/// - A panic does not poison it.
/// - It is fair: waiters get it in the order of their first poll, and neither `acquire` nor
///   [`try_acquire`](Self::try_acquire) overtakes them. (A task that has used up tokio's cooperative
///   budget joins the queue at its next poll.)
/// - [`holder`](Self::holder) and [`waiters`](Self::waiters) return [`Acquisition`]s: the place of the
///   call and, in a leak check, the test or task and the time since.
/// - It is not reentrant: a task that acquires it twice deadlocks.
/// - Each acquisition counts against tokio's cooperative budget, as with tokio's own locks.
///
/// # In a leak check
///
/// In a [`LeakCheck`](crate::LeakCheck), a lock that is still held when the test has ended is a
/// finding: its guard was forgotten, is in a static, or belongs to a leaked task.
///
/// - When the test hangs, the report names the holder and the waiters of each lock. The children of
///   one join count as one task there.
/// - A lock held by a task or closure that an `allow` rule covers is not a finding. No rule allows a
///   lock by itself: drop its guard before the test ends.
/// - The check does not see locks acquired on a thread outside the runtime. Acquire them in a task or in
///   `spawn_blocking`.
///
/// Outside a check it costs as much as a tokio semaphore with one permit, plus recording the place.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use straggler::{Lock, settle};
///
/// # tokio_test::block_on(async {
/// let (lock, stock) = (Lock::new(), Cell::new(1_u32));
/// let sell = async || {
///     let _guard = lock.acquire().await;
///     let left = stock.get().checked_sub(1).ok_or("sold out")?; // also releases the lock
///     tokio::task::yield_now().await; // the warehouse works
///     stock.set(left);
///     Ok(())
/// };
/// assert_eq!(settle!(sell(), sell()), (Ok(()), Err("sold out")));
/// assert!(!lock.is_locked());
/// # });
/// ```
pub struct Lock {
    semaphore: Semaphore,
    record: OnceLock<Arc<LockRecord>>,
}

impl Lock {
    /// Creates an unlocked lock. It is `const`, so a static can hold it.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::Lock;
    ///
    /// static PRINTER: Lock = Lock::new();
    ///
    /// let guard = PRINTER.try_acquire();
    /// assert!(PRINTER.is_locked());
    /// # drop(guard);
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self {
            semaphore: Semaphore::const_new(1),
            record: OnceLock::new(),
        }
    }

    /// Acquires the lock; waits while another holds it.
    ///
    /// Reports, and [`holder`](Self::holder), show the place of this call. The returned future joins
    /// the queue at its first poll and leaves it when dropped. A future that is handed the lock but
    /// not polled again keeps everyone else waiting.
    ///
    /// # Panics
    ///
    /// The returned future panics if it is polled again after it was ready.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the returned future gives up its place in the queue, and passes the lock
    /// on if it was handed over already. Another call starts at the end of the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let lock = straggler::Lock::new();
    /// let guard = lock.acquire().await;
    /// assert!(lock.is_locked());
    ///
    /// guard.release();
    /// assert!(!lock.is_locked());
    /// # });
    /// ```
    #[track_caller]
    pub fn acquire(&self) -> impl Future<Output = LockGuard<'_>> {
        let at = Location::caller();
        async move {
            // Like every tokio operation, so that a loop of acquisitions lets other tasks run.
            coop::consume_budget().await;
            let permit = match self.semaphore.try_acquire() {
                Ok(permit) => permit,
                Err(_) => self.wait(at).await,
            };
            self.guard(permit, at)
        }
    }

    /// Acquires the lock if it is free, or returns `None`. Never waits.
    ///
    /// It does not overtake waiters: while there are any, the lock is held or has been handed over.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = straggler::Lock::new();
    /// let guard = lock.try_acquire();
    /// assert!(guard.is_some());
    /// assert!(lock.try_acquire().is_none());
    /// ```
    #[track_caller]
    pub fn try_acquire(&self) -> Option<LockGuard<'_>> {
        let at = Location::caller();
        let permit = self.semaphore.try_acquire().ok()?;
        Some(self.guard(permit, at))
    }

    /// Returns whether the lock is held, or was handed over to a waiter.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!straggler::Lock::new().is_locked());
    /// ```
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.semaphore.available_permits() == 0
    }

    /// Returns the acquisition that holds the lock.
    ///
    /// Returns `None` if the lock is free, or was handed over to a waiter not polled since.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = straggler::Lock::new();
    /// assert!(lock.holder().is_none());
    ///
    /// let guard = lock.try_acquire();
    /// assert_eq!(lock.holder().unwrap().place().file(), file!());
    /// # drop(guard);
    /// ```
    #[must_use]
    pub fn holder(&self) -> Option<Acquisition> {
        let users = self.record.get()?.users();
        Some(Acquisition::new(&users.holder?, None, Instant::now()))
    }

    /// Returns the acquisitions that wait for the lock, in the order in which they will get it.
    ///
    /// Returns an empty `Vec` if none waits. Two that begin to wait at the same moment, on two threads,
    /// may be listed in the wrong order.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let lock = straggler::Lock::new();
    /// let _guard = lock.acquire().await;
    /// let mut waiting = tokio_test::task::spawn(lock.acquire());
    /// assert!(waiting.poll().is_pending());
    /// assert_eq!(lock.waiters().len(), 1);
    /// # });
    /// ```
    #[must_use]
    pub fn waiters(&self) -> Vec<Acquisition> {
        let now = Instant::now();
        let acquisition = |user: &User| Acquisition::new(user, None, now);
        let users = self.record.get().map(|record| record.users());
        users.map_or(Vec::new(), |users| {
            users.waiters.iter().map(acquisition).collect()
        })
    }

    /// Waits in the queue, and records that for as long as it does.
    async fn wait(&self, at: &'static Location<'static>) -> SemaphorePermit<'_> {
        // The budget is already paid. Without `unconstrained` some versions of tokio would return
        // `Pending` for lack of budget; here `Pending` has to mean that this waits in the queue.
        let mut acquiring = pin!(coop::unconstrained(self.semaphore.acquire()));
        let mut waiting = None;
        let acquired = poll_fn(|context| {
            let acquired = acquiring.as_mut().poll(context);
            if acquired.is_pending() && waiting.is_none() {
                let session = Session::current();
                let entrant = session.as_deref().map(Session::lock_entrant);
                waiting = Some(self.record().wait(at, entrant));
            }
            acquired
        });
        let Ok(permit) = acquired.await else {
            unreachable!("the semaphore is never closed");
        };
        permit
    }

    #[inline]
    fn guard<'a>(
        &'a self,
        permit: SemaphorePermit<'a>,
        at: &'static Location<'static>,
    ) -> LockGuard<'a> {
        let session = Session::current();
        let entrant = session.as_deref().map(Session::lock_entrant);
        LockGuard {
            holding: self.record().hold(at, entrant),
            _permit: permit,
        }
    }

    /// The record of this lock, created at its first acquisition: `new` is `const`.
    fn record(&self) -> &Arc<LockRecord> {
        self.record.get_or_init(Arc::default)
    }
}

impl Default for Lock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("is_locked", &self.is_locked())
            .field("holder", &self.holder())
            .field("waiters", &self.waiters())
            .finish()
    }
}

/// Holds a [`Lock`] and releases it when dropped.
///
/// [`Lock::acquire`] and [`Lock::try_acquire`] return it.
#[must_use = "the lock is released at once if the guard is not kept: `let _guard = ..`"]
pub struct LockGuard<'a> {
    // Dropped before the permit: once that is back, another may hold the lock and be recorded.
    holding: Holding<'a>,
    _permit: SemaphorePermit<'a>,
}

impl LockGuard<'_> {
    /// Releases the lock, as dropping the guard does. The first waiter gets it.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = straggler::Lock::new();
    /// if let Some(guard) = lock.try_acquire() {
    ///     guard.release();
    /// }
    /// assert!(!lock.is_locked());
    /// ```
    pub fn release(self) {
        drop(self);
    }
}

impl fmt::Debug for LockGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holder = self.holding.record().users().holder;
        let holder = holder.map(|user| Acquisition::new(&user, None, Instant::now()));
        f.debug_tuple("LockGuard").field(&holder).finish()
    }
}
