//! Who holds a lock and who waits for it.

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use crossbeam_utils::atomic::AtomicCell;
use tokio::runtime::Id;

use crate::leak::record::task::Spawner;
use crate::mutex::lock;

/// What is known of one lock.
#[derive(Debug, Default)]
pub(crate) struct LockRecord {
    /// Where its holder acquired it. Apart from the rest: each acquisition writes it, and only a
    /// report reads it.
    held_at: AtomicCell<Option<&'static Location<'static>>>,
    users: Mutex<Users>,
}

#[derive(Debug, Default)]
struct Users {
    /// What else is known of the holder, if it runs in a checked test.
    holder: Option<InTest>,
    /// In the order in which they began to wait.
    waiters: VecDeque<Waiter>,
    last_waiter: usize,
}

#[derive(Debug)]
struct Waiter {
    number: usize,
    at: &'static Location<'static>,
    /// Boxed: outside of tests there is none, and waiters come and go.
    in_test: Option<Box<InTest>>,
}

/// One who holds a lock or waits for it, in a checked test.
#[derive(Clone, Debug)]
pub(crate) struct InTest {
    pub(crate) runtime: Id,
    pub(crate) since: Instant,
    pub(crate) by: Spawner,
}

/// One who holds a lock or waits for it.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) at: &'static Location<'static>,
    pub(crate) in_test: Option<InTest>,
}

/// Everyone who uses a lock at one moment.
#[derive(Debug)]
pub(crate) struct LockUsers {
    /// `None` if nobody holds the lock, or if it was handed to a waiter that has not been polled
    /// since.
    pub(crate) holder: Option<User>,
    /// In the order in which they began to wait.
    pub(crate) waiters: Vec<User>,
}

/// Where a test notes the use of a lock: who uses it, and the test's list of locks.
pub(crate) type Entrant<'a> = (InTest, &'a Arc<Mutex<Locks>>);

impl LockRecord {
    /// Notes who holds the lock, until the returned value is dropped.
    pub(crate) fn hold(
        self: &Arc<Self>,
        at: &'static Location<'static>,
        entrant: Option<Entrant<'_>>,
    ) -> Holding<'_> {
        let entry = entrant.map(|(holder, locks)| {
            let before = lock(&self.users).holder.replace(holder);
            drop(before);
            Entry::new(locks, self, true)
        });
        self.held_at.store(Some(at));
        Holding {
            record: self,
            entry,
        }
    }

    /// Notes who waits for the lock, until the returned value is dropped.
    pub(crate) fn wait(
        self: &Arc<Self>,
        at: &'static Location<'static>,
        entrant: Option<Entrant<'_>>,
    ) -> Waiting<'_> {
        let (in_test, locks) = entrant.unzip();
        let mut users = lock(&self.users);
        users.last_waiter += 1;
        let number = users.last_waiter;
        users.waiters.push_back(Waiter {
            number,
            at,
            in_test: in_test.map(Box::new),
        });
        drop(users);
        Waiting {
            record: self,
            number,
            _entry: locks.map(|locks| Entry::new(locks, self, false)),
        }
    }

    /// Returns who holds the lock and who waits for it.
    pub(crate) fn users(&self) -> LockUsers {
        let users = lock(&self.users);
        let waiters = users.waiters.iter();
        LockUsers {
            holder: self.held_at.load().map(|at| User {
                at,
                in_test: users.holder.clone(),
            }),
            waiters: waiters
                .map(|waiter| User {
                    at: waiter.at,
                    in_test: waiter.in_test.as_deref().cloned(),
                })
                .collect(),
        }
    }

    /// Returns the task that holds the lock, if it is known.
    fn held_by(&self) -> Option<Spawner> {
        Some(lock(&self.users).holder.as_ref()?.by.clone())
    }
}

/// A note of who holds a lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct Holding<'a> {
    record: &'a LockRecord,
    entry: Option<Entry>,
}

impl Holding<'_> {
    /// The lock's record.
    pub(crate) fn record(&self) -> &LockRecord {
        self.record
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.record.held_at.store(None);
        if self.entry.is_some() {
            let holder = lock(&self.record.users).holder.take();
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
        let mut users = lock(&self.record.users);
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
pub(crate) struct Locks {
    last_number: usize,
    used: Vec<Used>,
}

#[derive(Debug)]
struct Used {
    number: usize,
    is_held: bool,
    lock: Arc<LockRecord>,
}

impl Locks {
    /// Returns how often locks were acquired or waited for so far: later uses have higher numbers.
    pub(crate) fn last_number(&self) -> usize {
        self.last_number
    }

    /// Returns whether no lock is held that was acquired after use number `after`.
    pub(crate) fn hold_none(&self, after: usize) -> bool {
        let mut used = self.used.iter();
        !used.any(|used| used.is_held && used.number > after)
    }

    /// Returns the locks that are held and were acquired after use number `after`, the oldest first,
    /// except where their holder is excused.
    pub(crate) fn held(
        &self,
        after: usize,
        is_excused: impl Fn(&Spawner) -> bool,
    ) -> Vec<Arc<LockRecord>> {
        self.select(after, |used| {
            let excused = || used.lock.held_by().is_some_and(|by| is_excused(&by));
            used.is_held && !excused()
        })
    }

    /// Returns the locks that are held or waited for since use number `after`, the oldest first.
    pub(crate) fn in_use(&self, after: usize) -> Vec<Arc<LockRecord>> {
        self.select(after, |_| true)
    }

    fn select(&self, after: usize, is_meant: impl Fn(&Used) -> bool) -> Vec<Arc<LockRecord>> {
        let mut meant: Vec<Arc<LockRecord>> = Vec::new();
        for used in &self.used {
            let is_new = || !meant.iter().any(|lock| Arc::ptr_eq(lock, &used.lock));
            if used.number > after && is_meant(used) && is_new() {
                meant.push(Arc::clone(&used.lock));
            }
        }
        meant
    }
}

/// An entry in a test's list of locks, removed when this is dropped.
///
/// It does not keep the list alive: a guard that is never dropped must not either.
#[derive(Debug)]
struct Entry {
    locks: Weak<Mutex<Locks>>,
    number: usize,
}

impl Entry {
    fn new(locks: &Arc<Mutex<Locks>>, record: &Arc<LockRecord>, is_held: bool) -> Self {
        let mut list = lock(locks);
        list.last_number += 1;
        let number = list.last_number;
        list.used.push(Used {
            number,
            is_held,
            lock: Arc::clone(record),
        });
        drop(list);
        Self {
            locks: Arc::downgrade(locks),
            number,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(locks) = self.locks.upgrade() {
            let mut locks = lock(&locks);
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
