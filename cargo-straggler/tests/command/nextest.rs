//! Suites that run by nextest.

use crate::fixture::Fixture;

/// The summary of the tests of `pool` and `clean`.
const TOTALS: &str = "\nstraggler: 12 tests checked, 9 with findings at 3 places\n";

fn is_missing(fixture: &Fixture) -> bool {
    let is_missing = fixture.cargo(&["nextest", "--version"]).status != Some(0);
    if is_missing {
        eprintln!("skipped: there is no nextest here");
    }
    is_missing
}

#[test]
fn nextest_runs_the_suite() {
    let fixture = Fixture::suite("nextest");
    if is_missing(&fixture) {
        return;
    }
    let before = fixture.files();
    let ended = fixture.straggler(&["test", "--nextest", "-E", "binary(pool) + binary(clean)"]);
    assert_eq!(ended.status, Some(10), "{ended:?}");
    assert!(ended.stdout.contains(TOTALS), "{}", ended.stdout);
    let unchecked = "  1 test not checked, which did not run by `#[tokio::test]`: \
                     own_runtime\n";
    assert!(ended.stdout.contains(unchecked), "{}", ended.stdout);
    assert!(!ended.stdout.contains("\"event\""), "{}", ended.stdout);
    assert_eq!(fixture.files(), before);
}

#[test]
fn partitions_divide_the_suite() {
    let fixture = Fixture::suite("partition");
    if is_missing(&fixture) {
        return;
    }
    let mut checked = 0;
    for part in ["--partition=count:1/2", "--partition=count:2/2"] {
        let binaries = ["-E", "binary(pool) + binary(clean)"];
        let ended = fixture.straggler(&[&["test", "--nextest", part], &binaries[..]].concat());
        let (_, totals) = ended.stdout.rsplit_once("straggler: ").unwrap();
        let number = totals.split(' ').next().unwrap().parse::<usize>().unwrap();
        assert!(number > 0, "{totals}");
        checked += number;
    }
    assert_eq!(checked, 12);
}

#[test]
fn configured_projects_run_by_nextest() {
    let fixture = Fixture::suite("configured");
    if is_missing(&fixture) {
        return;
    }
    fixture.write(".config/nextest.toml", "[profile.default]\nretries = 0\n");
    let ended = fixture.straggler(&["test", "--test=clean"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("runs the tests by nextest"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("Nextest run ID"), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("1 test checked, no findings"),
        "{}",
        ended.stdout
    );

    let ended = fixture.straggler(&["test", "--no-nextest", "--test=clean"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("test result: ok"), "{}", ended.stdout);
}

#[test]
fn earlier_builds_are_refused() {
    let fixture = Fixture::package("archive", "");
    for option in [
        "--archive-file=tests.tar.zst",
        "--binaries-metadata=binaries.json",
        "--cargo-metadata=cargo.json",
    ] {
        let ended = fixture.straggler(&["test", "--nextest", option]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        let (name, _) = option.split_once('=').unwrap();
        let expected =
            format!("error: `{name}` runs tests from an earlier build, which are not checked");
        assert!(ended.stderr.starts_with(&expected), "{}", ended.stderr);
    }
    let after_the_end = ["test", "--no-nextest", "--", "--archive-file=tests.tar.zst"];
    let ended = fixture.straggler(&after_the_end);
    assert!(!ended.stderr.contains("earlier build"), "{}", ended.stderr);
}
