//! What to do about a finding: the last lines of a report.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::leak::render::blocking;
use crate::leak::report::Report;
use crate::leak::report::acquisition::Acquisition;
use crate::leak::report::blocking_work::BlockingWork;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::lock_state::LockState;
use crate::leak::report::spawned_by::SpawnedBy;
use crate::leak::report::task_panic::TaskPanic;
use crate::leak::report::verdict::Verdict;
use crate::trace::blocked::{Blocked, Blocker};
use crate::trace::call::Call;
use crate::trace::place::Place;
use crate::trace::wait::{Timer, Wait};
use crate::wording::{NAME, cut};

/// How many tasks one step names.
const NAMED: usize = 5;

/// Why a finding matters, and the steps that fix it.
struct Advice {
    why: &'static str,
    steps: Vec<String>,
}

/// Writes what to do about the finding that decided the verdict, and about panics beside it.
pub(crate) fn write_advice(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let mut before = "\n";
    for Advice { why, steps } in advice(report) {
        let space = if why.is_empty() { "" } else { " " };
        write!(f, "{before}{why}{space}What to do:")?;
        steps.iter().try_for_each(|step| write!(f, "\n  {step}"))?;
        before = "\n\n";
    }
    Ok(())
}

/// Advice on the verdict. The steps on a panic end no leak and no hang, so a finding beside a panic gets
/// its own advice. Elsewhere the steps on the verdict include those on what ranks lower.
fn advice(report: &Report) -> Vec<Advice> {
    let mut found = report.ranked();
    let with_panics = found.iter().take(2).any(|kind| *kind == Verdict::Panicked);
    found.truncate(if with_panics { 2 } else { 1 });
    let found = found.iter();
    found.filter_map(|kind| advice_on(kind, report)).collect()
}

fn advice_on(kind: &Verdict, report: &Report) -> Option<Advice> {
    match kind {
        Verdict::Deadlocked { wait } => Some(deadlocked(report, wait)),
        Verdict::Hung { timeout, wait } => Some(hung(report, wait, *timeout)),
        Verdict::Late { .. } => Some(late(report)),
        Verdict::Stuck => Some(stuck(report)),
        Verdict::Panicked => Some(panicked(report)),
        Verdict::Leaked => Some(leaked(report)),
        Verdict::BlockingLeaked => Some(blocking_leaked(report)),
        Verdict::LocksHeld => Some(locks_held(report)),
        Verdict::ThreadsLeaked => Some(threads_leaked(report)),
        // The reason in the headline already says what to do.
        Verdict::NotRun(_) | Verdict::CheckFailed(_) => None,
    }
}

fn deadlocked(report: &Report, wait: &Wait) -> Advice {
    Advice {
        why: match (wait, report.count()) {
            (wait, _) if is_lost_wake_up(wait) => return lost_wake_up(),
            (_, 0) => NEVER_HAPPENS,
            _ => "The test and its tasks wait for something that never happens.",
        },
        steps: break_cycle(report, wait),
    }
}

fn lost_wake_up() -> Advice {
    Advice {
        why: "The test waits for a wake-up that never comes.",
        steps: vec![format!("make the future that it awaits {WAKE}")],
    }
}

/// Returns how to end the tasks that lost a wake-up.
fn wake_tasks(report: &Report) -> Option<String> {
    let tasks = labels(report, |task| is_lost_wake_up(task.wait()))?;
    Some(format!(
        "a task that lost a wake-up ({tasks}): make the future that it awaits {WAKE}"
    ))
}

fn is_lost_wake_up(wait: &Wait) -> bool {
    matches!(wait, Wait::LostWakeUp | Wait::PanicsUnwoken { .. })
}

/// Returns advice on how to end waits that only other tasks can end.
fn break_cycle(report: &Report, wait: &Wait) -> Vec<String> {
    let waits = report.tasks().iter().map(LeakedTask::wait).chain([wait]);
    let for_locks = waits.map(|wait| count_waits_on(wait, LOCKS)).sum();
    let mut steps = Vec::from_iter(wake_tasks(report));
    if let Some(step) = reacquired_lock(report) {
        steps.push(step);
    } else if let Some(step) = hold_and_wait(report, for_locks) {
        steps.push(step.to_owned());
    }
    if for_locks > 0 {
        steps.push(KEPT_FUTURE.to_owned());
    }
    steps.push(
        "find who should end each wait above (a sender, a permit, another task), and why it cannot"
            .to_owned(),
    );
    steps
}

