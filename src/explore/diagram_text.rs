//! A diagram in text, with box characters.

use crate::explore::diagram::{self, Content, Diagram, Limits, Line, fit};
use crate::schedule::step::{Mark, Schedule, Step};
use crate::trace::call::Call;

/// How wide it may be, since a test cannot know the width of the terminal that shows its output.
const WIDTH: usize = 100;

/// The narrowest lane. Less leaves no room for a label.
const NARROWEST: usize = 11;

/// A longer one is harder to read than the list of the steps.
const LIMITS: Limits = Limits { lanes: 8, rows: 20 };

/// What a lane needs beside a label: the mark, two spaces, and the least length of an arrow.
const GAP: usize = 4;

const STILL_WAITS: &str = "still waits";

/// Draws a schedule, or returns `None` where the picture shows no more than the list of the steps: nothing is
/// interleaved, or there is too much of it.
pub(crate) fn draw(schedule: &Schedule) -> Option<String> {
    if schedule.steps().len() > LIMITS.rows {
        return None;
    }
    // One lane more: then there are too many.
    let limits = Limits {
        lanes: LIMITS.lanes + 1,
        ..LIMITS
    };
    let diagram = Diagram::of(schedule, limits);
    let is_drawn = (2..=LIMITS.lanes).contains(&diagram.lanes.len()) && diagram.is_interleaved();
    is_drawn
        .then(|| Canvas::for_diagram(&diagram))?
        .map(|canvas| canvas.draw(&diagram))
}

/// The columns of the lanes.
struct Canvas {
    starts: Vec<usize>,
    widths: Vec<usize>,
}

impl Canvas {
    /// Returns `None` if the lanes do not fit.
    fn for_diagram(diagram: &Diagram<'_>) -> Option<Self> {
        let margin = diagram.rows.len().to_string().len() + 2;
        let room = WIDTH - margin;
        let natural = natural_widths(diagram);
        let total = |most: usize| natural.iter().map(|width| most.min(*width)).sum::<usize>();
        let most = (NARROWEST..=room).rev().find(|most| total(*most) <= room)?;
        let widths: Vec<_> = natural.iter().map(|width| most.min(*width)).collect();
        let starts = widths.iter().scan(margin, |next, width| {
            let start = *next;
            *next += width;
            Some(start)
        });
        Some(Self {
            starts: starts.collect(),
            widths,
        })
    }

    fn draw(&self, diagram: &Diagram<'_>) -> String {
        let mut lines = vec![self.header(diagram)];
        lines.extend((0..diagram.rows.len()).filter_map(|row| self.row(diagram, row)));
        lines.extend(self.footer(diagram));
        let lines = lines.iter().map(|line| line.iter().collect::<String>());
        let lines: Vec<_> = lines.map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n")
    }

    fn header(&self, diagram: &Diagram<'_>) -> Vec<char> {
        let mut line = empty();
        for (lane, of) in diagram.lanes.iter().enumerate() {
            write(
                &mut line,
                self.starts[lane],
                &fit(&of.name(), self.widths[lane] - 1),
            );
        }
        line
    }

    fn row(&self, diagram: &Diagram<'_>, row: usize) -> Option<Vec<char>> {
        let Content::Step {
            number,
            lane,
            step,
            wakes,
        } = &diagram.rows[row].content
        else {
            return None;
        };
        let mut line = empty();
        for (lane, start) in self.starts.iter().enumerate() {
            line[*start] = stroke(diagram.above(row, lane));
        }
        let number_end = self.starts[0] - 2;
        write(&mut line, 0, &format!("{number:>number_end$}"));
        let start = self.starts[*lane];
        let label = fitted_label(step, self.widths[*lane] - GAP);
        write(
            &mut line,
            start,
            &format!("{} {label}", symbol(step.mark())),
        );
        let label_end = start + 2 + label.chars().count();
        for woken in wakes {
            let to = self.starts[*woken];
            if to > start {
                connect(&mut line, label_end + 1, to);
                line[to] = '▶';
            } else {
                connect(&mut line, to + 1, start);
                line[to] = '◀';
            }
        }
        Some(line)
    }

    /// Names those that wait at the end.
    fn footer(&self, diagram: &Diagram<'_>) -> Option<Vec<char>> {
        let waiting = diagram.still_waiting();
        let mut line = empty();
        for lane in &waiting {
            let text = fit(STILL_WAITS, self.widths[*lane] - GAP);
            let text = format!("{} {text}", stroke(Line::Waits));
            write(&mut line, self.starts[*lane], &text);
        }
        (!waiting.is_empty()).then_some(line)
    }
}

fn empty() -> Vec<char> {
    vec![' '; WIDTH]
}

/// The width of each lane in which nothing is cut, with a gap behind it.
fn natural_widths(diagram: &Diagram<'_>) -> Vec<usize> {
    let names = diagram
        .lanes
        .iter()
        .map(|lane| lane.name().chars().count() + 2);
    let mut widths: Vec<_> = names.map(|width| width.max(NARROWEST)).collect();
    for row in &diagram.rows {
        if let Content::Step { lane, step, .. } = &row.content {
            widths[*lane] = widths[*lane].max(label(step).chars().count() + GAP);
        }
    }
    for lane in diagram.still_waiting() {
        widths[lane] = widths[lane].max(STILL_WAITS.len() + GAP);
    }
    widths
}

/// The label with the line number. The file is in the list of the steps.
fn label(step: &Step) -> String {
    let label = diagram::label(step);
    match step.spot().call.as_ref().and_then(Call::place) {
        Some(place) => format!("{label} :{}", place.line()),
        None => label,
    }
}

/// The label for this width. The line number goes first: the list of the steps has it too.
fn fitted_label(step: &Step, width: usize) -> String {
    let label = label(step);
    if label.chars().count() <= width {
        return label;
    }
    fit(&diagram::label(step), width)
}

fn write(line: &mut [char], at: usize, text: &str) {
    for (place, character) in line[at..].iter_mut().zip(text.chars()) {
        *place = character;
    }
}

/// Draws a connection that crosses the lanes between, and leaves the heads of others.
fn connect(line: &mut [char], from: usize, to: usize) {
    for place in &mut line[from..to] {
        *place = match *place {
            ' ' => '─',
            '│' | '┆' => '┼',
            other => other,
        };
    }
}

fn stroke(line: Line) -> char {
    match line {
        Line::Absent => ' ',
        Line::Ready => '│',
        Line::Waits => '┆',
    }
}

fn symbol(mark: Mark) -> char {
    match mark {
        Mark::RunsLater => '▽',
        Mark::TimerFires => '△',
        Mark::IsPolled => '◦',
        Mark::Yields => '◇',
        Mark::Waits => '○',
        Mark::Ends => '■',
        Mark::IsCancelled | Mark::Panics => '╳',
        Mark::Cancels(_) => '×',
    }
}
