//! The watchdog: one thread per process that watches every running test.
//!
//! It probes a test that exceeds its timeout, and gives up a test that does not respond to the
//! probe because it blocks its thread. Before the timeout it checks each test for a possible
//! deadlock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::mutex::lock;

/// How long a probed test gets to end. A test that needs longer blocks its thread.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// The time between two progress checks of a test.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// A test under watch. All methods run on the watchdog's thread.
pub(crate) trait Test: Send + Sync {
    /// Checks, before the timeout, whether the test may be deadlocked.
    fn check_progress(&self);

    /// Probes the test after its timeout, which makes it end unless it blocks its thread.
    fn probe(&self);

    /// Reports a test that did not end after the probe.
    fn give_up(&self);

    /// Returns whether the last checks saw no progress on a paused clock.
    fn stands_still(&self) -> bool;

    /// Returns how many threads the test has, without the main thread of the process.
    fn thread_count(&self) -> usize;
}

struct Watchdog {
    /// Unordered: there are only about as many as threads that run tests.
    tests: Vec<Entry>,
    /// When the thread wakes up by itself, `None` for never.
    sleeps_until: Option<Instant>,
}

#[derive(Clone)]
struct Entry {
    /// Unique.
    number: u64,
    test: Arc<dyn Test>,
    /// When the test times out, if ever.
    deadline: Option<Instant>,
    /// When the watchdog acts next.
    next: Instant,
    was_probed: bool,
}

static WATCHDOG: Mutex<Watchdog> = Mutex::new(Watchdog {
    tests: Vec::new(),
    sleeps_until: None,
});

/// Wakes the thread for an entry that is due before it would wake up.
static EARLIER: Condvar = Condvar::new();

/// Watches a test until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched(u64);

/// Watches a test until the returned value is dropped.
///
/// # Errors
///
/// Returns an error if the watchdog thread cannot be started.
pub(crate) fn watch(
    test: Arc<dyn Test>,
    deadline: Option<Instant>,
) -> Result<Watched, &'static str> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    static IS_RUNNING: OnceLock<bool> = OnceLock::new();
    let start = || {
        let thread = thread::Builder::new().name("straggler-watchdog".to_owned());
        thread.spawn(run).is_ok()
    };
    if !IS_RUNNING.get_or_init(start) {
        return Err("the watchdog thread, which enforces timeouts, could not be started");
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let next = next_check(Instant::now(), deadline);
    let entry = Entry {
        number,
        test,
        deadline,
        next,
        was_probed: false,
    };
    let mut watchdog = locked();
    watchdog.tests.push(entry);
    let wakes = watchdog.sleeps_until.is_none_or(|sleeps| next < sleeps);
    drop(watchdog);
    // Skips the wake-up in nearly every test: the thread sleeps until an earlier entry is due.
    if wakes {
        EARLIER.notify_one();
    }
    Ok(Watched(number))
}

impl Drop for Watched {
    fn drop(&mut self) {
        let entry = locked().remove(self.0);
        drop(entry);
    }
}

/// Returns the tests that are running.
pub(crate) fn tests() -> Vec<Arc<dyn Test>> {
    let watchdog = locked();
    let tests = watchdog.tests.iter();
    tests.map(|entry| Arc::clone(&entry.test)).collect()
}

/// The loop of the watchdog thread.
fn run() {
    let mut watchdog = locked();
    loop {
        let now = Instant::now();
        let next = watchdog.tests.iter().min_by_key(|entry| entry.next);
        let next = next.cloned();
        watchdog.sleeps_until = next.as_ref().map(|entry| entry.next);
        let Some(entry) = next else {
            let waited = EARLIER.wait(watchdog);
            watchdog = waited.unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let left = entry.next.saturating_duration_since(now);
        if !left.is_zero() {
            let waited = EARLIER.wait_timeout(watchdog, left);
            (watchdog, _) = waited.unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        watchdog.schedule_next(entry.number, now);
        // A test's methods take long, and may start or end other watches.
        drop(watchdog);
        if entry.was_probed {
            entry.test.give_up();
        } else if entry.has_timed_out(now) {
            entry.test.probe();
        } else {
            entry.test.check_progress();
        }
        drop(entry);
        watchdog = locked();
    }
}

impl Entry {
    /// Returns whether the test has exceeded its timeout.
    fn has_timed_out(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

/// Returns when to act next on a test that has not timed out.
fn next_check(now: Instant, deadline: Option<Instant>) -> Instant {
    let check = now + CHECK_INTERVAL;
    deadline.map_or(check, |deadline| deadline.min(check))
}

impl Watchdog {
    /// Removes a test, if it is still watched.
    fn remove(&mut self, number: u64) -> Option<Entry> {
        let at = self.tests.iter().position(|entry| entry.number == number)?;
        Some(self.tests.swap_remove(at))
    }

    /// Sets when the watchdog acts next on a test, or removes a test it gives up.
    fn schedule_next(&mut self, number: u64, now: Instant) {
        let mut tests = self.tests.iter_mut();
        let Some(entry) = tests.find(|entry| entry.number == number) else {
            return;
        };
        if entry.was_probed {
            _ = self.remove(number);
        } else if entry.has_timed_out(now) {
            entry.was_probed = true;
            entry.next = now + PROBE_TIMEOUT;
        } else {
            entry.next = next_check(now, entry.deadline);
        }
    }
}

fn locked() -> MutexGuard<'static, Watchdog> {
    lock(&WATCHDOG)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, TryRecvError, channel};
    use std::time::{Duration, Instant};

    use super::{Test, watch};

    struct Log(Sender<&'static str>);

    impl Test for Log {
        fn check_progress(&self) {
            _ = self.0.send("check");
        }

        fn probe(&self) {
            _ = self.0.send("probe");
        }

        fn give_up(&self) {
            _ = self.0.send("give up");
        }

        fn stands_still(&self) -> bool {
            false
        }

        fn thread_count(&self) -> usize {
            1
        }
    }

    #[test]
    fn ended_test_is_not_kept() {
        let (sender, calls) = channel();
        let deadline = Some(Instant::now() + Duration::from_secs(3600));
        let watched = watch(Arc::new(Log(sender)), deadline).unwrap();
        assert_ne!(calls.try_recv(), Err(TryRecvError::Disconnected));
        drop(watched);
        assert!(calls.iter().all(|call| call == "check"));
    }

    #[test]
    fn timed_out_test_is_probed_then_given_up() {
        let (sender, calls) = channel();
        let watched = watch(Arc::new(Log(sender)), Some(Instant::now())).unwrap();
        assert_eq!(calls.recv(), Ok("probe"));
        assert_eq!(calls.recv(), Ok("give up"));
        assert!(calls.recv().is_err(), "and not kept");
        drop(watched);
    }

    #[test]
    fn test_is_checked_before_timeout() {
        let (sender, calls) = channel();
        let deadline = Some(Instant::now() + Duration::from_secs(3600));
        let watched = watch(Arc::new(Log(sender)), deadline).unwrap();
        assert_eq!(calls.recv(), Ok("check"));
        drop(watched);
        assert!(calls.recv().is_err());
    }

    #[test]
    fn test_that_ends_after_probe_is_not_given_up() {
        let (sender, calls) = channel();
        let watched = watch(Arc::new(Log(sender)), Some(Instant::now())).unwrap();
        assert_eq!(calls.recv(), Ok("probe"));
        drop(watched);
        assert!(calls.recv().is_err());
    }
}
