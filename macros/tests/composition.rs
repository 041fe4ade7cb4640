//! `#[leak_check]` together with what else stands on tests, in both orders where there are two.
//!
//! Each test shows by the runtime it finds itself on that `#[leak_check]` made it, with the
//! arguments that were given.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;
use std::thread;

use straggler::leak_check;
use tokio::runtime::{Handle, RuntimeFlavor};

/// Whether this runs on a runtime of several threads. No test attribute makes one by default.
fn on_many_threads() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread
}

mod alone {
    use super::*;

    #[leak_check]
    async fn by_one_name() {
        assert!(!on_many_threads());
    }

    #[straggler::test]
    async fn by_the_other() {
        assert!(!on_many_threads());
    }

    #[leak_check()]
    async fn with_no_arguments() {}

    #[leak_check(flavor = "multi_thread", worker_threads = 3, name = "workers")]
    async fn on_workers() {
        assert!(on_many_threads());
        assert_eq!(Handle::current().metrics().num_workers(), 3);
    }

    #[leak_check(flavor = "local")]
    async fn on_one_thread() {
        let here = thread::current().id();
        let task = tokio::task::spawn_local(async { thread::current().id() });
        assert_eq!(task.await.expect("it does not panic"), here);
    }

    #[leak_check(start_paused = true)]
    async fn on_a_clock_that_stands() {
        let start = tokio::time::Instant::now();
        tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
        assert!(start.elapsed().as_secs() >= 3600);
    }
}

mod below_is_a_test_attribute {
    use super::*;

    #[leak_check(flavor = "multi_thread")]
    #[test]
    async fn of_the_standard_library() {
        assert!(on_many_threads());
    }

    #[leak_check(flavor = "multi_thread")]
    #[core::prelude::v1::test]
    async fn of_the_standard_library_in_full() {
        assert!(on_many_threads());
    }

    #[leak_check(flavor = "multi_thread")]
    #[tokio::test]
    async fn of_tokio() {
        assert!(on_many_threads());
    }

    #[leak_check]
    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn of_tokio_with_arguments() {
        assert_eq!(Handle::current().metrics().num_workers(), 3);
    }

    #[leak_check(worker_threads = 3, flavor = "multi_thread")]
    #[::tokio::test(flavor = "multi_thread", crate = "::tokio")]
    async fn of_tokio_that_says_the_same() {
        assert_eq!(Handle::current().metrics().num_workers(), 3);
    }

    #[leak_check]
    #[straggler::tokio::test(flavor = "multi_thread")]
    async fn of_the_shadow() {
        assert!(on_many_threads());
    }
}

#[expect(clippy::should_panic_without_expect, reason = "both forms are tested")]
mod should_panic {
    use super::*;

    #[leak_check]
    #[should_panic]
    async fn below() {
        panic!("as it should");
    }

    #[should_panic]
    #[leak_check]
    async fn above() {
        panic!("as it should");
    }

    #[leak_check]
    #[should_panic(expected = "it should")]
    async fn below_with_a_message() {
        panic!("as it should");
    }

    #[should_panic(expected = "it should")]
    #[leak_check(flavor = "multi_thread")]
    async fn above_with_a_message() {
        panic!("as it should");
    }

    #[leak_check]
    #[tokio::test(flavor = "multi_thread")]
    #[should_panic = "true"]
    async fn below_tokio() {
        panic!("{}", on_many_threads());
    }
}

mod attributes_are_kept {
    use super::*;

    #[leak_check]
    #[ignore = "is not run"]
    async fn ignored_below() {
        unreachable!();
    }

    #[ignore = "is not run"]
    #[leak_check]
    async fn ignored_above() {
        unreachable!();
    }

    #[leak_check]
    #[cfg(any())]
    async fn left_out() {
        no_such_function();
    }

    #[leak_check]
    #[cfg_attr(all(), should_panic(expected = "it should"))]
    async fn panics_by_configuration() {
        panic!("as it should");
    }

    #[leak_check]
    #[deny(warnings)]
    #[allow(unused_variables)]
    async fn lints() {
        let unused = 1;
    }

    #[leak_check]
    async fn inside() {
        #![deny(warnings)]
        #![allow(unused_variables)]
        let unused = 1;
    }
}

mod with_serial_test {
    use super::*;
    use serial_test::serial;

    #[serial]
    #[leak_check(flavor = "multi_thread")]
    async fn above() {
        assert!(on_many_threads());
    }

    #[leak_check(flavor = "multi_thread")]
    #[serial]
    async fn below() {
        assert!(on_many_threads());
    }

    #[leak_check]
    #[serial(a_key)]
    #[should_panic(expected = "it should")]
    async fn below_and_panics() {
        panic!("as it should");
    }
}

mod with_test_log {
    use super::*;

    #[test_log::test(straggler::test(flavor = "multi_thread"))]
    async fn as_its_argument() {
        assert!(on_many_threads());
    }

    #[test_log::test]
    #[leak_check(flavor = "multi_thread")]
    async fn above() {
        assert!(on_many_threads());
    }

    #[leak_check(flavor = "multi_thread")]
    #[test_log::test]
    async fn below() {
        assert!(on_many_threads());
    }

    #[leak_check(worker_threads = 3)]
    #[test_log::test(tokio::test(flavor = "multi_thread"))]
    async fn below_with_tokio() {
        assert_eq!(Handle::current().metrics().num_workers(), 3);
    }
}

/// Nothing above is lost on the way to the test runner, and nothing gets there twice.
#[test]
fn every_test_is_there_once() {
    let output = Command::new(env::current_exe().expect("this test has a binary"))
        .arg("--list")
        .output()
        .expect("the binary of this test can be run again");
    let listed = String::from_utf8_lossy(&output.stdout);
    let tests: Vec<_> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    let distinct: BTreeSet<_> = tests.iter().collect();

    assert_eq!(tests.len(), distinct.len(), "{listed}");
    let written = include_str!("composition.rs")
        .matches("\n    async fn ")
        .count();
    let left_out = 1;
    let this_one = 1;
    assert_eq!(tests.len(), written - left_out + this_one, "{listed}");
}

mod explored {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(vec![1, 2])]
    #[straggler::test(explore = 5)]
    async fn each_run_has_arguments_of_its_own(#[case] mut numbers: Vec<u8>) {
        assert!(!on_many_threads());
        numbers.push(3);
        assert_eq!(numbers, [1, 2, 3]);
    }
}
