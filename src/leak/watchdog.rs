//! Ends the wait for a test that does not end: one thread for the whole process, which asks each
//! test whose time is up where it waits, and speaks for those that cannot answer.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test that was asked has to answer. One that does not blocks its thread.
const ANSWER: Duration = Duration::from_millis(500);

/// A test that is watched.
pub(crate) trait Test: Send + Sync {
    /// Asks it where it waits, since its time is up.
    fn ask(&self);

    /// Does what can be done for one that did not answer, from the watchdog's own thread.
    fn give_up(&self);
}

/// When something is to be done about a test, and a number to tell apart those with the same time.
type Key = (Instant, u64);

#[derive(Default)]
struct Watchdog {
    /// The tests that are watched, the next one to end first.
    tests: BTreeMap<Key, Entry>,
    /// Until when the thread sleeps: it is woken for what comes before. `None` is for ever.
    sleeps_until: Option<Instant>,
}

struct Entry {
    test: Arc<dyn Test>,
    was_asked: bool,
}

static WATCHDOG: Mutex<Watchdog> = Mutex::new(Watchdog {
    tests: BTreeMap::new(),
    sleeps_until: None,
});

/// Wakes the thread.
static EARLIER: Condvar = Condvar::new();

/// Watches a test until this is dropped.
pub(crate) struct Watched {
    until: Instant,
    number: u64,
}

/// Has a test asked where it waits when its time is up, and given up if it does not answer.
///
/// # Errors
///
/// If the thread could not be started.
pub(crate) fn watch(test: Arc<dyn Test>, until: Instant) -> Result<Watched, &'static str> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    static IS_RUNNING: OnceLock<bool> = OnceLock::new();
    let start = || {
        let thread = thread::Builder::new().name("straggler-watchdog".to_owned());
        thread.spawn(run).is_ok()
    };
    if !IS_RUNNING.get_or_init(start) {
        return Err("the thread that watches over timeouts could not be started");
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut watchdog = lock();
    let entry = Entry {
        test,
        was_asked: false,
    };
    watchdog.tests.insert((until, number), entry);
    let wakes = watchdog.sleeps_until.is_none_or(|sleeps| until < sleeps);
    drop(watchdog);
    // Nearly every test ends in time, and the thread sleeps on.
    if wakes {
        EARLIER.notify_one();
    }
    Ok(Watched { until, number })
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut watchdog = lock();
        let asked = (self.until + ANSWER, self.number);
        let entry = watchdog.tests.remove(&(self.until, self.number));
        let entry = entry.or_else(|| watchdog.tests.remove(&asked));
        drop(watchdog);
        drop(entry);
    }
}

/// What the thread does.
fn run() {
    let mut watchdog = lock();
    loop {
        let now = Instant::now();
        let next = watchdog.tests.keys().next().copied();
        watchdog.sleeps_until = next.map(|(until, _)| until);
        let Some(key) = next else {
            let waited = EARLIER.wait(watchdog);
            watchdog = waited.unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let left = key.0.saturating_duration_since(now);
        if !left.is_zero() {
            let waited = EARLIER.wait_timeout(watchdog, left);
            (watchdog, _) = waited.unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let Some(mut entry) = watchdog.tests.remove(&key) else {
            continue;
        };
        let test = Arc::clone(&entry.test);
        let was_asked = mem::replace(&mut entry.was_asked, true);
        if !was_asked {
            watchdog.tests.insert((key.0 + ANSWER, key.1), entry);
        }
        drop(watchdog);
        if was_asked {
            test.give_up();
        } else {
            test.ask();
        }
        drop(test);
        watchdog = lock();
    }
}

fn lock() -> MutexGuard<'static, Watchdog> {
    WATCHDOG.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::time::{Duration, Instant};

    use super::{Test, watch};

    struct Says(Sender<&'static str>);

    impl Test for Says {
        fn ask(&self) {
            _ = self.0.send("asked");
        }

        fn give_up(&self) {
            _ = self.0.send("given up");
        }
    }

    #[test]
    fn a_test_that_has_ended_is_not_kept() {
        let (says, said) = channel();
        let test = Arc::new(Says(says));
        let until = Instant::now() + Duration::from_secs(3600);
        let watched = watch(test.clone(), until).unwrap();
        assert_eq!(Arc::strong_count(&test), 2);
        drop(watched);
        assert_eq!(Arc::strong_count(&test), 1);
        drop(test);
        assert!(said.recv().is_err());
    }

    #[test]
    fn a_test_is_asked_first_and_then_given_up() {
        let (says, said) = channel();
        let watched = watch(Arc::new(Says(says)), Instant::now()).unwrap();
        assert_eq!(said.recv(), Ok("asked"));
        assert_eq!(said.recv(), Ok("given up"));
        assert!(said.recv().is_err(), "and not kept");
        drop(watched);
    }

    #[test]
    fn a_test_that_ends_when_it_was_asked_is_not_given_up() {
        let (says, said) = channel();
        let watched = watch(Arc::new(Says(says)), Instant::now()).unwrap();
        assert_eq!(said.recv(), Ok("asked"));
        drop(watched);
        assert!(said.recv().is_err());
    }
}
