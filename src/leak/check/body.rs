//! The future of a test, which the check can drop while there is still a runtime around it.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

/// The body of a test: a future that can be dropped where it is pinned.
///
/// One that is given up may need its runtime when it is dropped, as any future of a runtime may. And it
/// may panic or block there, which is the check's to contain.
pub trait TestBody: Future {
    /// Drops the future, which is not polled any more.
    fn abandon(self: Pin<&mut Self>);
}

/// A [`TestBody`] of a future.
#[pin_project]
#[derive(Debug)]
pub struct Body<F>(#[pin] Option<F>);

impl<F: Future> Body<F> {
    /// The body that does what `future` does.
    pub fn new(future: F) -> Self {
        Self(Some(future))
    }
}

impl<F: Future> Future for Body<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.project().0.as_pin_mut();
        future
            .expect("a body that was abandoned is not polled")
            .poll(context)
    }
}

impl<F: Future> TestBody for Body<F> {
    fn abandon(self: Pin<&mut Self>) {
        self.project().0.set(None);
    }
}
