//! What a run found, as every format shows it.

use std::collections::{BTreeMap, BTreeSet};

use crate::baseline::{Comparison, Origin};
use crate::exploration::Explored;
use crate::findings::line::{At, Call, Finding};
use crate::findings::place::{Found, InTest, Kind, Place, Test};
use crate::findings::sources::Sources;
use crate::output::repository::Repository;
use crate::output::wording;
use crate::suite_output::Ran;

/// What a run found.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// New ones first, then the place that concerns most tests.
    pub(crate) places: Vec<ReportedPlace>,
    /// `None` if no test was explored.
    pub(crate) explored: Option<Explored>,
    pub(crate) tests: TestOutcomes,
    /// How many panics are no findings.
    pub(crate) expected_panics: usize,
    /// What is accepted, and no longer found by the whole suite.
    pub(crate) gone: Vec<Origin>,
    /// The settings of tests and the expected panics that the whole suite does not meet.
    pub(crate) unmatched: Vec<String>,
}

/// A place with findings.
#[derive(Clone, Debug)]
pub(crate) struct ReportedPlace {
    /// What identifies it, whatever its line is.
    pub(crate) origin: Origin,
    pub(crate) at: At,
    /// The first place of it that is in the repository: its own, a call, or the test.
    pub(crate) in_repository: Option<At>,
    /// What is wrong, such as `a task outlives 2 tests`.
    pub(crate) title: String,
    pub(crate) called_at: Option<Call>,
    /// The first finding, which stands for the others.
    pub(crate) example: Example,
    pub(crate) advice: String,
    /// What each test has here.
    pub(crate) tests: BTreeMap<Test, ReportedTest>,
    /// `None` if it is new, else why it is accepted.
    pub(crate) accepted: Option<String>,
}

/// A finding, in words.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    /// Where and how, a line each. Code is in backticks.
    pub(crate) facts: Vec<String>,
    /// The message of a panic or an error.
    pub(crate) message: Option<String>,
}

/// What a test has at a place.
#[derive(Clone, Debug)]
pub(crate) struct ReportedTest {
    pub(crate) count: usize,
    /// Its first finding there, which stands for the others.
    pub(crate) example: Example,
}

/// What became of the tests.
#[derive(Debug, Default)]
pub(crate) struct TestOutcomes {
    pub(crate) checked: BTreeSet<Test>,
    /// Those of the checked ones that failed by themselves.
    pub(crate) failed: BTreeSet<Test>,
    /// Those that ran unchecked since a setting says so.
    pub(crate) skipped: BTreeSet<Test>,
    /// The names of those that did not run by `#[tokio::test]`.
    pub(crate) unchecked: Vec<String>,
    pub(crate) doc_tests: usize,
    /// For how long the checks waited in vain for what tests left.
    pub(crate) waited_ms: u64,
}

/// What is known about a run.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    pub(crate) found: &'a Found,
    pub(crate) comparison: &'a Comparison<'a>,
    pub(crate) explored: Option<Explored>,
    pub(crate) expected_panics: usize,
    /// The settings that matched nothing.
    pub(crate) unmatched: Vec<String>,
    /// Whether all tests ran, so that an entry without a finding is gone.
    pub(crate) is_whole: bool,
    pub(crate) ran: &'a Ran,
    pub(crate) sources: &'a Sources,
    pub(crate) repository: &'a Repository,
}

impl ReportedPlace {
    pub(crate) fn kind(&self) -> Kind {
        self.origin.kind
    }

    pub(crate) fn is_new(&self) -> bool {
        self.accepted.is_none()
    }
}

impl Results {
    pub(crate) fn new(known: Known<'_>) -> Self {
        let Comparison {
            new,
            accepted,
            gone,
        } = known.comparison;
        let new = new.iter().map(|place| reported(place, None, &known));
        let accepted = accepted
            .iter()
            .map(|(place, entry)| reported(place, Some(entry.reason.clone()), &known));
        let gone = gone.iter().filter(|_| known.is_whole);
        Self {
            places: new.chain(accepted).collect(),
            tests: TestOutcomes {
                checked: known.found.checked.clone(),
                failed: failed(&known),
                skipped: known.found.skipped.clone(),
                unchecked: unchecked(known.found, known.ran),
                doc_tests: known.ran.doc_tests,
                waited_ms: known.found.waited_ms,
            },
            expected_panics: known.expected_panics,
            gone: gone.map(|entry| entry.origin.clone()).collect(),
            unmatched: if known.is_whole {
                known.unmatched
            } else {
                Vec::new()
            },
            explored: known.explored,
        }
    }

