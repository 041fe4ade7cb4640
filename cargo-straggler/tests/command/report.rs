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
fn failing_schedules_are_findings() {
    let fixture = Fixture::suite("schedules");
    let explored = |test: &str, run: &str, findings: &str| {
        let verdict = if run == "null" { "clean" } else { "panicked" };
        let replay =
            format!("STRAGGLER_SEED=7:2/1f cargo straggler explore --lib {test} -- --exact");
        let explored = format!(r#""explored":{{"runs":50,"run":{run},"replay":"{replay}"}}"#);
        line(test, verdict, findings).replace("\"level\"", &format!("{explored},\"level\""))
    };
    let panic = r#"{"kind":"body_panic","count":1,"file":null,"line":null,"message":"no money"}"#;
    // Two machines share the schedules of both tests.
    fixture.write(
        "one.jsonl",
        &(explored("one", "null", "") + &explored("two", "null", "")),
    );
    fixture.write(
        "two.jsonl",
        &(explored("one", "9", panic) + &explored("two", "null", "")),
    );
    let ended = fixture.straggler(&["report", "one.jsonl", "two.jsonl"]);
    assert_eq!(ended.status, Some(10), "{ended:?}");
    let expected = "
straggler: 2 tests checked, no findings in tokio's own order

schedule: one fails in run 9 of 50
  message: no money
  replay: STRAGGLER_SEED=7:2/1f cargo straggler explore --lib one -- --exact
straggler: 2 tests explored, 1 failed
";
    assert_eq!(ended.stdout, expected);
}

#[test]
fn formats_go_to_files_and_to_standard_output() {
    let fixture = Fixture::suite("formats");
    let leak = r#"{"file":"src/lib.rs","line":11,"column":9,"count":1,"kind":"task"}"#;
    fixture.write("one.jsonl", &line("one", "leaked", leak));
    let human = fixture.straggler(&["report", "one.jsonl"]).stdout;

    let json = "--format=json=out/deep/findings.json";
    let ended = fixture.straggler(&["report", "one.jsonl", json]);
    assert_eq!((ended.status, &ended.stdout), (Some(10), &human));
    let json = fixture.read("out/deep/findings.json");
    assert!(
        json.contains("\"title\": \"a task outlives 1 test\""),
        "{json}"
    );

    let arguments = [
        "report",
        "one.jsonl",
        "--format",
        "json",
        "--format",
        "human=out/human",
    ];
    let ended = fixture.straggler(&arguments);
    assert_eq!((ended.status, ended.stdout), (Some(10), json));
    assert_eq!(fixture.read("out/human"), human);
}

#[test]
fn wrong_format_is_named_before_anything_is_built() {
    let fixture = Fixture::suite("wrong-format");
    for (formats, status, expected) in [
        (["--format=yaml", "--format=human"], 2, "got `yaml`"),
        (
            ["--format=json", "--format=human"],
            2,
            "two formats go to standard output",
        ),
        (
            ["--format=json=a", "--format=human=a"],
            2,
            "two formats go to a",
        ),
        (
            ["--format=json=src", "--format=human"],
            11,
            "could not write to src",
        ),
    ] {
        let ended = fixture.straggler(&[&["test"], &formats[..]].concat());
        assert_eq!(ended.status, Some(status), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert!(!ended.stderr.contains("Compiling"), "{}", ended.stderr);
    }
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
