//! Blocking work, in words.

use std::fmt;

use crate::leak::render::groups;
use crate::leak::render::notes::SHADOW;
use crate::leak::render::tasks::{write_numbers, write_spawners};
use crate::leak::report::Report;
use crate::leak::report::blocking_work::BlockingWork;
use crate::leak::report::findings::Findings;
use crate::leak::report::verdict::Verdict;
use crate::wording::{Age, count};

/// How many closures a report speaks of.
pub(crate) fn total(findings: &Findings) -> usize {
    findings.blocking.len() + findings.unseen_blocking
}

/// `` 1 `spawn_blocking` closure ``, `` 2 `spawn_blocking` closures ``.
pub(crate) fn closures(number: usize) -> String {
    count(number, "`spawn_blocking` closure")
}

/// Lists the closures that are left, below what ranks higher.
pub(crate) fn write_section(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let findings = report.findings();
    let unseen = findings.unseen_blocking;
    match (total(findings), report.verdict()) {
        (0, _) => return Ok(()),
        (_, Verdict::BlockingLeaked) => f.write_str("\n")?,
        (1, _) => write!(f, "\n\nbesides {} has not ended:\n", closures(1))?,
        (count, _) => write!(f, "\n\nbesides {} have not ended:\n", closures(count))?,
    }
    let groups = groups::of_blocking(&findings.blocking);
    groups::write(f, &groups, write_group, ", spawned elsewhere")?;
    if unseen == 0 {
        return Ok(());
    }
    let and = if groups.is_empty() { "" } else { "and " };
    match unseen {
        1 => write!(f, "\n  {and}1 that was not spawned through straggler")?,
        _ => write!(
            f,
            "\n  {and}{unseen} that were not spawned through straggler"
        )?,
    }
    match findings.may_be_tasks {
        0 => Ok(()),
        _ => f.write_str(
            "\n     (told by threads that do not stop: it may also be a task that blocks its thread)",
        ),
    }
}

/// Writes of closures that are alike where they were spawned, and how far they are.
pub(crate) fn write_group(f: &mut fmt::Formatter<'_>, group: &[&BlockingWork]) -> fmt::Result {
    let first = group[0];
    write_numbers(f, "closures", group.iter().map(|work| work.number()))?;
    write!(f, " spawned at {}", first.place())?;
    write_spawners(f, first.spawned_by())?;
    let does = if first.is_queued() {
        "has waited for a thread"
    } else {
        "at work"
    };
    write!(f, "\n     {does} for {}", Age(first.age()))
}

/// Says how to see more of the closures that are left, unless it `is_said` of tasks.
pub(crate) fn write_note(
    f: &mut fmt::Formatter<'_>,
    findings: &Findings,
    is_said: bool,
) -> fmt::Result {
    if findings.unseen_blocking == 0 {
        return Ok(());
    }
    if !is_said {
        write!(f, "\nTo see where `spawn_blocking` was called: {SHADOW}")?;
    }
    f.write_str(
        "
Blocking work that is spawned by the method of a `Handle` or in a dependency is only counted, and so
is tokio's own, for files, standard input and look-ups of names.
",
    )
}
