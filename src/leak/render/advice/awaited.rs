//! What kind of thing a wait is for, by its path in tokio.

use crate::trace::wait::Wait;

pub(super) const LOCKS: &[&str] = &["straggler::Lock", "::mutex::", "::rwlock::", "semaphore"];
const SEMAPHORES: &[&str] = &["semaphore"];
pub(super) const TASKS: &[&str] = &["::task::join", "::join_set::"];
pub(super) const CHANNELS: &[&str] = &["::oneshot::", "::mpsc::", "::broadcast::", "::watch::"];

/// Whether one of the awaited things has one of these in its path.
pub(super) fn waits_on(wait: &Wait, paths: &[&str]) -> bool {
    count_waits_on(wait, paths) > 0
}

/// What the holders of the awaited locks hold.
pub(super) fn held(waits: &[&Wait]) -> &'static str {
    let count = |paths| -> usize {
        let counts = waits.iter().map(|wait| count_waits_on(wait, paths));
        counts.sum()
    };
    match count(SEMAPHORES) {
        1.. if count(SEMAPHORES) == count(LOCKS) => "permit",
        _ => "lock",
    }
}

/// Counts the places that await a thing with one of these in its path.
pub(super) fn count_waits_on(wait: &Wait, paths: &[&str]) -> usize {
    let Wait::At(places) = wait else {
        return 0;
    };
    let awaited = places.iter().filter_map(|place| place.on());
    let is_on = |on: &&str| paths.iter().any(|path| on.contains(path));
    awaited.filter(is_on).count()
}
