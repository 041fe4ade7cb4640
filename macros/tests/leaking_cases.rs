//! Of several cases only the leaking one fails, and the report names it.

#[path = "../../tests/common/child.rs"]
mod child;

use std::future::pending;

use rstest::rstest;
use test_case::test_case;

#[rstest]
#[case::none(0)]
#[case::two(2)]
#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn with_rstest(#[case] count: usize) {
    leak(count);
}

#[straggler::test(grace = "20ms")]
#[test_case(0; "none")]
#[test_case(2; "two")]
#[ignore = "fails on purpose"]
async fn with_test_case(count: usize) {
    leak(count);
}

fn leak(count: usize) {
    for _ in 0..count {
        straggler::spawn(pending::<()>());
    }
}

#[test]
fn report_names_leaking_case() {
    for (none, two) in [
        ("with_rstest::case_1_none", "with_rstest::case_2_two"),
        (
            "with_test_case::test_case_1_none",
            "with_test_case::test_case_2_two",
        ),
    ] {
        assert!(child::run(none).passed);
        let output = child::run(two);
        assert!(!output.passed);
        let headline = format!("leak_check: 2 tasks outlived the test `{two}` (");
        assert!(output.stderr.contains(&headline), "{output:?}");
    }
}
