//! What is known of a lock: who holds it and who waits; and what a report says of those that are
//! held when a test ends.

use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crossbeam_utils::atomic::AtomicCell;
use tokio::runtime::Id;

use super::groups;
use super::place::Place;
use super::report::{Findings, SpawnedBy, Verdict};
use super::session::Session;
use super::task::Spawner;
use super::text::{Age, By, LISTED};
use crate::lock::Acquisition;

/// How many of those who wait for a lock a report lists.
const WAITERS: usize = 5;

/// What is known of one lock.
#[derive(Debug, Default)]
pub(crate) struct LockRecord {
    /// Where it was acquired by who holds it. By itself, since each acquisition writes it, and only
    /// a report reads it.
    held_at: AtomicCell<Option<&'static Location<'static>>>,
    users: Mutex<Users>,
}

#[derive(Debug, Default)]
struct Users {
    /// What more is known of who holds it, if that is in a test.
    holder: Option<InTest>,
    /// In the order in which they began to wait.
    waiters: VecDeque<Waiter>,
    last_waiter: usize,
}

#[derive(Debug)]
struct Waiter {
    number: usize,
    at: &'static Location<'static>,
    /// Boxed, since outside of tests there is none, and waiters come and go.
    in_test: Option<Box<InTest>>,
}

/// What is known of somebody in a test that is checked.
#[derive(Clone, Debug)]
struct InTest {
    runtime: Id,
    since: Instant,
    by: Spawner,
}

impl LockRecord {
    /// Notes who holds the lock, until the returned value is dropped.
    pub(crate) fn hold(self: &Arc<Self>, at: &'static Location<'static>) -> Holding<'_> {
        let entry = Session::current().map(|session| {
            let holder = InTest::now(&session);
            let before = self.users().holder.replace(holder);
            drop(before);
            session.begin_lock(self, true)
        });
        self.held_at.store(Some(at));
        Holding {
            record: self,
            entry,
        }
    }

    /// Notes who waits for the lock, until the returned value is dropped.
    pub(crate) fn wait(self: &Arc<Self>, at: &'static Location<'static>) -> Waiting<'_> {
        let session = Session::current();
        let in_test = session
            .as_deref()
            .map(|session| Box::new(InTest::now(session)));
        let mut users = self.users();
        users.last_waiter += 1;
        let number = users.last_waiter;
        users.waiters.push_back(Waiter {
            number,
            at,
            in_test,
        });
        drop(users);
        Waiting {
            record: self,
            number,
            _entry: session.map(|session| session.begin_lock(self, false)),
        }
    }

    /// Who holds the lock.
    pub(crate) fn holder(&self) -> Option<Acquisition> {
        let users = self.users();
        let since = users.holder.as_ref().map(|holder| holder.since);
        Some(Acquisition::new(self.held_at.load()?, since))
    }

    /// Who waits for the lock, in the order in which they began to.
    pub(crate) fn waiters(&self) -> Vec<Acquisition> {
        let users = self.users();
        let waiters = users.waiters.iter();
        let since = |waiter: &Waiter| waiter.in_test.as_ref().map(|in_test| in_test.since);
        waiters
            .map(|waiter| Acquisition::new(waiter.at, since(waiter)))
            .collect()
    }

    /// The task that holds the lock, as far as it is known.
    fn held_by(&self) -> Option<Spawner> {
        Some(self.users().holder.as_ref()?.by.clone())
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        // No foreign code runs while it is locked.
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InTest {
    fn now(session: &Session) -> Self {
        Self {
            runtime: session.runtime(),
            since: Instant::now(),
            by: session.who(),
        }
    }
}

/// A note of who holds a lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct Holding<'a> {
    record: &'a LockRecord,
    entry: Option<Entry>,
}

impl Holding<'_> {
    /// Who holds the lock.
    pub(crate) fn holder(&self) -> Option<Acquisition> {
        self.record.holder()
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.record.held_at.store(None);
        if self.entry.is_some() {
            let holder = self.record.users().holder.take();
            drop(holder);
        }
    }
}

/// A note of who waits for a lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    record: &'a LockRecord,
    number: usize,
    _entry: Option<Entry>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut users = self.record.users();
        let is_this = |waiter: &Waiter| waiter.number == self.number;
        // Nearly always the first.
        let index = users.waiters.iter().position(is_this);
        let ended = index.and_then(|index| users.waiters.remove(index));
        drop(users);
        drop(ended);
    }
}

/// The locks that are held in a test, or waited for.
#[derive(Debug, Default)]
pub(super) struct Locks {
    last_number: usize,
    used: Vec<Used>,
}

#[derive(Debug)]
struct Used {
    number: usize,
    is_held: bool,
    lock: Arc<LockRecord>,
}

