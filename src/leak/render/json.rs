//! The JSON lines that `STRAGGLER_REPORT=<file>` writes, for programs to read.
//!
//! Straggler appends one object to the file for each test with `#[straggler::test]`
//! that has findings, whether or not the test fails on them. A clean test writes nothing, unless
//! `STRAGGLER_REPORT_CLEAN=true` is set too. Shortened:
//!
//! ```json
//! {"version":1,"test":"mailer::sends","file":"tests/mailer.rs","line":9,"column":10,
//!  "verdict":"leaked","level":"error","findings":[{"kind":"task","count":1,"name":"retry"}]}
//! ```
//!
//! - An object is one line, written in one call. Any number of threads and processes can append to one
//!   file at a time. A network file system may not keep that promise.
//! - Straggler never truncates the file. Delete it before a run.
//! - A relative path starts at the workspace root.
//! - A test that blocks its thread gets an object when its timeout passes, and another one if it ends
//!   after all.
//! - [`LeakCheck::run`](crate::LeakCheck::run), [`Watch::verify`](crate::leak::Watch::verify) and
//!   [`Explore::find`](crate::Explore::find) return their findings. They write only reports that they
//!   print, as under `STRAGGLER=warn`. [`Explore::run`](crate::Explore::run) prints and writes its failure.
//!
//! This module has no items. It documents the format.
//!
//! # The object of a test
//!
//! | field | value |
//! |---|---|
//! | `version` | `1`; see [below](#versions) |
//! | `test` | the path of the test as test runners print it; `null` without the attribute |
//! | `file`, `line`, `column` | the place of the test |
//! | `verdict` | why the test fails, or would fail without `STRAGGLER=warn` |
//! | `level` | `error` if the test fails on the findings, `none` if it has none, else `warning` |
//! | `expected` | only if the test has `#[should_panic]` and nothing but tasks panicked: `true` |
//! | `waited_ms` | only if the check waited in vain for leftovers to end: for how many milliseconds of real time |
//! | `explored` | only if an exploration failed, if it passed under `cargo straggler explore`, or if it passed with `explore = "exhaustive"`: an object with `runs`, `run` and `seed` |
//! | `not_explored` | only under `cargo straggler explore`: why the test could not be explored |
//! | `findings` | a list of objects, empty only if the verdict is `clean` or `skipped` |
//! | `findings_omitted` | the number of objects cut from `findings`, if any |
//!
//! A line stays short enough to read. Lists end after 100 entries: `findings_omitted`, `places_omitted`,
//! `calls_omitted`, `children_omitted`, `spawned_by_omitted` and `waiters_omitted` then count the rest, and
//! `count` counts the tasks of `numbers`. A string other than `svg` ends after 4 000 characters, with the
//! number of those cut.
//!
//! The `level` is `warning` with `STRAGGLER=warn`, if the test failed by itself, and if it has
//! `#[should_panic]` and only tasks panicked.
//!
//! | field of `explored` | value |
//! |---|---|
//! | `runs` | the number of runs asked for |
//! | `run` | the number of the failed run, from 1; `null` if no single run failed |
//! | `seed` | the value of `STRAGGLER_SEED` that replays the run, or `null` |
//! | `replay` | only beside a seed, if the name of the test is known: the command that replays the run |
//! | `schedules` | only if the test passed with `explore = "exhaustive"`: the number of schedules it ran in |
//! | `exhaustive` | only beside `schedules`: whether these are all |
//! | `schedule` | only if steps of the run were recorded: a list of objects, one a step |
//! | `schedule_omitted` | the number of steps missing from `schedule`, if any |
//! | `svg` | only beside `schedule`, and only up to 60 kB: the picture of [`Failure::to_svg`](crate::explore::Failure::to_svg) |
//!
//! | field of a step | value |
//! |---|---|
//! | `actor` | the child, the task, or `the body` |
//! | `action` | what it did, as text |
//! | `file`, `line`, `column` | where it yields or waits, or `null` |
//! | `branches` | only if it waits for several futures at once: one text for each |
//! | `wakes` | only if it woke others during the step: the actors |
//!
//! | `verdict` | meaning |
//! |---|---|
//! | `panicked` | the body panicked |
//! | `returned_error` | the body returned an error (detected in explorations, and without `STRAGGLER=warn`) |
//! | `did_not_panic` | the test has `#[should_panic]` and did not panic |
//! | `hung` | the body did not end within its `timeout` |
//! | `deadlocked` | the clock is paused, and no task can make progress |
//! | `late` | the body ended, but after its `timeout` |
//! | `task_panicked` | a task panicked; the test may have hung too, or tasks may have outlived it |
//! | `leaked` | a task outlived the test, and none panicked |
//! | `blocking_leaked` | a `spawn_blocking` closure outlived the test; no task did, and none panicked |
//! | `locks_held` | a lock is still held, and no task or closure outlived the test |
//! | `threads_leaked` | a thread outlived a test that denies them, and nothing else did |
//! | `no_overlap` | nothing overlapped in any run, though the test has `require_overlap` |
//! | `unscheduled` | the test passed in every explored run, but spawns tasks that no schedule decides |
//! | `diverged` | the test has `explore = "exhaustive"`, but depends on more than its schedule |
//! | `stuck` | the body ended, but a leftover blocks the test's thread |
//! | `not_run` | the test did not run, or a test with `cancel` has nothing to cancel |
//! | `check_failed` | the test ran, but the check failed |
//! | `clean` | the check found nothing, whether or not the test passed (only with `STRAGGLER_REPORT_CLEAN`) |
//! | `skipped` | `STRAGGLER_TESTS` skips the check of the test (only with `STRAGGLER_REPORT_CLEAN`) |
//!
//! # A finding
//!
//! | field | value |
//! |---|---|
//! | `kind` | one of the kinds below |
//! | `file`, `line`, `column` | where the finding comes from, or `null` |
//! | `count` | the number of equal findings in this object |
//!
//! A finding comes from the place of the spawn, from the acquisition of a lock, or from the test itself.
//! Paths start at the workspace root, or in a dependency at the package's name and version. A field is
//! `null` if its value is unknown.
//!
//! | `kind` | meaning | more fields |
//! |---|---|---|
//! | `task` | a leaked task, or a live one if the test hangs | `numbers`, `name`, `background`, `called_at`, `spawned_by`, `waits_for`, `age_ms`, `polls`, `fires_in_ms` |
//! | `unseen_tasks` | untracked tasks: only their number is known | |
//! | `panic` | a task that panicked | `numbers`, `name`, `background`, `called_at`, `spawned_by`, `blocking`, `panicked_at`, `message` |
//! | `blocking` | a `spawn_blocking` closure that has not returned | `numbers`, `queued`, `spawned_by`, `blocked_at`, `age_ms` |
//! | `unseen_blocking` | untracked closures | `may_be_tasks`, `blocked_at` |
//! | `thread` | a leaked thread of a test that denies them | `name` |
//! | `lock` | a `straggler::Lock` still held, or in use if the test hangs | `held_by`, `held_ms`, `waiters` |
//! | `hang` | the body did not end | `timeout_ms`, `body_polls`, `idle_ms`, `waits_for` |
//! | `deadlock` | the body cannot end | `waits_for` |
//! | `late` | the body ended too late | `timeout_ms`, `took_ms` |
//! | `stuck` | the test cannot end | |
//! | `not_run` | as above | `message` |
//! | `check_failed` | the check, or its search for threads, failed | `message` |
//! | `body_panic` | the body panicked in a run of an exploration | `panicked_at`, `message` |
//! | `body_error` | the body returned an error in a run of an exploration | `message` |
//! | `no_overlap` | nothing overlapped in any run | |
//! | `unscheduled` | tasks that no schedule decides | `tasks` |
//! | `diverged` | a run repeated the decisions of another one, but took another course | |
//!
//! | field | value |
//! |---|---|
//! | `numbers` | the numbers of the tasks or closures, as far as they are known |
//! | `name` | the name of the task or thread, or `null` |
//! | `background` | whether `straggler::background` spawned it |
//! | `blocking` | whether it is a tracked `spawn_blocking` closure |
//! | `queued` | whether the closure has not started, and waits for a thread |
//! | `may_be_tasks` | how many of the closures may be tasks that block their threads |
//! | `called_at` | your call behind a dependency's spawn: `function`, `file`, `line`, `column`; or `null` |
//! | `spawned_by` | the chain of spawners, the direct one first: a list of objects with `by` |
//! | `blocked_at` | where the closure is: a [place](#a-wait), or `null`; a list of them for `unseen_blocking` |
//! | `age_ms` | milliseconds since the oldest spawn |
//! | `polls` | an object with `least` and `most`, without the polls that trace; or `null` |
//! | `fires_in_ms` | milliseconds until the first timer fires that the task waits for; only in builds of `cargo straggler`, and only for tasks that wait for a timer on a running clock |
//! | `tasks` | the largest number of them alive at a time |
//! | `panicked_at` | the place of the panic: `file`, `line`, `column`; or `null` |
//! | `message` | the panic, error or reason; `null` if the payload is not a string |
//! | `timeout_ms`, `took_ms` | the timeout, and the time the body took, in milliseconds |
//! | `body_polls` | how often the body was polled, or `null` |
//! | `idle_ms` | milliseconds from the last poll of the body or a tracked task to the timeout, or `null` |
//! | `held_by` | the holder, an object with `by`; `null` outside the test, or if the lock was handed on |
//! | `held_ms` | milliseconds since the acquisition, or `null` |
//! | `waiters` | the longest wait first: `file`, `line`, `column`, `waits_by` (as `held_by`), `waiting_ms` |
//! | `waits_for` | an object with `state`, `places` and `blocks_for_ms` |
//!
//! | `by` | spawned or used by | more fields |
//! |---|---|---|
//! | `test` | the body of the test | |
//! | `task` | a tracked task | `number`, `name`, `file`, `line`, `column` |
//! | `unknown_task` | an untracked task | |
//! | `no_task` | a thread outside the runtime | |
//!
//! # A wait
//!
//! | `state` | the task |
//! |---|---|
//! | `waiting` | waits to be woken, at `places` |
//! | `busy` | keeps waking itself, at `places` |
//! | `unwakeable` | kept no waker: nothing can wake it |
//! | `lost_wake_up` | was ready when polled again, though nothing had woken it |
//! | `panics_unwoken` | waits, and panics when it is polled without a wake-up |
//! | `blocks` | blocks its thread: it has been inside one poll for `blocks_for_ms` |
//! | `never_polled` | was never polled |
//! | `unanswered` | was not polled in time to show where it waits |
//! | `unknown` | was not spawned through straggler |
//!
//! `blocks_for_ms` is `null` in all other states. `places` is empty in states without `places`. In the
//! state `blocks` it has one place, where the thread is, if the system can tell.
//!
//! | field of a place | value |
//! |---|---|
//! | `on` | the awaited type, or the function that blocks, such as `tokio::sync::oneshot::Receiver`; or `null` |
//! | `calls` | your functions that wait, the innermost first: `function`, `file`, `line`, `column` |
//! | `children` | the children of joins around the place, the outermost first, as text |
//!
//! # Versions
//!
//! New fields, and new values of `verdict`, `kind`, `state` and `by`, do not raise `version`: ignore fields
//! and values that you do not know. Removing a field or changing its meaning raises it.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use crate::leak::render::json_findings::{
    at, finding, kind, listed, message_of, milliseconds, of_leftovers, of_panics, of_test,
};
use crate::leak::render::json_run::of_exploration;
use crate::leak::render::json_value::{Object, Value};
use crate::leak::render::summary::{Found, NOTHING_TO_CANCEL, Summary};
use crate::leak::report::Report;
use crate::leak::report::role::{Failure, Role};
use crate::leak::report::verdict::Verdict;
use crate::trace::place::Place;

