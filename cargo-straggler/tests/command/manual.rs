//! `cargo straggler completions` and `cargo straggler man`.

use crate::fixture::Fixture;

#[test]
fn completions_name_every_subcommand() {
    let fixture = Fixture::package("completions", "");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = fixture.straggler(&["completions", shell]);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        for word in ["cargo-straggler", "instrument", "report", "update-tokio"] {
            assert!(ended.stdout.contains(word), "{shell}: no {word}");
        }
    }
}

#[test]
fn man_has_page_for_each_subcommand() {
    let fixture = Fixture::package("man", "");
    let ended = fixture.straggler(&["man", "pages/man1"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let index = fixture.read("pages/man1/cargo-straggler.1");
    assert!(index.contains("instrument"), "{index}");
    let page = fixture.read("pages/man1/cargo-straggler-test.1");
    assert!(page.contains("update\\-tokio"), "{page}");
    assert!(page.contains("Exit status"), "{page}");
}
