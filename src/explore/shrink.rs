//! Makes a failing schedule simpler: fewer forced yields, fewer switches.

use std::time::{Duration, Instant};

/// How many runs this may take, and how long: what remains then is the simplest that was found.
const RUNS: usize = 300;
const TIME: Duration = Duration::from_secs(2);

/// Returns the fewest of these changes to the plain order with which a run still fails, as far as they
/// are found in time. `fails` makes a run with some of them, and returns those that it made if it fails.
///
/// It leaves out ever smaller parts, as in Zeller and Hildebrandt, Simplifying and Isolating
/// Failure-Inducing Input (2002).
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
                Some(made) if made.len() < fewest.len() => {
                    fewest = made;
                    is_fewer = true;
                }
                _ => begin = end,
            }
        }
        // Once more with single ones as long as that helps: without one another may be needless.
        part = if part == 1 && is_fewer { 1 } else { part / 2 };
    }
    fewest
}

#[cfg(test)]
mod tests {
    use super::{RUNS, shrink};

    #[test]
    fn only_what_is_needed_is_left() {
        let needs = |changes: Vec<u32>| {
            let fails = changes.contains(&3) && changes.contains(&17);
            fails.then_some(changes)
        };
        assert_eq!(shrink((0..40).collect(), needs), [3, 17]);
    }

    #[test]
    fn if_nothing_is_needed_nothing_is_left() {
        let mut runs = 0;
        let fails = |changes: Vec<u32>| {
            runs += 1;
            Some(changes)
        };
        assert_eq!(shrink((0..40).collect(), fails), Vec::<u32>::new());
        assert_eq!(runs, 1);
    }

    #[test]
    fn what_was_made_counts_and_not_what_was_asked_for() {
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
    fn it_comes_to_an_end_however_long_a_schedule_is() {
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
