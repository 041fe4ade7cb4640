//! Runs a test that must fail in its own process, and returns what it printed.

#![allow(
    dead_code,
    reason = "each test file compiles this module for itself and uses a part of it"
)]

use std::env;
use std::process::Command;

/// The outcome of a test that ran in its own process.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) passed: bool,
    /// The output of the test runner.
    pub(crate) stdout: String,
    /// The output of the test.
    pub(crate) stderr: String,
}

/// Runs the ignored test `name` of this binary.
pub(crate) fn run(name: &str) -> Ended {
    run_with(name, &[])
}

/// Runs the ignored test `name` of this binary with these environment variables.
pub(crate) fn run_with(name: &str, variables: &[(&str, &str)]) -> Ended {
    start(name, &["--nocapture"], variables)
}

/// The same, but the test runner captures the test's output, as it does by default.
pub(crate) fn run_captured(name: &str, variables: &[(&str, &str)]) -> Ended {
    start(name, &[], variables)
}

fn start(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let output = Command::new(env::current_exe().expect("this test has a binary"))
        .args([name, "--exact", "--ignored"])
        .args(arguments)
        .env_remove("GITHUB_ACTIONS")
        .env_remove("RUST_BACKTRACE")
        .env_remove("STRAGGLER")
        .env_remove("STRAGGLER_ALLOW")
        .env_remove("STRAGGLER_ANNOTATIONS")
        .env_remove("STRAGGLER_GRACE")
        .env_remove("STRAGGLER_REPORT")
        .env_remove("STRAGGLER_RUNS")
        .env_remove("STRAGGLER_SEED")
        .env_remove("STRAGGLER_TESTS")
        .env_remove("STRAGGLER_TIMEOUT")
        .env_remove("STRAGGLER_ON_HANG")
        .env_remove("NEXTEST")
        .env_remove("NEXTEST_EXECUTION_MODE")
        .envs(variables.iter().copied())
        .output()
        .expect("the binary of this test can be run again");
    let ended = Ended {
        passed: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    assert!(
        ended.stdout.contains("running 1 test\n"),
        "there is one ignored test `{name}`: {ended:?}"
    );
    ended
}
