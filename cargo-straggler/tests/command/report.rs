//! `cargo straggler report`: findings of earlier runs.

use crate::fixture::Fixture;

fn line(test: &str, verdict: &str, findings: &str) -> String {
    format!(
        "{{\"version\":1,\"test\":\"{test}\",\"file\":\"tests/pool.rs\",\"line\":9,\"column\":10,\
         \"verdict\":\"{verdict}\",\"level\":\"warning\",\"findings\":[{findings}]}}\n"
    )
}

#[test]
fn files_are_merged() {
    let fixture = Fixture::suite("report");
    let leak =
        r#"{"file":"src/lib.rs","line":11,"column":9,"count":1,"kind":"task","from":"the future"}"#;
    let one = line("one", "leaked", leak) + &line("clean", "clean", "");
    fixture.write("one.jsonl", &one);
    fixture.write("two.jsonl", &line("two", "leaked", leak));
    let before = fixture.files();

    let ended = fixture.straggler(&["report", "one.jsonl", "two.jsonl"]);
    assert_eq!(ended.status, Some(10), "{ended:?}");
    let expected = "
leak: a task outlives 2 tests
  spawned at src/lib.rs:11 in `Pool::new`
  in one, two
  help: keep its `JoinHandle`, and abort it when its owner is dropped or shut down

straggler: 3 tests checked, 2 with findings at 1 place
";
    assert_eq!(ended.stdout, expected);
    assert_eq!(fixture.files(), before);

    fixture.write("clean.jsonl", &line("clean", "clean", ""));
    assert_eq!(
        fixture.straggler(&["report", "clean.jsonl"]).status,
        Some(0)
    );
}

#[test]
fn unreadable_line_is_named() {
    let fixture = Fixture::suite("unreadable");
    let text = line("one", "clean", "") + "{\"test\":";
    fixture.write("cut.jsonl", &text);
    for (file, expected) in [
        ("cut.jsonl", "cut.jsonl:2 is no line of a straggler report"),
        ("missing.jsonl", "could not read missing.jsonl"),
    ] {
        let ended = fixture.straggler(&["report", file]);
        assert_eq!(ended.status, Some(11), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
}
