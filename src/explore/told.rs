//! What happened in a run, step by step.

use std::fmt;

use crate::leak::trace::Trace;
use crate::leak::{Symbols, Wait, WaitPlace};

/// What was seen of one step.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) who: String,
    pub(super) does: Does,
}

#[derive(Debug)]
pub(super) enum Does {
    /// It could be polled, and others were first.
    IsPutOff,
    /// It may do so many operations before it has to yield. More is not seen of it.
    #[cfg_attr(not(tokio_unstable), allow(dead_code, reason = "there are no hooks"))]
    MayDo(usize),
    /// It was polled until it waited for something, or yielded.
    Waits(Trace),
    /// None of the children of its combinators could be polled.
    WaitsForChildren,
    /// It was made to yield at a checkpoint.
    StopsAt(&'static str),
    Ends,
    Panics,
}

/// The steps of a run, in the order in which they were made.
///
/// `Display` writes one line for each. Of a run with the plain order there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    steps: Vec<Step>,
}

/// A step of a run: a child of a combinator, a task or the body was polled once, or put off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    who: String,
    does: String,
}

impl Schedule {
    pub(super) fn new(told: Vec<Told>) -> Self {
        let mut symbols = Symbols::default();
        let steps = told.into_iter().map(|told| Step {
            who: told.who,
            does: told.does.into_text(&mut symbols),
        });
        Self {
            steps: steps.collect(),
        }
    }

    /// Returns the steps, in the order in which they were made.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl Step {
    /// Returns whose turn it was, as in `` child #0 `ada` ``, `task #3` or `the body`.
    #[must_use]
    pub fn who(&self) -> &str {
        &self.who
    }

    /// Returns how far it came, as in `yields at src/service.rs:31:28 in service::register`.
    #[must_use]
    pub fn does(&self) -> &str {
        &self.does
    }
}

impl Does {
    fn into_text(self, symbols: &mut Symbols) -> String {
        match self {
            Self::IsPutOff => "is put off".to_owned(),
            Self::MayDo(1) => "is polled, and has to yield after 1 operation".to_owned(),
            Self::MayDo(count) => {
                format!("is polled, and has to yield after {count} operations")
            }
            Self::StopsAt(name) => format!("yields at the checkpoint `{name}`"),
            Self::WaitsForChildren => "waits for its children".to_owned(),
            Self::Ends => "comes to its end".to_owned(),
            Self::Panics => "panics".to_owned(),
            Self::Waits(trace) => match Wait::of(trace, symbols) {
                Wait::At(places) => at("waits", &places),
                Wait::Busy(places) => at("yields", &places),
                _ => "waits, and keeps no waker".to_owned(),
            },
        }
    }
}

/// Names the places by their innermost lines: what leads there stands in the source.
fn at(does: &str, places: &[WaitPlace]) -> String {
    let places = places.iter().map(|place| {
        let call = place.calls().first().map(ToString::to_string);
        match (call, place.on()) {
            (Some(call), Some(on)) => format!("{call}, on {on}"),
            (Some(call), None) => call,
            (None, Some(on)) => on.to_owned(),
            (None, None) => "a place that is not known".to_owned(),
        }
    });
    format!("{does} at {}", places.collect::<Vec<_>>().join(" and "))
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.steps.len().to_string().len();
        for (index, Step { who, does }) in self.steps.iter().enumerate() {
            let before = if index == 0 { "" } else { "\n" };
            write!(f, "{before}{:>width$}. {who} {does}", index + 1)?;
        }
        Ok(())
    }
}
