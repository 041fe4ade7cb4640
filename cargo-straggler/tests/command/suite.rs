//! Suites that run: what is checked, what the summary says, and the exit status.

use std::fs;

use crate::fixture::{Ended, Fixture, end};

/// Compares the summary with a snapshot.
fn compare(name: &str, ended: &Ended) {
    let start = ended.stdout.rfind("test result:").unwrap();
    let (_, summary) = ended.stdout[start..].split_once('\n').unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(r"waited [0-9.]+ s", "waited [time]");
    settings.bind(|| insta::assert_snapshot!(name, summary.trim_start()));
}

#[test]
fn findings_are_summarized_by_place() {
    let fixture = Fixture::suite("summary");
    let before = fixture.files();
    let ended = fixture.straggler(&["test"]);
    compare("suite", &ended);
    // All tests pass: the status is for findings alone.
    assert_eq!(ended.status, Some(10), "{ended:?}");
    assert_eq!(fixture.files(), before);

    let again = every_format(&fixture);
    assert!(!again.stderr.contains("Compiling"), "{}", again.stderr);
    assert_eq!(again.status, ended.status);
    assert_eq!(fixture.files(), before);
}

/// Runs the suite as on GitHub, with a file for each format.
fn every_format(fixture: &Fixture) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let formats = [
        (
            "human",
            "outlives 4 tests\n  spawned at src/lib.rs:11 in `Pool::new`, by the test\n",
        ),
        ("json", "\"title\": \"a task outlives 4 tests\","),
        (
            "junit",
            "<failure message=\"a task outlives 4 tests\" type=\"leak\">",
        ),
        ("sarif", "\"origin/v1\": \"leak||src/lib.rs|Pool::new|0\""),
        ("markdown", "\n### leak: a task outlives 4 tests\n"),
        (
            "html",
            "<span class=\"kind\">leak</span> a task outlives 4 tests</h3>",
        ),
    ];
    fs::write(file("summary.md"), "before\n").unwrap();
    let mut arguments = vec!["test".to_owned()];
    arguments.extend(formats.map(|(name, _)| format!("--format={name}={}", file(name).display())));
    let arguments: Vec<_> = arguments.iter().map(|argument| &**argument).collect();
    let mut command = fixture.command(&arguments);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", file("summary.md"));
    let ended = end(&mut command);
    let read = |name: &str| fs::read_to_string(file(name)).unwrap();
    for (name, expected) in formats {
        assert!(read(name).contains(expected), "{name}: {}", read(name));
    }
    assert_eq!(read("summary.md"), format!("before\n{}", read("markdown")));
    assert_eq!(ended.stderr.matches("\n::error ").count(), 3, "{ended:?}");
    let place = "src/lib.rs,line=11,title=leak%3A a task outlives 4 tests::";
    assert!(ended.stderr.contains(place), "{ended:?}");
    ended
}

