//! Names the rules that allow what a report found.

use std::path::Path;

use crate::leak::render::advice::setting;
use crate::leak::report::Report;
use crate::leak::report::blocking_work::BlockingWork;
use crate::leak::report::leaked_task::LeakedTask;
use crate::trace::place::Place;

/// Names the rules that allow every task and closure in the report.
pub(super) fn rule(report: &Report) -> Vec<String> {
    let findings = report.findings();
    let unseen_blocking = findings
        .unseen_blocking
        .saturating_sub(findings.may_be_tasks);
    // `allow = n` counts tasks and closures together, also those it allows already.
    let count = report.count() + findings.blocking.len() + unseen_blocking + findings.also_left;
    let in_attribute = match rules_by_place(report) {
        Some(rules) => {
            let written = rules
                .iter()
                .map(|(place, count)| format!("\"{place}\" = {count}"));
            format!("allow({})", written.collect::<Vec<_>>().join(", "))
        }
        None => format!("allow = {count}"),
    };
    let setting = setting(report, &in_attribute, &format!("allow({count})"));
    let mut steps = vec![format!("if it may outlive the test: {setting}")];
    steps.extend(rule_of_suite(report));
    steps.extend(rule_of_module(report));
    steps
}

/// Counts the leftovers by package, or by file if they are the user's. Returns `None` if some have no place,
/// or if there are too many places.
fn rules_by_place(report: &Report) -> Option<Vec<(&str, usize)>> {
    let findings = report.findings();
    let tasks = findings.tasks.iter().map(LeakedTask::place);
    let closures = findings.blocking.iter().map(BlockingWork::place);
    let mut rules: Vec<(&str, usize)> = Vec::new();
    for place in tasks.chain(closures) {
        // A rule for the standard library would allow every such spawn.
        if place.is_standard() {
            return None;
        }
        // A version or a file of a dependency changes with its next update.
        let place = place.package().unwrap_or(place.file());
        match rules.iter_mut().find(|(known, _)| *known == place) {
            Some((_, count)) => *count += 1,
            // The test may have a rule for it, whose room is used up.
            None => rules.push((place, findings.rules.limit_at(place) + 1)),
        }
    }
    let is_seen = findings.unseen + findings.unseen_blocking == 0;
    (is_seen && rules.len() <= RULES).then_some(rules)
}

/// How many places one attribute should name.
const RULES: usize = 3;

/// Names the rule for a dependency whose tasks outlive every test.
fn rule_of_suite(report: &Report) -> Option<String> {
    let tasks = report.tasks().iter().map(LeakedTask::place);
    let mut packages = tasks.map(Place::package);
    let package = packages.next()??;
    let is_same = packages.all(|other| other == Some(package));
    let count = report.tasks().len();
    let is_seen = is_same && report.unseen() == 0;
    is_seen.then(|| format!("if it outlives every test: `STRAGGLER_ALLOW=\"{package}={count}\"`"))
}

/// Names the rule for the module of a unit test, since its file has code of the library too.
fn rule_of_module(report: &Report) -> Option<String> {
    let rules = rules_by_place(report)?;
    let file = report.place().file();
    let (_, count) = rules.iter().find(|(place, _)| *place == file)?;
    let (module, _) = report.test()?.rsplit_once("::")?;
    let module = module.rsplit("::").next()?;
    let has_own_file = Path::new(file).file_stem()? == module;
    (!has_own_file).then(|| {
        format!(
            "if only `{module}` spawns it, keep the other leaks of the file failing: \
             `allow(\"{file}::{module}\" = {count})`"
        )
    })
}
