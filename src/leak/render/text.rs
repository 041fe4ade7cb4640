//! The text of a report: what is wrong, where, and what to do.

use std::fmt;

use crate::leak::render::advice::write_advice;
use crate::leak::render::tasks::write_tasks;
use crate::leak::render::{blocking, locks, notes, tasks, threads};
use crate::leak::report::Report;
use crate::leak::report::findings::Findings;
use crate::leak::report::task_panic::TaskPanic;
use crate::leak::report::verdict::Verdict;
use crate::wording::{Age, count, is_or_are};

/// How many places the note after a panic lists.
const LISTED_AFTER_PANIC: usize = 5;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let findings = self.findings();
        write!(f, "leak_check: {}", headline(self))?;
        if let Verdict::NotRun(_) | Verdict::CheckFailed(_) = self.verdict() {
            return Ok(());
        }
        if self.has_panics_first() {
            write_panics(f, self)?;
            write_body(f, self, "the body")?;
        } else {
            write_body(f, self, "it")?;
            write_panics(f, self)?;
        }
        write_alive(f, self)?;
        write_tasks(f, findings)?;
        blocking::write_section(f, self)?;
        locks::write_section(f, self)?;
        threads::write_section(f, self)?;
        f.write_str("\n")?;
        notes::write_notes(f, self)?;
        write_advice(f, self)
    }
}

/// Names the test as reports do, with its place.
fn test_name(report: &Report) -> String {
    match report.test() {
        Some(test) => format!("the test `{test}` ({})", report.place()),
        None => format!("the check at {}", report.place()),
    }
}

/// The first line, without its prefix.
fn headline(report: &Report) -> String {
    let test = test_name(report);
    let findings = report.findings();
    let exceeds = match (findings.allowed, report.test()) {
        (0, _) => String::new(),
        (allowed, Some(_)) => format!(", exceeding `allow = {allowed}`"),
        (allowed, None) => format!(", exceeding `allow({allowed})`"),
    };
    match (report.verdict(), report.ending()) {
        (
            Verdict::Hung { .. }
            | Verdict::Deadlocked { .. }
            | Verdict::Late { .. }
            | Verdict::Stuck
            | Verdict::NotRun(_)
            | Verdict::CheckFailed(_),
            _,
        ) => return ending(report.verdict(), &test),
        (Verdict::Panicked, Some(ended)) => {
            let panicked = count(findings.panics.len(), "task");
            return format!("{panicked} panicked, and {}", ending(ended, &test));
        }
        (
            Verdict::Panicked
            | Verdict::Leaked
            | Verdict::BlockingLeaked
            | Verdict::LocksHeld
            | Verdict::ThreadsLeaked,
            _,
        ) => {}
    }
    let found = report.ranked().into_iter();
    let found: Vec<_> = found.filter_map(|kind| counted(&kind, findings)).collect();
    match found.as_slice() {
        [
            Counted {
                number,
                noun,
                what: What::Panicked,
            },
        ] => {
            format!("{} panicked during {test}", count(*number, noun))
        }
        [
            Counted {
                number,
                noun,
                what: What::Running,
            },
        ] => {
            format!("{} outlived {test}{exceeds}", count(*number, noun))
        }
        found => format!("{} at the end of {test}{exceeds}", all_kinds(found)),
    }
}

/// The findings of one kind, as a headline counts them.
struct Counted {
    number: usize,
    noun: &'static str,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Panicked,
    Running,
    Held,
}

/// Counts the findings of a kind. Returns `None` for a verdict on the test itself.
fn counted(kind: &Verdict, findings: &Findings) -> Option<Counted> {
    let (number, noun, what) = match kind {
        Verdict::Panicked => (findings.panics.len(), "task", What::Panicked),
        Verdict::Leaked => (
            findings.tasks.len() + findings.unseen,
            "task",
            What::Running,
        ),
        Verdict::BlockingLeaked => (blocking::total(findings), blocking::CLOSURE, What::Running),
        Verdict::LocksHeld => (findings.locks.len(), "lock", What::Held),
        Verdict::ThreadsLeaked => (findings.threads.len(), "thread", What::Running),
        Verdict::Hung { .. }
        | Verdict::Deadlocked { .. }
        | Verdict::Late { .. }
        | Verdict::Stuck
        | Verdict::NotRun(_)
        | Verdict::CheckFailed(_) => return None,
    };
    Some(Counted { number, noun, what })
}

