//! Minimizes a failing schedule: fewer forced yields, fewer switches.

use std::time::{Duration, Instant};

/// The limits on runs and time. When one is reached, the smallest schedule so far is the result. The time is for bodies
/// whose runs are slow: most are done in milliseconds, and a machine under load must not make a report longer.
const RUNS: usize = 1_000;
const TIME: Duration = Duration::from_secs(10);

/// The part of both for schedules of a single decision. A long run has thousands of them.
const SINGLES: u32 = 2;

/// Up to how many changes other choices are tried for: those of each change, or of the ones beside a removed change.
const EVERYWHERE: usize = 4;
const NEARBY: usize = 8;

/// A decision other than the plain one: its position and the choice.
pub(crate) type Change = (usize, u32);

/// What a run with given changes showed.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// Whether it failed in the same way.
    pub(crate) fails: bool,
    /// The changes that it made. It may make fewer than it was given, if their positions are gone.
    pub(crate) made: Vec<Change>,
    /// How many choices it had at each position.
    pub(crate) choices: Vec<u32>,
}

/// Removes changes to the plain order for as long as the run still fails, and returns the rest. `run`
/// makes a run with the given changes.
///
/// First tries every schedule with a single change: most bugs need no more. Then removes ever smaller
/// parts, as in Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input (2002). At last tries
/// whether one of a few changes is needless if another one is a different choice.
pub(crate) fn shrink(changes: Vec<Change>, run: impl FnMut(Vec<Change>) -> Tried) -> Vec<Change> {
    let mut search = Search {
        fewest: changes,
        choices: Vec::new(),
        started: Instant::now(),
        runs: 0,
        run,
    };
    search.try_singles();
    search.remove_parts();
    search.choose_others();
    search.fewest
}

struct Search<R> {
    /// The smallest failing schedule so far.
    fewest: Vec<Change>,
    /// How many choices it had at each position. Empty if it was not run.
    choices: Vec<u32>,
    started: Instant,
    runs: usize,
    run: R,
}

impl<R: FnMut(Vec<Change>) -> Tried> Search<R> {
    /// Whether less than the `part`th part of the runs and of the time has been used.
    fn has_time(&self, part: u32) -> bool {
        self.runs < RUNS / part as usize && self.started.elapsed() < TIME / part
    }

    /// Makes a run, and keeps its changes if it fails with fewer.
    fn try_with(&mut self, changes: Vec<Change>) -> (bool, Tried) {
        self.runs += 1;
        let tried = (self.run)(changes);
        let is_fewer = tried.fails && tried.made.len() < self.fewest.len();
        if is_fewer {
            self.fewest.clone_from(&tried.made);
            self.choices.clone_from(&tried.choices);
        }
        (is_fewer, tried)
    }

    /// Tries no change, then each single one.
    fn try_singles(&mut self) {
        if self.fewest.is_empty() {
            return;
        }
        let (fails, without) = self.try_with(Vec::new());
        // Before its change, a run with a single one has the choices of the run without any.
        for (position, choices) in without.choices.into_iter().enumerate() {
            for choice in 1..choices {
                if fails || self.fewest.len() <= 1 || !self.has_time(SINGLES) {
                    return;
                }
                self.try_with(vec![(position, choice)]);
            }
        }
    }

    /// Removes parts, half as large each time, and then small parts for as long as that helps: without
    /// one change another may be needless too.
    fn remove_parts(&mut self) {
        let mut part = self.fewest.len();
        while part > 2 {
            self.remove(part);
            part = (part / 2).min(self.fewest.len());
        }
        while self.fewest.len() > 1 && (self.remove(1) || self.remove(2)) {}
        if self.fewest.len() == 1 {
            self.remove(1);
        }
    }

    /// Removes each of a few changes that is not needed if another one is a different choice.
    fn choose_others(&mut self) {
        while (2..=NEARBY).contains(&self.fewest.len()) && self.has_time(1) {
            if self.choices.is_empty() {
                self.runs += 1;
                self.choices = (self.run)(self.fewest.clone()).choices;
            }
            if !self.choose_other() {
                return;
            }
        }
    }

    /// Tries each single removal with each other choice of a change that is left. Of more than a few changes only
    /// those beside the removed one: a poll that goes further makes up for a yield before or after it.
    fn choose_other(&mut self) -> bool {
        let fewest = self.fewest.clone();
        for removed in 0..fewest.len() {
            for earlier in shifts(&fewest, removed, removed + 1) {
                let rest = without(&fewest, removed, removed + 1, earlier);
                let indices = match fewest.len() {
                    ..=EVERYWHERE => 0..rest.len(),
                    _ => removed.saturating_sub(1)..rest.len().min(removed + 1),
                };
                for index in indices {
                    match self.choose_other_at(&rest, index) {
                        None => return false,
                        Some(true) => return true,
                        Some(false) => {}
                    }
                }
            }
        }
        false
    }

