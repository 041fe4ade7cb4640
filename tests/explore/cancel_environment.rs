//! Environment variables and tests that cancel. They apply to a whole process, so the scenarios run in child
//! processes.

use straggler::cancellable;

use super::*;
use child::{run, run_with};

/// Leaves a task behind if it is cancelled at any place but the first.
#[straggler::test(cancel, grace = "0s")]
#[ignore = "fails on purpose"]
async fn leak() {
    cancellable(async {
        let task = straggler::spawn(pending::<()>());
        yield_now().await;
        yield_now().await;
        task.abort();
    })
    .await;
}

/// Leaves a task behind in each run.
#[straggler::test(cancel, grace = "0s")]
#[ignore = "fails on purpose"]
async fn leak_beside_operation() {
    straggler::spawn(pending::<()>());
    cancellable(yield_now()).await;
}

#[straggler::test(cancel)]
#[ignore = "run by another test"]
async fn clean() {
    eprintln!("a run");
    cancellable(yield_now()).await;
}

#[straggler::test(cancel)]
#[ignore = "run by another test"]
async fn nothing_to_cancel() {
    eprintln!("a run");
}

/// Half done if it is cancelled in between, with a leak in each run.
#[straggler::test(cancel, grace = "0s")]
#[ignore = "fails on purpose"]
async fn leak_and_half_done() {
    straggler::spawn(pending::<()>());
    let half = Cell::new(false);
    cancellable(async {
        half.set(true);
        yield_now().await;
        half.set(false);
    })
    .await;
    assert!(!half.get(), "half done");
}

/// Nothing leaks in any run.
#[straggler::test(cancel, allow("src/lib.rs"))]
#[ignore = "run by another test"]
async fn unused_rule() {
    cancellable(yield_now()).await;
}

/// A task leaks if the operation is cancelled after its spawn.
#[straggler::test(cancel, grace = "0s", allow("tests/explore"))]
#[ignore = "run by another test"]
async fn rule_for_cancelled_run() {
    cancellable(async {
        let task = straggler::spawn(pending::<()>());
        yield_now().await;
        task.abort();
        _ = task.await;
    })
    .await;
}

#[straggler::test(explore = 5)]
#[ignore = "run by another test"]
async fn without_cancel() {
    eprintln!("a run");
}

const LEAKED: &str = "leak_check: 1 task outlived";

#[test]
fn replay_that_warns_does_not_pass() {
    let failed = run("cancel_environment::leak");
    assert!(!failed.passed, "{failed:?}");
    let (_, line) = failed.stderr.split_once("STRAGGLER_SEED=").unwrap();
    let (seed, _) = line.split_once(' ').unwrap();
    assert!(seed.starts_with("cancel:"), "{seed}");
    let variables = [("STRAGGLER", "warn"), ("STRAGGLER_SEED", seed)];
    let ended = run_with("cancel_environment::leak", &variables);
    assert!(ended.passed, "{ended:?}");
    assert!(ended.stderr.starts_with(LEAKED), "{ended:?}");
    assert!(!ended.stderr.contains("passes now"), "{ended:?}");
}

#[test]
fn warn_mode_prints_leak_once_and_finds_half_done() {
    let warn = [("STRAGGLER", "warn")];
    for test in ["leak", "leak_beside_operation"] {
        let ended = run_with(&format!("cancel_environment::{test}"), &warn);
        assert!(ended.passed, "{ended:?}");
        assert_eq!(ended.stderr.matches(LEAKED).count(), 1, "{ended:?}");
    }
    let ended = run_with("cancel_environment::leak_and_half_done", &warn);
    assert!(!ended.passed, "{ended:?}");
    assert!(ended.stderr.contains("half done"), "{ended:?}");
}

#[test]
fn skipped_test_runs_once_without_a_note() {
    for test in ["clean", "nothing_to_cancel"] {
        for variable in [
            ("STRAGGLER_TESTS", "cancel_environment::* skip"),
            ("STRAGGLER", "off"),
        ] {
            let ended = run_with(&format!("cancel_environment::{test}"), &[variable]);
            assert!(ended.passed, "{ended:?}");
            assert_eq!(ended.stderr, "a run\n", "{variable:?}");
        }
    }
}

#[test]
fn seed_that_cancels_needs_cancel() {
    let seed = ("STRAGGLER_SEED", "cancel:3,7");
    let ended = run_with("cancel_environment::without_cancel", &[seed]);
    assert!(!ended.passed, "{ended:?}");
    assert!(!ended.stderr.contains("a run"), "{ended:?}");
    let text = "was not run: its seed `cancel:3,7` cancels an operation, but it has no `cancel`";
    assert!(ended.stderr.contains(text), "{ended:?}");

    let off = ("STRAGGLER", "off");
    let ended = run_with("cancel_environment::without_cancel", &[seed, off]);
    assert!(ended.passed, "{ended:?}");
    assert_eq!(ended.stderr, "a run\n");

    let replay = Explore::new().replay("cancel:0".parse().unwrap());
    let failure = replay.find(async || ()).unwrap_err();
    assert!(failure.to_string().contains("has no `cancel`"), "{failure}");
}

#[test]
fn untried_places_noted() {
    let ended = run_with("cancel_environment::clean", &[("STRAGGLER_RUNS", "2")]);
    assert!(ended.passed, "{ended:?}");
    assert!(ended.stderr.contains("only the first 1 of "), "{ended:?}");
}

#[test]
fn unused_rule_noted_once() {
    let note = "allowed nothing";
    let ended = run("cancel_environment::unused_rule");
    assert!(ended.passed, "{ended:?}");
    assert_eq!(ended.stderr.matches(note).count(), 1, "{ended:?}");
    let ended = run("cancel_environment::rule_for_cancelled_run");
    assert!(ended.passed, "{ended:?}");
    assert!(!ended.stderr.contains(note), "{ended:?}");
}

#[test]
fn report_file_has_cancellation_and_picture() {
    let path = std::env::temp_dir().join(format!("straggler-cancel-{}.json", std::process::id()));
    let file = path.to_str().unwrap();
    let variables = [("STRAGGLER_REPORT", file)];
    let ended = run_with("cancel_environment::leak", &variables);
    assert!(!ended.passed, "{ended:?}");
    let report = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(report.contains(r#""seed":"cancel:"#), "{report}");
    assert!(report.contains(r#""action":"is cancelled""#), "{report}");
    assert!(report.contains(">is cancelled</text>"), "{report}");
}
