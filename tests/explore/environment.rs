//! What the environment variables do, which hold for all of a process: in processes of their own.

use super::*;
use child::{run, run_with};

#[straggler::test(explore = 500)]
#[ignore = "fails on purpose"]
async fn races() {
    two_registrations().await;
}

/// Counts its runs aloud.
#[straggler::test(explore = 5)]
#[ignore = "run by another test"]
async fn counts() {
    eprintln!("a run");
}

#[straggler::test(explore = 3, grace = "10ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn leaks_where_it_should_panic() {
    straggler::spawn(pending::<()>());
}

#[straggler::test(explore = 5, allow = 1)]
#[ignore = "run by another test"]
async fn has_a_rule_that_allows_nothing() {}

#[test]
fn a_rule_that_allows_nothing_is_noted_once() {
    let ended = run("environment::has_a_rule_that_allows_nothing");
    assert!(ended.passed, "{ended:?}");
    assert_eq!(
        ended.stderr.matches("`allow = 1` allowed nothing").count(),
        1,
        "{ended:?}"
    );
}

#[test]
fn the_line_that_is_printed_repeats_the_run() {
    let ended = run("environment::races");
    assert!(!ended.passed, "{ended:?}");
    let (_, line) = ended.stderr.split_once("STRAGGLER_SEED=").unwrap();
    let (seed, test) = line.trim_end().split_once(" cargo test ").unwrap();
    assert_eq!(test, "environment::races -- --exact");
    let again = run_with("environment::races", &[("STRAGGLER_SEED", seed)]);
    assert!(
        !again.passed && again.stderr.contains("explore: the run of"),
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
        "by the hook, and in the report: it ran once: {again:?}"
    );
    let plain = run_with("environment::races", &[("STRAGGLER_SEED", "plain")]);
    assert!(plain.passed && plain.stderr.is_empty(), "{plain:?}");
}

#[test]
fn a_panic_is_printed_once_however_often_the_run_is_repeated() {
    let ended = run("environment::races");
    assert_eq!(ended.stderr.matches("panicked at").count(), 2, "{ended:?}");
}

#[test]
fn the_number_of_runs_can_be_set() {
    let runs = |variables: &[_]| {
        let ended = run_with("environment::counts", variables);
        assert!(ended.passed, "{ended:?}");
        ended.stderr.matches("a run").count()
    };
    assert_eq!(runs(&[]), 5);
    assert_eq!(runs(&[("STRAGGLER_RUNS", "7")]), 7);
    assert_eq!(runs(&[("STRAGGLER", "off")]), 1);
    assert_eq!(runs(&[("STRAGGLER_SEED", "0x5")]), 1);
    let off = [("STRAGGLER", "off"), ("STRAGGLER_SEED", "0:1/0000")];
    let ended = run_with("environment::counts", &off);
    assert_eq!(
        ended.stderr, "a run\n",
        "the plain order, in which no seed is looked at"
    );
}

#[test]
fn a_slip_of_the_pen_is_an_error_that_says_what_would_be_right() {
    for (name, value, says) in [
        (
            "STRAGGLER_SEED",
            "tomorrow",
            "`tomorrow` is no seed of a run: one is written `0x",
        ),
        (
            "STRAGGLER_RUNS",
            "many",
            "a number from 1 on, such as `5000`, and not `many`",
        ),
        (
            "STRAGGLER_RUNS",
            "0",
            "a number from 1 on, such as `5000`, and not `0`",
        ),
    ] {
        let ended = run_with("environment::counts", &[(name, value)]);
        assert!(!ended.passed && ended.stderr.contains(says), "{ended:?}");
        assert!(ended.stderr.contains(name), "{ended:?}");
    }
}

#[straggler::test(explore = 3, grace = "10ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "no such account")]
async fn leaks_and_panics_as_it_should() {
    straggler::spawn(pending::<()>());
    panic!("no such account");
}

#[test]
fn a_leak_beside_the_panic_that_is_expected_fails_the_test() {
    let ended = run("environment::leaks_and_panics_as_it_should");
    assert!(!ended.passed, "{ended:?}");
    assert!(ended.stderr.contains("1 task outlived"), "{ended:?}");
}

#[test]
fn a_leak_is_no_panic_that_is_expected() {
    let ended = run("environment::leaks_where_it_should_panic");
    assert!(!ended.passed, "{ended:?}");
    assert!(ended.stderr.contains("1 task outlived"), "{ended:?}");
    assert!(
        ended.stdout.contains("test did not panic as expected"),
        "{ended:?}"
    );
}

#[straggler::test(explore = 100, grace = "0s")]
#[ignore = "fails on purpose"]
async fn leaks_and_races() {
    straggler::spawn(pending::<()>());
    two_registrations().await;
}

#[straggler::test(explore = 3, grace = "0s")]
#[ignore = "fails on purpose"]
async fn leaks() {
    straggler::spawn(pending::<()>());
}

#[straggler::test(explore = 3)]
#[ignore = "fails on purpose"]
#[should_panic(expected = "expects_another_panic")]
async fn expects_another_panic() {
    panic!("no such account");
}

#[test]
fn the_panic_that_is_expected_is_looked_for_in_the_panic_alone() {
    let ended = run("environment::expects_another_panic");
    assert!(!ended.passed, "{ended:?}");
    let says = "panic did not contain expected string";
    assert!(ended.stdout.contains(says), "{ended:?}");
}

#[test]
fn leaks_are_only_printed_if_that_is_asked_for_and_hide_no_race() {
    for seed in ["", "plain", "0x5"] {
        let variables = [("STRAGGLER", "warn"), ("STRAGGLER_SEED", seed)];
        let ended = run_with("environment::leaks", &variables);
        assert!(ended.passed, "{ended:?}");
        let says = "leak_check: 1 task outlived";
        assert!(ended.stderr.starts_with(says), "{ended:?}");
        assert_eq!(ended.stderr.matches(says).count(), 1, "{ended:?}");
    }
    let warn = [("STRAGGLER", "warn")];
    let ended = run_with("environment::leaks_and_races", &warn);
    assert!(!ended.passed, "{ended:?}");
    assert!(ended.stderr.contains("one name, one account"), "{ended:?}");
}

#[straggler::test(explore = 5)]
#[ignore = "run by another test"]
async fn leaks_beside_a_task_that_ends_in_the_grace() {
    straggler::spawn(pending::<()>());
    straggler::spawn(async {
        simpler::takes_long().await;
        eprintln!("it had a grace");
    });
}

#[test]
fn leaks_that_were_printed_take_no_more_time() {
    let warn = [("STRAGGLER", "warn")];
    let scenario = "environment::leaks_beside_a_task_that_ends_in_the_grace";
    let ended = run_with(scenario, &warn);
    assert!(ended.passed, "{ended:?}");
    let says = "leak_check: 1 task outlived";
    assert_eq!(ended.stderr.matches(says).count(), 1, "{ended:?}");
    let graces = ended.stderr.matches("it had a grace").count();
    assert_eq!(graces, 1, "{ended:?}");
}
