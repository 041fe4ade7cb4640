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
//! | `explored` | only if an exploration failed, or passed under `cargo straggler explore`: an object with `runs`, `run` and `seed` |
//! | `not_explored` | only under `cargo straggler explore`: why the test could not be explored |
//! | `findings` | a list of objects, empty only if the verdict is `clean` or `skipped` |
//! | `findings_omitted` | the number of objects cut from `findings`, if any |
//!
//! A line stays short enough to read. Lists end after 100 entries: `findings_omitted`, `places_omitted`,
//! `calls_omitted`, `children_omitted`, `spawned_by_omitted` and `waiters_omitted` then count the rest, and
//! `count` counts the tasks of `numbers`. A string ends after 4 000 characters, with the number of those
//! cut.
//!
//! The `level` is `warning` with `STRAGGLER=warn`, if the test failed by itself, and if it has
//! `#[should_panic]` and only tasks panicked.
//!
//! | field of `explored` | value |
//! |---|---|
//! | `runs` | the number of runs asked for |
//! | `run` | the number of the failed run, from 1; `null` if no single run failed |
//! | `seed` | the value of `STRAGGLER_SEED` that replays the run, or `null` |
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
//! | `stuck` | the body ended, but a leftover blocks the test's thread |
//! | `not_run` | the test did not run |
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
//! | `task` | a leaked task, or a live one if the test hangs | `numbers`, `name`, `background`, `called_at`, `spawned_by`, `waits_for`, `age_ms`, `polls` |
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
//! | `not_run` | the test did not run | `message` |
//! | `check_failed` | the check, or its search for threads, failed | `message` |
//! | `body_panic` | the body panicked in a run of an exploration | `panicked_at`, `message` |
//! | `body_error` | the body returned an error in a run of an exploration | `message` |
//! | `no_overlap` | nothing overlapped in any run | |
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

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::leak::render::groups;
use crate::leak::render::summary::{self, Found, Summary};
use crate::leak::render::to_json::to_json;
use crate::leak::report::Report;
use crate::leak::report::acquisition::Acquisition;
use crate::leak::report::blocking_work::BlockingWork;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::lock_state::LockState;
use crate::leak::report::role::{Failure, Role};
use crate::leak::report::spawned_by::SpawnedBy;
use crate::leak::report::task_panic::TaskPanic;
use crate::leak::report::verdict::Verdict;
use crate::trace::blocked::Blocked;
use crate::trace::call::Call;
use crate::trace::place::Place;
use crate::trace::wait::{Wait, WaitPlace};

/// The version of the format.
const VERSION: u32 = 1;

/// How many entries of a list a line has.
const LISTED: usize = 100;

/// Writes the summary of a test as one line of JSON, without the line end.
///
/// # Errors
///
/// Returns an error if the schema uses a type that [`to_json`] does not support.
pub(crate) fn line(summary: &Summary<'_>) -> Result<String, fmt::Error> {
    to_json(&Line::new(summary))
}

/// Writes the line of a test without findings, which was checked or skipped.
///
/// # Errors
///
/// Returns an error if the schema uses a type that [`to_json`] does not support.
pub(crate) fn clean_line(
    test: Option<&str>,
    place: &Place,
    verdict: &'static str,
    explored: Explored<'_>,
) -> Result<String, fmt::Error> {
    let (runs, not_explored) = match explored {
        Explored::No => (None, None),
        Explored::Runs(runs) => (Some(runs), None),
        Explored::Not(reason) => (None, Some(reason)),
    };
    to_json(&Line {
        version: VERSION,
        test,
        place: At::new(Some(place)),
        verdict,
        level: "none",
        expected: false,
        explored: runs.map(|runs| Exploration {
            runs,
            run: None,
            seed: None,
        }),
        not_explored,
        findings: Vec::new(),
        findings_omitted: 0,
    })
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

/// The object of a test. The module documentation describes the fields.
#[derive(Serialize)]
struct Line<'a> {
    version: u32,
    test: Option<&'a str>,
    #[serde(flatten)]
    place: At<'a>,
    verdict: &'static str,
    level: &'static str,
    #[serde(skip_serializing_if = "is_false")]
    expected: bool,
    // Most tests do not explore.
    #[serde(skip_serializing_if = "Option::is_none")]
    explored: Option<Exploration<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_explored: Option<&'a str>,
    findings: Vec<Finding<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    findings_omitted: usize,
}