const WAKE: &str =
    "keep the waker of its last poll, and wake it after each change of what it waits for";

/// Returns how to break a deadlock that involves a lock. Only two waits for locks can be a cycle of locks.
fn hold_and_wait(report: &Report, for_locks: usize) -> Option<&'static str> {
    match for_locks {
        0 => None,
        1 if report.count() == 0 => None,
        1 => Some("hold no lock while awaiting a task or a message"),
        _ => {
            Some("acquire locks in the same order everywhere, and hold none while awaiting a task")
        }
    }
}

/// Nothing waits for the lock's holder then, so no report can show it.
const KEPT_FUTURE: &str = "if a future that holds the lock was polled and then kept (`select!` with \
     `&mut future`, a `FuturesUnordered` that nobody polls): poll it to its end, or drop it";

/// Straggler sees neither plain threads nor other runtimes: one of them may send the answer.
const ANSWER: &str = "if a thread or another runtime sends the answer: do not pause the clock, or wait for it in \
     `spawn_blocking`";

const NEVER_HAPPENS: &str = "The test is waiting for something that never happens.";

fn hung(report: &Report, wait: &Wait, timeout: Duration) -> Advice {
    match wait {
        Wait::Blocks(blocked) => Advice {
            why: "A timeout cannot cancel a body that blocks its thread.",
            steps: vec![unblock(blocked.by()).to_owned(), more_time(report)],
        },
        Wait::Busy(_) => Advice {
            why: "The body keeps waking itself.",
            steps: vec![
                "end the loop, or await the event it polls for: a channel or a `Notify`".to_owned(),
                more_time(report),
            ],
        },
        // More time does not help here, nor with a lock that its own holder waits for.
        Wait::LostWakeUp | Wait::PanicsUnwoken { .. } => lost_wake_up(),
        Wait::Unwakeable => Advice {
            why: "Nothing can wake the test.",
            steps: vec![
                "await a future that registers the waker of each poll; `pending()` and some \
                 hand-written futures do not"
                    .to_owned(),
            ],
        },
        Wait::At(_) if report.findings().may_be_deadlock && report.count() > 0 => Advice {
            why: "Everything in the test's runtime waits for something else in it: probably a deadlock.",
            steps: if let Some(step) = reacquired_lock(report) {
                vec![step]
            } else {
                let mut steps = break_cycle(report, wait);
                steps.extend([ANSWER.to_owned(), more_time(report)]);
                steps
            },
        },
        Wait::At(_) | Wait::Unstarted | Wait::Unanswered | Wait::Unknown => {
            if let Some(step) = reacquired_lock(report) {
                return Advice {
                    why: NEVER_HAPPENS,
                    steps: vec![step, KEPT_FUTURE.to_owned()],
                };
            }
            if let Some(step) = unblock_task(report) {
                return Advice {
                    why: "A thread that is blocked polls no other task.",
                    steps: vec![step, more_time(report)],
                };
            }
            let standstill = report.findings().standstill;
            if standstill.is_some_and(|standstill| standstill.progress(timeout).is_some()) {
                return Advice {
                    why: "The test still made progress when its timeout passed.",
                    steps: vec![more_time(report), end_of_wait(report, wait)],
                };
            }
            let others = [LOCKS, TASKS, CHANNELS];
            let is_timed = wait.timer().is_some() && !others.iter().any(|on| waits_on(wait, on));
            let mut steps = vec![end_of_wait(report, wait)];
            if waits_on(wait, LOCKS) {
                steps.push(KEPT_FUTURE.to_owned());
            }
            steps.push(more_time(report));
            Advice {
                why: if is_timed {
                    "The test is waiting for a timer that fires after its timeout."
                } else {
                    NEVER_HAPPENS
                },
                steps,
            }
        }
    }
}