#[test]
fn workspace_root_may_be_elsewhere() {
    let fixture = Fixture::suite("elsewhere");
    let manifest = fixture.read("Cargo.toml").replace("[workspace]\n", "");
    let member = manifest.replace("[package]\n", "[package]\nworkspace = \"root\"\n");
    fixture.write("Cargo.toml", &member);
    fixture.write(
        "root/Cargo.toml",
        "[workspace]\nmembers = [\"..\"]\nresolver = \"3\"\n",
    );
    let lock = fixture.read("Cargo.lock");
    std::fs::remove_file(fixture.root.join("Cargo.lock")).unwrap();
    fixture.write("root/Cargo.lock", &lock);
    let before = fixture.files();
    let ended = fixture.straggler(&["test", "--test", "clean"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("1 test checked, no findings"),
        "{}",
        ended.stdout
    );
    assert_eq!(fixture.files(), before);
}

#[test]
fn spawns_by_a_method_have_a_place_and_timers_a_time() {
    let fixture = Fixture::suite("method");
    let test = "\
#[tokio::test]
async fn by_a_method() {
    tokio::runtime::Handle::current().spawn(std::future::pending::<()>());
}

#[tokio::test]
async fn sleeps() {
    tokio::spawn(tokio::time::sleep(std::time::Duration::from_secs(3600)));
}
";
    fixture.write("tests/method.rs", test);
    let ended = fixture.straggler(&["test", "--test=method"]);
    assert_eq!(ended.status, Some(10), "{ended:?}");
    let place = "  spawned at tests/method.rs:3 in `by_a_method`, by the test\n";
    assert!(ended.stdout.contains(place), "{}", ended.stdout);
    // Only the copy of tokio that is built knows when.
    let timer = ", and its timer fires in 60 min\n";
    assert!(ended.stdout.contains(timer), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("for what tests left behind"),
        "{}",
        ended.stdout
    );
}

#[test]
fn features_that_need_unstable_tokio_build() {
    let fixture = Fixture::suite("tracing");
    let manifest = fixture.read("Cargo.toml");
    let features = "features = [\"tracing\", \"macros\", ";
    fixture.write(
        "Cargo.toml",
        &manifest.replace("features = [\"macros\", ", features),
    );
    let ended = fixture.straggler(&["test", "--test=clean"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

#[test]
fn clean_suite_passes() {
    let fixture = Fixture::suite("clean");
    let ended = fixture.straggler(&["test", "--test", "clean"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let end = "\nstraggler: 1 test checked, no findings\n";
    assert!(ended.stdout.ends_with(end), "{}", ended.stdout);

    // The document is all of the standard output.
    let ended = fixture.straggler(&["test", "--test", "clean", "--format=json"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["tests"]["checked"][0]["name"], "nothing_is_left");
    assert!(ended.stderr.contains("\ntest result: ok."), "{ended:?}");
}

#[test]
fn status_of_failing_suite_wins() {
    let fixture = Fixture::suite("failing");
    let before = fixture.files();
    let mut command = fixture.command(&[
        "test",
        "--test=clean",
        "--",
        "--ignored",
        "--exact",
        "body_fails",
    ]);
    let ended = end(command.env("GITHUB_ACTIONS", "true"));
    assert_eq!(ended.status, Some(101), "{ended:?}");
    // What the panic left behind is no finding.
    let totals = "\
straggler: 1 test checked, no findings
  1 test failed by itself, so what it left running is not listed: body_fails
";
    assert!(ended.stdout.contains(totals), "{}", ended.stdout);
    // Nor does the test annotate it.
    assert!(!ended.stdout.contains("::warning "), "{}", ended.stdout);
    assert_eq!(fixture.files(), before);
}

#[test]
fn failed_test_that_left_nothing_is_named() {
    let fixture = Fixture::suite("fails-clean");
    let test = "\
#[tokio::test]
async fn fails() {
    panic!();
}

#[tokio::test]
async fn returns_an_error() -> Result<(), ()> {
    Err(())
}

#[tokio::test]
#[should_panic]
async fn does_not_panic() {}
";
    fixture.write("tests/fails.rs", test);
    let ended = fixture.straggler(&["test", "--test=fails"]);
    assert_eq!(ended.status, Some(101), "{ended:?}");
    let totals = "\
straggler: 3 tests checked, no findings
  3 tests failed by themselves, so what they left running is not listed: does_not_panic, fails, returns_an_error
";
    assert!(ended.stdout.ends_with(totals), "{}", ended.stdout);
}

#[test]
fn build_error_has_the_status_of_cargo() {
    let fixture = Fixture::suite("broken");
    fixture.write("tests/broken.rs", "fn broken(");
    let before = fixture.files();
    let ended = fixture.straggler(&["test", "--accept", "--test", "broken"]);
    assert_eq!(ended.status, Some(101), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert_eq!(fixture.files(), before);
}
