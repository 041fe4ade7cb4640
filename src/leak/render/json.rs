//! What `STRAGGLER_REPORT=<file>` writes of tests, for programs to read.
//!
//! One JSON object is appended to the file for each test with `#[leak_check]` that has findings,
//! whatever comes of them: also with `STRAGGLER=warn`, and also if the test has failed by itself. Of a
//! test that explores it is a finding too that its body panicked or returned an error in a run. An
//! object is one line, written at once, so that any number of threads and processes can append to
//! one file at the same time (a file on a network may not keep that promise). Nobody empties the
//! file: remove it before a run. A relative path is taken from the root of the workspace.
//!
//! A test that blocks its thread has an object when its time is up, and another one if it ends after
//! all; so has one that what it left behind keeps from its end. A report that
//! [`LeakCheck::run`](crate::LeakCheck::run) or [`Watch::verify`](crate::leak::Watch::verify) returns is its
//! caller's and is not written, but one that they print is; and so is the failure that
//! [`Explore::run`](crate::Explore::run) prints, and not the one that
//! [`Explore::find`](crate::Explore::find) returns.
//!
//! This module has no items. It describes the lines.
//!
//! # The object of a test
//!
//! | field | value |
//! |---|---|
//! | `version` | `1`. Fields, and values of `verdict`, `kind`, `state` and `by`, may be added without a new version, so pass over what you do not know. If something is taken away or comes to mean something else, the version goes up |
//! | `test` | the path of the test, as test runners know it, or `null` of a check without the attribute |
//! | `file`, `line`, `column` | where the test stands |
//! | `verdict` | why the test fails, or would without `STRAGGLER=warn`; see below |
//! | `level` | `error` if the test fails by the findings. `warning` if it does not: with `STRAGGLER=warn`, because it has failed by itself, or because it should panic and a task did |
//! | `explored` | of a test that explores, and fails by it: an object with `runs`, `run` and `seed`. Others have no such field |
//! | `findings` | a list, never empty, of objects |
//!
//! | field | value |
//! |---|---|
//! | `runs` | how many runs the exploration was to have |
//! | `run` | which of them failed, from 1 on, or `null` if it is all of them together |
//! | `seed` | what repeats the run, as the value of `STRAGGLER_SEED`, or `null` |
//!
//! | `verdict` | the test |
//! |---|---|
//! | `panicked` | panicked itself, or in a run if it explores |
//! | `returned_error` | returned an error, or in a run if it explores (else with `STRAGGLER=warn` this is not looked at) |
//! | `did_not_panic` | has `#[should_panic]`, and did not |
//! | `hung` | did not end within its `timeout` |
//! | `deadlocked` | cannot end: its clock is paused, and nothing in its runtime is left that could run |
//! | `late` | ended, but after its `timeout` |
//! | `leaked` | left tasks behind |
//! | `task_panicked` | left none behind, but a task panicked |
//! | `blocking_leaked` | left no task behind, but blocking work |
//! | `threads_leaked` | left nothing behind but threads, which it denies |
//! | `locks_held` | left nothing behind, but a lock is still held that was acquired in it |
//! | `no_overlap` | has nothing in flight at once in any run, though it has `require_overlap` |
//! | `stuck` | does not come to its end: its body has ended, and what it left behind blocks its thread |
//! | `not_run` | was not run |
//! | `check_failed` | was run, but what it left behind could not be found out |
//!
//! # A finding
//!
//! Each has these fields, in which `null` means that it is not known:
//!
//! | field | value |
//! |---|---|
//! | `kind` | see below |
//! | `file`, `line`, `column` | where it comes from: where the task was spawned; where the test stands, if it is a finding about the test itself. Files are named from the root of the workspace, or, in dependencies, from the name and version of the package |
//! | `count` | how many equal ones this stands for |
//!
//! | `kind` | what it is | further fields |
//! |---|---|---|
//! | `task` | a task that outlived the test, or is alive while the test hangs | `numbers`, `name`, `background`, `called_at`, `spawned_by`, `waits_for`, `age_ms`, `polls` |
//! | `unseen_tasks` | tasks of which this build knows only that they are alive | |
//! | `panic` | a task that panicked | `numbers`, `name`, `background`, `called_at`, `spawned_by`, `blocking`, `panicked_at`, `message` |
//! | `blocking` | blocking work, a closure of `spawn_blocking`, that outlived the test, or is under way while the test hangs | `numbers`, `queued`, `spawned_by`, `age_ms` |
//! | `unseen_blocking` | blocking work of which this build knows only that it is there | `may_be_tasks` |
//! | `thread` | a thread that outlived the test, which denies them | `name` |
//! | `lock` | a `straggler::Lock` that is still held when the test has ended, or is held or waited for while the test hangs; it comes from where it was acquired | `held_by`, `held_ms`, `waiters` |
//! | `hang` | the test did not end | `timeout_ms`, `waits_for` |
//! | `deadlock` | the test cannot end | `waits_for` |
//! | `late` | the test ended too late | `timeout_ms`, `took_ms` |
//! | `stuck` | the test does not come to its end | |
//! | `not_run` | the test was not run | `message` |
//! | `check_failed` | what the test left behind could not be found out, or whether threads are left | `message` |
//! | `body_panic` | the body of a test that explores panicked in a run | `panicked_at`, `message` |
//! | `body_error` | it returned an error in a run | `message` |
//! | `no_overlap` | nothing was in flight at once in any run | |
//!
//! | field | value |
//! |---|---|
//! | `numbers` | the numbers of the tasks or closures in their test, as far as they are known |
//! | `name` | the name of the task or thread, or `null` |
//! | `background` | whether it was spawned by `straggler::background` |
//! | `blocking` | whether it is known to be a closure on a thread for blocking work |
//! | `queued` | whether the closure has not begun, and waits for a thread |
//! | `may_be_tasks` | how many of them may be tasks that block their threads instead |
//! | `called_at` | the call in your own code that led to the spawn, if that is in a dependency, or `null`: an object with `function`, `file`, `line`, `column` |
//! | `spawned_by` | who spawned the task or closure, then who spawned that one, and so on: objects whose `by` is `test`, `task` (then with `number`, `name`, `file`, `line`, `column`), `unknown_task`, or `no_task`, for a thread outside of the runtime |
//! | `age_ms` | the time since the spawn, in milliseconds, of the oldest |
//! | `polls` | `null`, or how often they were polled, without the polls that are only to find out where they wait: an object with `least` and `most` |
//! | `panicked_at` | the place of the panic, or `null`: an object with `file`, `line`, `column` |
//! | `message` | the panic, the error or the reason, in words; `null` if a panic has no words |
//! | `timeout_ms`, `took_ms` | the time that the test had, and that it took, in milliseconds |
//! | `held_by` | who has acquired the lock: an object as in `spawned_by`, or `null` if it is nobody of this test, or nobody has taken it since it was handed on |
//! | `held_ms` | for how long the lock is held, in milliseconds, or `null` |
//! | `waiters` | who waits for the lock, in the order in which they began to: objects with `file`, `line`, `column`, `waits_by` (as `held_by`) and `waiting_ms` |
//! | `waits_for` | an object with `state`, `places` and `blocks_for_ms` |
//!
//! | `state` | the task |
//! |---|---|
//! | `waiting` | waits to be woken, at these places |
//! | `busy` | wakes itself again and again, at these places |
//! | `unwakeable` | kept no waker: nothing can wake it |
//! | `blocks` | is inside of one poll, for `blocks_for_ms` milliseconds, and blocks its thread |
//! | `never_polled` | was never polled |
//! | `unanswered` | did not say in time where it waits |
//! | `unknown` | was not spawned through straggler, so that this cannot be known |
//!
//! `blocks_for_ms` is `null` in other states. `places` is a list, empty in other states, of objects
//! with
//!
//! | field | value |
//! |---|---|
//! | `on` | what is awaited, as in `tokio::sync::oneshot::Receiver`, or `null` |
//! | `calls` | the functions of your own that wait, the innermost first: objects with `function`, `file`, `line`, `column` |
//! | `children` | which children of `settle_all`, `barrier` and their macros the place lies in, the outermost first, in words |

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
use crate::trace::place::Place;
use crate::trace::symbols::Call;
use crate::trace::wait::{Wait, WaitPlace};

