//! A schedule as a picture: a lane for each actor, a row for each step.
//!
//! `diagram_text` and `diagram_svg` draw the same value.

use crate::schedule::recorder::{BODY, OPERATION};
use crate::schedule::step::{Mark, Schedule, Step};
use crate::trace::call::Call;
use crate::trace::place::Place;

/// How much of a schedule a picture shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) lanes: usize,
    pub(crate) rows: usize,
}

/// The lanes from left to right, and the rows from top to bottom.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Diagram<'a> {
    pub(crate) lanes: Vec<Lane<'a>>,
    pub(crate) rows: Vec<Row<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lane<'a> {
    Of(&'a str),
    /// This many actors that have no lane of their own.
    Others(usize),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    pub(crate) content: Content<'a>,
    /// The line of each lane below the row.
    pub(crate) below: Vec<Line>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    Step {
        /// From 1, as in the text of the schedule.
        number: usize,
        lane: usize,
        step: &'a Step,
        /// The lanes of the actors that the step woke.
        wakes: Vec<usize>,
    },
    /// This many steps are not shown.
    Gap(usize),
}

/// The state of an actor between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// It has not started, or it has ended.
    Absent,
    Ready,
    Waits,
}

impl<'a> Diagram<'a> {
    pub(crate) fn of(schedule: &'a Schedule, limits: Limits) -> Self {
        let steps = schedule.steps();
        let (lanes, names) = lanes_of(steps, limits.lanes);
        let lane_of = |actor: &str| {
            let found = names.iter().position(|name| *name == actor);
            // The last lane is that of the others.
            found.unwrap_or(lanes.len() - 1)
        };
        let window = Window::of(schedule, limits.rows);
        let mut states: Vec<_> = lanes.iter().map(Lane::at_start).collect();
        let mut rows = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let number = schedule.number(index);
            if let Some(gap) = window.gap_before(number) {
                let below = states.clone();
                let content = Content::Gap(gap);
                rows.push(Row { content, below });
            }
            let lane = lane_of(step.actor());
            let woken = step.wakes().iter().map(|woken| lane_of(woken));
            let mut wakes: Vec<_> = woken
                .filter(|woken| *woken != lane && states[*woken] != Line::Absent)
                .collect();
            wakes.sort_unstable();
            wakes.dedup();
            for woken in &wakes {
                states[*woken] = Line::Ready;
            }
            if matches!(lanes[lane], Lane::Of(_)) {
                states[lane] = Line::after(step.mark());
            }
            if window.shows(number) {
                let below = states.clone();
                let content = Content::Step {
                    number,
                    lane,
                    step,
                    wakes,
                };
                rows.push(Row { content, below });
            }
        }
        Self { lanes, rows }
    }

    /// The line of a lane above a row.
    pub(crate) fn above(&self, row: usize, lane: usize) -> Line {
        match row.checked_sub(1) {
            Some(before) => self.rows[before].below[lane],
            None => self.lanes[lane].at_start(),
        }
    }

    /// The lanes whose actors wait at the end of the schedule.
    pub(crate) fn still_waiting(&self) -> Vec<usize> {
        let end = self.rows.last().map_or(&[][..], |row| &row.below);
        let waits = |lane: &usize| end[*lane] == Line::Waits;
        (0..end.len()).filter(waits).collect()
    }

    /// Whether an actor makes steps both before and after one of another actor.
    pub(crate) fn is_interleaved(&self) -> bool {
        let mut left = vec![false; self.lanes.len()];
        let mut current = None;
        let lanes = self.rows.iter().filter_map(|row| match row.content {
            Content::Step { lane, .. } => Some(lane),
            Content::Gap(_) => None,
        });
        for lane in lanes {
            if current != Some(lane) && left[lane] {
                return true;
            }
            left[lane] = true;
            current = Some(lane);
        }
        false
    }
}

/// The steps that are shown: the first and the last ones.
struct Window {
    first: usize,
    last: usize,
    total: usize,
}

impl Window {
    fn of(schedule: &Schedule, rows: usize) -> Self {
        let total = schedule.steps().len() + schedule.omitted();
        let last = if total > rows { rows / 5 } else { 0 };
        let first = rows - last;
        Self { first, last, total }
    }

    fn shows(&self, number: usize) -> bool {
        number <= self.first || number > self.total - self.last
    }

    /// How many steps are not shown, if the first of them has this number.
    fn gap_before(&self, number: usize) -> Option<usize> {
        let is_gap = self.last > 0 && number == self.first + 1;
        is_gap.then(|| self.total - self.first - self.last)
    }
}

