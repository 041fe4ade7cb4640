//! The strategies that draw schedules. Each run draws its strategy from its seed.
//!
//! No single strategy finds every bug. Uniform choice finds a few forced yields in the right places, but
//! hardly ever a long run of one child with a single switch. So each run draws one of a portfolio. The first few runs
//! yield nearly everywhere: that finds most bugs of small tests at once.

use fastrand::Rng;

use crate::schedule::decisions::ADVANCES;
use crate::schedule::fate::{Fate, Fates};
use crate::schedule::numbered::Numbered;
use crate::schedule::points;

/// How often in a row a strategy may prefer one child to the other ready ones. A child may spin until
/// another one makes progress, so after that the choice is uniform.
const IN_A_ROW: usize = 64;

/// The most polls for which a strategy holds a task back.
const HELD: usize = 64;

/// How to poll a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poll {
    /// With its full budget, as without Straggler.
    Plainly,
    /// With this many units of budget.
    With(usize),
    /// Until an operation that follows this many others. Only in builds with scheduling points.
    Before(usize),
    /// Later: the task moves to the end of the run queue.
    Later,
    /// Later, this many times in a row. No strategy draws it, but a minimized schedule has it in place of as many
    /// decisions.
    LaterFor(usize),
}

/// How a strategy chooses among the ready children.
#[derive(Debug)]
enum Choice {
    /// Each with the same probability.
    Uniform,
    /// Mostly the child polled last.
    LongRuns,
    /// The child with the highest priority. At a few decisions, drawn in advance, its priority drops.
    ///
    /// Burckhardt, Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with Probabilistic
    /// Guarantees of Finding Bugs (ASPLOS 2010).
    Priorities {
        /// The priority of each child, by combinator and index. `None` until it is drawn.
        of: Numbered<Numbered<Option<u64>>>,
        /// The decisions at which a priority drops, the last first.
        change_points: Vec<usize>,
    },
}

/// Holds tasks back for many polls in a row, so that others get far ahead. Random single delays do not
/// achieve that.
#[derive(Debug)]
struct Holds {
    /// The longest hold, in polls.
    longest: usize,
    /// The remaining polls of each task's hold. `None` until its first poll.
    left: Numbered<Option<usize>>,
    /// How many tasks have been polled.
    tasks: usize,
    /// The decisions at which a new hold starts, the last first.
    change_points: Vec<usize>,
}

/// A strategy and its state.
#[derive(Debug)]
pub(crate) struct Strategy {
    rng: Rng,
    choice: Choice,
    /// The probabilities that a task's poll gets its full budget or none, in sixteenths.
    whole: u32,
    none: u32,
    /// The probability that a task runs later, in sixteenths.
    later: u32,
    /// The probability that a task that yields does so before an operation, and that it then ends the operation that
    /// it waits for first, in sixteenths. Only in builds with scheduling points.
    before: u32,
    /// `None` if the strategy never holds a task back.
    holds: Option<Holds>,
    fates: Fates,
    early_timers: EarlyTimers,
    decisions: usize,
    /// The child that each combinator polled last, and how often in a row while others were ready.
    last: Numbered<Option<(u32, usize)>>,
}