/// The version of what is written.
const VERSION: u32 = 1;

/// What is told of a test as a line of JSON, without the end of the line.
///
/// # Errors
///
/// If the schema has something in it that [`to_json`] does not support.
pub(crate) fn line(summary: &Summary<'_>) -> Result<String, fmt::Error> {
    to_json(&Line::new(summary))
}

/// Appends a line to a file, which is made if there is none.
///
/// All of it in one call, which the system does not mix with those of others.
///
/// # Errors
///
/// If it cannot be done, or was done in part: then the disk is full.
pub(crate) fn append(path: &Path, line: &str) -> io::Result<()> {
    let line = format!("{line}\n");
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    loop {
        match file.write(line.as_bytes()) {
            Ok(written) if written == line.len() => return Ok(()),
            // To write the rest now could split the line of somebody else.
            Ok(_) => return Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What is written of a test. The documentation of this module says what the fields mean.
#[derive(Serialize)]
struct Line<'a> {
    version: u32,
    test: Option<&'a str>,
    #[serde(flatten)]
    place: At<'a>,
    verdict: &'static str,
    level: &'static str,
    // Most tests do not explore.
    #[serde(skip_serializing_if = "Option::is_none")]
    explored: Option<Explored<'a>>,
    findings: Vec<Finding<'a>>,
}

/// Which run of an exploration failed.
#[derive(Serialize)]
struct Explored<'a> {
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

/// What was found, with what is known of this kind alone.
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
        spawned_by: Vec<Spawner<'a>>,
        age_ms: u64,
    },
    UnseenBlocking {
        may_be_tasks: usize,
    },
    Thread {
        name: Option<&'a str>,
    },
    Lock {
        held_by: Option<Spawner<'a>>,
        held_ms: Option<u64>,
        waiters: Vec<Waiter<'a>>,
    },
    Hang {
        timeout_ms: u64,
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

/// What is known of tasks whatever became of them.
#[derive(Serialize)]
struct Origin<'a> {
    numbers: Vec<usize>,
    name: Option<&'a str>,
    background: bool,
    called_at: Option<Called<'a>>,
    spawned_by: Vec<Spawner<'a>>,
}

/// A place, or that there is none.
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
    blocks_for_ms: Option<u64>,
}

