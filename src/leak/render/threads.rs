//! The lines of a report about threads.

use std::fmt;

use crate::leak::render::groups;
use crate::leak::report::Report;
use crate::leak::report::leaked_thread::LeakedThread;
use crate::leak::report::verdict::Verdict;
use crate::wording::count;

/// Lists the leaked threads. A header separates them from the findings above, if those decided the verdict.
pub(crate) fn write_section(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let left = report.threads();
    match (left.len(), report.verdict()) {
        (0, _) => return Ok(()),
        (_, Verdict::ThreadsLeaked) => f.write_str("\n")?,
        (number, _) => write!(f, "\n\nalso still running: {}\n", count(number, "thread"))?,
    }
    groups::write(f, &groups::of_threads(left), write_group, "")
}

/// Counts the threads of one name.
pub(crate) fn write_group(f: &mut fmt::Formatter<'_>, group: &[&LeakedThread]) -> fmt::Result {
    match group[0].name() {
        Some(name) => write!(f, "\n  {} `{name}`", count(group.len(), "thread")),
        None => write!(f, "\n  {}", count(group.len(), "unnamed thread")),
    }
}
