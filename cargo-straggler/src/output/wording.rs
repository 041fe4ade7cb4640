//! The words for what was found: what is wrong, where, and what to do.

use crate::baseline::Origin;
use crate::findings::line::{At, Finding};
use crate::findings::place::{Kind, Place, function};
use crate::findings::sources::Sources;

/// How many tests are named, where only a few are.
const NAMED_TESTS: usize = 3;

/// A grace that people would accept.
const SOON_MS: u64 = 10_000;

/// What is wrong: `a task outlives 2 tests`.
pub(crate) fn title(place: &Place) -> String {
    format!("{} {}", wrong(place), count(place.tests.len(), "test"))
}

/// Where the place is, what called it, and what a finding there waits for, as far as that is known.
pub(crate) fn facts(place: &Place, example: &Finding, sources: &Sources) -> Vec<String> {
    let at = shown(&place.at, place.function.as_deref()).map(|at| {
        let spawner = spawner(example, sources).unwrap_or_default();
        format!("{} {at}{spawner}", origin(place.kind))
    });
    let called_at = example.called_at.as_ref().and_then(|call| {
        let at = shown(&call.at, Some(&call.function))?;
        Some(format!("called at {at}"))
    });
    [at, called_at, waits(example, sources)]
        .into_iter()
        .flatten()
        .collect()
}

/// A place and the function around it.
fn shown(at: &At, function: Option<&str>) -> Option<String> {
    let file = at.file.as_deref()?;
    let line = at.line.map_or(String::new(), |line| format!(":{line}"));
    let function = function.map_or(String::new(), |function| format!(" in `{function}`"));
    Some(format!("{file}{line}{function}"))
}

/// Where accepted findings come from.
pub(crate) fn origin_of(origin: &Origin) -> String {
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

/// What spawned the task.
fn spawner(finding: &Finding, sources: &Sources) -> Option<String> {
    let spawner = finding.spawned_by.first()?;
    Some(match &*spawner.by {
        "test" => ", by the test".to_owned(),
        "task" => {
            let function = function(&spawner.at, sources);
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
fn waits(finding: &Finding, sources: &Sources) -> Option<String> {
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
        let function = function(&call.at, sources);
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
    let timer = finding.fires_in_ms.map_or(String::new(), |time| {
        format!(", and its timer fires in {}", seconds(time))
    });
    Some(format!("{state}{at}{on}{others}{timer}"))
}

/// A time for people, rounded up.
fn seconds(milliseconds: u64) -> String {
    match milliseconds.div_ceil(1000) {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3600)),
    }
}

/// What is wrong, up to the number of tests.
fn wrong(place: &Place) -> &'static str {
    match place.kind {
        Kind::Hang => "the body does not end in",
        Kind::Panic => "a task panics in",
        Kind::Leak if place.tests.values().any(|test| test.count > 1) => "tasks outlive",
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
pub(crate) fn advice(place: &Place) -> String {
    let function = place.function.as_deref();
    let tests = place.tests.len();
    match (place.kind, &place.package) {
        (Kind::Leak | Kind::Blocking, Some(package)) => match &place.example.called_at {
            Some(call) => format!("shut down what `{}` starts in {package}", call.function),
            None => format!("shut down what the tests start in {package}"),
        },
        (Kind::Leak, None) if ends_soon(place) => {
            let time = place.example.fires_in_ms.unwrap_or_default();
            format!(
                "it ends soon, unless it loops: await it, or make the `grace` {} longer",
                seconds(time)
            )
        }
        (Kind::Leak, None) if place.at.file.is_none() => {
            "a method such as `Handle::spawn` spawned it: use `tokio::spawn` to see where"
                .to_owned()
        }
        (Kind::Leak, None) if is_test_code(place) => {
            // Other places may concern the same tests.
            let all = match tests {
                1 => String::new(),
                2 => ": that ends it in both tests".to_owned(),
                _ => format!(": that ends it in all {tests} tests"),
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

/// Whether the timer fires soon that the first task there waits for.
fn ends_soon(place: &Place) -> bool {
    let fires_in = place.example.fires_in_ms;
    fires_in.is_some_and(|time| time <= SOON_MS)
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

/// A message of a test, without colors: not every format shows them.
pub(crate) fn plain(message: &str) -> String {
    anstream::adapter::strip_str(message).to_string()
}

/// `1 test`, `2 tests`.
pub(crate) fn count(number: usize, of: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {of}{plural}")
}

/// The first names, and how many more there are.
pub(crate) fn first<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let number = names.len();
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
