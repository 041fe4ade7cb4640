//! `cargo straggler init`: what it edits, what it leaves, and when it refuses.

use std::path::Path;
use std::process::Command;

use crate::fixture::{Fixture, end};

/// Runs git in the workspace.
fn git(fixture: &Fixture, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(&fixture.root);
    for setting in [
        "user.name=suite",
        "user.email=suite@example.com",
        "commit.gpgsign=false",
        "core.hooksPath=hooks",
    ] {
        command.args(["-c", setting]);
    }
    let ended = end(command.args(arguments));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended.stdout
}

/// Makes the workspace a git work tree without changes.
fn commit(fixture: &Fixture) {
    git(fixture, &["init", "--quiet"]);
    git(fixture, &["add", "."]);
    git(fixture, &["commit", "--quiet", "--message=all"]);
}

/// The lines that a diff removes and adds.
fn changed(diff: &str) -> Vec<&str> {
    let mut lines: Vec<_> = diff.lines().collect();
    lines.retain(|line| line.starts_with(['-', '+']));
    lines
}

/// A package that has these files, and tokio.
fn package(test: &str, files: &[(&str, &str)]) -> Fixture {
    let manifest = "[dependencies]\ntokio = { version = \"1\", features = [\"macros\", \"rt\"] }\n";
    let fixture = Fixture::package(test, manifest);
    for (path, text) in files {
        fixture.write(path, text);
    }
    fixture.lock();
    fixture
}

const ONE_TEST: (&str, &str) = ("tests/one.rs", "#[tokio::test]\nasync fn one() {}\n");

