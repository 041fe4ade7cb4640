//! How much one poll of a combinator does.

use std::collections::VecDeque;

use crate::children::Schedule;

/// How many children one poll of a combinator polls at the most. It is as many operations as
/// tokio lets a task do before the task has to yield (`Budget::initial` in tokio's `task::coop`).
const CHILDREN_PER_POLL: usize = 128;

/// Polls the woken children in the order of their wakes, and leaves the executor its share: a
/// turn ends after [`CHILDREN_PER_POLL`] children, or when tokio's cooperative budget is spent.
///
/// Without a budget every tokio operation of the children that follow would be refused, and those
/// would be queued behind the one that spent it, turn after turn.
#[derive(Default)]
pub(crate) struct InWakeOrder {
    polled: usize,
}

impl Schedule for InWakeOrder {
    fn next(&mut self, woken: &mut VecDeque<usize>) -> Option<usize> {
        // The first child is polled in any case: a turn that does nothing would never end.
        if self.polled > 0 && (self.polled == CHILDREN_PER_POLL || !has_budget_remaining()) {
            return None;
        }
        self.polled += 1;
        woken.pop_front()
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
