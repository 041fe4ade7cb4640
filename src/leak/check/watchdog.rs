//! Ends the wait for a test that does not end: one thread for the whole process, which asks each
//! test whose time is up where it waits, and speaks for those that cannot answer. Meanwhile it looks
//! at those whose time is not up: some can be seen never to end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::mutex::lock;

/// How long a test that was asked has to answer. One that does not blocks its thread.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// How often a test is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A test that is watched.
pub(crate) trait Test: Send + Sync {
    /// Looks whether it can still end.
    fn look(&self);

    /// Asks it where it waits, since its time is up.
    fn probe(&self);

    /// Does what can be done for one that did not answer, from the watchdog's own thread.
    fn give_up(&self);
}

struct Watchdog {
    /// The tests that are watched, in any order: as many as there are threads that run tests.
    tests: Vec<Entry>,
    /// Until when the thread sleeps: it is woken for what comes before. `None` is for ever.
    sleeps_until: Option<Instant>,
}

#[derive(Clone)]
struct Entry {
    /// Nobody else has it.
    number: u64,
    test: Arc<dyn Test>,
    /// When its time is up, if that comes.
    until: Option<Instant>,
    /// When something is to be done about it.
    next: Instant,
    was_probed: bool,
}

static WATCHDOG: Mutex<Watchdog> = Mutex::new(Watchdog {
    tests: Vec::new(),
    sleeps_until: None,
});

/// Wakes the thread.
static EARLIER: Condvar = Condvar::new();

/// Watches a test until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched(u64);

/// Has a test looked at now and then, asked where it waits when its time is up, if it is at some time, and
/// given up if it does not answer.
///
/// # Errors
///
/// If the thread could not be started.
pub(crate) fn watch(test: Arc<dyn Test>, until: Option<Instant>) -> Result<Watched, &'static str> {
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
    let next = next_look(Instant::now(), until);
    let entry = Entry {
        number,
        test,
        until,
        next,
        was_probed: false,
    };
    let mut watchdog = locked();
    watchdog.tests.push(entry);
    let wakes = watchdog.sleeps_until.is_none_or(|sleeps| next < sleeps);
    drop(watchdog);
    // Nearly every test ends before, and the thread sleeps on.
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

/// What the thread does.
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
        watchdog.serve(entry.number, now);
        drop(watchdog);
        if entry.was_probed {
            entry.test.give_up();
        } else if entry.is_up(now) {
            entry.test.probe();
        } else {
            entry.test.look();
        }
        drop(entry);
        watchdog = locked();
    }
}

impl Entry {
    /// Whether its time is up.
    fn is_up(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// When something is to be done about a test whose time is not up.
fn next_look(now: Instant, until: Option<Instant>) -> Instant {
    let look = now + LOOK;
    until.map_or(look, |until| until.min(look))
}

impl Watchdog {
    /// Takes a test out, if it is still there.
    fn remove(&mut self, number: u64) -> Option<Entry> {
        let at = self.tests.iter().position(|entry| entry.number == number)?;
        Some(self.tests.swap_remove(at))
    }

    /// Sets what is to be done next about a test.
    fn serve(&mut self, number: u64, now: Instant) {
        let mut tests = self.tests.iter_mut();
        let Some(entry) = tests.find(|entry| entry.number == number) else {
            return;
        };
        if entry.was_probed {
            _ = self.remove(number);
        } else if entry.is_up(now) {
            entry.was_probed = true;
            entry.next = now + PROBE_TIMEOUT;
        } else {
            entry.next = next_look(now, entry.until);
        }
    }
}

fn locked() -> MutexGuard<'static, Watchdog> {
    lock(&WATCHDOG)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::time::{Duration, Instant};

    use super::{Test, watch};

    struct Says(Sender<&'static str>);

    impl Test for Says {
        fn look(&self) {
            _ = self.0.send("looked at");
        }

        fn probe(&self) {
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
        let until = Some(Instant::now() + Duration::from_secs(3600));
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
        let watched = watch(Arc::new(Says(says)), Some(Instant::now())).unwrap();
        assert_eq!(said.recv(), Ok("asked"));
        assert_eq!(said.recv(), Ok("given up"));
        assert!(said.recv().is_err(), "and not kept");
        drop(watched);
    }

    #[test]
    fn a_test_is_looked_at_before_its_time_is_up() {
        let (says, said) = channel();
        let until = Some(Instant::now() + Duration::from_secs(3600));
        let watched = watch(Arc::new(Says(says)), until).unwrap();
        assert_eq!(said.recv(), Ok("looked at"));
        drop(watched);
        assert!(said.recv().is_err());
    }

    #[test]
    fn a_test_that_ends_when_it_was_probed_is_not_given_up() {
        let (says, said) = channel();
        let watched = watch(Arc::new(Says(says)), Some(Instant::now())).unwrap();
        assert_eq!(said.recv(), Ok("asked"));
        drop(watched);
        assert!(said.recv().is_err());
    }
}
