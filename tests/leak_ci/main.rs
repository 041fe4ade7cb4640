//! Output for CI: findings as JSON in a file, and GitHub Actions annotations. The scenarios run in
//! child processes, since environment variables apply to a whole process.
//!
//! `INSTA_UPDATE=always` rewrites the snapshots.

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

/// A path for findings: no file exists at first, and drop removes it.
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

    /// The objects in the file, one a line.
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

/// Runs a scenario with `STRAGGLER` set to `mode`.
fn run(scenario: &str, mode: &str, variables: &[(&str, &str)]) -> Ended {
    let mode = [("STRAGGLER", mode)];
    child::run_with(
        &format!("scenarios::{scenario}"),
        &[&mode, variables].concat(),
    )
}

/// The only object that a scenario writes.
fn object_of(scenario: &str, mode: &str) -> (Ended, Value) {
    let file = File::new();
    let ended = run(scenario, mode, &[("STRAGGLER_REPORT", file.path())]);
    let mut objects = file.objects();
    assert_eq!(objects.len(), 1, "{ended:?}");
    (ended, objects.remove(0))
}

/// The annotations that a scenario prints, one a line.
fn annotations_of(scenario: &str, mode: &str) -> Vec<String> {
    let ended = run(scenario, mode, &[ON_GITHUB]);
    let lines = ended.stderr.lines().filter(|line| line.starts_with("::"));
    lines.map(str::to_owned).collect()
}

