//! Records the steps of a run while it runs.
//!
//! [`Schedule`](crate::explore::Schedule) turns the records into text once the run has ended.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::schedule::timer_race::Advance;
use crate::trace::waker::Trace;

/// How many steps the recorder keeps from the start and from the end of a run. A run that hangs makes
/// thousands.
pub(crate) const FIRST: usize = 200;
const LAST: usize = 50;

/// The label of the body.
pub(crate) const BODY: &str = "the body";

/// The label of the first operation in a run that cancels at places.
pub(crate) const OPERATION: &str = "the operation";

/// The steps recorded so far.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    first: Vec<Recorded>,
    last: VecDeque<Recorded>,
    /// All steps, kept or not.
    count: usize,
    /// The actor whose poll is running.
    polled: Option<Arc<Actor>>,
    /// The labels of the tasks that have ended.
    ended: FxHashSet<String>,
    /// Whom the running polls have woken, each with the actor that did.
    wakes: Vec<(Arc<Actor>, Arc<Actor>)>,
    /// Whether a recorded waker is at work.
    is_waking: bool,
    /// Whether a poll panicked when its budget was spent.
    pub(super) panicked_without_budget: bool,
}

/// The child, task or body that made a step.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Actor {
    pub(super) label: String,
    /// For a child: the number of its combinator, and the actor that polls the combinator. `None` for
    /// a task and the body.
    pub(super) parent: Option<(u32, Option<Arc<Actor>>)>,
}

/// One recorded step.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(super) actor: Arc<Actor>,
    pub(super) action: Action,
    /// Whom the actor woke in this step.
    pub(super) wakes: Vec<Arc<Actor>>,
}

/// What an actor did in one step.
#[derive(Debug)]
pub(crate) enum Action {
    /// It was ready to run, but Straggler let others run first, for this many turns.
    RunsLater(usize),
    /// Straggler held back all others, and it too, until the clock advanced. Now it runs first.
    ClockAdvanced(Advance),
    /// It is polled inside its spawn.
    BeginsInSpawn,
    /// Its `select!` polls the branch with this index first.
    #[cfg_attr(
        not(straggler_instrumented),
        allow(dead_code, reason = "tokio draws it")
    )]
    SelectsFrom(u32),
    /// It is polled with budget for this many operations. The poll itself is not recorded.
    #[cfg_attr(not(tokio_unstable), allow(dead_code, reason = "there are no hooks"))]
    HasBudget(usize),
    /// It was dropped before it completed.
    IsCancelled,
    /// It dropped its operation before that was done, or before it saw the output.
    Cancels(CancelledAt),
    /// Its poll returned `Pending`: it waits for something, or it yielded.
    Waits(Trace),
    /// Its poll found no child of its combinators ready.
    WaitsForChildren,
    /// Straggler made it yield at this checkpoint.
    StopsAt(&'static str),
    Ends,
    Panics,
}

/// How far a cancelled operation was.
#[derive(Clone, Debug)]
pub(crate) enum CancelledAt {
    /// It was never polled.
    Start,
    /// It was not polled again since an earlier step.
    LastStep,
    /// Here, if the run is recorded.
    Suspension(Trace),
    /// It was done.
    End,
}

impl Recorder {
    pub(crate) fn push(&mut self, actor: &Arc<Actor>, action: Action) {
        let is_end = matches!(action, Action::Ends | Action::IsCancelled | Action::Panics);
        if is_end && actor.parent.is_none() {
            self.ended.insert(actor.label.clone());
        }
        self.count += 1;
        let wakes = self.take_wakes(actor);
        let actor = Arc::clone(actor);
        let recorded = Recorded {
            actor,
            action,
            wakes,
        };
        if self.first.len() < FIRST {
            self.first.push(recorded);
            return;
        }
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(recorded);
    }

    /// The number of steps so far, kept or not.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Whether the recorder saw the task with this label end.
    pub(crate) fn has_ended(&self, task: &str) -> bool {
        self.ended.contains(task)
    }

    /// The actor for the body, or for the task with this label.
    pub(crate) fn task(label: String) -> Arc<Actor> {
        let parent = None;
        Arc::new(Actor { label, parent })
    }

    /// The actor for a child of the combinator with this number, which the current actor polls.
    pub(crate) fn child(&self, label: String, combinator: u32) -> Arc<Actor> {
        let parent = Some((combinator, self.polled.clone()));
        Arc::new(Actor { label, parent })
    }

    /// Sets the actor whose poll is running, and returns the previous one.
    pub(crate) fn set_polled(&mut self, polled: Option<Arc<Actor>>) -> Option<Arc<Actor>> {
        std::mem::replace(&mut self.polled, polled)
    }

    /// The actor whose poll is running.
    pub(super) fn polled(&self) -> Option<Arc<Actor>> {
        self.polled.clone()
    }

    /// Begins a wake-up of an actor. Returns `false` inside another one.
    ///
    /// Only a wake-up during a poll has a known cause.
    pub(crate) fn begin_wake(&mut self, woken: &Arc<Actor>) -> bool {
        if self.is_waking {
            return false;
        }
        self.is_waking = true;
        if let Some(polled) = self.polled.as_ref().filter(|polled| *polled != woken) {
            let wake = (Arc::clone(polled), Arc::clone(woken));
            if !self.wakes.contains(&wake) {
                self.wakes.push(wake);
            }
        }
        true
    }

    pub(crate) fn end_wake(&mut self) {
        self.is_waking = false;
    }

    /// Takes whom an actor has woken since its last step.
    pub(crate) fn take_wakes(&mut self, by: &Arc<Actor>) -> Vec<Arc<Actor>> {
        let mut taken = Vec::new();
        self.wakes.retain(|(waker, woken)| {
            let is_by = waker == by;
            if is_by {
                taken.push(Arc::clone(woken));
            }
            !is_by
        });
        taken
    }

    /// The kept steps in order.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Recorded> {
        self.first.iter().chain(&self.last)
    }

    /// The kept steps in order, and how many are missing after the first [`FIRST`].
    pub(super) fn into_steps(self) -> (Vec<Recorded>, usize) {
        let mut steps = self.first;
        steps.extend(self.last);
        let omitted = self.count - steps.len();
        (steps, omitted)
    }
}
