//! Environment variables. They apply to a whole process, so the scenarios run in child processes.

use super::*;
use child::{run, run_with};

#[straggler::test(explore = 500)]
#[ignore = "fails on purpose"]
async fn race() {
    two_registrations().await;
}

/// Prints a line in each run.
#[straggler::test(explore = 5)]
#[ignore = "run by another test"]
async fn run_counter() {
    eprintln!("a run");
}

#[straggler::test(explore = 3, grace = "10ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn leak_in_should_panic() {
    straggler::spawn(pending::<()>());
}

#[straggler::test(explore = 5, allow = 1)]
#[ignore = "run by another test"]
async fn unused_rule() {}

#[test]
fn unused_rule_noted_once() {
    let ended = run("environment::unused_rule");
    assert!(ended.passed, "{ended:?}");
    assert_eq!(
        ended.stderr.matches("`allow = 1` allowed nothing").count(),
        1,
        "{ended:?}"
    );
}

#[test]
fn printed_command_replays_run() {
    let ended = run("environment::race");
    assert!(!ended.passed, "{ended:?}");
    let (_, line) = ended.stderr.split_once("STRAGGLER_SEED=").unwrap();
    let (seed, test) = line.trim_end().split_once(" cargo test ").unwrap();
    assert_eq!(test, "--test explore environment::race -- --exact");
    let again = run_with("environment::race", &[("STRAGGLER_SEED", seed)]);
    assert!(
        !again.passed && again.stderr.contains("explore: the test"),
        "{again:?}"
    );
    let schedule = |text: &str| {
        let (_, schedule) = text.split_once("\n\n  1. ").unwrap();
        schedule.split_once("\n\n").unwrap().0.to_owned()
    };
    assert_eq!(schedule(&again.stderr), schedule(&ended.stderr));
    let panics = again.stderr.matches("panicked at").count();
    assert_eq!(
        panics, 2,
        "once by the hook, and once in the report: {again:?}"
    );
    let plain = run_with("environment::race", &[("STRAGGLER_SEED", "plain")]);
    assert!(plain.passed && plain.stderr.is_empty(), "{plain:?}");
}

#[test]
fn panic_printed_once_despite_reruns() {
    let ended = run("environment::race");
    assert_eq!(ended.stderr.matches("panicked at").count(), 2, "{ended:?}");
}

#[test]
fn run_count_set_by_environment() {
    let runs = |variables: &[_]| {
        let ended = run_with("environment::run_counter", variables);
        assert!(ended.passed, "{ended:?}");
        ended.stderr.matches("a run").count()
    };
    assert_eq!(runs(&[]), 5);
    assert_eq!(runs(&[("STRAGGLER_RUNS", "7")]), 7);
    assert_eq!(runs(&[("STRAGGLER", "off")]), 1);
    assert_eq!(runs(&[("STRAGGLER_SEED", "0x5")]), 1);
    let off = [("STRAGGLER", "off"), ("STRAGGLER_SEED", "0:1/0000")];
    let ended = run_with("environment::run_counter", &off);
    assert_eq!(ended.stderr, "a run\n", "off mode ignores the seed");
}

#[test]
fn invalid_variable_error_names_valid_form() {
    for (name, value, says) in [
        (
            "STRAGGLER_SEED",
            "tomorrow",
            "invalid seed `tomorrow`: expected `0x",
        ),
        (
            "STRAGGLER_RUNS",
            "many",
            "a positive number such as `5000`, got `many`",
        ),
        (
            "STRAGGLER_RUNS",
            "0",
            "a positive number such as `5000`, got `0`",
        ),
    ] {
        let ended = run_with("environment::run_counter", &[(name, value)]);
        assert!(!ended.passed && ended.stderr.contains(says), "{ended:?}");
        assert!(ended.stderr.contains(name), "{ended:?}");
    }
}

#[straggler::test(explore = 3, grace = "10ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn leak_and_expected_panic() {
    straggler::spawn(pending::<()>());
    panic!("no such account");
}

#[test]
fn leak_beside_expected_panic_fails_test() {
    let ended = run("environment::leak_and_expected_panic");
    assert!(!ended.passed, "{ended:?}");
    assert!(ended.stderr.contains("1 task outlived"), "{ended:?}");
}

#[test]
fn leak_does_not_satisfy_should_panic() {
    let ended = run("environment::leak_in_should_panic");
    assert!(!ended.passed, "{ended:?}");
    assert!(ended.stderr.contains("1 task outlived"), "{ended:?}");
    assert!(
        ended.stdout.contains("test did not panic as expected"),
        "{ended:?}"
    );
}

#[straggler::test(explore = 100, grace = "0s")]
#[ignore = "fails on purpose"]
async fn leak_and_race() {
    straggler::spawn(pending::<()>());
    two_registrations().await;
}

#[straggler::test(explore = 3, grace = "0s")]
#[ignore = "fails on purpose"]
async fn leak() {
    straggler::spawn(pending::<()>());
}

#[straggler::test(explore = 3)]
#[ignore = "fails on purpose"]
#[should_panic(expected = "other_panic_expected")]
async fn other_panic_expected() {
    panic!("no such account");
}

#[test]
fn should_panic_matches_panic_message_only() {
    let ended = run("environment::other_panic_expected");
    assert!(!ended.passed, "{ended:?}");
    let says = "panic did not contain expected string";
    assert!(ended.stdout.contains(says), "{ended:?}");
}

#[test]
fn warn_mode_prints_leak_once_and_finds_race() {
    for seed in ["", "plain", "0x5"] {
        let variables = [("STRAGGLER", "warn"), ("STRAGGLER_SEED", seed)];
        let ended = run_with("environment::leak", &variables);
        assert!(ended.passed, "{ended:?}");
        let says = "leak_check: 1 task outlived";
        assert!(ended.stderr.starts_with(says), "{ended:?}");
        assert_eq!(ended.stderr.matches(says).count(), 1, "{ended:?}");
    }
    let warn = [("STRAGGLER", "warn")];
    let ended = run_with("environment::leak_and_race", &warn);
    assert!(!ended.passed, "{ended:?}");
    assert!(ended.stderr.contains("one name, one account"), "{ended:?}");
}

#[straggler::test(explore = 5)]
#[ignore = "run by another test"]
async fn leak_beside_task_ending_in_grace() {
    straggler::spawn(pending::<()>());
    straggler::spawn(async {
        shrink::many_yields().await;
        eprintln!("it had a grace");
    });
}

#[test]
fn printed_leak_gets_grace_once() {
    let warn = [("STRAGGLER", "warn")];
    let scenario = "environment::leak_beside_task_ending_in_grace";
    let ended = run_with(scenario, &warn);
    assert!(ended.passed, "{ended:?}");
    let says = "leak_check: 1 task outlived";
    assert_eq!(ended.stderr.matches(says).count(), 1, "{ended:?}");
    let graces = ended.stderr.matches("it had a grace").count();
    assert_eq!(graces, 1, "{ended:?}");
}