impl Strategy {
    /// Draws a strategy for a run of about `length` decisions. Without a length it yields nearly everywhere.
    pub(crate) fn draw(seed: u64, length: Option<usize>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let drawn = length.map(|length| (rng.u32(..16), length));
        let (choice, whole, none, later) = match drawn {
            None | Some((12..14, _)) => (Choice::Uniform, 2, 9, 0),
            Some((0..5, _)) => (Choice::Uniform, 3, 4, 1),
            Some((5..7, length)) => (Choice::priorities(&mut rng, 2, length), 2, 4, 1),
            Some((7..9, length)) => (Choice::priorities(&mut rng, 3, length), 2, 4, 1),
            Some((9..12, _)) => (Choice::LongRuns, 11, 2, 1),
            Some(_) => (Choice::Uniform, 12, 1, 4),
        };
        let before = match length {
            // Mostly one operation at each poll.
            None if points::ARE_PRESENT && rng.bool() => 14,
            _ => 8,
        };
        let change_points = match choice {
            Choice::Uniform => None,
            Choice::LongRuns => Some(0),
            Choice::Priorities {
                ref change_points, ..
            } => Some(change_points.len()),
        };
        let holds = change_points.zip(length);
        let holds = holds.map(|(count, length)| Holds::draw(&mut rng, count, length));
        Self {
            rng,
            choice,
            whole,
            none,
            later,
            before,
            holds,
            fates: Fates::draw(seed),
            early_timers: EarlyTimers::draw(seed),
            decisions: 0,
            last: Numbered::default(),
        }
    }

    /// Chooses a ready child of a combinator, by position. `ready` is not empty.
    pub(crate) fn choose(&mut self, combinator: u32, ready: &[u32]) -> usize {
        self.decisions += 1;
        let last = *self.last.entry(combinator as usize);
        let is_last = |child: u32| last.is_some_and(|(last, _)| last == child);
        let mut chosen = self.prefer(combinator, ready, is_last);
        let in_a_row = last.map_or(0, |(_, in_a_row)| in_a_row);
        // Without this a child that spins until another one runs would never end.
        if in_a_row >= IN_A_ROW && is_last(ready[chosen]) {
            chosen = self.rng.usize(..ready.len());
        }
        let is_same = is_last(ready[chosen]) && ready.len() > 1;
        let in_a_row = if is_same { in_a_row + 1 } else { 0 };
        *self.last.entry(combinator as usize) = Some((ready[chosen], in_a_row));
        chosen
    }

    fn prefer(&mut self, combinator: u32, ready: &[u32], is_last: impl Fn(u32) -> bool) -> usize {
        match &mut self.choice {
            Choice::Uniform => self.rng.usize(..ready.len()),
            // From the end: if it is ready, it has lined up behind the others.
            Choice::LongRuns => match ready.iter().rposition(|&child| is_last(child)) {
                Some(last) if self.rng.u32(..16) < 14 => last,
                _ => self.rng.usize(..ready.len()),
            },
            Choice::Priorities { of, change_points } => {
                let of = of.entry(combinator as usize);
                let rng = &mut self.rng;
                let chosen = highest(of, ready, rng);
                let is_due = change_points
                    .last()
                    .is_some_and(|due| *due <= self.decisions);
                if !is_due {
                    return chosen;
                }
                // Below every drawn priority (from 1 << 32) and every earlier drop.
                *of.entry(ready[chosen] as usize) = Some(change_points.len() as u64);
                change_points.pop();
                highest(of, ready, rng)
            }
        }
    }

    /// Decides how to poll the task with this number. The body is number 0.
    pub(crate) fn poll(&mut self, task: usize) -> Poll {
        self.decisions += 1;
        let holds = self.holds.as_mut();
        if holds.is_some_and(|holds| holds.hold(task, self.decisions, &mut self.rng)) {
            return Poll::Later;
        }
        let drawn = self.rng.u32(..16);
        let left = if drawn < self.later {
            return Poll::Later;
        } else if drawn < self.later + self.none {
            0
        } else if drawn < self.later + self.none + self.whole {
            return Poll::Plainly;
        } else {
            self.rng.usize(1..4)
        };
        if points::ARE_PRESENT && self.rng.u32(..16) < self.before {
            // A task that waits for an operation gets nowhere if it yields before that one again. One that begins
            // waits for none, and has to yield before its first one too.
            let ends_first = left == 0 && self.rng.u32(..16) < self.before;
            Poll::Before(left + usize::from(ends_first))
        } else {
            Poll::With(left)
        }
    }

    /// Decides what becomes of an operation that is polled.
    pub(crate) fn fate(&mut self) -> Fate {
        self.decisions += 1;
        self.fates.next()
    }

