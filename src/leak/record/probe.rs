//! The answers of tasks to probes.
//!
//! A probe polls a task once more, to find where it waits. If nothing had woken the task, that poll must not change
//! the test: an outcome that it brings about is held back until something wakes the task.

use std::fmt;

use crate::contain::{contain, discard};
use crate::panic::Panic;
use crate::trace::place::Place;
use crate::trace::waker::Trace;

/// What a probed poll showed.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// The task waits.
    Waits(Trace),
    /// The task was ready, though nothing had woken it.
    Ready,
    /// The task panicked, and nothing had woken it.
    Panicked {
        message: Option<String>,
        place: Option<Place>,
    },
}

/// The outcome that a probe brought about, until something wakes the task.
pub(crate) struct Held<T>(Option<Box<(Result<T, Panic>, Answer)>>);

impl<T> Held<T> {
    /// Holds nothing.
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// Holds an outcome back.
    pub(crate) fn hold(&mut self, outcome: Result<T, Panic>, answer: Answer) {
        self.0 = Some(Box::new((outcome, answer)));
    }

    /// Returns the answer of a task whose outcome is held back.
    pub(crate) fn answer(&self) -> Option<Answer> {
        self.0.as_ref().map(|held| held.1.clone())
    }

    /// Takes the outcome, if one is held back.
    pub(crate) fn take(&mut self) -> Option<Result<T, Panic>> {
        self.0.take().map(|held| held.0)
    }
}

impl<T> Drop for Held<T> {
    /// Drops an outcome that nothing asked for. Its panics count as little as the outcome does.
    fn drop(&mut self) {
        match self.take() {
            None => {}
            Some(Err(panic)) => discard(panic),
            Some(Ok(output)) => {
                if let Err(panic) = contain(|| drop(output)) {
                    discard(panic);
                }
            }
        }
    }
}

impl<T> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.answer()).finish()
    }
}
