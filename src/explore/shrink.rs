//! Minimizes a failing schedule: fewer forced yields, fewer switches.

use std::time::{Duration, Instant};

/// The limits on runs and time. When one is reached, the smallest schedule so far is the result.
const RUNS: usize = 300;
const TIME: Duration = Duration::from_secs(2);

/// Removes changes to the plain order for as long as the run still fails, and returns the rest. `fails`
/// makes a run with the given changes. If the run fails, it returns the changes that the run made.
///
/// Removes ever smaller parts, as in Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing
/// Input (2002).
pub(crate) fn shrink<C: Clone>(
    changes: Vec<C>,
    mut fails: impl FnMut(Vec<C>) -> Option<Vec<C>>,
) -> Vec<C> {
    let started = Instant::now();
    let mut runs = 0;
    let mut fewest = changes;
    let mut part = fewest.len();
    while part > 0 {
        let mut begin = 0;
        let mut is_fewer = false;
        while begin < fewest.len() {
            if runs == RUNS || started.elapsed() >= TIME {
                return fewest;
            }
            runs += 1;
            let end = (begin + part).min(fewest.len());
            let without = [&fewest[..begin], &fewest[end..]].concat();
            match fails(without) {
                // A run may make fewer changes than it was given, if their positions are gone.
                Some(made) if made.len() < fewest.len() => {
                    fewest = made;
                    is_fewer = true;
                }
                _ => begin = end,
            }
        }
        // Repeat single removals while they help: without one change another may be needless too.
        part = if part == 1 && is_fewer { 1 } else { part / 2 };
    }
    fewest
}

#[cfg(test)]
mod tests {
    use super::{RUNS, shrink};

    #[test]
    fn shrink_keeps_needed_changes() {
        let needs = |changes: Vec<u32>| {
            let fails = changes.contains(&3) && changes.contains(&17);
            fails.then_some(changes)
        };
        assert_eq!(shrink((0..40).collect(), needs), [3, 17]);
    }

    #[test]
    fn shrink_removes_all_needless_changes() {
        let mut runs = 0;
        let fails = |changes: Vec<u32>| {
            runs += 1;
            Some(changes)
        };
        assert_eq!(shrink((0..40).collect(), fails), Vec::<u32>::new());
        assert_eq!(runs, 1);
    }

    #[test]
    fn shrink_uses_changes_the_run_made() {
        // Without the first change the others cannot be made.
        let fails = |changes: Vec<u32>| {
            let made = if changes.contains(&0) {
                changes
            } else {
                vec![]
            };
            Some(made)
        };
        assert_eq!(shrink(vec![0, 1, 2], fails), Vec::<u32>::new());
    }

    #[test]
    fn shrink_stops_at_run_limit() {
        let mut runs = 0;
        let fails = |_| {
            runs += 1;
            None
        };
        assert_eq!(
            shrink((0..10_000).collect::<Vec<u32>>(), fails).len(),
            10_000
        );
        assert_eq!(runs, RUNS);
    }
}
