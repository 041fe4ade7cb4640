//! Locks, in words.

use std::fmt;

use crate::leak::render::groups;
use crate::leak::render::tasks::By;
use crate::leak::report::Report;
use crate::leak::report::acquisition::Acquisition;
use crate::leak::report::lock_state::LockState;
use crate::leak::report::verdict::Verdict;
use crate::wording::{Age, count, is_or_are};

/// How many of those who wait for a lock a report lists.
const WAITERS: usize = 5;

/// `1 lock is`, `2 locks are`.
pub(crate) fn locks_are(number: usize) -> String {
    format!("{} {}", count(number, "lock"), is_or_are(number))
}

/// Lists the locks that are held, below what ranks higher.
pub(crate) fn write_section(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let held = report.locks();
    match (held.len(), report.verdict()) {
        (0, _) => return Ok(()),
        (_, Verdict::LocksHeld) => f.write_str("\n")?,
        (number, verdict) if verdict.is_under_way() => {
            write!(f, "\n\nmeanwhile {} in use:\n", locks_are(number))?;
        }
        (number, _) => write!(f, "\n\nbesides {} still held:\n", locks_are(number))?,
    }
    groups::write(
        f,
        &groups::of_locks(held),
        write_group,
        ", acquired elsewhere",
    )
}

/// Writes of locks that are alike who holds them and who waits.
pub(crate) fn write_group(f: &mut fmt::Formatter<'_>, group: &[&LockState]) -> fmt::Result {
    let first = group[0];
    f.write_str("\n  ")?;
    if group.len() > 1 {
        write!(f, "{} locks: ", group.len())?;
    }
    match first.holder() {
        Some(holder) => {
            write!(f, "acquired at {}{}", holder.place(), OfTest(holder))?;
            match holder.time() {
                Some(time) => write!(f, ", held for {}", Age(time))?,
                None => f.write_str(", and not released")?,
            }
        }
        None => f.write_str("handed on to the first waiter, which has not been polled since")?,
    }
    for waiter in first.waiters().iter().take(WAITERS) {
        write!(
            f,
            "\n     waited for at {}{}",
            waiter.place(),
            OfTest(waiter)
        )?;
        if let Some(time) = waiter.time() {
            write!(f, ", for {}", Age(time))?;
        }
    }
    match first.waiters().len().saturating_sub(WAITERS) {
        0 => Ok(()),
        more => write!(f, "\n     and by {more} more"),
    }
}

/// Who uses a lock, in words.
struct OfTest<'a>(&'a Acquisition);

impl fmt::Display for OfTest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.by() {
            Some(by) => write!(f, " {}", By(by)),
            None => f.write_str(" outside of this test"),
        }
    }
}
