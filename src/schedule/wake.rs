//! A waker that tells the recorder whom it wakes.

use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::schedule::recorder::Actor;
use crate::schedule::steering;

/// Returns a waker for a recorded poll of `actor` that wakes `original`.
pub(super) fn recorded(actor: &Arc<Actor>, original: &Waker) -> Waker {
    Waker::from(Arc::new(Recorded {
        actor: Arc::clone(actor),
        original: original.clone(),
    }))
}

struct Recorded {
    actor: Arc<Actor>,
    original: Waker,
}

impl Wake for Recorded {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The waker of a child also wakes the parent, which is not worth a record of its own.
        let _inner_ignored = steering::record_wake(&self.actor);
        self.original.wake_by_ref();
    }
}
