//! The watchdog: one thread per process that watches every running test.
//!
//! It probes a test that exceeds its timeout, and gives up a test that does not respond to the
//! probe because it blocks its thread. Before the timeout it checks each test for a possible
//! deadlock.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::mutex::lock;

/// How long a probed test gets to begin its answer. A test that needs longer blocks its thread.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a probed test gets to end once it has begun its answer. On a busy machine, capturing the first backtrace of
/// a process takes long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The time between two progress checks of a test.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// A test under watch. All methods run on the watchdog's thread.
pub(crate) trait Test: Send + Sync {
    /// Checks, before the timeout, whether the test may be deadlocked.
    fn check_progress(&self);

    /// Probes the test after its timeout, which makes it end unless it blocks its thread.
    fn probe(&self);

    /// Returns whether the test has begun to answer the probe. Called with the watchdog locked.
    fn is_answering(&self) -> bool;

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
    /// When it was probed for its timeout.
    probed: Option<Instant>,
    /// Whether the check itself is at work: see [`Watched::pause`].
    is_paused: bool,
}

static WATCHDOG: Mutex<Watchdog> = Mutex::new(Watchdog {
    tests: Vec::new(),
    sleeps_until: None,
});

/// Wakes the thread for an entry that is due before it would wake up.
static EARLIER: Condvar = Condvar::new();

/// What the watchdog does with a test that is due.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    Check,
    Probe,
    Wait,
    GiveUp,
}

/// Watches a test until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    number: u64,
    deadline: Cell<Option<Instant>>,
}

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
        probed: None,
        is_paused: false,
    };
    let mut watchdog = locked();
    watchdog.tests.push(entry);
    let wakes = watchdog.sleeps_until.is_none_or(|sleeps| next < sleeps);
    drop(watchdog);
    // Skips the wake-up in nearly every test: the thread sleeps until an earlier entry is due.
    if wakes {
        EARLIER.notify_one();
    }
    Ok(Watched {
        number,
        deadline: Cell::new(deadline),
    })
}

impl Watched {
    /// Returns whether the test has exceeded its timeout.
    pub(crate) fn has_timed_out(&self) -> bool {
        is_over(self.deadline.get(), Instant::now())
    }

    /// Calls `look`, which must not run code of the test, and watches nothing meanwhile. It takes none of the test's
    /// time: on a busy machine, resolving the first backtrace of a process may take longer than the timeout.
    pub(crate) fn pause<R>(&self, look: impl FnOnce() -> R) -> R {
        struct Paused<'a>(&'a Watched, Instant);
        impl Drop for Paused<'_> {
            fn drop(&mut self) {
                let Self(watched, begun) = *self;
                let now = Instant::now();
                let later = |deadline: Instant| deadline.checked_add(now - begun);
                let deadline = watched.deadline.get().and_then(later);
                watched.deadline.set(deadline);
                locked().resume(watched.number, now, deadline);
            }
        }

        let _paused = Paused(self, Instant::now());
        locked().pause(self.number);
        look()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let entry = locked().remove(self.number);
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
        let next = watchdog.next().cloned();
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
        let action = watchdog.schedule_next(&entry, now);
        // A test's methods take long, and may start or end other watches.
        drop(watchdog);
        match action {
            Action::Check => entry.test.check_progress(),
            Action::Probe => entry.test.probe(),
            Action::Wait => {}
            Action::GiveUp => entry.test.give_up(),
        }
        drop(entry);
        watchdog = locked();
    }
}

impl Entry {
    /// Returns what to do with the test when it is due.
    fn action(&self, now: Instant) -> Action {
        match self.probed {
            None if is_over(self.deadline, now) => Action::Probe,
            None => Action::Check,
            Some(probed) if now < probed + ANSWER_TIMEOUT && self.test.is_answering() => {
                Action::Wait
            }
            Some(_) => Action::GiveUp,
        }
    }
}

/// Returns whether a deadline has passed.
fn is_over(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}

/// Returns when to act next on a test that has not timed out.
fn next_check(now: Instant, deadline: Option<Instant>) -> Instant {
    let check = now + CHECK_INTERVAL;
    deadline.map_or(check, |deadline| deadline.min(check))
}

impl Watchdog {
    /// Returns the test that is due next.
    fn next(&self) -> Option<&Entry> {
        let tests = self.tests.iter().filter(|entry| !entry.is_paused);
        tests.min_by_key(|entry| entry.next)
    }

    /// Removes a test, if it is still watched.
    fn remove(&mut self, number: u64) -> Option<Entry> {
        let at = self.tests.iter().position(|entry| entry.number == number)?;
        Some(self.tests.swap_remove(at))
    }

