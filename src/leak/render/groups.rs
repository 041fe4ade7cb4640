//! Groups equal findings, so that a report lists each once.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use crate::leak::report::acquisition::Acquisition;
use crate::leak::report::blocking_work::BlockingWork;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::leaked_thread::LeakedThread;
use crate::leak::report::lock_state::LockState;
use crate::leak::report::task_panic::TaskPanic;
use crate::trace::blocked::{Blocked, Blocker};
use crate::wording::LISTED;

/// Equal findings, at least one.
pub(crate) type Group<'a, T> = Vec<&'a T>;

/// Groups tasks that differ only in numbers, ages and polls, the oldest first.
pub(crate) fn of_tasks(tasks: &[LeakedTask]) -> Vec<Group<'_, LeakedTask>> {
    by(tasks, |task| {
        (
            (task.place(), task.caller(), task.name()),
            (task.is_background(), task.wait(), task.spawned_by()),
        )
    })
}

/// Groups panics that differ only in the numbers of the tasks, the earliest first.
pub(crate) fn of_panics(panics: &[TaskPanic]) -> Vec<Group<'_, TaskPanic>> {
    by(panics, |panic| {
        (
            (panic.message(), panic.place(), panic.spawned_at()),
            (panic.caller(), panic.name(), panic.spawned_by()),
            (panic.is_background(), panic.is_blocking()),
            panic.is_in_output(),
        )
    })
}

/// Groups closures that differ only in numbers and ages, the oldest first.
pub(crate) fn of_blocking(blocking: &[BlockingWork]) -> Vec<Group<'_, BlockingWork>> {
    by(blocking, |work| {
        let blocked = work.blocked().map(place_of);
        (work.place(), work.is_queued(), work.spawned_by(), blocked)
    })
}

/// Groups threads by the place where they are blocked.
pub(crate) fn of_blocked(blocked: &[Blocked]) -> Vec<Group<'_, Blocked>> {
    by(blocked, place_of)
}

/// Everything but the time. A thread that runs is at its line by chance.
fn place_of(blocked: &Blocked) -> impl Eq + Hash {
    let is_fixed = blocked.by() != Blocker::Busy;
    let calls = is_fixed.then(|| blocked.calls());
    (calls, blocked.inside(), blocked.by())
}

/// Groups locks that differ only in times, the one acquired first before others.
pub(crate) fn of_locks(locks: &[LockState]) -> Vec<Group<'_, LockState>> {
    let user = |user: &'_ Acquisition| (user.place().clone(), user.by().cloned());
    by(locks, |lock| {
        let waiters: Vec<_> = lock.waiters().iter().map(user).collect();
        (lock.holder().map(user), waiters)
    })
}

/// Groups threads by name.
pub(crate) fn of_threads(threads: &[LeakedThread]) -> Vec<Group<'_, LeakedThread>> {
    by(threads, LeakedThread::name)
}

/// Lists the first groups and counts the findings of the others; `more` ends that line.
pub(crate) fn write<T>(
    f: &mut fmt::Formatter<'_>,
    groups: &[Group<'_, T>],
    write_group: fn(&mut fmt::Formatter<'_>, &[&T]) -> fmt::Result,
    more: &str,
) -> fmt::Result {
    for group in groups.iter().take(LISTED) {
        write_group(f, group)?;
    }
    match groups.get(LISTED..) {
        None | Some([]) => Ok(()),
        Some(others) => {
            let count: usize = others.iter().map(Vec::len).sum();
            write!(f, "\n  and {count} more{more}")
        }
    }
}

/// Groups values by key, in the order of their first ones.
fn by<'a, T, K: Eq + Hash>(all: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<Group<'a, T>> {
    let mut groups: Vec<Group<'_, T>> = Vec::new();
    let mut indices = HashMap::new();
    for one in all {
        let index = *indices.entry(key(one)).or_insert(groups.len());
        match groups.get_mut(index) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}