/// Whether a test without findings was explored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Explored<'a> {
    No,
    /// In this many runs.
    Runs(usize),
    /// It could not be, for this reason.
    Not(&'a str),
}

/// An exploration, and the run that failed.
#[derive(Serialize)]
struct Exploration<'a> {
    runs: usize,
    run: Option<usize>,
    seed: Option<&'a str>,
}

#[derive(Serialize)]
struct Finding<'a> {
    #[serde(flatten)]
    place: At<'a>,
    count: usize,
    #[serde(flatten)]
    what: What<'a>,
}

/// The kind of a finding, with its own fields.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum What<'a> {
    Task {
        #[serde(flatten)]
        origin: Origin<'a>,
        waits_for: WaitsFor<'a>,
        age_ms: u64,
        polls: Option<Polls>,
    },
    UnseenTasks,
    Panic {
        #[serde(flatten)]
        origin: Origin<'a>,
        blocking: bool,
        panicked_at: Option<At<'a>>,
        message: Option<&'a str>,
    },
    Blocking {
        numbers: Vec<usize>,
        queued: bool,
        #[serde(flatten)]
        chain: Chain<'a>,
        blocked_at: Option<WaitsAt<'a>>,
        age_ms: u64,
    },
    UnseenBlocking {
        may_be_tasks: usize,
        blocked_at: Vec<WaitsAt<'a>>,
    },
    Thread {
        name: Option<&'a str>,
    },
    Lock {
        held_by: Option<Spawner<'a>>,
        held_ms: Option<u64>,
        waiters: Vec<Waiter<'a>>,
        #[serde(skip_serializing_if = "is_zero")]
        waiters_omitted: usize,
    },
    Hang {
        timeout_ms: u64,
        body_polls: Option<usize>,
        idle_ms: Option<u64>,
        waits_for: WaitsFor<'a>,
    },
    Deadlock {
        waits_for: WaitsFor<'a>,
    },
    Late {
        timeout_ms: u64,
        took_ms: u64,
    },
    Stuck,
    NotRun {
        message: &'a str,
    },
    CheckFailed {
        message: &'a str,
    },
    BodyPanic {
        panicked_at: Option<At<'a>>,
        message: Option<&'a str>,
    },
    BodyError {
        message: &'a str,
    },
    NoOverlap,
}

/// The fields that leaked and panicked tasks share.
#[derive(Serialize)]
struct Origin<'a> {
    numbers: Vec<usize>,
    name: Option<&'a str>,
    background: bool,
    called_at: Option<Called<'a>>,
    #[serde(flatten)]
    chain: Chain<'a>,
}

/// The chain of spawners.
#[derive(Serialize)]
struct Chain<'a> {
    spawned_by: Vec<Spawner<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    spawned_by_omitted: usize,
}

/// A place, with every field `null` if there is none.
#[derive(Serialize)]
struct At<'a> {
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
}

#[derive(Serialize)]
struct Called<'a> {
    function: &'a str,
    #[serde(flatten)]
    place: At<'a>,
}

#[derive(Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
enum Spawner<'a> {
    Test,
    Task {
        number: usize,
        name: Option<&'a str>,
        #[serde(flatten)]
        place: At<'a>,
    },
    UnknownTask,
    NoTask,
}

#[derive(Serialize)]
struct Waiter<'a> {
    #[serde(flatten)]
    place: At<'a>,
    waits_by: Option<Spawner<'a>>,
    waiting_ms: Option<u64>,
}

#[derive(Serialize)]
struct Polls {
    least: usize,
    most: usize,
}

#[derive(Serialize)]
struct WaitsFor<'a> {
    state: &'static str,
    places: Vec<WaitsAt<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    places_omitted: usize,
    blocks_for_ms: Option<u64>,
}

#[derive(Serialize)]
struct WaitsAt<'a> {
    on: Option<&'a str>,
    calls: Vec<Called<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    calls_omitted: usize,
    children: Vec<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    children_omitted: usize,
}

