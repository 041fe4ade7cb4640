//! The text of a failure: what failed, in which schedule, and how to replay it.

use std::fmt;

use crate::explore::advice::advice;
use crate::explore::cancelled_text;
use crate::explore::diagram_text;
use crate::explore::divergence::NOT_REPLAYED;
use crate::explore::failure::{Cause, Failed, Failure, Reorderings};
use crate::leak::render::summary::NOTHING_TO_CANCEL;
use crate::leak::render::text::{AfterPanic, WithoutAdvice};
use crate::leak::report::Report;
use crate::leak::report::verdict::Verdict;
use crate::schedule::points;
use crate::schedule::step::Step;
use crate::trace::place::Place;
use crate::wording::{TEXT, count, cut};

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.failed();
        let place = Place::from(failed.place);
        let test = match &failed.test {
            Some(test) => format!("the test `{test}` ({place})"),
            None => format!("the exploration at {place}"),
        };
        match &failed.cause {
            Cause::NotRun(reason) => return write!(f, "explore: {test} was not run: {reason}"),
            Cause::NoOverlap => return write_no_overlap(f, &test, failed),
            Cause::Unscheduled(tasks) => return write_unscheduled(f, &test, *tasks, failed.runs),
            Cause::Diverged(run) => return write_diverged(f, &test, *run),
            Cause::NothingToCancel => return write!(f, "explore: {test} {NOTHING_TO_CANCEL}"),
            Cause::Panicked { .. } | Cause::ReturnedError { .. } | Cause::Found(_) => {}
        }
        write!(f, "explore: {test} failed")?;
        let is_steered = failed.reorderings.is_some();
        // A replay makes a single run, and its number would say nothing. What was cancelled says more than it does.
        if failed.is_exhaustive {
            write!(f, " in run {}", failed.run)?;
        } else if failed.runs > 1 && (is_steered || !failed.cancels) {
            write!(f, " in run {} of {}", failed.run, failed.runs)?;
        }
        if let Some(cancelled) = &failed.cancelled {
            f.write_str(match (cancelled.operations.len(), is_steered) {
                (1, false) => " when its operation was cancelled",
                (_, false) => " when its operation was cancelled twice",
                (1, true) => ", when an operation was cancelled",
                (_, true) => ", when operations were cancelled",
            })?;
        }
        if failed.is_uncancelled() {
            f.write_str(" before anything was cancelled")?;
        }
        f.write_str("\n\n  ")?;
        let report = self.report();
        write_cause(f, failed, report)?;
        write_schedule(f, failed)?;
        match &failed.cancelled {
            Some(cancelled) => cancelled_text::write(f, failed, cancelled)?,
            None => write_advice(f, failed)?,
        }
        if let Some(jump) = &failed.clock_jump {
            write!(f, "\n\nnote: {jump}")?;
        }
        if let Some(note) = &failed.note {
            write!(f, "\n\nnote: {note}")?;
        }
        let ending = report.and_then(Report::ending);
        if matches!(ending, Some(Verdict::Hung { .. })) {
            f.write_str(
                "\n\nnote: this may be a deadlock. Straggler detects deadlocks only if all tasks are spawned \
                 through straggler and wait for tokio or straggler, not inside another dependency, the build has \
                 debug information, and no timer keeps firing (an `interval`, or a `sleep` in a loop)",
            )?;
        }
        write_replay(f, failed)
    }
}

/// The cause in one line.
pub(crate) fn heading(failed: &Failed) -> String {
    let cause = match &failed.cause {
        Cause::NothingToCancel => format!("the test {NOTHING_TO_CANCEL}"),
        Cause::NotRun(reason) => format!("the test was not run: {reason}"),
        Cause::NoOverlap => "no two children and no two tasks overlapped".to_owned(),
        Cause::Diverged(_) => "the body depends on more than its schedule".to_owned(),
        Cause::Unscheduled(_) => "tasks ran that no schedule decides".to_owned(),
        Cause::Panicked { panic, .. } => match panic.message() {
            Some(message) => format!("the body panicked: {message}"),
            None => "the body panicked".to_owned(),
        },
        Cause::ReturnedError { error, .. } => format!("the body returned an error: {error}"),
        Cause::Found(report) => match report.verdict() {
            Verdict::Deadlocked { .. } => "deadlock: no task can make progress".to_owned(),
            _ => report.to_string(),
        },
    };
    let first = cause.lines().next().unwrap_or_default();
    first
        .strip_prefix("leak_check: ")
        .unwrap_or(first)
        .to_owned()
}

