//! Suites that cannot be checked: one clear error, and nothing runs.

use crate::fixture::Fixture;

/// Expects an error that names `expected`, and a workspace as before.
fn fails(fixture: &Fixture, arguments: &[&str], expected: &str) {
    let before = fixture.files();
    let ended = fixture.straggler(&[&["test"], arguments].concat());
    assert_eq!(ended.status, Some(11), "{ended:?}");
    assert!(ended.stderr.contains("straggler: error: "), "{ended:?}");
    assert!(!ended.stderr.contains("error: error: "), "{ended:?}");
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    assert_eq!(fixture.files(), before);
}

const TOKIO: &str = "[dependencies]\ntokio = \"1\"\n";

#[test]
fn no_tokio() {
    let fixture = Fixture::package("no-tokio", "");
    fails(
        &fixture,
        &[],
        "no package of this workspace depends on tokio",
    );
}

#[test]
fn tokio_from_a_path() {
    let manifest = format!("{TOKIO}[patch.crates-io]\ntokio.path = \"fork\"\n");
    let fixture = Fixture::package("fork", &manifest);
    let fork = "[package]\nname = \"tokio\"\nversion = \"1.54.1\"\nedition = \"2024\"\n";
    fixture.write("fork/Cargo.toml", fork);
    fixture.write("fork/src/lib.rs", "");
    fails(&fixture, &[], "from the registry. Remove the `[patch]`");
}

#[test]
fn tokio_as_a_member() {
    let fixture = Fixture::package("tokio-member", "[dependencies]\ntokio.path = \"runtime\"\n");
    let tokio = "[package]\nname = \"tokio\"\nversion = \"1.54.1\"\nedition = \"2024\"\n";
    fixture.write("runtime/Cargo.toml", tokio);
    fixture.write("runtime/src/lib.rs", "");
    fails(&fixture, &[], "tokio is a member of this workspace (");
}

#[test]
fn old_tokio_is_updated_on_request() {
    let fixture = Fixture::package(
        "old",
        "[dependencies]\ntokio = { version = \"1\", features = [\"macros\", \"rt\"] }\n",
    );
    fixture.lock();
    let ended = fixture.cargo(&["update", "tokio", "--precise", "1.50.0"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    fails(
        &fixture,
        &[],
        "locks tokio 1.50.0, and straggler needs ^1.51",
    );

    let before = fixture.files();
    fixture.write("tests/old.rs", "#[tokio::test]\nasync fn is_checked() {}\n");
    let with_test = fixture.files();
    assert_ne!(before, with_test);
    let ended = fixture.straggler(&["test", "--update-tokio", "--no-run"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(fixture.files(), with_test);
}

#[test]
fn two_versions_of_tokio() {
    let manifest = format!("{TOKIO}old = {{ package = \"tokio\", version = \"0.2\" }}\n");
    let fixture = Fixture::package("two", &manifest);
    fails(&fixture, &[], "`cargo tree -i tokio@0.2.");
}

#[test]
fn straggler_as_a_member() {
    let fixture = Fixture::package("member", TOKIO);
    fixture.write(
        "straggler/Cargo.toml",
        "[package]\nname = \"straggler\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    );
    fixture.write("straggler/src/lib.rs", "");
    let manifest = fixture.read("Cargo.toml");
    let with_member = manifest.replace("[workspace]\n", "[workspace]\nmembers = [\"straggler\"]\n");
    fixture.write("Cargo.toml", &with_member);
    fails(&fixture, &[], "straggler is a member of this workspace");
}

#[test]
fn locked_without_lock_file() {
    let fixture = Fixture::package("locked", TOKIO);
    fails(&fixture, &["--locked"], "--locked");
}

#[test]
fn no_manifest() {
    let fixture = Fixture::package("no-manifest", TOKIO);
    fails(
        &fixture,
        &["--manifest-path", "no/Cargo.toml"],
        "no/Cargo.toml",
    );
}

#[test]
fn invalid_baseline() {
    let fixture = Fixture::package("invalid-baseline", TOKIO);
    fixture.write(".config/straggler.toml", "grace = \"1s\"\ntimeout = 5\n");
    fails(&fixture, &[], "line 2, column 11");
}