impl<'a> Line<'a> {
    fn new(summary: &'a Summary<'a>) -> Self {
        let (verdict, of_test) = of_found(&summary.found);
        let of_test = of_test.map(|what| Finding {
            place: At::new(Some(&summary.place)),
            count: 1,
            what,
        });
        let report = summary.report();
        let of_panics = report.map(Finding::of_panics).unwrap_or_default();
        let of_leftovers = report.map(Finding::of_leftovers).unwrap_or_default();
        let mut findings = Vec::from_iter(of_test);
        if report.is_some_and(Report::has_panics_first) {
            findings.splice(0..0, of_panics);
        } else {
            findings.extend(of_panics);
        }
        findings.extend(of_leftovers);
        let (findings, findings_omitted) = listed(findings);
        Self {
            version: VERSION,
            test: summary.test,
            place: At::new(Some(&summary.place)),
            verdict: match summary.role {
                Role::Note(failure) => failure.word(),
                Role::Fails | Role::Warns | Role::Expected => verdict,
            },
            expected: summary.role == Role::Expected,
            level: summary.role.level().word(),
            explored: summary.explored.as_ref().map(Exploration::from),
            not_explored: None,
            findings,
            findings_omitted,
        }
    }
}

impl<'a> Finding<'a> {
    /// Lists the panics of a report.
    fn of_panics(report: &'a Report) -> Vec<Self> {
        let groups = groups::of_panics(report.panics()).into_iter();
        let findings = groups.map(|alike| Self {
            place: At::new(alike[0].spawned_at()),
            count: alike.len(),
            what: What::panics(&alike),
        });
        findings.collect()
    }

    /// Lists the findings of a report other than panics and its verdict on the test itself.
    fn of_leftovers(report: &'a Report) -> Vec<Self> {
        let mut findings = Vec::new();
        let mut find = |place: Option<&'a Place>, count, what| {
            let place = At::new(place);
            findings.push(Finding { place, count, what });
        };
        for alike in groups::of_tasks(report.tasks()) {
            find(Some(alike[0].place()), alike.len(), What::tasks(&alike));
        }
        if report.unseen() > 0 {
            find(None, report.unseen(), What::UnseenTasks);
        }
        for alike in groups::of_blocking(report.blocking()) {
            let place = Some(alike[0].place());
            find(place, alike.len(), What::blocking(&alike));
        }
        if report.unseen_blocking() > 0 {
            let findings = report.findings();
            let blocked = findings.unseen_blocked.iter();
            let what = What::UnseenBlocking {
                may_be_tasks: findings.may_be_tasks,
                blocked_at: listed(blocked.filter_map(WaitsAt::of_blocked)).0,
            };
            find(None, report.unseen_blocking(), what);
        }
        for alike in groups::of_locks(report.locks()) {
            let place = alike[0].holder().map(Acquisition::place);
            find(place, alike.len(), What::locks(&alike));
        }
        for alike in groups::of_threads(report.threads()) {
            let name = alike[0].name();
            find(None, alike.len(), What::Thread { name });
        }
        // As the verdict itself, it is listed already.
        let is_verdict = matches!(report.verdict(), Verdict::CheckFailed(_));
        let unknown = report.findings().threads_unknown.as_ref();
        if let Some(message) = unknown.filter(|_| !is_verdict) {
            find(Some(report.place()), 1, What::CheckFailed { message });
        }
        findings
    }
}