/// Compares with a snapshot, without ages, counts and paths that vary by run and machine.
fn compare(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("snapshots");
    settings.set_omit_expression(true);
    settings.add_filter(
        r#""(age|idle|took|held|waited|waiting)_ms": \d+"#,
        r#""${1}_ms": "[time]""#,
    );
    settings.add_filter(r#""(least|most)": \d+"#, r#""$1": "[count]""#);
    let polls = r"polled (\d+ to \d+ times|\d+ times|\w+)";
    settings.add_filter(
        &format!("alive for .*?, {polls}"),
        "alive for [age], polled [count]",
    );
    // On a busy machine ages exceed a second, and have two units: `1s 43ms`.
    let age = r"[0-9.]+m?s( \d+ms)?";
    settings.add_filter(&format!("waiting for {age}"), "waiting for [age]");
    settings.add_filter(&format!("running for {age}"), "running for [age]");
    settings.add_filter(&format!("held for {age}"), "held for [age]");
    settings.add_filter(&format!("by the test, for {age}"), "by the test, for [age]");
    settings.add_filter(" took .*?, longer", " took [time], longer");
    // The workspace may be a folder of another repository.
    settings.add_filter(r"file=\S*?tests/leak_ci", "file=tests/leak_ci");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// A test of the module `scenarios`, how it is run, and what it must write.
#[derive(Debug)]
struct Scenario {
    name: &'static str,
    /// The value of `STRAGGLER`.
    mode: &'static str,
    verdict: &'static str,
    level: &'static str,
    outcome: Outcome,
    snapshots: Snapshots,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Passes,
    Fails,
}

/// What of a scenario is compared with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Snapshots {
    No,
    Annotations,
    Both,
    /// Both, but not in builds with `tokio_unstable`, whose hooks see more of tokio's own tasks.
    WithoutHooks,
}

impl Scenario {
    fn has_object_snapshot(&self) -> bool {
        match self.snapshots {
            Snapshots::No | Snapshots::Annotations => false,
            Snapshots::Both => true,
            Snapshots::WithoutHooks => cfg!(not(tokio_unstable)),
        }
    }

    fn has_annotation_snapshot(&self) -> bool {
        self.snapshots == Snapshots::Annotations || self.has_object_snapshot()
    }
}

/// A scenario a line. As the input of a macro it keeps its columns: rustfmt does not touch it.
macro_rules! table {
    ($(
        $(#[$cfg:meta])?
        $name:ident $mode:literal $verdict:ident $level:ident $outcome:ident $snapshots:ident;
    )*) => {
        &[$(
            $(#[$cfg])?
            Scenario {
                name: stringify!($name),
                mode: $mode,
                verdict: stringify!($verdict),
                level: stringify!($level),
                outcome: Outcome::$outcome,
                snapshots: Snapshots::$snapshots,
            }
        ),*]
    };
}

/// Every verdict at least once, and each mode that changes what comes of it.
const SCENARIOS: &[Scenario] = table! {
    // name                                 mode   verdict         level   outcome snapshots
    leaked_tasks                         "deny" leaked          error   Fails   Both;
    leaked_tasks                         "warn" leaked          warning Passes  No;
    leaked_tasks_of_one_place            "deny" leaked          error   Fails   Annotations;
    leaked_tasks_of_many_places          "deny" leaked          error   Fails   Annotations;
    leaked_untracked_tasks               ""     leaked          error   Fails   WithoutHooks;
    leak_and_panic                       "deny" panicked        warning Fails   No;
    leak_and_panic                       "warn" panicked        warning Fails   No;
    leak_and_error                       "deny" returned_error  warning Fails   No;
    leak_and_expected_panic              "deny" leaked          error   Fails   No;
    leak_and_expected_panic              "warn" leaked          warning Passes  No;
    leak_and_missing_panic               "deny" did_not_panic   warning Fails   No;
    leak_and_missing_panic               "wran" not_run         error   Fails   No;
    hang                                 "deny" hung            error   Fails   Both;
    hang                                 "warn" hung            error   Fails   No;
    late                                 "deny" late            error   Fails   Both;
    helper_panics                        "deny" task_panicked   error   Fails   Both;
    task_panics                          "deny" task_panicked   error   Fails   WithoutHooks;
    panic_and_leak                       "deny" task_panicked   error   Fails   Both;
    #[cfg(target_os = "linux")]
    panic_and_deadlock                   "deny" task_panicked   error   Fails   Both;
    #[cfg(target_os = "linux")]
    panic_and_deadlock                   "warn" task_panicked   error   Fails   No;
    clean                                "wran" not_run         error   Fails   No;
    expected_panic_and_task_panic        "deny" task_panicked   warning Passes  No;
    expected_panic_and_blocking_work     "deny" task_panicked   error   Fails   No;
    panic_in_run                         "deny" panicked        error   Fails   Both;
    panic_in_run                         "warn" panicked        error   Fails   No;
    panic_in_run                         "wran" not_run         error   Fails   No;
    error_in_run                         "deny" returned_error  error   Fails   Both;
    leak_and_panic_in_run                "deny" panicked        error   Fails   Both;
    leak_and_expected_panic_in_run       "deny" leaked          error   Fails   No;
    leak_and_expected_panic_in_run       "warn" leaked          warning Passes  No;
    expected_panic_and_task_panic_in_run "deny" task_panicked   warning Passes  No;
    no_overlap                           "deny" no_overlap      error   Fails   Both;
    leak_in_every_run                    "deny" leaked          error   Fails   No;
    leak_in_every_run                    "warn" leaked          warning Passes  No;
    #[cfg(target_os = "linux")]
    deadlock                             "deny" deadlocked      error   Fails   Both;
    #[cfg(target_os = "linux")]
    blocking_work                        "deny" blocking_leaked error   Fails   Both;
    held_locks                           "deny" locks_held      error   Fails   Both;
    held_locks                           "warn" locks_held      warning Passes  No;
    hang_on_lock                         "deny" hung            error   Fails   Both;
    #[cfg(target_os = "linux")]
    threads                              "deny" threads_leaked  error   Fails   Both;
};

/// The end of each scenario, and the object it writes. They run once for all tests of this file.
fn objects() -> &'static [(Ended, Value)] {
    static OBJECTS: OnceLock<Vec<(Ended, Value)>> = OnceLock::new();
    OBJECTS.get_or_init(|| {
        let scenarios = SCENARIOS.iter();
        let objects = scenarios.map(|scenario| object_of(scenario.name, scenario.mode));
        objects.collect()
    })
}

#[test]
fn every_verdict_writes_object() {
    for (scenario, (ended, object)) in SCENARIOS.iter().zip(objects()) {
        let passes = scenario.outcome == Outcome::Passes;
        assert_eq!(ended.passed, passes, "{scenario:?}: {ended:?}");
        assert_eq!(object["version"], 1);
        assert_eq!(object["test"], format!("scenarios::{}", scenario.name));
        assert_eq!(object["file"], "tests/leak_ci/scenarios.rs");
        let found = (&object["verdict"], &object["level"]);
        let expected = (&scenario.verdict.into(), &scenario.level.into());
        assert_eq!(found, expected, "{scenario:?}");
        let expects = scenario.name.starts_with("expected_panic_and_task_panic");
        assert_eq!(object.get("expected").is_some(), expects, "{scenario:?}");
        let findings = object["findings"].as_array().unwrap();
        assert!(!findings.is_empty(), "{scenario:?}");
        for finding in findings {
            for field in ["kind", "file", "line", "column", "count"] {
                assert!(finding.get(field).is_some(), "{field}: {finding}");
            }
        }
    }
}

#[test]
fn clean_test_writes_object_on_request() {
    let objects = |scenario, mode, clean| {
        let file = File::new();
        let variables = [
            ("STRAGGLER_REPORT", file.path()),
            ("STRAGGLER_REPORT_CLEAN", clean),
        ];
        run(scenario, mode, &variables);
        file.objects()
    };
    for scenario in ["clean", "clean_run", "expected_panic", "body_panics"] {
        let [object] = &objects(scenario, "deny", "true")[..] else {
            panic!("`{scenario}` writes one object");
        };
        assert_eq!(object["version"], 1);
        assert_eq!(object["test"], format!("scenarios::{scenario}"));
        assert_eq!(object["file"], "tests/leak_ci/scenarios.rs");
        assert!(object["line"].is_u64() && object["column"].is_u64());
        assert_eq!(
            (&object["verdict"], &object["level"]),
            (&"clean".into(), &"none".into())
        );
        assert_eq!(object["findings"], Value::Array(Vec::new()));

        assert!(objects(scenario, "deny", "").is_empty(), "{scenario}");
        // An unchecked test is not a clean one.
        assert!(objects(scenario, "off", "true").is_empty(), "{scenario}");
    }
    let file = File::new();
    let variables = [
        ("STRAGGLER_REPORT", file.path()),
        ("STRAGGLER_REPORT_CLEAN", "true"),
        ("STRAGGLER_TESTS", "*::leaked_tasks skip"),
    ];
    run("leaked_tasks", "deny", &variables);
    assert_eq!(file.objects()[0]["verdict"], "skipped");
    // A test with findings writes no second object.
    assert_eq!(objects("leaked_tasks", "warn", "true").len(), 1);
}

#[test]
fn objects_match_snapshots() {
    for (scenario, (_, object)) in SCENARIOS.iter().zip(objects()) {
        if scenario.has_object_snapshot() {
            let text = serde_json::to_string_pretty(object).unwrap();
            compare(&format!("{}__json", scenario.name), &text);
        }
    }
}

/// Collects field names, and the values that are keywords of the schema.
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
fn object_vocabulary_documented() {
    let source = include_str!("../../src/leak/render/json.rs");
    let documentation = source.lines().filter(|line| line.starts_with("//!"));
    let documentation = documentation.collect::<Vec<_>>().join("\n");
    let mut used = BTreeSet::new();
    for (_, object) in objects() {
        words(object, &mut used);
    }
    assert!(used.len() > 40, "{used:?}");
    for word in used {
        assert!(documentation.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn nothing_written_without_findings_file_or_check() {
    let file = File::new();
    let to_file = [("STRAGGLER_REPORT", file.path())];
    assert!(run("clean", "deny", &to_file).passed);
    assert!(run("leaked_tasks", "off", &to_file).passed);
    assert!(run("held_locks", "off", &to_file).passed);
    assert!(run("expected_panic_in_run", "deny", &to_file).passed);
    let ended = run("leaked_tasks", "deny", &[("STRAGGLER_REPORT", "")]);
    assert!(
        ended.stderr.starts_with("leak_check: 5 tasks outlived"),
        "{ended:?}"
    );
    assert!(!file.0.exists());
}

#[test]
fn blocked_test_written_before_abort() {
    let file = File::new();
    let variables = [
        ("STRAGGLER_REPORT", file.path()),
        ("STRAGGLER_ON_HANG", "abort"),
        ON_GITHUB,
    ];
    let ended = run("blocked_thread", "deny", &variables);
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
fn blocked_test_written_again_when_it_ends() {
    let file = File::new();
    let to_file = [("STRAGGLER_REPORT", file.path())];
    let ended = run("blocked_thread_until_timeout", "deny", &to_file);
    assert!(!ended.passed, "{ended:?}");
    let objects = file.objects();
    let verdicts: Vec<_> = objects.iter().map(|object| &object["verdict"]).collect();
    assert_eq!(verdicts, ["hung", "late"]);
}

#[test]
fn plain_check_writes_only_what_it_prints() {
    let scenario = "plain_check";
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
fn failed_run_replays_from_object() {
    for scenario in ["panic_in_run", "leak_in_every_run"] {
        let (_, object) = object_of(scenario, "deny");
        let explored = &object["explored"];
        assert_eq!(explored["runs"], 3, "{object}");
        assert_eq!(explored["run"], 1, "{object}");
        let seed = explored["seed"].as_str().unwrap();
        let ended = run(scenario, "deny", &[("STRAGGLER_SEED", seed)]);
        assert!(ended.stderr.contains("explore: the test"), "{ended:?}");
    }
    let (_, object) = object_of("leaked_tasks", "deny");
    assert_eq!(object.get("explored"), None, "it does not explore");
}

#[test]
fn failed_run_has_steps_and_picture() {
    let (_, object) = object_of("race_in_run", "deny");
    let explored = &object["explored"];
    let steps = explored["schedule"].as_array().unwrap();
    assert_eq!(explored.get("schedule_omitted"), None);
    let last = steps.last().unwrap();
    assert_eq!(last["actor"], "the body");
    assert_eq!(last["action"], "panics");
    assert_eq!(last["file"], Value::Null);
    assert_eq!(last.get("wakes"), None);
    let yields = steps.iter().find(|step| {
        let action = step["action"].as_str().unwrap();
        action.starts_with("yields at tests/leak_ci/scenarios.rs:")
    });
    let yields = yields.unwrap_or_else(|| panic!("{object}"));
    assert_eq!(yields["file"], "tests/leak_ci/scenarios.rs");
    assert!(yields["line"].is_u64(), "{yields}");
    let wakes = steps.iter().filter_map(|step| step.get("wakes"));
    let mut woken = wakes.flat_map(|wakes| wakes.as_array().unwrap());
    assert!(woken.all(|woken| woken.as_str().unwrap().starts_with("child #")));
    let svg = explored["svg"].as_str().unwrap();
    assert!(svg.len() < 60_000, "{svg}");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"), "{svg}");
}

#[test]
fn unrunnable_exploration_writes_object() {
    let file = File::new();
    let variables = [
        ("STRAGGLER_REPORT", file.path()),
        ("STRAGGLER_RUNS", "abc"),
        ON_GITHUB,
    ];
    let ended = run("panic_in_run", "deny", &variables);
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
fn plain_exploration_writes_object() {
    let (ended, object) = object_of("plain_exploration", "deny");
    assert!(!ended.passed, "{ended:?}");
    assert_eq!(object["test"], Value::Null);
    assert_eq!(object["verdict"], "panicked");
    let message = object["findings"][0]["message"].as_str().unwrap();
    assert!(message.contains("no such account"), "{message}");
}

#[test]
#[cfg(unix)]
fn relative_path_resolved_at_workspace_root() {
    let file = File::new();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let up = "../".repeat(root.ancestors().count() - 1);
    let output = Command::new(env::current_exe().unwrap())
        .args(["scenarios::leaked_tasks", "--exact", "--ignored"])
        .current_dir(root.join("tests"))
        .env_remove("STRAGGLER")
        .env("STRAGGLER_REPORT", up + file.path().trim_start_matches('/'))
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert_eq!(file.objects().len(), 1, "{output:?}");
}

#[test]
fn concurrent_processes_append_whole_lines() {
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
fn unwritable_file_noted_and_verdict_kept() {
    let nowhere = format!(
        "{}/no/such/folder/findings.jsonl",
        env!("CARGO_TARGET_TMPDIR")
    );
    let to_nowhere = [("STRAGGLER_REPORT", nowhere.as_str())];
    for scenario in SCENARIOS {
        let ended = run(scenario.name, scenario.mode, &to_nowhere);
        let passes = scenario.outcome == Outcome::Passes;
        assert_eq!(ended.passed, passes, "{scenario:?}: {ended:?}");
        let note =
            format!("leak_check: note: cannot append findings to {nowhere} (STRAGGLER_REPORT): ");
        assert!(ended.stderr.contains(&note), "{ended:?}");
    }
}

#[test]
fn unwritable_file_noted_once_despite_capture() {
    let output = Command::new(env::current_exe().unwrap())
        .args(["scenarios::leak", "--ignored"])
        .env("STRAGGLER", "warn")
        .env("STRAGGLER_REPORT", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        stderr
            .matches("leak_check: note: cannot append findings")
            .count(),
        1,
        "{stderr}"
    );
}

#[test]
fn annotations_match_snapshots() {
    for scenario in SCENARIOS {
        if scenario.has_annotation_snapshot() {
            let annotations = annotations_of(scenario.name, scenario.mode).join("\n");
            compare(&format!("{}__annotations", scenario.name), &annotations);
        }
    }
}

#[test]
fn annotation_level_follows_outcome() {
    for scenario in SCENARIOS {
        let annotations = annotations_of(scenario.name, scenario.mode);
        let begins = format!("::{} file=", scenario.level);
        assert!(annotations[0].starts_with(&begins), "{annotations:?}");
    }
}

#[test]
fn secondary_findings_are_warnings() {
    for scenario in [
        "hang",
        "leak_and_helper_panic",
        #[cfg(target_os = "linux")]
        "deadlock",
        #[cfg(target_os = "linux")]
        "panic_and_deadlock",
    ] {
        let annotations = annotations_of(scenario, "deny");
        let [verdict, note] = annotations.as_slice() else {
            panic!("{annotations:?}");
        };
        assert!(verdict.starts_with("::error "), "{verdict}");
        assert!(note.starts_with("::warning "), "{note}");
    }
}

#[test]
fn captured_annotation_starts_its_own_line() {
    let output = Command::new(env::current_exe().unwrap())
        .args(["scenarios::leak_after_partial_line", "--ignored"])
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
fn annotations_absent_outside_github() {
    for value in ["", "false", "1"] {
        let ended = run("leaked_tasks", "deny", &[("GITHUB_ACTIONS", value)]);
        assert!(!ended.stderr.contains("::error"), "{ended:?}");
        assert!(!ended.passed);
    }
    let ended = run(
        "leaked_tasks",
        "deny",
        &[ON_GITHUB, ("STRAGGLER_ANNOTATIONS", "false")],
    );
    assert!(!ended.stderr.contains("::error"), "{ended:?}");
    assert!(!ended.passed);
}

#[test]
fn large_findings_are_cut() {
    let (ended, object) = object_of("leaked_tasks_of_many_names", "deny");
    assert_eq!(object["findings"].as_array().unwrap().len(), 100);
    assert_eq!(object["findings_omitted"], 900);
    assert!(object.to_string().len() < 600_000);
    assert!(ended.stderr.len() < 10_000, "{}", ended.stderr.len());
    assert!(ended.stderr.contains("more characters)`"), "{ended:?}");

    let (ended, object) = object_of("long_chain_hangs", "deny");
    let place = &object["findings"][0]["waits_for"]["places"][0];
    assert_eq!(place["calls"].as_array().unwrap().len(), 100, "{ended:?}");
    assert!(place["calls_omitted"].as_u64() > Some(300), "{place}");
    assert!(ended.stderr.len() < 10_000, "{}", ended.stderr.len());
    assert!(ended.stderr.contains("awaited through "), "{ended:?}");
}
