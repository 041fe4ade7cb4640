//! The results as one JSON object. `docs/cargo.md` describes it.

use serde::Serialize;

use crate::exploration::{Explored, Failed};
use crate::findings::line::At;
use crate::findings::place::Test;
use crate::output::results::{ReportedPlace, ReportedTest, Results};

/// Removing a field, or changing its meaning, raises it.
const VERSION: u32 = 1;

/// Writes the results, with a line end.
///
/// # Errors
///
/// Returns an error if a value has no form in JSON.
pub(crate) fn render(results: &Results) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(&Document::new(results))? + "\n")
}

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    tests: TestOutcomes<'a>,
    places: Vec<Place<'a>>,
    explored: Option<Exploration<'a>>,
    expected_panics: usize,
    gone: Vec<Origin<'a>>,
    unmatched: &'a [String],
}

#[derive(Serialize)]
struct TestOutcomes<'a> {
    checked: Vec<TestAt<'a>>,
    failed: Vec<TestAt<'a>>,
    skipped: Vec<TestAt<'a>>,
    unchecked: &'a [String],
    doc_tests: usize,
    waited_ms: u64,
}

#[derive(Serialize)]
struct TestAt<'a> {
    name: &'a str,
    #[serde(flatten)]
    at: &'a At,
}

#[derive(Serialize)]
struct Place<'a> {
    kind: &'static str,
    is_new: bool,
    reason: Option<&'a str>,
    title: &'a str,
    #[serde(rename = "crate")]
    package: Option<&'a str>,
    #[serde(flatten)]
    at: &'a At,
    function: Option<&'a str>,
    called_at: Option<Call<'a>>,
    in_repository: Option<&'a At>,
    facts: &'a [String],
    message: Option<&'a str>,
    help: &'a str,
    tests: Vec<Affected<'a>>,
}

#[derive(Serialize)]
struct Call<'a> {
    function: &'a str,
    #[serde(flatten)]
    at: &'a At,
}

#[derive(Serialize)]
struct Affected<'a> {
    #[serde(flatten)]
    test: TestAt<'a>,
    count: usize,
    facts: &'a [String],
    message: Option<&'a str>,
}

#[derive(Serialize)]
struct Origin<'a> {
    kind: &'static str,
    #[serde(rename = "crate")]
    package: Option<&'a str>,
    file: Option<&'a str>,
    function: Option<&'a str>,
}

#[derive(Serialize)]
struct Exploration<'a> {
    passed: Vec<&'a str>,
    failed: Vec<Schedule<'a>>,
    unexplored: Vec<Unexplored<'a>>,
}

#[derive(Serialize)]
struct Schedule<'a> {
    #[serde(flatten)]
    test: TestAt<'a>,
    run: Option<usize>,
    runs: usize,
    seed: Option<&'a str>,
    panicked_at: Option<&'a At>,
    in_repository: Option<&'a At>,
    message: Option<&'a str>,
    replay: Option<&'a str>,
}

#[derive(Serialize)]
struct Unexplored<'a> {
    reason: &'a str,
    tests: Vec<&'a str>,
}

impl<'a> Document<'a> {
    fn new(results: &'a Results) -> Self {
        Self {
            version: VERSION,
            tests: TestOutcomes::new(results),
            places: results.places.iter().map(Place::new).collect(),
            explored: results.explored.as_ref().map(Exploration::new),
            expected_panics: results.expected_panics,
            gone: results.gone.iter().map(Origin::new).collect(),
            unmatched: &results.unmatched,
        }
    }
}

impl<'a> TestOutcomes<'a> {
    fn new(results: &'a Results) -> Self {
        let tests = &results.tests;
        Self {
            checked: tests.checked.iter().map(TestAt::new).collect(),
            failed: tests.failed.iter().map(TestAt::new).collect(),
            skipped: tests.skipped.iter().map(TestAt::new).collect(),
            unchecked: &tests.unchecked,
            doc_tests: tests.doc_tests,
            waited_ms: tests.waited_ms,
        }
    }
}

impl<'a> TestAt<'a> {
    fn new(test: &'a Test) -> Self {
        Self {
            name: &test.name,
            at: &test.at,
        }
    }
}

