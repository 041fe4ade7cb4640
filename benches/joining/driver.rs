//! Who drives a join: polls it when it was woken, and makes things happen between its polls.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

use super::joins::Join;
use super::workloads::Workload;

/// Makes the runtime in which everything but timers is driven.
///
/// # Panics
///
/// If the system has no room for a runtime.
#[must_use]
pub fn runtime() -> Runtime {
    Builder::new_current_thread()
        // Who yields waits until there is no task to run, however many there are.
        .event_interval(u32::MAX)
        .build()
        .expect("a runtime without drivers")
}

/// Makes the runtime in which timers are driven: its clock advances when nothing else can run.
///
/// # Panics
///
/// If the system has no room for a runtime.
#[must_use]
pub fn paused_runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime with timers")
}

/// Rings from when the join is woken until it is polled. It is the cheapest waker there is.
#[derive(Debug, Default)]
struct Alarm(AtomicBool);

impl Alarm {
    #[inline]
    fn ring(&self) {
        self.0.store(true, Ordering::Release);
    }

    #[inline]
    fn rings(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

/// Polls a join by hand.
#[derive(Debug)]
pub struct Driver {
    alarm: Arc<Alarm>,
    waker: Waker,
    /// Whether the join spawns tasks, which a runtime has to run.
    has_tasks: bool,
    /// Whether wakes come from other threads too.
    has_threads: bool,
}

impl Default for Driver {
    /// A driver of joins that spawn no tasks, and are woken on this thread.
    fn default() -> Self {
        let alarm = Arc::new(Alarm::default());
        Self {
            waker: Waker::from(Arc::clone(&alarm)),
            alarm,
            has_tasks: false,
            has_threads: false,
        }
    }
}

impl Driver {
    /// Makes a driver of such joins of such futures.
    #[must_use]
    pub fn of<W: Workload, J: Join>() -> Self {
        Self {
            has_tasks: J::SPAWNS,
            has_threads: W::HAS_THREADS,
            ..Self::default()
        }
    }

    /// Polls the join until it waits for a wake, then makes `turn`s until it is ready.
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

    /// Polls the join for the first time, and then as long as it is woken.
    #[inline]
    pub async fn start<J: Future>(&self, mut join: Pin<&mut J>) -> Poll<J::Output> {
        self.alarm.ring();
        let polled = self.poll_while_woken(join.as_mut());
        if polled.is_ready() {
            return polled;
        }
        self.turn(join, || {}).await
    }

    /// Makes something happen, and polls the join if it is woken thereby, and as long as it is.
    #[inline]
    pub async fn turn<J: Future>(
        &self,
        mut join: Pin<&mut J>,
        turn: impl FnOnce(),
    ) -> Poll<J::Output> {
        turn();
        loop {
            self.let_tasks_run().await;
            let polled = self.poll_while_woken(join.as_mut());
            if polled.is_ready() || !self.alarm.rings() {
                return polled;
            }
        }
    }

    /// Runs the tasks that the join has spawned, until all of them wait.
    #[inline]
    async fn let_tasks_run(&self) {
        if self.has_tasks {
            yield_now().await;
        }
    }

    #[inline]
    fn poll_while_woken<J: Future>(&self, mut join: Pin<&mut J>) -> Poll<J::Output> {
        let mut context = Context::from_waker(&self.waker);
        while self.alarm.rings() {
            self.stop_alarm();
            let polled = join.as_mut().poll(&mut context);
            // A join of tasks that has more to do wants its runtime to have a turn before.
            if polled.is_ready() || self.has_tasks {
                return polled;
            }
        }
        Poll::Pending
    }

    #[inline]
    fn stop_alarm(&self) {
        if self.has_threads {
            // So that the join sees what happened before whatever wake this hides.
            self.alarm.0.swap(false, Ordering::AcqRel);
        } else {
            // A swap would cost more than many a join does.
            self.alarm.0.store(false, Ordering::Relaxed);
        }
    }
}