/// What to do about a task that blocks a thread, if one does.
fn unblock_task(report: &Report) -> Option<String> {
    let blocks = |task: &LeakedTask| matches!(task.wait(), Wait::Blocks(_));
    let Some(tasks) = labels(report, blocks) else {
        let blocked = report.findings().test_thread.as_ref();
        return blocked.map(|blocked| unblock(blocked.by()).to_owned());
    };
    let unblock = unblock(alike(blockers(report)));
    Some(format!(
        "a task that blocks its thread ({tasks}): {unblock}"
    ))
}

/// Returns advice on how to end a wait, based on the awaited future.
fn end_of_wait(report: &Report, wait: &Wait) -> String {
    let step = if waits_on(wait, LOCKS) {
        let holder = report.locks().iter().find_map(LockState::holder);
        return match holder.map(Acquisition::place) {
            Some(place) => format!("release the lock acquired at {place} before waiting for it"),
            None => {
                "release the lock before waiting for it: drop the guard that holds it".to_owned()
            }
        };
    } else if waits_on(wait, TASKS) && blocking::total(report.findings()) > 0 {
        let findings = report.findings();
        if findings.may_be_tasks == blocking::total(findings) {
            return unblock(closure_blocker(report)).to_owned();
        }
        let how = let_return(closure_blocker(report));
        return format!("make the `spawn_blocking` closure return: {how}");
    } else if waits_on(wait, TASKS) {
        "make the awaited task finish, or `abort()` it before awaiting it"
    } else if waits_on(wait, CHANNELS) {
        "use or drop the other end of the channel on every path, also when an earlier step fails"
    } else if let Some(timer) = wait.timer() {
        match timer {
            Timer::Timeout => "shorten the `timeout` that it awaits: it outlasts that of the test",
            Timer::Sleep => {
                "shorten the sleep that it awaits, or pause the clock: `start_paused = true`"
            }
            Timer::Interval => "end the loop over the interval that it awaits",
        }
    } else {
        "make the awaited event happen on every path, also when an earlier step fails"
    };
    step.to_owned()
}

const LOCKS: &[&str] = &["straggler::Lock", "::mutex::", "::rwlock::", "semaphore"];
const TASKS: &[&str] = &["::task::join", "::join_set::"];
const CHANNELS: &[&str] = &["::oneshot::", "::mpsc::", "::broadcast::", "::watch::"];

/// Whether one of the awaited things has one of these in its path.
fn waits_on(wait: &Wait, paths: &[&str]) -> bool {
    count_waits_on(wait, paths) > 0
}

/// Counts the places that await a thing with one of these in its path.
fn count_waits_on(wait: &Wait, paths: &[&str]) -> usize {
    let Wait::At(places) = wait else {
        return 0;
    };
    let awaited = places.iter().filter_map(|place| place.on());
    let is_on = |on: &&str| paths.iter().any(|path| on.contains(path));
    awaited.filter(is_on).count()
}

/// Names both acquisitions of a lock that its own holder waits for.
fn reacquired_lock(report: &Report) -> Option<String> {
    let mut locks = report.locks().iter();
    let lock = locks.find(|lock| lock.may_wait_for_itself())?;
    let holder = lock.holder()?;
    let mut waiters = lock.waiters().iter();
    let waiter = waiters.find(|waiter| waiter.by() == holder.by())?;
    Some(format!(
        "release the lock acquired at {} before the same task acquires it at {}",
        holder.place(),
        waiter.place()
    ))
}

const UNBLOCK: &str =
    "move the blocking call into `spawn_blocking` and await that, or make an async call";

/// What to do about code that blocks a thread of the runtime.
fn unblock(by: Blocker) -> &'static str {
    match by {
        Blocker::Lock => {
            "release the lock that it waits for: drop its guard before an `.await`, or use \
             `tokio::sync::Mutex`"
        }
        Blocker::Channel => {
            "use a channel of `tokio::sync`, or move the call into `spawn_blocking` and await that"
        }
        Blocker::Sleep => "await `tokio::time::sleep` in place of `std::thread::sleep`",
        Blocker::BlockOn => "await the future in place of calling `block_on`",
        Blocker::Thread => {
            "wait for the thread in `spawn_blocking` and await that, or let it answer through a \
             `tokio::sync::oneshot`"
        }
        Blocker::Io => {
            "use tokio's I/O (`tokio::net`, `tokio::fs`, `tokio::process`), or move the call into \
             `spawn_blocking` and await that"
        }
        Blocker::Busy => {
            "let the loop await something, such as `tokio::task::yield_now()`, or move the computation \
             into `spawn_blocking` and await that"
        }
        Blocker::Other | Blocker::Unknown => UNBLOCK,
    }
}

