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

use crate::schedule::hand_poll;
#[cfg(straggler_instrumented)]
use crate::schedule::{budget, combinator, draws, tree};
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
    /// The same, but later operations have budget again.
    Within(usize),
    /// Nowhere: gives the budget back before an operation.
    #[cfg_attr(not(straggler_instrumented), allow(dead_code, reason = "nothing asks"))]
    Refill,
    /// Before each operation.
    Each,
    /// Before each operation that begins without budget.
    OnceSpent,
}

/// The waker of a future that a schedule polls.
#[derive(Clone, Copy)]
struct Scheduled {
    waker: Identity,
    clone: Identity,
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

    /// Whether the next operation has asked for its budget already.
    #[cfg(straggler_instrumented)]
    static CHARGED: Cell<bool> = const { Cell::new(false) };

    /// What the innermost poll of a task on this thread has reached.
    #[cfg(straggler_instrumented)]
    static REACHED: Cell<Option<Reached>> = const { Cell::new(None) };

    /// The waker of the innermost future that a schedule polls on this thread.
    static SCHEDULED: Cell<Option<Scheduled>> = const { Cell::new(None) };
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
            {
                SPENT.take();
                // An operation that panicked has not taken it.
                CHARGED.set(false);
            }
        }
    }

    let _restore = Restore(CUT.replace(cut));
    scheduled(context, poll)
}

/// Polls a future that the schedule has chosen.
///
/// An operation polled with another waker is polled by hand, by a test that looks at the result, and must
/// not yield; unless a combinator made the waker, and keeps this one.
pub(crate) fn scheduled<R>(
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> R,
) -> R {
    struct Restore(Option<Scheduled>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SCHEDULED.set(self.0);
            ask_if_needed();
        }
    }

    if !ARE_PRESENT {
        // Nothing asks.
        return hand_poll::count_clones(context, poll);
    }
    // The clone is none of a future that waits.
    let clone = waker::muted(|| Identity::of(&context.waker().clone()));
    let (polled, _) = waker::counting_clones(context.waker(), |context| {
        let waker = Identity::of(context.waker());
        let _restore = Restore(SCHEDULED.replace(Some(Scheduled { waker, clone })));
        ask_if_needed();
        poll(context)
    });
    polled
}

/// What one poll of a task has reached.
#[cfg(straggler_instrumented)]
#[derive(Clone, Copy)]
struct Reached {
    waker: Identity,
    /// When the timer fires, if it was the last operation.
    timer: Option<tokio::time::Instant>,
    /// Whether that timer is about to begin its operation.
    is_beginning: bool,
}

/// Polls the future of a task, and returns when the timer fires that was the last operation of tokio that
/// the poll reached with the task's own waker. Returns `None` in a build that cannot tell.
///
/// The timer may be gone: a `select!` may have dropped it.
#[cfg_attr(not(straggler_instrumented), inline)]
pub(crate) fn last_timer<R>(
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> R,
) -> (R, Option<tokio::time::Instant>) {
    #[cfg(not(straggler_instrumented))]
    let polled = (poll(context), None);
    #[cfg(straggler_instrumented)]
    let polled = {
        struct Restore(Option<Reached>);
        impl Drop for Restore {
            fn drop(&mut self) {
                REACHED.set(self.0);
                ask_if_needed();
            }
        }

        let reached = Reached {
            waker: Identity::of(context.waker()),
            timer: None,
            is_beginning: false,
        };
        let _restore = Restore(REACHED.replace(Some(reached)));
        ask_if_needed();
        let outcome = poll(context);
        (outcome, REACHED.get().and_then(|reached| reached.timer))
    };
    polled
}

/// Makes the operations of this thread call `before_operation` if it has anything to do.
fn ask_if_needed() {
    #[cfg(straggler_instrumented)]
    {
        // Only what follows a timer tells anything.
        let is_after_timer = REACHED.get().is_some_and(|reached| reached.timer.is_some());
        tokio::__straggler::ASKS.set(is_after_timer || SCHEDULED.get().is_some());
    }
}

/// Notes an operation for [`last_timer`].
#[cfg(straggler_instrumented)]
fn note_operation(waker: &Waker) {
    if let Some(mut reached) = REACHED.get() {
        if !reached.is_beginning || reached.waker != Identity::of(waker) {
            reached.timer = None;
        }
        reached.is_beginning = false;
        REACHED.set(Some(reached));
        ask_if_needed();
    }
}

/// Notes that the next operation is a timer, for [`last_timer`].
#[cfg(straggler_instrumented)]
fn note_timer(deadline: tokio::time::Instant) {
    if let Some(mut reached) = REACHED.get() {
        reached.timer = Some(deadline);
        reached.is_beginning = true;
        REACHED.set(Some(reached));
        ask_if_needed();
    }
}

