//! The strategies by which the schedules of the runs are drawn, each from the seed of its run.
//!
//! No single one finds every bug: a few forced yields in the right places are found by chance, and
//! long runs of one child with a single switch are not. So each run draws one of a portfolio.

use fastrand::Rng;
use rustc_hash::FxHashMap;

/// How often a child may be preferred to the same others before it is passed over: it may
/// wait in a loop for what they do.
const IN_A_ROW: usize = 64;

/// How many of its polls a task may be held back for at the most.
const HELD: usize = 64;

/// How a task is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poll {
    /// As ever.
    Plainly,
    /// With so many units of budget.
    With(usize),
    /// Later: it goes to the end of the queue.
    Later,
}

/// How a strategy chooses among the children that could be polled.
#[derive(Debug)]
enum Choice {
    /// Any of them, with the same probability.
    Uniform,
    /// Mostly the one that was polled before.
    LongRuns,
    /// That of the highest priority. It is lowered at a few points in time, drawn beforehand.
    ///
    /// Burckhardt, Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with Probabilistic
    /// Guarantees of Finding Bugs (ASPLOS 2010).
    Priorities {
        /// Of children, by the numbers of their combinators and their indices.
        of: FxHashMap<(u32, u32), u64>,
        /// The decisions at which it is lowered, the last first.
        change_points: Vec<usize>,
    },
}

/// How a strategy holds tasks back, each for so many of its polls that others can come far ahead. That
/// it is put off once in a while at random does not do that.
#[derive(Debug)]
struct Holds {
    /// For how many polls at the most.
    longest: usize,
    /// For how many more polls each task is held back that was polled.
    left: FxHashMap<usize, usize>,
    /// The decisions at which a task is held back anew, the last first.
    change_points: Vec<usize>,
}

/// A strategy with what it has drawn so far.
#[derive(Debug)]
pub(crate) struct Strategy {
    rng: Rng,
    choice: Choice,
    /// How likely a poll of a task gets its whole budget, and how likely none, in sixteenths.
    whole: u32,
    none: u32,
    /// How likely it is put off, in sixteenths.
    later: u32,
    /// `None` if no task is held back for longer.
    holds: Option<Holds>,
    decisions: usize,
    /// The child of each combinator that was polled last, and how often in a row while others could
    /// have been.
    last: FxHashMap<u32, (u32, usize)>,
}

impl Strategy {
    /// Draws a strategy for a run that is about `length` decisions long.
    pub(crate) fn draw(seed: u64, length: usize) -> Self {
        let mut rng = Rng::with_seed(seed);
        let (choice, whole, none, later) = match rng.u32(..16) {
            0..5 => (Choice::Uniform, 3, 4, 1),
            5..7 => (Choice::priorities(&mut rng, 2, length), 2, 4, 1),
            7..9 => (Choice::priorities(&mut rng, 3, length), 2, 4, 1),
            9..12 => (Choice::LongRuns, 11, 2, 1),
            12..14 => (Choice::Uniform, 2, 9, 0),
            _ => (Choice::Uniform, 12, 1, 4),
        };
        let change_points = match choice {
            Choice::Uniform => None,
            Choice::LongRuns => Some(0),
            Choice::Priorities {
                ref change_points, ..
            } => Some(change_points.len()),
        };
        let holds = change_points.map(|count| Holds::draw(&mut rng, count, length));
        Self {
            rng,
            choice,
            whole,
            none,
            later,
            holds,
            decisions: 0,
            last: FxHashMap::default(),
        }
    }

    /// Chooses one of the children of a combinator that could be polled, of which there is at least one.
    pub(crate) fn choose(&mut self, combinator: u32, ready: &[u32]) -> usize {
        self.decisions += 1;
        let last = self.last.get(&combinator).copied();
        let is_last = |child: u32| last.is_some_and(|(last, _)| last == child);
        let mut chosen = self.prefer(
            combinator,
            ready,
            ready.iter().position(|&child| is_last(child)),
        );
        let in_a_row = last.map_or(0, |(_, in_a_row)| in_a_row);
        if in_a_row >= IN_A_ROW && is_last(ready[chosen]) {
            chosen = self.rng.usize(..ready.len());
        }
        let is_same = is_last(ready[chosen]) && ready.len() > 1;
        let in_a_row = if is_same { in_a_row + 1 } else { 0 };
        self.last.insert(combinator, (ready[chosen], in_a_row));
        chosen
    }

