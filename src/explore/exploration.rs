//! The order of events of an exploration: search, replay, minimize, report.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::runtime::Handle;

use crate::explore::attempt::{Attempt, Grace, PLAIN_FINGERPRINT, Pause, Purpose, Subject};
use crate::explore::clock_jump::ClockJump;
use crate::explore::divergence::{self, Replays};
use crate::explore::explored::{Explored, Extent};
use crate::explore::failure::{Cause, Failed, Failure, Reorderings};
use crate::explore::outcome::Outcome;
use crate::explore::shrink::{Change, Tried, shrink};
use crate::explore::tally::Tally;
use crate::leak::render::emit::warn_of;
use crate::leak::settings::environment::{Environment, Shard};
use crate::schedule::budget;
use crate::schedule::seed::{Kind, Seed};
use crate::schedule::steering::Run;
use crate::schedule::step::Schedule;

/// How many runs after the one in the plain order yield often throughout.
const DENSE_RUNS: usize = 8;

/// The expected number of decisions of the first steered run. Later runs use the length of the one
/// before.
const FIRST_LENGTH: usize = 16;

/// How often, and for how long, a failed run is replayed until it fails again.
const REPLAYS: usize = 20;
const REPLAY_TIME: Duration = Duration::from_secs(2);

/// The note on a single run, in which nothing may overlap although the body is fine.
pub(super) const OVERLAP_NOT_CHECKED: &str =
    "`require_overlap` was not checked: it needs more than one run";

/// The numbers that the runs of an exploration are drawn from.
pub(crate) struct Seeds {
    drawn: Rng,
    /// How many belong to other machines after each one.
    between: u32,
}

impl Seeds {
    /// The seeds that follow from `seed`, or the part of them that `shard` is.
    pub(crate) fn new(seed: u64, shard: Option<Shard>) -> Self {
        let mut seeds = Self {
            drawn: Rng::with_seed(seed),
            between: shard.map_or(0, Shard::between),
        };
        seeds.skip(shard.map_or(0, Shard::before));
        seeds
    }

    fn draw(&mut self) -> u64 {
        let drawn = self.drawn.u64(..);
        self.skip(self.between);
        drawn
    }

    fn skip(&mut self, count: u32) {
        for _ in 0..count {
            self.drawn.u64(..);
        }
    }
}

/// An exploration of one body.
pub(crate) struct Exploration<F> {
    /// Whether the check has its own runtime builder.
    pub(crate) has_runtime: bool,
    pub(crate) runs: usize,
    /// Whether tasks may be alive that no schedule decides.
    pub(crate) allows_unscheduled: bool,
    /// Whether the runs are all schedules, not a sample.
    pub(crate) is_exhaustive: bool,
    pub(crate) subject: Subject<F>,
}

