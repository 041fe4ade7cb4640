//! What the leak check accepts and rejects, checked by the reports it returns.
//!
//! Tests of process-wide state have binaries of their own: `leak_environment`, `leak_hangs`,
//! `leak_panic_hook`, `leak_threads`; so have those that compare printed text, `leak_reports` and
//! `leak_ci`.

#![cfg(feature = "tokio")]

mod background;
mod blocking;
mod body;
mod clean;
mod deadlock;
mod locks;
mod panics;
mod paused_clock;
#[path = "registry/src/pool.rs"]
mod pool;
mod rules;
mod spawners;
mod tasks;
#[cfg(target_os = "linux")]
mod threads;
mod timeout;
mod watch;

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::task::Poll;
use std::time::Duration;

use straggler::LeakCheck;
use straggler::leak::{
    BlockingWork, Call, LeakedTask, Place, Report, SpawnedBy, Verdict, Wait, WaitPlace,
};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet, yield_now};

/// A grace that every leak of these tests outlives, short enough to keep them fast.
const SHORT: Duration = Duration::from_millis(20);

fn multi_thread() -> LeakCheck {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all();
    LeakCheck::new().runtime(builder)
}

fn paused() -> LeakCheck {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(true);
    LeakCheck::new().runtime(builder)
}

/// One check for each runtime flavor.
fn every_flavor() -> [LeakCheck; 3] {
    [LeakCheck::new(), multi_thread(), LeakCheck::new().local()]
}

#[track_caller]
fn assert_clean<F: Future>(mut body: impl FnMut() -> F) {
    for check in every_flavor() {
        if let Err(report) = check.run(body()) {
            panic!("{report}");
        }
    }
}

/// Expects a leak in every flavor, and the same counts in each; returns the current-thread report.
#[track_caller]
fn expect_leak<F: Future>(mut body: impl FnMut() -> F) -> Report {
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
async fn wait_for(sender: oneshot::Receiver<()>) {
    _ = sender.await;
}
