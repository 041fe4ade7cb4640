//! The workloads: futures to join, and what completes them.

use std::future::{Ready, ready};
use std::ops::Range;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, RecvError, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use futures::FutureExt;
use futures::future::Map;
use tokio::runtime::Runtime;
use tokio::time::{Sleep, sleep};

use crate::driver::{Driver, paused_runtime, runtime};
use crate::joins::Join;
use crate::signal::{Signal, Waits};

/// How often a workload with chatter wakes its one busy future.
pub const WAKES: usize = 1_000;

/// Seeds everything random, so that every join gets the same workload.
const SEED: u64 = 7919;

/// Futures of one kind, and what completes them.
pub trait Workload: Sized {
    /// The name of its row in the tables.
    const NAME: &str;

    /// The number of turns in which one future is woken [`WAKES`] times while the others wait.
    ///
    /// `None` if the workload has no such future. These are the first turns, and the benchmark
    /// measures only them.
    const CHATTER: Option<usize> = None;

    /// Whether other threads wake the futures.
    const CROSS_THREAD: bool = false;

    /// Whether the futures become ready as time passes, so that each run has to make its own.
    const TIMED: bool = false;

    /// One of the futures. Its output is its index, or zero if it does not know its index.
    type Future: Future<Output = usize> + Send + 'static;

    /// Makes `count` futures.
    fn prepare(count: usize) -> (Self, Vec<Self::Future>);

    /// Makes a runtime for the futures.
    #[must_use]
    fn runtime() -> Runtime {
        runtime()
    }

    /// Makes a driver for a join of the futures.
    #[must_use]
    fn driver<J: Join>() -> Driver {
        Driver::default()
            .spawns_tasks(J::SPAWNS)
            .cross_thread(Self::CROSS_THREAD)
    }

    /// Wakes or completes futures that wait.
    ///
    /// # Panics
    ///
    /// Panics if all of them are complete: the join missed a wake-up.
    fn turn(&mut self) {
        panic!("all futures were woken, but the join still waits");
    }

    /// Drives a join of the futures until it is ready.
    #[inline]
    fn drive<J: Future>(&mut self, driver: &Driver, join: J) -> impl Future<Output = J::Output> {
        driver.drive(join, || self.turn())
    }
}

/// Every future is ready at its first poll.
#[derive(Debug)]
pub struct AllReady;

impl Workload for AllReady {
    const NAME: &str = "all ready";

    type Future = Ready<usize>;

    fn prepare(count: usize) -> (Self, Vec<Self::Future>) {
        (Self, (0..count).map(ready).collect())
    }
}

/// Every future wakes itself at its first poll and is ready at its second.
#[derive(Debug)]
pub struct EachYields;

impl Workload for EachYields {
    const NAME: &str = "each yields once";

    type Future = YieldsOnce<usize>;

    fn prepare(count: usize) -> (Self, Vec<Self::Future>) {
        (Self, (0..count).map(YieldsOnce::new).collect())
    }
}

/// Future that wakes itself at its first poll and is ready at its second.
#[derive(Debug)]
pub struct YieldsOnce<T> {
    output: T,
    has_yielded: bool,
}

impl<T> YieldsOnce<T> {
    /// Makes a future with this output.
    #[must_use]
    pub fn new(output: T) -> Self {
        Self {
            output,
            has_yielded: false,
        }
    }
}

impl<T: Copy + Unpin> Future for YieldsOnce<T> {
    type Output = T;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if self.has_yielded {
            return Poll::Ready(self.output);
        }
        self.has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The futures complete in random order, one before each poll of the join.
#[derive(Debug)]
pub struct Random {
    signals: Arc<[Signal]>,
    /// The futures still to complete. The next one is last.
    order: Vec<usize>,
}

impl Workload for Random {
    const NAME: &str = "random completions";

    type Future = Waits;

    fn prepare(count: usize) -> (Self, Vec<Self::Future>) {
        let signals = signals(count);
        let futures = Waits::all(&signals).collect();
        let mut order: Vec<usize> = (0..count).collect();
        Rng::with_seed(SEED).shuffle(&mut order);
        (Self { signals, order }, futures)
    }

    #[inline]
    fn turn(&mut self) {
        let next = self.order.pop().expect("some future is incomplete");
        self.signals[next].complete();
    }
}

/// All futures complete before one poll of the join.
#[derive(Debug)]
pub struct Burst {
    signals: Arc<[Signal]>,
    is_over: bool,
}

impl Workload for Burst {
    const NAME: &str = "burst";

    type Future = Waits;

    fn prepare(count: usize) -> (Self, Vec<Self::Future>) {
        let signals = signals(count);
        let futures = Waits::all(&signals).collect();
        let is_over = false;
        (Self { signals, is_over }, futures)
    }

    fn turn(&mut self) {
        assert!(!self.is_over, "all futures were woken");
        self.is_over = true;
        complete_all(&self.signals);
    }
}

/// One future wakes itself again and again while the others wait.
#[derive(Debug)]
pub struct ChatterInside {
    signals: Arc<[Signal]>,
    turns: Range<usize>,
}

impl Workload for ChatterInside {
    const NAME: &str = "chatter, wakes itself";

