//! A run whose decisions are all that the schedule of the body depends on, for
//! [`Explore::exhaustive`](crate::Explore::exhaustive).
//!
//! Drawn runs decide whether a task runs later. Here the run chooses among the tasks that can run, so that each
//! order of them is one path in the tree of decisions.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use rustc_hash::FxHashSet;

use crate::schedule::budget;
use crate::schedule::decisions::Decisions;
use crate::schedule::fairness::Fairness;
use crate::schedule::hand_poll;
use crate::schedule::points::{self, Cut};
use crate::schedule::preemption::{self, Actor, Ended, Preemption};
use crate::schedule::ready::{Found, ReadyTasks};
use crate::schedule::recorder::Recorder;
use crate::schedule::steering::{self, TASKS};
use crate::trace::waker;

/// The state of such a run.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    ready: ReadyTasks,
    pub(crate) fairness: Fairness,
    preemption: Preemption,
    /// Whether the runtime had started threads when the body ended.
    pub(crate) uses_threads: bool,
    /// How many decisions the run had made when it turned out to be the same as another run.
    pub(crate) pruned_at: Option<usize>,
    /// The tasks that the run polled but could not choose among.
    unchosen: FxHashSet<usize>,
    /// Whether a task was polled after the body had ended.
    pub(crate) runs_late: bool,
}

impl Tree {
    /// Chooses a position among the children or tasks that can run. `ready` is not empty.
    pub(crate) fn choose(
        &mut self,
        decisions: &mut Decisions,
        combinator: u32,
        ready: &[usize],
    ) -> usize {
        let candidates = self.fairness.candidates(combinator, ready);
        let picked = decisions.pick((combinator, ready), candidates.len());
        let chosen = candidates.get(picked).copied().unwrap_or_default();
        self.fairness.note(combinator, ready, chosen);
        chosen
    }

    /// Closes the last poll, before something else runs or at the end of the run.
    pub(crate) fn close(&mut self, decisions: &mut Decisions, is_end_of_run: bool) {
        if let Some(closed) = self.preemption.close(is_end_of_run) {
            decisions.set_others(closed.position, closed.others);
            decisions.note_question(closed.course);
            if !closed.is_schedule {
                self.pruned_at.get_or_insert(decisions.len());
            }
        }
    }

    /// Notes a poll of a task after the body has ended. No decision chooses the order of such polls, nor
    /// of the joins inside them.
    pub(crate) fn note_late(&mut self) {
        self.runs_late = true;
    }

    /// Takes the wakers of the tasks that wait to be chosen, since the body has ended.
    pub(crate) fn release(&mut self) -> Vec<Waker> {
        self.ready.release()
    }

    /// Lets a task wait for its turn no longer. Returns whether to ask tokio for a callback.
    pub(crate) fn forget(&mut self, task: usize) -> bool {
        self.ready.remove(task);
        self.ready.needs_callback()
    }

    /// Finds out who is to be woken, in a callback.
    fn next(&mut self, decisions: &mut Decisions) -> Option<Waker> {
        match self.ready.look() {
            Found::Nobody => None,
            Found::Unsettled(waker) => Some(waker),
            Found::Tasks(tasks) => {
                self.close(decisions, false);
                let chosen = self.choose(decisions, TASKS, &tasks);
                Some(self.ready.choose(chosen))
            }
        }
    }
}

/// The waker by which tokio calls back.
struct Callback;

impl Wake for Callback {
    fn wake(self: Arc<Self>) {
        let next = steering::with_tree(Tree::next).flatten();
        if let Some(waker) = next {
            waker.wake();
        }
    }
}

/// Asks tokio for a callback once its queue is empty.
pub(super) fn ask_for_callback() {
    let waker = Waker::from(Arc::new(Callback));
    budget::yield_now(&mut Context::from_waker(&waker));
}

