//! Polls a join by hand, only when it was woken, and completes futures between polls.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

/// Makes the runtime for every workload without timers.
///
/// # Panics
///
/// Panics if the operating system cannot provide a runtime.
#[must_use]
pub fn runtime() -> Runtime {
    Builder::new_current_thread()
        // The driver yields to let spawned tasks run. With this interval it resumes only when all
        // of them are idle, however many there are.
        .event_interval(u32::MAX)
        .build()
        .expect("a runtime without drivers")
}

/// Makes the runtime for timers. Its clock is paused: it advances when nothing else can run.
///
/// # Panics
///
/// Panics if the operating system cannot provide a runtime.
#[must_use]
pub fn paused_runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime with timers")
}

/// The cheapest waker there is: a flag, set by a wake-up and cleared by the next poll.
#[derive(Debug, Default)]
struct WakeFlag(AtomicBool);

impl WakeFlag {
    #[inline]
    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    #[inline]
    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.set();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set();
    }
}

/// Polls a join by hand.
#[derive(Debug)]
pub struct Driver {
    woken: Arc<WakeFlag>,
    waker: Waker,
    /// Whether the join spawns tasks. The runtime has to run those between polls.
    spawns_tasks: bool,
    /// Whether other threads wake the join.
    cross_thread: bool,
}

impl Default for Driver {
    /// Makes a driver for a join that spawns no tasks and is woken on this thread only.
    fn default() -> Self {
        let woken = Arc::new(WakeFlag::default());
        Self {
            waker: Waker::from(Arc::clone(&woken)),
            woken,
            spawns_tasks: false,
            cross_thread: false,
        }
    }
}

impl Driver {
    /// Says whether the join spawns tasks.
    #[must_use]
    pub fn spawns_tasks(self, spawns_tasks: bool) -> Self {
        Self {
            spawns_tasks,
            ..self
        }
    }

    /// Says whether other threads wake the join.
    #[must_use]
    pub fn cross_thread(self, cross_thread: bool) -> Self {
        Self {
            cross_thread,
            ..self
        }
    }

    /// Drives a join until it is ready. Calls `turn` whenever the join waits for a wake-up.
    #[inline]
    pub async fn drive<J: Future>(&self, join: J, mut turn: impl FnMut()) -> J::Output {
        let mut join = pin!(join);
        let mut polled = self.start(join.as_mut()).await;
        loop {
            if let Poll::Ready(output) = polled {
                return output;
            }
            polled = self.turn(join.as_mut(), &mut turn).await;
        }
    }

    /// Polls the join for the first time, then for as long as it is woken.
    #[inline]
    pub async fn start<J: Future>(&self, mut join: Pin<&mut J>) -> Poll<J::Output> {
        self.woken.set();
        let polled = self.poll_while_woken(join.as_mut());
        if polled.is_ready() {
            return polled;
        }
        self.turn(join, || {}).await
    }

    /// Calls `turn`, then polls the join for as long as it is woken.
    #[inline]
    pub async fn turn<J: Future>(
        &self,
        mut join: Pin<&mut J>,
        turn: impl FnOnce(),
    ) -> Poll<J::Output> {
        turn();
        loop {
            self.run_tasks().await;
            let polled = self.poll_while_woken(join.as_mut());
            if polled.is_ready() || !self.woken.is_set() {
                return polled;
            }
        }
    }

    /// Runs the tasks that the join spawned, until all of them are idle.
    #[inline]
    async fn run_tasks(&self) {
        if self.spawns_tasks {
            yield_now().await;
        }
    }

    #[inline]
    fn poll_while_woken<J: Future>(&self, mut join: Pin<&mut J>) -> Poll<J::Output> {
        let mut context = Context::from_waker(&self.waker);
        while self.woken.is_set() {
            self.clear_woken();
            let polled = join.as_mut().poll(&mut context);
            // A join of tasks makes no progress until the runtime has run them.
            if polled.is_ready() || self.spawns_tasks {
                return polled;
            }
        }
        Poll::Pending
    }

    #[inline]
    fn clear_woken(&self) {
        if self.cross_thread {
            // Acquires what happened before the wake-ups that this clears, so that the join sees
            // it.
            self.woken.0.swap(false, Ordering::AcqRel);
        } else {
            // A swap would cost more than many a poll.
            self.woken.0.store(false, Ordering::Relaxed);
        }
    }
}