fn write_no_overlap(f: &mut fmt::Formatter<'_>, test: &str, failed: &Failed) -> fmt::Result {
    let runs = count(failed.runs, "run");
    write!(
        f,
        "explore: no two children of a join and no two tasks were in flight at once in {runs} of \
         {test}\n\n\
         Straggler sees the children of `settle_all`, `barrier` and their macros, and tasks spawned through \
         straggler. What to do:\n  \
         start everything that should race before the first of it ends\n  \
         if the body, branches of another join or untracked tasks race, make them children or tracked \
         tasks\n  \
         if nothing should race, remove `require_overlap`"
    )?;
    match &failed.note {
        Some(note) => write!(f, "\n\nnote: {note}"),
        None => Ok(()),
    }
}

fn write_unscheduled(
    f: &mut fmt::Formatter<'_>,
    test: &str,
    tasks: usize,
    runs: usize,
) -> fmt::Result {
    let were = if tasks == 1 { "was" } else { "were" };
    write!(
        f,
        "explore: {test} passed in {runs} runs, but no schedule decided when its untracked tasks ran: \
         {tasks} of them {were} alive at a time\n\n\
         Tokio ran them in its own order, so a race with them was not explored. What to do:\n  \
         spawn them with `straggler::spawn` or straggler's `JoinSet`; the line `extern crate straggler_tokio \
         as tokio;` does so for a whole crate\n  \
         if a dependency spawns them, build with RUSTFLAGS=\"--cfg tokio_unstable\", or run \
         `cargo straggler explore`\n  \
         if their order does not matter: `#[straggler::test(explore = {runs}, unscheduled = \"allow\")]`, \
         or `Explore::allow_unscheduled`"
    )
}

fn write_diverged(f: &mut fmt::Formatter<'_>, test: &str, run: usize) -> fmt::Result {
    write!(
        f,
        "explore: the schedules of {test} cannot be enumerated: run {run} repeated the decisions of an earlier run, \
         but took another course\n\n\
         The body depends on more than its schedule. What to do:\n  \
         find what differs from run to run: {NOT_REPLAYED}\n  \
         if that is as intended: explore a sample, as with `explore = 500`"
    )
}

fn write_cause(
    f: &mut fmt::Formatter<'_>,
    failed: &Failed,
    report: Option<&Report>,
) -> fmt::Result {
    let cause = &failed.cause;
    let mut before_report = "\n\n  also ";
    match cause {
        Cause::Panicked { panic, place, .. } => {
            f.write_str("the body panicked")?;
            if let Some(place) = place {
                write!(f, " at {place}")?;
            }
            let message = panic.message().unwrap_or("(the payload is not a string)");
            write!(f, ": {}", cut(message, TEXT).replace('\n', "\n  "))?;
        }
        Cause::ReturnedError { error, .. } => {
            let error = cut(error, TEXT).replace('\n', "\n  ");
            write!(f, "the body returned an error: {error}")?;
        }
        Cause::Found(_)
        | Cause::NoOverlap
        | Cause::Unscheduled(_)
        | Cause::Diverged(_)
        | Cause::NothingToCancel
        | Cause::NotRun(_) => {
            before_report = "";
        }
    }
    match report {
        Some(report) => {
            let report = match cause {
                Cause::Panicked { .. } => {
                    before_report = "\n\n  ";
                    AfterPanic(report).to_string()
                }
                Cause::Found(_) if cancelled_text::diagnosis(failed).is_some() => {
                    WithoutAdvice(report).to_string().trim_end().to_owned()
                }
                _ => report.to_string(),
            };
            let report = report.replace('\n', "\n  ");
            write!(f, "{before_report}{report}")
        }
        None => Ok(()),
    }
}

