//! The grace period: lets leftovers finish.

use std::future::poll_fn;
use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::coop::unconstrained;
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::sleep;

use crate::leak::record::spawn::track_hold;
use crate::mutex::lock;

/// How many turns the runtime gets before any real time passes. An aborted task needs one, a
/// detached task that is about to end a few.
const YIELDS: usize = 64;

/// The minimum number of turns after these. On a busy machine the whole grace may pass between two
/// of them.
const TURNS: usize = 20;

/// How many tasks a current-thread runtime runs in one turn (tokio's `event_interval`). Aborted tasks end
/// when it is theirs.
const TASKS_PER_TURN: usize = 61;

/// How many times longer the runtime runs than a look takes. A look at many leftovers takes long,
/// and the grace is theirs.
const SHARE: u32 = 4;

/// How long blocking work that holds the clock occupies its thread at a time. Other work waits that
/// long if the runtime has no other thread.
const HOLD: Duration = Duration::from_micros(50);

/// The shortest and the longest pause between two turns.
const PAUSES: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));

/// What a paused clock does during the grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PausedClock {
    StandsStill,
    /// It advances by the grace at most, when nothing can run.
    Advances,
}

/// How many threads of [`Ticker`]s there are in the process.
static TICKERS: AtomicUsize = AtomicUsize::new(0);

/// Returns how many threads of the process belong to a grace.
pub(crate) fn thread_count() -> usize {
    TICKERS.load(SeqCst)
}

/// How the wait for leftovers ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    Done,
    /// More time changes nothing.
    Final,
    Over,
}

/// Lets the current runtime run until `is_done`, until `is_final` says that more time changes nothing,
/// or until `grace` has passed in real time.
///
/// Each of the `left` leftovers gets a turn, also if the grace is over by then. The runtime has a turn
/// at least between two calls of `is_final`.
///
/// To hold a paused clock, a closure runs until the end of the grace: tokio stops the clock while
/// blocking work runs (`Clock::inhibit_auto_advance` in `spawn_blocking`).
pub(crate) async fn until(
    grace: Duration,
    clock: PausedClock,
    left: usize,
    mut is_done: impl FnMut() -> bool,
    mut is_final: impl FnMut() -> bool,
) -> Drained {
    let has_workers = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    for turn in 0..YIELDS {
        // Few looks, since each may go through many tasks. When they are made does not depend on
        // the time, so an explored run can be repeated.
        if (turn == 0 || turn.is_power_of_two()) && is_done() {
            return Drained::Done;
        }
        if turn == YIELDS - 1 {
            is_final();
        }
        if has_workers {
            // The workers may need this processor.
            thread::yield_now();
        }
        yield_now().await;
    }
    if is_done() {
        return Drained::Done;
    }
    if grace.is_zero() {
        return Drained::Over;
    }
    if is_final() {
        return Drained::Final;
    }
    let begun = Instant::now();
    let least_turns = TURNS + left / TASKS_PER_TURN;
    let Ok(mut ticker) = Ticker::start() else {
        // The machine is out of threads. The test has to do without the rest of its grace.
        return if is_done() {
            Drained::Done
        } else {
            Drained::Over
        };
    };
    // Leftovers that sleep may end, but those that sleep longer than the grace may not.
    let advances = clock == PausedClock::Advances && is_paused();
    let mut advance = advances.then(|| Box::pin(unconstrained(sleep(grace))));
    if !advances {
        ticker.hold_clock();
    }
    let (mut turns, mut next_look) = (0, begun);
    poll_fn(|context| {
        turns += 1;
        let sleep = advance.as_mut().map(|sleep| sleep.as_mut().poll(context));
        if sleep.is_some_and(|sleep| sleep.is_ready()) {
            advance = None;
            ticker.hold_clock();
        }
        let now = Instant::now();
        let is_over = turns > least_turns && now.duration_since(begun) >= grace;
        if is_over || now >= next_look {
            if is_done() {
                return Poll::Ready(Drained::Done);
            }
            if is_over {
                return Poll::Ready(Drained::Over);
            }
            if is_final() {
                return Poll::Ready(Drained::Final);
            }
            next_look = Instant::now() + now.elapsed() * SHARE;
        }
        ticker.wake_later(context.waker());
        Poll::Pending
    })
    .await
}

/// Wakes a waker periodically, and may stop a paused clock, until dropped.
struct Ticker {
    waker: Arc<Mutex<Option<Waker>>>,
    _stop: SyncSender<()>,
    let_go: Option<SyncSender<()>>,
}

impl Ticker {
    fn start() -> std::io::Result<Self> {
        let waker = Arc::default();
        let (stop_ticking, stopped) = sync_channel(0);
        let woken = Arc::clone(&waker);
        // Not on a blocking thread of the runtime: leftovers may block all of them forever.
        thread::Builder::new()
            .name("straggler-grace".to_owned())
            .spawn(move || {
                // Counted only while the system lists it, so that it never hides another thread.
                TICKERS.fetch_add(1, SeqCst);
                tick(&stopped, &woken);
                TICKERS.fetch_sub(1, SeqCst);
            })?;
        Ok(Self {
            waker,
            _stop: stop_ticking,
            let_go: None,
        })
    }

    /// Stops the clock if it is paused.
    fn hold_clock(&mut self) {
        if is_paused() {
            let (let_go, released) = sync_channel(0);
            hold(released);
            self.let_go = Some(let_go);
        }
    }

    fn wake_later(&self, waker: &Waker) {
        let waker = Some(waker.clone());
        let before = std::mem::replace(&mut *lock(&self.waker), waker);
        drop(before);
    }
}

/// Keeps the paused clock of the current runtime from advancing until `released` is disconnected.
fn hold(released: Receiver<()>) {
    drop(spawn_blocking(track_hold(move || {
        if let Err(RecvTimeoutError::Timeout) = released.recv_timeout(HOLD) {
            // Before this closure ends, so that the clock is held all the time. It queues behind
            // the work of leftovers, which may have to share the only thread.
            hold(released);
        }
    })));
}

/// Returns whether the clock of the current runtime is paused.
pub(crate) fn is_paused() -> bool {
    let clock = tokio::time::Instant::now();
    let real = Instant::now();
    // A running clock shows a later time as soon as the system's clock does.
    while Instant::now() == real {
        hint::spin_loop();
    }
    tokio::time::Instant::now() == clock
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::time::Duration;

    use super::{Drained, PausedClock, TASKS_PER_TURN, until};

    /// On a busy machine the whole grace may pass in a few turns, in which only some leftovers can end.
    #[tokio::test]
    async fn each_leftover_gets_a_turn() {
        const TURNS: usize = 300;

        let (grace, clock) = (Duration::from_nanos(1), PausedClock::StandsStill);
        let left = TURNS * TASKS_PER_TURN;
        let mut drain = pin!(until(grace, clock, left, || false, || false));
        let mut turns = 0;
        let drained = poll_fn(|context| {
            turns += 1;
            drain.as_mut().poll(context)
        });
        assert_eq!(drained.await, Drained::Over);
        assert!(turns > TURNS, "{turns}");
    }
}
