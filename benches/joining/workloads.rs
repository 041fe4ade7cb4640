//! What the joins are given to do.

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

use super::driver::{Driver, paused_runtime, runtime};
use super::signal::{Signal, Waits};

/// How often a chatterer is woken.
pub const WAKES: usize = 1_000;

/// What everything random grows from, so that it is the same for every join.
const SEED: u64 = 7919;

/// Futures of one kind, and what makes them go on.
pub trait Workload: Sized {
    /// The name of its row.
    const NAME: &str;

    /// If one future is woken [`WAKES`] times while the others wait: the number of turns in which
    /// that happens. They are the first ones, and only they are measured.
    const CHATTER: Option<usize> = None;

    /// Whether other threads wake the futures.
    const HAS_THREADS: bool = false;

    /// Whether the futures become ready by themselves, so that none may be made long before they
    /// are joined.
    const AGES: bool = false;

    /// One of the futures. Its output is its index, if it knows it.
    type Future: Future<Output = usize> + Send + 'static;

    /// Makes `count` futures.
    fn prepare(count: usize) -> (Self, Vec<Self::Future>);

    /// Makes the runtime that the futures need.
    #[must_use]
    fn runtime() -> Runtime {
        runtime()
    }

    /// Makes futures go on that wait.
    ///
    /// # Panics
    ///
    /// If all of them were made ready before. The join has missed a wake then.
    fn turn(&mut self) {
        panic!("every future has been woken, and the join waits");
    }

    /// Drives a join of the futures to its end.
    #[inline]
    fn drive<J: Future>(&mut self, driver: &Driver, join: J) -> impl Future<Output = J::Output> {
        driver.drive(join, || self.turn())
    }
}

/// Each is ready when it is polled first.
#[derive(Debug)]
pub struct AllReady;

impl Workload for AllReady {
    const NAME: &str = "all ready";

    type Future = Ready<usize>;

    fn prepare(count: usize) -> (Self, Vec<Self::Future>) {
        (Self, (0..count).map(ready).collect())
    }
}

/// Each wakes itself when it is polled first, and is ready when it is polled again.
#[derive(Debug)]
pub struct EachYields;

impl Workload for EachYields {
    const NAME: &str = "each yields once";

    type Future = YieldsOnce<usize>;

    fn prepare(count: usize) -> (Self, Vec<Self::Future>) {
        (Self, (0..count).map(YieldsOnce::new).collect())
    }
}

/// Wakes itself when it is polled first, and is ready when it is polled again.
#[derive(Debug)]
pub struct YieldsOnce<T> {
    output: T,
    has_yielded: bool,
}

impl<T> YieldsOnce<T> {
    /// Makes one with this output.
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

/// They complete in random order, one between two polls of the join.
#[derive(Debug)]
pub struct Random {
    signals: Arc<[Signal]>,
    /// Of those that have not completed, the next one last.
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
        let next = self.order.pop().expect("the join waits for one that waits");
        self.signals[next].complete();
    }
}

/// All complete between two polls of the join.
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
        assert!(!self.is_over, "every future has been woken");
        self.is_over = true;
        complete_all(&self.signals);
    }
}

/// One wakes itself again and again while the others wait.
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
            let is_chatterer = index == chatterer(count);
            WakesItself {
                waits,
                has_begun: false,
                // The first wake is that of the turn.
                wakes_left: if is_chatterer { WAKES - 1 } else { 0 },
            }
        });
        let futures = futures.collect();
        let turns = 0..2;
        (Self { signals, turns }, futures)
    }

    fn turn(&mut self) {
        match self.turns.next().expect("every future has been woken") {
            0 => self.signals[chatterer(self.signals.len())].wake(),
            _ => complete_all(&self.signals),
        }
    }
}

/// Waits to be woken, then wakes itself a number of times, then waits to complete.
#[derive(Debug)]
pub struct WakesItself {
    waits: Waits,
    has_begun: bool,
    wakes_left: usize,
}

impl Future for WakesItself {
    type Output = usize;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<usize> {
        if self.has_begun && self.wakes_left > 0 {
            self.wakes_left -= 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.has_begun = true;
        Pin::new(&mut self.waits).poll(context)
    }
}

/// One is woken before each poll of the join while the others wait.
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
        match self.turns.next().expect("every future has been woken") {
            WAKES => complete_all(&self.signals),
            _ => self.signals[chatterer(self.signals.len())].wake(),
        }
    }
}

/// Two threads complete them while the join is polled whenever it is woken.
#[derive(Debug)]
pub struct Threads {
    signals: Arc<[Signal]>,
    has_begun: bool,
}

impl Workload for Threads {
    const NAME: &str = "wakes from 2 threads";

    const HAS_THREADS: bool = true;

    type Future = Waits;

    fn prepare(count: usize) -> (Self, Vec<Self::Future>) {
        LazyLock::force(&HELPERS);
        let signals = signals(count);
        let futures = Waits::all(&signals).collect();
        let has_begun = false;
        (Self { signals, has_begun }, futures)
    }

    fn turn(&mut self) {
        if self.has_begun {
            return thread::yield_now();
        }
        self.has_begun = true;
        // One that has no share might fall behind, and block this thread in the end.
        for helper in HELPERS.iter().take(self.signals.len()) {
            let signals = Arc::clone(&self.signals);
            helper.send(signals).expect("helpers live for ever");
        }
    }
}

/// Threads, each of which completes its share of the futures that it is sent.
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

/// Receives without going to sleep, unless nothing was sent for a while: to wake a thread that
/// sleeps takes longer than all the rest, and how long depends on what else the machine does.
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

/// Each sleeps for a short time, on a clock that does not wait.
#[derive(Debug)]
pub struct Timers;

impl Workload for Timers {
    const NAME: &str = "short timers";

    const AGES: bool = true;

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

/// Which of the futures is woken again and again: one in the midst of them.
fn chatterer(count: usize) -> usize {
    count / 2
}
