//! An explicit yield point for [`Explore`](crate::Explore).

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::schedule::{cancellation, steering};

/// Marks a point where a run of [`Explore`](crate::Explore) may yield to other children and tasks.
///
/// tokio's own operations (locks, channels, timers, joins and so on) are yield points already. Add a
/// checkpoint between two steps of a race without such an operation, or around a future from another
/// crate. Each checkpoint is one more chance to expose a bug. The schedule of a failing run shows
/// `name`.
///
/// In an operation that a run [cancels](crate::Explore::cancel), a checkpoint always yields: it is one more
/// place. Outside a run of `Explore` it is ready at once, and costs next to nothing.
///
/// # Cancel safety
///
/// This function is cancel safe: its only effect is to yield.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use straggler::{Explore, settle_all};
///
/// let found = Explore::new().find(|| async {
///     let total = Cell::new(0);
///     let add = || async {
///         let read = total.get();
///         straggler::checkpoint("between read and write").await;
///         total.set(read + 1);
///     };
///     let _ = settle_all([add(), add()]).await;
///     assert_eq!(total.get(), 2);
/// });
/// let schedule = found.unwrap_err().schedule().to_string();
/// assert!(schedule.contains("child #0 yields at the checkpoint `between read and write`"));
/// ```
pub fn checkpoint(name: &'static str) -> Checkpoint {
    Checkpoint {
        name,
        is_passed: false,
    }
}

/// Future for the [`checkpoint`] function.
///
/// # Cancel safety
///
/// Cancel safe: its only effect is to yield.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Checkpoint {
    name: &'static str,
    is_passed: bool,
}

impl Future for Checkpoint {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.is_passed {
            return Poll::Ready(());
        }
        // At most one yield per checkpoint, so that a poll loop makes progress.
        self.is_passed = true;
        let name = self.name;
        yields(context, || steering::stops_at(name))
    }
}

/// Yields at a checkpoint, if an operation is polled that the run cancels at places, or if the schedule `stops`
/// there.
pub(super) fn yields(context: &Context<'_>, stops: impl FnOnce() -> bool) -> Poll<()> {
    if cancellation::is_in_operation() || steering::is_on() && stops() {
        context.waker().wake_by_ref();
        Poll::Pending
    } else {
        Poll::Ready(())
    }
}
