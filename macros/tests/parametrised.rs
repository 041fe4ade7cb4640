//! `#[leak_check]` together with the attributes that make several tests of one.

use std::io;

use straggler::leak_check;
use tokio::runtime::{Handle, RuntimeFlavor};

/// Whether this runs on a runtime of several threads. No test attribute makes one by default.
fn on_many_threads() -> bool {
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
        assert!(on_many_threads());
        assert_eq!(number + 1, next);
    }

    #[rstest]
    #[case(1)]
    #[test_attr(leak_check(flavor = "multi_thread"))]
    async fn above_by_its_own_option(#[case] number: u8) {
        assert!(on_many_threads());
        assert_eq!(number, 1);
    }

    #[straggler::test(flavor = "multi_thread")]
    #[rstest]
    #[case(1, 2)]
    #[case(2, 3)]
    async fn below(#[case] number: u8, #[case] next: u8) {
        assert!(on_many_threads());
        assert_eq!(number + 1, next);
    }

    #[leak_check(worker_threads = 3)]
    #[rstest]
    #[case(1)]
    #[tokio::test(flavor = "multi_thread")]
    async fn below_and_above_tokio(#[case] mut number: u8) {
        number += 1;
        assert_eq!(number, 2);
        assert_eq!(Handle::current().metrics().num_workers(), 3);
    }

    #[leak_check(flavor = "multi_thread")]
    #[rstest]
    async fn below_with_fixtures(seven: u8, #[future(awt)] eight: u8) {
        assert!(on_many_threads());
        assert_eq!((seven, eight), (7, 8));
    }

    #[leak_check(flavor = "multi_thread")]
    #[rstest]
    async fn below_with_values(#[values(1, 2)] one: u8, #[values(3, 4)] other: u8) {
        assert!(on_many_threads());
        assert!(one < other);
    }

    #[leak_check]
    #[rstest]
    #[case(1)]
    #[should_panic(expected = "nothing")]
    #[case(0)]
    async fn below_with_a_case_that_panics(#[case] number: u8) {
        assert!(number > 0, "nothing");
    }

    #[rstest]
    #[should_panic(expected = "number 2")]
    #[case(1)]
    #[straggler::test]
    async fn above_and_panics(#[case] mut number: u8) {
        number += 1;
        panic!("number {number}");
    }

    #[leak_check]
    #[rstest]
    #[case("7")]
    async fn below_with_a_result(#[case] text: &str) -> Result<(), Box<dyn std::error::Error>> {
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
        assert!(on_many_threads());
        assert_eq!(number + 1, next);
    }

    #[test_case(1 => 2)]
    #[test_case(0 => panics "nothing")]
    #[leak_check(flavor = "multi_thread")]
    async fn above_with_outcomes(number: u8) -> u8 {
        assert!(on_many_threads());
        assert!(number > 0, "nothing");
        number + 1
    }

    #[leak_check(flavor = "multi_thread")]
    #[test_case(1, 2)]
    #[test_case(2, 3)]
    async fn below(number: u8, next: u8) {
        assert!(on_many_threads());
        assert_eq!(number + 1, next);
    }

    #[leak_check]
    #[test_case(1 => 2)]
    #[test_case(0 => panics "nothing")]
    #[tokio::test(flavor = "multi_thread")]
    async fn below_with_outcomes(number: u8) -> u8 {
        assert!(on_many_threads());
        assert!(number > 0, "nothing");
        number + 1
    }

    #[test_case(1)]
    #[leak_check]
    #[test_case(2)]
    async fn between(number: u8) {
        assert!(number > 0);
    }

    #[leak_check(flavor = "multi_thread")]
    #[test_matrix([1, 2], [3, 4])]
    async fn below_with_a_matrix(one: u8, other: u8) {
        assert!(on_many_threads());
        assert!(one < other);
    }
}
