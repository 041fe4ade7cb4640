//! What is written for CI: findings as JSON in a file, and annotations of GitHub Actions. Each test
//! runs others in processes of their own, since the environment variables hold for all of a process.
//!
//! `INSTA_UPDATE=always` writes the snapshots anew.

#![cfg(feature = "macros")]

#[path = "../common/child.rs"]
mod child;
mod scenarios;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{env, fs};

use child::Ended;
use serde_json::Value;

const ON_GITHUB: (&str, &str) = ("GITHUB_ACTIONS", "true");

/// A file for findings, which is not there yet, and does not stay.
struct File(PathBuf);

impl File {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Relaxed);
        let name = format!("findings-{}-{number}.jsonl", process::id());
        let file = Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name));
        file.remove();
        file
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }

    /// The objects in it, one a line.
    fn objects(&self) -> Vec<Value> {
        let text = self.text();
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        let objects = text.lines().map(|line| serde_json::from_str(line).unwrap());
        objects.collect()
    }

    fn remove(&self) {
        _ = fs::remove_file(&self.0);
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Runs a scenario, with `STRAGGLER` set to `mode`.
fn run(scenario: &str, mode: &str, variables: &[(&str, &str)]) -> Ended {
    let mode = [("STRAGGLER", mode)];
    child::run_with(
        &format!("scenarios::{scenario}"),
        &[&mode, variables].concat(),
    )
}

/// The object that a scenario writes.
fn object_of(scenario: &str, mode: &str) -> (Ended, Value) {
    let file = File::new();
    let ended = run(scenario, mode, &[("STRAGGLER_REPORT", file.path())]);
    let mut objects = file.objects();
    assert_eq!(objects.len(), 1, "{ended:?}");
    (ended, objects.remove(0))
}

/// The annotations that a scenario prints, each on a line of its own.
fn annotations_of(scenario: &str, mode: &str) -> Vec<String> {
    let ended = run(scenario, mode, &[ON_GITHUB]);
    let lines = ended.stderr.lines().filter(|line| line.starts_with("::"));
    lines.map(str::to_owned).collect()
}

/// Compares without what differs from run to run and from machine to machine.
fn compare(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("snapshots");
    settings.set_omit_expression(true);
    settings.add_filter(
        r#""(age|took|held|waiting)_ms": \d+"#,
        r#""${1}_ms": "[time]""#,
    );
    settings.add_filter(r#""(least|most)": \d+"#, r#""$1": "[count]""#);
    let polls = r"polled (\d+ to \d+ times|\d+ times|\w+)";
    settings.add_filter(
        &format!("alive for .*?, {polls}"),
        "alive for [age], polled [count]",
    );
    settings.add_filter("at work for [0-9.]+m?s", "at work for [age]");
    settings.add_filter("held for [0-9.]+m?s", "held for [age]");
    settings.add_filter("by the test, for [0-9.]+m?s", "by the test, for [age]");
    settings.add_filter(" took .*?, longer", " took [time], longer");
    // The workspace may lie in somebody else's repository.
    settings.add_filter(r"file=\S*?tests/leak_ci", "file=tests/leak_ci");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Every verdict, whether it is a warning, and whether the test passes.
const VERDICTS: &[(&str, &str, &str, &str, bool)] = &[
    ("leaks", "deny", "leaked", "error", false),
    ("leaks", "warn", "leaked", "warning", true),
    ("leaks_unseen", "", "leaked", "error", false),
    ("leaks_and_panics", "deny", "panicked", "warning", false),
    ("leaks_and_panics", "warn", "panicked", "warning", false),
    (
        "leaks_and_returns_an_error",
        "deny",
        "returned_error",
        "warning",
        false,
    ),
    (
        "leaks_and_panics_as_it_should",
        "deny",
        "leaked",
        "error",
        false,
    ),
    (
        "leaks_and_panics_as_it_should",
        "warn",
        "leaked",
        "warning",
        true,
    ),
    (
        "leaks_and_should_panic",
        "deny",
        "did_not_panic",
        "warning",
        false,
    ),
    ("hangs", "warn", "hung", "error", false),
    ("is_late", "deny", "late", "error", false),
    (
        "has_helpers_that_panic",
        "deny",
        "task_panicked",
        "error",
        false,
    ),
    ("is_clean", "wran", "not_run", "error", false),
    ("leaks_and_should_panic", "wran", "not_run", "error", false),
    (
        "panics_as_it_should_and_so_does_a_task",
        "deny",
        "task_panicked",
        "warning",
        true,
    ),
    (
        "panics_as_it_should_and_leaves_blocking_work",
        "deny",
        "task_panicked",
        "error",
        false,
    ),
    ("panics_in_a_run", "deny", "panicked", "error", false),
    ("panics_in_a_run", "warn", "panicked", "error", false),
    ("panics_in_a_run", "wran", "not_run", "error", false),
    (
        "returns_an_error_in_a_run",
        "deny",
        "returned_error",
        "error",
        false,
    ),
    (
        "leaks_and_panics_in_a_run",
        "deny",
        "panicked",
        "error",
        false,
    ),
    (
        "leaks_and_panics_in_a_run_as_it_should",
        "deny",
        "leaked",
        "error",
        false,
    ),
    (
        "leaks_and_panics_in_a_run_as_it_should",
        "warn",
        "leaked",
        "warning",
        true,
    ),
    (
        "panics_in_a_run_as_it_should_and_so_does_a_task",
        "deny",
        "task_panicked",
        "warning",
        true,
    ),
    ("has_no_overlap", "deny", "no_overlap", "error", false),
    ("leaks_in_every_run", "deny", "leaked", "error", false),
    ("leaks_in_every_run", "warn", "leaked", "warning", true),
    (
        "has_tasks_that_panic",
        "deny",
        "task_panicked",
        "error",
        false,
    ),
    ("deadlocks", "deny", "deadlocked", "error", false),
    (
        "leaves_blocking_work",
        "deny",
        "blocking_leaked",
        "error",
        false,
    ),
    ("holds_locks", "deny", "locks_held", "error", false),
    ("holds_locks", "warn", "locks_held", "warning", true),
    ("hangs_on_a_lock", "deny", "hung", "error", false),
    #[cfg(target_os = "linux")]
    ("leaves_threads", "deny", "threads_leaked", "error", false),
];

/// How each of them ends, and the object that it writes.
fn verdicts() -> &'static [(Ended, Value)] {
    static ENDED: OnceLock<Vec<(Ended, Value)>> = OnceLock::new();
    ENDED.get_or_init(|| {
        let verdicts = VERDICTS.iter();
        let ended = verdicts.map(|(scenario, mode, ..)| object_of(scenario, mode));
        ended.collect()
    })
}

#[test]
fn each_test_with_findings_has_an_object_whatever_comes_of_them() {
    for (expected, (ended, object)) in VERDICTS.iter().zip(verdicts()) {
        let &(scenario, _, verdict, level, passes) = expected;
        assert_eq!(ended.passed, passes, "{expected:?}: {ended:?}");
        assert_eq!(object["version"], 1);
        assert_eq!(object["test"], format!("scenarios::{scenario}"));
        assert_eq!(object["file"], "tests/leak_ci/scenarios.rs");
        let found = (&object["verdict"], &object["level"]);
        assert_eq!(found, (&verdict.into(), &level.into()), "{expected:?}");
        let findings = object["findings"].as_array().unwrap();
        assert!(!findings.is_empty(), "{expected:?}");
        for finding in findings {
            for field in ["kind", "file", "line", "column", "count"] {
                assert!(finding.get(field).is_some(), "{field}: {finding}");
            }
        }
    }
}

#[test]
fn the_objects() {
    let mut scenarios = vec![
        "leaks",
        "hangs",
        "is_late",
        "has_helpers_that_panic",
        "deadlocks",
        "leaves_blocking_work",
        "holds_locks",
        "hangs_on_a_lock",
        "panics_in_a_run",
        "returns_an_error_in_a_run",
        "leaks_and_panics_in_a_run",
        "has_no_overlap",
    ];
    if cfg!(target_os = "linux") {
        scenarios.push("leaves_threads");
    }
    if cfg!(not(tokio_unstable)) {
        scenarios.extend(["leaks_unseen", "has_tasks_that_panic"]);
    }
    for scenario in scenarios {
        let (_, object) = object_of(scenario, "deny");
        let text = serde_json::to_string_pretty(&object).unwrap();
        compare(&format!("{scenario}__json"), &text);
    }
}

/// Collects the fields, and those values that are words of the schema.
fn words(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                into.insert(field.clone());
                let is_word = ["kind", "verdict", "level", "state", "by"].contains(&field.as_str());
                if let (true, Some(word)) = (is_word, value.as_str()) {
                    into.insert(word.to_owned());
                }
                words(value, into);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| words(value, into)),
        _ => {}
    }
}

