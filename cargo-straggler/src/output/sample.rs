//! Results for the tests of each format, with names and messages that have to be escaped.

use std::collections::{BTreeMap, BTreeSet};

use crate::baseline::Origin;
use crate::exploration::{Explored, Failed};
use crate::findings::line::{At, Call, Exploration};
use crate::findings::place::{Kind, Test};
use crate::output::results::{Example, ReportedPlace, ReportedTest, Results, TestOutcomes};

/// A new panic, an accepted leak in a dependency, and a schedule that fails.
pub(crate) fn sample() -> Results {
    let tests = TestOutcomes {
        checked: [
            test("pool::fills", 3),
            test("pool::serves", 9),
            test("pool::breaks", 14),
            test("pool::drains", 20),
        ]
        .into(),
        failed: [test("pool::breaks", 14)].into(),
        skipped: [test("pool::old", 30)].into(),
        unchecked: vec!["plain<u8>".to_owned()],
        doc_tests: 1,
        waited_ms: 1_250,
    };
    Results {
        places: vec![panic(), accepted()],
        explored: Some(explored()),
        tests,
        expected_panics: 0,
        gone: Vec::new(),
        unmatched: Vec::new(),
    }
}

/// A place like the first one of [`sample`], at another line.
pub(crate) fn panic_at(line: usize) -> ReportedPlace {
    let mut place = panic();
    for at in [Some(&mut place.at), place.in_repository.as_mut()] {
        at.unwrap().line = Some(line);
    }
    place
}

fn panic() -> ReportedPlace {
    let example = Example {
        facts: vec!["spawned at src/a,b:<c>.rs:7 in `Pool<'a>::new`, by the test".to_owned()],
        message: Some("100% of \"<b>\" & ]]>\nis `gone`".to_owned()),
    };
    let at = at("src/a,b:<c>.rs", 7);
    ReportedPlace {
        origin: Origin {
            kind: Kind::Panic,
            package: None,
            file: at.file.clone(),
            function: Some("Pool<'a>::new".to_owned()),
        },
        in_repository: Some(at.clone()),
        at,
        title: "a task panics in 1 test".to_owned(),
        called_at: None,
        example: example.clone(),
        advice: "fix the panic: `#[tokio::test]` alone passes in spite of it".to_owned(),
        tests: BTreeMap::from([(test("pool::fills", 3), ReportedTest { count: 2, example })]),
        accepted: None,
    }
}

fn accepted() -> ReportedPlace {
    let example = |waits: &str| Example {
        facts: vec![
            "spawned at axum-0.8.9/src/serve/mod.rs:389".to_owned(),
            "called at src/server.rs:12 in `start`".to_owned(),
            waits.to_owned(),
        ],
        message: None,
    };
    let of = |name: &str, line: usize| {
        let example = example(&format!("waits in `{name}`"));
        (test(name, line), ReportedTest { count: 1, example })
    };
    let call = Call {
        function: "start".to_owned(),
        at: at("src/server.rs", 12),
    };
    ReportedPlace {
        origin: Origin {
            kind: Kind::Leak,
            package: Some("axum".to_owned()),
            file: Some("src/serve/mod.rs".to_owned()),
            function: None,
        },
        at: at("axum-0.8.9/src/serve/mod.rs", 389),
        in_repository: Some(call.at.clone()),
        title: "a task outlives 2 tests".to_owned(),
        called_at: Some(call),
        example: example("waits for `Accept`"),
        advice: "shut down what `start` starts in axum".to_owned(),
        tests: BTreeMap::from([of("pool::fills", 3), of("pool::serves", 9)]),
        accepted: Some("by <design> & \"so\"".to_owned()),
    }
}

fn explored() -> Explored {
    let of_threads = BTreeSet::from([test("pool::serves", 9)]);
    Explored {
        passed: [test("pool::fills", 3)].into(),
        failed: vec![Failed {
            test: test("pool::drains", 20),
            panicked_at: Some(at("tests/pool.rs", 24)),
            in_repository: Some(at("tests/pool.rs", 24)),
            exploration: Exploration {
                runs: 200,
                run: Some(8),
                seed: Some("2:1/a30a".to_owned()),
                replay: Some(
                    "STRAGGLER_SEED=2:1/a30a cargo straggler explore pool::drains -- --exact"
                        .to_owned(),
                ),
                svg: Some("<svg><script>alert(\"<b>\")</script></svg>".to_owned()),
            },
            message: Some("left: 1\nright: 2".to_owned()),
        }],
        unexplored: BTreeMap::from([("it uses a file".to_owned(), of_threads)]),
    }
}

fn test(name: &str, line: usize) -> Test {
    Test {
        name: name.to_owned(),
        at: at("tests/pool.rs", line),
    }
}

fn at(file: &str, line: usize) -> At {
    At {
        file: Some(file.to_owned()),
        line: Some(line),
    }
}
