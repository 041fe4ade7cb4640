//! The results as `JUnit`'s XML: a case for each test, a suite for each file of tests.

use std::collections::BTreeMap;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::baseline::PATH;
use crate::findings::place::Test;
use crate::output::results::{ReportedPlace, Results};
use crate::output::text;
use crate::output::wording::origin_of;

/// The suite of the tests whose file is unknown.
const UNKNOWN_FILE: &str = "unknown file";

/// Writes the results.
///
/// # Errors
///
/// Returns an error if the XML cannot be written.
pub(crate) fn render(results: &Results) -> Result<String, SerializeError> {
    let mut suites: BTreeMap<&str, Vec<TestCase>> = BTreeMap::new();
    for test in &results.tests.checked {
        suites
            .entry(file(test))
            .or_default()
            .push(checked(results, test));
    }
    for test in &results.tests.skipped {
        let case = skipped(&test.name, file(test), &format!("{PATH} skips the check"));
        suites.entry(file(test)).or_default().push(case);
    }
    for name in &results.tests.unchecked {
        let case = skipped(name, UNKNOWN_FILE, "it did not run by `#[tokio::test]`");
        suites.entry(UNKNOWN_FILE).or_default().push(case);
    }
    let mut report = Report::new("straggler");
    for (file, cases) in suites {
        let mut suite = TestSuite::new(file);
        suite.add_test_cases(cases);
        report.add_test_suite(suite);
    }
    report.to_string()
}

/// Something that fails a test.
struct Failure {
    kind: &'static str,
    title: String,
    text: String,
}

/// The case of a test that was checked. What is accepted is output, not a failure.
fn checked(results: &Results, test: &Test) -> TestCase {
    let mut case = case(test, status(&failures(results, test)));
    let places = results.places.iter();
    let accepted: String = places
        .filter(|place| !place.is_new() && place.tests.contains_key(test))
        .map(accepted)
        .collect();
    if !accepted.is_empty() {
        case.set_system_out(accepted);
    }
    case
}

fn case(test: &Test, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(test.name.as_str(), status);
    case.set_classname(file(test));
    if let Some(line) = test.at.line {
        case.extra.insert("line".into(), line.to_string().into());
    }
    case.extra.insert("file".into(), file(test).into());
    case
}

fn skipped(name: &str, file: &str, reason: &str) -> TestCase {
    let mut status = TestCaseStatus::skipped();
    status.set_message(reason);
    let mut case = TestCase::new(name, status);
    case.set_classname(file);
    case
}

fn failures(results: &Results, test: &Test) -> Vec<Failure> {
    let own = results.tests.failed.contains(test).then(|| Failure {
        kind: "test",
        title: "the test fails by itself".to_owned(),
        text: "see the output of the test".to_owned(),
    });
    let places = results.new_places();
    let places = places.filter_map(|place| {
        let example = &place.tests.get(test)?.example;
        Some(Failure {
            kind: place.kind().word(),
            title: place.title.clone(),
            text: text::of_example(place, example),
        })
    });
    let explored = results.explored.iter();
    let schedules = explored
        .flat_map(|explored| &explored.failed)
        .filter(|failed| failed.test == *test)
        .map(|failed| Failure {
            kind: "schedule",
            title: failed.title(),
            text: text::of_schedule(failed),
        });
    own.into_iter().chain(places).chain(schedules).collect()
}

/// All failures as one: consumers expect one for each case.
fn status(failures: &[Failure]) -> TestCaseStatus {
    let Some(first) = failures.first() else {
        return TestCaseStatus::success();
    };
    let titles = failures.iter().map(|failure| &*failure.title);
    let texts = failures
        .iter()
        .map(|Failure { kind, title, text }| format!("{kind}: {title}\n{text}\n"));
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status
        .set_type(first.kind)
        .set_message(titles.collect::<Vec<_>>().join("; "))
        .set_description(texts.collect::<Vec<_>>().join("\n"));
    status
}

fn accepted(place: &ReportedPlace) -> String {
    let reason = place.accepted.as_deref().unwrap_or_default();
    format!("accepted {}: {reason}\n", origin_of(&place.origin))
}

fn file(test: &Test) -> &str {
    test.at.file.as_deref().unwrap_or(UNKNOWN_FILE)
}

#[cfg(test)]
mod tests {
    use quick_junit::{Report, TestCase, TestCaseStatus};

    use super::render;
    use crate::output::sample::sample;

    /// Reads what [`render`] wrote.
    fn read() -> Report {
        Report::deserialize_from_str(&render(&sample()).unwrap()).unwrap()
    }

    fn case<'r>(report: &'r Report, name: &str) -> &'r TestCase {
        let mut cases = report
            .test_suites
            .iter()
            .flat_map(|suite| &suite.test_cases);
        cases.find(|case| case.name.as_str() == name).unwrap()
    }

    #[test]
    fn each_test_is_a_case() {
        let report = read();
        assert_eq!((report.tests, report.failures, report.skipped), (6, 3, 2));
        let names: Vec<_> = report
            .test_suites
            .iter()
            .map(|suite| suite.name.as_str())
            .collect();
        assert_eq!(names, ["tests/pool.rs", "unknown file"]);
        assert!(matches!(
            case(&report, "plain<u8>").status,
            TestCaseStatus::Skipped { .. }
        ));
    }

    #[test]
    fn failure_says_where_and_what_to_do() {
        let report = read();
        let failure = |name: &str| match &case(&report, name).status {
            TestCaseStatus::NonSuccess {
                message,
                ty,
                description,
                ..
            } => [ty, message, description].map(|part| part.as_ref().unwrap().as_str().to_owned()),
            other => panic!("{other:?}"),
        };
        let panic = "panic: a task panics in 1 test\n\
            spawned at src/a,b:<c>.rs:7 in `Pool<'a>::new`, by the test\n\
            message: 100% of \"<b>\" & ]]>\nis `gone`\n\
            help: fix the panic: `#[tokio::test]` alone passes in spite of it";
        let expected = ["panic", "a task panics in 1 test", panic];
        assert_eq!(failure("pool::fills"), expected);
        let [kind, title, text] = failure("pool::drains");
        assert_eq!(
            (&*kind, &*title),
            ("schedule", "pool::drains fails in run 8 of 200")
        );
        assert!(text.contains("replay: STRAGGLER_SEED=2:1/a30a"), "{text}");
        assert_eq!(failure("pool::breaks")[0], "test");
    }

    #[test]
    fn accepted_place_fails_no_test() {
        let report = read();
        let case = case(&report, "pool::serves");
        assert!(matches!(case.status, TestCaseStatus::Success { .. }));
        let output = case.system_out.as_ref().unwrap().as_str();
        let expected = "accepted leak at axum: src/serve/mod.rs: by <design> & \"so\"";
        assert_eq!(output, expected);
    }
}
