//! `#[straggler::test]` with the attributes that make several tests of one function.
//!
//! A test is named for where the other attribute is.

use std::io;

use straggler::leak_check;
use tokio::runtime::{Handle, RuntimeFlavor};

/// Returns whether the runtime has several threads. No test attribute makes one by default.
fn is_multi_thread() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread
}

mod with_rstest {
    use super::*;
    use rstest::{fixture, rstest};

    #[fixture]
    fn seven() -> u8 {
        7
    }

    #[fixture]
    async fn eight() -> u8 {
        tokio::task::yield_now().await;
        8
    }

    #[rstest]
    #[case(1, 2)]
    #[case::named(2, 3)]
    #[straggler::test(flavor = "multi_thread")]
    async fn above(#[case] number: u8, #[case] next: u8) {
        assert!(is_multi_thread());
        assert_eq!(number + 1, next);
    }

    #[rstest]
    #[case(1)]
    #[test_attr(leak_check(flavor = "multi_thread"))]
    async fn above_with_alias_in_test_attr(#[case] number: u8) {
        assert!(is_multi_thread());
        assert_eq!(number, 1);
    }

    #[straggler::test(flavor = "multi_thread")]
    #[rstest]
    #[case(1, 2)]
    #[case(2, 3)]
    async fn below(#[case] number: u8, #[case] next: u8) {
        assert!(is_multi_thread());
        assert_eq!(number + 1, next);
    }

    #[leak_check(worker_threads = 3)]
    #[rstest]
    #[case(1)]
    #[tokio::test(flavor = "multi_thread")]
    async fn below_alias_with_tokio_test(#[case] mut number: u8) {
        number += 1;
        assert_eq!(number, 2);
        assert_eq!(Handle::current().metrics().num_workers(), 3);
    }

    #[straggler::test(flavor = "multi_thread")]
    #[rstest]
    async fn below_with_fixtures(seven: u8, #[future(awt)] eight: u8) {
        assert!(is_multi_thread());
        assert_eq!((seven, eight), (7, 8));
    }

    #[straggler::test(flavor = "multi_thread")]
    #[rstest]
    async fn below_with_values(#[values(1, 2)] one: u8, #[values(3, 4)] other: u8) {
        assert!(is_multi_thread());
        assert!(one < other);
    }

    #[straggler::test]
    #[rstest]
    #[case(1)]
    #[should_panic(expected = "nothing")]
    #[case(0)]
    async fn below_with_panicking_case(#[case] number: u8) {
        assert!(number > 0, "nothing");
    }

    #[rstest]
    #[should_panic(expected = "number 2")]
    #[case(1)]
    #[straggler::test]
    async fn above_with_should_panic(#[case] mut number: u8) {
        number += 1;
        panic!("number {number}");
    }

    #[straggler::test]
    #[rstest]
    #[case("7")]
    async fn below_with_result(#[case] text: &str) -> Result<(), Box<dyn std::error::Error>> {
        if text.is_empty() {
            return Err(Box::new(io::Error::other("nothing")));
        }
        text.parse::<u8>()?;
        Ok(())
    }
}

mod with_test_case {
    use super::*;
    use test_case::{test_case, test_matrix};

    #[test_case(1, 2)]
    #[test_case(2, 3; "named")]
    #[straggler::test(flavor = "multi_thread")]
    async fn above(number: u8, next: u8) {
        assert!(is_multi_thread());
        assert_eq!(number + 1, next);
    }

    #[test_case(1 => 2)]
    #[test_case(0 => panics "nothing")]
    #[leak_check(flavor = "multi_thread")]
    async fn above_alias_with_outcomes(number: u8) -> u8 {
        assert!(is_multi_thread());
        assert!(number > 0, "nothing");
        number + 1
    }

    #[straggler::test(flavor = "multi_thread")]
    #[test_case(1, 2)]
    #[test_case(2, 3)]
    async fn below(number: u8, next: u8) {
        assert!(is_multi_thread());
        assert_eq!(number + 1, next);
    }

    #[straggler::test]
    #[test_case(1 => 2)]
    #[test_case(0 => panics "nothing")]
    #[tokio::test(flavor = "multi_thread")]
    async fn below_with_outcomes(number: u8) -> u8 {
        assert!(is_multi_thread());
        assert!(number > 0, "nothing");
        number + 1
    }

    #[test_case(1)]
    #[leak_check]
    #[test_case(2)]
    async fn above_and_below_alias(number: u8) {
        assert!(number > 0);
    }

    #[straggler::test(flavor = "multi_thread")]
    #[test_matrix([1, 2], [3, 4])]
    async fn below_with_matrix(one: u8, other: u8) {
        assert!(is_multi_thread());
        assert!(one < other);
    }
}
