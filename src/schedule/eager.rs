//! Polls a task once inside its spawn, as another thread of the runtime may.
//!
//! On one thread a spawned task runs only once its spawner has yielded. A runtime with several threads may run it
//! before, so [`Explore::eager_spawns`](crate::Explore::eager_spawns) tries that order too. Nothing in tokio polls a
//! task there: straggler polls it before tokio has it.
//!
//! That poll is nested in the poll of the spawner: it has the spawner's budget, and tokio takes it for the spawner.

use std::cell::Cell;
use std::fmt;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::contain::contain;
use crate::mutex::lock;
use crate::panic::Panic;
use crate::schedule::discarded::Discarded;
use crate::schedule::{cancellation, steering};

/// How many spawns may be nested: a chain of tasks that spawn their successors must not overflow the stack.
const DEEPEST: usize = 16;

thread_local! {
    /// How many polls inside spawns this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// When the tasks of a run begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spawns {
    /// After their spawner has yielded.
    Lazy,
    /// Perhaps inside their spawns.
    Eager,
}

/// A task that has been polled inside its spawn.
pub(crate) struct Begun<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    wake_ups: Arc<WakeUps>,
    /// The outcome of that poll, if the task has ended in it.
    outcome: Option<Result<T, Panic>>,
}

impl<T> fmt::Debug for Begun<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun")
            .field("wake_ups", &self.wake_ups)
            .finish_non_exhaustive()
    }
}

/// Polls a task, unless the run decides that its spawner continues first. Returns the task.
///
/// # Errors
///
/// The task, if it has not been polled.
pub(crate) fn begin<F>(future: F, label: impl FnOnce() -> String) -> Result<Begun<F::Output>, F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    if DEPTH.get() == DEEPEST || !steering::begins_in_spawn(label) {
        return Err(future);
    }
    let mut future: Pin<Box<dyn Future<Output = F::Output> + Send>> = Box::pin(future);
    let wake_ups = Arc::<WakeUps>::default();
    let waker = Waker::from(Arc::clone(&wake_ups));
    // The panic is the task's own: its handle has it, and the spawner continues.
    let poll = || in_spawn(|| future.as_mut().poll(&mut Context::from_waker(&waker)));
    // The operation that spawns it, if there is one, does not await it.
    let polled = contain(|| cancellation::outside(poll));
    let outcome = match polled {
        Ok(Poll::Pending) => None,
        Ok(Poll::Ready(output)) => Some(Ok(output)),
        Err(panic) => Some(Err(panic)),
    };
    Ok(Begun {
        future,
        wake_ups,
        outcome,
    })
}

fn in_spawn<R>(poll: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }

    DEPTH.set(DEPTH.get() + 1);
    let _leave = Leave;
    poll()
}

/// Returns whether this thread polls a task inside its spawn. Then tokio takes it for its spawner.
pub(crate) fn is_in_spawn() -> bool {
    DEPTH.get() > 0
}

// The output is never pinned.
impl<T> Unpin for Begun<T> {}

impl<T> Future for Begun<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if let Some(outcome) = self.outcome.take() {
            // Its record has the panic already.
            let outcome = outcome.unwrap_or_else(|panic| resume_unwind(panic.into_payload()));
            return Poll::Ready(outcome);
        }
        // The first poll of the runtime comes whether or not the task has been woken.
        if !self.wake_ups.forward_to(context.waker()) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(&self.wake_ups));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl<T> Drop for Begun<T> {
    fn drop(&mut self) {
        // Whoever aborts a task that has ended gets its output. Tokio cannot know that it has ended.
        // After the body nothing looks at it any more.
        if self.outcome.is_some() && steering::is_on() {
            steering::discard(Discarded::LostOutput);
        }
    }
}

/// The wake-ups of a task, from before the runtime has it.
#[derive(Debug, Default)]
struct WakeUps(Mutex<Receiver>);

#[derive(Debug)]
enum Receiver {
    /// The runtime has not polled the task yet.
    None {
        is_woken: bool,
    },
    Runtime(Waker),
}

impl Default for Receiver {
    fn default() -> Self {
        Self::None { is_woken: false }
    }
}

impl WakeUps {
    /// Forwards wake-ups to the runtime from its first poll on. Returns whether the task is to be polled.
    fn forward_to(&self, runtime: &Waker) -> bool {
        let mut receiver = lock(&self.0);
        match *receiver {
            Receiver::None { is_woken } => {
                *receiver = Receiver::Runtime(runtime.clone());
                is_woken
            }
            // Tokio polls a task with the same waker every time.
            Receiver::Runtime(_) => true,
        }
    }
}

impl Wake for WakeUps {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waker = match &mut *lock(&self.0) {
            Receiver::None { is_woken } => {
                *is_woken = true;
                return;
            }
            Receiver::Runtime(waker) => waker.clone(),
        };
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::{Wake, Waker};

    use super::{DEEPEST, DEPTH, Spawns, WakeUps, begin};
    use crate::schedule::decisions::Decisions;
    use crate::schedule::seed::Kind;
    use crate::schedule::steering::{Run, steer};

    /// Spawns a chain of tasks, each the successor of the one before, and notes how deep their polls are nested.
    fn chain(left: usize, deepest: &Arc<AtomicUsize>) {
        deepest.fetch_max(DEPTH.get(), Relaxed);
        if left > 0 {
            let deepest = Arc::clone(deepest);
            drop(begin(async move { chain(left - 1, &deepest) }, String::new));
        }
    }

    #[test]
    fn nested_spawns_are_limited() {
        let all = (0..100).map(|decision| (decision, 1)).collect();
        let mut run = Run::new(Decisions::of(&Kind::Changes(all)).unwrap(), false);
        run.spawns = Spawns::Eager;
        let deepest = Arc::default();
        steer(run, || chain(100, &deepest));
        assert_eq!(deepest.load(Relaxed), DEEPEST);
    }

    #[test]
    fn wake_up_before_the_runtime_has_the_task_is_kept() {
        let wake_ups = Arc::<WakeUps>::default();
        wake_ups.wake_by_ref();
        assert!(wake_ups.forward_to(Waker::noop()));
    }

    #[test]
    fn task_is_not_polled_without_wake_up() {
        let wake_ups = Arc::<WakeUps>::default();
        assert!(!wake_ups.forward_to(Waker::noop()));
        // Later the runtime polls it only if it was woken.
        assert!(wake_ups.forward_to(Waker::noop()));
    }
}
