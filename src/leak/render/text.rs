//! The text of a report: what is wrong, where, and what to do.

use std::fmt;

use crate::leak::render::advice::write_advice;
use crate::leak::render::tasks::{tasks_are, write_panics, write_tasks};
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

/// What the test is called in reports.
pub(crate) fn test_name(report: &Report) -> String {
    match report.test() {
        Some(test) => format!("the test `{test}` ({})", report.place()),
        None => format!("the check at {}", report.place()),
    }
}

/// The first line, without its prefix.
fn headline(report: &Report) -> String {
    let test = test_name(report);
    let findings = report.findings();
    let allows = match findings.allowed {
        0 => String::new(),
        allowed => format!(", which allows {allowed}"),
    };
    match report.verdict() {
        Verdict::Hung { .. }
        | Verdict::Deadlocked { .. }
        | Verdict::Late { .. }
        | Verdict::Stuck
        | Verdict::NotRun(_)
        | Verdict::CheckFailed(_) => ending(report.verdict(), &test),
        Verdict::Leaked => format!("{} outlived {test}{allows}", count(report.count(), "task")),
        Verdict::Panicked => {
            format!(
                "{} panicked during {test}",
                count(findings.panics.len(), "task")
            )
        }
        Verdict::BlockingLeaked => {
            let closures = blocking::closures(blocking::total(findings));
            format!("{closures} outlived {test}{allows}")
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

/// What is said of a test that did not end by itself and in time. For a verdict about something
/// else there is nothing to say.
pub(crate) fn ending(verdict: &Verdict, test: &str) -> String {
    match verdict {
        Verdict::Hung { timeout, .. } => {
            let timeout = humantime::format_duration(*timeout);
            format!("{test} did not end within {timeout}")
        }
        Verdict::Deadlocked { .. } => format!(
            "{test} cannot end: its clock is paused, and nothing in its runtime is left that could run"
        ),
        Verdict::Late { timeout, took } => {
            let (took, timeout) = (Age(*took), humantime::format_duration(*timeout));
            format!("{test} took {took}, longer than its timeout of {timeout}")
        }
        Verdict::Stuck => format!(
            "{test} does not come to its end: its body has ended, but what it left behind blocks its \
             thread, in a poll or when it is dropped"
        ),
        Verdict::NotRun(reason) => format!("{test} was not run: {reason}"),
        Verdict::CheckFailed(panic) => {
            format!("what {test} left behind could not be found out: the check {panic}")
        }
        Verdict::Leaked
        | Verdict::Panicked
        | Verdict::BlockingLeaked
        | Verdict::ThreadsLeaked
        | Verdict::LocksHeld => String::new(),
    }
}

/// Says where the body waits, if it does.
fn write_body(f: &mut fmt::Formatter<'_>, verdict: &Verdict) -> fmt::Result {
    match verdict {
        Verdict::Hung { wait, .. } | Verdict::Deadlocked { wait } => {
            let wait = wait.to_string().replace('\n', "\n  ");
            write!(f, "\n\n  it {wait}")
        }
        _ => Ok(()),
    }
}

/// Says how many tasks are alive, where they have not outlived the test.
fn write_alive(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let when = match report.verdict() {
        Verdict::Late { .. } => "at its end",
        verdict if verdict.is_under_way() => "meanwhile",
        _ => return Ok(()),
    };
    match report.count() {
        0 => Ok(()),
        count => write!(f, "\n\n{when} {} alive:", tasks_are(count)),
    }
}
