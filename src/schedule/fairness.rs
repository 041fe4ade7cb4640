//! Bounds how often in a row something that can run is passed over.
//!
//! A body may spin until another task has run. If that task could be passed over for ever, the body would have
//! schedules that never end.

use rustc_hash::FxHashMap;

/// How often in a row whatever can run is passed over at most.
pub(crate) const PASSED_OVER: usize = 16;

/// How often in a row each child and task was passed over.
#[derive(Debug, Default)]
pub(crate) struct Fairness {
    /// By the number of the combinator, and the index of the child. Tasks are children of number 0.
    passed: FxHashMap<(u32, usize), usize>,
    /// Whether the bound has ruled out a choice.
    pub(crate) has_ruled_out: bool,
}

impl Fairness {
    /// Returns the positions that may be chosen of those that can run.
    pub(crate) fn candidates(&mut self, combinator: u32, ready: &[usize]) -> Vec<usize> {
        let is_due = |index: usize| {
            let passed = self.passed.get(&(combinator, index));
            passed.is_some_and(|times| *times >= PASSED_OVER)
        };
        let due: Vec<_> = (0..ready.len()).filter(|at| is_due(ready[*at])).collect();
        if due.is_empty() {
            return (0..ready.len()).collect();
        }
        self.has_ruled_out |= due.len() < ready.len();
        due
    }

    /// Notes which of those that can run was chosen, by position.
    pub(crate) fn note(&mut self, combinator: u32, ready: &[usize], chosen: usize) {
        for (position, index) in ready.iter().enumerate() {
            let passed = self.passed.entry((combinator, *index)).or_default();
            *passed = if position == chosen { 0 } else { *passed + 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fairness, PASSED_OVER};

    #[test]
    fn nobody_is_passed_over_for_ever() {
        let mut fairness = Fairness::default();
        for _ in 0..PASSED_OVER {
            assert_eq!(fairness.candidates(1, &[4, 7, 9]), [0, 1, 2]);
            assert!(!fairness.has_ruled_out);
            fairness.note(1, &[4, 7, 9], 0);
        }
        assert_eq!(fairness.candidates(1, &[4, 7, 9]), [1, 2]);
        assert_eq!(fairness.candidates(2, &[4, 7, 9]), [0, 1, 2]);
        assert!(fairness.has_ruled_out);
        fairness.note(1, &[4, 7, 9], 1);
        assert_eq!(fairness.candidates(1, &[4, 7, 9]), [2]);
        fairness.note(1, &[4, 7, 9], 2);
        assert_eq!(fairness.candidates(1, &[4, 7, 9]), [0, 1, 2]);
    }
}