impl<'a> Place<'a> {
    fn new(place: &'a ReportedPlace) -> Self {
        let tests = place.tests.iter();
        Self {
            kind: place.kind().word(),
            is_new: place.is_new(),
            reason: place.accepted.as_deref(),
            title: &place.title,
            package: place.origin.package.as_deref(),
            at: &place.at,
            function: place.origin.function.as_deref(),
            called_at: place.called_at.as_ref().map(|call| Call {
                function: &call.function,
                at: &call.at,
            }),
            in_repository: place.in_repository.as_ref(),
            facts: &place.example.facts,
            message: place.example.message.as_deref(),
            help: &place.advice,
            tests: tests.map(Affected::new).collect(),
        }
    }
}

impl<'a> Affected<'a> {
    fn new((test, found): (&'a Test, &'a ReportedTest)) -> Self {
        Self {
            test: TestAt::new(test),
            count: found.count,
            facts: &found.example.facts,
            message: found.example.message.as_deref(),
        }
    }
}

impl<'a> Origin<'a> {
    fn new(origin: &'a crate::baseline::Origin) -> Self {
        Self {
            kind: origin.kind.word(),
            package: origin.package.as_deref(),
            file: origin.file.as_deref(),
            function: origin.function.as_deref(),
        }
    }
}

impl<'a> Exploration<'a> {
    fn new(explored: &'a Explored) -> Self {
        let unexplored = explored.unexplored.iter();
        Self {
            passed: explored.passed.iter().map(|test| &*test.name).collect(),
            failed: explored.failed.iter().map(Schedule::new).collect(),
            unexplored: unexplored
                .map(|(reason, tests)| Unexplored {
                    reason,
                    tests: tests.iter().map(|test| &*test.name).collect(),
                })
                .collect(),
        }
    }
}

impl<'a> Schedule<'a> {
    fn new(failed: &'a Failed) -> Self {
        let exploration = &failed.exploration;
        Self {
            test: TestAt::new(&failed.test),
            run: exploration.run,
            runs: exploration.runs,
            seed: exploration.seed.as_deref(),
            panicked_at: failed.panicked_at.as_ref(),
            in_repository: failed.in_repository.as_ref(),
            message: failed.message.as_deref(),
            replay: failed.replay(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::render;
    use crate::output::sample::sample;

    #[test]
    fn document_has_every_place_and_schedule() {
        let text = render(&sample()).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let new = json!({
            "kind": "panic", "is_new": true, "reason": null,
            "title": "a task panics in 1 test", "crate": null, "file": "src/a,b:<c>.rs", "line": 7,
            "function": "Pool<'a>::new", "called_at": null,
            "in_repository": {"file": "src/a,b:<c>.rs", "line": 7},
            "facts": ["spawned at src/a,b:<c>.rs:7 in `Pool<'a>::new`, by the test"],
            "message": "100% of \"<b>\" & ]]>\nis `gone`",
            "help": "fix the panic: `#[tokio::test]` alone passes in spite of it",
            "tests": [{"name": "pool::fills", "file": "tests/pool.rs", "line": 3, "count": 2,
                "facts": ["spawned at src/a,b:<c>.rs:7 in `Pool<'a>::new`, by the test"],
                "message": "100% of \"<b>\" & ]]>\nis `gone`"}],
        });
        assert_eq!(document["places"][0], new);
        let accepted = &document["places"][1];
        assert_eq!(accepted["is_new"], false);
        assert_eq!(accepted["reason"], "by <design> & \"so\"");
        assert_eq!(accepted["crate"], "axum");
        assert_eq!(accepted["called_at"]["line"], 12);
        let failed = &document["explored"]["failed"][0];
        let expected = json!({
            "name": "pool::drains", "file": "tests/pool.rs", "line": 20, "run": 8, "runs": 200,
            "seed": "2:1/a30a", "panicked_at": {"file": "tests/pool.rs", "line": 24},
            "in_repository": {"file": "tests/pool.rs", "line": 24},
            "message": "left: 1\nright: 2",
            "replay": "STRAGGLER_SEED=2:1/a30a cargo straggler explore pool::drains -- --exact",
        });
        assert_eq!(*failed, expected);
        assert_eq!(document["version"], 1);
        assert_eq!(document["tests"]["checked"].as_array().unwrap().len(), 4);
    }
}
