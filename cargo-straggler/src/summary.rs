//! The summary of a run: each place with what is wrong, where, and what to do.

use std::fmt;

use anstyle::{AnsiColor, Style};

use crate::baseline::{Comparison, Origin, PATH};
use crate::findings::line::{At, Finding};
use crate::findings::place::{Found, Kind, Place, function};
use crate::findings::sources::Sources;
use crate::suite_output::Ran;

/// How many tests of a place, and of those that were not checked, are named.
const NAMED_TESTS: usize = 3;

const WRONG: Style = AnsiColor::Red.on_default().bold();
const QUIET: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

/// The summary of a run, which `Display` writes with colors.
pub(crate) struct Summary<'a> {
    pub(crate) found: &'a Found,
    /// How many panics are no findings.
    pub(crate) expected_panics: usize,
    pub(crate) comparison: &'a Comparison<'a>,
    /// Whether all tests ran, so that an entry without a finding is gone.
    pub(crate) is_whole: bool,
    pub(crate) ran: &'a Ran,
    pub(crate) sources: &'a Sources,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in &self.comparison.new {
            writeln!(f)?;
            self.write_place(f, place)?;
        }
        writeln!(f)?;
        for (place, entry) in &self.comparison.accepted {
            let tests = count(place.tests.len(), "test");
            let reason = match &*entry.reason {
                "" => String::new(),
                reason => format!(": {reason}"),
            };
            writeln!(
                f,
                "{QUIET}accepted {} in {tests}{reason}{QUIET:#}",
                origin_of(&entry.origin)
            )?;
        }
        self.write_totals(f)
    }
}