/// Returns the value of `verdict`, and the finding about the test itself if there is one.
fn of_found<'a>(found: &Found<'a>) -> (&'static str, Option<What<'a>>) {
    match *found {
        Found::Report(report) => (word(report.verdict()), of_test(report)),
        Found::BodyPanic { message, at, .. } => {
            let panicked_at = at.map(|place| At::new(Some(place)));
            let panic = What::BodyPanic {
                panicked_at,
                message,
            };
            (Failure::Panicked.word(), Some(panic))
        }
        Found::BodyError { message, .. } => {
            let error = What::BodyError { message };
            (Failure::ReturnedError.word(), Some(error))
        }
        Found::NoOverlap => ("no_overlap", Some(What::NoOverlap)),
        Found::NotRun(message) => ("not_run", Some(What::NotRun { message })),
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

/// Returns the finding about the test itself, if the verdict is one.
fn of_test(report: &Report) -> Option<What<'_>> {
    let standstill = report.findings().standstill;
    Some(match report.on_test() {
        Verdict::Panicked
        | Verdict::Leaked
        | Verdict::BlockingLeaked
        | Verdict::LocksHeld
        | Verdict::ThreadsLeaked => return None,
        Verdict::Hung { timeout, wait } => What::Hang {
            timeout_ms: milliseconds(*timeout),
            body_polls: standstill.map(|standstill| standstill.polls),
            idle_ms: standstill.map(|standstill| milliseconds(standstill.time())),
            waits_for: wait.into(),
        },
        Verdict::Deadlocked { wait } => What::Deadlock {
            waits_for: wait.into(),
        },
        Verdict::Late { timeout, took } => What::Late {
            timeout_ms: milliseconds(*timeout),
            took_ms: milliseconds(*took),
        },
        Verdict::Stuck => What::Stuck,
        Verdict::NotRun(message) => What::NotRun { message },
        Verdict::CheckFailed(message) => What::CheckFailed { message },
    })
}

impl<'a> What<'a> {
    /// Describes a group of equal tasks.
    fn tasks(alike: &[&'a LeakedTask]) -> Self {
        let first = alike[0];
        let polls = alike.iter().filter_map(|task| task.polls());
        let (least, most) = (polls.clone().min(), polls.max());
        Self::Task {
            origin: Origin {
                numbers: listed(alike.iter().map(|task| task.number())).0,
                name: first.name(),
                background: first.is_background(),
                called_at: first.caller().map(Called::from),
                chain: Chain::of(first.spawned_by()),
            },
            waits_for: first.wait().into(),
            age_ms: milliseconds(first.age()),
            polls: least.zip(most).map(|(least, most)| Polls { least, most }),
        }
    }

    /// Describes a group of equal panics.
    fn panics(alike: &[&'a TaskPanic]) -> Self {
        let first = alike[0];
        Self::Panic {
            origin: Origin {
                numbers: listed(alike.iter().filter_map(|panic| panic.number())).0,
                name: first.name(),
                background: first.is_background(),
                called_at: first.caller().map(Called::from),
                chain: Chain::of(first.spawned_by()),
            },
            blocking: first.is_blocking(),
            panicked_at: first.place().map(|place| At::new(Some(place))),
            message: first.message(),
        }
    }

    /// Describes a group of equal closures.
    fn blocking(alike: &[&'a BlockingWork]) -> Self {
        let first = alike[0];
        Self::Blocking {
            numbers: listed(alike.iter().map(|work| work.number())).0,
            queued: first.is_queued(),
            chain: Chain::of(first.spawned_by()),
            blocked_at: first.blocked().and_then(WaitsAt::of_blocked),
            age_ms: milliseconds(first.age()),
        }
    }

    /// Describes a group of equal locks.
    fn locks(alike: &[&'a LockState]) -> Self {
        let (first, holder) = (alike[0], alike[0].holder());
        let (waiters, waiters_omitted) = listed(first.waiters().iter().map(Waiter::from));
        Self::Lock {
            held_by: holder.and_then(Acquisition::by).map(Spawner::from),
            held_ms: holder.and_then(Acquisition::time).map(milliseconds),
            waiters,
            waiters_omitted,
        }
    }
}

impl<'a> From<&'a summary::Explored> for Exploration<'a> {
    fn from(explored: &'a summary::Explored) -> Self {
        let run = explored.run.as_ref();
        Self {
            runs: explored.runs,
            run: run.map(|run| run.number),
            seed: run.map(|run| run.seed.as_str()),
        }
    }
}

impl<'a> At<'a> {
    fn new(place: Option<&'a Place>) -> Self {
        Self {
            file: place.map(Place::file),
            line: place.map(Place::line),
            column: place.and_then(Place::column),
        }
    }
}

impl<'a> From<&'a Call> for Called<'a> {
    fn from(call: &'a Call) -> Self {
        Self {
            function: call.function(),
            place: At::new(call.place()),
        }
    }
}

impl<'a> From<&'a SpawnedBy> for Spawner<'a> {
    fn from(spawner: &'a SpawnedBy) -> Self {
        match spawner {
            SpawnedBy::Test => Self::Test,
            SpawnedBy::UnknownTask => Self::UnknownTask,
            SpawnedBy::NoTask => Self::NoTask,
            SpawnedBy::Task {
                number,
                name,
                place,
            } => Self::Task {
                number: *number,
                name: name.as_deref(),
                place: At::new(Some(place)),
            },
        }
    }
}

impl<'a> From<&'a Acquisition> for Waiter<'a> {
    fn from(waiter: &'a Acquisition) -> Self {
        Self {
            place: At::new(Some(waiter.place())),
            waits_by: waiter.by().map(Spawner::from),
            waiting_ms: waiter.time().map(milliseconds),
        }
    }
}

impl<'a> From<&'a Wait> for WaitsFor<'a> {
    fn from(wait: &'a Wait) -> Self {
        let (state, places) = match wait {
            Wait::At(places) => ("waiting", places.as_slice()),
            Wait::Busy(places) => ("busy", places.as_slice()),
            Wait::Unwakeable => ("unwakeable", &[][..]),
            Wait::LostWakeUp => ("lost_wake_up", &[][..]),
            Wait::PanicsUnwoken { .. } => ("panics_unwoken", &[][..]),
            Wait::Blocks(_) => ("blocks", &[][..]),
            Wait::Unstarted => ("never_polled", &[][..]),
            Wait::Unanswered => ("unanswered", &[][..]),
            Wait::Unknown => ("unknown", &[][..]),
        };
        let blocked = match wait {
            Wait::Blocks(blocked) => Some(blocked),
            _ => None,
        };
        let is_at = blocked.and_then(WaitsAt::of_blocked);
        let (places, places_omitted) = listed(places.iter().map(WaitsAt::from).chain(is_at));
        Self {
            state,
            places,
            places_omitted,
            blocks_for_ms: blocked.map(|blocked| milliseconds(blocked.time())),
        }
    }
}

