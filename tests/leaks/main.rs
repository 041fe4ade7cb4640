//! What the leak check lets pass and what it does not, by the values it returns.

#![cfg(feature = "tokio")]

mod background;
mod blocking;
mod clean;
mod deadlocks;
mod leaked;
mod locks;
mod macros_of_tokio;
mod panicking_tasks;
mod paused_clock;
mod rules;
mod spawners;
mod the_body;
mod the_time_of_a_test;
#[cfg(target_os = "linux")]
mod threads;

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::task::Poll;
use std::time::Duration;

use straggler::LeakCheck;
use straggler::leak::{
    BlockingWork, Call, LeakedTask, Report, SpawnedBy, Verdict, Wait, WaitPlace,
};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet, yield_now};

/// A grace that no leak of these tests ends in, so short that they are fast.
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

/// A check of each flavor.
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

/// The report of a body that leaks, the same in each flavor but for ages.
#[track_caller]
fn leaks<F: Future>(mut body: impl FnMut() -> F) -> Report {
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

/// A task that waits until its test says so, or until it is dropped.
async fn waits(sign: oneshot::Receiver<()>) {
    _ = sign.await;
}
