//! Decides what runs next: which child a combinator polls, and how much budget a poll gets.
//!
//! [`crate::explore`] makes the runs. This module schedules a single run.

pub(crate) mod abortable;
pub(crate) mod budget;
pub(crate) mod cancel_decision;
pub(crate) mod cancellable;
pub(crate) mod cancellation;
pub(crate) mod checkpoint;
#[cfg(feature = "macros")]
pub(crate) mod checkpointed;
pub(crate) mod closer_look;
#[cfg(any(straggler_instrumented, test))]
pub(crate) mod combinator;
pub(crate) mod decisions;
pub(crate) mod discarded;
pub(crate) mod draws;
pub(crate) mod eager;
pub(crate) mod fairness;
pub(crate) mod fate;
pub(crate) mod hand_poll;
mod numbered;
pub(crate) mod outside;
pub(crate) mod points;
pub(crate) mod preemption;
pub(crate) mod ready;
pub(crate) mod recorder;
pub(crate) mod seed;
pub(crate) mod spot;
pub(crate) mod steering;
pub(crate) mod step;
pub(crate) mod strategy;
pub(crate) mod timer_race;
pub(crate) mod tree;
pub(crate) mod wake;
