//! Scheduling points: places before an operation of tokio, where a schedule may yield.
//!
//! Only an instrumented tokio has them; `cargo straggler` builds one. Each of its operations first asks
//! `before_operation`. The budget alone cannot yield there: a free lock is taken before the budget is
//! asked, and `Notify` does not ask it.

use std::cell::Cell;
use std::ptr;
#[cfg(straggler_instrumented)]
use std::task::Poll;
use std::task::{Context, RawWakerVTable, Waker};

#[cfg(straggler_instrumented)]
use tokio::task::coop::{RestoreOnPending, has_budget_remaining};

#[cfg(straggler_instrumented)]
use crate::schedule::{budget, combinator};
#[cfg(straggler_instrumented)]
use crate::trace::waker;

/// Whether this build has scheduling points.
pub(crate) const ARE_PRESENT: bool = cfg!(straggler_instrumented);

/// Where a poll is made to yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before an operation, after this many others.
    Before(usize),
    /// In an operation that finds no budget, after this many others.
    During(usize),
    /// Before each operation.
    Each,
    /// Before each operation that begins without budget.
    OnceSpent,
}

/// Which waker it is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity(*const (), *const RawWakerVTable);

thread_local! {
    /// Where the current poll of a task is made to yield.
    static CUT: Cell<Option<Cut>> = const { Cell::new(None) };

    /// Gives the budget of the current poll back when it is dropped.
    #[cfg(straggler_instrumented)]
    static SPENT: Cell<Option<RestoreOnPending>> = const { Cell::new(None) };

    /// The waker of the innermost future that a schedule polls on this thread.
    static SCHEDULED: Cell<Option<Identity>> = const { Cell::new(None) };
}

/// Polls the future of a task, which yields at `cut`.
pub(crate) fn cut<R>(
    cut: Option<Cut>,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> R,
) -> R {
    struct Restore(Option<Cut>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CUT.set(self.0);
            #[cfg(straggler_instrumented)]
            SPENT.take();
        }
    }

    let _restore = Restore(CUT.replace(cut));
    scheduled(context, poll)
}

/// Polls a future that the schedule has chosen.
///
/// An operation polled with another waker is polled by hand, by a test that looks at the result, and must
/// not yield; unless a combinator made the waker.
pub(crate) fn scheduled<R>(
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> R,
) -> R {
    struct Restore(Option<Identity>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SCHEDULED.set(self.0);
        }
    }

    let identity = Identity::of(context.waker());
    let _restore = Restore(SCHEDULED.replace(Some(identity)));
    poll(context)
}

/// Makes the operations of tokio ask the schedule.
pub(crate) fn install() {
    #[cfg(straggler_instrumented)]
    tokio::__straggler::set_hooks(tokio::__straggler::Hooks {
        before_operation,
        sleeps_until: |deadline| {
            if waker::is_on() {
                let now = tokio::time::Instant::now();
                waker::note_timer(deadline.saturating_duration_since(now));
            }
        },
        outside: crate::schedule::outside::note,
    });
}

/// Decides whether an operation yields before it begins.
#[cfg(straggler_instrumented)]
fn before_operation(context: &mut Context<'_>) -> Poll<()> {
    let waker = context.waker();
    if SCHEDULED.get().is_none() {
        return Poll::Ready(());
    }
    if !is_scheduled(waker) && !combinator::owns(waker) {
        // An operation before may not have asked the budget.
        SPENT.take();
        return Poll::Ready(());
    }
    match CUT.take() {
        Some(Cut::Before(0)) => {
            budget::yield_now(context);
            return Poll::Pending;
        }
        Some(Cut::During(0)) => SPENT.set(budget::exhaust(context)),
        Some(Cut::Before(others)) => CUT.set(Some(Cut::Before(others - 1))),
        Some(Cut::During(others)) => CUT.set(Some(Cut::During(others - 1))),
        Some(cut @ (Cut::Each | Cut::OnceSpent)) => {
            let yields = cut == Cut::Each || !has_budget_remaining();
            if yields {
                // The cut is not set yet: to yield is an operation too.
                budget::yield_now(context);
            }
            CUT.set(Some(cut));
            if yields {
                return Poll::Pending;
            }
        }
        None => {}
    }
    Poll::Ready(())
}

impl Identity {
    fn of(waker: &Waker) -> Self {
        Self(waker.data(), ptr::from_ref(waker.vtable()))
    }
}

/// Returns whether a waker is that of the future that the schedule polls.
#[cfg_attr(not(straggler_instrumented), allow(dead_code, reason = "nothing asks"))]
fn is_scheduled(waker: &Waker) -> bool {
    SCHEDULED.get() == Some(Identity::of(waker))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Wake, Waker};

    use super::{is_scheduled, scheduled};

    struct Ignored;

    impl Wake for Ignored {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn waker_polled_by_hand_is_not_scheduled() {
        assert!(!is_scheduled(Waker::noop()));
        let [outer, inner] = [(); 2].map(|()| Waker::from(Arc::new(Ignored)));
        scheduled(&mut Context::from_waker(&outer), |_| {
            assert!(is_scheduled(&outer));
            assert!(!is_scheduled(&inner));
            scheduled(&mut Context::from_waker(&inner), |_| {
                assert!(is_scheduled(&inner));
                assert!(!is_scheduled(&outer));
            });
            assert!(is_scheduled(&outer));
        });
    }
}
