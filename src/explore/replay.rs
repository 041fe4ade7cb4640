//! Replays one run by its seed.

use crate::explore::attempt::Purpose;
use crate::explore::divergence;
use crate::explore::exploration::{Exploration, OVERLAP_NOT_CHECKED};
use crate::explore::explored::{Explored, Extent};
use crate::explore::failure::{Cause, Failure};
use crate::explore::outcome::Outcome;
use crate::leak::render::emit::warn_of;
use crate::schedule::seed::{Kind, Seed};

impl<F, R> Exploration<F>
where
    F: FnMut() -> R,
    R: Future<Output: Outcome>,
{
    /// Replays one run.
    pub(crate) fn replay(
        &mut self,
        seed: Seed,
        requires_overlap: bool,
    ) -> Result<Explored, Failure> {
        self.runs = 1;
        let attempt = self.subject.attempt(&seed, true, Purpose::Replay);
        let decisions = attempt.run.as_ref().map(|run| &run.decisions);
        let has_diverged = decisions.is_some_and(|decisions| {
            let now = Seed::new(Kind::Plain).with_checksum(decisions.fingerprint());
            !decisions.fit() || seed.checksum.is_some() && seed.checksum != now.checksum
        });
        let note = has_diverged.then(|| divergence::diverged(&seed));
        let has_overlap = attempt.run.as_ref().is_some_and(|run| run.has_overlap);
        let misses_overlap = requires_overlap && !has_overlap;
        let overlap_note = misses_overlap.then(|| OVERLAP_NOT_CHECKED.to_owned());
        let explored = |note: Option<String>| Explored {
            runs: 1,
            discarded: 0,
            distinct_schedules: 1,
            extent: Extent::Sample,
            note: note
                .into_iter()
                .chain(overlap_note)
                .reduce(|one, other| format!("{one}\n{other}")),
            places: 0,
            refusal: None,
        };
        if let Some(reason) = attempt.discarded() {
            return Ok(explored(Some(format!("the run shows nothing: {reason}"))));
        }
        let cause = match attempt.cause {
            None => {
                // Only the seed of a failed run has a checksum. One typed by hand may well pass.
                let has_failed = seed.checksum.is_some();
                let passes = has_failed.then(|| divergence::passes_now(&seed, has_diverged));
                return Ok(explored(passes.or(note)));
            }
            Some(Cause::Found(report)) if report.only_warns() => {
                warn_of(&report);
                return Ok(explored(note));
            }
            Some(cause) => cause,
        };
        let mut failure = self.failed(1, seed, cause, attempt.run);
        failure.note = note;
        Err(Failure::new(failure))
    }
}
