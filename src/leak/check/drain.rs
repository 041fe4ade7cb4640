//! The grace period: lets leftovers finish without advancing a paused clock.

use std::future::poll_fn;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{spawn_blocking, yield_now};

use crate::leak::record::spawn::track_hold;
use crate::mutex::lock;

/// How many turns the runtime gets before any real time passes. An aborted task needs one, a
/// detached task that is about to end a few.
const YIELDS: usize = 64;

/// The minimum number of looks. On a busy machine the whole grace may pass between two of them.
const LOOKS: usize = 20;

/// The shortest and the longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));

/// Lets the current runtime run until `is_done`, or until `grace` has passed in real time. Returns
/// whether it is done.
///
/// A paused clock does not advance meanwhile. Tokio stops it while blocking work runs
/// (`Clock::inhibit_auto_advance` in `spawn_blocking`), so a closure blocks until the end of the
/// grace.
pub(crate) async fn until(grace: Duration, mut is_done: impl FnMut() -> bool) -> bool {
    let has_workers = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    for _ in 0..YIELDS {
        if is_done() {
            return true;
        }
        if has_workers {
            // The workers may need this processor.
            thread::yield_now();
        }
        yield_now().await;
    }
    if grace.is_zero() {
        return is_done();
    }
    let begun = Instant::now();
    let Ok(ticker) = Ticker::start() else {
        // The machine is out of threads. The test has to do without the rest of its grace.
        return is_done();
    };
    let mut looks = 0;
    poll_fn(|context| {
        looks += 1;
        if is_done() {
            return Poll::Ready(true);
        }
        if looks > LOOKS && begun.elapsed() >= grace {
            return Poll::Ready(false);
        }
        ticker.wake_later(context.waker());
        Poll::Pending
    })
    .await
}

/// Wakes a waker periodically and stops a paused clock, until dropped.
struct Ticker {
    waker: Arc<Mutex<Option<Waker>>>,
    _stop: (SyncSender<()>, SyncSender<()>),
}

impl Ticker {
    fn start() -> std::io::Result<Self> {
        let waker = Arc::default();
        let (stop_ticking, stopped) = sync_channel(0);
        let woken = Arc::clone(&waker);
        // Not on a blocking thread of the runtime: leftovers may block all of them forever.
        thread::Builder::new()
            .name("straggler-grace".to_owned())
            .spawn(move || tick(&stopped, &woken))?;
        let (let_go, held) = sync_channel::<()>(0);
        drop(spawn_blocking(track_hold(move || held.recv())));
        Ok(Self {
            waker,
            _stop: (stop_ticking, let_go),
        })
    }

    fn wake_later(&self, waker: &Waker) {
        let waker = Some(waker.clone());
        let before = std::mem::replace(&mut *lock(&self.waker), waker);
        drop(before);
    }
}

/// Wakes `waker` until the ticker is dropped, with growing pauses.
fn tick(stopped: &Receiver<()>, waker: &Mutex<Option<Waker>>) {
    let (mut pause, longest) = PAUSES;
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(pause) {
        let waker = lock(waker).take();
        if let Some(waker) = waker {
            waker.wake();
        }
        pause = (pause * 2).min(longest);
    }
}
