//! What to do about a finding: the last lines of a report.

mod awaited;
mod blocker;
mod deadlock;
mod hang;
mod leftovers;
mod panicked;
mod rule;

use std::fmt;

use crate::leak::render::advice::deadlock::deadlocked;
use crate::leak::render::advice::hang::{hung, late, stuck};
use crate::leak::render::advice::leftovers::{blocking_leaked, leaked, locks_held, threads_leaked};
use crate::leak::render::advice::panicked::panicked;
use crate::leak::report::Report;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::verdict::Verdict;
use crate::wording::{NAME, cut};

/// How many tasks one step names.
const NAMED: usize = 5;

/// Why a finding matters, and the steps that fix it.
struct Advice {
    why: &'static str,
    steps: Vec<String>,
}

/// Writes what to do about the finding that decided the verdict, and about panics beside it.
pub(crate) fn write_advice(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let mut before = "\n";
    for Advice { why, steps } in advice(report) {
        let space = if why.is_empty() { "" } else { " " };
        write!(f, "{before}{why}{space}What to do:")?;
        steps.iter().try_for_each(|step| write!(f, "\n  {step}"))?;
        before = "\n\n";
    }
    Ok(())
}

/// Advice on the verdict. The steps on a panic end no leak and no hang, so a finding beside a panic gets
/// its own advice. Elsewhere the steps on the verdict include those on what ranks lower.
fn advice(report: &Report) -> Vec<Advice> {
    let mut found = report.ranked();
    let with_panics = found.iter().take(2).any(|kind| *kind == Verdict::Panicked);
    found.truncate(if with_panics { 2 } else { 1 });
    let found = found.iter();
    found.filter_map(|kind| advice_on(kind, report)).collect()
}

fn advice_on(kind: &Verdict, report: &Report) -> Option<Advice> {
    match kind {
        Verdict::Deadlocked { wait } => Some(deadlocked(report, wait)),
        Verdict::Hung { timeout, wait } => Some(hung(report, wait, *timeout)),
        Verdict::Late { .. } => Some(late(report)),
        Verdict::Stuck => Some(stuck(report)),
        Verdict::Panicked => Some(panicked(report)),
        Verdict::Leaked => Some(leaked(report)),
        Verdict::BlockingLeaked => Some(blocking_leaked(report)),
        Verdict::LocksHeld => Some(locks_held(report)),
        Verdict::ThreadsLeaked => Some(threads_leaked(report)),
        // The reason in the headline already says what to do.
        Verdict::NotRun(_) | Verdict::CheckFailed(_) => None,
    }
}

/// The numbers and names of the tasks that fit, or `None` if there is none.
fn labels(report: &Report, fits: impl Fn(&LeakedTask) -> bool) -> Option<String> {
    let tasks: Vec<_> = report.tasks().iter().filter(|task| fits(task)).collect();
    let named = tasks.iter().take(NAMED).map(|task| match task.name() {
        Some(name) => format!("#{} `{}`", task.number(), cut(name, NAME)),
        None => format!("#{}", task.number()),
    });
    let mut labels = named.collect::<Vec<_>>().join(", ");
    if tasks.len() > NAMED {
        labels.push_str(", ..");
    }
    (!labels.is_empty()).then_some(labels)
}

fn more_time(report: &Report) -> String {
    let setting = setting(report, "timeout = \"..\"", "timeout(..)");
    format!("if it only needs more time: {setting}")
}

/// A setting as the test would write it: in the attribute, or with the builder.
fn setting(report: &Report, attribute: &str, builder: &str) -> String {
    match report.test() {
        Some(_) => format!("`#[straggler::test({attribute})]`"),
        None => format!("`LeakCheck::new().{builder}`"),
    }
}
