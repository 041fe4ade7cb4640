//! The grace period: waits until nothing is left to run, without a step of a paused clock.

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

/// How often the runtime gets a turn before real time is spent. A task that was aborted needs one,
/// a detached one that has to be polled a few times needs a few.
const YIELDS: usize = 64;

/// How often is looked at the least before time is up, since on a busy machine the whole grace
/// may pass between two looks.
const LOOKS: usize = 20;

/// How long the first pauses between two looks are, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));

/// Lets the runtime of the caller run until `is_done`, or until `grace` is over in real time, and
/// returns whether it is done.
///
/// A paused clock does not advance meanwhile: tokio holds it while blocking work is under way
/// (`Clock::inhibit_auto_advance` in its `spawn_blocking`), which a closure that waits for the
/// end of the grace is.
pub(crate) async fn until(grace: Duration, mut is_done: impl FnMut() -> bool) -> bool {
    let has_workers = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    for _ in 0..YIELDS {
        if is_done() {
            return true;
        }
        if has_workers {
            // Leaves the processor to them.
            thread::yield_now();
        }
        yield_now().await;
    }
    if grace.is_zero() {
        return is_done();
    }
    let begun = Instant::now();
    let Ok(ticker) = Ticker::start() else {
        // There is no thread to be had: a machine in this state shows nothing by waiting.
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

/// A thread that wakes a waker again and again, and holds a paused clock, until it is dropped.
struct Ticker {
    waker: Arc<Mutex<Option<Waker>>>,
    _stop: (SyncSender<()>, SyncSender<()>),
}

impl Ticker {
    fn start() -> std::io::Result<Self> {
        let waker = Arc::default();
        let (stop_ticking, stopped) = sync_channel(0);
        let woken = Arc::clone(&waker);
        // Not on the runtime's own threads for blocking work: they may all be blocked for good.
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

/// Wakes until nobody is there any more who could say to stop.
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
