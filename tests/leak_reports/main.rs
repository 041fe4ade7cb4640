//! The printed reports, at each level of detail: `counted` and `hooked` for spawns through tokio
//! itself, without and with `--cfg tokio_unstable`; `tracked` for spawns through straggler, which
//! look the same in both builds.
//!
//! `INSTA_UPDATE=always` rewrites the snapshots of the current build.

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

/// Runs a scenario at each level of detail. It must fail, and print its snapshot.
fn check(scenario: &str) {
    check_as(scenario, [PLAIN, "tracked"]);
}

/// Runs a scenario that leaks something untracked even where spawns go through straggler: each build shows
/// less or more of it.
fn check_in_each_build(scenario: &str) {
    let tracked = format!("tracked_{PLAIN}");
    check_as(scenario, [PLAIN, &tracked]);
}

fn check_as(scenario: &str, [plain, tracked]: [&str; 2]) {
    for (module, depth) in [("plain", plain), ("tracked", tracked)] {
        let ended = child::run(&format!("{module}::scenarios::{scenario}"));
        assert!(!ended.passed, "{ended:?}");
        let is_blank = |line: &str| !line.is_empty() && line.trim().is_empty();
        assert!(!ended.stderr.lines().any(is_blank), "{}", ended.stderr);
        let name = scenario.rsplit("::").next().unwrap_or(scenario);
        let snapshot = format!("{depth}__{name}");
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_snapshot_path("snapshots");
        settings.set_description(format!("what `{scenario}` prints"));
        settings.set_omit_expression(true);
        settings.add_filter(r"alive for .*?(, polled|\n)", "alive for [age]$1");
        settings.add_filter(r"no progress for .* before", "no progress for [age] before");
        settings.add_filter(r"held for .*\n", "held for [age]\n");
        settings.add_filter(r"(requested at .*, waiting for) .*\n", "$1 [age]\n");
        settings.add_filter(r"running for .*\n", "running for [age]\n");
        settings.add_filter(
            r"tokio-util-[\d.]+/(\S+):\d+:\d+",
            "tokio-util-[version]/$1:[line]",
        );
        settings.add_filter(r"\(\d+\) panicked", "([thread]) panicked");
        settings.bind(|| insta::assert_snapshot!(snapshot, ended.stderr));
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
fn spawn_chain() {
    check("spawn_chain");
}

#[test]
fn timers() {
    check("timers");
}

#[test]
fn paused_clock() {
    check("paused_clock");
}

#[test]
fn leak_and_ok() {
    check("leak_and_ok");
}

#[test]
fn leak_and_error() {
    check("leak_and_error");
}

#[test]
fn leak_and_panic() {
    check("leak_and_panic");
}

#[test]
fn leak_and_expected_panic() {
    check("leak_and_expected_panic");
}

#[test]
fn leak_and_missing_panic() {
    check("leak_and_missing_panic");
}

#[test]
fn allowance_exceeded() {
    check("allowance_exceeded");
}

#[test]
fn hang() {
    check("hang");
}

#[test]
fn hang_and_should_panic() {
    check("hang_and_should_panic");
}

#[test]
fn leak_panics_in_drop() {
    check("leak_panics_in_drop");
}

#[test]
#[cfg(target_os = "linux")]
fn blocking_work() {
    check("blocking_work");
}

#[test]
#[cfg(target_os = "linux")]
fn blocking_work_at_several_places() {
    check("blocking_work_at_several_places");
}

#[test]
#[cfg(target_os = "linux")]
fn blocking_work_and_allowed_task() {
    check("blocking_work_and_allowed_task");
}

#[test]
#[cfg(target_os = "linux")]
fn leak_and_blocking_work() {
    check("leak_and_blocking_work");
}

#[test]
#[cfg(target_os = "linux")]
fn hang_and_blocking_work() {
    check("hang_and_blocking_work");
}

#[test]
#[cfg(target_os = "linux")]
fn threads() {
    check("threads");
}

#[test]
#[cfg(target_os = "linux")]
fn every_kind_of_leak() {
    check("every_kind_of_leak");
}

#[test]
fn forgotten_lock() {
    check("forgotten_lock");
}

#[test]
fn lock_held_by_leaked_task() {
    check("lock_held_by_leaked_task");
}

#[test]
fn lock_acquired_twice() {
    check("lock_acquired_twice");
}

#[test]
fn panic_and_leak() {
    check("panic_and_leak");
}

#[test]
fn expected_panic_and_panic_and_leak() {
    check("expected_panic_and_panic_and_leak");
}

#[test]
fn equal_panics() {
    check("equal_panics");
}

#[test]
#[cfg(target_os = "linux")]
fn panic_and_hang() {
    check("panic_and_hang");
}

#[test]
fn output_panics_in_drop() {
    check("output_panics_in_drop");
}

#[test]
fn spawn_in_dependency() {
    check_in_each_build("spawn_in_dependency");
}

#[test]
#[cfg(target_os = "linux")]
fn deadlock_on_kept_future() {
    check("deadlock_on_kept_future");
}

#[test]
fn hang_on_kept_future() {
    check("hang_on_kept_future");
}

#[test]
#[cfg(target_os = "linux")]
fn deadlock_of_lock_and_task() {
    check("deadlock_of_lock_and_task");
}

#[test]
fn rule_without_room() {
    check("of_unit_tests::rule_without_room");
}
