//! Scheduling points: places before an operation of tokio, where a schedule may yield.
//!
//! Only an instrumented tokio has them; `cargo straggler` builds one. Each of its operations first asks
//! [`before_operation`]. The budget alone cannot yield there: a free lock is taken before the budget is
//! asked, and `Notify` does not ask it.

use std::cell::Cell;
use std::ptr;
#[cfg(straggler_instrumented)]
use std::task::Poll;
use std::task::{Context, RawWakerVTable, Waker};

/// Whether this build has scheduling points.
pub(crate) const ARE_PRESENT: bool = cfg!(straggler_instrumented);

/// Where a poll is made to yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before an operation, after this many others.
    Before(usize),
    /// In an operation that finds no budget, after this many others.
    During(usize),
}

/// Which waker it is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity(*const (), *const RawWakerVTable);

thread_local! {
    /// Where the current poll of a task is made to yield.
    static CUT: Cell<Option<Cut>> = const { Cell::new(None) };

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
        }
    }

    let _restore = Restore(CUT.replace(cut));
    scheduled(context, poll)
}

/// Polls a future that the schedule has chosen.
///
/// An operation polled with another waker is polled by hand, by a test that looks at the result. It must
/// not yield.
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
    tokio::__straggler::set_hook(before_operation);
}

/// Decides whether an operation yields before it begins.
#[cfg(straggler_instrumented)]
fn before_operation(context: &mut Context<'_>) -> Poll<()> {
    let Some(cut) = CUT.get().filter(|_| is_scheduled(context.waker())) else {
        return Poll::Ready(());
    };
    let (later, is_due) = match cut {
        Cut::Before(0) | Cut::During(0) => (None, true),
        Cut::Before(others) => (Some(Cut::Before(others - 1)), false),
        Cut::During(others) => (Some(Cut::During(others - 1)), false),
    };
    CUT.set(later);
    match cut {
        Cut::Before(_) if is_due => {
            crate::schedule::budget::yield_now(context);
            Poll::Pending
        }
        Cut::During(_) if is_due => {
            crate::schedule::budget::to(0, context);
            Poll::Ready(())
        }
        _ => Poll::Ready(()),
    }
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
    use std::task::{Context, Waker};

    use super::{is_scheduled, scheduled};

    #[test]
    fn waker_polled_by_hand_is_not_scheduled() {
        assert!(!is_scheduled(Waker::noop()));
        let (outer, inner) = (tokio_test::task::spawn(()), tokio_test::task::spawn(()));
        let (outer, inner) = (outer.waker(), inner.waker());
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
