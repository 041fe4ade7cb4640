//! Tests that stand still, and what probes of them may change.
//!
//! A deadlock is certain only if nothing else in the process can run. So these tests have their own
//! process, and each of them soon ends or stands still. Only Linux lists the threads of a process.

#![cfg(all(feature = "tokio", target_os = "linux"))]

#[path = "../common/checks.rs"]
mod checks;
mod deadlock;
mod grace;
mod locks;
mod probes;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc as std_mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use straggler::LeakCheck;
use straggler::leak::{Report, Verdict, Wait};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{LocalSet, yield_now};

use checks::*;

/// Blocks until the watchdog has probed a test that stands still. Nothing observable signals the
/// probe, hence the sleep.
fn wait_past_probe() {
    thread::sleep(Duration::from_secs(2));
}

/// Expects a body to be reported long before its timeout, because it can never end.
#[track_caller]
fn expect_deadlock<F: Future>(body: F) -> Report {
    expect_deadlock_in(paused().timeout(Duration::from_secs(3600)), body)
}

#[track_caller]
fn expect_deadlock_in<F: Future>(check: LeakCheck, body: F) -> Report {
    let begun = Instant::now();
    let Err(report) = check.run(body) else {
        panic!("the body ended");
    };
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(
        matches!(report.verdict(), Verdict::Deadlocked { .. }),
        "{report}"
    );
    report
}
