//! Enumerates the schedules of a body depth first, one run a schedule.
//!
//! Each run repeats the decisions of the one before, up to the last with an alternative that was not tried, and
//! takes that. Nothing is skipped as equivalent: what two steps share is unknown, since they may share plain
//! memory.

use std::ops::ControlFlow;

use crate::explore::attempt::{Attempt, Grace, Purpose};
use crate::explore::exploration::Exploration;
use crate::explore::explored::{Explored, Extent};
use crate::explore::failure::{Cause, Failure};
use crate::explore::outcome::Outcome;
use crate::explore::tally::Tally;
use crate::schedule::decisions::Decision;
use crate::schedule::seed::{Kind, Seed};
use crate::schedule::tree::Tree;

/// A decision on the path of the last run.
struct Branch {
    question: u64,
    /// The choices other than 0. Where a poll yields they depend on the child that it polls, so runs that choose
    /// another child add theirs.
    others: Vec<u32>,
    made: u32,
    /// How many of the others were tried, or are being tried.
    tried: usize,
}

/// The decisions of the last run, as far as the next one repeats them.
#[derive(Default)]
struct Path(Vec<Branch>);

/// A run that took another course than the run whose decisions it repeats.
struct Diverged;

impl Path {
    fn seed(&self) -> Seed {
        let made = self.0.iter().map(|branch| branch.made).enumerate();
        Seed::new(Kind::Tree(made.filter(|(_, made)| *made != 0).collect()))
    }

    /// Takes in the decisions of a run that began with these, up to `end`.
    fn follow(&mut self, made: Vec<Decision>, end: usize) -> Result<(), Diverged> {
        let mut made = made.into_iter().take(end.max(self.0.len()));
        for known in &mut self.0 {
            let now = made.next().ok_or(Diverged)?;
            if now.question != known.question || now.made != known.made {
                return Err(Diverged);
            }
            if known.tried == 0 {
                let new = now.others.iter();
                let new: Vec<_> = new.filter(|new| !known.others.contains(new)).collect();
                known.others.extend(new);
            }
        }
        self.0.extend(made.map(|decision| Branch {
            question: decision.question,
            others: decision.others,
            made: 0,
            tried: 0,
        }));
        Ok(())
    }

    /// Moves on to the next path. Returns `false` if there is none.
    fn advance(&mut self) -> bool {
        while let Some(last) = self.0.last_mut() {
            if let Some(next) = last.others.get(last.tried) {
                last.made = *next;
                last.tried += 1;
                return true;
            }
            self.0.pop();
        }
        false
    }
}

impl<F, R> Exploration<F>
where
    F: FnMut() -> R,
    R: Future<Output: Outcome>,
{
    /// Makes a run in the plain order, then one for each schedule, until one fails or the runs are used up.
    pub(crate) fn enumerate(&mut self, requires_overlap: bool) -> Result<Explored, Failure> {
        let mut tally = Tally::default();
        let plain = Seed::new(Kind::Plain);
        if let ControlFlow::Break(ended) = self.next_run(&plain, &mut tally) {
            return ended;
        }
        // Rather than after all of them.
        self.note_on_all(&tally, false)?;
        let mut path = Path::default();
        let mut enumerated = Enumerated::default();
        let mut is_complete = false;
        // The plain run comes on top.
        while tally.made() <= self.runs {
            let seed = path.seed();
            let attempt = match self.next_run(&seed, &mut tally) {
                ControlFlow::Continue(attempt) => attempt,
                ControlFlow::Break(ended) => return ended,
            };
            enumerated.note(&seed, &attempt);
            let Some(run) = attempt.run else { break };
            let end = run.tree.and_then(|tree| tree.pruned_at);
            let made = run.decisions.into_made();
            if path.follow(made, end.unwrap_or(usize::MAX)).is_err() {
                return Err(self.diverged(tally.made()));
            }
            is_complete = !path.advance();
            if is_complete {
                break;
            }
        }
        // A body with a single schedule has repeated no decision.
        if let Some((seed, fingerprint)) = &enumerated.first {
            let confirm = Purpose::Confirm {
                is_deadlock: false,
                grace: Grace::Usual,
            };
            let again = self.subject.attempt(seed, false, confirm);
            if again.fingerprint() != *fingerprint || again.has_failed() {
                return Err(self.diverged(tally.made() + 1));
            }
        }
        Ok(Explored {
            runs: tally.runs,
            discarded: tally.discarded,
            distinct_schedules: enumerated.schedules,
            extent: enumerated.extent(is_complete, tally.unscheduled > 0),
            note: self.note_on_all(&tally, requires_overlap)?,
            places: 0,
            refusal: None,
        })
    }

    fn diverged(&self, run: usize) -> Failure {
        self.failure(0, Seed::new(Kind::Plain), None, Cause::Diverged(run))
    }
}

/// What the schedules so far have shown.
#[derive(Default)]
struct Enumerated {
    schedules: usize,
    /// The seed and the fingerprint of the first one.
    first: Option<(Seed, u64)>,
    /// Whether a bound has ruled out a choice.
    is_bounded: bool,
    /// Whether a run was too long to make all its decisions.
    is_cut_off: bool,
    /// What no decision chose, in the first run that had such a thing.
    undecided: Option<&'static str>,
}

impl Enumerated {
    fn note(&mut self, seed: &Seed, attempt: &Attempt) {
        self.first
            .get_or_insert_with(|| (seed.clone(), attempt.fingerprint()));
        let Some(run) = &attempt.run else {
            return;
        };
        let tree = run.tree.as_ref();
        let is_new = tree.is_some_and(|tree| tree.pruned_at.is_none());
        let is_new = is_new && attempt.discarded().is_none();
        self.schedules += usize::from(is_new);
        self.is_bounded |= tree.is_some_and(|tree| tree.fairness.has_ruled_out);
        self.is_cut_off |= run.decisions.is_cut_off;
        self.undecided = self.undecided.or_else(|| undecided(tree?));
    }

    fn extent(&self, is_complete: bool, has_unscheduled: bool) -> Extent {
        if !is_complete || self.is_cut_off {
            Extent::Part
        } else if has_unscheduled {
            Extent::Undecided("the order of its untracked tasks")
        } else if let Some(what) = self.undecided {
            Extent::Undecided(what)
        } else {
            Extent::All {
                is_bounded: self.is_bounded,
            }
        }
    }
}

/// What no decision chose in a run.
fn undecided(tree: &Tree) -> Option<&'static str> {
    if tree.uses_threads {
        Some("when its blocking threads answer")
    } else if tree.runs_late {
        Some("the order of the tasks that outlive its body")
    } else {
        None
    }
}