/// How to make a `spawn_blocking` closure return.
fn let_return(by: Blocker) -> &'static str {
    match by {
        Blocker::Lock => "release the lock that it waits for",
        Blocker::Channel => "drop the other end of the channel that it waits for",
        Blocker::Sleep => {
            "let it wait with `recv_timeout` in place of `sleep`, and drop the sender at the end of the test"
        }
        Blocker::BlockOn => "end the future that its `block_on` runs, with a `CancellationToken`",
        Blocker::Thread => "let the thread that it waits for end, or unpark it",
        Blocker::Io => "close the other end of what it reads or writes, or set a timeout there",
        Blocker::Busy => "let it check a flag in its loop, and set the flag at the end of the test",
        Blocker::Other | Blocker::Unknown => "drop its sender, or set a flag that it checks",
    }
}

/// What the closures of a report are blocked by.
fn closure_blocker(report: &Report) -> Blocker {
    let blocked = report.blocking().iter().filter_map(BlockingWork::blocked);
    let unseen = report.findings().unseen_blocked.iter();
    alike(blocked.chain(unseen).map(Blocked::by))
}

fn more_time(report: &Report) -> String {
    let setting = setting(report, "timeout = \"..\"", "timeout(..)");
    format!("if it only needs more time: {setting}")
}

fn late(report: &Report) -> Advice {
    Advice {
        why: "The timeout found the body inside a poll, or just ending, and could not cancel it.",
        steps: vec![UNBLOCK.to_owned(), more_time(report)],
    }
}

fn stuck(report: &Report) -> Advice {
    let unblock = unblock_task(report).unwrap_or_else(|| UNBLOCK.to_owned());
    Advice {
        why: "",
        steps: vec![
            unblock,
            "if a `drop` waits: do that work in an `async fn`, and await it in the test".to_owned(),
        ],
    }
}

