//! The body of a test, which the check can drop before its runtime.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of a test: a future that is dropped as soon as it has ended or panicked, or when the
/// check gives it up.
///
/// All of these happen inside the runtime, which the future may need in `drop`. The caller boxes the
/// future: it may be large, and the functions of the check must not have copies of it on the stack.
/// A trait object also lets the compiler generate the check once per output type, not once per test.
pub(crate) struct Body<'a, T>(Option<BoxedBody<'a, T>>);

/// What a [`Body`] is made of.
pub(crate) type BoxedBody<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

impl<'a, T> Body<'a, T> {
    pub(crate) fn new(future: BoxedBody<'a, T>) -> Self {
        Self(Some(future))
    }

    /// Drops the future. It must not be polled afterwards.
    pub(crate) fn abandon(&mut self) {
        self.0 = None;
    }
}

impl<T> Future for Body<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let future = self.0.take();
        let mut future = future.expect("a body that ended or was given up is not polled");
        let polled = future.as_mut().poll(context);
        if polled.is_pending() {
            self.0 = Some(future);
        }
        polled
    }
}

impl<T> fmt::Debug for Body<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_alive = &self.0.is_some();
        f.debug_struct("Body")
            .field("is_alive", is_alive)
            .finish_non_exhaustive()
    }
}