/// An entry in the record of a test, which ends when this is dropped.
///
/// It does not keep the record: a guard that is never dropped must not either.
#[derive(Debug)]
struct Entry {
    session: Weak<Session>,
    number: usize,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(session) = self.session.upgrade() {
            let mut locks = session.locks();
            // The numbers go up.
            let index = locks
                .used
                .binary_search_by_key(&self.number, |used| used.number);
            let ended = index.map(|index| locks.used.remove(index));
            drop(locks);
            drop(ended);
        }
    }
}

impl Session {
    fn begin_lock(self: &Arc<Self>, lock: &Arc<LockRecord>, is_held: bool) -> Entry {
        let mut locks = self.locks();
        locks.last_number += 1;
        let number = locks.last_number;
        locks.used.push(Used {
            number,
            is_held,
            lock: Arc::clone(lock),
        });
        Entry {
            session: Arc::downgrade(self),
            number,
        }
    }

    /// How often locks were acquired or waited for so far: later ones have higher numbers.
    pub(super) fn last_lock(&self) -> usize {
        self.locks().last_number
    }

    /// Whether no lock is held that was acquired since there were `after`.
    pub(super) fn holds_no_lock(&self, after: usize) -> bool {
        let locks = self.locks();
        let mut used = locks.used.iter();
        !used.any(|used| used.is_held && used.number > after)
    }

    /// The locks that are held and were acquired since there were `after`, unless it is excused who
    /// acquired them; the oldest first.
    pub(super) fn held_locks(
        &self,
        after: usize,
        is_excused: impl Fn(&Spawner) -> bool,
    ) -> Vec<HeldLock> {
        self.used_locks(after, |used| {
            let excused = || used.lock.held_by().is_some_and(|by| is_excused(&by));
            used.is_held && !excused()
        })
    }

    /// The locks that are held or waited for since there were `after`.
    pub(super) fn locks_in_use(&self, after: usize) -> Vec<HeldLock> {
        self.used_locks(after, |_| true)
    }

    fn used_locks(&self, after: usize, is_meant: impl Fn(&Used) -> bool) -> Vec<HeldLock> {
        let mut meant: Vec<Arc<LockRecord>> = Vec::new();
        for used in &self.locks().used {
            let is_new = || !meant.iter().any(|lock| Arc::ptr_eq(lock, &used.lock));
            if used.number > after && is_meant(used) && is_new() {
                meant.push(Arc::clone(&used.lock));
            }
        }
        let now = Instant::now();
        let locks = meant.iter();
        locks
            .map(|lock| HeldLock::new(lock, self.runtime(), now))
            .collect()
    }
}

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
/// let lock = &report.held_locks()[0];
/// assert_eq!(lock.holder().unwrap().by(), Some(&SpawnedBy::Test));
/// assert_eq!(lock.waiters().len(), 1);
/// assert_eq!(lock.waiters()[0].by(), Some(&SpawnedBy::Test));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeldLock {
    holder: Option<LockUser>,
    waiters: Vec<LockUser>,
}

/// Somebody who holds a lock, or waits for it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use straggler::leak::{Place, SpawnedBy};
/// use straggler::{LeakCheck, Lock};
///
/// static PRINTER: Lock = Lock::new();
///
/// let check = LeakCheck::new().grace(Duration::ZERO);
/// let report = check.run(async { std::mem::forget(PRINTER.acquire().await) });
/// let report = report.unwrap_err();
///
/// let holder = report.held_locks()[0].holder().unwrap();
/// assert_eq!(*holder.place(), Place::from(PRINTER.holder().unwrap().place()));
/// assert_eq!(holder.by(), Some(&SpawnedBy::Test));
/// assert!(holder.time().is_some());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LockUser {
    place: Place,
    time: Option<Duration>,
    by: Option<SpawnedBy>,
}

impl HeldLock {
    fn new(lock: &LockRecord, runtime: Id, now: Instant) -> Self {
        let users = lock.users();
        let user = |at: &'static Location<'static>, in_test: Option<&InTest>| {
            let of_this = in_test.filter(|in_test| in_test.runtime == runtime);
            LockUser {
                place: at.into(),
                time: in_test.map(|in_test| now.saturating_duration_since(in_test.since)),
                by: of_this.map(|in_test| (&in_test.by).into()),
            }
        };
        let held_at = lock.held_at.load();
        let waiters = users.waiters.iter();
        Self {
            holder: held_at.map(|at| user(at, users.holder.as_ref())),
            waiters: waiters
                .map(|waiter| user(waiter.at, waiter.in_test.as_deref()))
                .collect(),
        }
    }

    /// Returns who holds the lock, or `None` if it was handed to the first of the waiters, which was
    /// not polled since.
    #[must_use]
    pub fn holder(&self) -> Option<&LockUser> {
        self.holder.as_ref()
    }