    const CHATTER: Option<usize> = Some(1);

    type Future = WakesItself;

    fn prepare(count: usize) -> (Self, Vec<Self::Future>) {
        let signals = signals(count);
        let futures = Waits::all(&signals).enumerate().map(|(index, waits)| {
            let is_busy = index == busy_index(count);
            WakesItself {
                waits,
                was_polled: false,
                // The turn makes the first wake-up.
                wakes_left: if is_busy { WAKES - 1 } else { 0 },
            }
        });
        let futures = futures.collect();
        let turns = 0..2;
        (Self { signals, turns }, futures)
    }

    fn turn(&mut self) {
        match self.turns.next().expect("all futures were woken") {
            0 => self.signals[busy_index(self.signals.len())].wake(),
            _ => complete_all(&self.signals),
        }
    }
}

/// Future that waits to be woken, wakes itself a number of times, then waits for completion.
#[derive(Debug)]
pub struct WakesItself {
    waits: Waits,
    was_polled: bool,
    wakes_left: usize,
}

impl Future for WakesItself {
    type Output = usize;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<usize> {
        if self.was_polled && self.wakes_left > 0 {
            self.wakes_left -= 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.was_polled = true;
        Pin::new(&mut self.waits).poll(context)
    }
}

/// One future is woken before each poll of the join while the others wait.
#[derive(Debug)]
pub struct ChatterOutside {
    signals: Arc<[Signal]>,
    turns: Range<usize>,
}

impl Workload for ChatterOutside {
    const NAME: &str = "chatter, woken from outside";

    const CHATTER: Option<usize> = Some(WAKES);

    type Future = Waits;

    fn prepare(count: usize) -> (Self, Vec<Self::Future>) {
        let signals = signals(count);
        let futures = Waits::all(&signals).collect();
        let turns = 0..WAKES + 1;
        (Self { signals, turns }, futures)
    }

    #[inline]
    fn turn(&mut self) {
        match self.turns.next().expect("all futures were woken") {
            WAKES => complete_all(&self.signals),
            _ => self.signals[busy_index(self.signals.len())].wake(),
        }
    }
}

/// Two threads complete the futures while the driver polls the join.
#[derive(Debug)]
pub struct Threads {
    signals: Arc<[Signal]>,
    has_started: bool,
}

impl Workload for Threads {
    const NAME: &str = "wakes from 2 threads";

    const CROSS_THREAD: bool = true;

    type Future = Waits;

    fn prepare(count: usize) -> (Self, Vec<Self::Future>) {
        LazyLock::force(&HELPERS);
        let signals = signals(count);
        let futures = Waits::all(&signals).collect();
        let has_started = false;
        (
            Self {
                signals,
                has_started,
            },
            futures,
        )
    }

    fn turn(&mut self) {
        if self.has_started {
            return thread::yield_now();
        }
        self.has_started = true;
        // A helper without a share gets nothing: its queue could fill up and block this thread.
        for helper in HELPERS.iter().take(self.signals.len()) {
            let signals = Arc::clone(&self.signals);
            helper.send(signals).expect("helper threads never exit");
        }
    }
}

/// Threads that each complete every second signal of the slices they receive.
static HELPERS: LazyLock<[SyncSender<Arc<[Signal]>>; 2]> = LazyLock::new(|| {
    [0, 1].map(|first| {
        let (sender, receiver) = sync_channel::<Arc<[Signal]>>(1);
        thread::spawn(move || {
            while let Ok(signals) = receive(&receiver) {
                let share = signals.iter().skip(first).step_by(2);
                share.for_each(Signal::complete);
            }
        });
        sender
    })
});

/// Receives, and spins for a millisecond before it blocks.
///
/// Waking a blocked thread takes longer than the rest of the benchmark, and the time varies with the
/// load of the machine.
fn receive<T>(receiver: &Receiver<T>) -> Result<T, RecvError> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(1) {
        if let Ok(received) = receiver.try_recv() {
            return Ok(received);
        }
        thread::yield_now();
    }
    receiver.recv()
}

/// Every future sleeps for a short time on a paused clock.
#[derive(Debug)]
pub struct Timers;

impl Workload for Timers {
    const NAME: &str = "short timers";

    const TIMED: bool = true;

    type Future = Map<Sleep, fn(()) -> usize>;

    fn prepare(count: usize) -> (Self, Vec<Self::Future>) {
        let mut random = Rng::with_seed(SEED);
        let futures = (0..count).map(|_| {
            let sleep = sleep(Duration::from_millis(random.u64(1..=20)));
            sleep.map((|()| 0) as fn(()) -> usize)
        });
        (Self, futures.collect())
    }

    fn runtime() -> Runtime {
        paused_runtime()
    }

    async fn drive<J: Future>(&mut self, _: &Driver, join: J) -> J::Output {
        join.await
    }
}

fn signals(count: usize) -> Arc<[Signal]> {
    (0..count).map(|_| Signal::default()).collect()
}

fn complete_all(signals: &[Signal]) {
    signals.iter().for_each(Signal::complete);
}

/// Returns the index of the future that is woken again and again: one in the middle.
fn busy_index(count: usize) -> usize {
    count / 2
}