fn leaked(report: &Report) -> Advice {
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

/// What the tasks of a report that block their threads are blocked by.
fn blockers(report: &Report) -> impl Iterator<Item = Blocker> {
    report.tasks().iter().filter_map(|task| match task.wait() {
        Wait::Blocks(blocked) => Some(blocked.by()),
        _ => None,
    })
}

/// What they all are blocked by, if it is the same.
fn alike(mut blockers: impl Iterator<Item = Blocker>) -> Blocker {
    let first = blockers.next().unwrap_or(Blocker::Unknown);
    if blockers.all(|other| other == first) {
        first
    } else {
        Blocker::Unknown
    }
}

/// The numbers and names of the tasks that fit, or `None` if there is none.
fn labels(report: &Report, fits: impl Fn(&LeakedTask) -> bool) -> Option<String> {
    let tasks: Vec<_> = report.tasks().iter().filter(|task| fits(task)).collect();
    let named = tasks.iter().take(NAMED).map(|task| match task.name() {
        Some(name) => format!("#{} `{}`", task.number(), cut(name, NAME)),
        None => format!("#{}", task.number()),
    });
    let mut labels = named.collect::<Vec<_>>().join(", ");
    if tasks.len() > NAMED {
        labels.push_str(", ..");
    }
    (!labels.is_empty()).then_some(labels)
}

fn panicked(report: &Report) -> Advice {
    let mut places = report.panics().iter().map(TaskPanic::place);
    let place = places.next().flatten();
    let place = place.filter(|place| places.all(|other| other == Some(*place)));
    let at = place.map_or(String::new(), |place| format!(" at {place}"));
    let setting = setting(report, "panics = \"allow\"", "allow_panics()");
    let fix = format!("fix the panic{at}");
    // Tokio has caught these, and shows them to nobody.
    let in_drop = report.findings().panics_at_shutdown;
    let mut shown = report.panics().iter().rev().skip(in_drop);
    if shown.all(TaskPanic::is_in_output) {
        return Advice {
            why: "Tokio ignores a panic in the `drop` of a task or of its output: no `JoinError` shows it.",
            steps: vec![fix, format!("if the test expects the panic: {setting}")],
        };
    }
    Advice {
        why: "A panic in a task stays silent unless the test checks the `JoinError` of its handle. Straggler \
              cannot\nsee whether it does.",
        steps: vec![
            format!("{fix}, or return a `Result` from the task and check it"),
            "if the test drops the `JoinError`, as `_ = task.await` does: unwrap the result"
                .to_owned(),
            format!("if the test expects the panic and checks the `JoinError`: {setting}"),
        ],
    }
}

fn blocking_leaked(report: &Report) -> Advice {
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

fn threads_leaked(report: &Report) -> Advice {
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

fn locks_held(report: &Report) -> Advice {
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

/// Names the rules that allow every task and closure in the report.
fn rule(report: &Report) -> Vec<String> {
    let findings = report.findings();
    let unseen_blocking = findings
        .unseen_blocking
        .saturating_sub(findings.may_be_tasks);
    // `allow = n` counts tasks and closures together, also those it allows already.
    let count = report.count() + findings.blocking.len() + unseen_blocking + findings.also_left;
    let in_attribute = match rules_by_place(report) {
        Some(rules) => {
            let written = rules
                .iter()
                .map(|(place, count)| format!("\"{place}\" = {count}"));
            format!("allow({})", written.collect::<Vec<_>>().join(", "))
        }
        None => format!("allow = {count}"),
    };
    let setting = setting(report, &in_attribute, &format!("allow({count})"));
    let mut steps = vec![format!("if it may outlive the test: {setting}")];
    steps.extend(rule_of_suite(report));
    steps.extend(rule_of_module(report));
    steps
}

/// Counts the leftovers by package, or by file if they are the user's. Returns `None` if some have no place,
/// or if there are too many places.
fn rules_by_place(report: &Report) -> Option<Vec<(&str, usize)>> {
    let findings = report.findings();
    let tasks = findings.tasks.iter().map(LeakedTask::place);
    let closures = findings.blocking.iter().map(BlockingWork::place);
    let mut rules: Vec<(&str, usize)> = Vec::new();
    for place in tasks.chain(closures) {
        // A rule for the standard library would allow every such spawn.
        if place.is_standard() {
            return None;
        }
        // A version or a file of a dependency changes with its next update.
        let place = place.package().unwrap_or(place.file());
        match rules.iter_mut().find(|(known, _)| *known == place) {
            Some((_, count)) => *count += 1,
            // The test may have a rule for it, whose room is used up.
            None => rules.push((place, findings.rules.limit_at(place) + 1)),
        }
    }
    let is_seen = findings.unseen + findings.unseen_blocking == 0;
    (is_seen && rules.len() <= RULES).then_some(rules)
}

/// How many places one attribute should name.
const RULES: usize = 3;

/// Names the rule for a dependency whose tasks outlive every test.
fn rule_of_suite(report: &Report) -> Option<String> {
    let tasks = report.tasks().iter().map(LeakedTask::place);
    let mut packages = tasks.map(Place::package);
    let package = packages.next()??;
    let is_same = packages.all(|other| other == Some(package));
    let count = report.tasks().len();
    let is_seen = is_same && report.unseen() == 0;
    is_seen.then(|| format!("if it outlives every test: `STRAGGLER_ALLOW=\"{package}={count}\"`"))
}

/// Names the rule for the module of a unit test, since its file has code of the library too.
fn rule_of_module(report: &Report) -> Option<String> {
    let rules = rules_by_place(report)?;
    let file = report.place().file();
    let (_, count) = rules.iter().find(|(place, _)| *place == file)?;
    let (module, _) = report.test()?.rsplit_once("::")?;
    let module = module.rsplit("::").next()?;
    let has_own_file = Path::new(file).file_stem()? == module;
    (!has_own_file).then(|| {
        format!(
            "if only `{module}` spawns it, keep the other leaks of the file failing: \
             `allow(\"{file}::{module}\" = {count})`"
        )
    })
}

/// A setting as the test would write it: in the attribute, or with the builder.
fn setting(report: &Report, attribute: &str, builder: &str) -> String {
    match report.test() {
        Some(_) => format!("`#[straggler::test({attribute})]`"),
        None => format!("`LeakCheck::new().{builder}`"),
    }
}