    /// Leaves a test alone.
    fn pause(&mut self, number: u64) {
        let mut tests = self.tests.iter_mut();
        if let Some(entry) = tests.find(|entry| entry.number == number) {
            entry.is_paused = true;
        }
    }

    /// Watches a test again, with a new deadline.
    fn resume(&mut self, number: u64, now: Instant, deadline: Option<Instant>) {
        let mut tests = self.tests.iter_mut();
        let Some(entry) = tests.find(|entry| entry.number == number) else {
            return;
        };
        entry.is_paused = false;
        entry.deadline = deadline;
        entry.next = next_check(now, deadline);
        // It may have been probed for the old deadline just when the pause began.
        entry.probed = None;
        if self.sleeps_until.is_none_or(|sleeps| entry.next < sleeps) {
            EARLIER.notify_one();
        }
    }

    /// Returns what to do with a test that is due, and sets when it is due again. Removes a test to give up.
    fn schedule_next(&mut self, due: &Entry, now: Instant) -> Action {
        let action = due.action(now);
        if action == Action::GiveUp {
            _ = self.remove(due.number);
            return action;
        }
        let mut tests = self.tests.iter_mut();
        if let Some(entry) = tests.find(|entry| entry.number == due.number) {
            entry.next = match action {
                Action::Check => next_check(now, entry.deadline),
                _ => now + PROBE_TIMEOUT,
            };
            entry.probed = entry.probed.or((action == Action::Probe).then_some(now));
        }
        action
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

    use super::{
        ANSWER_TIMEOUT, Action, CHECK_INTERVAL, Entry, PROBE_TIMEOUT, Test, Watchdog, watch,
    };

    struct Log(Sender<&'static str>);

    /// A test that never ends its answer.
    struct Answering;

    impl Test for Answering {
        fn check_progress(&self) {}

        fn probe(&self) {}

        fn is_answering(&self) -> bool {
            true
        }

        fn give_up(&self) {}

        fn stands_still(&self) -> bool {
            false
        }

        fn thread_count(&self) -> usize {
            1
        }
    }

    impl Test for Log {
        fn check_progress(&self) {
            _ = self.0.send("check");
        }

        fn probe(&self) {
            _ = self.0.send("probe");
        }

        fn is_answering(&self) -> bool {
            false
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
    fn pause_takes_no_time_of_test() {
        let (sender, calls) = channel();
        let deadline = Instant::now() + Duration::from_secs(3600);
        let watched = watch(Arc::new(Log(sender)), Some(deadline)).unwrap();
        let looked = watched.pause(|| {
            let begun = Instant::now();
            while begun.elapsed().is_zero() {}
            begun.elapsed()
        });
        assert!(watched.deadline.get().unwrap() >= deadline + looked);
        assert!(!watched.has_timed_out());
        drop(watched);
        assert!(calls.iter().all(|call| call == "check"));
    }

    #[test]
    fn paused_test_is_left_alone_then_gets_its_time() {
        let (sender, _calls) = channel();
        let now = Instant::now();
        let mut watchdog = Watchdog {
            tests: vec![Entry {
                number: 7,
                test: Arc::new(Log(sender)),
                deadline: Some(now),
                next: now,
                probed: Some(now),
                is_paused: false,
            }],
            sleeps_until: None,
        };
        assert!(watchdog.next().is_some());
        watchdog.pause(7);
        assert!(watchdog.next().is_none());
        let deadline = now + CHECK_INTERVAL / 2;
        watchdog.resume(7, now, Some(deadline));
        let next = watchdog.next().unwrap();
        assert_eq!((next.deadline, next.next), (Some(deadline), deadline));
        assert_eq!(next.probed, None, "it would be given up at once");
    }

    #[test]
    fn test_that_answers_gets_more_time_but_not_forever() {
        let now = Instant::now();
        let entry = |test: Arc<dyn Test>| Entry {
            number: 7,
            test,
            deadline: Some(now),
            next: now,
            probed: Some(now),
            is_paused: false,
        };
        let after = |entry: &Entry, time| {
            let mut watchdog = Watchdog {
                tests: vec![entry.clone()],
                sleeps_until: None,
            };
            let action = watchdog.schedule_next(entry, now + time);
            (action, watchdog.next().map(|entry| entry.next - now))
        };
        let slow = entry(Arc::new(Answering));
        let again = Some(2 * PROBE_TIMEOUT);
        assert_eq!(after(&slow, PROBE_TIMEOUT), (Action::Wait, again));
        assert_eq!(after(&slow, ANSWER_TIMEOUT), (Action::GiveUp, None));
        let silent = entry(Arc::new(Log(channel().0)));
        assert_eq!(after(&silent, PROBE_TIMEOUT), (Action::GiveUp, None));
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
