//! Finds operations that were polled by hand and found no budget.
//!
//! A test that polls with a waker of its own, as `now_or_never` does, looks at the result of one poll. If the schedule
//! has spent the budget, the operation is pending although its lock is free or its message is there: the test fails,
//! but only because of the schedule. In practice no poll by hand finds a budget of 128 units spent.
//!
//! Tokio does not tell that it refused an operation. But it keeps the waker, to wake it later, in a list that takes no
//! waker twice in a row. So a marker that goes into the list before and after a poll is kept twice only if a waker came
//! in between. Was it one by which the schedule polls? These count their clones. And a combinator with
//! wakers of its own clones the one by which it is polled, since that is another one in each poll.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use tokio::task::coop::has_budget_remaining;

use crate::schedule::discarded::Discarded;
use crate::schedule::{budget, closer_look, points, steering};
use crate::trace::waker;

/// What wakes nothing, and is in tokio's list for its place alone.
struct Marker;

impl Wake for Marker {
    fn wake(self: Arc<Self>) {}
}

/// A poll that may run out of budget.
#[derive(Clone, Copy)]
struct Watched {
    /// How many markers were kept when it began.
    kept: usize,
    /// How many clones of wakers of the schedule were counted.
    clones: usize,
    /// Whether the polls in it count clones anyway.
    is_tree: bool,
    number: usize,
    /// How many futures the schedule has polled in it: the task, and children.
    futures: usize,
}

impl Watched {
    fn with_another(self) -> Self {
        Self {
            futures: self.futures + 1,
            ..self
        }
    }
}

/// At how many polls of a failed run to look closely, at most.
const SUSPECTS: usize = 32;

/// The polls of a run that may run out of budget.
#[derive(Debug, Default)]
pub(crate) struct HandPolls {
    /// How many there were so far.
    count: usize,
    /// In which of them one waker of the schedule or more was kept. Another one may have been.
    pub(crate) suspects: Vec<usize>,
    /// The one to look at more closely.
    pub(crate) looked_at: Option<usize>,
    /// Whether that look has shown an operation that was polled by hand and found no budget.
    pub(crate) is_confirmed: bool,
}

impl HandPolls {
    /// Begins the next poll, and returns its number.
    pub(super) fn begin(&mut self) -> usize {
        self.count += 1;
        self.count
    }

    /// Notes a poll in which something found no budget, perhaps polled by hand.
    pub(super) fn suspect(&mut self, number: usize) {
        if self.suspects.len() < SUSPECTS {
            self.suspects.push(number);
        }
    }
}

thread_local! {
    static MARKER: Arc<Marker> = Arc::new(Marker);

    /// The innermost watched poll on this thread.
    static WATCHED: Cell<Option<Watched>> = const { Cell::new(None) };
}

/// Polls a task with little budget. The run counts as nothing if an operation that is polled by hand finds none.
///
/// With scheduling points none does.
pub(super) fn watch<R>(
    is_tree: bool,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> R,
) -> R {
    struct End(Option<Watched>);
    impl Drop for End {
        fn drop(&mut self) {
            judge();
            let outer = self.0;
            WATCHED.set(outer.map(Watched::with_another));
        }
    }

    if points::ARE_PRESENT {
        return poll(context);
    }
    let (number, is_suspect) = steering::begin_hand_poll();
    if is_suspect {
        let outer = WATCHED.take();
        let polled = closer_look::look(context, poll);
        WATCHED.set(outer);
        return polled;
    }
    let watched = Watched {
        kept: mark(),
        clones: waker::counted_clones(),
        is_tree,
        number,
        futures: 0,
    };
    // Also if the poll panics, as it will if the test asserts what it polled.
    let _end = End(WATCHED.replace(Some(watched)));
    poll(context)
}

/// Polls with a waker of the schedule, and counts its clones if the poll of the task is watched.
pub(super) fn count_clones<R>(
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> R,
) -> R {
    match WATCHED.get() {
        Some(watched) if !watched.is_tree => {
            WATCHED.set(Some(watched.with_another()));
            waker::counting_clones(context.waker(), poll).0
        }
        _ => poll(context),
    }
}

/// Discards the run if the watched poll has polled an operation by hand that found no budget.
pub(super) fn judge() {
    let Some(watched) = WATCHED.get() else {
        return;
    };
    if has_budget_remaining() || mark() == watched.kept {
        return;
    }
    if waker::counted_clones() == watched.clones {
        steering::discard(Discarded::PolledByHand);
    } else if watched.futures == 1 && !watched.is_tree {
        // What tokio keeps may be the waker of the task alone.
        steering::suspect_hand_poll(watched.number);
    }
}

/// Adds a marker to tokio's list, unless it comes last there, and returns how many are kept.
fn mark() -> usize {
    MARKER.with(|marker| {
        let waker = Waker::from(Arc::clone(marker));
        budget::yield_now(&mut Context::from_waker(&waker));
        drop(waker);
        Arc::strong_count(marker)
    })
}
