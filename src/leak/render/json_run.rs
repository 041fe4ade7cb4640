//! The failed run of an exploration, for [`json`](super::json).

use crate::leak::render::json_findings::{LISTED, at};
use crate::leak::render::json_value::{Object, Value};
use crate::leak::render::summary::FailedRun;
use crate::schedule::step::Step;
use crate::trace::call::Call;

/// How many bytes of SVG a line has. A picture that was cut would be no picture.
const SVG: usize = 60_000;

/// An exploration, and the run that failed.
pub(super) fn of_exploration<'a>(runs: usize, failed: Option<&'a FailedRun<'_>>) -> Object<'a> {
    let object = Object::new()
        .with("runs", runs)
        .with("run", failed.map(|run| run.number))
        .with("seed", failed.map(|run| run.seed.as_str()))
        .with_some("replay", failed.and_then(|run| run.replay.as_deref()));
    let Some(FailedRun { schedule, svg, .. }) = failed else {
        return object;
    };
    if schedule.steps().is_empty() {
        return object;
    }
    let shown = schedule.steps().iter().take(LISTED).map(of_step);
    let omitted = schedule.omitted() + schedule.steps().len().saturating_sub(LISTED);
    let svg = (svg.len() <= SVG).then_some(Value::Whole(svg));
    object
        .with("schedule", shown.collect::<Vec<_>>())
        .with_some("schedule_omitted", (omitted > 0).then_some(omitted))
        .with_some("svg", svg)
}

fn of_step(step: &Step) -> Object<'_> {
    let place = step.spot().call.as_ref().and_then(Call::place);
    Object::new()
        .with("actor", step.actor())
        .with("action", step.action())
        .and(at(place))
        .with_some("branches", some_texts(step.branches()))
        .with_some("wakes", some_texts(step.wakes()))
}

fn some_texts(texts: &[String]) -> Option<Vec<&str>> {
    let listed = texts.iter().take(LISTED).map(String::as_str);
    (!texts.is_empty()).then(|| listed.collect())
}
