//! Annotations: GitHub Actions shows them beside the changed lines of a pull request.
//!
//! An annotation is a line of output: `::error file=src/lib.rs,line=7,title=..::message`. Messages escape
//! `%` and line ends; properties also escape `:` and `,`.

use std::fmt::Write as _;

use crate::exploration::Failed;
use crate::findings::line::At;
use crate::output::results::{ReportedPlace, Results};
use crate::output::text;
use crate::output::wording::{count, first};

/// How many errors GitHub shows of a step.
const LISTED: usize = 10;

/// Writes one annotation for each new place and each schedule that failed. A last one counts those that
/// GitHub would not show.
pub(crate) fn render(results: &Results) -> String {
    let places = results.new_places().map(of_place);
    let schedules = results
        .explored
        .iter()
        .flat_map(|explored| &explored.failed);
    let mut lines: Vec<_> = places.chain(schedules.map(of_schedule)).collect();
    let more = lines.len().saturating_sub(LISTED);
    lines.truncate(LISTED);
    if more > 0 {
        let more = count(more, "more finding");
        lines.push(format!(
            "::notice title=straggler::{more}: see the summary of the job\n"
        ));
    }
    lines.concat()
}

fn of_place(place: &ReportedPlace) -> String {
    let title = format!("{}: {}", place.kind().word(), place.title);
    let tests = first(place.tests.keys().map(|test| &*test.name));
    let message = format!("{}\nin {tests}", text::of_place(place));
    error(place.in_repository.as_ref(), &title, &message)
}

fn of_schedule(failed: &Failed) -> String {
    let title = format!("schedule: {}", failed.title());
    error(
        failed.in_repository.as_ref(),
        &title,
        &text::of_schedule(failed),
    )
}

fn error(at: Option<&At>, title: &str, message: &str) -> String {
    let mut line = "::error ".to_owned();
    if let Some(file) = at.and_then(|at| at.file.as_deref()) {
        _ = write!(line, "file={},", property(file));
    }
    if let Some(number) = at.and_then(|at| at.line) {
        _ = write!(line, "line={number},");
    }
    _ = writeln!(line, "title={}::{}", property(title), data(message));
    line
}

/// Escapes the message of an annotation.
fn data(text: &str) -> String {
    // `%` first: the other escapes bring in new ones.
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a property of an annotation.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::output::results::Results;
    use crate::output::sample::{panic_at, sample};

    #[test]
    fn new_places_and_schedules_are_errors() {
        let expected = "\
::error file=src/a%2Cb%3A<c>.rs,line=7,title=panic%3A a task panics in 1 test::\
spawned at src/a,b:<c>.rs:7 in `Pool<'a>::new`, by the test%0A\
message: 100%25 of \"<b>\" & ]]>%0Ais `gone`%0A\
help: fix the panic: `#[tokio::test]` alone passes in spite of it%0Ain pool::fills
::error file=tests/pool.rs,line=24,title=schedule%3A pool%3A%3Adrains fails in run 8 of 200::\
message: left: 1%0Aright: 2%0A\
replay: STRAGGLER_SEED=2:1/a30a cargo straggler explore pool::drains -- --exact
";
        assert_eq!(render(&sample()), expected);
    }

    #[test]
    fn at_most_ten_are_listed() {
        let of = |number: usize| {
            render(&Results {
                places: (0..number).map(panic_at).collect(),
                ..Results::default()
            })
        };
        assert_eq!(of(10).matches("::error ").count(), 10);
        assert!(!of(10).contains("::notice"));
        assert_eq!(of(12).matches("::error ").count(), 10);
        let end = "\n::notice title=straggler::2 more findings: see the summary of the job\n";
        assert!(of(12).ends_with(end), "{}", of(12));
        assert_eq!(of(0), "");
    }

    #[test]
    fn place_outside_of_repository_has_no_file() {
        let mut place = panic_at(7);
        place.in_repository = None;
        let line = render(&Results {
            places: vec![place],
            ..Results::default()
        });
        assert!(line.starts_with("::error title=panic%3A a task"), "{line}");
    }
}