/// The version of the format.
const VERSION: usize = 1;

/// Whether a test without findings was explored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exploration<'a> {
    No,
    /// In this many runs.
    Runs(usize),
    /// In each of its schedules, or in the first ones.
    Schedules {
        runs: usize,
        schedules: usize,
        is_exhaustive: bool,
    },
    /// It could not be, for this reason.
    Not(&'a str),
}

/// Writes the summary of a test as one line of JSON, without the line end.
pub(crate) fn line(summary: &Summary<'_>) -> String {
    let (verdict, of_test) = of_found(&summary.found);
    let of_test = of_test.map(|what| finding(Some(&summary.place), 1, what));
    let report = summary.report();
    let of_panics = report.map(of_panics).unwrap_or_default();
    let of_leftovers = report.map(of_leftovers).unwrap_or_default();
    let mut findings = Vec::from_iter(of_test);
    if report.is_some_and(Report::has_panics_first) {
        findings.splice(0..0, of_panics);
    } else {
        findings.extend(of_panics);
    }
    findings.extend(of_leftovers);
    let verdict = match summary.role {
        Role::Note(failure) => failure.word(),
        Role::Fails | Role::Warns | Role::Expected => verdict,
    };
    let waited = report.and_then(|report| report.findings().waited);
    let explored = summary.explored.as_ref();
    let explored = explored.map(|explored| of_exploration(explored.runs, explored.run.as_ref()));
    of_any_test(summary.test, &summary.place, verdict)
        .with("level", summary.role.level().word())
        .with_some("expected", (summary.role == Role::Expected).then_some(true))
        .with_some("waited_ms", waited.map(milliseconds))
        .with_some("explored", explored)
        .and(listed("findings", "findings_omitted", findings))
        .to_string()
}

