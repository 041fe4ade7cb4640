//! Advice on what outlives its test: tasks, closures, threads and locks.

use crate::leak::render::advice::blocker::{alike, blockers, closure_blocker, let_return, unblock};
use crate::leak::render::advice::deadlock::wake_tasks;
use crate::leak::render::advice::rule::rule;
use crate::leak::render::advice::{Advice, labels, setting};
use crate::leak::render::blocking;
use crate::leak::report::Report;
use crate::leak::report::blocking_work::BlockingWork;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::lock_state::LockState;
use crate::leak::report::spawned_by::SpawnedBy;
use crate::trace::blocked::Blocker;
use crate::trace::call::Call;
use crate::trace::wait::{Timer, Wait};

pub(super) fn leaked(report: &Report) -> Advice {
    let is_blocked = |task: &LeakedTask| matches!(task.wait(), Wait::Blocks(_));
    // The standard library spawns nothing: there the call behind the spawn is unknown.
    let of_dependency = |task: &LeakedTask| {
        let place = task.place();
        task.caller().is_some() || place.is_foreign() && !place.is_standard()
    };
    // The test's own code has a `JoinHandle` of these, and `abort()` ends them.
    let can_abort =
        |task: &LeakedTask| !task.is_background() && !of_dependency(task) && !is_blocked(task);
    let has_own = report.unseen() > 0 || report.tasks().iter().any(can_abort);

    let mut steps = Vec::new();
    // Awaiting such a task would hang.
    steps.extend(wake_tasks(report));
    if has_own {
        // An untracked task has no number to name.
        let own = labels(report, can_abort).filter(|_| report.unseen() == 0);
        let of = own.map_or(String::new(), |tasks| format!(" of {tasks}"));
        steps.push(format!(
            "keep the `JoinHandle`{of}: await it if the task ends by itself, else `abort()` it and \
             then await it"
        ));
    }
    if report.unseen() > 0 {
        let of_dependency = "an untracked task may be a dependency's: shut down the client, server or pool, \
             and await that";
        // Where straggler tracks spawns, what it does not track is more likely somebody else's.
        let after = usize::from(!report.findings().has_tracked);
        steps.insert(after, of_dependency.to_owned());
    }
    for timer in [Timer::Timeout, Timer::Sleep, Timer::Interval] {
        let waits = |task: &LeakedTask| can_abort(task) && task.wait().timer() == Some(timer);
        steps.extend(labels(report, waits).map(|tasks| outlast(report, timer, &tasks)));
    }
    let blocks = |task: &LeakedTask| is_blocked(task) && !task.is_background();
    if let Some(tasks) = labels(report, blocks) {
        let unblock = unblock(alike(blockers(report)));
        steps.push(format!(
            "a task that blocks its thread ({tasks}): `abort()` cannot stop it, so {unblock}"
        ));
    }
    let left_by_dependency =
        |task: &LeakedTask| of_dependency(task) && !task.is_background() && !is_blocked(task);
    if let Some(tasks) = labels(report, left_by_dependency) {
        let mut left = report
            .tasks()
            .iter()
            .filter(|task| left_by_dependency(task));
        let called_at = left.find_map(|task| task.caller().and_then(Call::place));
        let at = called_at.map_or(String::new(), |place| format!(" used at {place}"));
        steps.push(format!(
            "a task of a dependency ({tasks}): shut down the client, server or pool{at}, and await \
             that"
        ));
        // Where it waits is often unknown: a driver of connections may end a little later.
        let setting = setting(report, "grace = \"..\"", "grace(..)");
        steps.push(format!(
            "if it ends by itself a little later, or has nothing to shut it down: {setting}"
        ));
    }
    if let Some(tasks) = labels(report, LeakedTask::is_background) {
        steps.push(format!(
            "a background task ({tasks}): let it await something in its loop, since straggler stops \
             it only at an `.await`"
        ));
    }
    if has_own {
        steps.push(
            "a helper that the test spawns itself, to run until it ends: use `straggler::background`"
                .to_owned(),
        );
    }
    steps.extend(also(report));
    steps.extend(rule(report));
    steps.push(OF_STATIC.to_owned());
    Advice {
        why: "A task that outlives its test can disturb the next one.",
        steps,
    }
}

/// Whether a `static` keeps the task's handle or channel is nowhere to be seen, so each rule comes with this.
const OF_STATIC: &str = "if a `static` keeps it, no rule helps: it ends with this test's runtime, and the next test \
     finds it gone. Start one in each test, or share a runtime and use `LeakCheck::watch`";

