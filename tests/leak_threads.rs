//! Leaked threads in child processes: which test a thread is charged to depends on everything else
//! in its process.

#![cfg(all(feature = "macros", target_os = "linux"))]

#[path = "common/child.rs"]
mod child;

use std::process::Command;
use std::thread;

/// Starts threads that never end, each through a thread that ends.
fn start(count: usize) {
    for _ in 0..count {
        let between = thread::spawn(|| drop(thread::spawn(|| park_forever())));
        between.join().unwrap();
    }
}

fn start_named(name: &str) {
    let named = thread::Builder::new().name(name.to_owned());
    named.spawn(|| park_forever()).unwrap();
}

fn park_forever() -> ! {
    loop {
        thread::park();
    }
}

/// Tests that leak as many threads as their names say.
mod concurrent {
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
        leaks_0: 0, "current_thread"
        leaks_1: 1, "multi_thread"
        leaks_2: 2, "local"
        leaks_3: 3, "current_thread"
        leaks_4: 4, "multi_thread"
        leaks_5: 5, "local"
        leaks_6: 6, "current_thread"
        leaks_7: 7, "multi_thread"
    }
}

/// Runs all tests of `concurrent` in one process, and returns the output of the test runner.
fn run_concurrent(threads: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["concurrent::", "--ignored", threads])
        .env_remove("STRAGGLER")
        .env_remove("STRAGGLER_GRACE")
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn concurrent_tests_charged_with_own_threads() {
    let stdout = run_concurrent("--test-threads=8");
    assert!(stdout.contains("1 passed; 7 failed"), "{stdout}");
    for count in 1..8 {
        let threads = if count == 1 {
            "1 thread"
        } else {
            &format!("{count} threads")
        };
        let says = format!("leak_check: {threads} outlived the test `concurrent::leaks_{count}` ");
        assert!(stdout.contains(&says), "{stdout}");
    }
    assert!(!stdout.contains("`worker`"), "{stdout}");
}

/// From the second test on, leaked threads of an earlier test could have started the named one.
#[test]
fn named_threads_charged_to_first_sequential_test() {
    let stdout = run_concurrent("--test-threads=1");
    assert!(stdout.contains("0 passed; 8 failed"), "{stdout}");
    assert_eq!(
        stdout.matches("\n  1 thread `worker`\n").count(),
        1,
        "{stdout}"
    );
}

#[test]
fn named_threads_charged_to_lone_test() {
    let ended = child::run("concurrent::leaks_2");
    assert!(!ended.passed, "{ended:?}");
    for says in [
        "leak_check: 3 threads outlived the test `concurrent::leaks_2` ",
        "\n  2 unnamed threads\n",
        "\n  1 thread `worker`\n",
    ] {
        assert!(ended.stderr.contains(says), "{ended:?}");
    }
}

#[test]
fn threads_printed_in_warn_mode() {
    let ended = child::run_with("concurrent::leaks_1", &[("STRAGGLER", "warn")]);
    assert!(ended.passed, "{ended:?}");
    let says = "leak_check: 2 threads outlived the test ";
    assert!(ended.stderr.contains(says), "{ended:?}");
    let ended = child::run_with("concurrent::leaks_1", &[("STRAGGLER", "off")]);
    assert!(ended.passed && ended.stderr.is_empty(), "{ended:?}");
}

#[straggler::test(threads = "deny", grace = "10ms")]
#[ignore = "fails on purpose"]
#[should_panic(expected = "1 thread")]
async fn leak_in_should_panic() {
    start(1);
}

#[test]
fn threads_do_not_satisfy_should_panic() {
    let ended = child::run("leak_in_should_panic");
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
async fn clean() {
    let blocking = || thread::spawn(|| ()).join().unwrap();
    tokio::task::spawn_blocking(blocking).await.unwrap();
    // A leftover task makes the check start threads of its own.
    tokio::spawn(tokio::time::sleep(std::time::Duration::from_millis(1)));
}

#[test]
fn runtime_and_check_threads_not_charged() {
    let ended = child::run("clean");
    assert!(ended.passed && ended.stderr.is_empty(), "{ended:?}");
}

/// Alone in its process, the outer check charges its test with every new thread.
#[test]
#[ignore = "run by another test"]
fn nested() {
    let check = || {
        straggler::LeakCheck::new()
            .grace(std::time::Duration::from_millis(10))
            .deny_threads()
    };
    let outer = check().run(async move {
        let inner = move || check().run(async { start(1) });
        thread::spawn(inner).join().unwrap()
    });
    let inner = outer.unwrap();
    assert_eq!(inner.unwrap_err().threads().len(), 1);
}

#[test]
fn thread_of_nested_check_charged_once() {
    let ended = child::run("nested");
    assert!(ended.passed, "{ended:?}");
}
