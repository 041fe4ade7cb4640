//! What `cargo straggler explore` asks of the tests, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::ExploreOptions;
use crate::findings::line::{At, Exploration, Line};
use crate::findings::place::Test;
use crate::output::repository::Repository;
use crate::output::wording::{count, first, plain};

/// How a suite is explored.
#[derive(Debug)]
pub(crate) struct Exploring {
    /// The command, without the name of a test.
    command: String,
    runs: usize,
    shard: Option<String>,
    spawns_eagerly: bool,
}

impl ExploreOptions {
    pub(crate) fn exploring(&self) -> Exploring {
        // A seed means something else without it.
        let eager_spawns = if self.eager_spawns {
            " --eager-spawns"
        } else {
            ""
        };
        Exploring {
            command: format!(
                "cargo straggler explore{eager_spawns}{}",
                self.test.of_build()
            ),
            runs: self.runs.get(),
            shard: self.shard.clone(),
            spawns_eagerly: self.eager_spawns,
        }
    }
}

impl Exploring {
    /// The variables that the tests read.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("STRAGGLER_EXPLORE", self.runs.to_string()),
            ("STRAGGLER_RERUN", self.command.clone()),
        ];
        if let Some(shard) = &self.shard {
            variables.push(("STRAGGLER_SHARD", shard.clone()));
        }
        if self.spawns_eagerly {
            variables.push(("STRAGGLER_EAGER_SPAWNS", "true".to_owned()));
        }
        variables
    }
}

/// What became of the tests. Those of different files may have the same name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Explored {
    /// The tests that passed in every run.
    pub(crate) passed: BTreeSet<Test>,
    /// The schedules that failed. A test has several if machines share the schedules.
    pub(crate) failed: Vec<Failed>,
    /// The tests that could not be explored, by the reason.
    pub(crate) unexplored: BTreeMap<String, BTreeSet<Test>>,
}

/// A schedule of a test that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) test: Test,
    /// The place of the first panic, if there is one.
    pub(crate) panicked_at: Option<At>,
    /// The first of these places that is in the repository.
    pub(crate) in_repository: Option<At>,
    pub(crate) exploration: Exploration,
    pub(crate) message: Option<String>,
}

impl Failed {
    fn new(test: Test, line: &Line, exploration: &Exploration, repository: &Repository) -> Self {
        let findings = || line.findings.iter();
        let panicked_at = findings().find_map(|found| found.panicked_at.clone());
        Self {
            in_repository: repository.first(panicked_at.iter().chain([&test.at])),
            test,
            panicked_at,
            exploration: exploration.clone(),
            message: findings().find_map(|found| found.message.as_deref().map(plain)),
        }
    }

    /// What is wrong.
    pub(crate) fn title(&self) -> String {
        let Exploration { runs, run, .. } = &self.exploration;
        let run = run.unwrap_or_default();
        format!("{} fails in run {run} of {runs}", self.test.name)
    }

    /// The command that runs the schedule again.
    pub(crate) fn replay(&self) -> Option<&str> {
        self.exploration.replay.as_deref()
    }
}

impl Explored {
    /// Reads what became of the tests from the lines of a report.
    pub(crate) fn of(lines: &[Line], repository: &Repository) -> Self {
        let mut explored = Self::default();
        for line in lines {
            let Some(name) = line.test.clone() else {
                continue;
            };
            let test = Test {
                name,
                at: line.at.clone(),
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
        let note = |(reason, tests): (&String, &BTreeSet<Test>)| {
            let names = first(tests.iter().map(|test| &*test.name));
            format!("{} not explored: {reason}: {names}", tests.len())
        };
        unexplored.map(note).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Explored;
    use crate::output::repository::Repository;

    #[test]
    fn tests_of_two_files_may_have_one_name() {
        let passed = json!({"runs": 50});
        let failed = json!({"runs": 50, "run": 3, "seed": "2:5/9bc7"});
        let line = |name: &str, file: &str, explored: &Value, not_explored: Value| {
            let line = json!({"test": name, "file": file, "line": 4, "verdict": "clean", "findings": [],
                "explored": explored, "not_explored": not_explored});
            serde_json::from_value(line).unwrap()
        };
        let lines = [
            line("closes", "tests/managed.rs", &failed, Value::Null),
            line("closes", "tests/unmanaged.rs", &passed, Value::Null),
            line("opens", "tests/managed.rs", &passed, Value::Null),
            line("opens", "tests/unmanaged.rs", &passed, Value::Null),
            line(
                "waits",
                "tests/managed.rs",
                &Value::Null,
                json!("it sleeps"),
            ),
            line(
                "waits",
                "tests/unmanaged.rs",
                &Value::Null,
                json!("it sleeps"),
            ),
        ];
        let explored = Explored::of(&lines, &Repository::around("/work".into()));
        assert_eq!(explored.failed.len(), 1);
        assert_eq!(explored.headline(), "4 tests explored, 1 failed");
        assert_eq!(
            explored.notes(),
            ["2 not explored: it sleeps: waits, waits"]
        );
    }
}
