//! The environment variables, whether the check is armed, and tests beside each other: each in a
//! process of its own.

#![cfg(feature = "macros")]

#[path = "common/child.rs"]
mod child;

use std::future::pending;
use std::time::Duration;

use straggler::LeakCheck;
use straggler::leak::self_test;

/// Leaves a task behind that is alive for two seconds, unless the grace ends it.
#[straggler::test]
#[ignore = "fails on purpose"]
async fn leaks_for_two_seconds() {
    straggler::spawn(tokio::time::sleep(Duration::from_secs(2)));
}

#[straggler::test(grace = "10ms")]
#[ignore = "fails on purpose"]
async fn leaks_with_a_grace_of_its_own() {
    straggler::spawn(tokio::time::sleep(Duration::from_secs(2)));
}

/// The process of a test that is not checked waits for it.
#[straggler::test(grace = "10ms")]
#[ignore = "fails on purpose"]
async fn blocks_for_two_seconds() {
    straggler::spawn_blocking(|| std::thread::sleep(Duration::from_secs(2)));
}

#[straggler::test(grace = "10ms")]
#[ignore = "fails on purpose"]
async fn blocks_for_ever() {
    straggler::spawn_blocking(block_for_ever);
    tokio::task::spawn_blocking(block_for_ever);
}

#[straggler::test(grace = "10ms", flavor = "multi_thread", worker_threads = 2)]
#[ignore = "fails on purpose"]
async fn panics_and_blocks_for_ever() {
    straggler::spawn_blocking(block_for_ever);
    tokio::task::spawn_blocking(block_for_ever);
    panic!("no such account");
}

#[straggler::test(grace = "10ms", allow = 2)]
#[ignore = "run by another test"]
async fn may_block_for_ever() {
    straggler::spawn_blocking(block_for_ever);
    tokio::task::spawn_blocking(block_for_ever);
}

fn block_for_ever() {
    loop {
        std::thread::park();
    }
}

#[straggler::test(grace = "10ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "as it should")]
async fn leaks_and_panics_as_it_should() {
    straggler::spawn(pending::<()>());
    panic!("as it should");
}

#[straggler::test]
#[ignore = "fails on purpose"]
#[should_panic]
#[expect(
    clippy::should_panic_without_expect,
    reason = "any panic would do, also one of the check's own"
)]
async fn should_panic_with_any_message() {
    panic!("as it should");
}

#[test]
#[ignore = "run by another test"]
fn runs_a_check() {
    let result = LeakCheck::new().grace(Duration::ZERO).run(async {
        tokio::spawn(pending::<()>());
    });
    println!(
        "{}",
        if result.is_ok() {
            "it passed"
        } else {
            "it failed"
        }
    );
}

#[test]
fn a_leak_fails_its_test_unless_something_else_is_said() {
    for variables in [&[][..], &[("STRAGGLER", "deny")], &[("STRAGGLER", "")]] {
        let ended = child::run_with("leaks_with_a_grace_of_its_own", variables);
        assert!(!ended.passed, "{variables:?}");
        assert!(
            ended.stderr.starts_with(
                "leak_check: 1 task outlived the test `leaks_with_a_grace_of_its_own`"
            )
        );
    }
}

#[test]
fn a_warning_is_printed_and_the_test_passes() {
    let warn = [("STRAGGLER", "warn")];
    for test in [
        "leaks_with_a_grace_of_its_own",
        "leaks_and_panics_as_it_should",
    ] {
        let ended = child::run_with(test, &warn);
        assert!(ended.passed, "{ended:?}");
        assert!(
            ended
                .stderr
                .contains("leak_check: 1 task outlived the test"),
            "{ended:?}"
        );
    }
    let ended = child::run_with("runs_a_check", &warn);
    assert!(ended.stdout.contains("it passed"), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("leak_check: 1 task outlived the check at"),
        "{ended:?}"
    );
}

