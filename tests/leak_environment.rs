//! Environment variables, the self test, and concurrent tests. Each runs in a child process, since
//! variables apply to a whole process.

#![cfg(feature = "macros")]

#[path = "common/child.rs"]
mod child;

use std::future::pending;
use std::time::Duration;

use straggler::LeakCheck;
use straggler::leak::self_test;

/// Leaks a task for two seconds, which a longer grace would wait for.
#[straggler::test]
#[ignore = "fails on purpose"]
async fn two_second_leak() {
    straggler::spawn(tokio::time::sleep(Duration::from_secs(2)));
}

#[straggler::test(grace = "10ms")]
#[ignore = "fails on purpose"]
async fn leak_with_own_grace() {
    straggler::spawn(tokio::time::sleep(Duration::from_secs(2)));
}

/// Ends by itself, since a process whose check is off waits for the closure.
#[straggler::test(grace = "10ms")]
#[ignore = "fails on purpose"]
async fn two_second_blocking_work() {
    straggler::spawn_blocking(|| std::thread::sleep(Duration::from_secs(2)));
}

#[straggler::test(grace = "10ms")]
#[ignore = "fails on purpose"]
async fn endless_blocking_work() {
    straggler::spawn_blocking(park_forever);
    tokio::task::spawn_blocking(park_forever);
}

#[straggler::test(grace = "10ms", flavor = "multi_thread", worker_threads = 2)]
#[ignore = "fails on purpose"]
async fn panic_and_endless_blocking_work() {
    straggler::spawn_blocking(park_forever);
    tokio::task::spawn_blocking(park_forever);
    panic!("no such account");
}

#[straggler::test(grace = "10ms", allow = 2)]
#[ignore = "run by another test"]
async fn allowed_endless_blocking_work() {
    straggler::spawn_blocking(park_forever);
    tokio::task::spawn_blocking(park_forever);
}

fn park_forever() {
    loop {
        std::thread::park();
    }
}

