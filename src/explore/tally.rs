//! What the runs of an exploration have shown so far, all together.

use crate::explore::attempt::Attempt;
use crate::schedule::discarded::Discarded;
use crate::wording::count;

/// What the runs so far have shown.
#[derive(Default)]
pub(crate) struct Tally {
    /// How many count.
    pub(crate) runs: usize,
    pub(crate) discarded: usize,
    /// Why the last one was.
    discarded_for: Option<Discarded>,
    pub(crate) has_overlap: bool,
    /// The most tasks at a time that no schedule decides.
    pub(crate) unscheduled: usize,
    pub(crate) warnings: usize,
}

impl Tally {
    /// Adds a run. Returns `false` if it counts as nothing.
    pub(crate) fn add(&mut self, attempt: &Attempt) -> bool {
        if let Some(reason) = attempt.discarded() {
            self.discarded += 1;
            self.discarded_for = Some(reason);
            return false;
        }
        self.runs += 1;
        if let Some(steered) = &attempt.run {
            self.has_overlap |= steered.has_overlap;
            self.unscheduled = self.unscheduled.max(steered.unscheduled);
        }
        true
    }

    /// How many runs were made.
    pub(crate) fn made(&self) -> usize {
        self.runs + self.discarded
    }

    /// Why nothing was explored, if only the plain order counts.
    pub(crate) fn refusal(&self) -> Option<String> {
        let reason = self.discarded_for.filter(|_| self.runs <= 1)?;
        Some(format!(
            "each of {} was discarded, because {reason}. {}",
            count(self.discarded, "forced run"),
            reason.advice()
        ))
    }

    /// The note on an exploration that gave up before half of the `wanted` runs.
    pub(crate) fn note_on_discarded(&self, wanted: usize) -> Option<String> {
        let reason = self.discarded_for.filter(|_| self.runs <= wanted / 2)?;
        Some(match self.refusal() {
            Some(refusal) => format!("nothing was explored: {refusal}"),
            None => format!(
                "only {} of {wanted} runs count. {} more were discarded, because {reason}. {}",
                self.runs,
                self.discarded,
                reason.advice()
            ),
        })
    }
}