/// The lanes, the body's first, and the actors that have one of their own in the same order.
fn lanes_of(steps: &[Step], most: usize) -> (Vec<Lane<'_>>, Vec<&str>) {
    let mut names: Vec<&str> = Vec::new();
    for step in steps {
        if !names.contains(&step.actor()) {
            names.push(step.actor());
        }
    }
    let others = if names.len() > most {
        names.len() - (most - 1)
    } else {
        0
    };
    names.truncate(names.len() - others);
    names.sort_by_cached_key(|name| (![BODY, OPERATION].contains(name), by_number(name)));
    let mut lanes: Vec<_> = names.iter().map(|name| Lane::Of(name)).collect();
    if others > 0 {
        lanes.push(Lane::Others(others));
    }
    (lanes, names)
}

/// A key that sorts `child #2` before `child #10`.
fn by_number(name: &str) -> Vec<(String, u64)> {
    let parts = name.split_inclusive(|character: char| !character.is_ascii_digit());
    let key = parts.map(|part| {
        let digits = part.trim_end_matches(|character: char| !character.is_ascii_digit());
        let rest = part[digits.len()..].to_owned();
        (rest, digits.parse().unwrap_or_default())
    });
    key.collect()
}

impl Lane<'_> {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Of(name) => (*name).to_owned(),
            Self::Others(count) => format!("{count} others"),
        }
    }

    /// Only the body is sure to have started before its first step.
    fn at_start(&self) -> Line {
        match self {
            Self::Of(BODY) | Self::Others(_) => Line::Ready,
            Self::Of(_) => Line::Absent,
        }
    }
}

impl Line {
    fn after(mark: Mark) -> Self {
        match mark {
            Mark::RunsLater
            | Mark::TimerFires
            | Mark::IsPolled
            | Mark::Yields
            | Mark::Cancels(_) => Self::Ready,
            Mark::Waits => Self::Waits,
            Mark::Ends | Mark::IsCancelled | Mark::Panics => Self::Absent,
        }
    }
}

/// What a step did, in a few words: `waits: RwLock::write`.
pub(crate) fn label(step: &Step) -> String {
    let verb = match step.mark() {
        Mark::RunsLater => "runs later",
        Mark::TimerFires => "timer fires early",
        Mark::IsPolled => "is polled",
        Mark::Yields => "yields",
        Mark::Waits => "waits",
        Mark::Ends => "ends",
        Mark::IsCancelled => "is cancelled",
        Mark::Cancels(_) => "cancels",
        Mark::Panics => "panics",
    };
    let mut on: Vec<_> = step.spot().on.iter().map(|on| short_path(on)).collect();
    on.dedup();
    if on.is_empty() {
        return verb.to_owned();
    }
    format!("{verb}: {}", on.join(" | "))
}

/// The file and the line at which a step left off: `race.rs:16`.
pub(crate) fn short_place(step: &Step) -> Option<String> {
    let place = step.spot().call.as_ref().and_then(Call::place)?;
    Some(format!("{}:{}", short_file(place), place.line()))
}

/// The name of the file, with its folder if many files have that name.
fn short_file(place: &Place) -> &str {
    let file = place.file();
    let mut slashes = file.rmatch_indices('/').map(|(at, _)| at);
    let name = slashes.next().map_or(file, |at| &file[at + 1..]);
    if !["mod.rs", "lib.rs", "main.rs"].contains(&name) {
        return name;
    }
    slashes.next().map_or(file, |at| &file[at + 1..])
}

/// The last two names of a path: `RwLock::write` of `tokio::sync::rwlock::RwLock::write`.
fn short_path(path: &str) -> &str {
    let end = path.find('<').unwrap_or(path.len());
    let mut separators = path[..end].rmatch_indices("::");
    let last = separators.next().map_or(0, |(at, _)| at + 2);
    let both = separators.next().map_or(0, |(at, _)| at + 2);
    // A function often has the name of its module.
    let is_repeated = path[both..].split("::").next() == Some(&path[last..]);
    &path[if is_repeated { last } else { both }..]
}

/// Cuts a text to a width in characters.
pub(crate) fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1));
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::{by_number, fit, short_path};

    #[test]
    fn lanes_sorted_by_number() {
        let mut names = ["task #10", "child #2 `b`", "task #9", "child #10 `a`"];
        names.sort_by_cached_key(|name| by_number(name));
        let sorted = ["child #2 `b`", "child #10 `a`", "task #9", "task #10"];
        assert_eq!(names, sorted);
    }

    #[test]
    fn path_shortened_to_last_two_names() {
        for (path, short) in [
            ("tokio::sync::rwlock::RwLock::write", "RwLock::write"),
            ("tokio::sync::oneshot::Receiver", "oneshot::Receiver"),
            ("straggler::Lock", "straggler::Lock"),
            ("`step`", "`step`"),
            ("tokio::task::yield_now::yield_now", "yield_now"),
            ("a::b::C<d::e::F>", "b::C<d::e::F>"),
        ] {
            assert_eq!(short_path(path), short);
        }
    }

    #[test]
    fn long_text_cut_to_width() {
        assert_eq!(fit("überholt", 8), "überholt");
        assert_eq!(fit("überholt", 5), "über…");
    }
}