impl Summary<'_> {
    fn write_place(&self, f: &mut fmt::Formatter<'_>, place: &Place) -> fmt::Result {
        let (kind, tests) = (place.kind.word(), count(place.tests.len(), "test"));
        writeln!(
            f,
            "{WRONG}{kind}{WRONG:#}{STRONG}: {} {tests}{STRONG:#}",
            wrong(place)
        )?;
        if let Some(at) = shown(&place.at, place.function.as_deref()) {
            let spawner = self.spawner(&place.example).unwrap_or_default();
            writeln!(f, "  {} {at}{spawner}", origin(place.kind))?;
        }
        if let Some(call) = &place.example.called_at
            && let Some(at) = shown(&call.at, Some(&call.function))
        {
            writeln!(f, "  called at {at}")?;
        }
        if let Some(waits) = self.waits(&place.example) {
            writeln!(f, "  {waits}")?;
        }
        if let Some(message) = &place.example.message {
            writeln!(
                f,
                "  message: {}",
                message.lines().next().unwrap_or_default()
            )?;
        }
        let names = place.tests.keys().map(|test| &*test.name);
        writeln!(
            f,
            "  {QUIET}in {}{QUIET:#}",
            first(names, place.tests.len())
        )?;
        writeln!(f, "  {STRONG}help:{STRONG:#} {}", advice(place))
    }

    fn write_totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found {
            checked,
            skipped,
            places,
            failed,
        } = self.found;
        let mut with_findings: Vec<_> =
            places.iter().flat_map(|place| place.tests.keys()).collect();
        with_findings.sort();
        with_findings.dedup();
        write!(
            f,
            "{STRONG}straggler:{STRONG:#} {} checked",
            count(checked.len(), "test")
        )?;
        match places.len() {
            0 => writeln!(f, ", no findings")?,
            number => {
                let (with, places) = (with_findings.len(), count(number, "place"));
                write!(f, ", {with} with findings at {places}")?;
                if self.comparison.accepted.is_empty() {
                    writeln!(f)?;
                } else {
                    let Comparison { new, accepted, .. } = self.comparison;
                    writeln!(f, ": {} new, {} accepted", new.len(), accepted.len())?;
                }
            }
        }
        let gone = self.comparison.gone.iter().filter(|_| self.is_whole);
        for entry in gone {
            let origin = origin_of(&entry.origin);
            writeln!(f, "  {origin} is gone: `--prune` removes it from {PATH}")?;
        }
        if self.expected_panics > 0 {
            let panics = count(self.expected_panics, "panic");
            writeln!(f, "  {panics} expected by {PATH}")?;
        }
        if !failed.is_empty() {
            let names = failed.iter().map(|test| &*test.name);
            writeln!(
                f,
                "  {} failed without straggler, so what they left running is not listed: {}",
                failed.len(),
                first(names, failed.len())
            )?;
        }
        if !skipped.is_empty() {
            let names = skipped.iter().map(|test| &*test.name);
            writeln!(
                f,
                "  {} not checked, which {PATH} skips: {}",
                count(skipped.len(), "test"),
                first(names, skipped.len())
            )?;
        }
        let unchecked = self.unchecked();
        if !unchecked.is_empty() {
            let number = unchecked.len();
            writeln!(
                f,
                "  {} not checked, which did not run by `#[tokio::test]`: {}",
                count(number, "test"),
                first(unchecked.into_iter(), number)
            )?;
        }
        if self.ran.doc_tests > 0 {
            writeln!(f, "  {} not checked", count(self.ran.doc_tests, "doc test"))?;
        }
        Ok(())
    }

    /// The names of the tests that ran unchecked, though nothing skips them.
    fn unchecked(&self) -> Vec<&str> {
        let checked = |name: &str| {
            let checked = self.found.checked.iter().chain(&self.found.skipped);
            checked.filter(|test| test.name == name).count()
        };
        let ran = self.ran.tests.iter();
        ran.flat_map(|(name, ran)| vec![&**name; ran.saturating_sub(checked(name))])
            .collect()
    }

    /// What spawned the task.
    fn spawner(&self, finding: &Finding) -> Option<String> {
        let spawner = finding.spawned_by.first()?;
        Some(match &*spawner.by {
            "test" => ", by the test".to_owned(),
            "task" => {
                let function = function(&spawner.at, self.sources);
                format!(
                    ", by the task of {}",
                    shown(&spawner.at, function.as_deref())?
                )
            }
            "no_task" => ", by a thread outside the runtime".to_owned(),
            _ => ", by another task".to_owned(),
        })
    }

    /// Where the task waits, by the first of its places.
    fn waits(&self, finding: &Finding) -> Option<String> {
        let waits = finding.waits_for.as_ref()?;
        let state = match &*waits.state {
            "waiting" => "waits",
            "busy" => "keeps waking itself",
            "unwakeable" => return Some("waits for nothing that could wake it".to_owned()),
            "blocks" => return Some("blocks its thread".to_owned()),
            "never_polled" => return Some("was never polled".to_owned()),
            _ => return None,
        };
        let place = waits.places.first()?;
        let call = place.calls.first();
        let at = call.and_then(|call| {
            let function = function(&call.at, self.sources);
            shown(&call.at, function.as_deref())
        });
        let at = at.map_or(String::new(), |at| format!(" at {at}"));
        let on = place
            .on
            .as_ref()
            .map_or(String::new(), |on| format!(", for `{on}`"));
        let others = match waits.places.len() - 1 {
            0 => String::new(),
            others => format!(", and at {}", count(others, "other place")),
        };
        Some(format!("{state}{at}{on}{others}"))
    }
}

/// A place and the function around it.
fn shown(at: &At, function: Option<&str>) -> Option<String> {
    let file = at.file.as_deref()?;
    let line = at.line.map_or(String::new(), |line| format!(":{line}"));
    let function = function.map_or(String::new(), |function| format!(" in `{function}`"));
    Some(format!("{file}{line}{function}"))
}

/// Where accepted findings come from.
fn origin_of(origin: &Origin) -> String {
    let Origin {
        kind,
        package,
        file,
        function,
    } = origin;
    let package = package
        .as_ref()
        .map_or(String::new(), |package| format!("{package}: "));
    let file = file.as_deref().unwrap_or("an unknown place");
    let function = function
        .as_ref()
        .map_or(String::new(), |function| format!(" in `{function}`"));
    format!("{} at {package}{file}{function}", kind.word())
}

