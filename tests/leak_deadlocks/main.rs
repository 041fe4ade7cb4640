//! Tests that stand still, and what probes of them may change.
//!
//! A deadlock is certain only if nothing else in the process can run. So these tests have their own
//! process, and each of them soon ends or stands still.

#![cfg(feature = "tokio")]

#[path = "../common/checks.rs"]
mod checks;
mod deadlock;
mod locks;
mod probes;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc as std_mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

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