    /// Tries each other choice of one change. `None` if there is no time left.
    fn choose_other_at(&mut self, changes: &[Change], index: usize) -> Option<bool> {
        let (position, current) = changes[index];
        let choices = self.choices.get(position).copied().unwrap_or_default();
        for choice in (1..choices).filter(|choice| *choice != current) {
            if !self.has_time(1) {
                return None;
            }
            let mut other = changes.to_vec();
            other[index] = (position, choice);
            if self.try_with(other).0 {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Removes each part of this length that is not needed, and returns whether there was any.
    fn remove(&mut self, length: usize) -> bool {
        let mut begin = 0;
        let mut has_removed = false;
        while begin < self.fewest.len() {
            let end = (begin + length).min(self.fewest.len());
            match self.remove_at(begin, end) {
                None => return has_removed,
                Some(true) => has_removed = true,
                // Small parts overlap, so that each pair of neighbours is tried.
                Some(false) if length <= 2 => begin += 1,
                Some(false) => begin = end,
            }
        }
        has_removed
    }

    /// Removes the changes from `begin` to `end` if the run still fails, perhaps with the later ones moved
    /// to the front. `None` if there is no time left.
    fn remove_at(&mut self, begin: usize, end: usize) -> Option<bool> {
        let fewest = self.fewest.clone();
        for earlier in shifts(&fewest, begin, end) {
            if !self.has_time(1) {
                return None;
            }
            if self.try_with(without(&fewest, begin, end, earlier)).0 {
                return Some(true);
            }
        }
        Some(false)
    }
}

/// The changes without a part, and the later ones moved to the front by this much.
fn without(changes: &[Change], begin: usize, end: usize, earlier: usize) -> Vec<Change> {
    let moved = changes[end..]
        .iter()
        .map(|&(position, choice)| (position - earlier, choice));
    changes[..begin].iter().copied().chain(moved).collect()
}

/// By how much the changes after a removed part may move to the front.
///
/// A task that yields is polled once more, which takes a decision, or two in a join. Without the yield
/// all later decisions come that much earlier.
fn shifts(changes: &[Change], begin: usize, end: usize) -> Vec<usize> {
    let Some(&(next, _)) = changes.get(end) else {
        return vec![0];
    };
    let (removed, first) = (end - begin, changes[begin].0);
    let mut shifts = vec![0, removed, 2 * removed, next - first];
    // The positions must stay in order.
    let free = match begin.checked_sub(1) {
        Some(before) => next - changes[before].0 - 1,
        None => next,
    };
    shifts.retain(|shift| *shift <= free);
    shifts.sort_unstable();
    shifts.dedup();
    shifts
}

#[cfg(test)]
mod tests {
    use super::{Change, RUNS, Tried, shifts, shrink};

    fn changes(positions: impl IntoIterator<Item = usize>) -> Vec<Change> {
        positions
            .into_iter()
            .map(|position| (position, 1))
            .collect()
    }

    fn tried(fails: bool, made: Vec<Change>) -> Tried {
        let choices = Vec::new();
        Tried {
            fails,
            made,
            choices,
        }
    }

    #[test]
    fn shrink_keeps_needed_changes() {
        let run = |made: Vec<Change>| {
            let fails = made.contains(&(3, 1)) && made.contains(&(17, 1));
            tried(fails, made)
        };
        assert_eq!(shrink(changes(0..40), run), changes([3, 17]));
    }

    #[test]
    fn shrink_removes_all_needless_changes() {
        let mut runs = 0;
        let run = |made| {
            runs += 1;
            tried(true, made)
        };
        assert_eq!(shrink(changes(0..40), run), []);
        assert_eq!(runs, 1);
    }

    #[test]
    fn shrink_uses_changes_the_run_made() {
        // Without the first change the others cannot be made. Without any the run passes.
        let run = |given: Vec<Change>| {
            let made = match given.first() {
                Some((0, _)) => given,
                _ => changes([9]),
            };
            tried(made.len() > 1 || made == [(9, 1)], made)
        };
        assert_eq!(shrink(changes(0..3), run), changes([9]));
    }

    #[test]
    fn shrink_finds_single_change_elsewhere() {
        let run = |made: Vec<Change>| Tried {
            fails: made == [(2, 3)] || made == changes([5, 7, 9]),
            made,
            choices: vec![2, 6, 4],
        };
        assert_eq!(shrink(changes([5, 7, 9]), run), [(2, 3)]);
    }

    #[test]
    fn shrink_makes_other_choices() {
        let run = |made: Vec<Change>| Tried {
            fails: made == [(2, 1), (3, 3)] || made == [(1, 1), (2, 1), (3, 4)],
            made,
            choices: vec![2, 2, 2, 6],
        };
        assert_eq!(shrink(vec![(1, 1), (2, 1), (3, 4)], run), [(2, 1), (3, 3)]);
    }

    #[test]
    fn shrink_makes_other_choice_beside_removed_change() {
        let long = changes([1, 3, 5, 7, 9, 11]);
        // One poll that goes further in place of two, and all later ones two decisions earlier.
        let short = [&[(1, 3)], &changes([3, 5, 7, 9])[..]].concat();
        let run = |made: Vec<Change>| Tried {
            fails: made == long || made == short,
            made,
            choices: vec![6; 12],
        };
        assert_eq!(shrink(long.clone(), run), short);
    }

    #[test]
    fn shrink_moves_later_changes_to_front() {
        // Each yield takes two decisions, and only the last two changes matter.
        let run = |made: Vec<Change>| {
            let yields = made.len().saturating_sub(2);
            let fails =
                made.len() >= 2 && made[yields..] == changes([2 * yields + 1, 2 * yields + 4]);
            tried(fails, made)
        };
        assert_eq!(shrink(changes([0, 2, 4, 7, 10]), run), changes([1, 4]));
    }

    #[test]
    fn shifts_keep_order() {
        assert_eq!(shifts(&changes([0, 2, 9]), 1, 2), [0, 1, 2, 7]);
        assert_eq!(shifts(&changes([1, 2, 3]), 1, 2), [0, 1]);
        assert_eq!(shifts(&changes([1, 2, 3]), 2, 3), [0]);
    }

    #[test]
    fn shrink_stops_at_run_limit() {
        let mut runs = 0;
        let run = |_| {
            runs += 1;
            Tried::default()
        };
        assert_eq!(shrink(changes(0..10_000), run).len(), 10_000);
        assert_eq!(runs, RUNS);
    }
}
