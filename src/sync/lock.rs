//! `Lock`: keeps all but one out, in the order in which they came, and knows who holds it.

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

/// A lock that is acquired, and released by its guard: one at a time holds it.
///
/// It is `tokio::sync::Mutex` without a value, for what is no value: a look-up and an insert that
/// must not be interrupted, a file, a device. There is no way to lose it or to release it twice:
///
/// - Who acquires it gets a [`LockGuard`], and has nothing else to release it by. It is released when
///   the guard is dropped: at the end of a block, by an early return, by `?`, by a panic, and by the
///   drop of a future that holds it, as when the client of a request hangs up.
/// - A panic does not poison it.
/// - It is handed on strictly in the order in which [`acquire`](Self::acquire) was polled first.
///   Nobody overtakes, and [`try_acquire`](Self::try_acquire) does not either. (A task that has spent
///   tokio's cooperative budget comes to the queue in its next turn.)
/// - It knows where it was acquired, and where it is waited for: [`holder`](Self::holder) and
///   [`waiters`](Self::waiters).
///
/// It is not reentrant: a task that holds it and acquires it again waits for itself, for ever.
///
/// In a [`LeakCheck`](crate::LeakCheck) a lock that is still held when the test has ended is a finding:
/// its guard was forgotten, is in a static, or is kept by what else is left behind. (One that is
/// acquired on a thread outside of the runtime is not seen. One that is held by a task or closure that may
/// remain may be held; no rule allows a lock by itself.) A report
/// of a test that hangs names who holds the locks of the test, and who waits for them; children of one
/// join are one task there. Outside of a check this is a semaphore of tokio with one permit, and a note
/// of the place.
///
/// It works on every executor. In a task of tokio each acquisition counts against the task's cooperative
/// budget, as those of tokio's own locks do. It needs the feature `tokio`.
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
///     let left = stock.get().checked_sub(1).ok_or("sold out")?; // releases the lock, too
///     tokio::task::yield_now().await; // the warehouse is at work
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
    /// Makes a lock that nobody holds.
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

    /// Waits until the lock can be acquired, and acquires it.
    ///
    /// The place of this call is what reports and [`holder`](Self::holder) show. A future that was
    /// polled has its place in the queue until it is dropped; one that is handed the lock and not
    /// polled any more keeps it from everybody else.
    ///
    /// # Panics
    ///
    /// The returned future panics if it is polled again after it was ready.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped gives up its place in the queue, and if the lock was
    /// handed to it already it goes to the next. Who calls this again stands at the end of the queue.
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
            // As every operation of tokio does, so that a loop of them lets others run.
            coop::consume_budget().await;
            let permit = match self.semaphore.try_acquire() {
                Ok(permit) => permit,
                Err(_) => self.wait(at).await,
            };
            self.guard(permit, at)
        }
    }

    /// Acquires the lock if nobody holds it, or returns `None`.
    ///
    /// It does not overtake: while somebody waits the lock is held, or has been handed on.
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

    /// Returns whether somebody holds the lock, or it has been handed to somebody who waits.
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

    /// Returns who holds the lock, or `None` if nobody does, or if it was handed to somebody who was
    /// not polled since.
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

    /// Returns who waits for the lock, in the order in which they began to, which is that in which
    /// they get it. (Of two that begin at the same moment on two threads it may be the other one.)
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

    /// Stands in the queue, and is on record as long as it does.
    async fn wait(&self, at: &'static Location<'static>) -> SemaphorePermit<'_> {
        // It has its budget already. So that it is pending means that it stands in the queue: some
        // versions of tokio turn away who has none, and some do not.
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

/// Holds a [`Lock`], and releases it when it is dropped.
#[must_use = "the lock is released at once if the guard is not kept: `let _guard = ..`"]
pub struct LockGuard<'a> {
    // The note goes first: once the permit is given back the lock may be somebody else's.
    holding: Holding<'a>,
    _permit: SemaphorePermit<'a>,
}

impl LockGuard<'_> {
    /// Releases the lock, as `drop` does. It goes to who waits first.
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
