//! Looks closer at one poll that ran out of budget, in a replay of its run.
//!
//! If an operation that is polled by hand finds no budget, and then one of the test itself, tokio keeps two wakers.
//! [`hand_poll`](super::hand_poll) sees that the second one is the schedule's, and cannot see the first. Here the waker
//! of the schedule is in tokio's list before the poll, as the last one. As the list takes no waker twice in a row, an
//! operation polled with it adds nothing, unless another waker came before. So the waker is woken twice then.
//!
//! The task is woken once more than tokio would. So no run that counts does this, and nothing after the poll does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Wake, Waker};

use tokio::task::coop::has_budget_remaining;

use crate::schedule::{budget, steering};

/// The waker of the poll.
struct Own {
    original: Waker,
    /// How often it was woken since tokio began with what it kept during the poll.
    wakes: AtomicUsize,
}

/// Until [`Begins`] is woken.
const NEVER: usize = usize::MAX / 2;

/// Kept after all of the poll, and so woken first.
struct Begins(Arc<Own>);

/// Kept before, and so woken last.
struct Ends(Arc<Own>);

impl Wake for Own {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wakes.fetch_add(1, Relaxed);
        self.original.wake_by_ref();
    }
}

impl Wake for Begins {
    fn wake(self: Arc<Self>) {
        self.0.wakes.store(0, Relaxed);
    }
}

impl Wake for Ends {
    fn wake(self: Arc<Self>) {
        if (2..NEVER).contains(&self.0.wakes.load(Relaxed)) {
            steering::confirm_hand_poll();
        }
    }
}

/// Polls a task, and confirms that an operation was polled by hand in it and found no budget, if that is so.
pub(super) fn look<R>(context: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> R) -> R {
    let own = Arc::new(Own {
        original: context.waker().clone(),
        wakes: AtomicUsize::new(NEVER),
    });
    let waker = Waker::from(Arc::clone(&own));
    keep(&Waker::from(Arc::new(Ends(Arc::clone(&own)))));
    keep(&waker);
    let before = Arc::strong_count(&own);
    let polled = poll(&mut Context::from_waker(&waker));
    let after = Arc::strong_count(&own);
    keep(&waker);
    let is_last = Arc::strong_count(&own) == after;
    // The clone is in tokio's list, if it has two. Else it is what waits, or a combinator with wakers of its own has
    // it, which wake this one in turn.
    if is_last && after == before + 1 && !has_budget_remaining() {
        keep(&Waker::from(Arc::new(Begins(own))));
    }
    polled
}

/// Adds a waker to tokio's list, unless it comes last there.
fn keep(waker: &Waker) {
    budget::yield_now(&mut Context::from_waker(waker));
}
