//! Threads, in words.

use std::fmt;

use crate::leak::render::groups;
use crate::leak::report::Report;
use crate::leak::report::leaked_thread::LeakedThread;
use crate::leak::report::verdict::Verdict;
use crate::wording::count;

/// Lists the threads that are left, below what ranks higher.
pub(crate) fn write_section(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let left = report.threads();
    match (left.len(), report.verdict()) {
        (0, _) => return Ok(()),
        (_, Verdict::ThreadsLeaked) => f.write_str("\n")?,
        (1, _) => f.write_str("\n\nbesides 1 thread has not ended:\n")?,
        (number, _) => write!(
            f,
            "\n\nbesides {} have not ended:\n",
            count(number, "thread")
        )?,
    }
    groups::write(f, &groups::of_threads(left), write_group, "")
}

/// Writes how many threads there are of a name.
pub(crate) fn write_group(f: &mut fmt::Formatter<'_>, group: &[&LeakedThread]) -> fmt::Result {
    let threads = count(group.len(), "thread");
    match group[0].name() {
        Some(name) => write!(f, "\n  {threads} `{name}`"),
        None => write!(f, "\n  {threads} without a name"),
    }
}