/// Writes the line of a test without findings, which was checked or skipped.
pub(crate) fn clean_line(
    test: Option<&str>,
    place: &Place,
    verdict: &'static str,
    exploration: Exploration<'_>,
) -> String {
    let (explored, not_explored) = match exploration {
        Exploration::No => (None, None),
        Exploration::Runs(runs) => (Some(of_exploration(runs, None)), None),
        Exploration::Schedules {
            runs,
            schedules,
            is_exhaustive,
        } => {
            let explored = of_exploration(runs, None)
                .with("schedules", schedules)
                .with("exhaustive", is_exhaustive);
            (Some(explored), None)
        }
        Exploration::Not(reason) => (None, Some(reason)),
    };
    of_any_test(test, place, verdict)
        .with("level", "none")
        .with_some("explored", explored)
        .with_some("not_explored", not_explored)
        .with("findings", Value::List(Vec::new()))
        .to_string()
}

/// Appends a line to a file, and creates the file if needed.
///
/// A single `write` appends the line: the system does not mix it with writes of other processes.
///
/// # Errors
///
/// Returns an error if the file cannot be opened or written, also if only part of the line was.
pub(crate) fn append(path: &Path, line: &str) -> io::Result<()> {
    let line = format!("{line}\n");
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    loop {
        match file.write(line.as_bytes()) {
            Ok(written) if written == line.len() => return Ok(()),
            // The disk is full. Writing the rest later could split a line of another process.
            Ok(_) => return Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The fields that the line of every test begins with.
fn of_any_test<'a>(test: Option<&'a str>, place: &'a Place, verdict: &'static str) -> Object<'a> {
    Object::new()
        .with("version", VERSION)
        .with("test", test)
        .and(at(Some(place)))
        .with("verdict", verdict)
}

/// Returns the value of `verdict`, and the finding about the test itself if there is one.
fn of_found<'a>(found: &Found<'a>) -> (&'static str, Option<Object<'a>>) {
    match *found {
        Found::Report(report) => (word(report.verdict()), of_test(report)),
        Found::BodyPanic {
            message, at: place, ..
        } => {
            let panic = kind("body_panic")
                .with("panicked_at", place.map(|place| at(Some(place))))
                .with("message", message);
            (Failure::Panicked.word(), Some(panic))
        }
        Found::BodyError { message, .. } => {
            let error = message_of("body_error", message);
            (Failure::ReturnedError.word(), Some(error))
        }
        Found::NoOverlap => ("no_overlap", Some(kind("no_overlap"))),
        Found::Unscheduled(tasks) => {
            let tasks = kind("unscheduled").with("tasks", tasks);
            ("unscheduled", Some(tasks))
        }
        Found::Diverged => ("diverged", Some(kind("diverged"))),
        // The body ran, but not as a test that cancels.
        Found::NothingToCancel => ("not_run", Some(message_of("not_run", NOTHING_TO_CANCEL))),
        Found::NotRun(message) => ("not_run", Some(message_of("not_run", message))),
    }
}