#[test]
fn suite_fails_where_it_leaks() {
    let fixture = Fixture::suite("init");
    commit(&fixture);
    let before = fixture.files();
    let dry = fixture.straggler(&["init", "--dry-run"]);
    assert_eq!(dry.status, Some(0), "{dry:?}");
    assert_eq!(fixture.files(), before);
    let summary = "straggler: would replace 14 test attributes in 4 files\n";
    assert!(dry.stdout.contains(summary), "{}", dry.stdout);

    let ended = fixture.straggler(&["init"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let (diff, summary) = ended.stdout.split_once("\n\n").unwrap();
    assert!(dry.stdout.starts_with(diff), "{}", dry.stdout);
    let git_diff = git(&fixture, &["diff", "--", "src", "tests"]);
    assert_eq!(changed(diff), changed(&git_diff));
    let mut attributes = changed(diff);
    attributes.retain(|line| line.starts_with('+') && !line.starts_with("+++"));
    for attribute in [
        "+    #[straggler::test]",
        "+#[straggler::test(flavor = \"multi_thread\", worker_threads = 1)]",
        "+#[straggler::test(start_paused = true)]",
        "+#[test_log::test(straggler::test)]",
    ] {
        assert!(attributes.contains(&attribute), "{attributes:#?}");
    }
    assert_eq!(attributes.len(), 14);
    assert!(!diff.contains("+#[straggler::test(crate"), "{diff}");
    assert!(
        summary.contains("own runtime, in which `LeakCheck::watch` can check it: tests/pool.rs:"),
        "{summary}"
    );
    let manifest = fixture.read("Cargo.toml");
    assert!(manifest.contains("straggler = { path = \""), "{manifest}");

    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures-target");
    let target = target.to_str().unwrap();
    let tests = ["test", "--no-fail-fast", "--target-dir", target, "--tests"];
    let tests = fixture.cargo(&tests);
    assert_eq!(tests.status, Some(101), "{tests:?}");
    for line in [
        "test nothing_is_left ... ok",
        "test expected_panic - should panic ... ok",
        "test pool_alone ... FAILED",
        "test pool_by_another_path ... FAILED",
        "test server_of_test_log ... FAILED",
        "1 task outlived the test `pool_alone`",
    ] {
        assert!(tests.stdout.contains(line), "{}", tests.stdout);
    }

    git(&fixture, &["add", "."]);
    let before = fixture.files();
    let again = fixture.straggler(&["init"]);
    assert_eq!(again.status, Some(0), "{again:?}");
    assert!(
        again.stdout.starts_with("straggler: nothing to do\n"),
        "{again:?}"
    );
    assert_eq!(fixture.files(), before);
}

#[test]
fn changes_that_git_could_not_undo_need_a_flag() {
    let fixture = package("init-dirty", &[ONE_TEST]);
    // The work tree of this repository ignores the folder.
    let ended = fixture.straggler(&["init"]);
    assert_eq!(ended.status, Some(11), "{ended:?}");
    assert!(
        ended.stderr.contains("not in a git work tree"),
        "{}",
        ended.stderr
    );

    commit(&fixture);
    fixture.write("notes.txt", "");
    let before = fixture.files();
    let ended = fixture.straggler(&["init"]);
    assert_eq!(ended.status, Some(11), "{ended:?}");
    assert!(
        ended.stderr.contains("not committed: notes.txt"),
        "{}",
        ended.stderr
    );
    assert_eq!((&*ended.stdout, fixture.files()), ("", before));

    let ended = fixture.cargo(&["update", "tokio", "--precise", "1.50.0"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let ended = fixture.straggler(&["init", "--allow-dirty"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let update = "  updated in Cargo.lock: tokio 1.50.0 -> 1.";
    assert!(ended.stdout.contains(update), "{}", ended.stdout);
    assert_eq!(
        fixture.read("tests/one.rs"),
        "#[straggler::test]\nasync fn one() {}\n"
    );
}

#[test]
fn workspace_is_restored_if_no_versions_fit() {
    let fixture = package("init-versions", &[ONE_TEST]);
    let manifest = fixture.read("Cargo.toml").replace("\"1\"", "\"=1.50.0\"");
    fixture.write("Cargo.toml", &manifest);
    let ended = fixture.cargo(&["update", "tokio", "--precise", "1.50.0"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let before: Vec<_> = ["Cargo.toml", "Cargo.lock", "tests/one.rs"]
        .map(|path| fixture.read(path))
        .into();
    let ended = fixture.straggler(&["init", "--allow-dirty"]);
    assert_eq!(ended.status, Some(11), "{ended:?}");
    assert!(ended.stderr.contains("=1.50.0"), "{}", ended.stderr);
    let after: Vec<_> = ["Cargo.toml", "Cargo.lock", "tests/one.rs"]
        .map(|path| fixture.read(path))
        .into();
    assert_eq!(after, before);
}

#[test]
fn what_stays_is_named() {
    let joins = "\
use futures::future::{join_all, try_join_all};

#[tokio::test]
async fn joins() {
    try_join_all(futures()).await.unwrap();
    join_all(futures()).await;
}

#[tokio::test]
async fn drops() {
    let task = tokio::spawn(async {});
    task.await.ok();
}
";
    let fixture = package(
        "init-stays",
        &[
            (
                "src/lib.rs",
                "#[tokio::test]\nasync fn not_under_cfg() {}\n",
            ),
            ("tests/joins.rs", joins),
            ("tests/broken.rs", "#[tokio::test]\nasync fn () {}\n"),
            (
                "tests/generated.rs",
                "// @generated\n#[tokio::test]\nasync fn a() {}\n",
            ),
            ("tests/ui/fails.rs", "#[tokio::test]\nfn not_async() {}\n"),
            (
                "tests/web.rs",
                "#[actix_web::test]\nasync fn one() {}\n#[actix_web::test]\nasync fn two() {}\n",
            ),
        ],
    );
    let ended = fixture.straggler(&["init", "--dry-run", "--joins"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let (diff, rest) = ended.stdout.split_once("\n\n").unwrap();
    let expected = [
        "--- a/tests/joins.rs",
        "+++ b/tests/joins.rs",
        "-use futures::future::{join_all, try_join_all};",
        "+use futures::future::join_all;",
        "-#[tokio::test]",
        "+#[straggler::test]",
        "-    try_join_all(futures()).await.unwrap();",
        "+    straggler::barrier(futures()).await.unwrap();",
        "-#[tokio::test]",
        "+#[straggler::test]",
    ];
    assert_eq!(changed(diff), expected);
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let rest = rest.replace(repository.to_str().unwrap(), "STRAGGLER");
    let expected = "\
join: tests/joins.rs:5 in `joins`: `futures::future::try_join_all` becomes `straggler::barrier`
join: tests/joins.rs:6 in `joins`: `futures::future::join_all` stays, since its results are dropped
cannot fail: tests/joins.rs:12 in `drops`: the `JoinError` of a panicked task is dropped

straggler: would replace 2 test attributes and 1 join in 1 file
  cargo add --package suite --dev straggler --path STRAGGLER
  not touched (1): it is not under `#[cfg(test)]`, so a build without tests would need straggler too: src/lib.rs:1
  not touched (1): the file does not parse: expected identifier: tests/broken.rs
  not touched (1): the file is generated: tests/generated.rs
  not touched (2): `#[actix_web::test]` runs it: tests/web.rs:2, tests/web.rs:4
  not touched (1): no target of the package has the file as a module: tests/ui/fails.rs
";
    assert_eq!(rest, expected);
}