impl<F, R> Exploration<F>
where
    F: FnMut() -> R,
    R: Future<Output: Outcome>,
{
    /// Checks whether runs are possible here, and returns the settings of the environment.
    pub(crate) fn ready(&self) -> Result<&'static Environment, String> {
        let environment = Environment::read()?;
        if Handle::try_current().is_ok() {
            return Err(
                "it was called inside a tokio runtime, but each run creates its own: call it in a plain \
                 `#[test]`"
                    .to_owned(),
            );
        }
        if self.has_runtime {
            return Err(
                "each run creates its own runtime, with one thread and a paused clock: remove `runtime`"
                    .to_owned(),
            );
        }
        budget::size().map_err(|reason| {
            format!("this version of tokio cannot be explored, please report it: {reason}")
        })?;
        Ok(environment)
    }

    /// Makes runs until one fails, after those that were made before. Gives up once as many were discarded as
    /// were asked for.
    pub(crate) fn search(
        &mut self,
        mut seeds: Seeds,
        requires_overlap: bool,
        mut tally: Tally,
    ) -> Result<Explored, Failure> {
        let mut fingerprints = HashSet::new();
        let before = tally.runs;
        let mut length = FIRST_LENGTH;
        while tally.runs < self.runs && tally.discarded < self.runs {
            // A body may discard every run that yields often.
            let seed = match tally.made() {
                0 => Seed::new(Kind::Plain),
                1..=DENSE_RUNS => Seed::dense(seeds.draw()),
                _ => Seed::drawn(seeds.draw(), length),
            };
            let attempt = match self.next_run(&seed, &mut tally) {
                ControlFlow::Continue(attempt) => attempt,
                ControlFlow::Break(ended) => return ended,
            };
            if let Some(steered) = &attempt.run {
                length = steered.decisions.len();
            }
            if attempt.discarded().is_none() {
                fingerprints.insert(attempt.fingerprint());
            }
        }
        Ok(Explored {
            runs: tally.runs,
            discarded: tally.discarded,
            distinct_schedules: before + fingerprints.len(),
            extent: Extent::Sample,
            note: self.note_on_all(&tally, requires_overlap)?,
            places: 0,
            refusal: tally.refusal(),
        })
    }

    /// Makes the next run of a search. Breaks with the result of the exploration if the run ends it.
    pub(crate) fn next_run(
        &mut self,
        seed: &Seed,
        tally: &mut Tally,
    ) -> ControlFlow<Result<Explored, Failure>, Attempt> {
        // Under `STRAGGLER=warn` a leak is reported once. After that only other failures count, and
        // they need no grace.
        let grace = if tally.warnings == 0 {
            Grace::Usual
        } else {
            Grace::None
        };
        let mut attempt = self.subject.search(seed, grace);
        if !tally.add(&attempt) {
            return ControlFlow::Continue(attempt);
        }
        match attempt.cause.take() {
            None => {}
            Some(Cause::Found(report)) if report.only_warns() => {
                // Later runs would print the same report again.
                if tally.warnings == 0 {
                    warn_of(&report);
                }
                tally.warnings += 1;
            }
            Some(cause) => {
                let jumps = (tally.runs == 1).then(|| self.plain_order_jumps(&cause));
                return ControlFlow::Break(match jumps.flatten() {
                    Some(reason) => Ok(Explored {
                        runs: 1,
                        discarded: 0,
                        distinct_schedules: 1,
                        extent: Extent::Sample,
                        note: Some(format!("not explored: {reason}")),
                        places: 0,
                        refusal: Some(reason),
                    }),
                    None => Err(self.minimize(tally.runs, seed.clone(), cause, attempt.run)),
                });
            }
        }
        ControlFlow::Continue(attempt)
    }

    /// Judges runs that all passed, and returns the note on them.
    ///
    /// # Errors
    ///
    /// Returns a failure if together they show too little.
    pub(crate) fn note_on_all(
        &self,
        tally: &Tally,
        requires_overlap: bool,
    ) -> Result<Option<String>, Failure> {
        let plain = || Seed::new(Kind::Plain);
        if tally.unscheduled > 0 && !self.allows_unscheduled {
            let cause = Cause::Unscheduled(tally.unscheduled);
            return Err(self.failure(0, plain(), None, cause));
        }
        // In an exploration of all schedules, those that were discarded are no surprise.
        let note_on_discarded = (!self.is_exhaustive).then(|| tally.note_on_discarded(self.runs));
        let note_on_discarded = note_on_discarded.flatten();
        let misses_overlap = requires_overlap && !tally.has_overlap;
        if misses_overlap && self.runs > 1 {
            let mut failed = self.failed(0, plain(), Cause::NoOverlap, None);
            failed.runs = tally.runs;
            failed.note = note_on_discarded;
            return Err(Failure::new(failed));
        }
        let overlap_note = misses_overlap.then(|| OVERLAP_NOT_CHECKED.to_owned());
        Ok(note_on_discarded.or(overlap_note))
    }

    /// Minimizes a failed run: repeats it with ever fewer forced reorderings.
    fn minimize(&mut self, run: usize, seed: Seed, cause: Cause, steered: Option<Run>) -> Failure {
        let Some(steered) = steered else {
            // The checksum marks the seed as one of a failed run.
            return self.failure(run, seed.with_checksum(PLAIN_FINGERPRINT), None, cause);
        };
        let found = Attempt {
            cause: None,
            run: Some(steered),
            cancellations: None,
        };
        let seed = seed.with_checksum(found.fingerprint());
        let is_deadlock = cause.is_deadlock();
        let confirm = |grace| Purpose::Confirm { is_deadlock, grace };
        // Before all replays: the plain order passed, so it has to pass again.
        let plain = Seed::new(Kind::Plain);
        let control = self.subject.attempt(&plain, false, confirm(Grace::Usual));
        let keeps_state = control
            .has_failed()
            .then(|| divergence::KEEPS_STATE.to_owned());
        if cause.is_slow() {
            // Each replay would take as long again.
            let mut failed = self.failed(run, seed, cause, found.run);
            failed.note = keeps_state;
            return Failure::new(failed);
        }
        let confirmed = match self.fail_again(&seed, &cause, confirm(Grace::Usual)) {
            (
                Some(again),
                Replays {
                    count: 1,
                    failed: 1,
                    diverged: 0,
                },
            ) if keeps_state.is_none() => again,
            (again, replays) => {
                // The failure depends on luck or on earlier runs, and so would each smaller run: report it as
                // found.
                let (cause, run_shown) = match again {
                    Some(again) => (again.cause.unwrap_or(cause), again.run),
                    None => (cause, found.run),
                };
                let mut failed = self.failed(run, seed, cause, run_shown);
                let replays = replays.are_unlike().then(|| replays.to_string());
                let notes = keeps_state.into_iter().chain(replays);
                failed.note = notes.reduce(|one, other| format!("{one}\n\nnote: {other}"));
                return Failure::new(failed);
            }
        };
        let changes = found.changes();
        let found_with = changes.len();
        let mut minimized = None;
        for grace in [Grace::None, Grace::Usual] {
            // Without grace the run may fail in another way, and a smaller run may fail that passes with
            // grace. So minimize without grace only if the failure stays the same.
            if grace == Grace::None
                && !self
                    .subject
                    .attempt(&seed, false, confirm(grace))
                    .fails_like(&cause)
            {
                continue;
            }
            let (small, attempt) = self.shrunk(&changes, &seed, &cause, confirm, grace);
            if attempt.fails_like(&cause) {
                minimized = Some((small.with_checksum(attempt.fingerprint()), attempt));
                break;
            }
        }
        // If no smaller run failed reliably, show the run as found.
        let (seed, attempt) = minimized.unwrap_or((seed, confirmed));
        let mut failed = self.failed(run, seed, attempt.cause.unwrap_or(cause), attempt.run);
        if let Some(reorderings) = &mut failed.reorderings {
            reorderings.found = found_with;
        }
        Failure::new(failed)
    }

    /// Finds fewer changes with which a run fails in the same way, and replays it.
    fn shrunk(
        &mut self,
        changes: &[Change],
        seed: &Seed,
        cause: &Cause,
        confirm: impl Fn(Grace) -> Purpose,
        grace: Grace,
    ) -> (Seed, Attempt) {
        let knows_hand_polls = self.subject.polls_by_hand;
        let fewest = shrink(changes.to_vec(), |changes| {
            let fewer = seed.with_changes(changes);
            let mut attempt = self.subject.attempt(&fewer, false, confirm(grace));
            // A poll by hand without budget may fail alike.
            if knows_hand_polls {
                self.subject.look_again(&fewer, &mut attempt);
            }
            Tried {
                fails: attempt.fails_like(cause),
                made: attempt.changes(),
                choices: attempt.choices(),
            }
        });
        let small = seed.with_changes(fewest);
        let mut attempt = self.subject.attempt(&small, true, confirm(Grace::Usual));
        if knows_hand_polls {
            return (small, attempt);
        }
        // Most tests poll nothing by hand, so one look at the result is enough.
        self.subject.look_again(&small, &mut attempt);
        if self.subject.polls_by_hand {
            return self.shrunk(changes, seed, cause, confirm, grace);
        }
        (small, attempt)
    }

    /// Replays a failed run until it takes the same schedule and fails in the same way. The first
    /// replay does, unless the body depends on more than its schedule. If none does, returns a replay
    /// that at least failed in the same way.
    fn fail_again(
        &mut self,
        seed: &Seed,
        cause: &Cause,
        confirm: Purpose,
    ) -> (Option<Attempt>, Replays) {
        let started = Instant::now();
        let mut replays = Replays::default();
        let mut similar = None;
        while replays.count < REPLAYS && (replays.count == 0 || started.elapsed() < REPLAY_TIME) {
            replays.count += 1;
            let attempt = self.subject.attempt(seed, true, confirm);
            let now = Seed::new(Kind::Plain).with_checksum(attempt.fingerprint());
            let has_diverged = now.checksum != seed.checksum;
            replays.diverged += usize::from(has_diverged);
            if attempt.fails_like(cause) {
                replays.failed += 1;
                if !has_diverged {
                    return (Some(attempt), replays);
                }
                similar = similar.or(Some(attempt));
            }
        }
        (similar, replays)
    }

    pub(crate) fn failure(
        &self,
        run: usize,
        seed: Seed,
        steered: Option<Run>,
        cause: Cause,
    ) -> Failure {
        Failure::new(self.failed(run, seed, cause, steered))
    }

    pub(crate) fn failed(
        &self,
        run: usize,
        seed: Seed,
        cause: Cause,
        steered: Option<Run>,
    ) -> Failed {
        let is_paused = self.subject.pause == Pause::AtStart;
        let jumps = steered.as_ref().filter(|_| is_paused);
        let clock_jump = jumps.and_then(ClockJump::find);
        let forced = steered.as_ref().map(|run| run.decisions.changes().len());
        let cancelled = steered.as_ref().and_then(|run| run.cancelled.clone());
        let recorder = steered.and_then(|run| run.recorder).unwrap_or_default();
        let thread = thread::current();
        // The test harness names its threads after the tests. Other threads may have any name.
        let thread_name = thread
            .name()
            .filter(|name| *name != "main" && is_path(name));
        Failed {
            cause,
            test: self.subject.test.or(thread_name).map(str::to_owned),
            place: self.subject.place,
            run,
            runs: self.runs,
            is_exhaustive: self.is_exhaustive,
            seed,
            schedule: Schedule::new(*recorder),
            reorderings: forced.map(|forced| Reorderings {
                found: forced,
                shown: forced,
            }),
            clock_jump,
            cancels: self.subject.cancels,
            cancelled,
            note: None,
        }
    }
}

/// Whether a thread name looks like the path of a test.
fn is_path(name: &str) -> bool {
    name.split("::").all(|part| {
        let is_part = |letter: char| letter == '_' || letter.is_alphanumeric();
        part.chars().all(is_part) && part.starts_with(|first: char| !first.is_numeric())
    })
}

#[cfg(test)]
mod tests {
    use super::Seeds;
    use crate::leak::settings::environment::Shard;

    #[test]
    fn shards_have_each_seed_once() {
        let draw = |shard: Option<&str>, count: usize| {
            let shard = shard.map(|text| Shard::parse(text).unwrap());
            let mut seeds = Seeds::new(7, shard);
            (0..count).map(|_| seeds.draw()).collect::<Vec<_>>()
        };
        let all = draw(None, 6);
        let mut of_shards: Vec<_> = ["1/3", "2/3", "3/3"]
            .map(|shard| draw(Some(shard), 2))
            .concat();
        assert_eq!(of_shards[..2], [all[0], all[3]]);
        let mut all = all;
        all.sort_unstable();
        of_shards.sort_unstable();
        assert_eq!(of_shards, all);
    }
}
