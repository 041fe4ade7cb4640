//! The text of a report: what is wrong, where, and what to do.

use std::fmt;

use crate::leak::render::advice::write_advice;
use crate::leak::render::tasks::{write_panics, write_tasks};
use crate::leak::render::{blocking, locks, notes, threads};
use crate::leak::report::Report;
use crate::leak::report::verdict::Verdict;
use crate::wording::{Age, count, is_or_are};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let findings = self.findings();
        write!(f, "leak_check: {}", headline(self))?;
        if let Verdict::NotRun(_) | Verdict::CheckFailed(_) = self.verdict() {
            return Ok(());
        }
        write_body(f, self.verdict())?;
        write_alive(f, self)?;
        if self.count() + findings.panics.len() > 0 {
            f.write_str("\n")?;
        }
        write_tasks(f, findings)?;
        write_panics(f, findings)?;
        blocking::write_section(f, self)?;
        threads::write_section(f, self)?;
        locks::write_section(f, self)?;
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
    match report.verdict() {
        Verdict::Hung { .. }
        | Verdict::Deadlocked { .. }
        | Verdict::Late { .. }
        | Verdict::Stuck
        | Verdict::NotRun(_)
        | Verdict::CheckFailed(_) => ending(report.verdict(), &test),
        Verdict::Leaked => format!("{} outlived {test}{exceeds}", count(report.count(), "task")),
        Verdict::Panicked => {
            format!(
                "{} panicked during {test}",
                count(findings.panics.len(), "task")
            )
        }
        Verdict::BlockingLeaked => {
            let closures = blocking::closures(blocking::total(findings));
            format!("{closures} outlived {test}{exceeds}")
        }
        Verdict::ThreadsLeaked => {
            format!(
                "{} outlived {test}",
                count(findings.threads.len(), "thread")
            )
        }
        Verdict::LocksHeld => {
            let (locks, are) = (findings.locks.len(), is_or_are(findings.locks.len()));
            format!(
                "{} {are} still held at the end of {test}",
                count(locks, "lock")
            )
        }
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
        Verdict::Leaked
        | Verdict::Panicked
        | Verdict::BlockingLeaked
        | Verdict::ThreadsLeaked
        | Verdict::LocksHeld => String::new(),
    }
}

/// Writes where the body waits, if the test was given up.
fn write_body(f: &mut fmt::Formatter<'_>, verdict: &Verdict) -> fmt::Result {
    match verdict {
        Verdict::Hung { wait, .. } | Verdict::Deadlocked { wait } => {
            let wait = wait.to_string().replace('\n', "\n  ");
            write!(f, "\n\n  it {wait}")
        }
        _ => Ok(()),
    }
}

/// Counts the live tasks of a test that did not end in time. Elsewhere the headline does.
fn write_alive(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let alive = match report.verdict() {
        Verdict::Late { .. } => "still alive when it ended",
        verdict if verdict.is_under_way() => "still alive",
        _ => return Ok(()),
    };
    match report.count() {
        0 => Ok(()),
        tasks => write!(f, "\n\n{alive}: {}", count(tasks, "task")),
    }
}
