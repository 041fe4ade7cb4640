//! Threads that tests leave behind in a process of their own: whose they are depends on what else
//! runs there.

#![cfg(all(feature = "macros", target_os = "linux"))]

#[path = "common/child.rs"]
mod child;

use std::process::Command;
use std::thread;

/// Starts threads that never end, each by a thread that does.
fn start(count: usize) {
    for _ in 0..count {
        let between = thread::spawn(|| drop(thread::spawn(|| loop_for_ever())));
        between.join().unwrap();
    }
}

fn start_named(name: &str) {
    let named = thread::Builder::new().name(name.to_owned());
    named.spawn(|| loop_for_ever()).unwrap();
}

fn loop_for_ever() -> ! {
    loop {
        thread::park();
    }
}

/// Tests that leave as many threads behind as their name says.
mod beside_each_other {
    use super::*;

    macro_rules! tests {
        ($($name:ident: $count:literal, $flavor:literal)*) => {$(
            #[straggler::test(threads = "deny", grace = "10ms", flavor = $flavor)]
            #[ignore = "fails on purpose"]
            async fn $name() {
                start($count / 2);
                let by_blocking = || start($count - $count / 2);
                tokio::task::spawn_blocking(by_blocking).await.unwrap();
                start_named("worker");
            }
        )*};
    }

    tests! {
        leaves_0: 0, "current_thread"
        leaves_1: 1, "multi_thread"
        leaves_2: 2, "local"
        leaves_3: 3, "current_thread"
        leaves_4: 4, "multi_thread"
        leaves_5: 5, "local"
        leaves_6: 6, "current_thread"
        leaves_7: 7, "multi_thread"
    }
}

/// Runs all of these tests in one process, and returns what the test runner prints.
fn run_beside_each_other(threads: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["beside_each_other::", "--ignored", threads])
        .env_remove("STRAGGLER")
        .env_remove("STRAGGLER_GRACE")
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn of_tests_beside_each_other_are_charged_to_their_own() {
    let stdout = run_beside_each_other("--test-threads=8");
    assert!(stdout.contains("1 passed; 7 failed"), "{stdout}");
    for count in 1..8 {
        let threads = if count == 1 {
            "1 thread"
        } else {
            &format!("{count} threads")
        };
        let says =
            format!("leak_check: {threads} outlived the test `beside_each_other::leaves_{count}` ");
        assert!(stdout.contains(&says), "{stdout}");
    }
    assert!(!stdout.contains("`worker`"), "{stdout}");
}

/// The second one has those of the first beside it, which might have started others.
#[test]
fn with_names_are_charged_to_the_first_of_tests_that_run_one_after_the_other() {
    let stdout = run_beside_each_other("--test-threads=1");
    assert!(stdout.contains("0 passed; 8 failed"), "{stdout}");
    assert_eq!(
        stdout.matches("\n  1 thread `worker`\n").count(),
        1,
        "{stdout}"
    );
}

#[test]
fn with_names_are_charged_to_a_test_that_runs_alone() {
    let ended = child::run("beside_each_other::leaves_2");
    assert!(!ended.passed, "{ended:?}");
    for says in [
        "leak_check: 3 threads outlived the test `beside_each_other::leaves_2` ",
        "\n  2 threads without a name\n",
        "\n  1 thread `worker`\n",
    ] {
        assert!(ended.stderr.contains(says), "{ended:?}");
    }
}

#[test]
fn are_printed_and_let_the_test_pass_if_they_are_only_warned_of() {
    let ended = child::run_with("beside_each_other::leaves_1", &[("STRAGGLER", "warn")]);
    assert!(ended.passed, "{ended:?}");
    let says = "leak_check: 2 threads outlived the test ";
    assert!(ended.stderr.contains(says), "{ended:?}");
    let ended = child::run_with("beside_each_other::leaves_1", &[("STRAGGLER", "off")]);
    assert!(ended.passed && ended.stderr.is_empty(), "{ended:?}");
}

#[straggler::test(threads = "deny", grace = "10ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "1 thread")]
async fn should_panic_and_leaves_a_thread_behind() {
    start(1);
}

#[test]
fn do_not_count_as_the_panic_of_a_test_that_should_panic() {
    let ended = child::run("should_panic_and_leaves_a_thread_behind");
    assert!(!ended.passed, "{ended:?}");
    assert!(
        ended.stderr.contains("leak_check: 1 thread outlived"),
        "{ended:?}"
    );
}

#[straggler::test(
    threads = "deny",
    timeout = "1h",
    flavor = "multi_thread",
    worker_threads = 2
)]
#[ignore = "run by another test"]
async fn is_clean() {
    let blocking = || thread::spawn(|| ()).join().unwrap();
    tokio::task::spawn_blocking(blocking).await.unwrap();
    // Has the check make threads of its own.
    tokio::spawn(tokio::time::sleep(std::time::Duration::from_millis(1)));
}

#[test]
fn of_the_runtime_and_of_the_check_are_not_charged_to_a_test_that_runs_alone() {
    let ended = child::run("is_clean");
    assert!(ended.passed && ended.stderr.is_empty(), "{ended:?}");
}