#[derive(Serialize)]
struct WaitsAt<'a> {
    on: Option<&'a str>,
    calls: Vec<Called<'a>>,
    children: &'a [String],
}

impl<'a> Line<'a> {
    fn new(summary: &'a Summary<'a>) -> Self {
        let (verdict, of_test) = of_found(&summary.found);
        let of_test = of_test.map(|what| Finding {
            place: At::new(Some(&summary.place)),
            count: 1,
            what,
        });
        let of_report = summary.report().map(Finding::of_report);
        Self {
            version: VERSION,
            test: summary.test,
            place: At::new(Some(&summary.place)),
            verdict: match summary.role {
                Role::Accompanies(failure) => failure.word(),
                Role::Fails | Role::Warns => verdict,
            },
            level: summary.role.level().word(),
            explored: summary.explored.as_ref().map(Explored::from),
            findings: of_test
                .into_iter()
                .chain(of_report.unwrap_or_default())
                .collect(),
        }
    }
}

impl<'a> Finding<'a> {
    /// What is in a report, but for what it says of the test itself.
    fn of_report(report: &'a Report) -> Vec<Self> {
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
        for alike in groups::of_panics(report.panics()) {
            find(alike[0].spawned_at(), alike.len(), What::panics(&alike));
        }
        for alike in groups::of_blocking(report.blocking()) {
            let place = Some(alike[0].place());
            find(place, alike.len(), What::blocking(&alike));
        }
        if report.unseen_blocking() > 0 {
            let may_be_tasks = report.findings().may_be_tasks;
            let what = What::UnseenBlocking { may_be_tasks };
            find(None, report.unseen_blocking(), what);
        }
        for alike in groups::of_threads(report.threads()) {
            let name = alike[0].name();
            find(None, alike.len(), What::Thread { name });
        }
        if let Some(message) = &report.findings().threads_unknown {
            find(Some(report.place()), 1, What::CheckFailed { message });
        }
        for alike in groups::of_locks(report.locks()) {
            let place = alike[0].holder().map(Acquisition::place);
            find(place, alike.len(), What::locks(&alike));
        }
        findings
    }
}

