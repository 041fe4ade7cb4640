//! What `cargo straggler explore` asks of the tests, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::ExploreOptions;
use crate::findings::line::{At, Exploration, Line};
use crate::output::repository::Repository;
use crate::output::wording::{count, first, plain};

/// How a suite is explored.
#[derive(Debug)]
pub(crate) struct Exploring {
    runs: usize,
    shard: Option<String>,
}

impl ExploreOptions {
    pub(crate) fn exploring(&self) -> Exploring {
        Exploring {
            runs: self.runs.get(),
            shard: self.shard.clone(),
        }
    }
}

impl Exploring {
    /// The variables that the tests read.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("STRAGGLER_EXPLORE", self.runs.to_string()),
            ("STRAGGLER_RERUN", "cargo straggler explore".to_owned()),
        ];
        if let Some(shard) = &self.shard {
            variables.push(("STRAGGLER_SHARD", shard.clone()));
        }
        variables
    }
}

/// What became of the tests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Explored {
    /// The tests that passed in every run.
    pub(crate) passed: BTreeSet<String>,
    /// The schedules that failed. A test has several if machines share the schedules.
    pub(crate) failed: Vec<Failed>,
    /// The tests that could not be explored, by the reason.
    pub(crate) unexplored: BTreeMap<String, BTreeSet<String>>,
}

/// A schedule of a test that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) test: String,
    /// The place of the test.
    pub(crate) at: At,
    /// The place of the first panic, if there is one.
    pub(crate) panicked_at: Option<At>,
    /// The first of these places that is in the repository.
    pub(crate) in_repository: Option<At>,
    pub(crate) exploration: Exploration,
    pub(crate) message: Option<String>,
}

impl Failed {
    fn new(test: String, line: &Line, exploration: &Exploration, repository: &Repository) -> Self {
        let findings = || line.findings.iter();
        let panicked_at = findings().find_map(|found| found.panicked_at.clone());
        Self {
            test,
            at: line.at.clone(),
            in_repository: repository.first(panicked_at.iter().chain([&line.at])),
            panicked_at,
            exploration: exploration.clone(),
            message: findings().find_map(|found| found.message.as_deref().map(plain)),
        }
    }

    /// What is wrong.
    pub(crate) fn title(&self) -> String {
        let Exploration { runs, run, .. } = &self.exploration;
        let run = run.unwrap_or_default();
        format!("{} fails in run {run} of {runs}", self.test)
    }

    /// The command that runs the schedule again.
    pub(crate) fn replay(&self) -> Option<String> {
        let (seed, test) = (self.exploration.seed.as_ref()?, &self.test);
        Some(format!(
            "STRAGGLER_SEED={seed} cargo straggler explore {test} -- --exact"
        ))
    }
}

impl Explored {
    /// Reads what became of the tests from the lines of a report.
    pub(crate) fn of(lines: &[Line], repository: &Repository) -> Self {
        let mut explored = Self::default();
        for line in lines {
            let Some(test) = line.test.clone() else {
                continue;
            };
            match (&line.explored, &line.not_explored) {
                (Some(exploration), _) if exploration.run.is_some() => {
                    let failed = Failed::new(test, line, exploration, repository);
                    explored.failed.push(failed);
                }
                (Some(_), _) => _ = explored.passed.insert(test),
                (None, Some(reason)) => {
                    let tests = explored.unexplored.entry(reason.clone()).or_default();
                    tests.insert(test);
                }
                (None, None) => {}
            }
        }
        explored
            .failed
            .sort_by(|one, other| one.test.cmp(&other.test));
        // Another machine may have found what this one did not.
        for failed in &explored.failed {
            explored.passed.remove(&failed.test);
        }
        explored
    }

    /// Whether no test was asked to run in several schedules.
    pub(crate) fn is_empty(&self) -> bool {
        self.passed.is_empty() && self.failed.is_empty() && self.unexplored.is_empty()
    }

    /// How many tests were explored.
    pub(crate) fn headline(&self) -> String {
        let failed: BTreeSet<_> = self.failed.iter().map(|failed| &failed.test).collect();
        let explored = count(self.passed.len() + failed.len(), "test");
        format!("{explored} explored, {} failed", failed.len())
    }

    /// Which tests could not be explored, a line for each reason.
    pub(crate) fn notes(&self) -> Vec<String> {
        let unexplored = self.unexplored.iter();
        let note = |(reason, tests): (&String, &BTreeSet<String>)| {
            let names = first(tests.iter().map(|test| &**test));
            format!("{} not explored: {reason}: {names}", tests.len())
        };
        unexplored.map(note).collect()
    }
}
