//! Cancels the operations of a body at each place, one run a place.

use crate::explore::attempt::{Attempt, Grace, Purpose};
use crate::explore::exploration::{Exploration, Seeds};
use crate::explore::explored::{Explored, Extent};
use crate::explore::failure::{Cause, Failure};
use crate::explore::outcome::Outcome;
use crate::explore::tally::Tally;
use crate::leak::render::emit::warn_of;
use crate::leak::report::Report;
use crate::schedule::cancellation::Cancellations;
use crate::schedule::seed::{Kind, Seed};
use crate::schedule::step::Schedule;

/// The note on an exploration whose runs were used up by the places.
const NO_SCHEDULE: &str = "no run was left to draw a schedule: raise the number of runs";

/// What a run reached that did not fail.
struct Reached {
    places: Vec<usize>,
    /// A report that only warns.
    warning: Option<Report>,
}

impl<F, R> Exploration<F>
where
    F: FnMut() -> R,
    R: Future<Output: Outcome>,
{
    /// Runs the body without a cancellation, then once for each place, then for each pair of places as long as
    /// runs are left.
    ///
    /// With `schedules`, half of the runs that are left after the single places, or more, draw a schedule and what
    /// is cancelled in it.
    pub(crate) fn cancel_each(
        &mut self,
        schedules: Option<(Seeds, bool)>,
    ) -> Result<Explored, Failure> {
        let mut before = Tally::default();
        let places = self.cancel_at(&[], &mut before)?;
        if places.is_empty() {
            let plain = Seed::new(Kind::Plain);
            return Err(self.failure(0, plain, None, Cause::NothingToCancel));
        }
        // Each pair of a place and a later one in the run that cancels there.
        let mut pairs = Vec::new();
        let tried = places.len().min(self.runs - before.runs);
        for &first in &places[..tried] {
            let reached = self.cancel_at(&[first], &mut before)?;
            let later = reached.into_iter().filter(|second| *second > first);
            // No more than there will be runs for.
            let wanted = self.runs.saturating_sub(pairs.len());
            pairs.extend(later.map(|second| [first, second]).take(wanted));
        }
        let left = self.runs - before.runs;
        let draws = schedules.is_some();
        let for_pairs = if draws { left / 2 } else { left };
        for pair in pairs.into_iter().take(for_pairs) {
            self.cancel_at(&pair, &mut before)?;
        }
        // A search without a run would miss an overlap that is required.
        if let Some((seeds, requires_overlap)) = schedules.filter(|_| left > 0) {
            let explored = self.search(seeds, requires_overlap, before)?;
            return Ok(Explored {
                places: tried,
                ..explored
            });
        }
        let runs = before.runs;
        let count = places.len();
        let note = if tried < count {
            let also = if draws {
                ", and no schedule was drawn"
            } else {
                ""
            };
            Some(format!(
                "only the first {tried} of {count} places were tried{also}: raise the number of runs"
            ))
        } else {
            draws.then(|| NO_SCHEDULE.to_owned())
        };
        Ok(Explored {
            runs,
            discarded: 0,
            distinct_schedules: runs,
            extent: Extent::Sample,
            note,
            places: tried,
            refusal: None,
        })
    }

    /// Replays the cancellation at these places.
    pub(crate) fn replay_cancelled(&mut self, places: &[usize]) -> Result<Explored, Failure> {
        self.runs = 1;
        let attempt = self.attempt_at(places, true, Purpose::Replay);
        let counted = attempt.cancellations.as_ref();
        let counted = counted.map_or(0, Cancellations::counted);
        let beyond = beyond_last_place(places, counted);
        let reached = self
            .failed_at(places, 1, attempt)
            .map_err(|failure| failure.with_note(beyond.clone()))?;
        if let Some(report) = &reached.warning {
            warn_of(report);
        }
        let passes = || format!("the run with the seed `{}` passes now", seed(places));
        let passes = reached.warning.is_none().then(passes);
        Ok(Explored {
            runs: 1,
            discarded: 0,
            distinct_schedules: 1,
            extent: Extent::Sample,
            note: beyond.or(passes),
            places: 0,
            refusal: None,
        })
    }

    /// Makes a run that cancels at these places, and returns the places it reached.
    fn cancel_at(&mut self, places: &[usize], before: &mut Tally) -> Result<Vec<usize>, Failure> {
        before.runs += 1;
        let run = before.runs;
        // As in a search, later runs would print the same report again, and need no grace.
        let grace = if before.warnings > 0 {
            Grace::None
        } else {
            Grace::Usual
        };
        let attempt = self.attempt_at(places, false, Purpose::Find { grace });
        let Some(cause) = attempt.cause.as_ref().filter(|_| attempt.has_failed()) else {
            let reached = self.failed_at(places, run, attempt)?;
            if let Some(report) = reached.warning.filter(|_| before.warnings == 0) {
                warn_of(&report);
                before.warnings += 1;
            }
            return Ok(reached.places);
        };
        let is_deadlock = cause.is_deadlock();
        let confirm = Purpose::Confirm { is_deadlock, grace };
        let again = self.attempt_at(places, true, confirm);
        // The steps, if it fails again.
        let shown = if again.fails_like(cause) {
            again
        } else {
            attempt
        };
        Ok(self.failed_at(places, run, shown)?.places)
    }

    fn attempt_at(&mut self, places: &[usize], is_recorded: bool, purpose: Purpose) -> Attempt {
        self.subject.attempt(&seed(places), is_recorded, purpose)
    }

    /// The failure of a run that cancelled at these places, or the places it reached.
    fn failed_at(
        &self,
        places: &[usize],
        run: usize,
        attempt: Attempt,
    ) -> Result<Reached, Failure> {
        let reached = attempt.cancellations;
        let passed = |reached: Option<Cancellations>, warning| {
            let places = reached.map_or(Vec::new(), |reached| reached.places);
            Ok(Reached { places, warning })
        };
        let cause = match attempt.cause {
            None => return passed(reached, None),
            Some(Cause::Found(report)) if report.only_warns() => {
                return passed(reached, Some(report));
            }
            Some(cause) => cause,
        };
        let cancelled = reached.as_ref().and_then(Cancellations::cancelled);
        let recorder = reached.and_then(|reached| reached.recorder);
        let mut failed = self.failed(run, seed(places), cause, None);
        failed.schedule = Schedule::new(recorder.unwrap_or_default());
        failed.cancelled = cancelled;
        Err(Failure::new(failed))
    }
}

/// The note on a replay whose run had fewer places than its seed. Else it would look as if a mended operation passed there.
fn beyond_last_place(places: &[usize], counted: usize) -> Option<String> {
    let first = places.iter().find(|place| **place >= counted)?;
    let seed = seed(places);
    // Of two places the first one may have cancelled.
    let nothing = if places.first() == Some(first) {
        "nothing".to_owned()
    } else {
        format!("nothing at place {first}")
    };
    let has = match counted {
        0 => "no place".to_owned(),
        1 => "the place 0 only".to_owned(),
        more => format!("the places 0 to {}", more - 1),
    };
    Some(format!(
        "the seed `{seed}` cancels {nothing}: this run has {has}. Without a seed the test cancels at each of its places"
    ))
}

/// The seed of a run that cancels at these places.
fn seed(places: &[usize]) -> Seed {
    Seed::new(match places {
        [] => Kind::Plain,
        places => Kind::Cancelled(places.to_vec()),
    })
}
