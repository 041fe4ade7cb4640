//! tokio's cooperative budget as a lever: a task with little of it left has to yield at the next
//! operation of tokio's, as it may at any time.
//!
//! Each poll of a task begins with 128 units, of which each operation that can go on takes one
//! (`Budget::initial` in tokio's `task::coop`). At zero the operation returns `Pending` and has its
//! task woken after a turn for others. An acquisition of a lock takes its permit first and asks for
//! budget then: at zero it yields while it holds the lock.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use tokio::runtime::Builder;
use tokio::sync::Mutex;
use tokio::task::coop::{has_budget_remaining, poll_proceed};

/// More units than a budget can have. One without an end cannot be spent.
const ENDLESS: usize = 10_000;

/// Spends the budget of the task that is being polled until `left` units remain. It has to be whole.
pub(crate) fn to(left: usize, context: &mut Context<'_>) {
    let size = size().unwrap_or_default();
    for _ in left..size {
        if !spend(context) {
            return;
        }
    }
}

/// Spends one unit, or returns `false` if there is none.
fn spend(context: &mut Context<'_>) -> bool {
    // Without budget it would have the task woken.
    if !has_budget_remaining() {
        return false;
    }
    if let Poll::Ready(unit) = poll_proceed(context) {
        unit.made_progress();
    }
    true
}

/// How many units the budget of a poll has, found out once in a process.
///
/// # Errors
///
/// If the budget does not do what exploring rests on: then tokio has changed.
pub(crate) fn size() -> Result<usize, String> {
    static SIZE: OnceLock<Result<usize, String>> = OnceLock::new();
    SIZE.get_or_init(probe).clone()
}

fn probe() -> Result<usize, String> {
    let runtime = Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| format!("a runtime could not be made: {error}"))?;
    let mutex = Mutex::new(());
    let mut locks = pin!(mutex.lock());
    let (size, yields) = runtime.block_on(poll_fn(|context| {
        let size = (0..ENDLESS).take_while(|_| spend(context)).count();
        let yields = locks.as_mut().poll(context).is_pending();
        Poll::Ready((size, yields))
    }));
    if size == 0 || size == ENDLESS {
        return Err("a poll has no budget, or one without an end".to_owned());
    }
    if !yields || mutex.try_lock().is_ok() {
        return Err("a lock is not acquired as expected when the budget is spent".to_owned());
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::{ENDLESS, size, spend, to};

    #[test]
    fn so_much_is_left_as_was_asked_for() {
        size().unwrap();
        for left in [0, 1, 3] {
            let spent = tokio_test::block_on(poll_fn(|context| {
                to(left, context);
                Poll::Ready((0..ENDLESS).take_while(|_| spend(context)).count())
            }));
            assert_eq!(spent, left);
        }
    }

    #[test]
    fn the_budget_of_this_tokio_is_known() {
        assert_eq!(size(), Ok(128));
    }
}