/// Makes the operations of tokio ask the schedule.
pub(crate) fn install() {
    #[cfg(straggler_instrumented)]
    tokio::__straggler::set_hooks(tokio::__straggler::Hooks {
        before_operation,
        sleeps_until: |deadline| {
            note_timer(deadline);
            if waker::is_on() {
                let now = tokio::time::Instant::now();
                waker::note_timer(deadline.saturating_duration_since(now));
            }
        },
        charged: |begins| CHARGED.set(begins),
        received: crate::schedule::cancellation::note_message,
        outside: crate::schedule::outside::note,
        first_branch: draws::first_branch,
        draws_nothing: draws::are_decided,
    });
}

/// Decides whether an operation yields before it begins.
#[cfg(straggler_instrumented)]
fn before_operation(context: &mut Context<'_>) -> Poll<()> {
    let waker = context.waker();
    let is_charged = CHARGED.take();
    note_operation(waker);
    if SCHEDULED.get().is_none() {
        return Poll::Ready(());
    }
    // A combinator that a test polls by hand has the waker of that test.
    let is_of_combinator = || waker::was_cloned() && combinator::owns(waker);
    if !is_scheduled(waker) && !is_of_combinator() {
        // An operation before may not have asked the budget.
        SPENT.take();
        return Poll::Ready(());
    }
    tree::note_operation();
    match CUT.take() {
        Some(Cut::Before(0)) => {
            budget::yield_now(context);
            return Poll::Pending;
        }
        Some(Cut::During(0)) => SPENT.set(budget::exhaust(context)),
        Some(Cut::Within(0)) => {
            SPENT.set(budget::exhaust(context));
            CUT.set(Some(Cut::Refill));
        }
        Some(Cut::Refill) => drop(SPENT.take()),
        Some(Cut::Within(others)) => CUT.set(Some(Cut::Within(others - 1))),
        Some(Cut::Before(others)) => CUT.set(Some(Cut::Before(others - 1))),
        Some(Cut::During(others)) => CUT.set(Some(Cut::During(others - 1))),
        Some(cut @ (Cut::Each | Cut::OnceSpent)) => {
            // The budget that a charged operation spent is its own, which it gets back if it yields here: the next
            // poll would be the same.
            let is_spent = !has_budget_remaining() && !is_charged;
            let yields = cut == Cut::Each || is_spent;
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
    let waker = Identity::of(waker);
    let is_own = |own: Scheduled| own.waker == waker || own.clone == waker;
    SCHEDULED.get().is_some_and(is_own)
}

#[cfg(all(test, straggler_instrumented))]
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
        scheduled(&mut Context::from_waker(&outer), |context| {
            assert!(is_scheduled(context.waker()));
            assert!(is_scheduled(&context.waker().clone()));
            assert!(!is_scheduled(&inner));
            scheduled(&mut Context::from_waker(&inner), |context| {
                assert!(is_scheduled(context.waker()));
                assert!(!is_scheduled(&outer));
            });
            assert!(is_scheduled(context.waker()));
        });
    }

    mod timers {
        use std::pin::pin;
        use std::task::Context;
        use std::time::Duration;

        use futures::stream::{FuturesUnordered, StreamExt};
        use tokio::sync::Notify;
        use tokio::time::{Instant, sleep};

        use crate::schedule::points::{install, last_timer};

        /// Returns after how many seconds the timer fires that a poll reaches last.
        async fn fires_in<F: Future>(future: F) -> Option<u64> {
            install();
            let mut future = pin!(future);
            let polled = |context: &mut Context<'_>| {
                let (outcome, timer) = last_timer(context, |context| future.as_mut().poll(context));
                assert!(outcome.is_pending());
                std::task::Poll::Ready(timer)
            };
            let timer = std::future::poll_fn(polled).await;
            timer.map(|at| (at - Instant::now()).as_secs())
        }

        const LONG: Duration = Duration::from_secs(60);

        #[tokio::test(start_paused = true)]
        async fn timer_is_known() {
            assert_eq!(fires_in(sleep(LONG)).await, Some(60));
            let mut ticks = tokio::time::interval(LONG);
            let second = async {
                ticks.tick().await;
                ticks.tick().await;
            };
            assert_eq!(fires_in(second).await, Some(60));
        }

        #[tokio::test(start_paused = true)]
        async fn operation_after_timer_is_last() {
            let notify = Notify::new();
            let both = async { tokio::join!(biased; sleep(LONG), notify.notified()) };
            assert_eq!(fires_in(both).await, None);
        }

        #[tokio::test(start_paused = true)]
        async fn timer_with_another_waker_is_unknown() {
            let mut sleeps = FuturesUnordered::from_iter([sleep(LONG)]);
            assert_eq!(fires_in(sleeps.next()).await, None);
        }
    }
}
