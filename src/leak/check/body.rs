//! The body of a test, which the check can drop before its runtime.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

/// The body of a test: a future that can be dropped while it is pinned.
///
/// The check drops a body that it gives up inside the runtime, which the future may need in
/// `drop`, and contains a panic of that drop.
pub trait TestBody: Future {
    /// Drops the future. It must not be polled afterwards.
    fn abandon(self: Pin<&mut Self>);
}

/// A [`TestBody`] that wraps a future.
#[pin_project]
#[derive(Debug)]
pub struct Body<F>(#[pin] Option<F>);

impl<F: Future> Body<F> {
    /// Wraps `future`.
    pub fn new(future: F) -> Self {
        Self(Some(future))
    }
}

impl<F: Future> Future for Body<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.project().0.as_pin_mut();
        future
            .expect("an abandoned body is not polled")
            .poll(context)
    }
}

impl<F: Future> TestBody for Body<F> {
    fn abandon(self: Pin<&mut Self>) {
        self.project().0.set(None);
    }
}
