//! What a report cannot show in this build, and what would show it.

use std::fmt;

use crate::leak::render::blocking;
use crate::leak::report::Report;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::verdict::Verdict;
use crate::trace::wait::Wait;

/// How a whole crate is tracked.
pub(crate) const SHADOW: &str =
    "depend on `straggler-tokio` (the folder `tokio/` of straggler), and write
    extern crate straggler_tokio as tokio;
at the root of the crate that spawns tasks: in a lib.rs below #[cfg(test)] for its unit tests; for
tests in tests/ make it an optional dependency, and put the line below its feature.";

/// Says what this build does not show, and what would.
pub(crate) fn write_notes(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let findings = report.findings();
    // That of a dependency cannot be changed.
    let is_hooked = |task: &LeakedTask| *task.wait() == Wait::Unknown && task.caller().is_none();
    let (they, were, they_wait) = match findings.unseen {
        1 => ("it", "was", "it waits"),
        _ => ("they", "were", "they wait"),
    };
    if findings.unseen > 0 {
        write!(
            f,
            "
To see where {they} {were} spawned and where {they_wait}: {SHADOW}
Spawns by methods such as `Handle::spawn`, and those of dependencies, are seen in a build with
RUSTFLAGS=\"--cfg tokio_unstable\".
"
        )?;
    } else if findings.tasks.iter().any(is_hooked) {
        write!(f, "\nTo see where tasks wait: {SHADOW}\n")?;
    }
    let is_said = findings.unseen > 0 || findings.tasks.iter().any(is_hooked);
    blocking::write_note(f, findings, is_said)?;
    let mut notes = Vec::new();
    let (what, it_was, left) = if report.count() == 0 {
        ("blocking work", "it was", "the blocking work that is left")
    } else {
        ("tasks", "they were", "the tasks that are left")
    };
    if findings.unseen + findings.unseen_blocking > 0 && findings.places_were_needed {
        notes.push(format!(
            "rules for places can only match {what} of which it is seen where {it_was} spawned"
        ));
    } else {
        let unused = findings.unused_rules.iter();
        notes.extend(
            unused
                .map(|rule| format!("`{rule}` allowed nothing: none of {left} was spawned there")),
        );
    }
    if findings.also_left > 0 {
        notes.push(format!(
            "what is allowed counts for tasks and blocking work together: {} left besides",
            match findings.also_left {
                1 => "1 is".to_owned(),
                left => format!("{left} are"),
            }
        ));
    }
    if let Some(reason) = &findings.threads_unknown {
        notes.push(format!(
            "whether threads are left could not be found out: {reason}"
        ));
    }
    if findings.clock_stood_still && *report.verdict() == Verdict::Leaked {
        notes.push(
            "the clock is paused, and stands still once the body has ended: no sleep ends any more"
                .to_owned(),
        );
    }
    if !notes.is_empty() {
        f.write_str("\n")?;
    }
    notes
        .iter()
        .try_for_each(|note| writeln!(f, "note: {note}"))
}