#[test]
fn switched_off_nothing_is_checked_and_nothing_printed() {
    let off = [("STRAGGLER", "off")];
    let ended = child::run_with("leaks_with_a_grace_of_its_own", &off);
    assert!(ended.passed && ended.stderr.is_empty(), "{ended:?}");
    let ended = child::run_with("leaks_and_panics_as_it_should", &off);
    assert!(
        ended.passed && !ended.stderr.contains("leak_check"),
        "{ended:?}"
    );
    assert!(
        child::run_with("runs_a_check", &off)
            .stdout
            .contains("it passed")
    );
}

#[test]
fn what_is_said_of_leaks_holds_for_blocking_work() {
    let ended = child::run("blocks_for_two_seconds");
    assert!(!ended.passed, "{ended:?}");
    let says = "leak_check: 1 `spawn_blocking` closure outlived the test `blocks_for_two_seconds`";
    assert!(ended.stderr.starts_with(says), "{ended:?}");
    let ended = child::run_with("blocks_for_two_seconds", &[("STRAGGLER", "warn")]);
    assert!(ended.passed && ended.stderr.starts_with(says), "{ended:?}");
    let ended = child::run_with("blocks_for_two_seconds", &[("STRAGGLER", "off")]);
    assert!(ended.passed && ended.stderr.is_empty(), "{ended:?}");
    let ended = child::run_with("blocks_for_two_seconds", &[("STRAGGLER_GRACE", "1h")]);
    assert!(!ended.passed, "the test has a grace of its own: {ended:?}");
}

