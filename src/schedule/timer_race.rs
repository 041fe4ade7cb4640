//! Lets a timer fire while tasks could still run.
//!
//! tokio's paused clock advances to the next timer once nothing can run. So the run holds back every task that it
//! schedules, and the body: tokio then finds nothing to run, advances to the earliest deadline and wakes whoever
//! waits for it. The first poll at a later time ends the hold. No timer fires before an earlier one.
//!
//! Nobody can ask tokio whether a timer is pending. The hold has a timer of its own, so that it ends in any case.

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::schedule::eager;
use crate::schedule::steering::with_run;

/// When timers fire in a run.
#[derive(Debug)]
pub(crate) enum Timers {
    /// Once nothing can run.
    FireLast,
    /// Also during a hold, if there is one.
    Race(Option<Hold>),
}

/// The run holds back everything that it schedules, until the clock advances.
#[derive(Debug)]
pub(crate) struct Hold {
    began: Instant,
    /// Ends the hold if there is no earlier timer.
    latest: Pin<Box<Sleep>>,
    /// The tasks that were about to be polled, by their numbers.
    held: Vec<(usize, Waker)>,
}

/// What becomes of a poll of a task.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    IsHeld,
    Runs,
    /// It runs, as the first one after the clock has advanced.
    RunsAfter(Advance),
}

/// How far the clock advanced while tasks were held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advance {
    pub(crate) by: Duration,
    /// Whether a timer fired, and not only the time was up.
    pub(crate) is_by_timer: bool,
}

/// Decides whether a task is held back now.
pub(super) fn turn(task: usize, context: &mut Context<'_>) -> Turn {
    if eager::is_in_spawn() {
        // Its spawner may have no budget left, without which no timer can be set.
        return Turn::Runs;
    }
    let began = with_run(|run| match &run.timers {
        Timers::FireLast => None,
        Timers::Race(hold) => Some(hold.as_ref().map(|hold| hold.began)),
    });
    let Some(began) = began.flatten() else {
        return Turn::Runs;
    };
    let now = Instant::now();
    match began {
        Some(began) if began == now => {
            let waker = context.waker().clone();
            with_hold(|hold| hold.held.push((task, waker)));
            Turn::IsHeld
        }
        Some(_) => {
            let hold = with_run(|run| run.timers.take_hold()).flatten();
            hold.map_or(Turn::Runs, |hold| Turn::RunsAfter(hold.end(now, task)))
        }
        None => {
            let at_most = with_run(|run| run.decisions.timers_first()).flatten();
            let hold = at_most.and_then(|at_most| Hold::begin(now, at_most, task, context));
            hold.map_or(Turn::Runs, |hold| {
                with_run(|run| run.timers = Timers::Race(Some(hold)));
                Turn::IsHeld
            })
        }
    }
}

fn with_hold(with: impl FnOnce(&mut Hold)) {
    with_run(|run| {
        if let Timers::Race(Some(hold)) = &mut run.timers {
            with(hold);
        }
    });
}

impl Timers {
    /// Takes the hold. The caller ends it once it no longer borrows the run.
    pub(super) fn take_hold(&mut self) -> Option<Hold> {
        match self {
            Self::FireLast => None,
            Self::Race(hold) => hold.take(),
        }
    }
}

impl Hold {
    /// Holds back `task` first. `None` if the time is up at once.
    fn begin(
        now: Instant,
        at_most: Duration,
        task: usize,
        context: &mut Context<'_>,
    ) -> Option<Self> {
        let mut latest = Box::pin(sleep(at_most));
        // Registers the timer, which polls this task again.
        let is_up = latest.as_mut().poll(context).is_ready();
        (!is_up).then(|| Self {
            began: now,
            latest,
            // An earlier timer may end the hold.
            held: vec![(task, context.waker().clone())],
        })
    }

    /// Wakes all that were held back but `task`, which is polled now.
    fn end(self, now: Instant, task: usize) -> Advance {
        let advance = Advance {
            by: now - self.began,
            is_by_timer: !self.latest.is_elapsed(),
        };
        let others = self.held.into_iter().filter(|(held, _)| *held != task);
        others.for_each(|(_, waker)| waker.wake());
        advance
    }

    /// Wakes all that were held back, as the body is over.
    pub(super) fn release(self) {
        self.held.into_iter().for_each(|(_, waker)| waker.wake());
    }
}
