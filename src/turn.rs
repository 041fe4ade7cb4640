//! How much one poll of a combinator does.

use crate::children::Schedule;

/// How many children one poll of a combinator polls at the most. It is as many operations as
/// tokio lets a task do before the task has to yield (`Budget::initial` in tokio's `task::coop`).
const CHILDREN_PER_POLL: usize = 128;

/// Leaves the executor its share: a turn ends after [`CHILDREN_PER_POLL`] children, or when tokio's
/// cooperative budget is spent.
///
/// Without a budget every tokio operation of the children that follow would be refused, and those
/// would be queued behind the one that spent it, turn after turn.
#[derive(Default)]
pub(crate) struct FairShare {
    polled: usize,
    is_spent: bool,
}

impl Schedule for FairShare {
    #[inline]
    fn goes_on(&self) -> bool {
        self.polled < CHILDREN_PER_POLL && !self.is_spent
    }

    #[inline]
    fn polled(&mut self, has_ended: bool) {
        self.polled += 1;
        // One that has ended may have spent the budget too. The next one is refused then, once.
        self.is_spent = !has_ended && !has_budget_remaining();
    }
}

#[cfg(feature = "tokio")]
fn has_budget_remaining() -> bool {
    tokio::task::coop::has_budget_remaining()
}

#[cfg(not(feature = "tokio"))]
fn has_budget_remaining() -> bool {
    true
}
