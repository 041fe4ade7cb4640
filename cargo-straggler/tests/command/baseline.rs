//! `.config/straggler.toml`: accepted findings, and settings.

use std::fs;

use crate::fixture::Fixture;

const PATH: &str = ".config/straggler.toml";

#[test]
fn accepted_findings_pass_and_new_ones_fail() {
    let fixture = Fixture::suite("baseline");
    let ended = fixture.straggler(&["test", "--accept"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("baseline", fixture.read(PATH)));

    let ended = fixture.straggler(&["test"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains(": 0 new, 3 accepted\n"),
        "{}",
        ended.stdout
    );

    let new = "#[tokio::test]\nasync fn leaks() { tokio::spawn(std::future::pending::<()>()); }\n";
    fixture.write("tests/new.rs", new);
    let ended = fixture.straggler(&["test"]);
    assert_eq!(ended.status, Some(10), "{ended:?}");
    assert!(
        ended.stdout.contains(": 1 new, 3 accepted\n"),
        "{}",
        ended.stdout
    );
    fs::remove_file(fixture.root.join("tests/new.rs")).unwrap();
}

#[test]
fn prune_removes_what_is_gone() {
    let fixture = Fixture::suite("prune");
    // The fixture without the tests that leak.
    fs::remove_file(fixture.root.join("tests/pool.rs")).unwrap();
    let accepted =
        "[[accept]]\nkind = \"leak\"\nfile = \"src/lib.rs\"\nfunction = \"Pool::new\"\nmost = 1\n";
    fixture.write(PATH, accepted);

    // A part of the suite says nothing about the rest.
    let part = fixture.straggler(&["test", "--test=clean"]);
    assert!(!part.stdout.contains("is gone"), "{}", part.stdout);
    let refused = fixture.straggler(&["test", "--prune", "--test=clean"]);
    assert_eq!(refused.status, Some(11), "{refused:?}");
    assert_eq!(fixture.read(PATH), accepted);

    let ended = fixture.straggler(&["test"]);
    let gone = "leak at src/lib.rs in `Pool::new` is gone: `--prune` removes it";
    assert!(ended.stdout.contains(gone), "{}", ended.stdout);
    let ended = fixture.straggler(&["test", "--prune"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(fixture.read(PATH), "");
}

#[test]
fn tests_and_panics_have_settings_of_their_own() {
    let fixture = Fixture::suite("tests");
    let settings = "[[test]]\nname = \"pool_*\"\nskip = true\n\n\
        [[test]]\nname = \"task_*\"\npanics = \"allow\"\n";
    fixture.write(PATH, settings);
    let ended = fixture.straggler(&["test", "--test=pool", "pool_", "--", "task_panics"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let end = "
straggler: 1 test checked, no findings
  4 tests not checked, which .config/straggler.toml skips: pool_alone, pool_by_another_path, \
        pool_on_a_paused_clock and 1 more
";
    assert!(ended.stdout.ends_with(end), "{}", ended.stdout);

    let expected = "[[expected_panic]]\nfunction = \"task_panics\"\nmessage = \"such account\"\n";
    fixture.write(PATH, expected);
    let ended = fixture.straggler(&["test", "--test=pool", "task_panics"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let end = "1 test checked, no findings\n  1 panic expected by .config/straggler.toml\n";
    assert!(ended.stdout.ends_with(end), "{}", ended.stdout);

    fixture.write(PATH, "[[test]]\nname = \"pool_*\"\nskp = true\n");
    let ended = fixture.straggler(&["test"]);
    assert_eq!(ended.status, Some(11), "{ended:?}");
    let wrong = "line 3, column 1";
    assert!(ended.stderr.contains(wrong), "{}", ended.stderr);
}

#[test]
fn settings_reach_the_tests() {
    let fixture = Fixture::suite("settings");
    fixture.write(
        "tests/slow.rs",
        "#[tokio::test]\nasync fn slow() { std::future::pending::<()>().await; }\n",
    );
    fixture.write(PATH, "timeout = \"50ms\"\n");
    let ended = fixture.straggler(&["test", "--test=slow"]);
    assert_eq!(ended.status, Some(101), "{ended:?}");
    assert!(
        ended
            .stdout
            .contains("hang: the body does not end in 1 test"),
        "{}",
        ended.stdout
    );
}
