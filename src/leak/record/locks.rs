//! The record of one `Lock`, and of all locks in use during a test.

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use crossbeam_utils::atomic::AtomicCell;
use tokio::runtime::Id;

use crate::leak::record::task::Spawner;
use crate::mutex::lock;

/// The holder and the waiters of one lock.
#[derive(Debug, Default)]
pub(crate) struct LockRecord {
    /// Where its holder acquired it. Outside the mutex, because every acquisition writes it and
    /// only a report reads it.
    held_at: AtomicCell<Option<&'static Location<'static>>>,
    users: Mutex<Users>,
}

#[derive(Debug, Default)]
struct Users {
    /// `None` if nothing holds the lock, or a holder outside any checked test.
    holder: Option<InTest>,
    /// First come first.
    waiters: VecDeque<Waiter>,
    last_waiter: usize,
}

#[derive(Debug)]
struct Waiter {
    number: usize,
    at: &'static Location<'static>,
    /// Boxed to keep waiters small outside tests, where this is always `None`.
    in_test: Option<Box<InTest>>,
}

/// The acquisition of a lock in a checked test: by which task, since when.
#[derive(Clone, Debug)]
pub(crate) struct InTest {
    pub(crate) runtime: Id,
    pub(crate) since: Instant,
    pub(crate) by: Spawner,
    /// The number of the operation that made it, in a run that cancels.
    pub(crate) operation: Option<usize>,
}

/// A holder of a lock, or a waiter.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) at: &'static Location<'static>,
    pub(crate) in_test: Option<InTest>,
}

/// A snapshot of the holder and waiters of a lock.
#[derive(Debug)]
pub(crate) struct CurrentUsers {
    /// `None` if the lock is free, or was handed to a waiter that has not been polled since.
    pub(crate) holder: Option<User>,
    /// First come first.
    pub(crate) waiters: Vec<User>,
}

/// A task that acquires a lock, and the list of locks of its test.
pub(crate) type Entrant<'a> = (InTest, &'a Arc<Mutex<Locks>>);

impl LockRecord {
    /// Records the holder until the returned value is dropped.
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

    /// Records a waiter until the returned value is dropped.
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

    /// Returns a snapshot of the holder and waiters.
    pub(crate) fn users(&self) -> CurrentUsers {
        let users = lock(&self.users);
        let waiters = users.waiters.iter();
        CurrentUsers {
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

    /// Returns the task that holds the lock, if it is in a checked test.
    fn held_by(&self) -> Option<Spawner> {
        Some(lock(&self.users).holder.as_ref()?.by.clone())
    }
}

/// The record of a holder, removed when this is dropped.
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

/// The record of a waiter, removed when this is dropped.
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
        // The lock is fair, so this is nearly always the first waiter.
        let index = users.waiters.iter().position(is_this);
        let ended = index.and_then(|index| users.waiters.remove(index));
        drop(users);
        drop(ended);
    }
}

/// The locks that are held or waited for in a test.
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
    /// Returns the number of the latest use of a lock. Later uses get higher numbers.
    pub(crate) fn last_number(&self) -> usize {
        self.last_number
    }

    /// Returns whether no lock acquired after use number `after` is held.
    pub(crate) fn hold_none(&self, after: usize) -> bool {
        let mut used = self.used.iter();
        !used.any(|used| used.is_held && used.number > after)
    }

    /// Returns the held locks acquired after use number `after`, oldest first, without those whose
    /// holder is excused.
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

    /// Returns the locks held or waited for since use number `after`, oldest first.
    pub(crate) fn in_use(&self, after: usize) -> Vec<Arc<LockRecord>> {
        self.select(after, |_| true)
    }

    fn select(&self, after: usize, is_selected: impl Fn(&Used) -> bool) -> Vec<Arc<LockRecord>> {
        let mut selected: Vec<Arc<LockRecord>> = Vec::new();
        for used in &self.used {
            // A lock that is held and waited for has several uses.
            let is_new = || !selected.iter().any(|lock| Arc::ptr_eq(lock, &used.lock));
            if used.number > after && is_selected(used) && is_new() {
                selected.push(Arc::clone(&used.lock));
            }
        }
        selected
    }
}

/// An entry in a test's list of locks, removed when this is dropped.
///
/// Weak, so that a guard that is never dropped does not keep the list alive.
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
            // Entries are pushed with ascending numbers.
            let index = locks
                .used
                .binary_search_by_key(&self.number, |used| used.number);
            let ended = index.map(|index| locks.used.remove(index));
            drop(locks);
            drop(ended);
        }
    }
}
