//! Futures and wakers that a test controls step by step, and logs of what happened to them.

#![allow(
    dead_code,
    reason = "each test file compiles this module for itself and uses a part of it"
)]

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// A future that is pending until it is opened. Its clones share one state: a test awaits one and
/// keeps another.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<GateState>>);

#[derive(Default)]
struct GateState {
    open: bool,
    polls: usize,
    waker: Option<Waker>,
}

impl Gate {
    pub(crate) fn many(count: usize) -> Vec<Self> {
        (0..count).map(|_| Self::default()).collect()
    }

    /// Makes the future ready and wakes it.
    pub(crate) fn open(&self) {
        self.lock().open = true;
        self.wake();
    }

    /// Wakes the future, which stays pending.
    pub(crate) fn wake(&self) {
        let waker = self.lock().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The waker of the last poll.
    pub(crate) fn waker(&self) -> Waker {
        self.lock().waker.clone().expect("the gate was polled")
    }

    pub(crate) fn polls(&self) -> usize {
        self.lock().polls
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.0.lock().unwrap()
    }
}

impl Future for Gate {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        state.polls += 1;
        state.waker = Some(context.waker().clone());
        if state.open {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Events in order. Its clones share one log.
#[derive(Debug)]
pub(crate) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Log<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn push(&self, event: T) {
        self.0.lock().unwrap().push(event);
    }

    /// Takes the events logged so far.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A value that logs its drop, and then panics with `drop of {id}` if `panics_if` says so.
#[derive(Debug)]
pub(crate) struct Tracked {
    id: usize,
    drops: Log<usize>,
    panics: bool,
}

impl Tracked {
    pub(crate) fn new(id: usize, drops: &Log<usize>) -> Self {
        Self {
            id,
            drops: drops.clone(),
            panics: false,
        }
    }

    pub(crate) fn id(&self) -> usize {
        self.id
    }

    pub(crate) fn panics_if(mut self, panics: bool) -> Self {
        self.panics = panics;
        self
    }

    /// Wraps `inner` in a future that owns this value, which is dropped with the future rather than
    /// by its last poll.
    pub(crate) fn owned_by<F: Future>(self, inner: F) -> Owner<F> {
        Owner {
            inner: Box::pin(inner),
            _owned: self,
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.drops.push(self.id);
        assert!(!self.panics, "drop of {}", self.id);
    }
}

/// Future for [`Tracked::owned_by`].
pub(crate) struct Owner<F> {
    inner: Pin<Box<F>>,
    _owned: Tracked,
}

impl<F: Future> Future for Owner<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.inner.as_mut().poll(context)
    }
}

/// A waker that counts its wake-ups.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once with `waker`.
pub(crate) fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Runs a body in a current-thread and in a multi-thread runtime.
pub(crate) fn in_each_flavor<F: Future>(mut body: impl FnMut() -> F) {
    for mut builder in [
        tokio::runtime::Builder::new_current_thread(),
        tokio::runtime::Builder::new_multi_thread(),
    ] {
        let runtime = builder.worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(body());
    }
}

/// Yields to other tasks until the condition holds. Panics after a minute.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the condition never holds"
        );
        tokio::task::yield_now().await;
    }
}

/// The message of a panic.
pub(crate) fn message<T>(caught: std::thread::Result<T>) -> String {
    let Err(payload) = caught else {
        panic!("expected a panic");
    };
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().expect("a message")).to_owned(),
    }
}
