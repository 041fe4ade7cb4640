//! Notes on a report: what this build cannot show, and how to see it.

use std::fmt;

use crate::leak::report::Report;
use crate::leak::report::findings::Findings;
use crate::leak::report::leaked_task::LeakedTask;
use crate::trace::wait::Wait;
use crate::wording::{count, is_or_are};

/// How to track every spawn of a crate.
const SHADOW: &str =
    "run `cargo straggler test` (docs/cargo.md), which tracks every spawn.
For `cargo test`, depend on `straggler-tokio` (folder `tokio/` of the straggler repository) and add
    extern crate straggler_tokio as tokio;
at the root of the crate that spawns: the test file, or lib.rs, under `#[cfg(test)]` for unit tests. For tests in
`tests/` that track the spawns of their library, docs/leaks.md shows the manifest.";

/// What straggler does not track in a test whose spawns it tracks.
const TRACKED: &str = "Straggler tracks other spawns of this test. Untracked are methods such as `Handle::spawn`, spawns in
dependencies, and crates without `extern crate straggler_tokio as tokio;` (docs/leaks.md shows where that
line goes).";

const FLAG: &str = "RUSTFLAGS=\"--cfg tokio_unstable\"";

/// Writes how to see more than this build shows, then one line a note.
pub(crate) fn write_notes(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    write_how_to_track(f, report.findings())?;
    let notes = notes(report);
    if !notes.is_empty() {
        f.write_str("\n")?;
    }
    notes
        .iter()
        .try_for_each(|note| writeln!(f, "note: {note}"))
}

fn write_how_to_track(f: &mut fmt::Formatter<'_>, findings: &Findings) -> fmt::Result {
    // The user cannot add the line to a dependency, so a task of one gets no such advice.
    let is_hooked =
        |task: &LeakedTask| *task.wait() == Wait::Unknown && task.place().package().is_none();
    let has_hooked = findings.tasks.iter().any(is_hooked);
    let (they, were, they_wait) = match findings.unseen {
        1 => ("it", "was", "it waits"),
        _ => ("they", "were", "they wait"),
    };
    let is_untracked = findings.unseen > 0 || has_hooked;
    if is_untracked && findings.has_tracked {
        write!(f, "\n{TRACKED}\n")?;
        if findings.unseen > 0 {
            writeln!(f, "To see where {they} {were} spawned, build with {FLAG}.")?;
        }
    } else if findings.unseen > 0 {
        write!(
            f,
            "
To see where {they} {were} spawned and where {they_wait}, {SHADOW}
To see spawns by `Handle::spawn` and by dependencies there too, build with {FLAG}.
"
        )?;
    } else if has_hooked {
        write!(f, "\nTo see where tasks wait, {SHADOW}\n")?;
    }
    write_closure_note(f, findings, is_untracked)
}

/// Says how to track closures, unless `is_said`: the note on tasks says the same.
fn write_closure_note(
    f: &mut fmt::Formatter<'_>,
    findings: &Findings,
    is_said: bool,
) -> fmt::Result {
    if findings.unseen_blocking == 0 {
        return Ok(());
    }
    match (is_said, findings.has_tracked) {
        (true, _) => {}
        (false, true) => write!(f, "\n{TRACKED}")?,
        (false, false) => write!(f, "\nTo see where `spawn_blocking` was called, {SHADOW}")?,
    }
    f.write_str(
        "
Closures from `Handle::spawn_blocking` or a dependency are only counted, as are tokio's own: file I/O,
stdin and DNS lookups.
",
    )
}

/// Says that rules with a place allowed leftovers that may have been spawned elsewhere.
pub(crate) fn assumed(number: usize) -> String {
    let it_was = if number == 1 { "it was" } else { "they were" };
    let leftovers = count(number, "leftover");
    format!(
        "`allow` with a place allowed {leftovers}, though this build does not see where {it_was} spawned"
    )
}

/// Explains rules and settings that had an effect the test may not expect.
fn notes(report: &Report) -> Vec<String> {
    let findings = report.findings();
    let mut notes = Vec::new();
    let unused = findings.unused_rules.iter();
    notes.extend(unused.map(|rule| format!("`{rule}` allowed nothing: no leftover matches it")));
    if findings.assumed > 0 {
        notes.push(assumed(findings.assumed));
    }
    if findings.unseen + findings.unseen_blocking > 0 && findings.rules.need_places() {
        notes.push(
            "a rule with a place allows untracked leftovers up to its count, or any number if it has no \
             count and matched nothing else"
                .to_owned(),
        );
    }
    if findings.also_left > 0 {
        let (left, are) = (findings.also_left, is_or_are(findings.also_left));
        notes.push(format!(
            "`allow` counts tasks and closures together: {} {are} not listed",
            count(left, "allowed leftover")
        ));
    }
    if let Some(reason) = &findings.threads_unknown {
        notes.push(format!("the check for leaked threads failed: it {reason}"));
    }
    if findings.is_shared {
        notes.push(
            "another watch of this runtime was open at the same time: its test may have spawned what is \
             listed here. Run such tests one after the other"
                .to_owned(),
        );
    }
    if findings.clock_stood_still && report.count() > 0 && findings.ending.is_none() {
        notes.push(
            "the paused clock stopped when the body ended, so no sleep completes any more"
                .to_owned(),
        );
    }
    notes
}
