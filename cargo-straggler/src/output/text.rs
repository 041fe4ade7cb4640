//! A place or a schedule as lines of plain text, for formats that hold text.

use crate::exploration::Failed;
use crate::output::results::{Example, ReportedPlace};

/// Where, how, and what to do: everything but what is wrong.
pub(crate) fn of_place(place: &ReportedPlace) -> String {
    of_example(place, &place.example)
}

/// The same of one finding there.
pub(crate) fn of_example(place: &ReportedPlace, example: &Example) -> String {
    let message = example.message.as_ref();
    let message = message.map(|message| format!("message: {message}"));
    let help = format!("help: {}", place.advice);
    let facts = example.facts.iter().cloned();
    join(facts.chain(message).chain([help]))
}

/// What happened, and how to run it again.
pub(crate) fn of_schedule(failed: &Failed) -> String {
    let message = failed.message.as_ref();
    let message = message.map(|message| format!("message: {message}"));
    let replay = failed.replay().map(|replay| format!("replay: {replay}"));
    join(message.into_iter().chain(replay))
}

fn join(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}
