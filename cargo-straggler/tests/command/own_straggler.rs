//! Suites that depend on straggler themselves.

use crate::fixture::Fixture;

/// A test by each attribute, and one that explores.
const TESTS: &str = r"
async fn leaks() {
    tokio::spawn(std::future::pending::<()>());
}

#[tokio::test]
async fn of_tokio() {
    leaks().await;
}

#[straggler::test]
async fn of_straggler() {
    leaks().await;
}

#[straggler::test(explore = 5)]
async fn explored() {
    tokio::task::yield_now().await;
}

#[test]
fn explored_by_hand() {
    straggler::Explore::new().runs(5).run(|| async { tokio::task::yield_now().await });
}
";

#[test]
fn own_straggler_is_checked_with_the_tracked_tokio() {
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let manifest = format!(
        "[dependencies]\ntokio = {{ version = \"1\", features = [\"macros\", \"rt\"] }}\n\n\
         [dev-dependencies]\nstraggler.path = {repository:?}\n"
    );
    let fixture = Fixture::package("own", &manifest);
    fixture.write("tests/own.rs", TESTS);
    fixture.lock();
    let before = fixture.files();
    let ended = fixture.straggler(&["test", "--test=own"]);
    assert_eq!(ended.status, Some(10), "{ended:?}");
    assert!(ended.stdout.contains("4 passed"), "{}", ended.stdout);
    let leak = "spawned at tests/own.rs:3 in `leaks`";
    assert!(ended.stdout.contains(leak), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("a task outlives 2 tests"),
        "{}",
        ended.stdout
    );
    assert!(
        ended
            .stderr
            .contains("straggler: builds the suite with its own copy of straggler"),
        "{}",
        ended.stderr
    );
    assert_eq!(fixture.files(), before);
}