fn write_schedule(f: &mut fmt::Formatter<'_>, failed: &Failed) -> fmt::Result {
    write!(f, "\n\n{}", schedule_summary(failed))?;
    if failed.schedule.steps().is_empty() {
        return f.write_str(".");
    }
    let schedule = failed.schedule.to_string().replace('\n', "\n  ");
    write!(f, ":\n\n  {schedule}")?;
    match diagram_text::draw(&failed.schedule) {
        Some(diagram) => write!(f, "\n\n  {}", diagram.replace('\n', "\n  ")),
        None => Ok(()),
    }
}

fn write_advice(f: &mut fmt::Formatter<'_>, failed: &Failed) -> fmt::Result {
    let steps = advice(failed);
    if steps.is_empty() {
        return Ok(());
    }
    f.write_str("\n\nWhat to do:")?;
    steps.iter().try_for_each(|step| write!(f, "\n  {step}"))
}

/// What is known of the schedule, in one line without a full stop.
pub(crate) fn schedule_summary(failed: &Failed) -> String {
    if failed.run == 0 {
        return "No single run failed".to_owned();
    }
    let is_recorded = !failed.schedule.steps().is_empty();
    if failed.cancelled.is_some() && failed.reorderings.is_none() {
        return if is_recorded {
            let actors = failed.schedule.steps().iter().map(Step::actor);
            let one = actors.clone().next();
            if actors.clone().all(|actor| Some(actor) == one) {
                "what the operation did".to_owned()
            } else {
                "what the operations did".to_owned()
            }
        } else {
            "The steps were not recorded, since the run did not fail again".to_owned()
        };
    }
    if failed.is_uncancelled() {
        let what = if is_recorded {
            ". What the operation did"
        } else {
            ""
        };
        return format!("The test fails without a cancellation too{what}");
    }
    let Some(Reorderings { found, shown }) = failed.reorderings else {
        return "The run used the plain order, without forced reorderings".to_owned();
    };
    let steps = failed.schedule.steps().len() + failed.schedule.omitted();
    if !is_recorded {
        return "The steps were not recorded: replay the run to see them".to_owned();
    }
    // Only after shrinking is each remaining decision known to matter.
    let is_minimal = found > shown;
    let minimal = if is_minimal { "minimal " } else { "" };
    let cancelled = failed.cancelled.as_ref();
    let times = cancelled.map_or(0, |cancelled| cancelled.operations.len());
    let forced = match shown.saturating_sub(times) {
        0 if times > 0 => count(times, "cancellation"),
        forced if times > 0 => format!(
            "{}, {}",
            count(forced, "forced reordering"),
            count(times, "cancellation")
        ),
        0 => "one child at a time, no forced reordering".to_owned(),
        forced => count(forced, "forced reordering"),
    };
    let reduced = if is_minimal {
        format!(" (reduced from {found})")
    } else {
        String::new()
    };
    let steps = count(steps, "step");
    format!("{minimal}failing schedule: {steps}, {forced}{reduced}")
}

fn write_replay(f: &mut fmt::Formatter<'_>, failed: &Failed) -> fmt::Result {
    // A seed means something else in the other kind of build. The command makes a plain one, unless told otherwise.
    let build = if points::ARE_PRESENT {
        " in a build with scheduling points"
    } else {
        ""
    };
    write!(f, "\n\nTo replay this run{build}, also in a debugger:\n  ")?;
    let variables = failed.replay_variables();
    match failed.replay() {
        Some(replay) => f.write_str(&replay),
        None => write!(
            f,
            "`.replay(\"{}\".parse().unwrap())`, or {variables}",
            failed.seed
        ),
    }
}