/// Names every kind: `1 task panicked and 1 is still running`.
fn all_kinds(found: &[Counted]) -> String {
    let same = found.chunk_by(|one, next| one.what == next.what);
    let mut parts = Vec::new();
    for kinds in same {
        let number = kinds.iter().map(|kind| kind.number).sum();
        let are = is_or_are(number);
        let counts: Vec<_> = match kinds {
            // The panicked tasks before it say what is counted.
            [one] if one.noun == "task" && !parts.is_empty() => vec![one.number.to_string()],
            _ => kinds
                .iter()
                .map(|kind| count(kind.number, kind.noun))
                .collect(),
        };
        let counts = joined(&counts);
        parts.push(match kinds[0].what {
            What::Panicked => format!("{counts} panicked"),
            What::Running => format!("{counts} {are} still running"),
            What::Held => format!("{counts} {are} still held"),
        });
    }
    joined(&parts)
}

/// `a`, `a and b`, `a, b and c`.
fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Describes a test that did not end by itself and in time. Empty for other verdicts, whose headlines
/// count findings.
pub(crate) fn ending(verdict: &Verdict, test: &str) -> String {
    match verdict {
        Verdict::Hung { timeout, .. } => {
            let timeout = humantime::format_duration(*timeout);
            format!("{test} did not end within {timeout}")
        }
        Verdict::Deadlocked { .. } => format!(
            "{test} is deadlocked: its clock is paused, and no task in its runtime can make progress"
        ),
        Verdict::Late { timeout, took } => {
            let (took, timeout) = (Age(*took), humantime::format_duration(*timeout));
            format!("{test} took {took}, longer than its timeout of {timeout}")
        }
        Verdict::Stuck => format!(
            "{test} is stuck: its body has ended, but something it left behind blocks the thread, in a \
             poll or in a `drop`"
        ),
        Verdict::NotRun(reason) => format!("{test} was not run: {reason}"),
        Verdict::CheckFailed(reason) => {
            format!("{test} could not be checked: the leak check {reason}")
        }
        Verdict::Panicked
        | Verdict::Leaked
        | Verdict::BlockingLeaked
        | Verdict::LocksHeld
        | Verdict::ThreadsLeaked => String::new(),
    }
}

/// Writes where the body waits, if the test was given up.
fn write_body(f: &mut fmt::Formatter<'_>, report: &Report, body: &str) -> fmt::Result {
    match report.ending() {
        Some(Verdict::Hung { wait, .. } | Verdict::Deadlocked { wait }) => {
            let wait = wait.to_string().replace('\n', "\n  ");
            write!(f, "\n\n  {body} {wait}")
        }
        _ => Ok(()),
    }
}

/// Lists the panics. A header tells them from a verdict that is none.
fn write_panics(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let findings = report.findings();
    match (findings.panics.len(), report.verdict()) {
        (0, _) => return Ok(()),
        (_, Verdict::Panicked) => f.write_str("\n")?,
        (number, _) => write!(f, "\n\nalso panicked: {}\n", count(number, "task"))?,
    }
    tasks::write_panics(f, findings)
}

/// Counts the tasks, unless the headline is about nothing else.
fn write_alive(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let alive = match (report.count(), report.verdict()) {
        (0, _) => return Ok(()),
        (_, Verdict::Leaked) => return f.write_str("\n"),
        _ if matches!(report.ending(), Some(Verdict::Late { .. })) => "still alive when it ended",
        _ if report.is_under_way() => "still alive",
        _ => "also still running",
    };
    write!(f, "\n\n{alive}: {}\n", count(report.count(), "task"))
}

/// A short note on what a test left behind whose body panicked.
///
/// The panic is the bug, and its unwinding may be all that kept the test from cleaning up: the note has no
/// advice.
pub(crate) struct AfterPanic<'a>(pub(crate) &'a Report);

impl fmt::Display for AfterPanic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        // Other verdicts are not leftovers, and need their own words.
        if report
            .ranked()
            .into_iter()
            .any(|kind| counted(&kind, report.findings()).is_none())
        {
            return write!(f, "{report}");
        }
        write!(
            f,
            "leak_check: note: in addition to the panic above, {}",
            headline(report)
        )?;
        let findings = report.findings();
        let panics = findings.panics.iter().map(TaskPanic::spawned_at);
        let tasks = findings.tasks.iter().map(|task| Some(task.place()));
        let closures = findings.blocking.iter().map(|work| Some(work.place()));
        let spawns = tasks.chain(closures).chain(panics).flatten();
        let mut places: Vec<_> = Vec::new();
        for place in spawns {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        for place in places.iter().take(LISTED_AFTER_PANIC) {
            write!(f, "\n  spawned at {place}")?;
        }
        match places.len().saturating_sub(LISTED_AFTER_PANIC) {
            0 => Ok(()),
            more => write!(f, "\n  and at {}", count(more, "more place")),
        }
    }
}