/// Returns the value of `verdict`.
fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Panicked => "task_panicked",
        Verdict::Leaked => "leaked",
        Verdict::BlockingLeaked => "blocking_leaked",
        Verdict::LocksHeld => "locks_held",
        Verdict::ThreadsLeaked => "threads_leaked",
        Verdict::Hung { .. } => "hung",
        Verdict::Deadlocked { .. } => "deadlocked",
        Verdict::Late { .. } => "late",
        Verdict::Stuck => "stuck",
        Verdict::NotRun(_) => "not_run",
        Verdict::CheckFailed(_) => "check_failed",
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::Duration;
    use std::{env, fs, process};

    use super::{Place, Report, Role, Summary, append, line};
    use crate::leak::render::json_findings::state;
    use crate::leak::report::findings::{Ending, Findings};
    use crate::trace::blocked::Blocked;
    use crate::trace::symbols::Symbols;
    use crate::trace::wait::Wait;

    #[test]
    fn unlisted_threads_alone_are_one_finding() {
        let findings = Findings {
            threads_unknown: Some("could not list them".to_owned()),
            ..Findings::none(Some("pays"), Location::caller())
        };
        let report = Report::rank(findings).unwrap();
        let line = line(&Summary::of(&report, Role::Fails));
        let kind = r#""kind":"check_failed""#;
        assert_eq!(line.matches(kind).count(), 1, "{line}");
    }

    #[test]
    fn line_writes_fields_in_documented_order() {
        let place = Location::caller();
        let ending = Ending::CheckFailed("panicked: \"no\"".to_owned());
        let report = Report::of_ending(ending, Findings::none(Some("pays"), place));
        let at = format!(
            r#""file":"{}","line":{},"column":{}"#,
            Place::from(place).file(),
            place.line(),
            place.column()
        );
        let expected = format!(
            r#"{{"version":1,"test":"pays",{at},"verdict":"check_failed","level":"error","findings":[{{{at},"count":1,"kind":"check_failed","message":"panicked: \"no\""}}]}}"#
        );
        let summary = Summary::of(&report, Role::Fails);
        assert_eq!(line(&summary), expected);
    }

    /// `tests/leak_ci` checks the words that a test with the attribute can write.
    #[test]
    fn state_is_always_documented() {
        for wait in [
            Wait::At(Vec::new()),
            Wait::Busy(Vec::new()),
            Wait::Unwakeable,
            Wait::LostWakeUp,
            Wait::PanicsUnwoken {
                message: None,
                place: None,
            },
            Wait::Blocks(Blocked::at(0, Duration::ZERO, &mut Symbols::default())),
            Wait::Unstarted,
            Wait::Unanswered,
            Wait::Unknown,
        ] {
            let row = format!("//! | `{}` | ", state(&wait));
            assert!(include_str!("json.rs").contains(&row), "{row}");
        }
    }

    const PROCESSES: usize = 6;
    const LINES: usize = 50;

    /// The line of a process, too long to stay in one piece by chance.
    fn long_line(process: usize) -> String {
        process.to_string().repeat(50_000)
    }

    #[test]
    #[ignore = "run by `append_keeps_lines_of_processes_whole`, in many processes"]
    fn appends_lines() {
        let variable = |name| env::var(name).expect("the other test sets it");
        let line = long_line(variable("NUMBER").parse().unwrap());
        for _ in 0..LINES {
            append(Path::new(&variable("FILE")), &line).unwrap();
        }
    }

    #[test]
    fn append_keeps_lines_of_processes_whole() {
        let file = env::temp_dir().join(format!("straggler-lines-{}", process::id()));
        let begin = |number: usize| {
            Command::new(env::current_exe().unwrap())
                .args([
                    "leak::render::json::tests::appends_lines",
                    "--exact",
                    "--ignored",
                ])
                .env("FILE", &file)
                .env("NUMBER", number.to_string())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        };
        let processes: Vec<_> = (0..PROCESSES).map(begin).collect();
        for mut process in processes {
            assert!(process.wait().unwrap().success());
        }
        let written = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(written.lines().count(), PROCESSES * LINES);
        for number in 0..PROCESSES {
            let line = long_line(number);
            assert_eq!(
                written.lines().filter(|other| *other == line).count(),
                LINES
            );
        }
    }
}