    pub(crate) fn new_places(&self) -> impl Iterator<Item = &ReportedPlace> {
        self.places.iter().filter(|place| place.is_new())
    }

    /// How many tests have findings.
    pub(crate) fn tests_with_findings(&self) -> usize {
        let tests = self.places.iter().flat_map(|place| place.tests.keys());
        tests.collect::<BTreeSet<_>>().len()
    }
}

/// Describes a place.
fn reported(place: &Place, accepted: Option<String>, known: &Known<'_>) -> ReportedPlace {
    let called_at = &place.example.called_at;
    let call = called_at.as_ref().map(|call| &call.at);
    let tests = place.tests.keys().map(|test| &test.at);
    let places = [&place.at].into_iter().chain(call).chain(tests);
    ReportedPlace {
        origin: Origin::of(place),
        at: place.at.clone(),
        in_repository: known.repository.first(places),
        title: wording::title(place),
        called_at: called_at.clone(),
        example: example(place, &place.example, known.sources),
        advice: wording::advice(place),
        tests: place
            .tests
            .iter()
            .map(|(test, found)| (test.clone(), reported_test(place, found, known.sources)))
            .collect(),
        accepted,
    }
}

fn reported_test(place: &Place, found: &InTest, sources: &Sources) -> ReportedTest {
    ReportedTest {
        count: found.count,
        example: example(place, &found.example, sources),
    }
}

fn example(place: &Place, finding: &Finding, sources: &Sources) -> Example {
    Example {
        facts: wording::facts(place, finding, sources),
        message: finding.message.as_deref().map(wording::plain),
    }
}

/// The tests that failed by themselves. Of those that left nothing, only the test runner says so.
fn failed(known: &Known<'_>) -> BTreeSet<Test> {
    let found = known.found;
    let fails_its_test = |place: &&Place| matches!(place.kind, Kind::Hang | Kind::Check);
    let has_place = |test: &Test| {
        found
            .places
            .iter()
            .any(|place| place.tests.contains_key(test))
    };
    let explored = known.explored.iter().flat_map(|explored| &explored.failed);
    let scheduled: Vec<_> = explored.map(|failed| &failed.test).collect();
    let is_explained = |test: &Test| {
        let mut places = found.places.iter().filter(fails_its_test);
        found.failed.contains(test)
            || scheduled.contains(&test)
            || places.any(|place| place.tests.contains_key(test))
    };
    let mut failed = found.failed.clone();
    for (name, number) in &known.ran.failed {
        let named = found.checked.iter().filter(|test| test.name == *name);
        let (explained, others): (Vec<_>, Vec<_>) = named.partition(|test| is_explained(test));
        let unexplained: Vec<_> = others.into_iter().filter(|test| !has_place(test)).collect();
        // Test binaries may share a name: fewer failures may be of any of them.
        if number.saturating_sub(explained.len()) >= unexplained.len() {
            failed.extend(unexplained.into_iter().cloned());
        }
    }
    failed
}