/// What is wrong, up to the number of tests.
fn wrong(place: &Place) -> &'static str {
    match place.kind {
        Kind::Hang => "the body does not end in",
        Kind::Panic => "a task panics in",
        Kind::Leak if place.tests.values().any(|count| *count > 1) => "tasks outlive",
        Kind::Leak => "a task outlives",
        Kind::Blocking => "a `spawn_blocking` closure outlives",
        Kind::Lock => "a lock is still held after",
        Kind::Thread => "a thread outlives",
        Kind::Check => "the check failed in",
    }
}

/// What happened at the place.
fn origin(kind: Kind) -> &'static str {
    match kind {
        Kind::Panic | Kind::Leak | Kind::Blocking => "spawned at",
        Kind::Lock => "acquired at",
        Kind::Hang | Kind::Thread | Kind::Check => "test at",
    }
}

/// What to do about a place.
fn advice(place: &Place) -> String {
    let function = place.function.as_deref();
    let tests = place.tests.len();
    match (place.kind, &place.package) {
        (Kind::Leak | Kind::Blocking, Some(package)) => match &place.example.called_at {
            Some(call) => format!("shut down what `{}` starts in {package}", call.function),
            None => format!("shut down what the tests start in {package}"),
        },
        (Kind::Leak, None) if place.at.file.is_none() => {
            "a method such as `Handle::spawn` spawned it: use `tokio::spawn` to see where"
                .to_owned()
        }
        (Kind::Leak, None) if is_test_code(place) => {
            let all = if tests == 1 {
                String::new()
            } else {
                format!(": that cures all {tests} tests")
            };
            let here = function.map_or("here".to_owned(), |function| format!("in `{function}`"));
            format!("spawn it with `straggler::background` {here}, or abort it there{all}")
        }
        (Kind::Leak, None) => {
            "keep its `JoinHandle`, and abort it when its owner is dropped or shut down".to_owned()
        }
        (Kind::Blocking, None) => "await its `JoinHandle` before the test ends".to_owned(),
        (Kind::Panic, _) => {
            "fix the panic: `#[tokio::test]` alone passes in spite of it".to_owned()
        }
        (Kind::Hang, _) => match place.example.timeout_ms {
            Some(timeout) => format!(
                "if the test needs longer than {} s, set `STRAGGLER_TIMEOUT`",
                timeout.div_ceil(1000)
            ),
            None => "wake what it waits for before the test ends".to_owned(),
        },
        (Kind::Lock, _) => "drop the guard before the test ends".to_owned(),
        (Kind::Thread, _) => "join the thread before the test ends".to_owned(),
        (Kind::Check, _) => "run the test alone: its output has the whole report".to_owned(),
    }
}

/// Whether a place is in code that only tests run.
fn is_test_code(place: &Place) -> bool {
    let file = place.at.file.as_deref().unwrap_or_default();
    // `tests`, `test_helpers`, `testing.rs`.
    let in_folder = file
        .split('/')
        .any(|part| part.starts_with("test") || ["benches", "examples"].contains(&part));
    let function = place.function.as_deref().unwrap_or_default();
    in_folder
        || function
            .split("::")
            .any(|part| ["test", "tests"].contains(&part))
}

/// `1 test`, `2 tests`.
fn count(number: usize, of: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {of}{plural}")
}

/// The first names, and how many more there are.
fn first<'n>(names: impl Iterator<Item = &'n str>, number: usize) -> String {
    let names: Vec<_> = names.take(NAMED_TESTS).collect();
    match number - names.len() {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::is_test_code;
    use crate::findings::line::Line;
    use crate::findings::place::Found;
    use crate::findings::sources::Sources;

    #[test]
    fn helpers_of_tests_are_test_code() {
        for (file, expected) in [
            ("tests/server.rs", true),
            ("axum/src/test_helpers/test_client.rs", true),
            ("benches/pool.rs", true),
            ("src/pool.rs", false),
            ("src/latest.rs", false),
        ] {
            let line = serde_json::json!({
                "test": "serves", "verdict": "leaked",
                "findings": [{"kind": "task", "file": file, "line": 3, "count": 1}],
            });
            let lines = vec![serde_json::from_value::<Line>(line).unwrap()];
            let places = Found::by_place(lines, &Sources::none()).places;
            assert_eq!(is_test_code(&places[0]), expected, "{file}");
        }
    }
}
