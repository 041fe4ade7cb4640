//! The findings of all tests, by place.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::findings::line::{At, Finding, Line};
use crate::findings::sources::Sources;

/// What is wrong at a place.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The test does not end, or too late.
    Hang,
    /// A task panicked.
    Panic,
    /// A task outlives the test.
    Leak,
    /// A `spawn_blocking` closure outlives the test.
    Blocking,
    /// A lock is still held.
    Lock,
    /// A thread outlives the test.
    Thread,
    /// The check could not do its work.
    Check,
}

/// A place, with everything that was found there.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// Where it comes from: of a task, the spawn.
    pub(crate) at: At,
    /// The function around the place.
    pub(crate) function: Option<String>,
    /// The dependency that the place is in.
    pub(crate) package: Option<String>,
    /// The first finding, which stands for the others.
    pub(crate) example: Finding,
    /// What each test has here.
    pub(crate) tests: BTreeMap<Test, InTest>,
}

/// What a test has at a place.
#[derive(Debug)]
pub(crate) struct InTest {
    /// How many findings, at most: the test may run several times.
    pub(crate) count: usize,
    /// The first finding, which stands for the others.
    pub(crate) example: Finding,
}

/// A test, as test runners name it, and its file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) at: At,
}

/// What the checks of a suite found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The tests that were checked.
    pub(crate) checked: BTreeSet<Test>,
    /// The tests that ran without a check, since a setting says so.
    pub(crate) skipped: BTreeSet<Test>,
    /// The place that concerns most tests first.
    pub(crate) places: Vec<Place>,
    /// The checked tests that failed by themselves: what they left is a consequence.
    pub(crate) failed: BTreeSet<Test>,
    /// For how long all checks together waited in vain.
    pub(crate) waited_ms: u64,
}

impl Kind {
    /// The word for the kind, in summaries and in baselines.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Hang => "hang",
            Self::Panic => "panic",
            Self::Leak => "leak",
            Self::Blocking => "blocking",
            Self::Lock => "lock",
            Self::Thread => "thread",
            Self::Check => "check",
        }
    }

    /// The kind of a finding in a report.
    fn of(finding: &Finding) -> Self {
        match &*finding.kind {
            "hang" | "deadlock" | "late" | "stuck" => Self::Hang,
            "panic" | "body_panic" | "body_error" => Self::Panic,
            "task" | "unseen_tasks" => Self::Leak,
            "blocking" | "unseen_blocking" => Self::Blocking,
            "lock" => Self::Lock,
            "thread" => Self::Thread,
            // Those of a straggler newer than this command need attention too.
            _ => Self::Check,
        }
    }
}

impl Found {
    /// Sorts the lines of a report by place.
    pub(crate) fn by_place(lines: Vec<Line>, sources: &Sources) -> Self {
        let (mut checked, mut failed) = (BTreeSet::new(), BTreeSet::new());
        let mut skipped = BTreeSet::new();
        let mut waited_ms = 0;
        let mut places: BTreeMap<(Kind, At), Place> = BTreeMap::new();
        for line in lines {
            waited_ms += line.waited_ms.unwrap_or_default();
            let name = line
                .test
                .unwrap_or_else(|| "a check without a name".to_owned());
            let test = Test { name, at: line.at };
            if line.verdict == "skipped" {
                skipped.insert(test);
                continue;
            }
            checked.insert(test.clone());
            // A schedule of the test failed, not the test.
            if line.explored.is_some_and(|explored| explored.run.is_some()) {
                continue;
            }
            if ["panicked", "returned_error", "did_not_panic"].contains(&&*line.verdict) {
                failed.insert(test);
                continue;
            }
            if line.expected {
                continue;
            }
            // While a test hangs, its tasks are alive of course.
            let is_hang = line
                .findings
                .iter()
                .any(|finding| Kind::of(finding) == Kind::Hang);
            let mut of_line: BTreeMap<_, InTest> = BTreeMap::new();
            for finding in line.findings {
                let kind = Kind::of(&finding);
                if is_hang && kind != Kind::Hang && kind != Kind::Panic {
                    continue;
                }
                let at = place_of(&finding);
                let in_test = of_line.entry((kind, at.clone())).or_insert(InTest {
                    count: 0,
                    example: finding.clone(),
                });
                in_test.count += finding.count;
                places.entry((kind, at.clone())).or_insert_with(|| Place {
                    kind,
                    function: function(&at, sources),
                    package: at
                        .file
                        .as_deref()
                        .and_then(|file| sources.package(file))
                        .map(str::to_owned),
                    at,
                    example: finding,
                    tests: BTreeMap::new(),
                });
            }
            for (key, of_line) in of_line {
                if let Some(place) = places.get_mut(&key) {
                    let count = of_line.count;
                    let in_test = place.tests.entry(test.clone()).or_insert(of_line);
                    in_test.count = in_test.count.max(count);
                }
            }
        }
        let mut places: Vec<_> = places.into_values().collect();
        places.sort_by_key(|place| Reverse(place.tests.len()));
        Self {
            checked,
            skipped,
            places,
            failed,
            waited_ms,
        }
    }
}

/// Where a finding comes from. A panic of an untracked task has only the place of the panic.
fn place_of(finding: &Finding) -> At {
    let panicked_at = finding.panicked_at.as_ref();
    match &finding.at {
        At { file: None, .. } => panicked_at.cloned().unwrap_or_default(),
        at => at.clone(),
    }
}

/// The function around a place.
pub(crate) fn function(at: &At, sources: &Sources) -> Option<String> {
    sources.function(at.file.as_deref()?, at.line?)
}

#[cfg(test)]
mod tests {
    use super::Found;
    use crate::findings::line::Line;
    use crate::findings::sources::Sources;

    #[test]
    fn findings_of_repeated_test_are_not_added_up() {
        let leak = |count: usize| serde_json::json!({"kind": "task", "file": "src/a.rs", "line": 3, "count": count});
        // A part of the findings differs in what they wait for. An exploration runs a test again.
        let runs = [vec![leak(1), leak(2)], vec![leak(1)]].map(|findings| {
            let line =
                serde_json::json!({"test": "serves", "verdict": "leaked", "findings": findings});
            serde_json::from_value::<Line>(line).unwrap()
        });
        let places = Found::by_place(runs.into(), &Sources::none()).places;
        let counts: Vec<_> = places[0].tests.values().map(|test| test.count).collect();
        assert_eq!(counts, [3]);
    }
}
