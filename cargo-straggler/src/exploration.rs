//! What `cargo straggler explore` asks of the tests, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anstyle::{AnsiColor, Style};

use crate::cli::ExploreOptions;
use crate::findings::line::{Exploration, Line};

/// How many tests that could not be explored are named.
const NAMED_TESTS: usize = 3;

const WRONG: Style = AnsiColor::Red.on_default().bold();
const STRONG: Style = Style::new().bold();

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

/// What became of the tests. `Display` writes it with colors.
#[derive(Debug, Default)]
pub(crate) struct Explored {
    /// The tests that passed in every run.
    passed: BTreeSet<String>,
    failed: Vec<Failed>,
    /// The tests that could not be explored, by the reason.
    unexplored: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug)]
struct Failed {
    test: String,
    exploration: Exploration,
    message: Option<String>,
}

impl Explored {
    /// Reads what became of the tests from the lines of a report.
    pub(crate) fn of(lines: &[Line]) -> Self {
        let mut explored = Self::default();
        for line in lines {
            let Some(test) = line.test.clone() else {
                continue;
            };
            match (&line.explored, &line.not_explored) {
                (Some(exploration), _) if exploration.run.is_some() => {
                    let message = line.findings.iter().find_map(|found| found.message.clone());
                    explored.failed.push(Failed {
                        test,
                        exploration: exploration.clone(),
                        message,
                    });
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
        explored
    }
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Failed {
            test,
            exploration,
            message,
        } in &self.failed
        {
            let Exploration { runs, run, seed } = exploration;
            let run = run.unwrap_or_default();
            writeln!(
                f,
                "\n{WRONG}schedule{WRONG:#}{STRONG}: {test} fails in run {run} of {runs}{STRONG:#}"
            )?;
            if let Some(line) = message
                .as_deref()
                .and_then(|message| message.lines().next())
            {
                writeln!(f, "  message: {line}")?;
            }
            if let Some(seed) = seed {
                writeln!(
                    f,
                    "  replay: STRAGGLER_SEED={seed} cargo straggler explore {test} -- --exact"
                )?;
            }
        }
        let number = self.passed.len() + self.failed.len();
        let plural = if number == 1 { "" } else { "s" };
        writeln!(
            f,
            "{STRONG}straggler:{STRONG:#} {number} test{plural} explored, {} failed",
            self.failed.len()
        )?;
        for (reason, tests) in &self.unexplored {
            let named: Vec<_> = tests.iter().map(|test| &**test).take(NAMED_TESTS).collect();
            let more = match tests.len() - named.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            writeln!(
                f,
                "  {} not explored: {reason}: {}{more}",
                tests.len(),
                named.join(", ")
            )?;
        }
        Ok(())
    }
}
