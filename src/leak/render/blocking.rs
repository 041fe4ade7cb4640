//! The lines of a report about `spawn_blocking` closures.

use std::fmt;

use crate::leak::render::groups;
use crate::leak::render::tasks::{write_numbers, write_origin};
use crate::leak::report::Report;
use crate::leak::report::blocking_work::BlockingWork;
use crate::leak::report::findings::Findings;
use crate::leak::report::verdict::Verdict;
use crate::trace::blocked::Blocked;
use crate::wording::{Age, count};

/// Counts the closures in a report, tracked or not.
pub(crate) fn total(findings: &Findings) -> usize {
    findings.blocking.len() + findings.unseen_blocking
}

/// What headlines count.
pub(crate) const CLOSURE: &str = "`spawn_blocking` closure";

/// `` 1 `spawn_blocking` closure ``, `` 2 `spawn_blocking` closures ``.
pub(crate) fn closures(number: usize) -> String {
    count(number, CLOSURE)
}

/// Lists the leaked closures. A header separates them from the tasks above, if those decided the verdict.
pub(crate) fn write_section(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let findings = report.findings();
    let unseen = findings.unseen_blocking;
    match (total(findings), report.verdict()) {
        (0, _) => return Ok(()),
        (_, Verdict::BlockingLeaked) => f.write_str("\n")?,
        (count, _) => write!(f, "\n\nalso still running: {}\n", closures(count))?,
    }
    let groups = groups::of_blocking(&findings.blocking);
    groups::write(f, &groups, write_group, ", spawned elsewhere")?;
    if unseen == 0 {
        return Ok(());
    }
    let and = if groups.is_empty() { "" } else { "and " };
    write!(f, "\n  {and}{}", count(unseen, "untracked closure"))?;
    if findings.may_be_tasks > 0 {
        f.write_str(
            "\n     (inferred from a thread that did not stop: a task may block it instead)",
        )?;
    }
    let groups = groups::of_blocked(&findings.unseen_blocked);
    groups::write(f, &groups, write_blocked, " elsewhere")
}

/// Writes a group of equal closures, with the age of the oldest.
pub(crate) fn write_group(f: &mut fmt::Formatter<'_>, group: &[&BlockingWork]) -> fmt::Result {
    let first = group[0];
    write_numbers(f, "closures", group.iter().map(|work| work.number()))?;
    write!(f, " spawned at {}", first.place())?;
    write_origin(f, None, first.spawned_by())?;
    let age = Age(first.age());
    if first.is_queued() {
        write!(f, "\n     queued for {age}: no blocking thread is free")
    } else {
        write!(f, "\n     running for {age}")?;
        match first.blocked() {
            Some(blocked) if blocked.is_known() => write_blocked(f, &[blocked]),
            _ => Ok(()),
        }
    }
}

/// Writes where threads are that are all at the same place.
fn write_blocked(f: &mut fmt::Formatter<'_>, group: &[&Blocked]) -> fmt::Result {
    let blocked = group[0].to_string().replace('\n', "\n     ");
    match group.len() {
        1 => write!(f, "\n     {blocked}"),
        number => write!(f, "\n     {number} threads {blocked}"),
    }
}
