//! `#[straggler::test]` with other attributes. A test is named for where the other attribute is.
//!
//! Each test checks by its runtime that `#[straggler::test]` made it, with the given arguments.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;
use std::thread;

use straggler::leak_check;
use tokio::runtime::{Handle, RuntimeFlavor};

/// Returns whether the runtime has several threads. No test attribute makes one by default.
fn is_multi_thread() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread
}

mod alone {
    use super::*;

    #[leak_check]
    async fn alias() {
        assert!(!is_multi_thread());
    }

    #[straggler::test]
    async fn no_parentheses() {
        assert!(!is_multi_thread());
    }

    #[straggler::test()]
    async fn empty_parentheses() {}

    #[straggler::test(flavor = "multi_thread", worker_threads = 3, name = "workers")]
    async fn multi_thread_flavor() {
        assert!(is_multi_thread());
        assert_eq!(Handle::current().metrics().num_workers(), 3);
    }

    #[straggler::test(flavor = "local")]
    async fn local_flavor() {
        let here = thread::current().id();
        let task = tokio::task::spawn_local(async { thread::current().id() });
        assert_eq!(task.await.expect("the task does not panic"), here);
    }

    #[straggler::test(start_paused = true)]
    async fn paused_clock() {
        let start = tokio::time::Instant::now();
        tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
        assert!(start.elapsed().as_secs() >= 3600);
    }
}

mod test_attribute_below {
    use super::*;

    #[straggler::test(flavor = "multi_thread")]
    #[test]
    async fn std_test() {
        assert!(is_multi_thread());
    }

    #[straggler::test(flavor = "multi_thread")]
    #[core::prelude::v1::test]
    async fn std_test_by_full_path() {
        assert!(is_multi_thread());
    }

    #[straggler::test(flavor = "multi_thread")]
    #[tokio::test]
    async fn tokio_test() {
        assert!(is_multi_thread());
    }

    #[straggler::test]
    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn tokio_test_with_arguments() {
        assert_eq!(Handle::current().metrics().num_workers(), 3);
    }

    #[straggler::test(worker_threads = 3, flavor = "multi_thread")]
    #[::tokio::test(flavor = "multi_thread", crate = "::tokio")]
    async fn tokio_test_with_same_arguments() {
        assert_eq!(Handle::current().metrics().num_workers(), 3);
    }

    #[straggler::test]
    #[straggler::tokio::test(flavor = "multi_thread")]
    async fn shadow_tokio_test() {
        assert!(is_multi_thread());
    }
}

#[expect(clippy::should_panic_without_expect, reason = "each form is a test")]
mod should_panic {
    use super::*;

    #[straggler::test]
    #[should_panic]
    async fn below() {
        panic!("as it should");
    }

    #[should_panic]
    #[straggler::test]
    async fn above() {
        panic!("as it should");
    }

    #[straggler::test]
    #[should_panic(expected = "it should")]
    async fn below_with_message() {
        panic!("as it should");
    }

    #[should_panic(expected = "it should")]
    #[leak_check(flavor = "multi_thread")]
    async fn above_alias_with_message() {
        panic!("as it should");
    }

    #[straggler::test]
    #[tokio::test(flavor = "multi_thread")]
    #[should_panic = "true"]
    async fn below_with_tokio_test() {
        panic!("{}", is_multi_thread());
    }
}

mod attributes_are_kept {
    #[straggler::test]
    #[ignore = "must not run"]
    async fn ignored_below() {
        unreachable!();
    }

    #[ignore = "must not run"]
    #[straggler::test]
    async fn ignored_above() {
        unreachable!();
    }

    #[straggler::test]
    #[cfg(any())]
    async fn disabled() {
        no_such_function();
    }

    #[straggler::test]
    #[cfg_attr(all(), should_panic(expected = "it should"))]
    async fn should_panic_by_cfg_attr() {
        panic!("as it should");
    }

    #[straggler::test]
    #[deny(warnings)]
    #[allow(unused_variables)]
    async fn lints() {
        let unused = 1;
    }

    #[straggler::test]
    async fn inner_attributes() {
        #![deny(warnings)]
        #![allow(unused_variables)]
        let unused = 1;
    }
}

mod with_serial_test {
    use super::*;
    use serial_test::serial;

    #[serial]
    #[straggler::test(flavor = "multi_thread")]
    async fn above() {
        assert!(is_multi_thread());
    }

    #[leak_check(flavor = "multi_thread")]
    #[serial]
    async fn below_alias() {
        assert!(is_multi_thread());
    }

    #[straggler::test]
    #[serial(key)]
    #[should_panic(expected = "it should")]
    async fn below_with_should_panic() {
        panic!("as it should");
    }
}

mod with_test_log {
    use super::*;

    #[test_log::test(straggler::test(flavor = "multi_thread"))]
    async fn argument() {
        assert!(is_multi_thread());
    }

    #[test_log::test]
    #[leak_check(flavor = "multi_thread")]
    async fn above_alias() {
        assert!(is_multi_thread());
    }

    #[straggler::test(flavor = "multi_thread")]
    #[test_log::test]
    async fn below() {
        assert!(is_multi_thread());
    }

    #[straggler::test(worker_threads = 3)]
    #[test_log::test(tokio::test(flavor = "multi_thread"))]
    async fn below_with_tokio_test() {
        assert_eq!(Handle::current().metrics().num_workers(), 3);
    }
}

/// No attribute drops a test or makes two of it.
#[test]
fn harness_lists_each_test_once() {
    let output = Command::new(env::current_exe().expect("path of the test binary"))
        .arg("--list")
        .output()
        .expect("output of the test binary");
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
    let disabled = 1;
    let this_test = 1;
    assert_eq!(tests.len(), written - disabled + this_test, "{listed}");
}

mod explored {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(vec![1, 2])]
    #[straggler::test(explore = 5)]
    async fn rstest_arguments_cloned_for_each_run(#[case] mut numbers: Vec<u8>) {
        assert!(!is_multi_thread());
        numbers.push(3);
        assert_eq!(numbers, [1, 2, 3]);
    }
}
