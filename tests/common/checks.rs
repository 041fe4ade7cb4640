//! Checks in every runtime flavor, and what they are expected to find.

#![allow(
    dead_code,
    reason = "each test binary compiles this module for itself and uses a part of it"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use straggler::LeakCheck;
use straggler::leak::{Acquisition, LockState, Report, Verdict};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::yield_now;

/// A grace that every leak of these tests outlives, short enough to keep them fast.
pub(crate) const SHORT: Duration = Duration::from_millis(20);

pub(crate) fn multi_thread() -> LeakCheck {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all();
    LeakCheck::new().runtime(builder)
}

pub(crate) fn paused() -> LeakCheck {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(true);
    LeakCheck::new().runtime(builder)
}

/// One check for each runtime flavor.
pub(crate) fn every_flavor() -> [LeakCheck; 3] {
    [LeakCheck::new(), multi_thread(), LeakCheck::new().local()]
}

#[track_caller]
pub(crate) fn assert_clean<F: Future>(mut body: impl FnMut() -> F) {
    for check in every_flavor() {
        if let Err(report) = check.run(body()) {
            panic!("{report}");
        }
    }
}

/// Expects a leak in every flavor, and the same counts in each; returns the current-thread report.
#[track_caller]
pub(crate) fn expect_leak<F: Future>(mut body: impl FnMut() -> F) -> Report {
    let [current, multi, local] = every_flavor().map(|check| {
        let Err(report) = check.grace(SHORT).run(body()) else {
            panic!("nothing leaked");
        };
        assert_eq!(*report.verdict(), Verdict::Leaked);
        report
    });
    assert_eq!(
        (current.count(), current.unseen()),
        (multi.count(), multi.unseen())
    );
    assert_eq!(
        (current.count(), current.unseen()),
        (local.count(), local.unseen())
    );
    current
}

/// Waits until the test sends the signal or drops the sender.
pub(crate) async fn wait_for(sender: oneshot::Receiver<()>) {
    _ = sender.await;
}

/// Spawns clean-up when dropped, and counts it once it has ended.
pub(crate) struct SpawnsCleanUp(pub(crate) Arc<AtomicUsize>);

impl Drop for SpawnsCleanUp {
    fn drop(&mut self) {
        let (first, second) = (Arc::clone(&self.0), Arc::clone(&self.0));
        tokio::spawn(async move {
            for _ in 0..200 {
                yield_now().await;
            }
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            first.fetch_add(1, SeqCst);
        });
        straggler::spawn(async move {
            yield_now().await;
            second.fetch_add(1, SeqCst);
        });
    }
}

/// Panics in blocking work, and returns once the panic is on record.
pub(crate) fn panic_in_closure() {
    let panics = tokio::task::spawn_blocking(|| panic!("no such table"));
    while !panics.is_finished() {
        thread::yield_now();
    }
}

#[track_caller]
pub(crate) fn assert_panic_comes_first(report: &Report, ended: &str) {
    assert_eq!(*report.verdict(), Verdict::Panicked, "{report}");
    let text = report.to_string();
    let first = format!(
        "leak_check: 1 task panicked, and the check at {}",
        report.place()
    );
    assert!(text.starts_with(&first), "{text}");
    let parts = [
        ended,
        "no such table",
        "the body waits",
        "fix the panic at ",
        "What to do",
    ];
    let found: Vec<_> = parts.iter().map(|part| text.rfind(part)).collect();
    assert!(found.is_sorted() && found[0].is_some(), "{found:?} {text}");
}

/// The only lock in the report.
#[track_caller]
pub(crate) fn only_lock(report: &Report) -> &LockState {
    let [lock] = report.locks() else {
        panic!("{report}");
    };
    lock
}

/// The holder of a lock.
#[track_caller]
pub(crate) fn holder(lock: &LockState) -> &Acquisition {
    lock.holder().expect("the lock is held")
}
