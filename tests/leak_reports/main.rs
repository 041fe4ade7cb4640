//! What people read when a test leaves tasks behind, in each depth: tokio's own spawns in a build
//! that counts them and in one whose hooks see them (`--cfg tokio_unstable`), and tracked spawns,
//! which look the same in both builds.
//!
//! `INSTA_UPDATE=always` writes the snapshots anew.

#![cfg(feature = "macros")]
#![expect(
    clippy::duplicate_mod,
    reason = "the scenarios are compiled with tokio's spawns and with tracked ones"
)]

#[path = "../common/child.rs"]
mod child;
mod plain;
mod tracked;

const PLAIN: &str = if cfg!(tokio_unstable) {
    "hooked"
} else {
    "counted"
};

/// Runs a scenario in each depth, compares what it prints, and checks that it fails.
fn check(scenario: &str) {
    for (module, depth) in [("plain", PLAIN), ("tracked", "tracked")] {
        let ended = child::run(&format!("{module}::scenarios::{scenario}"));
        assert!(!ended.passed, "{ended:?}");
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_snapshot_path("snapshots");
        settings.set_description(format!("what `{scenario}` prints"));
        settings.set_omit_expression(true);
        settings.add_filter(r"alive for .*?(, polled|\n)", "alive for [age]$1");
        settings.add_filter(r"held for .*\n", "held for [age]\n");
        settings.add_filter(r"(waited for at .*, for) .*\n", "$1 [age]\n");
        settings.add_filter(r"at work for .*\n", "at work for [age]\n");
        settings.add_filter(r"\(\d+\) panicked", "([thread]) panicked");
        settings.bind(|| insta::assert_snapshot!(format!("{depth}__{scenario}"), ended.stderr));
    }
}

#[test]
fn one_leak() {
    check("one_leak");
}

#[test]
fn equal_leaks() {
    check("equal_leaks");
}

#[test]
fn a_chain_of_spawns() {
    check("a_chain_of_spawns");
}

#[test]
fn a_paused_clock() {
    check("a_paused_clock");
}

#[test]
fn a_test_that_returns_ok() {
    check("a_test_that_returns_ok");
}

#[test]
fn a_test_that_returns_an_error() {
    check("a_test_that_returns_an_error");
}

#[test]
fn a_test_that_panics() {
    check("a_test_that_panics");
}

#[test]
fn a_test_that_panics_as_it_should() {
    check("a_test_that_panics_as_it_should");
}

#[test]
fn a_test_that_should_panic_and_does_not() {
    check("a_test_that_should_panic_and_does_not");
}

#[test]
fn more_than_is_allowed() {
    check("more_than_is_allowed");
}

#[test]
fn a_test_that_hangs() {
    check("a_test_that_hangs");
}

#[test]
fn a_test_that_hangs_and_should_panic() {
    check("a_test_that_hangs_and_should_panic");
}

#[test]
fn a_leak_that_panics_when_it_is_dropped() {
    check("a_leak_that_panics_when_it_is_dropped");
}

#[test]
fn blocking_work() {
    check("blocking_work");
}

#[test]
fn blocking_work_of_several_places() {
    check("blocking_work_of_several_places");
}

#[test]
fn blocking_work_and_a_task_that_is_allowed() {
    check("blocking_work_and_a_task_that_is_allowed");
}

#[test]
fn a_leak_and_blocking_work() {
    check("a_leak_and_blocking_work");
}

#[test]
fn a_test_that_hangs_and_blocks() {
    check("a_test_that_hangs_and_blocks");
}

#[test]
#[cfg(target_os = "linux")]
fn threads() {
    check("threads");
}

#[test]
#[cfg(target_os = "linux")]
fn all_that_can_be_left() {
    check("all_that_can_be_left");
}

#[test]
fn a_lock_that_is_forgotten() {
    check("a_lock_that_is_forgotten");
}

#[test]
fn a_lock_that_a_leaked_task_keeps() {
    check("a_lock_that_a_leaked_task_keeps");
}

#[test]
fn a_lock_that_is_acquired_twice() {
    check("a_lock_that_is_acquired_twice");
}