    /// Returns who waits for the lock, in the order in which they began to.
    #[must_use]
    pub fn waiters(&self) -> &[LockUser] {
        &self.waiters
    }

    /// Whether somebody waits for the lock who is not in the way of its release: it is held elsewhere than
    /// in the test.
    pub(super) fn may_be_released_elsewhere(&self) -> bool {
        let is_elsewhere = |holder: &LockUser| holder.by.is_none();
        !self.waiters.is_empty() && self.holder.as_ref().is_some_and(is_elsewhere)
    }

    /// Whether somebody may wait for the lock who holds it. Children of one join are one task, and are
    /// not told apart.
    fn may_wait_for_itself(&self) -> bool {
        let by = self.holder.as_ref().and_then(LockUser::by);
        let is_known = matches!(by, Some(SpawnedBy::Test | SpawnedBy::Task { .. }));
        is_known && self.waiters.iter().any(|waiter| waiter.by() == by)
    }
}

impl LockUser {
    /// Returns where `acquire` or `try_acquire` was called.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns for how long it holds the lock or waits for it, or `None` if that began outside of
    /// leak checks.
    #[must_use]
    pub fn time(&self) -> Option<Duration> {
        self.time
    }

    /// Returns who it is, in the words for those who spawn tasks, or `None` if it is nobody of this
    /// test.
    #[must_use]
    pub fn by(&self) -> Option<&SpawnedBy> {
        self.by.as_ref()
    }
}

/// `1 lock is`, `2 locks are`.
pub(super) fn are(count: usize) -> String {
    match count {
        1 => "1 lock is".to_owned(),
        count => format!("{count} locks are"),
    }
}

/// Writes which locks are held, below what ranks higher.
pub(super) fn write_section(f: &mut fmt::Formatter<'_>, findings: &Findings) -> fmt::Result {
    let held = &findings.locks;
    match (held.len(), &findings.verdict) {
        (0, _) => return Ok(()),
        (_, Verdict::LocksHeld) => f.write_str("\n")?,
        (count, verdict) if verdict.is_under_way() => {
            write!(f, "\n\nmeanwhile {} in use:\n", are(count))?;
        }
        (count, _) => write!(f, "\n\nbesides {} still held:\n", are(count))?,
    }
    let groups = groups::of_locks(held);
    for group in groups.iter().take(LISTED) {
        write_group(f, group)?;
    }
    if groups.len() > LISTED {
        let more: usize = groups[LISTED..].iter().map(Vec::len).sum();
        write!(f, "\n  and {more} more, acquired elsewhere")?;
    }
    Ok(())
}

/// Writes of locks that are alike who holds them and who waits.
pub(super) fn write_group(f: &mut fmt::Formatter<'_>, group: &[&HeldLock]) -> fmt::Result {
    let first = group[0];
    f.write_str("\n  ")?;
    if group.len() > 1 {
        write!(f, "{} locks: ", group.len())?;
    }
    match first.holder() {
        Some(holder) => {
            write!(f, "acquired at {}{}", holder.place(), OfTest(holder))?;
            match holder.time() {
                Some(time) => write!(f, ", held for {}", Age(time))?,
                None => f.write_str(", and not released")?,
            }
        }
        None => f.write_str("handed on to the first waiter, which has not been polled since")?,
    }
    for waiter in first.waiters().iter().take(WAITERS) {
        write!(
            f,
            "\n     waited for at {}{}",
            waiter.place(),
            OfTest(waiter)
        )?;
        if let Some(time) = waiter.time() {
            write!(f, ", for {}", Age(time))?;
        }
    }
    match first.waiters().len().saturating_sub(WAITERS) {
        0 => Ok(()),
        more => write!(f, "\n     and by {more} more"),
    }
}

/// Who uses a lock, in words.
struct OfTest<'a>(&'a LockUser);

impl fmt::Display for OfTest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.by() {
            Some(by) => write!(f, " {}", By(by)),
            None => f.write_str(" outside of this test"),
        }
    }
}

/// What to do where nothing ranks higher than locks.
pub(super) const ADVICE: &str = "
Who waits for a lock that is never released waits for ever. What to do:
  drop the guard before the test ends, or call its `release()`
  keep no guard in a static, in a task that is left, or by `mem::forget`";

/// The same in a line, where the test hangs and a lock may be why.
pub(super) fn write_advice(f: &mut fmt::Formatter<'_>, findings: &Findings) -> fmt::Result {
    if findings.locks.iter().any(HeldLock::may_wait_for_itself) {
        f.write_str(
            "\n  a task that acquires a lock it already holds waits for itself: release it first",
        )?;
    }
    Ok(())
}
