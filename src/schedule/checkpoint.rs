//! A place of one's own where a schedule may yield.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::schedule::steering;

/// Marks a place where a schedule of [`Explore`](crate::Explore) may let others go first.
///
/// tokio's own operations (locks, channels, timers, joins of tasks and so on) are such places already.
/// Code that awaits none of them between two steps of a race, or that uses futures of other crates, can
/// be given more: each is another chance for a bug to show. Outside of a run of `Explore` it is ready at
/// once and costs a look at an atomic. `name` stands in the schedule of a failing run.
///
/// # Cancel safety
///
/// Cancel safe: it has no effect but to yield.
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
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Checkpoint {
    name: &'static str,
    is_passed: bool,
}

impl Future for Checkpoint {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.is_passed || !steering::is_on() {
            return Poll::Ready(());
        }
        self.is_passed = true;
        if !steering::stops_at(self.name) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