/// The names of the tests that ran unchecked, though nothing skips them.
fn unchecked(found: &Found, ran: &Ran) -> Vec<String> {
    let checked = |name: &str| {
        let checked = found.checked.iter().chain(&found.skipped);
        checked.filter(|test| test.name == name).count()
    };
    let ran = ran.tests.iter();
    ran.flat_map(|(name, ran)| vec![name.clone(); ran.saturating_sub(checked(name))])
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::{Known, Results};
    use crate::baseline::Baseline;
    use crate::findings::line::Line;
    use crate::findings::place::Found;
    use crate::findings::sources::Sources;
    use crate::output::repository::Repository;
    use crate::suite_output::Ran;

    fn line(test: &str, finding: &serde_json::Value) -> Line {
        let line = json!({
            "test": test, "file": "tests/pool.rs", "line": 3, "verdict": "leaked", "findings": [finding],
        });
        serde_json::from_value(line).unwrap()
    }

    /// What these lines become in a repository that has `tests/pool.rs` alone.
    fn results(baseline: &str, lines: Vec<Line>) -> Results {
        results_of_run(baseline, lines, &Ran::default())
    }

    fn results_of_run(baseline: &str, lines: Vec<Line>, ran: &Ran) -> Results {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(".git")).unwrap();
        fs::create_dir(root.path().join("tests")).unwrap();
        fs::write(root.path().join("tests/pool.rs"), "").unwrap();
        let sources = Sources::none();
        let found = Found::by_place(lines, &sources);
        let baseline = Baseline::parse(baseline.to_owned()).unwrap();
        Results::new(Known {
            found: &found,
            comparison: &baseline.compare(&found.places),
            explored: None,
            expected_panics: 0,
            unmatched: vec!["[[test]] name = \"old::*\"".to_owned()],
            is_whole: true,
            ran,
            sources: &sources,
            repository: &Repository::around(root.path().to_owned()),
        })
    }

    #[test]
    fn each_test_keeps_its_own_message() {
        let panic = |message: &str| json!({"kind": "panic", "file": "axum-0.8.9/lib.rs", "line": 7, "count": 1, "message": message});
        let lines = [
            line("one", &panic("\u{1b}[31mred\u{1b}[0m")),
            line("two", &panic("b")),
        ];
        let results = results("", lines.into());
        let place = &results.places[0];
        let messages = place
            .tests
            .values()
            .map(|test| test.example.message.as_deref());
        assert_eq!(messages.collect::<Vec<_>>(), [Some("red"), Some("b")]);
        assert_eq!(place.example.message.as_deref(), Some("red"));
        // The place itself is not in the repository.
        let file = place
            .in_repository
            .as_ref()
            .and_then(|at| at.file.as_deref());
        assert_eq!(file, Some("tests/pool.rs"));
    }

    #[test]
    fn failed_test_that_left_nothing_is_named() {
        let clean = |test: &str, file: &str| {
            let line =
                json!({"test": test, "file": file, "line": 3, "verdict": "clean", "findings": []});
            serde_json::from_value::<Line>(line).unwrap()
        };
        let hang = json!({"kind": "hang", "file": "tests/pool.rs", "line": 7, "count": 1});
        let lines = vec![
            clean("fails", "tests/pool.rs"),
            clean("passes", "tests/pool.rs"),
            clean("shared", "tests/a.rs"),
            clean("shared", "tests/b.rs"),
            line("hangs", &hang),
        ];
        let mut ran = Ran::default();
        for (name, has_failed) in [
            ("fails", true),
            ("passes", false),
            ("shared", true),
            ("shared", false),
            ("hangs", true),
        ] {
            ran.add(name, has_failed);
        }
        let failed = results_of_run("", lines, &ran).tests.failed;
        let names: Vec<_> = failed.iter().map(|test| &*test.name).collect();
        assert_eq!(names, ["fails"]);
    }

    #[test]
    fn accepted_places_follow_new_ones() {
        let leak = |file: &str| json!({"kind": "task", "file": file, "line": 7, "count": 1});
        let lines = ["a.rs", "a.rs", "b.rs"].into_iter().enumerate();
        let lines = lines.map(|(index, file)| line(&format!("test_{index}"), &leak(file)));
        let entry = |file: &str| {
            format!("[[accept]]\nkind = \"leak\"\nfile = \"{file}\"\nmost = 1\nreason = \"why\"\n")
        };
        let results = results(&(entry("a.rs") + &entry("c.rs")), lines.collect());
        let reasons: Vec<_> = results
            .places
            .iter()
            .map(|place| place.accepted.as_deref())
            .collect();
        assert_eq!(reasons, [None, Some("why")]);
        let expected = "3 tests checked, 3 with findings at 2 places: 1 new, 1 accepted";
        assert_eq!(results.headline(), expected);
        let gone = "leak at c.rs is gone: `--prune` removes it from .config/straggler.toml";
        let unmatched = "`[[test]] name = \"old::*\"` in .config/straggler.toml matches nothing";
        assert_eq!(results.notes(), [gone, unmatched]);
    }
}
