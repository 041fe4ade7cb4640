//! A checkpoint before an `.await`, which `#[straggler::checkpoints]` adds.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::schedule::{checkpoint, steering};

/// Puts a checkpoint before an `.await`.
///
/// Every type has the method, not only futures. So the call takes the value as it is, as `.await` does, and not a
/// reference to it that happens to be a future.
pub trait BeforeAwait: Sized {
    /// Uses the import of the trait.
    const IS_IMPORTED: () = ();

    /// Wraps what is about to be awaited.
    fn __straggler_checkpoint(self) -> Checkpointed<<Self as IntoFuture>::IntoFuture>
    where
        Self: IntoFuture;
}

impl<T> BeforeAwait for T {
    #[inline]
    fn __straggler_checkpoint(self) -> Checkpointed<<Self as IntoFuture>::IntoFuture>
    where
        Self: IntoFuture,
    {
        Checkpointed {
            future: self.into_future(),
            is_passed: false,
        }
    }
}

/// A future that is first polled once its checkpoint is passed.
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Checkpointed<F> {
    #[pin]
    future: F,
    is_passed: bool,
}

impl<F: Future> Future for Checkpointed<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if !*this.is_passed {
            *this.is_passed = true;
            ready!(checkpoint::yields(context, steering::stops_before_await));
        }
        this.future.poll(context)
    }
}