    /// Decides whether the next timer fires before a task is polled, by the index of [`ADVANCES`].
    pub(crate) fn timers_first(&mut self) -> usize {
        self.decisions += 1;
        self.early_timers.next()
    }

    /// Decides which of its branches a `select!` polls first, each with the same probability.
    #[cfg(straggler_instrumented)]
    pub(crate) fn first_branch(&mut self, branches: u32) -> usize {
        self.decisions += 1;
        self.rng.u32(..branches) as usize
    }

    /// Decides whether to deviate from the plain order, with probability one half.
    pub(crate) fn deviates(&mut self) -> bool {
        self.decisions += 1;
        self.rng.bool()
    }
}

/// Returns the position of the ready child with the highest priority. Draws those that are missing.
fn highest(of: &mut Numbered<Option<u64>>, ready: &[u32], rng: &mut Rng) -> usize {
    let priorities = ready.iter().map(|&child| {
        *of.entry(child as usize)
            .get_or_insert_with(|| rng.u64(1 << 32..))
    });
    let highest = priorities.enumerate().max_by_key(|(_, priority)| *priority);
    highest.map_or(0, |(position, _)| position)
}

/// The timers that fire early.
#[derive(Debug)]
struct EarlyTimers {
    rng: Rng,
    /// How many more may do so. A bug takes one or two, and with many more no timeout is ever met.
    left: u32,
    /// One poll in this many comes after a timer.
    one_in: u32,
}

impl EarlyTimers {
    fn draw(seed: u64) -> Self {
        // Other numbers than the strategy and the fates draw.
        let mut rng = Rng::with_seed(seed.rotate_left(32));
        Self {
            left: [0, 1, 1, 2][rng.usize(..4)],
            one_in: 1 << rng.u32(0..5),
            rng,
        }
    }

    fn next(&mut self) -> usize {
        if self.left == 0 || self.rng.u32(..self.one_in) > 0 {
            return 0;
        }
        self.left -= 1;
        self.rng.usize(1..ADVANCES.len())
    }
}

impl Holds {
    fn draw(rng: &mut Rng, change_points: usize, length: usize) -> Self {
        Self {
            longest: length.min(HELD),
            left: Numbered::default(),
            tasks: 0,
            change_points: draw_change_points(rng, change_points, length),
        }
    }

    /// Whether to hold a task back at this poll.
    fn hold(&mut self, task: usize, decisions: usize, rng: &mut Rng) -> bool {
        let longest = self.longest.max(1);
        // The body starts at once: it spawns the tasks that can get ahead of others.
        let drawn = || if task == 0 { 0 } else { rng.usize(..longest) };
        let left = self.left.entry(task);
        self.tasks += usize::from(left.is_none());
        let left = left.get_or_insert_with(drawn);
        if self.tasks == 1 {
            // Nothing else could run meanwhile.
            return false;
        }
        let due = self.change_points.last();
        if due.is_some_and(|due| *due <= decisions) {
            self.change_points.pop();
            *left = rng.usize(..longest);
        }
        let is_held = *left > 0;
        *left = left.saturating_sub(1);
        is_held
    }
}

/// Draws the decisions at which a strategy changes, the last first.
fn draw_change_points(rng: &mut Rng, count: usize, length: usize) -> Vec<usize> {
    let mut change_points: Vec<_> = (0..count).map(|_| rng.usize(..length.max(1))).collect();
    change_points.sort_unstable_by(|one, other| other.cmp(one));
    change_points
}

impl Choice {
    /// Priorities that drop `depth - 1` times. They find bugs of this depth: bugs that need that many
    /// ordering constraints between events.
    fn priorities(rng: &mut Rng, depth: usize, length: usize) -> Self {
        Self::Priorities {
            of: Numbered::default(),
            change_points: draw_change_points(rng, depth - 1, length),
        }
    }
}
