//! Where a step left off: a line of the user's code, and what it waits on there.

use crate::trace::call::Call;
use crate::trace::wait::WaitPlace;

/// How many branches a step lists.
const LISTED: usize = 10;

/// Where a step left off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The innermost call around everything that the step waits on.
    pub(crate) call: Option<Call>,
    /// The innermost call of each branch.
    pub(crate) innermost: Vec<Call>,
    /// The awaited types or functions, one for each branch.
    pub(crate) on: Vec<String>,
    /// One line for each branch of a `select!` or `join!` around several awaited futures, else empty.
    pub(crate) branches: Vec<String>,
    /// How many branches there are, listed or not.
    count: usize,
}

impl Spot {
    pub(crate) fn checkpoint(name: &str) -> Self {
        Self {
            on: vec![format!("`{name}`")],
            ..Self::default()
        }
    }

    pub(crate) fn of(places: &[WaitPlace]) -> Self {
        let on = places.iter().filter_map(WaitPlace::on).map(str::to_owned);
        let on = on.collect();
        let innermost = places.iter().filter_map(|place| place.calls().first());
        let innermost = innermost.cloned().collect();
        if let [place] = places {
            return Self {
                call: place.calls().first().cloned(),
                innermost,
                on,
                branches: Vec::new(),
                count: 1,
            };
        }
        let shared = shared_calls(places);
        let call = places.first().and_then(|place| {
            let own = place.calls().len() - shared;
            place.calls().get(own).cloned()
        });
        let branches = places.iter().map(|place| branch(place, shared));
        Self {
            call,
            innermost,
            on,
            branches: distinct(branches.collect()),
            count: places.len(),
        }
    }

    /// The text of a place behind a verb. It names the innermost line only: the callers are in the source.
    pub(crate) fn text(&self) -> String {
        let call = self.call.as_ref().map(ToString::to_string);
        if !self.branches.is_empty() {
            let branches = format!("{} branches", self.count);
            return match call {
                Some(call) => format!("at {call}, in {branches}"),
                None => format!("in {branches}"),
            };
        }
        match (call, self.on.first()) {
            (Some(call), Some(on)) => format!("at {call}, on {on}"),
            (Some(call), None) => format!("at {call}"),
            (None, Some(on)) => format!("at {on}"),
            (None, None) => "at an unknown place".to_owned(),
        }
    }
}

/// Counts the outermost calls that all places have in common.
fn shared_calls(places: &[WaitPlace]) -> usize {
    let Some((first, rest)) = places.split_first() else {
        return 0;
    };
    let shared = |other: &WaitPlace| {
        let calls = first.calls().iter().rev().zip(other.calls().iter().rev());
        calls.take_while(|(one, other)| one == other).count()
    };
    let counts = rest.iter().map(shared);
    counts.min().unwrap_or(first.calls().len())
}

/// Names a branch by its innermost line, unless that is the line of all branches.
fn branch(place: &WaitPlace, shared: usize) -> String {
    let own = place.calls().len() - shared;
    let call = place.calls()[..own].first();
    match (call, place.on()) {
        (Some(call), Some(on)) => format!("at {call}, on {on}"),
        (Some(call), None) => format!("at {call}"),
        (None, Some(on)) => format!("on {on}"),
        (None, None) => "at an unknown place".to_owned(),
    }
}

/// One of each line, and none if all are alike.
fn distinct(mut branches: Vec<String>) -> Vec<String> {
    branches.dedup();
    if branches.len() < 2 {
        return Vec::new();
    }
    let more = branches.len().saturating_sub(LISTED);
    if more > 0 {
        branches.truncate(LISTED);
        branches.push(format!("and {more} more"));
    }
    branches
}
