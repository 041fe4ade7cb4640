//! Texts for replays that diverge: the body depends on more than its schedule.

use std::fmt;

use crate::schedule::seed::Seed;

/// The inputs that a seed cannot reproduce.
#[cfg(not(straggler_instrumented))]
pub(crate) const NOT_REPLAYED: &str = "a `select!` that picks branches at random (add `biased;`), state that a `static` \
                            keeps between runs, I/O, threads, real time, the iteration order of a hash map";
#[cfg(straggler_instrumented)]
pub(crate) const NOT_REPLAYED: &str = "a `futures::select!` that picks branches at random, state that a `static` keeps between \
                            runs, I/O, threads, real time, the iteration order of a hash map";

/// The note on a failure after which the plain order fails too.
pub(crate) const KEEPS_STATE: &str = "the plain order passed in run 1, but fails now, so the schedule above may not \
                                      matter: something outlives a run (a `static`, a file, a server, a thread), \
                                      or the body depends on chance. Create such state in each run";

/// The note on a replay that diverged.
pub(crate) fn diverged(seed: &Seed) -> String {
    format!(
        "the replay of the seed {seed} diverged from the recorded run: the body has changed, or depends \
         on more than its schedule ({NOT_REPLAYED})"
    )
}

/// The note on a replay that passes although its seed was printed for a failing run.
pub(crate) fn passes_now(seed: &Seed, has_diverged: bool) -> String {
    let how = if has_diverged {
        ", and diverged from the recorded run"
    } else {
        ""
    };
    format!(
        "the seed {seed} was printed for a failing run, but it passes now{how}: the bug is fixed, or \
         depends on more than the schedule ({NOT_REPLAYED})"
    )
}

/// The outcome of replaying a failed run.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    /// How many replays there were.
    pub(crate) count: usize,
    /// How many of them failed in the same way.
    pub(crate) failed: usize,
    /// How many of them diverged from the failed run.
    pub(crate) diverged: usize,
}

impl Replays {
    /// Whether any replay passed or diverged.
    pub(crate) fn are_unlike(&self) -> bool {
        self.failed < self.count || self.diverged > 0
    }
}

impl fmt::Display for Replays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            count,
            failed,
            diverged,
        } = self;
        match diverged {
            0 => f.write_str("replays of this seed took the same schedule")?,
            _ if diverged == count => f.write_str("replays of this seed diverged")?,
            diverged => write!(f, "{diverged} of {count} replays of this seed diverged")?,
        }
        match failed {
            0 => f.write_str(", but none failed again")?,
            _ if failed == count => f.write_str(", and all failed again")?,
            failed => write!(f, ", and {failed} of {count} failed again")?,
        }
        write!(
            f,
            ": the body depends on more than its schedule ({NOT_REPLAYED})"
        )
    }
}
