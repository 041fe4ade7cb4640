//! The results as SARIF 2.1.0, which code scanning services read.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::exploration::Failed;
use crate::findings::line::At;
use crate::output::results::{ReportedPlace, Results};
use crate::output::rules::{RULES, Rule, SCHEDULE};
use crate::output::text;
use crate::output::wording::first;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What is escaped in the path of a URI.
const NOT_IN_PATHS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Writes the results, with a line end.
///
/// # Errors
///
/// Returns an error if a value has no form in JSON.
pub(crate) fn render(results: &Results) -> serde_json::Result<String> {
    let schedules = results
        .explored
        .iter()
        .flat_map(|explored| &explored.failed);
    let places = results.places.iter().zip(ordinals(&results.places));
    let places = places.map(|(place, ordinal)| of_place(place, ordinal));
    let log = Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: Tool { driver: driver() },
            column_kind: "unicodeCodePoints",
            results: places.chain(schedules.map(of_schedule)).collect(),
        }],
    };
    Ok(serde_json::to_string_pretty(&log)? + "\n")
}

#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    column_kind: &'static str,
    results: Vec<Result>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    semantic_version: &'static str,
    rules: Vec<ReportingDescriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportingDescriptor {
    id: &'static str,
    short_description: Message,
    full_description: Message,
    help: Message,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Result {
    rule_id: &'static str,
    level: &'static str,
    message: Message,
    #[serde(skip_serializing_if = "Option::is_none")]
    locations: Option<[Location; 1]>,
    partial_fingerprints: Fingerprints,
    suppressions: Vec<Suppression>,
    properties: Properties,
}

#[derive(Serialize)]
struct Message {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    uri: String,
    uri_base_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
}

/// What stays the same when lines move.
#[derive(Serialize)]
struct Fingerprints {
    #[serde(rename = "origin/v1")]
    origin: String,
}

#[derive(Serialize)]
struct Suppression {
    kind: &'static str,
    status: &'static str,
    justification: String,
}

#[derive(Serialize)]
struct Properties {
    tests: Vec<String>,
}

fn driver() -> Driver {
    Driver {
        name: "straggler",
        semantic_version: env!("CARGO_PKG_VERSION"),
        rules: RULES.iter().map(rule).collect(),
    }
}

fn rule(rule: &Rule) -> ReportingDescriptor {
    ReportingDescriptor {
        id: rule.name,
        short_description: message(rule.title),
        full_description: message(rule.text),
        help: message(rule.help),
    }
}

fn of_place(place: &ReportedPlace, ordinal: usize) -> Result {
    let tests = place.tests.keys().map(|test| &*test.name);
    let text = format!(
        "{}\n{}\nin {}",
        place.title,
        text::of_place(place),
        first(tests.clone())
    );
    let suppression = place.accepted.clone().map(|justification| Suppression {
        kind: "external",
        status: "accepted",
        justification,
    });
    Result {
        rule_id: place.kind().word(),
        // Services that ignore suppressions see the level at least.
        level: if place.is_new() { "error" } else { "note" },
        message: message(&text),
        locations: location(place.in_repository.as_ref()),
        partial_fingerprints: Fingerprints {
            origin: fingerprint(place, ordinal),
        },
        suppressions: suppression.into_iter().collect(),
        properties: Properties {
            tests: tests.map(str::to_owned).collect(),
        },
    }
}

fn of_schedule(failed: &Failed) -> Result {
    let file = failed.test.at.file.as_deref().unwrap_or_default();
    Result {
        rule_id: SCHEDULE,
        level: "error",
        message: message(&format!(
            "{}\n{}",
            failed.title(),
            text::of_schedule(failed)
        )),
        locations: location(failed.in_repository.as_ref()),
        partial_fingerprints: Fingerprints {
            origin: [SCHEDULE, file, &failed.test.name].join("|"),
        },
        suppressions: Vec::new(),
        properties: Properties {
            tests: vec![failed.test.name.clone()],
        },
    }
}

fn message(text: &str) -> Message {
    Message {
        text: text.to_owned(),
    }
}

/// Where a service shows a result. It has no place for one outside of the repository.
fn location(at: Option<&At>) -> Option<[Location; 1]> {
    let At { file, line } = at?;
    let uri = utf8_percent_encode(file.as_deref()?, NOT_IN_PATHS).to_string();
    let region = line.map(|start_line| Region { start_line });
    Some([Location {
        physical_location: PhysicalLocation {
            artifact_location: ArtifactLocation {
                uri,
                uri_base_id: "%SRCROOT%",
            },
            region,
        },
    }])
}

fn fingerprint(place: &ReportedPlace, ordinal: usize) -> String {
    let origin = &place.origin;
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let (package, file) = (part(&origin.package), part(&origin.file));
    let (function, ordinal) = (part(&origin.function), ordinal.to_string());
    [origin.kind.word(), &package, &file, &function, &ordinal].join("|")
}

/// The number of each place among those in the same function, in the order of their lines.
fn ordinals(places: &[ReportedPlace]) -> Vec<usize> {
    let mut lines: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for place in places {
        lines.entry(&place.origin).or_default().push(place.at.line);
    }
    for lines in lines.values_mut() {
        lines.sort_unstable();
    }
    let ordinal = |place: &ReportedPlace| {
        let lines = &lines[&place.origin];
        lines.partition_point(|line| *line < place.at.line)
    };
    places.iter().map(ordinal).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::render;
    use crate::output::results::Results;
    use crate::output::sample::{panic_at, sample};

    fn results_of(results: &Results) -> Vec<Value> {
        let text = render(results).unwrap();
        let mut log: Value = serde_json::from_str(&text).unwrap();
        match log["runs"][0]["results"].take() {
            Value::Array(results) => results,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn new_place_is_error_with_location() {
        let results = results_of(&sample());
        let text = "a task panics in 1 test\n\
            spawned at src/a,b:<c>.rs:7 in `Pool<'a>::new`, by the test\n\
            message: 100% of \"<b>\" & ]]>\nis `gone`\n\
            help: fix the panic: `#[tokio::test]` alone passes in spite of it\n\
            in pool::fills";
        let expected = json!({
            "ruleId": "panic", "level": "error", "message": {"text": text},
            "locations": [{"physicalLocation": {
                "artifactLocation": {"uri": "src/a%2Cb%3A%3Cc%3E.rs", "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": 7},
            }}],
            "partialFingerprints": {"origin/v1": "panic||src/a,b:<c>.rs|Pool<'a>::new|0"},
            "suppressions": [], "properties": {"tests": ["pool::fills"]},
        });
        assert_eq!(results[0], expected);
    }

    #[test]
    fn accepted_place_is_suppressed_note() {
        let accepted = &results_of(&sample())[1];
        assert_eq!(accepted["level"], "note");
        let suppression = json!([{
            "kind": "external", "status": "accepted", "justification": "by <design> & \"so\"",
        }]);
        assert_eq!(accepted["suppressions"], suppression);
        let location = &accepted["locations"][0]["physicalLocation"];
        assert_eq!(location["artifactLocation"]["uri"], "src/server.rs");
        let origin = &accepted["partialFingerprints"]["origin/v1"];
        assert_eq!(origin, "leak|axum|src/serve/mod.rs||0");
    }

    #[test]
    fn failing_schedule_is_error() {
        let schedule = &results_of(&sample())[2];
        assert_eq!(
            (&schedule["ruleId"], &schedule["level"]),
            (&json!("schedule"), &json!("error"))
        );
        let text = schedule["message"]["text"].as_str().unwrap();
        assert!(text.ends_with(
            "\nreplay: STRAGGLER_SEED=2:1/a30a cargo straggler explore pool::drains -- --exact"
        ));
    }

    #[test]
    fn fingerprint_survives_moved_lines() {
        let fingerprints = |lines: &[usize]| {
            let results = Results {
                places: lines.iter().map(|line| panic_at(*line)).collect(),
                ..Results::default()
            };
            let results = results_of(&results).into_iter();
            results
                .map(|result| result["partialFingerprints"].clone())
                .collect::<Vec<_>>()
        };
        let [second, first] = fingerprints(&[9, 7]).try_into().unwrap();
        assert_ne!(first, second);
        assert_eq!(fingerprints(&[107, 109]), [first, second]);
    }
}