/// What to do about tasks that wait for a timer: only those without a loop end by themselves.
fn outlast(report: &Report, timer: Timer, tasks: &str) -> String {
    let wait = if report.clock_stood_still() {
        "await it, and the paused clock advances that far".to_owned()
    } else {
        let setting = setting(report, "grace = \"..\"", "grace(..)");
        format!("await it, or give it that long: {setting}")
    };
    match timer {
        Timer::Timeout => {
            format!("a task inside a `timeout` ({tasks}) ends by itself when that is over: {wait}")
        }
        Timer::Sleep => format!(
            "a task that sleeps ({tasks}): cancel it with a `CancellationToken` if it loops. Otherwise it \
             ends by itself: {wait}"
        ),
        Timer::Interval => format!(
            "a task that wakes at an interval ({tasks}): cancel it with a `CancellationToken`, and await it"
        ),
    }
}

pub(super) fn blocking_leaked(report: &Report) -> Advice {
    let setting = setting(report, "grace = \"..\"", "grace(..)");
    let findings = report.findings();
    let of_dependency = |work: &BlockingWork| work.place().is_foreign();
    let await_own = "await its `JoinHandle` before the test ends";
    let end_foreign = "a closure of a dependency, or tokio's own (file I/O, stdin, DNS): finish that work, or \
         shut down what does it";
    let mut steps = Vec::new();
    let has_foreign = findings.unseen_blocking > 0 || findings.blocking.iter().any(of_dependency);
    let has_own = !findings.blocking.iter().all(of_dependency);
    // Where straggler tracks spawns, what it does not track is more likely somebody else's.
    if has_own || findings.unseen_blocking > 0 && !findings.has_tracked {
        steps.push(await_own.to_owned());
    }
    if has_foreign {
        steps.push(end_foreign.to_owned());
    }
    steps.extend([
        match closure_blocker(report) {
            Blocker::Other | Blocker::Unknown => {
                "if it waits or loops: drop its sender or set a flag, so that it returns".to_owned()
            }
            by => format!("make it return: {}", let_return(by)),
        },
        format!("if it only needs more time: {setting}"),
    ]);
    steps.extend(release_locks(report));
    steps.extend(join_threads(report));
    steps.extend(rule(report));
    Advice {
        why: "A running `spawn_blocking` closure cannot be aborted, and keeps running during later tests.",
        steps,
    }
}

pub(super) fn threads_leaked(report: &Report) -> Advice {
    let setting = match report.test() {
        Some(_) => "threads = \"deny\"",
        None => "deny_threads()",
    };
    Advice {
        why: "A thread keeps running, during later tests too, when its `JoinHandle` is dropped.",
        steps: vec![
            "drop its sender or set a flag, so that it returns, and `join()` it before the test ends"
                .to_owned(),
            "or spawn it in `std::thread::scope`, which joins it".to_owned(),
            format!("if it may outlive the test: remove `{setting}`"),
        ],
    }
}

pub(super) fn locks_held(report: &Report) -> Advice {
    let at = match report.locks() {
        [held] => held
            .holder()
            .map(|by| format!(" acquired at {}", by.place())),
        _ => None,
    };
    let at = at.unwrap_or_default();
    let mut steps = vec![
        format!("drop the guard{at} before the test ends, or call its `release()`"),
        "do not keep a guard in a static or a leaked task, and do not `mem::forget` it".to_owned(),
    ];
    steps.extend(join_threads(report));
    Advice {
        why: "Whoever acquires a lock that is never released waits forever.",
        steps,
    }
}

/// Steps for findings below the verdict: after fixing only the verdict, the next run would fail on them.
fn also(report: &Report) -> impl Iterator<Item = String> {
    let blocking = blocking::total(report.findings()) > 0;
    let blocking = blocking.then(|| {
        "await the `spawn_blocking` closures too: `abort()` cannot stop one that runs".to_owned()
    });
    blocking
        .into_iter()
        .chain(release_locks(report))
        .chain(join_threads(report))
}

/// A step on a lock that the body keeps. A leaked task or closure releases its locks when it ends.
fn release_locks(report: &Report) -> Option<String> {
    let mut holders = report.locks().iter().filter_map(LockState::holder);
    let holder = holders.find(|holder| holder.by() == Some(&SpawnedBy::Test))?;
    Some(format!(
        "drop the guard acquired at {} too, or call its `release()`",
        holder.place()
    ))
}

fn join_threads(report: &Report) -> Option<String> {
    (!report.threads().is_empty())
        .then(|| "join the threads too: dropping a `JoinHandle` detaches its thread".to_owned())
}