/// The word for why the test fails, and what is said of the test itself.
fn of_found<'a>(found: &Found<'a>) -> (&'static str, Option<What<'a>>) {
    match *found {
        Found::Report(report) => of_verdict(report.verdict()),
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

/// The word for a verdict, and what it says of the test itself.
fn of_verdict(verdict: &Verdict) -> (&'static str, Option<What<'_>>) {
    match verdict {
        Verdict::Leaked => ("leaked", None),
        Verdict::Panicked => ("task_panicked", None),
        Verdict::BlockingLeaked => ("blocking_leaked", None),
        Verdict::ThreadsLeaked => ("threads_leaked", None),
        Verdict::LocksHeld => ("locks_held", None),
        Verdict::Hung { timeout, wait } => {
            let (timeout_ms, waits_for) = (milliseconds(*timeout), wait.into());
            let hang = What::Hang {
                timeout_ms,
                waits_for,
            };
            ("hung", Some(hang))
        }
        Verdict::Deadlocked { wait } => {
            let waits_for = wait.into();
            ("deadlocked", Some(What::Deadlock { waits_for }))
        }
        Verdict::Late { timeout, took } => {
            let (timeout_ms, took_ms) = (milliseconds(*timeout), milliseconds(*took));
            let late = What::Late {
                timeout_ms,
                took_ms,
            };
            ("late", Some(late))
        }
        Verdict::Stuck => ("stuck", Some(What::Stuck)),
        Verdict::NotRun(message) => ("not_run", Some(What::NotRun { message })),
        Verdict::CheckFailed(message) => ("check_failed", Some(What::CheckFailed { message })),
    }
}

impl<'a> What<'a> {
    /// Tasks that are alike, at least one.
    fn tasks(alike: &[&'a LeakedTask]) -> Self {
        let first = alike[0];
        let polls = alike.iter().filter_map(|task| task.polls());
        let (least, most) = (polls.clone().min(), polls.max());
        Self::Task {
            origin: Origin {
                numbers: alike.iter().map(|task| task.number()).collect(),
                name: first.name(),
                background: first.is_background(),
                called_at: first.caller().map(Called::from),
                spawned_by: first.spawned_by().iter().map(Spawner::from).collect(),
            },
            waits_for: first.wait().into(),
            age_ms: milliseconds(first.age()),
            polls: least.zip(most).map(|(least, most)| Polls { least, most }),
        }
    }

    /// Panics that are alike, at least one.
    fn panics(alike: &[&'a TaskPanic]) -> Self {
        let first = alike[0];
        Self::Panic {
            origin: Origin {
                numbers: alike.iter().filter_map(|panic| panic.number()).collect(),
                name: first.name(),
                background: first.is_background(),
                called_at: first.caller().map(Called::from),
                spawned_by: first.spawned_by().iter().map(Spawner::from).collect(),
            },
            blocking: first.is_blocking(),
            panicked_at: first.place().map(|place| At::new(Some(place))),
            message: first.message(),
        }
    }

    /// Blocking work that is alike, at least one closure.
    fn blocking(alike: &[&'a BlockingWork]) -> Self {
        let first = alike[0];
        Self::Blocking {
            numbers: alike.iter().map(|work| work.number()).collect(),
            queued: first.is_queued(),
            spawned_by: first.spawned_by().iter().map(Spawner::from).collect(),
            age_ms: milliseconds(first.age()),
        }
    }

    /// Locks that are alike, at least one.
    fn locks(alike: &[&'a LockState]) -> Self {
        let (first, holder) = (alike[0], alike[0].holder());
        Self::Lock {
            held_by: holder.and_then(Acquisition::by).map(Spawner::from),
            held_ms: holder.and_then(Acquisition::time).map(milliseconds),
            waiters: first.waiters().iter().map(Waiter::from).collect(),
        }
    }
}

impl<'a> From<&'a summary::Explored> for Explored<'a> {
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
            Wait::Blocks(_) => ("blocks", &[][..]),
            Wait::Unstarted => ("never_polled", &[][..]),
            Wait::Unanswered => ("unanswered", &[][..]),
            Wait::Unknown => ("unknown", &[][..]),
        };
        Self {
            state,
            places: places.iter().map(WaitsAt::from).collect(),
            blocks_for_ms: match wait {
                Wait::Blocks(time) => Some(milliseconds(*time)),
                _ => None,
            },
        }
    }
}

impl<'a> From<&'a WaitPlace> for WaitsAt<'a> {
    fn from(place: &'a WaitPlace) -> Self {
        Self {
            on: place.on(),
            calls: place.calls().iter().map(Called::from).collect(),
            children: place.children(),
        }
    }
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

    use super::{Duration, Place, Report, Role, Summary, Wait, WaitsFor, append, line};
    use crate::leak::report::findings::{Ending, Findings};

    #[test]
    fn the_fields_stand_in_the_order_in_which_they_are_documented() {
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

    /// Those that tests with the attribute come to are looked for in `tests/leak_ci`.
    #[test]
    fn every_state_is_documented() {
        for wait in [
            Wait::At(Vec::new()),
            Wait::Busy(Vec::new()),
            Wait::Unwakeable,
            Wait::Blocks(Duration::ZERO),
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

    /// The line of a process, so long that it could not be written in one piece by chance.
    fn long_line(of_process: usize) -> String {
        of_process.to_string().repeat(50_000)
    }

    #[test]
    #[ignore = "run by another test, many times at once"]
    fn appends_lines() {
        let variable = |name| env::var(name).expect("the other test sets it");
        let line = long_line(variable("NUMBER").parse().unwrap());
        for _ in 0..LINES {
            append(Path::new(&variable("FILE")), &line).unwrap();
        }
    }

    #[test]
    fn lines_of_many_processes_stay_whole() {
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
