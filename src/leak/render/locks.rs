//! The lines of a report about locks.

use std::fmt;

use crate::leak::render::groups;
use crate::leak::render::tasks::By;
use crate::leak::report::Report;
use crate::leak::report::acquisition::Acquisition;
use crate::leak::report::lock_state::LockState;
use crate::leak::report::verdict::Verdict;
use crate::wording::{Age, count};

/// How many waiters of a lock a report lists.
const WAITERS: usize = 5;

/// Lists the locks in use. A header separates them from the findings above, if those decided the verdict.
pub(crate) fn write_section(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let held = report.locks();
    match (held.len(), report.verdict()) {
        (0, _) => return Ok(()),
        (_, Verdict::LocksHeld) => f.write_str("\n")?,
        (number, _) if report.is_under_way() => {
            write!(f, "\n\nalso in use: {}\n", count(number, "lock"))?;
        }
        (number, _) => write!(f, "\n\nalso still held: {}\n", count(number, "lock"))?,
    }
    groups::write(
        f,
        &groups::of_locks(held),
        write_group,
        ", acquired elsewhere",
    )
}

/// Writes a group of equal locks, with their holders and waiters.
pub(crate) fn write_group(f: &mut fmt::Formatter<'_>, group: &[&LockState]) -> fmt::Result {
    let first = group[0];
    f.write_str("\n  ")?;
    if group.len() > 1 {
        write!(f, "{} locks: ", group.len())?;
    }
    match first.holder() {
        Some(holder) => {
            write!(f, "acquired at {}{}", holder.place(), User(holder))?;
            match holder.time() {
                Some(time) => write!(f, ", held for {}", Age(time))?,
                None => f.write_str(", never released")?,
            }
        }
        None => f.write_str("released and handed to the first waiter, not polled since")?,
    }
    for waiter in first.waiters().iter().take(WAITERS) {
        write!(f, "\n     requested at {}{}", waiter.place(), User(waiter))?;
        if let Some(time) = waiter.time() {
            write!(f, ", waiting for {}", Age(time))?;
        }
    }
    match first.waiters().len().saturating_sub(WAITERS) {
        0 => Ok(()),
        more => write!(f, "\n     and {more} more waiting"),
    }
}

/// Writes the user of a lock: `by the test`, or that it is none of the test's tasks.
struct User<'a>(&'a Acquisition);

impl fmt::Display for User<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.by() {
            Some(by) => write!(f, " {}", By(by)),
            None => f.write_str(" outside this test"),
        }
    }
}