impl<'a> WaitsAt<'a> {
    /// Returns where a thread is blocked, if that is known.
    fn of_blocked(blocked: &'a Blocked) -> Option<Self> {
        let (calls, calls_omitted) = listed(blocked.calls().iter().map(Called::from));
        let place = Self {
            on: blocked.inside(),
            calls,
            calls_omitted,
            children: Vec::new(),
            children_omitted: 0,
        };
        (place.on.is_some() || !place.calls.is_empty()).then_some(place)
    }
}

impl<'a> From<&'a WaitPlace> for WaitsAt<'a> {
    fn from(place: &'a WaitPlace) -> Self {
        let (calls, calls_omitted) = listed(place.calls().iter().map(Called::from));
        let children = place.children().iter().map(String::as_str);
        let (children, children_omitted) = listed(children);
        Self {
            on: place.on(),
            calls,
            calls_omitted,
            children,
            children_omitted,
        }
    }
}

impl<'a> Chain<'a> {
    fn of(spawners: &'a [SpawnedBy]) -> Self {
        let (spawned_by, spawned_by_omitted) = listed(spawners.iter().map(Spawner::from));
        Self {
            spawned_by,
            spawned_by_omitted,
        }
    }
}

/// Returns the first entries of a list, and the number of the others.
fn listed<T>(all: impl IntoIterator<Item = T>) -> (Vec<T>, usize) {
    let mut all = all.into_iter();
    let first = all.by_ref().take(LISTED).collect();
    (first, all.count())
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::{env, fs, process};

    use super::{Blocked, Duration, Place, Report, Role, Summary, Wait, WaitsFor, append, line};
    use crate::leak::report::findings::{Ending, Findings};
    use crate::trace::symbols::Symbols;

    #[test]
    fn unlisted_threads_alone_are_one_finding() {
        let findings = Findings {
            threads_unknown: Some("could not list them".to_owned()),
            ..Findings::none(Some("pays"), Location::caller())
        };
        let report = Report::rank(findings).unwrap();
        let line = line(&Summary::of(&report, Role::Fails)).unwrap();
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
        assert_eq!(line(&summary).unwrap(), expected);
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
            let row = format!("//! | `{}` | ", WaitsFor::from(&wait).state);
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