#[test]
fn a_process_ends_though_blocking_work_never_does() {
    let ended = child::run("blocks_for_ever");
    assert!(!ended.passed, "{ended:?}");
    let says = "leak_check: 2 `spawn_blocking` closures outlived the test `blocks_for_ever`";
    assert!(ended.stderr.starts_with(says), "{ended:?}");
    let ended = child::run("panics_and_blocks_for_ever");
    assert!(!ended.passed, "{ended:?}");
    let says = "The test failed by the panic above. The leak check also found this:";
    assert!(
        ended.stderr.contains("no such account") && ended.stderr.contains(says),
        "{ended:?}"
    );
    // Also of a test that passes. Its rule is used, and not noted as one that is not.
    let ended = child::run("may_block_for_ever");
    assert!(ended.passed && ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn a_variable_that_cannot_be_understood_fails_the_test_and_is_named() {
    for (variable, value, right) in [
        ("STRAGGLER", "offf", "`deny`, `warn` or `off`"),
        ("STRAGGLER_GRACE", "10", "a time such as `250ms`"),
    ] {
        for test in [
            "leaks_with_a_grace_of_its_own",
            "leaks_and_panics_as_it_should",
            "should_panic_with_any_message",
        ] {
            let ended = child::run_with(test, &[(variable, value)]);
            assert!(!ended.passed, "{ended:?}");
            let says = format!("`{test}` (tests/leak_environment.rs:");
            assert!(ended.stderr.contains(&says), "{ended:?}");
            assert!(ended.stderr.contains("was not run"), "{ended:?}");
            assert!(
                ended.stderr.contains(variable) && ended.stderr.contains(right),
                "{ended:?}"
            );
        }
    }
}

#[test]
fn the_grace_of_a_test_outranks_that_of_the_environment() {
    let long = [("STRAGGLER_GRACE", "60s")];
    assert!(child::run_with("leaks_for_two_seconds", &long).passed);
    assert!(!child::run_with("leaks_with_a_grace_of_its_own", &long).passed);
    assert!(!child::run_with("leaks_for_two_seconds", &[("STRAGGLER_GRACE", "1ms")]).passed);
}

#[test]
#[ignore = "run by another test"]
fn is_armed_outside_of_a_runtime() {
    println!("{}", self_test());
}

#[straggler::test]
#[ignore = "run by another test"]
async fn is_armed_inside_of_a_checked_test() {
    println!("{}", self_test());
}

#[tokio::test]
#[ignore = "fails on purpose"]
async fn is_armed_inside_of_another_test() {
    println!("{}", self_test());
}

#[tokio::test]
#[ignore = "run by another test"]
async fn is_armed_inside_of_a_watched_test() {
    let watch = LeakCheck::watch(&tokio::runtime::Handle::current());
    println!("{}", self_test());
    watch.verify().await.unwrap();
}

#[test]
fn what_is_armed_says_what_it_sees() {
    for test in [
        "is_armed_outside_of_a_runtime",
        "is_armed_inside_of_a_checked_test",
        "is_armed_inside_of_a_watched_test",
    ] {
        let ended = child::run(test);
        assert!(ended.passed, "{ended:?}");
        assert!(
            ended
                .stdout
                .contains("leak_check is armed: a leak fails its test"),
            "{ended:?}"
        );
        assert!(
            ended.stdout.contains("and at which line they wait"),
            "{ended:?}"
        );
        let past = if cfg!(tokio_unstable) {
            "seen: where and by whom, and whether they panic\n"
        } else {
            "not seen (build with"
        };
        assert!(ended.stdout.contains(past), "{ended:?}");
        assert!(
            ended.stdout.contains(", and whether they panic\n"),
            "{ended:?}"
        );
    }
    let ended = child::run_with("is_armed_outside_of_a_runtime", &[("STRAGGLER", "warn")]);
    assert!(
        ended
            .stdout
            .contains("leak_check is armed: a leak is printed"),
        "{ended:?}"
    );
}

#[test]
fn what_is_not_armed_fails_and_says_why() {
    for (test, variables, why) in [
        (
            "is_armed_outside_of_a_runtime",
            &[("STRAGGLER", "off")][..],
            "switched off by STRAGGLER=off",
        ),
        (
            "is_armed_outside_of_a_runtime",
            &[("STRAGGLER", "on")],
            "`deny`, `warn` or `off`",
        ),
        (
            "is_armed_inside_of_another_test",
            &[],
            "needs `#[leak_check]`",
        ),
    ] {
        let ended = child::run_with(test, variables);
        assert!(!ended.passed, "{ended:?}");
        assert!(
            ended.stderr.contains("leak_check is not armed"),
            "{ended:?}"
        );
        assert!(ended.stderr.contains(why), "{ended:?}");
        assert!(
            ended.stderr.contains("tests/leak_environment.rs"),
            "{ended:?}"
        );
    }
}

mod beside_each_other {
    use super::*;

    #[straggler::test(grace = "50ms")]
    #[ignore = "fails on purpose"]
    async fn leaks_one() {
        straggler::spawn(pending::<()>());
    }

    #[straggler::test(grace = "50ms", flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "fails on purpose"]
    async fn leaks_two() {
        straggler::spawn(pending::<()>());
        tokio::spawn(pending::<()>());
    }

    #[straggler::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "run by another test"]
    async fn is_clean() {
        for _ in 0..100 {
            straggler::spawn(tokio::task::yield_now()).await.unwrap();
            tokio::spawn(tokio::task::yield_now()).await.unwrap();
        }
    }
}

#[test]
fn of_tests_beside_each_other_only_those_fail_that_leak_and_with_their_own() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["beside_each_other::", "--ignored", "--test-threads=16"])
        .env_remove("STRAGGLER")
        .env_remove("STRAGGLER_GRACE")
        .env_remove("STRAGGLER_REPORT")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("1 passed; 2 failed"), "{stdout}");
    for (test, left) in [("leaks_one", "1 task"), ("leaks_two", "2 tasks")] {
        let says = format!("leak_check: {left} outlived the test `beside_each_other::{test}`");
        assert!(stdout.contains(&says), "{stdout}");
    }
    assert!(
        stdout.contains("beside_each_other::is_clean ... ok"),
        "{stdout}"
    );
}

#[straggler::test(allow("src/nowhere.rs"), allow = 1)]
#[ignore = "run by another test"]
async fn has_rules_that_allow_nothing() {}

#[test]
fn rules_that_allow_nothing_are_noted_in_a_test_that_passes() {
    let ended = child::run("has_rules_that_allow_nothing");
    assert!(ended.passed, "{ended:?}");
    for rule in [r#"`allow("src/nowhere.rs")`"#, "`allow = 1`"] {
        let note = format!(
            "leak_check: note: {rule} allowed nothing (`has_rules_that_allow_nothing`, tests/"
        );
        assert!(ended.stderr.contains(&note), "{ended:?}");
    }
}