    fn prefer(&mut self, combinator: u32, ready: &[u32], last: Option<usize>) -> usize {
        match &mut self.choice {
            Choice::Uniform => self.rng.usize(..ready.len()),
            Choice::LongRuns => match last {
                Some(last) if self.rng.u32(..16) < 14 => last,
                _ => self.rng.usize(..ready.len()),
            },
            Choice::Priorities { of, change_points } => {
                let rng = &mut self.rng;
                let highest = |of: &mut FxHashMap<_, u64>, rng: &mut Rng| {
                    let priorities = ready.iter().map(|&child| {
                        let drawn = || rng.u64(1 << 32..);
                        *of.entry((combinator, child)).or_insert_with(drawn)
                    });
                    let highest = priorities.enumerate().max_by_key(|(_, priority)| *priority);
                    highest.map_or(0, |(index, _)| index)
                };
                let chosen = highest(of, rng);
                let is_due = change_points
                    .last()
                    .is_some_and(|due| *due <= self.decisions);
                if !is_due {
                    return chosen;
                }
                // Each is lowered below all that were lowered before.
                of.insert((combinator, ready[chosen]), change_points.len() as u64);
                change_points.pop();
                highest(of, rng)
            }
        }
    }

    /// Decides how the task of this number is polled. The body is number 0.
    pub(crate) fn poll(&mut self, task: usize) -> Poll {
        self.decisions += 1;
        let holds = self.holds.as_mut();
        if holds.is_some_and(|holds| holds.hold(task, self.decisions, &mut self.rng)) {
            return Poll::Later;
        }
        let drawn = self.rng.u32(..16);
        if drawn < self.later {
            Poll::Later
        } else if drawn < self.later + self.none {
            Poll::With(0)
        } else if drawn < self.later + self.none + self.whole {
            Poll::Plainly
        } else {
            Poll::With(self.rng.usize(1..4))
        }
    }

    /// Decides whether something happens that happens in no plain order, every other time.
    pub(crate) fn deviates(&mut self) -> bool {
        self.decisions += 1;
        self.rng.bool()
    }
}

impl Holds {
    fn draw(rng: &mut Rng, change_points: usize, length: usize) -> Self {
        Self {
            longest: length.min(HELD),
            left: FxHashMap::default(),
            change_points: draw_change_points(rng, change_points, length),
        }
    }

    /// Whether a task is held back at this poll.
    fn hold(&mut self, task: usize, decisions: usize, rng: &mut Rng) -> bool {
        let longest = self.longest.max(1);
        // Without the body there is nothing to be ahead of at first.
        let drawn = || if task == 0 { 0 } else { rng.usize(..longest) };
        let others = self.left.len() - usize::from(self.left.contains_key(&task));
        let left = self.left.entry(task).or_insert_with(drawn);
        if others == 0 {
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

/// The decisions at which something changes, the last first.
fn draw_change_points(rng: &mut Rng, count: usize, length: usize) -> Vec<usize> {
    let mut change_points: Vec<_> = (0..count).map(|_| rng.usize(..length.max(1))).collect();
    change_points.sort_unstable_by(|one, other| other.cmp(one));
    change_points
}

impl Choice {
    /// Priorities that are lowered `depth - 1` times, so that bugs of this depth can be found: those
    /// that need so many orders between two events.
    fn priorities(rng: &mut Rng, depth: usize, length: usize) -> Self {
        Self::Priorities {
            of: FxHashMap::default(),
            change_points: draw_change_points(rng, depth - 1, length),
        }
    }
}
