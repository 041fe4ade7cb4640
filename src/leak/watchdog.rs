//! Ends the wait for a test that does not end: one thread for the whole process, which asks the
//! body of each test whose time is up where it waits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use super::task::Task;

/// The tests that are watched, the next one to end first.
static WATCHED: Mutex<BTreeMap<Key, Arc<Task>>> = Mutex::new(BTreeMap::new());

/// Tells the thread that a test has to end before the one it waits for.
static EARLIER: Condvar = Condvar::new();

/// When a test has to end, and a number to tell apart those that have to at the same time.
type Key = (Instant, u64);

/// Watches a test until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched(Key);

/// Has the body of a test asked where it waits when its time is up.
///
/// # Errors
///
/// If the thread could not be started.
pub(crate) fn watch(body: Arc<Task>, until: Instant) -> Result<Watched, &'static str> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    static IS_RUNNING: OnceLock<bool> = OnceLock::new();
    let start = || {
        let thread = thread::Builder::new().name("straggler-watchdog".to_owned());
        thread.spawn(run).is_ok()
    };
    if !IS_RUNNING.get_or_init(start) {
        return Err("the thread that watches over timeouts could not be started");
    }
    let key = (until, NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut watched = lock();
    watched.insert(key, body);
    let is_first = watched.keys().next() == Some(&key);
    drop(watched);
    if is_first {
        EARLIER.notify_one();
    }
    Ok(Watched(key))
}

impl Drop for Watched {
    fn drop(&mut self) {
        let body = lock().remove(&self.0);
        drop(body);
    }
}

/// What the thread does: asks each body whose time is up.
fn run() {
    let mut watched = lock();
    loop {
        let now = Instant::now();
        let Some((&key, _)) = watched.first_key_value() else {
            watched = EARLIER
                .wait(watched)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let left = key.0.saturating_duration_since(now);
        if left.is_zero() {
            let body = watched.remove(&key);
            drop(watched);
            if let Some(body) = body {
                body.ask();
            }
            watched = lock();
        } else {
            let waited = EARLIER.wait_timeout(watched, left);
            (watched, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn lock() -> MutexGuard<'static, BTreeMap<Key, Arc<Task>>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::super::task::{Kind, Spawner, Task};
    use super::watch;

    #[test]
    fn a_test_that_has_ended_is_not_kept() {
        let place = Location::caller();
        let body = Arc::new(Task::new(0, Kind::Body, None, place, Spawner::Thread));
        let until = Instant::now() + Duration::from_secs(3600);
        let watched = watch(Arc::clone(&body), until).unwrap();
        assert_eq!(Arc::strong_count(&body), 2);
        drop(watched);
        assert_eq!(Arc::strong_count(&body), 1);
    }
}
