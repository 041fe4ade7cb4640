//! What the leak check accepts and rejects, checked by the reports it returns.
//!
//! Tests of process-wide state have binaries of their own: `leak_deadlocks`, `leak_environment`, `leak_hangs`,
//! `leak_panic_hook`, `leak_threads`; so have those that compare printed text, `leak_reports` and
//! `leak_ci`.

#![cfg(feature = "tokio")]

mod background;
mod blocking;
mod body;
#[path = "../common/checks.rs"]
mod checks;
mod clean;
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

use checks::*;