/// Polls a task, or the body as number 0, once it is chosen. Tasks that are not in the queue of the runtime
/// cannot be chosen, and run when tokio polls them.
pub(super) fn poll<T>(
    number: usize,
    is_queued: bool,
    label: impl FnOnce() -> String,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    let record = |context: &mut Context<'_>| {
        // Innermost: operations know the waker by which the actor is polled.
        let poll = |context: &mut Context<'_>| points::scheduled(context, poll);
        let poll = |context: &mut Context<'_>| actor((TASKS, number), context, poll);
        steering::record_poll(|_| Recorder::task(label()), context, poll)
    };
    if !is_queued {
        note_unchosen(number);
        return record(context);
    }
    let enter = |tree: &mut Tree, decisions: &mut Decisions| {
        if !tree.ready.enter(number, context.waker()) {
            return (None, tree.ready.needs_callback());
        }
        let (position, decided) = decisions.cut(number);
        tree.preemption.begin(position, decided);
        (Some(decided), false)
    };
    let entered = steering::with_tree(enter);
    let (decided, needs_callback) = entered.unwrap_or((Some(0), false));
    if needs_callback {
        ask_for_callback();
    }
    let Some(decided) = decided else {
        return Poll::Pending;
    };
    let cut = preemption::cut(decided);
    if let Some(Cut::During(left)) = cut {
        budget::begin_with(left, context);
    }
    let mut end = End { is_pending: false };
    let cut = cut.filter(|_| points::ARE_PRESENT);
    let poll = |context: &mut Context<'_>| points::cut(cut, context, record);
    let polled = if decided == 0 {
        poll(context)
    } else {
        hand_poll::watch(true, context, poll)
    };
    end.is_pending = polled.is_pending();
    polled
}

/// Ends the poll of a task when it is dropped, also if the poll panics.
struct End {
    is_pending: bool,
}

impl Drop for End {
    fn drop(&mut self) {
        let left = budget::left();
        let used = budget::size().unwrap_or_default().saturating_sub(left);
        let needs_callback = steering::with_tree(|tree, _| {
            tree.preemption.end(Ended {
                used,
                is_spent: left == 0,
                is_pending: self.is_pending,
            });
            tree.ready.note_ran();
            tree.ready.needs_callback()
        });
        if needs_callback == Some(true) {
            ask_for_callback();
        }
    }
}

/// Notes a task that runs whenever tokio polls it.
pub(super) fn note_unchosen(task: usize) {
    steering::with_run(|run| {
        if let Some(tree) = &mut run.tree {
            tree.unchosen.insert(task);
            run.unscheduled = run.unscheduled.max(tree.unchosen.len());
        }
    });
}

/// Polls a child, or the future of a task.
pub(crate) fn actor<T>(
    actor: Actor,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    /// `Some` with the clones of its waker, if the poll was pending.
    struct Leave(Option<usize>);
    impl Drop for Leave {
        fn drop(&mut self) {
            steering::with_tree(|tree, _| tree.preemption.leave(self.0));
        }
    }

    let number = steering::with_tree(|tree, _| tree.preemption.enter(actor)).flatten();
    let Some(number) = number else {
        return poll(context);
    };
    let noted = Waker::from(Arc::new(Noted {
        number,
        original: waker::muted(|| context.waker().clone()),
    }));
    let mut leave = Leave(None);
    let (polled, clones) = waker::counting_clones(&noted, poll);
    leave.0 = polled.is_pending().then_some(clones);
    polled
}

/// A waker that notes when it wakes.
struct Noted {
    /// The number of the poll of the task.
    number: usize,
    original: Waker,
}

impl Wake for Noted {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        steering::with_tree(|tree, _| tree.preemption.note_wake(self.number));
        self.original.wake_by_ref();
    }
}

/// Notes an operation of tokio before it begins.
#[cfg(straggler_instrumented)]
pub(super) fn note_operation() {
    let size = budget::size().unwrap_or_default();
    let is_idle = budget::left() == size;
    steering::with_tree(|tree, _| tree.preemption.note_operation(is_idle));
}