#[straggler::test(grace = "10ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "as it should")]
async fn leak_and_expected_panic() {
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
async fn any_panic_expected() {
    panic!("as it should");
}

#[test]
#[ignore = "run by another test"]
fn plain_check() {
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
fn leak_fails_test_by_default() {
    for variables in [&[][..], &[("STRAGGLER", "deny")], &[("STRAGGLER", "")]] {
        let ended = child::run_with("leak_with_own_grace", variables);
        assert!(!ended.passed, "{variables:?}");
        assert!(
            ended
                .stderr
                .starts_with("leak_check: 1 task outlived the test `leak_with_own_grace`")
        );
    }
}

#[test]
fn warn_mode_prints_report_and_passes() {
    let warn = [("STRAGGLER", "warn")];
    for test in ["leak_with_own_grace", "leak_and_expected_panic"] {
        let ended = child::run_with(test, &warn);
        assert!(ended.passed, "{ended:?}");
        assert!(
            ended
                .stderr
                .contains("leak_check: 1 task outlived the test"),
            "{ended:?}"
        );
    }
    let ended = child::run_with("plain_check", &warn);
    assert!(ended.stdout.contains("it passed"), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("leak_check: 1 task outlived the check at"),
        "{ended:?}"
    );
}

#[test]
fn off_mode_checks_and_prints_nothing() {
    let off = [("STRAGGLER", "off")];
    let ended = child::run_with("leak_with_own_grace", &off);
    assert!(ended.passed && ended.stderr.is_empty(), "{ended:?}");
    let ended = child::run_with("leak_and_expected_panic", &off);
    assert!(
        ended.passed && !ended.stderr.contains("leak_check"),
        "{ended:?}"
    );
    assert!(
        child::run_with("plain_check", &off)
            .stdout
            .contains("it passed")
    );
}

#[test]
fn blocking_work_follows_mode_and_grace() {
    let ended = child::run("two_second_blocking_work");
    assert!(!ended.passed, "{ended:?}");
    let says =
        "leak_check: 1 `spawn_blocking` closure outlived the test `two_second_blocking_work`";
    assert!(ended.stderr.starts_with(says), "{ended:?}");
    let ended = child::run_with("two_second_blocking_work", &[("STRAGGLER", "warn")]);
    assert!(ended.passed && ended.stderr.starts_with(says), "{ended:?}");
    let ended = child::run_with("two_second_blocking_work", &[("STRAGGLER", "off")]);
    assert!(ended.passed && ended.stderr.is_empty(), "{ended:?}");
    let ended = child::run_with("two_second_blocking_work", &[("STRAGGLER_GRACE", "1h")]);
    assert!(!ended.passed, "the test has a grace of its own: {ended:?}");
}

#[test]
fn process_exits_despite_endless_blocking_work() {
    let ended = child::run("endless_blocking_work");
    assert!(!ended.passed, "{ended:?}");
    let says = "leak_check: 2 `spawn_blocking` closures outlived the test `endless_blocking_work`";
    assert!(ended.stderr.starts_with(says), "{ended:?}");
    let ended = child::run("panic_and_endless_blocking_work");
    assert!(!ended.passed, "{ended:?}");
    let says =
        "leak_check: note: in addition to the panic above, 2 `spawn_blocking` closures outlived";
    assert!(
        ended.stderr.contains("no such account") && ended.stderr.contains(says),
        "{ended:?}"
    );
    // A passing test exits too. Its rule is used, so no note about an unused rule is printed.
    let ended = child::run("allowed_endless_blocking_work");
    assert!(ended.passed && ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn invalid_variable_fails_test_and_is_named() {
    for (variable, value, right) in [
        ("STRAGGLER", "offf", "`deny`, `warn` or `off`"),
        ("STRAGGLER_GRACE", "10", "a duration such as `250ms`"),
        (
            "STRAGGLER_TESTS",
            "two_* grce=2s",
            "legacy::* skip`, got `two_* grce=2s`",
        ),
    ] {
        for test in [
            "leak_with_own_grace",
            "leak_and_expected_panic",
            "any_panic_expected",
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
fn attribute_grace_overrides_environment() {
    let long = [("STRAGGLER_GRACE", "60s")];
    assert!(child::run_with("two_second_leak", &long).passed);
    assert!(!child::run_with("leak_with_own_grace", &long).passed);
    assert!(!child::run_with("two_second_leak", &[("STRAGGLER_GRACE", "1ms")]).passed);
}

#[straggler::test]
#[ignore = "fails on purpose"]
async fn task_panics() {
    let task = straggler::spawn(async { panic!("no such account") });
    assert!(task.await.is_err());
}

#[test]
fn settings_of_single_tests_apply_by_name() {
    let passes = |test, rules| child::run_with(test, &[("STRAGGLER_TESTS", rules)]).passed;
    for (test, rules, expected) in [
        ("two_second_leak", "two_* grace=60s", true),
        ("two_second_leak", "three_* grace=60s", false),
        ("leak_with_own_grace", "* grace=60s", false),
        ("leak_with_own_grace", "two_* skip; leak_* skip", true),
        ("task_panics", "task_panics panics=allow", true),
        ("task_panics", "two_* panics=allow", false),
    ] {
        assert_eq!(passes(test, rules), expected, "{test} {rules}");
    }
    let both = [
        ("STRAGGLER_GRACE", "1ms"),
        ("STRAGGLER_TESTS", "two_* grace=60s"),
    ];
    assert!(child::run_with("two_second_leak", &both).passed);
}

#[test]
#[ignore = "run by another test"]
fn self_test_outside_runtime() {
    println!("{}", self_test());
}

#[straggler::test]
#[ignore = "run by another test"]
async fn self_test_in_checked_test() {
    println!("{}", self_test());
}

#[tokio::test]
#[ignore = "fails on purpose"]
async fn self_test_in_unchecked_test() {
    println!("{}", self_test());
}

#[tokio::test]
#[ignore = "run by another test"]
async fn self_test_in_watched_test() {
    let watch = LeakCheck::watch(&tokio::runtime::Handle::current());
    println!("{}", self_test());
    watch.verify().await.unwrap();
}

#[test]
fn self_test_prints_visibility() {
    for test in [
        "self_test_outside_runtime",
        "self_test_in_checked_test",
        "self_test_in_watched_test",
    ] {
        let ended = child::run(test);
        assert!(ended.passed, "{ended:?}");
        assert!(
            ended
                .stdout
                .contains("leak_check works: a leak fails its test"),
            "{ended:?}"
        );
        assert!(
            ended.stdout.contains("and the line where they wait"),
            "{ended:?}"
        );
        let past = if cfg!(tokio_unstable) {
            "  spawn place and spawner; panics detected\n"
        } else {
            "no spawn place (build with"
        };
        assert!(ended.stdout.contains(past), "{ended:?}");
        assert!(ended.stdout.contains("; panics detected\n"), "{ended:?}");
    }
    let ended = child::run_with("self_test_outside_runtime", &[("STRAGGLER", "warn")]);
    assert!(
        ended
            .stdout
            .contains("leak_check works: a leak is printed as a warning"),
        "{ended:?}"
    );
}

#[test]
fn self_test_failure_says_why() {
    for (test, variables, why) in [
        (
            "self_test_outside_runtime",
            &[("STRAGGLER", "off")][..],
            "STRAGGLER=off disables the check",
        ),
        (
            "self_test_outside_runtime",
            &[("STRAGGLER", "on")],
            "`deny`, `warn` or `off`",
        ),
        (
            "self_test_in_unchecked_test",
            &[],
            "use `#[straggler::test]`",
        ),
    ] {
        let ended = child::run_with(test, variables);
        assert!(!ended.passed, "{ended:?}");
        assert!(
            ended.stderr.contains("leak_check: self-test failed"),
            "{ended:?}"
        );
        assert!(ended.stderr.contains(why), "{ended:?}");
        assert!(
            ended.stderr.contains("tests/leak_environment.rs"),
            "{ended:?}"
        );
    }
}

mod concurrent {
    use super::*;

    #[straggler::test(grace = "50ms")]
    #[ignore = "fails on purpose"]
    async fn one_leak() {
        straggler::spawn(pending::<()>());
    }

    #[straggler::test(grace = "50ms", flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "fails on purpose"]
    async fn two_leaks() {
        straggler::spawn(pending::<()>());
        tokio::spawn(pending::<()>());
    }

    #[straggler::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "run by another test"]
    async fn clean() {
        for _ in 0..100 {
            straggler::spawn(tokio::task::yield_now()).await.unwrap();
            tokio::spawn(tokio::task::yield_now()).await.unwrap();
        }
    }
}

#[test]
fn concurrent_tests_charged_with_own_leaks() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["concurrent::", "--ignored", "--test-threads=16"])
        .env_remove("STRAGGLER")
        .env_remove("STRAGGLER_GRACE")
        .env_remove("STRAGGLER_REPORT")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("1 passed; 2 failed"), "{stdout}");
    for (test, left) in [("one_leak", "1 task"), ("two_leaks", "2 tasks")] {
        let says = format!("leak_check: {left} outlived the test `concurrent::{test}`");
        assert!(stdout.contains(&says), "{stdout}");
    }
    assert!(stdout.contains("concurrent::clean ... ok"), "{stdout}");
}

#[straggler::test(allow("src/nowhere.rs"), allow = 1)]
#[ignore = "run by another test"]
async fn unused_rules() {}

#[test]
fn unused_rules_noted_in_passing_test() {
    let ended = child::run("unused_rules");
    assert!(ended.passed, "{ended:?}");
    for rule in [r#"`allow("src/nowhere.rs")`"#, "`allow = 1`"] {
        let note = format!("leak_check: note: {rule} allowed nothing (`unused_rules`, tests/");
        assert!(ended.stderr.contains(&note), "{ended:?}");
    }
}

#[straggler::test(grace = "10ms")]
#[ignore = "run by another test"]
async fn two_leaks() {
    straggler::spawn(pending::<()>());
    tokio::spawn(pending::<()>());
}

#[test]
fn suite_rules_allow_leaks_of_every_test() {
    let allowed = |rules: &str| {
        let ended = child::run_with("two_leaks", &[("STRAGGLER_ALLOW", rules)]);
        assert!(!ended.stderr.contains("allowed nothing"), "{ended:?}");
        ended.passed
    };
    let file = file!();
    assert!(allowed(&format!("bb8=1,{file}=2")));
    // Without the hooks, the untracked task may be of `bb8`.
    assert_eq!(
        allowed(&format!("bb8=1,{file}=1")),
        cfg!(not(tokio_unstable))
    );
    assert!(!allowed(&format!("{file}=1")));
    // Without a count, a rule for every test covers no untracked task.
    assert_eq!(allowed(file), cfg!(tokio_unstable));
    assert_eq!(allowed(&format!("{file}::two_leaks")), cfg!(tokio_unstable));
    assert!(!allowed("src/elsewhere.rs"));
}

#[test]
fn suite_rules_add_to_rules_of_test() {
    let variables = [("STRAGGLER_ALLOW", "bb8=1")];
    let ended = child::run_with("allowed_endless_blocking_work", &variables);
    assert!(ended.passed, "{ended:?}");
}

#[test]
fn invalid_suite_rule_fails_test() {
    let ended = child::run_with("two_leaks", &[("STRAGGLER_ALLOW", "bb8=1,axum=all")]);
    let reason = "invalid `STRAGGLER_ALLOW`: expected places and how many leftovers may remain, such as \
         `bb8=1,src/pool.rs=2`, got `axum=all`";
    assert!(!ended.passed && ended.stderr.contains(reason), "{ended:?}");
}

#[test]
fn self_test_ignores_suite_rules() {
    let variables = [("STRAGGLER_ALLOW", "bb8=5")];
    let ended = child::run_with("self_test_outside_runtime", &variables);
    assert!(ended.passed, "{ended:?}");
}