#[test]
fn every_word_of_the_objects_is_documented() {
    let source = include_str!("../../src/leak/render/json.rs");
    let documentation = source.lines().filter(|line| line.starts_with("//!"));
    let documentation = documentation.collect::<Vec<_>>().join("\n");
    let mut used = BTreeSet::new();
    for (_, object) in verdicts() {
        words(object, &mut used);
    }
    assert!(used.len() > 40, "{used:?}");
    for word in used {
        assert!(documentation.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn nothing_is_written_of_clean_tests_nor_without_a_file_nor_without_a_check() {
    let file = File::new();
    let to_file = [("STRAGGLER_REPORT", file.path())];
    assert!(run("is_clean", "deny", &to_file).passed);
    assert!(run("leaks", "off", &to_file).passed);
    assert!(run("holds_locks", "off", &to_file).passed);
    assert!(run("panics_in_a_run_as_it_should", "deny", &to_file).passed);
    let ended = run("leaks", "deny", &[("STRAGGLER_REPORT", "")]);
    assert!(
        ended.stderr.starts_with("leak_check: 5 tasks outlived"),
        "{ended:?}"
    );
    assert!(!file.0.exists());
}

#[test]
fn a_test_that_blocks_its_thread_is_told_of_before_the_process_is_aborted() {
    let file = File::new();
    let variables = [
        ("STRAGGLER_REPORT", file.path()),
        ("STRAGGLER_ON_HANG", "abort"),
        ON_GITHUB,
    ];
    let ended = run("blocks_its_thread", "deny", &variables);
    assert!(!ended.passed, "{ended:?}");
    assert!(ended.stderr.contains("\n::error file="), "{ended:?}");
    let objects = file.objects();
    let [hung] = objects.as_slice() else {
        panic!("{objects:?}");
    };
    assert_eq!(hung["verdict"], "hung");
    let waits_for = &hung["findings"][0]["waits_for"];
    assert_eq!(waits_for["state"], "blocks");
    assert!(waits_for["blocks_for_ms"].is_u64(), "{waits_for}");
}

#[test]
fn a_test_that_blocks_its_thread_is_told_of_again_if_it_ends() {
    let file = File::new();
    let to_file = [("STRAGGLER_REPORT", file.path())];
    let ended = run("blocks_its_thread_until_it_is_given_up", "deny", &to_file);
    assert!(!ended.passed, "{ended:?}");
    let objects = file.objects();
    let verdicts: Vec<_> = objects.iter().map(|object| &object["verdict"]).collect();
    assert_eq!(verdicts, ["hung", "late"]);
}

#[test]
fn of_checks_without_the_attribute_only_that_is_written_which_they_print() {
    let scenario = "a_check_without_the_attribute";
    let (ended, object) = object_of(scenario, "warn");
    assert!(ended.passed, "{ended:?}");
    assert_eq!(object["test"], Value::Null);
    assert_eq!(object["level"], "warning");
    assert!(annotations_of(scenario, "warn")[0].contains(",title=leak_check::1 task outlived"));

    let file = File::new();
    let variables = [("STRAGGLER_REPORT", file.path()), ON_GITHUB];
    let ended = run(scenario, "deny", &variables);
    assert!(ended.passed && ended.stderr.is_empty(), "{ended:?}");
    assert!(!file.0.exists());
}

#[test]
fn a_run_that_failed_can_be_repeated_from_its_object() {
    for scenario in ["panics_in_a_run", "leaks_in_every_run"] {
        let (_, object) = object_of(scenario, "deny");
        let explored = &object["explored"];
        assert_eq!(explored["runs"], 3, "{object}");
        assert_eq!(explored["run"], 1, "{object}");
        let seed = explored["seed"].as_str().unwrap();
        let ended = run(scenario, "deny", &[("STRAGGLER_SEED", seed)]);
        assert!(ended.stderr.contains("explore: the run of"), "{ended:?}");
    }
    let (_, object) = object_of("leaks", "deny");
    assert_eq!(object.get("explored"), None, "it does not explore");
}

#[test]
fn an_exploration_that_cannot_be_made_has_an_object() {
    let file = File::new();
    let variables = [
        ("STRAGGLER_REPORT", file.path()),
        ("STRAGGLER_RUNS", "abc"),
        ON_GITHUB,
    ];
    let ended = run("panics_in_a_run", "deny", &variables);
    assert!(ended.stderr.contains("\n::error file="), "{ended:?}");
    let objects = file.objects();
    let [object] = objects.as_slice() else {
        panic!("{objects:?}");
    };
    assert_eq!(object["verdict"], "not_run");
    let message = object["findings"][0]["message"].as_str().unwrap();
    assert!(message.contains("STRAGGLER_RUNS"), "{message}");
}

#[test]
fn an_exploration_without_the_attribute_that_fails_has_an_object_too() {
    let (ended, object) = object_of("explores_without_the_attribute", "deny");
    assert!(!ended.passed, "{ended:?}");
    assert_eq!(object["test"], Value::Null);
    assert_eq!(object["verdict"], "panicked");
    let message = object["findings"][0]["message"].as_str().unwrap();
    assert!(message.contains("no such account"), "{message}");
}

#[test]
#[cfg(unix)]
fn a_relative_path_is_taken_from_the_root_of_the_workspace() {
    let file = File::new();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let up = "../".repeat(root.ancestors().count() - 1);
    let output = Command::new(env::current_exe().unwrap())
        .args(["scenarios::leaks", "--exact", "--ignored"])
        .current_dir(root.join("tests"))
        .env_remove("STRAGGLER")
        .env("STRAGGLER_REPORT", up + file.path().trim_start_matches('/'))
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert_eq!(file.objects().len(), 1, "{output:?}");
}

#[test]
fn many_processes_append_to_one_file_and_no_line_is_lost_or_torn() {
    const PROCESSES: usize = 8;
    let file = File::new();
    let begin = |_| {
        Command::new(env::current_exe().unwrap())
            .args(["scenarios::long::", "--ignored", "--test-threads=4"])
            .env_remove("STRAGGLER")
            .env("STRAGGLER_REPORT", file.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let processes: Vec<_> = (0..PROCESSES).map(begin).collect();
    for mut process in processes {
        assert!(!process.wait().unwrap().success());
    }
    let objects = file.objects();
    assert_eq!(objects.len(), 4 * PROCESSES);
    for test in ["one", "two", "three", "four"] {
        let test = format!("scenarios::long::{test}");
        let of_test = objects.iter().filter(|object| object["test"] == test);
        assert_eq!(of_test.count(), PROCESSES);
    }
    for object in &objects {
        assert_eq!(object["findings"].as_array().unwrap().len(), 100);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_noted_and_changes_no_verdict() {
    let nowhere = format!(
        "{}/no/such/folder/findings.jsonl",
        env!("CARGO_TARGET_TMPDIR")
    );
    let to_nowhere = [("STRAGGLER_REPORT", nowhere.as_str())];
    for &(scenario, mode, .., passes) in VERDICTS {
        let ended = run(scenario, mode, &to_nowhere);
        assert_eq!(ended.passed, passes, "{scenario} {mode}: {ended:?}");
        let note = format!(
            "leak_check: note: findings cannot be appended to {nowhere}, as STRAGGLER_REPORT says: "
        );
        assert!(ended.stderr.contains(&note), "{ended:?}");
    }
}

#[test]
fn that_a_file_cannot_be_written_is_noted_once_past_what_is_captured() {
    let output = Command::new(env::current_exe().unwrap())
        .args(["scenarios::leaks", "--ignored"])
        .env("STRAGGLER", "warn")
        .env("STRAGGLER_REPORT", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        stderr.matches("leak_check: note: findings").count(),
        1,
        "{stderr}"
    );
}

#[test]
fn the_annotations() {
    let mut scenarios = vec![
        "leaks",
        "leaks_from_one_place_in_several_ways",
        "leaks_in_many_places",
        "hangs",
        "is_late",
        "has_helpers_that_panic",
        "deadlocks",
        "leaves_blocking_work",
        "holds_locks",
        "hangs_on_a_lock",
        "panics_in_a_run",
        "returns_an_error_in_a_run",
        "leaks_and_panics_in_a_run",
        "has_no_overlap",
    ];
    if cfg!(target_os = "linux") {
        scenarios.push("leaves_threads");
    }
    if cfg!(not(tokio_unstable)) {
        scenarios.extend(["leaks_unseen", "has_tasks_that_panic"]);
    }
    for scenario in scenarios {
        let annotations = annotations_of(scenario, "deny");
        compare(&format!("{scenario}__annotations"), &annotations.join("\n"));
    }
}

#[test]
fn an_annotation_is_an_error_where_the_test_fails_by_it() {
    for &(scenario, mode, _, level, _) in VERDICTS {
        let annotations = annotations_of(scenario, mode);
        let begins = format!("::{level} file=");
        assert!(annotations[0].starts_with(&begins), "{annotations:?}");
    }
}

#[test]
fn what_only_accompanies_the_verdict_is_a_warning() {
    for scenario in ["hangs", "deadlocks", "leaks_and_has_a_helper_that_panics"] {
        let annotations = annotations_of(scenario, "deny");
        let [verdict, note] = annotations.as_slice() else {
            panic!("{annotations:?}");
        };
        assert!(verdict.starts_with("::error "), "{verdict}");
        assert!(note.starts_with("::warning "), "{note}");
    }
}

#[test]
fn annotations_begin_lines_also_in_what_test_runners_capture() {
    let output = Command::new(env::current_exe().unwrap())
        .args(["scenarios::leaks_and_has_begun_a_line", "--ignored"])
        .env_remove("STRAGGLER")
        .env_remove("STRAGGLER_REPORT")
        .env("GITHUB_ACTIONS", "true")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("no such account: leak_check"), "{stdout}");
    assert_eq!(stdout.matches("::error ").count(), 1, "{stdout}");
    assert!(stdout.contains("\n::error "), "{stdout}");
}

#[test]
fn elsewhere_than_on_github_there_are_no_annotations() {
    for value in ["", "false", "1"] {
        let ended = run("leaks", "deny", &[("GITHUB_ACTIONS", value)]);
        assert!(!ended.stderr.contains("::error"), "{ended:?}");
        assert!(!ended.passed);
    }
}
